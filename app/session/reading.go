package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kestrel/app/dialog"
	"kestrel/app/document"
	"kestrel/app/store"
	"kestrel/engine/sample/repeat"
)

// reading is a document's reading as the worker does it; between two of its
// turns it keeps its place.
type reading struct {
	source  *dialog.Source
	prompt  []dialog.Message
	saved   []dialog.Saved
	section int
	words   int

	progress func(p readProgress)
	partial  func(p Partial)
	save     func(m dialog.Mark, section int, final bool)

	now      *dialog.Reading
	sections int           // of the document that were read to their end
	took     time.Duration // of reading in this turn and those before
	tokens   int           // read in that time
	next     time.Duration // of took at which the next partial summary is due
	pages    dialog.Pages
}

// readProgress is how far a reading is.
type readProgress struct {
	inside bool // the document itself, not what stands before it
	tokens int  // of the document
	share  float64
	rate   float64
}

// queueDocument has a document read when its turn comes.
func (a *Actor) queueDocument(d *docState) {
	c := d.conv
	a.setStage(d, Queued, nil)
	c.work++
	t := &task{kind: documentTask, conv: c, doc: d}
	t.begin = func(ctx context.Context) (func() func(), error) { return a.beginReading(ctx, t) }
	t.drop = func(reason error) { a.readEnded(d, reason) }
	a.enqueue(t)
}

// beginReading stores the document's turn and readies what the worker needs.
func (a *Actor) beginReading(ctx context.Context, t *task) (func() func(), error) {
	d, c := t.doc, t.conv
	if d.row.Message == "" {
		m, ok := a.add(c, store.Message{Parent: c.tree.Leaf(), Role: store.User, Content: d.row.Name, Status: store.Done})
		if !ok {
			return nil, &Problem{Kind: KindStore, Text: "the document's turn cannot be stored; see the messages before this one"}
		}
		d.row.Message = m.ID
	}
	a.estimate(d)
	d.row.Trained = a.model.MaxTrained
	a.setStage(d, ReadingText, nil)
	if d.work == nil {
		d.work = a.newReading(d)
	}
	work := d.work
	return func() func() {
		finished, err := a.worker.read(ctx, work)
		return func() { a.readTurn(t, finished, err) }
	}, nil
}

func (a *Actor) newReading(d *docState) *reading {
	c, hash := d.conv, a.worker.hash
	messages := a.prompt(c, d.row.Message, nil)
	r := &reading{
		source: messages[len(messages)-1].Source, prompt: messages, saved: a.saved(c, hash), section: a.o.SectionTokens, words: d.row.SummaryWords,
		next: a.o.PartialAfter,
	}
	r.progress = func(p readProgress) {
		a.do(func() {
			if d.stage != ReadingText {
				return
			}
			total := d.row.Tokens
			if total == 0 && p.share > 0 { // counted without a model
				total = int(float64(p.tokens) / p.share)
			}
			d.progress = Progress{Done: int64(p.tokens), Total: int64(max(total, p.tokens)), Rate: p.rate, ETA: -1}
			if p.rate > 0 {
				d.progress.ETA = time.Duration(float64(d.progress.Total-d.progress.Done) / p.rate * float64(time.Second))
			}
		})
	}
	r.partial = func(p Partial) {
		a.do(func() {
			if p.Text == "" && d.partial != nil { // the next one has begun
				old := *d.partial
				old.Fresh = false
				d.partial = &old
				return
			}
			if p.Text == "" {
				return
			}
			if d.row.Tokens > 0 {
				p.Share = share(p.Tokens, d.row.Tokens)
			}
			d.partial = &p
			d.row.Summary, d.row.TokensRead = p.Text, p.Tokens
			a.storeDocument(d)
		})
	}
	r.save = func(m dialog.Mark, section int, final bool) {
		id := d.row.ID
		tokens := m.Tokens
		a.saver.save(store.State{Document: id, Section: section, Final: final, Tokens: tokens, TextHash: m.Key, Model: hash}, m.State)
		a.do(func() {
			d.row.TokensRead = int(d.progress.Done)
			a.storeDocument(d)
		})
	}
	return r
}

