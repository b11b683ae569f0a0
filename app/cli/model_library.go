package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"kestrel/app/library"
)

// library is the user's.
func (a *app) library() (*library.Library, error) { return library.Open(a.Getenv) }

func (a *app) libraryCommands() []*cobra.Command {
	return []*cobra.Command{a.listCommand(), a.pullCommand(), a.importCommand(), a.verifyCommand(), a.removeCommand()}
}

type entryJSON struct {
	Name   string `json:"name"`
	State  string `json:"state"`
	Ready  bool   `json:"ready"`
	Error  string `json:"error,omitempty"`
	Format string `json:"format"`
	Bytes  int64  `json:"bytes"`
	Have   int64  `json:"have"`
	Path   string `json:"path"`
	Source string `json:"source"` // hub, copy, reference
	Repo   string `json:"repo,omitempty"`
	File   string `json:"file,omitempty"`
	Commit string `json:"commit,omitempty"`
	From   string `json:"from,omitempty"` // what was imported
}

func entryOf(e *library.Entry) entryJSON {
	j := entryJSON{
		Name: e.Name, State: string(e.State), Ready: e.Ready(), Format: string(e.Format), Bytes: e.Size(), Have: e.Have, Path: e.Path,
		Source: string(e.Source.Kind), Repo: e.Source.Repo, File: e.Source.File, Commit: e.Source.Commit, From: e.Source.Path,
	}
	if e.Err != nil {
		j.State, j.Error = "damaged", e.Err.Error()
	}
	return j
}

type knownJSON struct {
	Name       string `json:"name"`
	Precision  string `json:"precision"`
	Parameters int64  `json:"parameters"`
	AboutBytes int64  `json:"about_bytes"`
	Chat       bool   `json:"chat"`
	Note       string `json:"note"`
}

func (a *app) listCommand() *cobra.Command {
	var asJSON, known bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the models of the library, or published ones to pull",
		Long: `List the models of the library: those that were pulled or imported. Give a name
to --model of other commands.

The library is the folder "models" in $KESTREL_HOME, else in the place for user
data: ~/.local/share/kestrel, or kestrel in ~/Library/Application Support on
macOS and in %LOCALAPPDATA% on Windows.`,
		Example: "  kestrel model list\n  kestrel model list --known\n  kestrel model list --json | jq -r '.[] | select(.ready) | .name'",
		Args:    none,
		RunE: a.command(func(context.Context, []string) error {
			if known {
				return a.printKnown(asJSON)
			}
			l, err := a.library()
			if err != nil {
				return err
			}
			list, err := l.List()
			if err != nil {
				return err
			}
			if asJSON {
				all := []entryJSON{}
				for _, e := range list {
					all = append(all, entryOf(e))
				}
				return a.printJSON(all)
			}
			if len(list) == 0 {
				a.note("no model is here yet; 'kestrel model list --known' shows some to pull")
				return nil
			}
			return a.printModels(list)
		}),
	}
	cmd.Flags().BoolVar(&known, "known", false, "list published models that suit Kestrel, with their size")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) printModels(list []*library.Entry) error {
	w := a.table()
	fmt.Fprintln(w, "NAME\tSIZE\tSTATE\tFROM")
	for _, e := range list {
		state, from := string(e.State), e.Source.Path
		switch {
		case e.Err != nil:
			state = "damaged: " + e.Err.Error()
		case e.State == library.Partial:
			state = fmt.Sprintf("%s are here", bytesText(e.Have))
		case e.Source.Kind == library.Reference:
			state = "where it lies"
		}
		if e.Source.Kind == library.Hub {
			from = e.Source.Endpoint + " at " + e.Source.Commit[:min(12, len(e.Source.Commit))]
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", e.Name, bytesText(e.Size()), state, from)
	}
	return w.Flush()
}

func (a *app) printKnown(asJSON bool) error {
	all := []knownJSON{}
	for _, k := range library.KnownModels() {
		all = append(all, knownJSON{k.Ref.Name(), k.Precision, k.Parameters, k.Bytes, k.Chat, k.Note})
	}
	if asJSON {
		return a.printJSON(all)
	}
	w := a.table()
	fmt.Fprintln(w, "NAME\tABOUT\tAS\tNOTE")
	for _, k := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", k.Name, bytesText(k.AboutBytes), k.Precision, k.Note)
	}
	return w.Flush()
}

