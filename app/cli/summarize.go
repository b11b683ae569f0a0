package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kestrel/engine"
	"kestrel/engine/chat"
)

func (a *app) summarizeCommand() *cobra.Command {
	var mf modelFlags
	var sf samplingFlags
	var words, limit int
	cmd := &cobra.Command{
		Use:   "summarize FILE",
		Short: "Read a whole text and sum it up",
		Long: `Read a whole text or Markdown file, whatever its length, and print a summary.
The file is read chunk by chunk, in memory of constant size, with progress on
standard error; nothing of it is left out. It is UTF-8, or UTF-16 with a byte
order mark. "-" reads standard input.

A model remembers the gist of texts longer than those it was trained on, but
detail far back fades; a note says so where it applies.`,
		Example: `  kestrel summarize report.md
  kestrel summarize book.txt --words 300 --model ~/models/falcon-mamba-7b-instruct
  pdftotext paper.pdf - | kestrel summarize - --words 100 > summary.txt`,
		Args: exactly(1, `one FILE, or "-" for standard input`),
		RunE: a.command(func(ctx context.Context, args []string) error {
			if words < 1 {
				return usagef("--words %d: want 1 or more", words)
			}
			if limit < 0 {
				return usagef("-n %d: want 1 or more", limit)
			}
			if limit == 0 {
				limit = 3*words + 32 // a word takes one to three tokens
			}
			sampler, err := sf.sampler()
			if err != nil {
				return err
			}
			text, err := a.readDocument(ctx, args[0])
			if err != nil {
				return err
			}
			return mf.with(ctx, a, func(m Model, s Session) error {
				request := summaryRequest(text, words)
				full, err := m.Template().Render([]chat.Message{{Role: chat.User, Content: request}}, true)
				if err != nil {
					return err
				}
				tok := m.Tokenizer()
				ids := encodeTurn(tok, full, request)
				if prefix := tok.Prefix(); !strings.HasPrefix(full, tok.Decode(prefix)) {
					ids = append(prefix, ids...)
				}
				if trained := m.Config().MaxTrained; trained > 0 && len(ids) > trained {
					a.note("the text has %d tokens; %s was trained on texts of up to %d: all of it is read, but detail far from the end fades", len(ids), m.Name(), trained)
				}
				start := time.Now()
				if err := a.feed(ctx, s, ids); err != nil {
					return err
				}
				read := time.Since(start)
				r, err := s.Generate(ctx, sampler, engine.GenerateOptions{Max: limit}, a.emit)
				if r.Tokens > 0 || err == nil {
					a.endLine(r.Text, false)
				}
				if r.Reason == engine.ReasonLength {
					a.note("the summary was cut off at %d tokens; -n allows more", limit)
				}
				a.detail("read %d tokens in %.2f s (%.1f/s), wrote %d in %.2f s (%.1f/s)", len(ids), read.Seconds(), perSecond(len(ids), read),
					r.Tokens, r.Duration.Seconds(), perSecond(r.Tokens, r.Duration))
				return err
			})
		}),
	}
	mf.add(cmd)
	sf.add(cmd, 0, 0, 1.1) // a summary that takes the likeliest token each time tends to go in circles
	cmd.Flags().IntVar(&words, "words", 150, "words of the summary at most; the model is asked, not forced, to keep to it")
	cmd.Flags().IntVarP(&limit, "max-tokens", "n", 0, "tokens to write at most (default enough for --words)")
	return cmd
}

// summaryRequest asks before the text, so that the model knows what to look
// for, and again after it, since what it read last it remembers best.
func summaryRequest(text string, words int) string {
	return fmt.Sprintf("Summarize:\n%s\n\nSummarize this text in at most %d words.", strings.TrimSpace(text), words)
}
