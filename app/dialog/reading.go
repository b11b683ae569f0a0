package dialog

import (
	"context"
	"errors"
	"slices"
	"strings"

	"kestrel/app/document"
	"kestrel/engine"
	"kestrel/engine/sample"
)

// Reading is the reading of a prompt, step by step.
type Reading struct {
	r       *Reader
	p       Prompt
	fed     int
	doc     *docFeed
	next    int // of p.docs
	done    bool
	pages   Pages
	known   int // tokens of the text that is fed now
	knownTo int // where it ends in p.text
	Skipped int // tokens that were not read again
}

// Pages are those of documents that were not read.
type Pages struct{ Blank, Broken int }

// Start begins to read p from the longest beginning of it that is known: to the
// session, to a mark, or as saved. Errors: ErrPart.
func (r *Reader) Start(ctx context.Context, p Prompt, saved []Saved) (*Reading, error) {
	if err := r.start(ctx, p, saved); err != nil {
		return nil, err
	}
	g := &Reading{r: r, p: p, Skipped: r.session.Tokens()}
	base, place, within := strings.Cut(r.text, docAt)
	for g.next < len(p.docs) && p.docs[g.next].to <= len(base) {
		g.next++
	}
	if slices.ContainsFunc(p.docs[g.next:], func(d insert) bool { return d.source.part }) {
		return nil, ErrPart
	}
	if !within {
		return g, nil
	}
	at, err := parsePlace(place)
	if err != nil {
		return nil, err
	}
	err = g.open(ctx, at)
	return g, err
}

// Close ends a reading before its end, and frees what it holds of a document.
// The Reader stays where it is.
func (g *Reading) Close() {
	if g.doc != nil {
		g.doc.close()
		g.pages.Blank += g.doc.blank
		g.pages.Broken += g.doc.broken
		g.doc = nil
	}
}

// Pages counts pages without text, and such as could not be read, of the
// documents that were read to their end.
func (g *Reading) Pages() Pages { return g.pages }

// Share is how much of the present document was read, 0 to 1; about.
func (g *Reading) Share() float64 {
	if g.doc == nil {
		return 1
	}
	known := g.doc.at.tokens + len(g.doc.pending)
	return g.doc.share * float64(g.doc.at.tokens) / float64(max(known, 1))
}

// Fed is how many tokens were read by Step.
func (g *Reading) Fed() int { return g.fed }

// Document is the document that is being read, or nil.
func (g *Reading) Document() *document.Document {
	if g.doc == nil {
		return nil
	}
	return g.doc.doc
}

// Source is that of the document that is being read, or nil.
func (g *Reading) Source() *Source {
	if g.doc == nil {
		return nil
	}
	return g.p.docs[g.next].source
}

// InDocument is how many tokens of the present document were read.
func (g *Reading) InDocument() int {
	if g.doc == nil {
		return 0
	}
	return g.doc.at.tokens
}

// Rest is the text after the document that is being read, as ids: fed to a
// session that stands where the Reader does, it asks about what was read so far.
func (g *Reading) Rest() []int {
	return g.p.encode(g.r.model.Tokenizer(), g.p.docs[g.next].to, len(g.p.text))
}

// Step reads at most so many tokens and says whether more is to be read. When
// ctx ends, or the device fails, what was read of whole chunks stays read: the
// Reader stands there, and Step can be called again. progress is told the tokens
// that Step has read.
func (g *Reading) Step(ctx context.Context, most int, progress func(done int)) (more bool, err error) {
	r := g.r
	if g.done {
		return false, nil
	}
	if r.lost {
		return true, ErrLost
	}
	if g.doc == nil {
		from, to := len(r.text), len(g.p.text)
		if g.next < len(g.p.docs) {
			to = g.p.docs[g.next].from
		}
		if err := g.feedText(ctx, from, to, progress); err != nil {
			return true, err
		}
		if g.next == len(g.p.docs) {
			g.done = true
			return false, nil
		}
		return true, g.open(ctx, place{})
	}
	ids, last, err := g.doc.take(ctx, most, r.model.Chunk())
	if err != nil {
		return true, err
	}
	err = g.feed(ctx, ids, progress, func(n int) {
		g.doc.advance(n)
		r.text = r.text[:strings.LastIndex(r.text, docAt)] + docAt + g.doc.at.String()
	})
	if err != nil || !last {
		return true, err
	}
	g.Close()
	r.text = r.text[:strings.LastIndex(r.text, docAt)] + docEnd
	g.next++
	return true, nil
}

