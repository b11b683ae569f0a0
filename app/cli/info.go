package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"kestrel/app/backend"
	"kestrel/engine/checkpoint"
)

type infoJSON struct {
	Name         string  `json:"name"`
	Path         string  `json:"path"`
	Kind         string  `json:"kind"`
	Precision    string  `json:"precision"`
	Parameters   int64   `json:"parameters"`
	WeightBytes  int64   `json:"weight_bytes"`
	StateBytes   int64   `json:"state_bytes"`
	Hidden       int     `json:"hidden"`
	Layers       int     `json:"layers"`
	Inner        int     `json:"inner"`
	State        int     `json:"state"`
	Conv         int     `json:"conv"`
	DtRank       int     `json:"dt_rank"`
	Vocab        int     `json:"vocab"`
	NormEps      float32 `json:"norm_eps"`
	MixerEps     float32 `json:"mixer_eps"`
	Tied         bool    `json:"tied"`
	BOS          int     `json:"bos"`
	EOS          []int   `json:"eos"`
	MaxTrained   int     `json:"max_trained"`
	ChatTemplate bool    `json:"chat_template"`
	Hash         string  `json:"hash"`
}

func (a *app) modelCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "model",
		Short: "Get models, list, check, convert and remove them",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("there is no command \"model %s\"", args[0])
			}
			return usagef("want one of its commands")
		},
		RunE: func(*cobra.Command, []string) error { return nil },
	}
	cmd.AddCommand(a.infoCommand(), a.estimateCommand(), a.convertCommand())
	cmd.AddCommand(a.libraryCommands()...)
	return cmd
}

func (a *app) infoCommand() *cobra.Command {
	var mf modelFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "info [MODEL]",
		Short: "Show a model's sizes, precision and files",
		Long: `Show what a model's files hold: kind, sizes, precision of the weights, the bytes
of its weights and of one conversation's state, special ids, chat template. The
files are checked as for loading; no device is needed.`,
		Example: `  kestrel model info
  kestrel model info ~/models/falcon-mamba-7b
  kestrel model info falcon-mamba-7b.Q8_0.gguf --json`,
		Args: mf.argument("MODEL"),
		RunE: a.command(func(_ context.Context, args []string) error {
			mf.take(args)
			ck, err := backend.OpenCheckpoint(mf.name(a))
			if err != nil {
				return err
			}
			defer ck.Close()
			for _, w := range ck.Warnings {
				a.note("warning: %s", w)
			}
			info := describe(ck)
			if mf.name(a) == backend.Builtin {
				info.Path = "built in"
			}
			if info.Name == "" {
				info.Name = filepath.Base(mf.name(a))
			}
			if asJSON {
				return a.printJSON(info)
			}
			return a.printInfo(info)
		}),
	}
	mf.nameFlag(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func describe(ck *checkpoint.Checkpoint) infoJSON {
	c := ck.Config
	hash := ck.Hash()
	d := backend.DescribeCheckpoint(ck)
	info := infoJSON{
		Name: ck.Files.Name, Path: ck.Path(), Kind: string(c.Kind),
		Precision: d.Precision, Parameters: d.Parameters, WeightBytes: d.WeightBytes, StateBytes: d.StateBytes,
		Hidden: c.Hidden, Layers: c.Layers, Inner: c.Inner, State: c.State, Conv: c.Conv, DtRank: c.DtRank, Vocab: c.Vocab,
		NormEps: c.NormEps, MixerEps: c.MixerEps, Tied: c.Tied, BOS: c.BOS, EOS: append([]int{}, c.EOS...), MaxTrained: c.MaxTrained,
		ChatTemplate: ck.Files.ChatTemplate != "", Hash: fmt.Sprintf("%x", hash[:8]),
	}
	return info
}

func (a *app) printInfo(i infoJSON) error {
	w := a.table()
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	yes := map[bool]string{true: "yes", false: "no"}
	row("name", "%s", i.Name)
	row("path", "%s", i.Path)
	row("kind", "%s", i.Kind)
	row("parameters", "%s", grouped(i.Parameters))
	row("precision", "%s", i.Precision)
	row("weights", "%s", bytesText(i.WeightBytes))
	row("state", "%s, whatever the length of the text", bytesText(i.StateBytes))
	row("layers", "%d: hidden %d, inner %d, state %d, conv %d, dt rank %d", i.Layers, i.Hidden, i.Inner, i.State, i.Conv, i.DtRank)
	row("vocabulary", "%s, head %s", grouped(int64(i.Vocab)), map[bool]string{true: "tied to the embedding", false: "of its own"}[i.Tied])
	trained := "not said"
	if i.MaxTrained > 0 {
		trained = grouped(int64(i.MaxTrained)) + " tokens"
	}
	row("trained on", "%s", trained)
	row("begin, end ids", "%d, %v", i.BOS, i.EOS)
	row("chat template", "%s", yes[i.ChatTemplate])
	row("hash", "%s", i.Hash)
	return w.Flush()
}

// grouped writes n with a comma between thousands.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
