package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"kestrel/engine/checkpoint"
)

// WindowRequest is what the window is to begin with.
type WindowRequest struct {
	Files                []string // documents to open
	Model, Device, Quant string   // "" for what the user chose last
}

// ErrNoDisplay is what IO.Window gives where no window can be opened.
var ErrNoDisplay = errors.New("no window can be opened")

// inTerminal is where to go without a window.
const inTerminal = "'kestrel chat' holds a conversation in the terminal, 'kestrel summarize FILE' reads a document"

func (a *app) windowCommand() *cobra.Command {
	var mf modelFlags
	cmd := &cobra.Command{
		Use:   "window [FILE...]",
		Short: "Open the window, and documents in it",
		Long: `Open the window: conversations, documents that are read in it, and a monitor of
the device's memory. Without a command Kestrel opens it as well. Files are opened
as documents. Where there is no display, or no OpenGL on it, the exit code is 1;
` + inTerminal + `.
Without a terminal the reason is in kestrel.log as well, in the folder of Kestrel's data.

Model, precision and device are those that were chosen last in the window, unless
they are named here.`,
		Example: `  kestrel window
  kestrel window book.epub notes.pdf
  kestrel window --model falcon-mamba-7b-instruct --device 0`,
		Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			if mf.quant != "" {
				if _, err := checkpoint.ParsePrecision(mf.quant); err != nil {
					return usagef("--quant: %w", err)
				}
			}
			err := a.openWindow(WindowRequest{Files: args, Model: mf.model, Device: mf.device, Quant: mf.quant})
			if errors.Is(err, ErrNoDisplay) {
				return fmt.Errorf("%w; %s", err, inTerminal)
			}
			return err
		},
	}
	mf.nameFlag(cmd)
	mf.addQuant(cmd)
	cmd.Flags().StringVarP(&mf.device, "device", "d", "", "index or part of the name of a device, as 'kestrel devices' lists them (default the one chosen last)")
	return cmd
}

// openWindow opens the window of this build, in the model that the environment
// names where the request names none.
func (a *app) openWindow(r WindowRequest) error {
	if a.Window == nil {
		return ErrNoDisplay
	}
	if r.Model == "" {
		r.Model = a.Getenv("KESTREL_MODEL")
	}
	return a.Window(r)
}