// enoughTokens must be read to tell how fast the model reads.
const enoughTokens = 512

// readTurn takes note of how the worker's turn at a document ended.
func (a *Actor) readTurn(t *task, finished bool, err error) {
	d, c := t.doc, t.conv
	work := d.work
	if work.tokens >= enoughTokens {
		a.learned(float64(work.tokens)/work.took.Seconds(), true)
	}
	switch {
	case finished:
		c.work--
		d.progress.Done, d.progress.ETA = d.progress.Total, 0
		d.row.TokensRead = int(d.progress.Done)
		d.row.Notes = append(d.row.Notes[:len(d.row.Notes):len(d.row.Notes)], pageNotes(work.pages, d.row.Pages)...)
		d.work = nil
		a.setStage(d, Summarizing, nil)
		a.sumUp(d)
	case err != nil && ended(t.ctx, errYield):
		a.queue = append([]*task{t}, a.queue...) // it goes on after the answer
	case err != nil && t.ctx.Err() != nil:
		a.readEnded(d, context.Cause(t.ctx))
	default:
		a.readEnded(d, err)
	}
}

func pageNotes(p dialog.Pages, pages int) (notes []Note) {
	add := func(kind, text string, n int) {
		if n > 0 {
			notes = append(notes, Note{Kind: kind, Counts: []int{n, pages}, Text: fmt.Sprintf(text, n, pages)})
		}
	}
	add(NoteBlank, "%d of %d pages hold no text, only pictures or nothing; they were not read", p.Blank)
	add(NotePages, "%d of %d pages are damaged and were not read", p.Broken)
	return notes
}

// readEnded takes note of a reading that ended before its end.
func (a *Actor) readEnded(d *docState, reason error) {
	c := d.conv
	c.work--
	if d.work != nil {
		if d.work.now != nil {
			d.work.now.Close()
		}
		d.work = nil
	}
	switch {
	case errors.Is(reason, errPaused), errors.Is(reason, errClosing), errors.Is(reason, errYield):
		a.setStage(d, Paused, nil)
	case errors.Is(reason, errStopped):
		a.setStage(d, Cancelled, nil)
	default:
		a.setStage(d, Interrupted, ProblemOf(reason))
		a.broken(reason)
	}
	a.tidy(c)
}

// failDocument is for a document whose summary cannot begin.
func (a *Actor) failDocument(d *docState, p *Problem) {
	a.setStage(d, Interrupted, p)
}

// summarized takes note that a document's summary has ended, however.
func (a *Actor) summarized(d *docState) {
	d.partial = nil
	a.setStage(d, Done, nil)
}

// summarySampling is how summaries are written: one that takes the likeliest
// token each time tends to go in circles.
func summarySampling(words int) Sampling {
	return Sampling{RepeatPenalty: 1.1, MaxTokens: summaryTokens(words)}
}

// straightSummary is what becomes of a summary that goes in circles: it is
// written anew, and drawn, as what is drawn hardly does. Circles of a summary
// that is drawn are left out.
func straightSummary() (dialog.Straight, error) {
	again, err := Sampling{Temperature: 0.7, TopP: 0.9, RepeatPenalty: 1.1}.sampler()
	return dialog.Straight{On: true, Bounds: repeat.Prose, Whole: true, Again: again}, err
}

// summaryTokens is enough for so many words, each of one to three tokens.
func summaryTokens(words int) int { return 3*words + 32 }

// source is a document's text, to be opened when it is read.
func (a *Actor) source(d *docState) *dialog.Source {
	path, hash := d.row.Path, d.row.Hash
	// the same bytes under another name may be of another format, and so another text
	return &dialog.Source{Key: d.row.Format + " " + hash, Open: func(ctx context.Context) (*document.Document, error) {
		doc, err := document.Open(ctx, path, a.o.Documents)
		if err != nil {
			return nil, err
		}
		if now, err := hashFile(ctx, path); err != nil || now != hash {
			doc.Close()
			if err == nil {
				err = &document.Error{Name: path, Kind: document.ErrChanged, What: "the file is not the one that was added", Way: "add it anew"}
			}
			return nil, err
		}
		return doc, nil
	}}
}
