// Kestrel runs Falcon-Mamba language models on the graphics card.
package main

import (
	"errors"
	"os"

	"kestrel/app/cli"
	"kestrel/app/document"
	"kestrel/app/session"
	"kestrel/app/ui"
)

func main() {
	document.RunExtractor()
	sys := cli.System()
	sys.Window = func(r cli.WindowRequest) error { return openWindow(r, sys) }
	os.Exit(cli.Run(sys, os.Args[1:]))
}

// openWindow must be called from the main goroutine, as cli.Run does.
func openWindow(r cli.WindowRequest, sys cli.IO) error {
	err := ui.Run(ui.Options{
		Files: r.Files, Model: session.LoadRequest{Model: r.Model, Device: r.Device, Quant: r.Quant},
		Getenv: sys.Getenv, Signals: sys.Signals, Terminal: sys.ErrTerminal,
	})
	if errors.Is(err, ui.ErrNoDisplay) {
		return noDisplay{err}
	}
	return err
}

// noDisplay is the window's error as the command line knows it.
type noDisplay struct{ error }

func (e noDisplay) Is(target error) bool { return target == cli.ErrNoDisplay }
func (e noDisplay) Unwrap() error        { return e.error }