type pullJSON struct {
	entryJSON
	Fetched int64  `json:"fetched"`
	Newer   string `json:"newer,omitempty"`
}

func (a *app) pullCommand() *cobra.Command {
	var o library.PullOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "pull OWNER/REPO[@REVISION][:FILE.gguf]",
		Short: "Download a model into the library",
		Long: `Download a model from the hub of Hugging Face, or one like it, into the library.
Every file is checked against the hash in the hub's index before it counts. A
download that was stopped, or broke off, goes on where it was when the same
command is given again. Models that Kestrel cannot run are refused first.

Of a repository with several GGUF files one must be named after a colon.

Environment: HF_ENDPOINT is the hub (default https://huggingface.co), HF_TOKEN
the token for private and gated models (else the one that 'hf auth login'
stored), HTTPS_PROXY, HTTP_PROXY and NO_PROXY are honoured.`,
		Example: `  kestrel model pull tiiuae/falcon-mamba-7b-instruct
  kestrel model pull tiiuae/falcon-mamba-7b-instruct-Q8_0-GGUF
  kestrel model pull owner/repo:model.Q4_K_M.gguf
  kestrel model pull mamba-130m-hf && kestrel generate "Once" --model mamba-130m-hf`,
		Args: exactly(1, "one model"),
		RunE: a.command(func(ctx context.Context, args []string) error {
			if o.Parallel < 1 {
				return usagef("--parallel %d: want 1 or more", o.Parallel)
			}
			if _, err := library.ParseRef(args[0]); err != nil {
				return usageError{err}
			}
			l, err := a.library()
			if err != nil {
				return err
			}
			t := a.transfer()
			o.Wait, o.Progress, o.Warn = true, t.show, func(text string) { t.clear(); a.note("warning: %s", text) }
			got, err := l.Pull(ctx, args[0], o)
			t.clear()
			if err != nil {
				if ctx.Err() != nil {
					a.note("stopped; the same command goes on where it was")
				}
				return err
			}
			if asJSON {
				return a.printJSON(pullJSON{entryOf(got.Entry), got.Fetched, got.Newer})
			}
			if got.Newer != "" {
				a.note("the hub has a newer revision by now, %s; --update takes it", got.Newer[:12])
			}
			fmt.Fprintf(a.Out, "%s\n%s, %s of it now\n", got.Path, bytesText(got.Size()), bytesText(got.Fetched))
			return nil
		}),
	}
	cmd.Flags().BoolVar(&o.Update, "update", false, "take the hub's newer revision of a model that is here")
	cmd.Flags().BoolVar(&o.Check, "check", false, "hash the files that are here, and fetch again what is wrong")
	cmd.Flags().IntVar(&o.Parallel, "parallel", 4, "files to download at once")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) importCommand() *cobra.Command {
	var o library.ImportOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "import PATH",
		Short: "Add a model on this machine to the library",
		Long: `Add a model that is on this machine to the library, under a name of its own: a
folder in Hugging Face layout, or a .gguf file. Its files stay where they lie
unless --copy is given; they are read once, for 'kestrel model verify'.`,
		Example: "  kestrel model import ~/models/falcon-mamba-7b\n  kestrel model import /mnt/usb/falcon.Q8_0.gguf --copy --name falcon",
		Args:    exactly(1, "one PATH"),
		RunE: a.command(func(ctx context.Context, args []string) error {
			l, err := a.library()
			if err != nil {
				return err
			}
			t := a.transfer()
			o.Progress = t.show
			e, err := l.Import(ctx, args[0], o)
			t.clear()
			if err != nil {
				return err
			}
			if asJSON {
				return a.printJSON(entryOf(e))
			}
			fmt.Fprintf(a.Out, "%s: %s at %s\n", e.Name, bytesText(e.Size()), e.Path)
			return nil
		}),
	}
	cmd.Flags().StringVar(&o.Name, "name", "", "what to call it (default the name of the file or folder)")
	cmd.Flags().BoolVar(&o.Copy, "copy", false, "copy the files into the library")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

