package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kestrel/app/backend"
	"kestrel/app/dialog"
	"kestrel/engine"
	"kestrel/engine/sample/repeat"
)

type generateJSON struct {
	Model        string  `json:"model"`
	PromptTokens int     `json:"prompt_tokens"`
	Text         string  `json:"text"`
	Tokens       int     `json:"tokens"`
	Reason       string  `json:"reason"`
	Seed         uint64  `json:"seed"`
	PromptMS     float64 `json:"prompt_ms"`
	FirstTokenMS float64 `json:"first_token_ms"`
	TPS          float64 `json:"tps"`
}

func (a *app) generateCommand() *cobra.Command {
	var mf modelFlags
	var sf samplingFlags
	var stops []string
	var limit int
	var asJSON, ignoreEOS bool
	cmd := &cobra.Command{
		Use:   "generate PROMPT",
		Short: "Continue a text",
		Long: `Continue a text: read PROMPT as it is, without the chat format, and write what
the model says comes next, piece by piece, until the model ends its text, -n
tokens or a --stop string. The prompt itself is not printed.

"-" as PROMPT, or none where standard input is no terminal, reads it from
standard input, byte for byte. Special tokens that it spells, such as
<|im_start|>, count as such.

Without sampling options the likeliest token is taken each time, so that the
same prompt gives the same text. Ctrl-C keeps what was written and exits with 130.`,
		Example: `  kestrel generate "Once upon a time" -n 100
  kestrel generate "Once upon a time" --temperature 0.8 --top-p 0.9 --seed 7
  kestrel generate - -n 200 --stop "###" < prompt.txt
  kestrel generate "Hello" --json | jq -r .text
  kestrel generate "Hello" -n 64 --profile --model falcon-mamba-7b.gguf`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("want one PROMPT, got %d arguments; put a prompt of several words in quotes", len(args))
			}
			if len(args) == 0 && a.InTerminal {
				return usagef(`no PROMPT was given; put it in quotes, or pipe it in`)
			}
			return nil
		},
		RunE: a.command(func(ctx context.Context, args []string) error {
			if limit < 0 {
				return usagef("-n %d: want 1 or more, or 0 for no limit", limit)
			}
			sampler, err := sf.sampler()
			if err != nil {
				return err
			}
			prompt := ""
			if len(args) == 0 || args[0] == "-" {
				data, err := a.readAll(ctx)
				if err != nil {
					return err
				}
				prompt = string(data)
			} else {
				prompt = args[0]
			}
			if prompt == "" {
				return errors.New("the prompt is empty; give a text to continue")
			}
			return mf.with(ctx, a, func(m backend.Model, s backend.Session) error {
				ids := append(m.Tokenizer().Prefix(), m.Tokenizer().Encode(prompt, true)...)
				start := time.Now()
				if err := a.feed(ctx, s, ids); err != nil {
					return err
				}
				for _, id := range ids {
					sampler.Accept(id)
				}
				read := time.Since(start)
				emit := a.emit
				if asJSON {
					emit = nil
				}
				o := engine.GenerateOptions{Max: limit, StopStrings: stops, IgnoreEOS: ignoreEOS}
				if sf.circles {
					o.Enough = dialog.InCircle(m, repeat.Answers)
				}
				r, err := s.Generate(ctx, sampler, o, emit)
				if r.Reason == engine.ReasonEnough {
					r.Reason = "circle"
					a.note("the text ended because it began to repeat itself")
				}
				if err != nil && r.Reason != engine.ReasonCancelled {
					a.endLine(r.Text, asJSON)
					return err
				}
				if asJSON {
					if fault := a.printJSON(generateJSON{
						Model: m.Name(), PromptTokens: len(ids), Text: r.Text, Tokens: r.Tokens, Reason: r.Reason, Seed: sampler.Params().Seed,
						PromptMS: ms(read), FirstTokenMS: ms(r.FirstToken), TPS: perSecond(r.Tokens, r.Duration),
					}); fault != nil {
						return fault
					}
				} else {
					a.endLine(r.Text, false)
				}
				a.detail("read %d tokens in %.2f s (%.1f/s), wrote %d in %.2f s (%.1f/s), ended by %s, seed %d", len(ids), read.Seconds(),
					perSecond(len(ids), read), r.Tokens, r.Duration.Seconds(), perSecond(r.Tokens, r.Duration), r.Reason, sampler.Params().Seed)
				return err
			})
		}),
	}
	mf.add(cmd)
	sf.add(cmd, 0, 0, 0)
	sf.addCircles(cmd, false, "end the text when it says the same again and again")
	cmd.Flags().IntVarP(&limit, "max-tokens", "n", 256, "tokens to write at most; 0: until the model ends its text")
	cmd.Flags().StringArrayVar(&stops, "stop", nil, "end before this string comes up; may be given several times")
	cmd.Flags().BoolVar(&ignoreEOS, "ignore-eos", false, "go on where the model would end its text")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON when it is done")
	return cmd
}

// feed reads ids with progress.
func (a *app) feed(ctx context.Context, s backend.Session, ids []int) error {
	bar := a.progress("reading", "tok")
	defer bar.done()
	return s.Feed(ctx, ids, func(done, total int) { bar.set(int64(done), int64(total)) })
}

// emit writes a piece of text at once.
func (a *app) emit(text string) error {
	_, err := io.WriteString(a.Out, text)
	return err
}

// endLine ends the line that a text left open.
func (a *app) endLine(text string, quiet bool) {
	if !quiet && !strings.HasSuffix(text, "\n") {
		fmt.Fprintln(a.Out)
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

func perSecond(n int, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}
