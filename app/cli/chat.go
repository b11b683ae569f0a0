package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"kestrel/app/backend"
	"kestrel/engine"
	"kestrel/engine/chat"
)

const chatHelp = `/help         this list
/reset        start anew; a system message stays
/system TEXT  set the system message; without TEXT take it away
/regen        answer the last message anew
/undo         take the last message and its answer back
/save FILE    save the conversation, and its state as FILE.state
/load FILE    go on with a saved conversation
/stats        tokens, states and memory
/exit         leave, as does Ctrl-D
A line that ends in \ goes on in the next. Ctrl-C stops an answer.
`

func (a *app) chatCommand() *cobra.Command {
	var mf modelFlags
	var sf samplingFlags
	var limit int
	var system string
	cmd := &cobra.Command{
		Use:   "chat",
		Short: "Hold a conversation",
		Long: `Hold a conversation in the terminal, in the model's own chat format. Each turn
reads only what is new: the model's state holds all that came before, in memory
of constant size. The state before each turn is kept, so that /undo and /regen
read nothing again.

Commands:
` + indent(chatHelp) + `
Ctrl-C stops an answer, whose text stays; twice at the prompt it leaves with 130.
Where standard input is no terminal each of its lines is a message.`,
		Example: `  kestrel chat
  kestrel chat --model ~/models/falcon-mamba-7b-instruct --temperature 0.7
  kestrel chat --system "Answer in one sentence."
  printf 'Hello\nWho are you?\n' | kestrel chat --temperature 0`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 0 {
				return usagef("-n %d: want 1 or more, or 0 for no limit", limit)
			}
			sampler, err := sf.sampler()
			if err != nil {
				return err
			}
			r := &repl{app: a, lines: bufio.NewReader(a.In)}
			return mf.with(context.Background(), a, func(m backend.Model, s backend.Session) error {
				if m.Template().Fallback() {
					a.note("%s has no chat template of its own; it may be a base model, which continues texts rather than answers", m.Name())
				}
				r.c = newConversation(m, s, sampler)
				r.c.options, r.c.circles = engine.GenerateOptions{Max: limit}, sf.circles
				if system != "" {
					r.c.messages = []chat.Message{{Role: chat.System, Content: system}}
				}
				return r.run()
			})
		},
	}
	mf.add(cmd)
	sf.add(cmd, 0.7, 0.9, 0)
	sf.addCircles(cmd, true, "end an answer that says the same again and again, and forget the repetition")
	cmd.Flags().IntVarP(&limit, "max-tokens", "n", 1024, "tokens of an answer at most; 0: until the model ends it")
	cmd.Flags().StringVar(&system, "system", "", "the system message")
	return cmd
}

func indent(text string) string { return "  " + strings.ReplaceAll(text, "\n", "\n  ") }

// repl reads messages and commands and prints answers.
type repl struct {
	*app
	c       *conversation
	lines   *bufio.Reader
	pending chan line // a line that is being read
	last    engine.Result
	warned  bool
}

type line struct {
	text string
	err  error
}

func (r *repl) run() error {
	if r.InTerminal {
		fmt.Fprintf(r.Err, "%s on %s. /help lists the commands, /exit leaves.\n", r.c.model.Name(), r.c.model.Device().Name)
	}
	for {
		text, err := r.message()
		if errors.Is(err, io.EOF) {
			if r.InTerminal {
				fmt.Fprintln(r.Err)
			}
			return nil
		}
		if err != nil {
			return err
		}
		leave, err := r.turn(text)
		if leave || err != nil {
			return err
		}
	}
}

