package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"kestrel/app/backend"
	"kestrel/engine"
)

// batchJSON is a line of the output.
type batchJSON struct {
	Prompt string `json:"prompt"`
	Text   string `json:"text"`
	Tokens int    `json:"tokens"`
	Reason string `json:"reason"` // "" where there is an error
	Error  string `json:"error,omitempty"`
}

func (a *app) batchCommand() *cobra.Command {
	var mf modelFlags
	var sf samplingFlags
	var stops []string
	var limit, atOnce int
	var ignoreEOS bool
	cmd := &cobra.Command{
		Use:   "batch FILE",
		Short: "Continue many texts side by side",
		Long: `Continue many texts: read prompts from FILE, one a line ("-": from standard
input), and print a line of JSON for each, in their order. --at-once of them are
written side by side: a token of all of them costs one reading of the weights, so
that together they come several times faster than one after another.

Prompts are taken as they are, without the chat format; empty lines are passed
over. A prompt that fails has its error in its line, and the exit status is 1.`,
		Example: `  kestrel batch prompts.txt -n 100 > answers.jsonl
  kestrel batch - --at-once 16 --temperature 0.8 < prompts.txt | jq -r .text`,
		Args: cobra.ExactArgs(1),
		RunE: a.command(func(ctx context.Context, args []string) error {
			if limit < 1 {
				return usagef("-n %d: want 1 or more", limit)
			}
			if atOnce < 1 {
				return usagef("--at-once %d: want 1 or more", atOnce)
			}
			if _, err := sf.sampler(); err != nil {
				return err
			}
			prompts, err := a.prompts(ctx, args[0])
			if err != nil {
				return err
			}
			o := engine.GenerateOptions{Max: limit, StopStrings: stops, IgnoreEOS: ignoreEOS}
			return mf.with(ctx, a, func(m backend.Model, s backend.Session) error {
				bar := a.progress("writing", "texts")
				defer bar.done()
				failed := 0
				for done := 0; done < len(prompts); {
					n := min(atOnce, len(prompts)-done)
					bad, err := a.batch(ctx, m, prompts[done:done+n], sf, o)
					if err != nil {
						return err
					}
					failed += bad
					done += n
					bar.set(int64(done), int64(len(prompts)))
				}
				if failed > 0 {
					return fmt.Errorf("%d of %d prompts failed; their lines say why", failed, len(prompts))
				}
				return nil
			})
		}),
	}
	mf.add(cmd)
	sf.add(cmd, 0, 0, 0)
	cmd.Flags().IntVarP(&limit, "max-tokens", "n", 256, "tokens to write at most for each prompt")
	cmd.Flags().IntVar(&atOnce, "at-once", 8, "texts to write side by side; each takes device memory for a state")
	cmd.Flags().StringArrayVar(&stops, "stop", nil, "end before this string comes up; may be given several times")
	cmd.Flags().BoolVar(&ignoreEOS, "ignore-eos", false, "go on where the model would end its text")
	return cmd
}

// prompts are the lines of a file that are not empty.
func (a *app) prompts(ctx context.Context, file string) ([]string, error) {
	var data []byte
	var err error
	if file == "-" {
		data, err = a.readAll(ctx)
	} else {
		data, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, err
	}
	if !utf8.Valid(data) {
		return nil, fmt.Errorf("%s is no UTF-8 text; convert it, for example by 'iconv -t utf-8'", file)
	}
	var list []string
	for line := range bytes.Lines(data) {
		if line = bytes.TrimRight(line, "\r\n"); len(line) > 0 {
			list = append(list, string(line))
		}
	}
	if len(list) == 0 {
		return nil, errors.New("no prompts: give one a line")
	}
	return list, nil
}

// batch writes for some prompts side by side and prints their lines; it counts those that failed. What was written when
// ctx ends is printed, too.
func (a *app) batch(ctx context.Context, m backend.Model, prompts []string, sf samplingFlags, o engine.GenerateOptions) (failed int, err error) {
	var turns []backend.Turn
	defer func() {
		for _, t := range turns {
			if closed := t.Session.Close(); err == nil {
				err = closed
			}
		}
	}()
	for _, prompt := range prompts {
		sampler, err := sf.sampler()
		if err != nil {
			return 0, err
		}
		s, err := m.NewSession()
		if err != nil {
			return 0, fmt.Errorf("%w; choose fewer texts --at-once", err)
		}
		turns = append(turns, backend.Turn{Session: s, Sampler: sampler, Options: o})
		ids := append(m.Tokenizer().Prefix(), m.Tokenizer().Encode(prompt, true)...)
		if err := s.Feed(ctx, ids, nil); err != nil {
			return 0, fmt.Errorf("prompt %q: %w", prompt, err)
		}
		for _, id := range ids {
			sampler.Accept(id)
		}
	}
	out, err := m.GenerateTogether(ctx, turns)
	if err != nil {
		return 0, err
	}
	e := json.NewEncoder(a.Out)
	e.SetEscapeHTML(false)
	for i, r := range out {
		line := batchJSON{Prompt: prompts[i], Text: r.Text, Tokens: r.Tokens, Reason: r.Reason}
		if r.Err != nil && r.Reason != engine.ReasonCancelled {
			line.Error = r.Err.Error()
			failed++
		}
		if err := e.Encode(line); err != nil {
			return failed, err
		}
	}
	return failed, ctx.Err()
}
