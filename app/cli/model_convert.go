package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kestrel/app/backend"
	"kestrel/engine/checkpoint"
	"kestrel/engine/checkpoint/convert"
	"kestrel/engine/weights"
)

type convertJSON struct {
	Path      string  `json:"path"`
	Bytes     int64   `json:"bytes"`
	Precision string  `json:"precision"`
	Seconds   float64 `json:"seconds"`
}

func (a *app) convertCommand() *cobra.Command {
	var quant string
	var requantize, force, asJSON bool
	cmd := &cobra.Command{
		Use:   "convert MODEL FILE.gguf",
		Short: "Write a model as GGUF, in another precision if asked for",
		Long: `Write a model as one GGUF file, which Kestrel and llama.cpp read. With --quant its
matrices are quantized: f32, f16, bf16, q8_0, q6_k, q5_k, q4_k, q4_0, or q5_0,
q5_1, q4_1, q3_k, q2_k, iq4_nl, iq4_xs. Norms, the convolution, A, D and biases
stay f32. A matrix whose rows are no whole blocks becomes q8_0 or f16, which is
said. Tokenizer and chat template go into the file.

A model that is quantized already is not quantized again: that would lose more
than quantizing the original. --allow-requantize does it all the same. To f32,
which loses nothing, and to f16 and bf16, which round, is always possible.

A few megabytes are in memory at a time. The file gets its name when all of it
is on the disk; stopping leaves nothing.`,
		Example: `  kestrel model convert tiiuae/falcon-mamba-7b-instruct falcon-q4_k.gguf --quant q4_k
  kestrel model convert ~/models/mamba-130m-hf mamba-130m.gguf
  kestrel model convert ~/models/mamba-130m-hf small.gguf --quant q8_0 --json`,
		Args: exactly(2, "MODEL and FILE.gguf"),
		RunE: a.command(func(ctx context.Context, args []string) error {
			name, path := args[0], args[1]
			if !strings.EqualFold(filepath.Ext(path), ".gguf") {
				return usagef("%q: want a name that ends in .gguf", path)
			}
			if _, err := os.Stat(path); err == nil && !force {
				return fmt.Errorf("convert: %s is there already; give another name, or --force to replace it", path)
			} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("convert: %w", err)
			}
			ck, err := backend.OpenCheckpoint(name)
			if err != nil {
				return err
			}
			defer ck.Close()
			as := ck
			if quant != "" {
				d, err := checkpoint.ParsePrecision(quant)
				if err != nil {
					return usagef("--quant: %w", err)
				}
				as, err = ck.As(d, requantize)
				if errors.Is(err, weights.ErrUnsupported) {
					return fmt.Errorf("%w, or give --allow-requantize", err)
				}
				if err != nil {
					return err
				}
			}
			for _, w := range as.Warnings {
				a.note("%s", w)
			}
			start := time.Now()
			bar := a.progress("converting", "B")
			err = convert.File(ctx, as, path, convert.Options{Progress: bar.set, Warn: func(text string) { a.note("warning: %s", text) }})
			bar.done()
			if err != nil {
				return err
			}
			info, err := os.Stat(path)
			if err != nil {
				return fmt.Errorf("convert: %w", err)
			}
			written, err := checkpoint.Open(path)
			if err != nil {
				return fmt.Errorf("convert: read back: %w", err)
			}
			defer written.Close()
			done := convertJSON{path, info.Size(), backend.DescribeCheckpoint(written).Precision, time.Since(start).Seconds()}
			if asJSON {
				return a.printJSON(done)
			}
			fmt.Fprintf(a.Out, "%s: %s, %s\n", done.Path, bytesText(done.Bytes), done.Precision)
			return nil
		}),
	}
	cmd.Flags().StringVar(&quant, "quant", "", "precision of the matrices (default as the model has them)")
	cmd.Flags().BoolVar(&requantize, "allow-requantize", false, "quantize again what is quantized already, at a loss")
	cmd.Flags().BoolVar(&force, "force", false, "replace a file that is there")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
