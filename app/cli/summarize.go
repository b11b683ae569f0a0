package cli

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"kestrel/app/document"
	"kestrel/engine"
	"kestrel/engine/chat"
)

func (a *app) summarizeCommand() *cobra.Command {
	var mf modelFlags
	var sf samplingFlags
	var words, limit int
	cmd := &cobra.Command{
		Use:   "summarize FILE",
		Short: "Read a whole document and sum it up",
		Long: `Read a whole document, whatever its length, and print a summary. It is text,
Markdown, source code, HTML, PDF, Word (.docx) or EPUB; text may be UTF-8, UTF-16
or GB18030. It is read piece by piece, in memory of constant size, with progress
on standard error, and none of its text is left out; pictures are not looked at.
A PDF of scanned pages needs text recognition first. "-" reads text from standard
input.

A model remembers the gist of texts longer than those it was trained on, but
detail far back fades; a note says so where it applies.`,
		Example: `  kestrel summarize report.md
  kestrel summarize book.epub --words 300 --model ~/models/falcon-mamba-7b-instruct
  kestrel summarize paper.pdf --words 100 > summary.txt
  git log -p | kestrel summarize -`,
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
			doc, err := a.openDocument(ctx, args[0])
			if err != nil {
				return err
			}
			defer doc.Close()
			return mf.with(ctx, a, func(m Model, s Session) error {
				start := time.Now()
				tokens, err := a.feedDocument(ctx, m, s, doc, words)
				if err != nil {
					return err
				}
				if trained := m.Config().MaxTrained; trained > 0 && tokens > trained {
					a.note("the text has %d tokens; %s was trained on texts of up to %d: all of it is read, but detail far from the end fades", tokens, m.Name(), trained)
				}
				read := time.Since(start)
				r, err := s.Generate(ctx, sampler, engine.GenerateOptions{Max: limit}, a.emit)
				if r.Tokens > 0 || err == nil {
					a.endLine(r.Text, false)
				}
				if r.Reason == engine.ReasonLength {
					a.note("the summary was cut off at %d tokens; -n allows more", limit)
				}
				a.detail("read %d tokens in %.2f s (%.1f/s), wrote %d in %.2f s (%.1f/s)", tokens, read.Seconds(), perSecond(tokens, read),
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

// feedTokens is about how many tokens of a document wait for the device.
const feedTokens = 1 << 14

// feedDocument feeds the request with the document in its place, piece by piece,
// and returns the number of tokens.
func (a *app) feedDocument(ctx context.Context, m Model, s Session, doc *document.Document, words int) (int, error) {
	const place = "\x01document\x01"
	full, err := m.Template().Render([]chat.Message{{Role: chat.User, Content: summaryRequest(place, words)}}, true)
	if err != nil {
		return 0, err
	}
	at := strings.LastIndex(full, place)
	if at < 0 {
		return 0, fmt.Errorf("the chat template of %s leaves out what the user says", m.Name())
	}
	tok := m.Tokenizer()
	ids := tok.Encode(full[:at], true)
	if prefix := tok.Prefix(); !strings.HasPrefix(full, tok.Decode(prefix)) {
		ids = append(prefix, ids...)
	}
	bar := a.progress("reading", "tok")
	defer bar.done()
	fed, share := 0, 0.0 // tokens; of the document
	feed := func(n int) error {
		err := s.Feed(ctx, ids[:n], func(done, _ int) {
			bar.set(int64(fed+done), max(int64(fed+n), int64(float64(fed+len(ids))/max(share, 1e-9))))
		})
		fed += n
		ids = append(ids[:0], ids[n:]...)
		return err
	}
	space := "" // ends a part, and goes before the next: none is wanted at the end
	blank, unread := 0, 0
	for part, err := range doc.Sections(ctx) {
		if err != nil {
			return fed, err
		}
		switch {
		case part.Problem != "":
			unread++
		case part.Text == "" && part.Page > 0 && doc.Format == document.PDF:
			blank++
		}
		text := strings.TrimRightFunc(part.Text, unicode.IsSpace)
		if text == "" {
			continue
		}
		between := part.Text[len(text):]
		if share == 0 {
			text = strings.TrimLeftFunc(text, unicode.IsSpace)
		}
		ids = append(ids, tok.Encode(space+text, false)...)
		space = between
		share = float64(part.Done) / float64(part.Total)
		if n := len(ids) - len(ids)%m.Chunk(); len(ids) >= feedTokens {
			if err := feed(n); err != nil {
				return fed, err
			}
		}
	}
	ids = append(ids, tok.Encode(full[at+len(place):], true)...)
	share = 1
	err = feed(len(ids))
	bar.done()
	if blank > 0 {
		a.note("%d of %d pages hold no text, only pictures or nothing; they were not read", blank, doc.Pages)
	}
	if unread > 0 {
		a.note("%d of %d pages are damaged and were not read", unread, doc.Pages)
	}
	return fed, err
}

// summaryRequest asks before the text, so that the model knows what to look
// for, and again after it, since what it read last it remembers best.
func summaryRequest(text string, words int) string {
	return fmt.Sprintf("Summarize:\n%s\n\nSummarize this text in at most %d words.", strings.TrimSpace(text), words)
}
