package session

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"kestrel/app/backend"
	"kestrel/app/dialog"
	"kestrel/engine"
	"kestrel/engine/chat"
	"kestrel/engine/sample"
	"kestrel/engine/sample/repeat"
)

// worker owns the model. One goroutine loads it and reads documents, one piece
// of work at a time; answers have a goroutine each, when none of that goes on.
// Answers and the reading of documents have engine sessions of their own, so that
// an answer between two sections of a document costs no state's way to the host
// and back.
type worker struct {
	a       *Actor
	jobs    chan func()
	answers sync.WaitGroup
	done    chan struct{}

	guard sync.RWMutex // of model, for those who only look at its memory
	model backend.Model

	format *dialog.Format
	hash   string
	chats  *readers
	docs   *dialog.Reader // made with the first document
	amid   sync.Mutex     // of docs, for answers
	reads  *reading       // that docs stands in

	tokens atomic.Int64 // read and written since the start
	inRAM  atomic.Int64 // bytes of states kept
	busy   atomic.Int64 // pieces of work
}

func newWorker(a *Actor) *worker {
	w := &worker{a: a, jobs: make(chan func(), 1), done: make(chan struct{})}
	go func() {
		defer close(w.done)
		for job := range w.jobs {
			job()
		}
		w.answers.Wait()
		w.release()
	}()
	return w
}

// start does a piece of work, beside others or not, and hands on what it
// returns. Only what runs beside others may be started while others run.
func (w *worker) start(beside bool, work func() (done func()), ended func(done func())) {
	job := func() {
		w.busy.Add(1)
		done := work()
		w.busy.Add(-1)
		w.count()
		ended(done)
	}
	if beside {
		w.answers.Go(job)
	} else {
		w.jobs <- job // there is room: nothing runs
	}
}

// count tells how much memory states take.
func (w *worker) count() {
	var bytes int64
	if w.chats != nil {
		_, bytes = w.chats.base.Marks()
	}
	if w.docs != nil {
		_, n := w.docs.Marks()
		bytes += n
	}
	w.inRAM.Store(bytes)
}

// close ends the worker; nothing runs any more.
func (w *worker) close(ctx context.Context) error {
	close(w.jobs)
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
		return ErrNotStopped
	}
}

// release gives the device back.
func (w *worker) release() {
	if w.chats != nil {
		w.chats.close()
	}
	if w.docs != nil {
		_ = w.docs.Close() // of a lost device there is nothing to hear
	}
	w.guard.Lock()
	m := w.model
	w.model, w.chats, w.docs, w.format = nil, nil, nil, nil
	w.guard.Unlock()
	if m != nil { // nobody looks at it any more; a device that hangs holds up the worker alone
		_ = m.Close()
	}
}

// load opens a model in the place of the one that is open.
func (w *worker) load(ctx context.Context, r LoadRequest, progress func(engine.Progress), warn func(string)) (*Model, string, error) {
	w.release()
	m, err := w.a.o.Engine.Open(ctx, r.Model, engine.Options{Device: r.Device, Quant: r.Quant, Progress: progress, Warn: warn})
	if err != nil {
		return nil, "", err
	}
	hash := m.Hash()
	w.hash = hex.EncodeToString(hash[:])
	w.format = dialog.NewFormat(m.Template(), m.Tokenizer())
	if w.chats, err = newReaders(m, w.format, w.a.o.KeptStates); err != nil {
		_ = m.Close()
		return nil, "", err
	}
	w.guard.Lock()
	w.model = m
	w.guard.Unlock()
	info := &Model{
		State: Loaded, Request: r, Name: m.Name(), MaxTrained: m.Config().MaxTrained, Instruct: !m.Template().Fallback(), Device: m.Device(),
	}
	// the files may be gone by now; what they say is for show
	if d, err := w.a.o.Engine.Describe(r.Model); err == nil {
		info.Precision, info.Parameters, info.Bytes, info.StateBytes = d.Precision, d.Parameters, d.WeightBytes, d.StateBytes
	}
	if r.Quant != "" {
		info.Precision = r.Quant
	}
	return info, w.hash, nil
}

// reader is the session that documents are read in.
func (w *worker) reader() (*dialog.Reader, error) {
	if w.model == nil {
		return nil, errNoModel
	}
	if w.docs == nil {
		s, err := w.model.NewSession()
		if err != nil {
			return nil, err
		}
		w.docs = dialog.NewReader(w.model, s, w.format, 1)
	}
	return w.docs, nil
}

// sampler makes one of a conversation's settings.
func (s Sampling) sampler() (*sample.Sampler, error) {
	p := sample.Params{
		Temperature: s.Temperature, TopK: s.TopK, TopP: s.TopP, MinP: s.MinP, RepeatPenalty: s.RepeatPenalty, RepeatWindow: s.RepeatWindow,
	}
	if s.Seed != nil {
		p.Seed = *s.Seed
	} else {
		p.Seed = randomSeed()
	}
	return sample.New(p)
}

// answering is an answer to be written.
type answering struct {
	messages []dialog.Message // up to the user's
	saved    []dialog.Saved
	sampling Sampling
	summary  bool   // of a document
	asked    string // the user's message, if it is not one
	since    time.Time
	begun    func() // it has an engine session
	reading  func(done, total int)
	text     func(string)
	anew     func(text string)   // puts this in the place of all text so far
	mark     func(m dialog.Mark) // of the state after it; nil where that is of no use later

	// Where a document is being read and this is asked amid it: the document in
	// messages, and the messages without it.
	amid    *dialog.Source
	without []dialog.Message
	from    func(tokens int) // is told how many of the document's are known to the model
}

