package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"kestrel/app/backend"
	"kestrel/app/dialog"
	"kestrel/app/document"
	"kestrel/engine"
	"kestrel/engine/chat"
	"kestrel/engine/sample"
	"kestrel/engine/sample/repeat"
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
detail far back fades; a note says so where it applies.

A summary that says the same again and again is written anew, with a temperature;
where that goes in circles too, what is repeated is left out, and a note says so.`,
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
			doc, err := a.openDocument(ctx, args[0], document.Options{})
			if err != nil {
				return err
			}
			defer doc.Close()
			return mf.with(ctx, a, func(m backend.Model, s backend.Session) error {
				start := time.Now()
				reader := dialog.NewReader(m, s, dialog.NewFormat(m.Template(), m.Tokenizer()), 0)
				tokens, err := a.feedDocument(ctx, reader, doc, words)
				if err != nil {
					return err
				}
				if trained := m.Config().MaxTrained; trained > 0 && tokens > trained {
					a.note("the text has %d tokens; %s was trained on texts of up to %d: all of it is read, but detail far from the end fades", tokens, m.Name(), trained)
				}
				read := time.Since(start)
				r, err := a.sumUp(ctx, reader, sampler, limit, sf.circles)
				if r.Circled {
					a.note("the summary ended because it began to repeat itself, drawn anew too; the repetition is left out")
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
	sf.addCircles(cmd, true, "write a summary that says the same again and again anew; else it is printed while it is written")
	sf.add(cmd, 0, 0, 1.1) // a summary that takes the likeliest token each time tends to go in circles
	cmd.Flags().IntVar(&words, "words", 150, "words of the summary at most; the model is asked, not forced, to keep to it")
	cmd.Flags().IntVarP(&limit, "max-tokens", "n", 0, "tokens to write at most (default enough for --words)")
	return cmd
}

// sumUp writes the summary and prints it: when it is whole where one that goes in
// circles ends, as another may take its place.
func (a *app) sumUp(ctx context.Context, r *dialog.Reader, s *sample.Sampler, limit int, circles bool) (dialog.Straightened, error) {
	if !circles {
		out, err := r.AnswerStraight(ctx, s, engine.GenerateOptions{Max: limit}, dialog.Straight{}, a.emit)
		if out.Tokens > 0 || err == nil {
			a.endLine(out.Text, false)
		}
		return out, err
	}
	p := s.Params()
	p.Seed++
	if s.Greedy() {
		p.Temperature, p.TopP = 0.7, 0.9
	}
	again, err := sample.New(p)
	if err != nil {
		return dialog.Straightened{}, err
	}
	bar := a.progress("writing", "tok")
	defer bar.done()
	wrote := 0
	straight := dialog.Straight{On: true, Bounds: repeat.Prose, Whole: true, Again: again, Anew: func() { wrote = 0 }}
	out, err := r.AnswerStraight(ctx, s, engine.GenerateOptions{Max: limit}, straight, func(string) error {
		wrote++
		bar.set(int64(wrote), int64(limit))
		return nil
	})
	bar.done()
	if out.Tokens > 0 || err == nil {
		if failed := a.emit(out.Text); err == nil {
			err = failed
		}
		a.endLine(out.Text, false)
	}
	return out, err
}

// feedDocument feeds the request with the document in its place, piece by piece,
// and returns the number of tokens.
func (a *app) feedDocument(ctx context.Context, r *dialog.Reader, doc *document.Document, words int) (int, error) {
	source := &dialog.Source{Key: "file", Open: func(context.Context) (*document.Document, error) { return doc, nil }}
	request := dialog.Message{Role: chat.User, Content: dialog.SummaryRequest(dialog.Place, words), Source: source}
	prompt, err := r.Format.Compose([]dialog.Message{request}, true)
	if err != nil {
		return 0, err
	}
	bar := a.progress("reading", "tok")
	defer bar.done()
	fed, pages, err := r.Read(ctx, prompt, nil, func(done, total int) { bar.set(int64(done), int64(total)) })
	bar.done()
	if err == nil && pages.Blank > 0 {
		a.note("%d of %d pages hold no text, only pictures or nothing; they were not read", pages.Blank, doc.Pages)
	}
	if err == nil && pages.Broken > 0 {
		a.note("%d of %d pages are damaged and were not read", pages.Broken, doc.Pages)
	}
	return fed, err
}
