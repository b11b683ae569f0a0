package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"kestrel/engine"
)

type estimateJSON struct {
	Weights int64  `json:"weights"`
	State   int64  `json:"state"`
	Scratch int64  `json:"scratch"`
	Staging int64  `json:"staging"`
	Total   int64  `json:"total"`
	Budget  int64  `json:"budget"`
	Fits    bool   `json:"fits"`
	Device  string `json:"device"`
	Advice  string `json:"advice,omitempty"`
}

func (a *app) estimateCommand() *cobra.Command {
	var mf modelFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "estimate [MODEL]",
		Short: "Tell how much device memory a model takes, without loading it",
		Long: `Tell how much device memory a model takes before it is loaded, to the byte: its
weights in the precision asked for, the state of one text, scratch memory for
reading, and staging while weights are loaded. The length of a text does not
enter. None of the weights is read.

  weights, state, scratch, staging   bytes allocated
  total                              their sum
  budget                             what the device has free now
  fits                               whether what lies in the device's memory is
                                     within the budget; on cards with memory of
                                     their own, staging lies in the host's`,
		Example: `  kestrel model estimate
  kestrel model estimate falcon-mamba-7b-instruct --quant q4_k
  kestrel model estimate ~/models/falcon-mamba-7b --quant q8_0 --device 0 --json
  kestrel model estimate random:falcon-mamba-7b:f16          # before any download`,
		Args: mf.argument("MODEL"),
		RunE: a.command(func(_ context.Context, args []string) error {
			mf.take(args)
			o, err := mf.options(a)
			if err != nil {
				return err
			}
			m, err := a.Engine.Estimate(mf.name(a), o)
			if err != nil {
				return err
			}
			if asJSON {
				return a.printJSON(estimateJSON{m.Weights, m.State, m.Scratch, m.Staging, m.Total, m.Budget, m.Fits, m.DeviceName, m.Advice})
			}
			return a.printEstimate(m)
		}),
	}
	mf.nameFlag(cmd)
	mf.addQuant(cmd)
	mf.addPlace(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) printEstimate(m engine.Memory) error {
	w := a.table()
	for _, row := range []struct {
		what  string
		bytes int64
	}{{"weights", m.Weights}, {"state", m.State}, {"scratch", m.Scratch}, {"staging", m.Staging}, {"total", m.Total}, {"budget", m.Budget}} {
		fmt.Fprintf(w, "%s\t%s\t%s\n", row.what, bytesText(row.bytes), grouped(row.bytes))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if m.Fits {
		fmt.Fprintf(a.Out, "it fits on %s\n", m.DeviceName)
	} else {
		fmt.Fprintf(a.Out, "it does not fit on %s: %s\n", m.DeviceName, m.Advice)
	}
	return nil
}
