package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"kestrel/app/backend"
)

func (a *app) logitsCommand() *cobra.Command {
	var mf modelFlags
	var list string
	var all, asJSON bool
	cmd := &cobra.Command{
		Use:   "logits --ids N,N,…",
		Short: "Print the logits after a sequence of tokens",
		Long: `Read token ids and print the model's logits, in 32-bit floats: after the last id,
or with --all after each. With --json {"logits": [[…]]} has a row for each
position printed; else the ten likeliest next tokens of each are shown.`,
		Example: `  kestrel logits --ids 1,2,3 --json
  kestrel logits --ids 9856,1722 --model ~/models/falcon-mamba-7b
  kestrel logits --ids 1,2,3 --all --json > rows.json`,
		Args: none,
		RunE: a.command(func(ctx context.Context, _ []string) error {
			ids, err := parseIDs(list)
			if err != nil {
				return usageError{fmt.Errorf("--ids: %w", err)}
			}
			if len(ids) == 0 {
				return usagef("--ids is missing: want token ids such as 1,2,3")
			}
			return mf.with(ctx, a, func(m backend.Model, s backend.Session) error {
				rows := &rowPrinter{app: a, m: m, json: asJSON}
				if all {
					err = s.FeedAll(ctx, ids, rows.print)
				} else if err = a.feed(ctx, s, ids); err == nil {
					var logits []float32
					if logits, err = s.Logits(ctx); err == nil {
						err = rows.print(len(ids)-1, logits)
					}
				}
				if err != nil {
					return err
				}
				return rows.end()
			})
		}),
	}
	mf.add(cmd)
	cmd.Flags().StringVar(&list, "ids", "", "token ids between commas")
	cmd.Flags().BoolVar(&all, "all", false, "print the logits after every id")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// rowPrinter prints rows of logits as they come, so that those of a long
// sequence never are in memory together.
type rowPrinter struct {
	*app
	m     backend.Model
	json  bool
	begun bool
}

func (p *rowPrinter) print(pos int, logits []float32) error {
	if !p.json {
		return p.likeliest(pos, logits)
	}
	row, err := json.Marshal(logits)
	if err != nil {
		return fmt.Errorf("logits of position %d: %w", pos, err)
	}
	lead := `{"logits":[`
	if p.begun {
		lead = ","
	}
	p.begun = true
	_, err = io.WriteString(p.Out, lead+string(row))
	return err
}

func (p *rowPrinter) end() error {
	if !p.json {
		return nil
	}
	_, err := io.WriteString(p.Out, "]}\n")
	return err
}

// likeliest prints the ten largest logits.
func (p *rowPrinter) likeliest(pos int, logits []float32) error {
	ids := make([]int, len(logits))
	for i := range ids {
		ids[i] = i
	}
	slices.SortStableFunc(ids, func(i, j int) int {
		switch {
		case logits[i] > logits[j]:
			return -1
		case logits[i] < logits[j]:
			return 1
		}
		return 0
	})
	w := p.table()
	fmt.Fprintf(w, "after position %d\nid\tlogit\ttoken\n", pos)
	for _, id := range ids[:min(10, len(ids))] {
		fmt.Fprintf(w, "%d\t%.4f\t%s\n", id, logits[id], strconv.Quote(p.m.Tokenizer().Decode([]int{id})))
	}
	return w.Flush()
}
