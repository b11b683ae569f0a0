// Package cli is Kestrel's command line: one cobra command a file, over the
// small part of the engine that package backend names.
//
// Results go to standard output and everything else to standard error, so
// that a pipe carries results only. Exit codes: 0, 1 for a failure, 2 for
// wrong usage, 130 after an interrupt (what was written until then is kept).
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"kestrel/app/backend"
	"kestrel/engine/vulkan"
)

// Exit codes.
const (
	exitFailure     = 1
	exitUsage       = 2
	exitInterrupted = 128 // plus the signal's number
)

// IO is what the commands read, write and run on.
type IO struct {
	In       io.Reader
	Out, Err io.Writer
	Getenv   func(string) string
	Signals  <-chan os.Signal // interrupts

	// terminals, which get a bar and a prompt rather than lines
	InTerminal, OutTerminal, ErrTerminal bool

	Engine backend.Engine

	// Power reads what a device draws, in watts; see bench.
	Power func(vulkan.DeviceInfo) func() (float64, bool)

	// Window opens the window and returns when it is closed. Its error is
	// ErrNoDisplay where no window can be opened; nil is a build without one.
	Window func(WindowRequest) error
}

// System is the process's own.
func System() IO {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	terminal := func(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }
	return IO{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv, Signals: signals,
		InTerminal: terminal(os.Stdin), OutTerminal: terminal(os.Stdout), ErrTerminal: terminal(os.Stderr),
		Engine: backend.Vulkan{}, Power: devicePower,
	}
}

// usageError is wrong usage: exit code 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// interrupted is why a context ended: exit code 128 and the signal's number.
type interrupted struct{ signal os.Signal }

func (e interrupted) Error() string { return "interrupted" }

func (e interrupted) code() int {
	if s, ok := e.signal.(syscall.Signal); ok {
		return exitInterrupted + int(s)
	}
	return exitInterrupted + int(syscall.SIGINT)
}

// app is one run of the program.
type app struct {
	IO
	verbose bool
}

// Run runs the command that args name and returns the exit code.
func Run(sys IO, args []string) int {
	a := &app{IO: sys}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(sys.In)
	root.SetOut(sys.Out)
	root.SetErr(sys.Err)
	cmd, err := root.ExecuteC()
	var stop interrupted
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &stop):
		return stop.code()
	case errors.As(err, &usage):
		fmt.Fprintf(sys.Err, "kestrel: %v\nSee '%s --help'.\n", err, cmd.CommandPath())
		return exitUsage
	}
	fmt.Fprintf(sys.Err, "kestrel: %v\n", err)
	return exitFailure
}

// again is how long after an interrupt another one counts as a second one: a
// terminal or timeout(1) may send one to the process and one to its group.
const again = 500 * time.Millisecond

// interruptible runs f with a context that the first interrupt ends. A second
// one, while f winds up, ends the process.
func (a *app) interruptible(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan struct{})
	var watcher sync.WaitGroup
	// gone before the return: a later interrupt is for whoever waits then
	defer watcher.Wait()
	defer close(done)
	watcher.Go(func() {
		var first time.Time
		for {
			select {
			case <-done:
				return
			case s := <-a.Signals:
				switch {
				case first.IsZero():
					first = time.Now()
					cancel(interrupted{s})
				case time.Since(first) > again:
					os.Exit(interrupted{s}.code())
				}
			}
		}
	})
	err := f(ctx)
	if stop := (interrupted{}); errors.As(context.Cause(ctx), &stop) && err != nil {
		return stop
	}
	return err
}

// readAll reads standard input to its end, or until ctx ends.
func (a *app) readAll(ctx context.Context) ([]byte, error) {
	type read struct {
		data []byte
		err  error
	}
	done := make(chan read, 1)
	go func() {
		data, err := io.ReadAll(a.In)
		done <- read{data, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return nil, fmt.Errorf("read standard input: %w", r.err)
		}
		return r.data, nil
	case <-ctx.Done(): // the read goes on, and ends with the program
		return nil, ctx.Err()
	}
}

// command runs f as the body of a command.
func (a *app) command(f func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(_ *cobra.Command, args []string) error {
		return a.interruptible(context.Background(), func(ctx context.Context) error { return f(ctx, args) })
	}
}

func (a *app) root() *cobra.Command {
	chat := a.chatCommand()
	root := &cobra.Command{
		Use:   "kestrel",
		Short: "Run Falcon-Mamba language models on your graphics card",
		Long: `Kestrel runs Falcon-Mamba and other Mamba language models wholly in Vulkan
compute shaders, on any graphics card or on the processor. Such a model reads a
text of any length in memory of constant size.

Without --model a tiny model that is built in answers; it shows how things work
and knows little. 'kestrel model pull' fetches others; give their name to --model,
or the folder of a model in Hugging Face layout, or a .gguf file, or set
KESTREL_MODEL.

Results go to standard output, everything else to standard error.
Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.`,
		Example: `  kestrel                     # the window, or without a display the chat
  kestrel window book.epub
  kestrel chat
  kestrel generate "The captain looked at the sea and said," -n 60
  kestrel summarize report.md --words 80
  kestrel chat --model ~/models/falcon-mamba-7b-instruct --device 0
  kestrel devices`,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			hint := ""
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				hint = fmt.Sprintf("; did you mean %q?", near[0])
			} else if _, err := os.Stat(args[0]); err == nil {
				hint = "; 'kestrel window FILE' opens a document"
			}
			return usagef("there is no command %q%s", args[0], hint)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			err := a.openWindow(WindowRequest{})
			if !errors.Is(err, ErrNoDisplay) {
				return err
			}
			if a.InTerminal && a.OutTerminal {
				if a.Window != nil {
					a.note("%v; this is the chat in the terminal", err)
				}
				return chat.RunE(chat, args)
			}
			cmd.SetOut(a.Err)
			if err := cmd.Help(); err != nil {
				return err
			}
			if a.Window != nil {
				return usagef("no command was given, and %v", err)
			}
			return usagef("no command was given")
		},
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SuggestionsMinimumDistance = 2
	root.PersistentFlags().BoolVarP(&a.verbose, "verbose", "v", false, "tell more on standard error")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(a.windowCommand(), chat, a.generateCommand(), a.batchCommand(), a.summarizeCommand(), a.devicesCommand(), a.tokenizeCommand(), a.detokenizeCommand(),
		a.logitsCommand(), a.perplexityCommand(), a.benchCommand(), a.modelCommand())
	return root
}

// stamped is the version that build/package gives the program when it links it.
var stamped string

// version is the one stamped, else the module's, or the commit it was built from.
func version() string {
	if stamped != "" {
		return stamped
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 && info.Main.Version == "(devel)" {
			return s.Value[:12]
		}
	}
	return info.Main.Version
}

// exactly, none and optional check the number of arguments.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != n {
			return usagef("want %s, got %d arguments", what, len(args))
		}
		return nil
	}
}

func none(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("no argument is taken, got %q", args[0])
	}
	return nil
}

// note writes a line to standard error.
func (a *app) note(format string, args ...any) {
	fmt.Fprintf(a.Err, "kestrel: "+format+"\n", args...)
}

// detail is a note for --verbose.
func (a *app) detail(format string, args ...any) {
	if a.verbose {
		a.note(format, args...)
	}
}