type verifyJSON struct {
	Name  string      `json:"name"`
	OK    bool        `json:"ok"`
	Files []checkJSON `json:"files"`
}

type checkJSON struct {
	File    string `json:"file"`
	Bytes   int64  `json:"bytes"`
	OK      bool   `json:"ok"`
	Problem string `json:"problem,omitempty"`
}

var errDamaged = errors.New("not every file is as it should be")

func (a *app) verifyCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify [NAME...]",
		Short: "Read every file of models and compare its hash",
		Long: `Read every file of the models named, or of all that are whole, and compare its
SHA-256 with the one it had when it came. The exit code is 1 if any differs.`,
		Example: "  kestrel model verify\n  kestrel model verify falcon-mamba-7b-instruct --json",
		Args:    cobra.ArbitraryArgs,
		RunE: a.command(func(ctx context.Context, args []string) error {
			l, err := a.library()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				list, err := l.List()
				if err != nil {
					return err
				}
				for _, e := range list {
					if e.State == library.Complete {
						args = append(args, e.Name)
					}
				}
			}
			all, sound := []verifyJSON{}, true
			for _, name := range args {
				t := a.transfer()
				r, err := l.Verify(ctx, name, t.show)
				t.clear()
				if err != nil {
					return err
				}
				sound = sound && r.OK()
				if asJSON {
					all = append(all, reportOf(r))
				} else {
					a.printReport(r)
				}
			}
			if asJSON {
				if err := a.printJSON(all); err != nil {
					return err
				}
			}
			if !sound {
				return errDamaged
			}
			return nil
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func reportOf(r *library.Report) verifyJSON {
	j := verifyJSON{Name: r.Name, OK: r.OK()}
	for _, c := range r.Checks {
		j.Files = append(j.Files, checkJSON{c.File, c.Size, c.Problem == "", c.Problem})
	}
	return j
}

func (a *app) printReport(r *library.Report) {
	if r.OK() {
		fmt.Fprintf(a.Out, "%s: every byte of %s is as it came\n", r.Name, bytesText(r.Size()))
		return
	}
	for _, c := range r.Checks {
		if c.Problem != "" {
			fmt.Fprintf(a.Out, "%s: %s: %s\n", r.Name, c.File, c.Problem)
		}
	}
	a.note("%s", r.Repair())
}

func (a *app) removeCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "remove NAME",
		Short: "Delete a model from the library",
		Long: `Delete a model from the library. Of one that was imported without --copy only
the library's note of it goes; its files stay where they lie. On a terminal the
command asks first; elsewhere it wants --yes.`,
		Example: "  kestrel model remove mamba-130m-hf\n  kestrel model remove tiiuae/falcon-mamba-7b --yes",
		Args:    exactly(1, "one NAME"),
		RunE: a.command(func(ctx context.Context, args []string) error {
			l, err := a.library()
			if err != nil {
				return err
			}
			e, err := l.Find(args[0])
			if err != nil {
				return err
			}
			what := fmt.Sprintf("delete %s, %s in %s", e.Name, bytesText(e.Have), e.Folder)
			if e.Source.Kind == library.Reference {
				what = fmt.Sprintf("forget %s; its files in %s stay", e.Name, e.Root)
			}
			if !yes {
				if !a.InTerminal {
					return usagef("this would %s: give --yes to mean it", what)
				}
				ok, err := a.confirm(ctx, what)
				if err != nil || !ok {
					return err
				}
			}
			freed, err := l.Remove(e.Name)
			if err != nil {
				return err
			}
			a.note("%s is out of the library; %s are free again", e.Name, bytesText(freed))
			return nil
		}),
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

// confirm asks on standard error and reads a line, or until ctx ends.
func (a *app) confirm(ctx context.Context, what string) (bool, error) {
	fmt.Fprintf(a.Err, "%s? [y/N] ", what)
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(a.In).ReadString('\n') // no answer is no
		answer <- line
	}()
	select {
	case line := <-answer:
		line = strings.ToLower(strings.TrimSpace(line))
		return line == "y" || line == "yes", nil
	case <-ctx.Done():
		fmt.Fprintln(a.Err)
		return false, ctx.Err()
	}
}