// message reads a message, over several lines where they end in a backslash.
func (r *repl) message() (string, error) {
	var b strings.Builder
	prompt := "> "
	for {
		text, err := r.line(prompt)
		if err != nil && (text == "" || !errors.Is(err, io.EOF)) {
			return "", err
		}
		more, goesOn := strings.CutSuffix(text, `\`)
		b.WriteString(more)
		if !goesOn || err != nil {
			return b.String(), nil
		}
		b.WriteByte('\n')
		prompt = ". "
	}
}

// line reads a line. The first interrupt asks for another, which leaves.
func (r *repl) line(prompt string) (string, error) {
	if r.InTerminal {
		fmt.Fprint(r.Err, prompt)
	}
	if r.pending == nil {
		r.pending = make(chan line, 1)
		go func(to chan<- line) {
			text, err := r.lines.ReadString('\n')
			to <- line{strings.TrimRight(text, "\r\n"), err}
		}(r.pending)
	}
	for n := 0; ; n++ {
		select {
		case l := <-r.pending:
			r.pending = nil
			return l.text, l.err
		case s := <-r.Signals:
			fmt.Fprintln(r.Err)
			if n > 0 || s != os.Interrupt || !r.InTerminal {
				return "", interrupted{s}
			}
			fmt.Fprintf(r.Err, "Ctrl-C again leaves.\n%s", prompt)
		}
	}
}

// turn carries out a command or answers a message. What goes wrong with one
// message is told, and the conversation goes on.
func (r *repl) turn(text string) (leave bool, err error) {
	name, argument, _ := strings.Cut(strings.TrimSpace(text), " ")
	argument = strings.TrimSpace(argument)
	run := func(f func(context.Context) error) {
		err = r.interruptible(context.Background(), f)
	}
	switch {
	case strings.TrimSpace(text) == "":
	case name == "/exit", name == "/quit":
		return true, nil
	case name == "/help":
		fmt.Fprint(r.Err, chatHelp)
	case name == "/reset":
		r.c.reset()
	case name == "/system":
		r.c.system(argument)
	case name == "/stats":
		fmt.Fprintln(r.Err, r.c.stats())
		if r.last.Tokens > 0 {
			fmt.Fprintf(r.Err, "last answer: %d tokens, %.1f/s, the first after %.2f s\n", r.last.Tokens,
				perSecond(r.last.Tokens, r.last.Duration), r.last.FirstToken.Seconds())
		}
	case name == "/undo":
		var asked chat.Message
		if asked, err = r.c.undo(); err == nil {
			fmt.Fprintf(r.Err, "took back: %s\n", firstLine(asked.Content))
		}
	case name == "/save", name == "/load":
		if argument == "" {
			err = fmt.Errorf("%s wants the name of a file", name)
			break
		}
		run(func(ctx context.Context) error { return r.file(ctx, name, argument) })
	case name == "/regen":
		if r.c.sampler.Greedy() {
			fmt.Fprintln(r.Err, "the temperature is 0: the answer will be the same")
		}
		run(func(ctx context.Context) error { return r.answer(ctx, r.c.regenerate) })
	case strings.HasPrefix(name, "/") && !strings.Contains(name[1:], "/"):
		err = fmt.Errorf("there is no command %s; /help lists them", name)
	default:
		run(func(ctx context.Context) error {
			return r.answer(ctx, func(ctx context.Context, emit func(string) error) (engine.Result, error) {
				return r.c.ask(ctx, text, emit)
			})
		})
	}
	var stop interrupted
	switch {
	case err == nil:
		return false, nil
	case errors.As(err, &stop) && stop.signal == os.Interrupt && r.InTerminal:
		return false, nil // what was written stays
	case errors.As(err, &stop), errors.Is(err, engine.ErrDeviceLost), errors.Is(err, errOutput), !r.InTerminal:
		return true, err
	}
	r.note("%v", err)
	return false, nil
}

// errOutput is an answer that could not be printed.
var errOutput = errors.New("print the answer")

func (r *repl) answer(ctx context.Context, ask func(context.Context, func(string) error) (engine.Result, error)) error {
	bar := r.progress("reading", "tok")
	r.c.reading = func(done, total int) { bar.set(int64(done), int64(total)) }
	wrote := ""
	result, err := ask(ctx, func(text string) error {
		bar.done()
		wrote = text
		if err := r.emit(text); err != nil {
			return fmt.Errorf("%w: %w", errOutput, err)
		}
		return nil
	})
	bar.done()
	if result.Tokens > 0 || err == nil {
		r.last = result
		r.endLine(wrote, false)
		if result.Reason == engine.ReasonEnough {
			r.note("the answer ended because it began to repeat itself; only its text before that is kept (--end-circles=false lets it go on)")
		}
		r.detail("read %d tokens, wrote %d (%.1f/s), ended by %s", r.c.fed, result.Tokens, perSecond(result.Tokens, result.Duration), result.Reason)
	}
	if trained := r.c.model.Config().MaxTrained; trained > 0 && r.c.reader.Tokens() > trained && !r.warned {
		r.warned = true
		r.note("%d tokens read so far; %s was trained on texts of up to %d, and what it remembers of the beginning fades", r.c.reader.Tokens(), r.c.model.Name(), trained)
	}
	return err
}

func (r *repl) file(ctx context.Context, name, path string) error {
	if name == "/save" {
		if err := r.c.save(ctx, path); err != nil {
			return err
		}
		fmt.Fprintf(r.Err, "saved %d messages to %s\n", len(r.c.messages), path)
		return nil
	}
	again, err := r.c.load(ctx, r.Engine, path)
	if err != nil {
		return err
	}
	fmt.Fprintf(r.Err, "loaded %d messages from %s\n", len(r.c.messages), path)
	if again != nil {
		fmt.Fprintf(r.Err, "its state cannot be used (%v): the next turn reads the conversation again\n", again)
	}
	return nil
}

// firstLine is the beginning of text.
func firstLine(text string) string {
	first, _, more := strings.Cut(text, "\n")
	if runes := []rune(first); len(runes) > 60 {
		return string(runes[:60]) + "…"
	}
	if more {
		return first + " …"
	}
	return first
}
