package cli

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/spf13/cobra"

	"kestrel/app/backend"
)

type perplexityJSON struct {
	Tokens int     `json:"tokens"`
	NLL    float64 `json:"nll"`
	PPL    float64 `json:"ppl"`
}

func (a *app) perplexityCommand() *cobra.Command {
	var mf modelFlags
	var window int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "perplexity FILE",
		Short: "Measure how well a model predicts a text",
		Long: `Read a text and measure how well the model predicts each of its tokens from all
before it. "nll" is the sum of the negative logarithms of their probabilities, in
nats; "tokens" is how many were predicted; "ppl" is exp(nll / tokens).

The state is carried over the whole text. With --context N the model starts anew
every N tokens. The first token after a start is not predicted, so a text of T
tokens counts T-1, or one less for each window. The text is UTF-8, UTF-16 or
GB18030, its lines taken to end in \n; special tokens that it spells are ordinary
text, and nothing is put before it. "-" reads standard input.`,
		Example: `  kestrel perplexity book.txt
  kestrel perplexity wiki.txt --context 1024 --json --model ~/models/falcon-mamba-7b`,
		Args: exactly(1, `one FILE, or "-" for standard input`),
		RunE: a.command(func(ctx context.Context, args []string) error {
			if window < 0 || window == 1 {
				return usagef("--context %d: want 2 or more, or 0 for the whole text", window)
			}
			text, err := a.wholeText(ctx, args[0])
			if err != nil {
				return err
			}
			return mf.with(ctx, a, func(m backend.Model, s backend.Session) error {
				ids := m.Tokenizer().Encode(text, false)
				bar := a.progress("measuring", "tok")
				defer bar.done()
				r, err := perplexity(ctx, s, ids, window, func(done int) { bar.set(int64(done), int64(len(ids))) })
				if err != nil {
					return err
				}
				bar.done()
				if asJSON {
					return a.printJSON(r)
				}
				_, err = fmt.Fprintf(a.Out, "perplexity %.4f (%d tokens predicted, %.4f nats each)\n", r.PPL, r.Tokens, r.NLL/float64(r.Tokens))
				return err
			})
		}),
	}
	mf.add(cmd)
	cmd.Flags().IntVar(&window, "context", 0, "start anew every N tokens; 0: never")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// perplexity feeds ids in windows and sums up what the logits say of each next
// id. The text's first token has nothing before it.
func perplexity(ctx context.Context, s backend.Session, ids []int, window int, progress func(done int)) (perplexityJSON, error) {
	var r perplexityJSON
	if window == 0 {
		window = max(len(ids), 1)
	}
	for start := 0; start < len(ids); start += window {
		part := ids[start:min(start+window, len(ids))]
		if start > 0 {
			if err := s.Reset(); err != nil {
				return r, err
			}
		}
		if len(part) < 2 {
			continue
		}
		err := s.FeedAll(ctx, part[:len(part)-1], func(pos int, logits []float32) error {
			id := part[pos+1]
			if id >= len(logits) {
				return fmt.Errorf("token id %d is beyond the model's %d logits: the tokenizer is another model's", id, len(logits))
			}
			r.NLL += surprise(logits, id)
			r.Tokens++
			progress(start + pos + 2)
			return nil
		})
		if err != nil {
			return r, err
		}
	}
	if r.Tokens == 0 {
		return r, errors.New("the text is too short: nothing of fewer than two tokens can be predicted")
	}
	r.PPL = math.Exp(r.NLL / float64(r.Tokens))
	if math.IsInf(r.PPL, 0) || math.IsNaN(r.PPL) {
		return r, fmt.Errorf("the model gives the text no probability at all (nll %v): its weights or its arithmetic are damaged", r.NLL)
	}
	return r, nil
}

// surprise is -ln of the probability that logits give to id.
func surprise(logits []float32, id int) float64 {
	most := math.Inf(-1)
	for _, v := range logits {
		most = max(most, float64(v))
	}
	sum := 0.0
	for _, v := range logits {
		sum += math.Exp(float64(v) - most)
	}
	return math.Log(sum) + most - float64(logits[id])
}