func (g *Reading) open(ctx context.Context, at place) (err error) {
	insert := g.p.docs[g.next]
	doc, err := insert.source.Open(ctx)
	if err != nil {
		return err
	}
	g.doc = newDocFeed(ctx, doc, g.r.model.Tokenizer(), at)
	g.r.text = g.p.text[:insert.to-len(docEnd)] + docAt + at.String()
	return nil
}

// feedText feeds text that holds no document.
func (g *Reading) feedText(ctx context.Context, from, to int, progress func(int)) error {
	r := g.r
	tok := r.model.Tokenizer()
	ids := g.p.encode(tok, from, to)
	if r.session.Tokens() == 0 {
		// a template that spells the begin-of-text token needs none before it
		if prefix := tok.Prefix(); len(prefix) > 0 && !strings.HasPrefix(g.p.text, tok.Decode(prefix)) {
			ids = append(prefix, ids...)
		}
	}
	if len(ids) > 0 {
		g.known, g.knownTo = len(ids), to
		before := r.session.Tokens()
		if err := g.feed(ctx, ids, progress, nil); err != nil {
			if r.session.Tokens() != before {
				r.lost = true // amid text there are no places
			}
			return err
		}
	}
	r.text = g.p.text[:to]
	return nil
}

// feed feeds ids and tells advance how many of them were read, also on errors.
func (g *Reading) feed(ctx context.Context, ids []int, progress func(int), advance func(n int)) error {
	r := g.r
	if len(ids) == 0 {
		return nil
	}
	before := r.session.Tokens()
	err := r.session.Feed(ctx, ids, func(done, _ int) {
		if progress != nil {
			progress(done)
		}
	})
	n := r.session.Tokens() - before
	g.fed += n
	if advance != nil {
		advance(n)
	}
	if err != nil && fatal(err) {
		r.lost = true
	}
	return err
}

// Read reads all of p; see Start and Step. It returns how many tokens that were.
// progress is told the tokens read and about how many there are.
func (r *Reader) Read(ctx context.Context, p Prompt, saved []Saved, progress func(done, total int)) (fed int, pages Pages, err error) {
	g, err := r.Start(ctx, p, saved)
	if err != nil {
		return 0, Pages{}, err
	}
	defer g.Close()
	for more := true; more; {
		before := g.fed
		more, err = g.Step(ctx, stepTokens, func(done int) {
			if progress != nil {
				progress(before+done, g.estimate(before+done))
			}
		})
		if err != nil {
			return g.fed, g.pages, err
		}
	}
	return g.fed, g.pages, nil
}

// stepTokens is about how many tokens of a document wait for the device.
const stepTokens = 1 << 14

// estimate is about how many tokens will have been fed in the end, where done
// are.
func (g *Reading) estimate(done int) int {
	if g.doc == nil {
		return max(done, g.fed+g.known+(len(g.p.text)-g.knownTo)/4)
	}
	before := g.fed - g.doc.at.tokens
	if share := g.Share(); share > 0 {
		return max(done, before+int(float64(g.doc.at.tokens)/share))
	}
	return max(done, g.fed+len(g.doc.pending))
}

// Remind tells a sampler the ids at the end of the prompt, which its repeat
// penalty looks back on.
func (p Prompt) Remind(f *Format, s *sample.Sampler) {
	params := s.Params()
	if params.RepeatPenalty == 0 || params.RepeatPenalty == 1 {
		return
	}
	n := params.RepeatWindow
	if n == 0 {
		n = sample.DefaultWindow
	}
	for _, id := range p.last(f, n) {
		s.Accept(id)
	}
}

func (p Prompt) last(f *Format, n int) []int {
	from := max(0, len(p.text)-8*n)
	if len(p.docs) > 0 {
		from = max(from, p.docs[len(p.docs)-1].to)
	}
	for from > 0 && from < len(p.text) && !runeStart(p.text[from]) {
		from++
	}
	ids := p.encode(f.tok, from, len(p.text))
	return ids[max(0, len(ids)-n):]
}

func runeStart(b byte) bool { return b&0xc0 != 0x80 }

// ErrLost is a Step after one that a device failed in.
var ErrLost = errors.New("the model's state was lost: read the text again")

// fatal errors leave a session that is of no use.
func fatal(err error) bool {
	return errors.Is(err, engine.ErrDeviceLost) || errors.Is(err, engine.ErrClosed) || errors.Is(err, engine.ErrOutOfDeviceMemory)
}