// answered is what became of it.
type answered struct {
	stats   Stats
	reason  string
	circled bool // it began to repeat itself
	err     error
}

// answer reads what is new and writes.
func (w *worker) answer(ctx context.Context, t answering) (out answered) {
	if w.model == nil {
		return answered{err: errNoModel}
	}
	sampler, err := t.sampling.sampler()
	if err != nil {
		return answered{err: err}
	}
	prompt, err := w.format.Compose(t.messages, true)
	if err != nil {
		return answered{err: w.composed(err)}
	}
	r, err := w.chats.take(ctx, prompt)
	if err != nil {
		return answered{err: err}
	}
	defer w.chats.put(r)
	t.begun()
	start := time.Now()
	prompt, out.stats.Read, err = w.readPrompt(ctx, r, t, prompt)
	if took := time.Since(start).Seconds(); out.stats.Read > 0 && took > 0 {
		out.stats.ReadRate = float64(out.stats.Read) / took
	}
	if err == nil {
		_, err = r.Mark(ctx)
	}
	if err != nil {
		out.err = err
		return out
	}
	return w.write(ctx, r, prompt, sampler, t, out)
}

// write has a reader answer a prompt that it has read, and marks the place.
func (w *worker) write(ctx context.Context, r *dialog.Reader, p dialog.Prompt, sampler *sample.Sampler, t answering, out answered) answered {
	p.Remind(w.format, sampler)
	straight := dialog.Straight{On: !t.sampling.Circles, Bounds: repeat.Answers, Asked: t.asked}
	if t.summary {
		var err error
		if straight, err = straightSummary(); err != nil {
			out.err = err
			return out
		}
		p.Remind(w.format, straight.Again)
		straight.Anew = func() { t.anew("") }
	}
	before := time.Since(t.since)
	result, err := r.AnswerStraight(ctx, sampler, engine.GenerateOptions{Max: t.sampling.MaxTokens, Together: true}, straight, func(text string) error {
		w.tokens.Add(1)
		t.text(text)
		return nil
	})
	if out.circled = result.Circled; out.circled {
		t.anew(result.Text)
	}
	out.stats.Tokens, out.reason, out.err = result.Tokens, result.Reason, err
	if result.Tokens > 0 {
		out.stats.FirstToken = before + result.FirstToken
	}
	if seconds := result.Duration.Seconds(); seconds > 0 {
		out.stats.Rate = float64(result.Tokens) / seconds
	}
	out.stats.Length = r.Tokens()
	if err != nil && ctx.Err() == nil { // not merely stopped: the device may be gone
		return out
	}
	m, marked := r.Mark(context.WithoutCancel(ctx))
	switch {
	case marked != nil && err == nil:
		out.err = marked
	case marked == nil && m.State != nil && t.mark != nil:
		t.mark(m)
	}
	return out
}

// readPrompt reads what is to be answered, as far as that was not read already.
// Amid a document it goes on from the furthest state of it that can be had, and
// without the document where there is none.
func (w *worker) readPrompt(ctx context.Context, r *dialog.Reader, t answering, p dialog.Prompt) (_ dialog.Prompt, fed int, err error) {
	counted := 0
	read := func(p dialog.Prompt, saved []dialog.Saved) (int, error) {
		n, _, err := r.Read(ctx, p, saved, func(done, total int) {
			w.tokens.Add(int64(done - counted))
			counted = done
			t.reading(done, total)
		})
		return n, err
	}
	if t.amid == nil {
		fed, err = read(p, t.saved)
		return p, fed, err
	}
	saved := t.saved
	m, err := w.markAmid(ctx, t.amid)
	if err != nil {
		return p, 0, err
	}
	if m.State != nil {
		saved = append(saved, dialog.Saved{Key: m.Key, Tokens: m.Tokens, Load: func() (backend.State, error) { return m.State, nil }})
	}
	for _, part := range p.Parts(t.amid, saved) {
		t.from(part.Tokens)
		fed, err = read(part.Prompt, append(t.saved[:len(t.saved):len(t.saved)], part.Saved))
		if !errors.Is(err, dialog.ErrPart) {
			return part.Prompt, fed, err
		}
	}
	t.from(0)
	if p, err = w.format.Compose(t.without, true); err != nil {
		return p, 0, w.composed(err)
	}
	fed, err = read(p, t.saved)
	return p, fed, err
}

// markAmid is the place within a document where its reading stands.
func (w *worker) markAmid(ctx context.Context, s *dialog.Source) (dialog.Mark, error) {
	w.amid.Lock()
	defer w.amid.Unlock()
	if w.docs == nil || !w.docs.Amid(s) {
		return dialog.Mark{}, nil
	}
	return w.docs.Mark(ctx)
}

// composed puts what a template says against a conversation in words.
func (w *worker) composed(err error) error {
	if errors.Is(err, chat.ErrTemplate) {
		err = fmt.Errorf("the chat template of %s does not take this conversation: %w", w.model.Name(), err)
	} else {
		err = fmt.Errorf("%s: %w", w.model.Name(), err)
	}
	p := *ProblemOf(err)
	p.Names = []string{w.model.Name()}
	return &p
}
