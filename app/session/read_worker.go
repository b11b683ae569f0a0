package session

import (
	"context"
	"encoding/hex"
	"strings"
	"time"

	"kestrel/app/dialog"
	"kestrel/engine"
	"kestrel/engine/sample"
)

// stepTime is about how long a step of a document's reading takes; between two
// steps partial summaries are written.
const stepTime = time.Second

// read reads a document until it is finished, or ctx ends.
func (w *worker) read(ctx context.Context, t *reading) (finished bool, err error) {
	r, err := w.reader()
	if err != nil {
		return false, err
	}
	if t.now != nil && w.reads != t { // another has used the session
		t.now.Close()
		t.now = nil
	}
	w.reads = t
	if t.now == nil {
		p, err := w.format.Compose(t.prompt, true)
		if err != nil {
			return false, w.composed(err)
		}
		if t.now, err = r.Start(ctx, p, t.saved); err != nil {
			return false, err
		}
		t.sections = 0
		if t.now.Source() == t.source {
			t.sections = t.now.InDocument() / t.section
		}
	}
	g := t.now
	for more := true; more; {
		if more, err = w.step(ctx, t); err != nil {
			break
		}
		if inside := g.Source() == t.source; inside && more {
			if g.InDocument() == 0 {
				continue // it was only opened
			}
			if n := g.InDocument() / t.section; n > t.sections {
				t.sections = n
				if err = w.saveSection(ctx, r, t); err != nil {
					break
				}
			}
			if err = w.sumUp(ctx, r, t); err != nil {
				break
			}
		}
	}
	if err == nil {
		t.pages = g.Pages()
		g.Close()
		t.now = nil
		m, err := r.Mark(ctx)
		if err != nil {
			return false, err
		}
		w.chats.base.Keep(m)
		t.save(m, finalSection, true)
		return true, nil
	}
	if ctx.Err() != nil && !ended(ctx, errYield) && g.Source() == t.source && g.InDocument() > 0 {
		// where it was paused
		if saved := w.saveSection(context.WithoutCancel(ctx), r, t); saved != nil {
			return false, saved
		}
	}
	return false, err
}

// finalSection is the section number of the state after all of a document.
const finalSection = 1 << 30

// saveSection saves the state within the document.
func (w *worker) saveSection(ctx context.Context, r *dialog.Reader, t *reading) error {
	m, err := r.Mark(ctx)
	if err == nil && m.State != nil {
		t.save(m, (t.now.InDocument()-1)/t.section, false)
	}
	return err
}

// step reads on, at most to the end of the section.
func (w *worker) step(ctx context.Context, t *reading) (more bool, err error) {
	g := t.now
	most := t.section
	if g.Source() == t.source {
		most = t.section - g.InDocument()%t.section
	}
	if t.tokens > 0 {
		most = min(most, max(1, int(float64(t.tokens)/t.took.Seconds()*stepTime.Seconds())))
	}
	start, fed, inside := time.Now(), g.Fed(), g.InDocument()
	counted := 0
	more, err = g.Step(ctx, most, func(done int) {
		w.tokens.Add(int64(done - counted))
		counted = done
		w.tell(t, inside+done, t.took+time.Since(start), t.tokens+done)
	})
	t.took += time.Since(start)
	t.tokens += g.Fed() - fed
	if err == nil {
		w.tell(t, g.InDocument(), t.took, t.tokens)
	}
	return more, err
}

func (w *worker) tell(t *reading, tokens int, took time.Duration, read int) {
	if t.now.Source() != t.source {
		return
	}
	p := readProgress{inside: true, tokens: tokens, share: t.now.Share()}
	if s := took.Seconds(); s > 0 {
		p.rate = float64(read) / s
	}
	if known := t.now.InDocument(); known > 0 {
		p.share *= float64(tokens) / float64(known)
	}
	t.progress(p)
}

// sumUp writes a partial summary where it is time: another session continues
// from the reader's state, is asked for the summary, and forgets all that.
// What that costs decides when the next is due.
func (w *worker) sumUp(ctx context.Context, r *dialog.Reader, t *reading) error {
	share := w.a.o.PartialShare
	if share <= 0 || t.took < t.next {
		return nil
	}
	start := time.Now()
	chat, err := w.chats.take(ctx, dialog.Prompt{})
	if err != nil {
		return err
	}
	defer w.chats.put(chat)
	if _, err := chat.Mark(ctx); err != nil { // what the session is lent from
		return err
	}
	m, err := r.Mark(ctx)
	if err != nil {
		return err
	}
	sampler, err := sample.New(sample.Params{RepeatPenalty: 1.1})
	if err != nil {
		return err
	}
	straight, err := straightSummary()
	if err != nil {
		return err
	}
	t.partial(Partial{})
	// a slow machine must not spend minutes on the first
	limit := max(time.Duration(share*float64(t.took)*1.2), minPartial)
	short, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	inside := t.now.InDocument()
	result, err := chat.Borrow(short, m.State, t.now.Rest(), sampler, engine.GenerateOptions{Max: min(summaryTokens(t.words), partialTokens), Together: true}, straight, func(string) error {
		w.tokens.Add(1)
		return nil
	})
	cost := time.Since(start)
	t.next = t.took + time.Duration(float64(cost)*(1-share)/share)
	cut := short.Err() != nil && ctx.Err() == nil
	text, worth := strings.TrimSpace(result.Text), result.Tokens >= worthShowing
	if cut && result.First != "" { // the time did not do for another
		text, worth = result.First, true
	}
	if text != "" && (err == nil || cut && worth) {
		t.partial(Partial{Text: text, Tokens: inside, Share: t.now.Share(), Fresh: true})
	}
	if cut {
		return nil // a slow machine has more time for the next
	}
	return err
}

const (
	partialTokens = 256
	minPartial    = 2 * time.Second
	worthShowing  = 16 // tokens of a summary that was cut off
)

// measure times the reading of a few chunks.
func (w *worker) measure(ctx context.Context) (speed float64, err error) {
	r, err := w.reader()
	if err != nil {
		return 0, err
	}
	w.reads = nil
	tok := w.model.Tokenizer()
	some := tok.Encode("The quick brown fox jumps over the lazy dog. ", false)
	var ids []int
	for len(ids) < 2*w.model.Chunk() {
		ids = append(ids, some...)
	}
	ids = ids[:2*w.model.Chunk()]
	for range 2 { // the first compiles what the second measures
		took, err := r.Time(ctx, ids)
		if err != nil {
			return 0, err
		}
		speed = float64(len(ids)) / max(took.Seconds(), 1e-9)
	}
	return speed, nil
}

// tokenizer is that of the open model.
func (w *worker) tokenizer() tokens {
	w.guard.RLock()
	defer w.guard.RUnlock()
	if w.model == nil {
		return tokens{}
	}
	tok := w.model.Tokenizer()
	hash := tok.Hash()
	return tokens{tok, hex.EncodeToString(hash[:])}
}
