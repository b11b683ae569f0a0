package session

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kestrel/app/backend"
	"kestrel/app/backend/backendtest"
	"kestrel/app/store"
	"kestrel/engine"
	"kestrel/engine/sample"
)

// askNew sends a message in a new conversation and returns the conversation's id.
func (w *world) askNew(text string, o NewOptions) string {
	w.t.Helper()
	w.New(o)
	w.Send(text)
	return w.wait("the question", func(s *Snapshot) bool {
		c := s.Conversation
		return c != nil && c.ID != "" && len(c.Messages) == 2 && c.Messages[0].Text == text
	}).Conversation.ID
}

// answerIn opens a conversation and waits for its last message to end.
func (w *world) answerIn(id string) *Message {
	w.t.Helper()
	w.Open(id)
	c := w.wait("an answer", func(s *Snapshot) bool {
		c := s.Conversation
		return c != nil && c.ID == id && !c.Phase.Answering() && c.Messages[len(c.Messages)-1].Status != Streaming
	}).Conversation
	return c.Messages[len(c.Messages)-1]
}

// TestBeside asks in two conversations: both are written at once, a stop ends one
// of them, and what each has written and read is kept.
func TestBeside(t *testing.T) {
	e := backendtest.New(" a b c")
	e.Wait = 2
	w := start(t, e, Options{})
	w.load("demo")
	first := w.askNew("One", NewOptions{})
	<-e.Waiting
	second := w.askNew("Two", NewOptions{})
	<-e.Waiting // neither has ended
	w.wait("two at work", func(s *Snapshot) bool {
		return len(s.Busy) == 2 && s.Busy[0] == Activity{Conversation: first} && s.Busy[1] == Activity{Conversation: second} && s.Conversation.Phase == Writing
	})
	w.Stop()
	if m := w.answerIn(second); m.Status != Stopped || m.Text != " a b" {
		t.Errorf("%+v", m)
	}
	w.Open(first)
	w.wait("the first, still written", func(s *Snapshot) bool {
		return s.Conversation.ID == first && s.Conversation.Phase == Writing && len(s.Busy) == 1
	})
	w.Stop()
	if m := w.answerIn(first); m.Status != Stopped || m.Text != " a b" {
		t.Errorf("%+v", m)
	}
	w.restart()
	e.Wait = 0
	w.load("demo")
	for id, text := range map[string]string{first: "One", second: "Two"} {
		rows, err := w.store.States(context.Background(), store.ID(id))
		if err != nil || len(rows) != 1 {
			t.Errorf("%d states of %q, %v", len(rows), text, err)
		}
		w.Open(id)
		w.wait("the conversation", func(s *Snapshot) bool { return s.Conversation != nil && s.Conversation.ID == id })
		if m := w.say("More"); m.Status != Complete || m.Stats.Read > 20 {
			t.Errorf("%+v", m)
		}
		// it went on from its own state
		if fed := e.Fed(); !strings.HasPrefix(fed[len(fed)-1], "<|im_end|>\n<|im_start|>user\nMore") && !strings.HasPrefix(fed[len(fed)-1], "\n<|im_start|>user\nMore") {
			t.Errorf("fed %q", fed[len(fed)-1])
		}
	}
}

// TestBesideFails has an answer fail beside another, which goes on; then a model
// is loaded, and what is written ends.
func TestBesideFails(t *testing.T) {
	e := backendtest.New(" a b c")
	e.Wait = 2
	burning := atomic.Bool{}
	e.Before = func(_ context.Context, op string) error {
		if op == "feed" && burning.Load() {
			return backendtest.ErrFire
		}
		return nil
	}
	w := start(t, e, Options{})
	w.load("demo")
	first := w.askNew("One", NewOptions{})
	<-e.Waiting
	burning.Store(true)
	if m := w.answerIn(w.askNew("Two", NewOptions{})); m.Status != Failed || m.Problem == nil || !errors.Is(m.Problem.Err, backendtest.ErrFire) {
		t.Errorf("%+v", m)
	}
	burning.Store(false)
	w.Open(first)
	w.wait("the first, still written", func(s *Snapshot) bool { return s.Conversation.ID == first && s.Conversation.Phase == Writing })
	third := w.askNew("Three", NewOptions{})
	<-e.Waiting
	w.load("other")
	for _, id := range []string{first, third} {
		if m := w.answerIn(id); m.Status != Stopped || m.Text != " a b" {
			t.Errorf("%+v", m)
		}
	}
}

// TestBesideLimit asks in more conversations than are answered at once, or than
// there is memory for: the others wait, and all are answered.
func TestBesideLimit(t *testing.T) {
	for name, c := range map[string]struct {
		atOnce, room, want int
	}{"at once": {2, 0, 2}, "memory": {0, 3, 3}, "memory for one": {0, 1, 1}} {
		t.Run(name, func(t *testing.T) {
			e := backendtest.New("")
			e.Room = c.room
			e.Reply = func(read string) string { return " to " + read[strings.LastIndex(read, "Q"):][:2] + " yes" }
			open, writing, most := make(chan struct{}), atomic.Int64{}, atomic.Int64{}
			e.Before = func(ctx context.Context, op string) error {
				if op == "feed" {
					n := writing.Add(1)
					for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
					}
					defer writing.Add(-1)
					select {
					case <-open:
					case <-ctx.Done():
					}
				}
				return ctx.Err()
			}
			w := start(t, e, Options{AnswersAtOnce: c.atOnce})
			w.load("demo")
			var ids []string
			for i := range 6 {
				ids = append(ids, w.askNew(fmt.Sprint("Q", i), NewOptions{}))
			}
			w.wait("as many as there is room for", func(s *Snapshot) bool {
				working := 0
				for _, b := range s.Busy {
					if !b.Waiting {
						working++
					}
				}
				return len(s.Busy) == 6 && working == c.want && s.Conversation.Phase == Waiting
			})
			w.Stop() // the last, which waits
			if m := w.answerIn(ids[5]); m.Status != Stopped || m.Text != "" {
				t.Errorf("%+v", m)
			}
			close(open)
			for i, id := range ids[:5] {
				if m := w.answerIn(id); m.Status != Complete || m.Text != fmt.Sprintf(" to Q%d yes", i) {
					t.Errorf("%d: %+v", i, m)
				}
			}
			w.wait("nothing to do", func(s *Snapshot) bool { return len(s.Busy) == 0 })
			if _, open, at := e.Alive(); open != 1 || at != c.want || most.Load() != int64(c.want) {
				t.Errorf("%d sessions are open, %d were at once, %d read at once", open, at, most.Load())
			}
		})
	}
}

// TestBesideManyWays asks, stops and answers anew in many conversations at random
// moments while a document is read; all of it is raced by hand. Every answer is
// its question's.
func TestBesideManyWays(t *testing.T) {
	e := summarizing()
	reply := e.Reply
	e.Reply = func(read string) string {
		if at := strings.LastIndex(read, "Q"); at >= 0 && strings.HasSuffix(read[at:], "<|im_end|>\n<|im_start|>assistant\n") {
			return strings.Repeat(" "+strings.TrimSuffix(read[at:], "<|im_end|>\n<|im_start|>assistant\n"), 20)
		}
		return reply(read)
	}
	w := start(t, e, Options{SectionTokens: 256, PartialAfter: 5 * time.Millisecond})
	w.load("demo")
	w.AddFiles([]string{w.file("a.md", book(300))})
	d := w.stage(Ready)
	w.wait("an estimate", func(s *Snapshot) bool { return s.Conversation.Documents[0].Estimate > 0 && len(s.Busy) == 0 })
	g := closed(e, 10) // the fake reads all of it in a millisecond
	hold := e.Before
	e.Before = func(ctx context.Context, op string) error {
		switch op {
		case "token":
			time.Sleep(200 * time.Microsecond)
		case "feed":
			time.Sleep(time.Millisecond)
		}
		return hold(ctx, op)
	}
	w.Read(d.ID, 10)
	<-g.at
	w.stage(ReadingText)
	close(g.open)
	ids := []string{w.Snapshot().Conversation.ID}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 60 {
		switch id := ids[rng.IntN(len(ids))]; rng.IntN(6) {
		case 0, 1:
			ids = append(ids, w.askNew(fmt.Sprintf("Q%d", i), NewOptions{}))
		case 2:
			w.Open(id)
			w.Stop()
		case 3:
			w.Open(id)
			w.Send(fmt.Sprintf("Q%d", i))
		case 4:
			w.Open(id)
			if c := w.Snapshot().Conversation; c.ID == id && len(c.Messages) > 1 {
				w.Regenerate(c.Messages[len(c.Messages)-1].ID)
			}
		case 5:
			time.Sleep(time.Duration(rng.IntN(10)) * time.Millisecond)
		}
	}
	w.wait("all of it", func(s *Snapshot) bool { return len(s.Busy) == 0 })
	answers := 0
	for _, id := range ids {
		w.answerIn(id)
		list := w.Snapshot().Conversation.Messages
		for i, m := range list {
			if m.Role != "assistant" || list[i-1].Text == "" || list[i-1].Role != "user" {
				continue
			}
			want := strings.Repeat(" "+list[i-1].Text, 20)
			if !strings.HasPrefix(want, m.Text) || m.Status == Complete && m.Text != want || m.Status != Complete && m.Status != Stopped {
				t.Errorf("to %q: %+v", list[i-1].Text, m)
			}
			answers++
		}
	}
	if answers < 20 {
		t.Errorf("%d answers", answers)
	}
}

// tapped is the engine itself, with an ear on what is written. Answers end by
// their length alone.
type tapped struct {
	backend.Vulkan
	mu     sync.Mutex
	pieces []int         // the session that wrote each
	next   int           // sessions so far
	ready  int           // answers that are still to come before any is written
	all    chan struct{} // closed when they have come
}

// together has the next answers begin at once.
func (p *tapped) together(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ready, p.all = n, make(chan struct{})
}

// arrive waits for the others.
func (p *tapped) arrive(ctx context.Context) {
	p.mu.Lock()
	all := p.all
	if p.ready--; p.ready == 0 {
		close(all)
	}
	p.mu.Unlock()
	if all != nil {
		select {
		case <-all:
		case <-ctx.Done():
		}
	}
}

type tappedModel struct {
	backend.Model
	tap *tapped
}

type tappedSession struct {
	backend.Session
	tap *tapped
	n   int
}

func (p *tapped) Open(ctx context.Context, name string, o engine.Options) (backend.Model, error) {
	m, err := p.Vulkan.Open(ctx, name, o)
	if err != nil {
		return nil, err
	}
	return tappedModel{m, p}, nil
}

func (m tappedModel) NewSession() (backend.Session, error) {
	s, err := m.Model.NewSession()
	if err != nil {
		return nil, err
	}
	m.tap.mu.Lock()
	defer m.tap.mu.Unlock()
	m.tap.next++
	return tappedSession{s, m.tap, m.tap.next}, nil
}

func (s tappedSession) Generate(ctx context.Context, p *sample.Sampler, o engine.GenerateOptions, emit func(string) error) (engine.Result, error) {
	s.tap.arrive(ctx)
	o.IgnoreEOS = true
	return s.Session.Generate(ctx, p, o, func(text string) error {
		s.tap.mu.Lock()
		s.tap.pieces = append(s.tap.pieces, s.n)
		s.tap.mu.Unlock()
		return emit(text)
	})
}

// switches is how often another session wrote than before.
func (p *tapped) switches() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := 1; i < len(p.pieces); i++ {
		if p.pieces[i] != p.pieces[i-1] {
			n++
		}
	}
	return n
}

// TestDeviceBeside asks the built-in model in four conversations, one after
// another and at once: at once they stream in turns, each the same text; and a
// stop of one of them leaves the others alone.
func TestDeviceBeside(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a Vulkan device")
	}
	tap := &tapped{}
	w := start(t, tap, Options{})
	w.load(backend.Builtin)
	seed := uint64(7)
	settings := []Sampling{{MaxTokens: 80}, {MaxTokens: 120, Temperature: 0.7, TopP: 0.9, Seed: &seed}, {MaxTokens: 100, RepeatPenalty: 1.1}, {MaxTokens: 60, Temperature: 1, TopK: 20, Seed: &seed}}
	questions := []string{"Who are you?", "Tell me a story about a dog.", "What is the sea?", "Tell me about the king."}
	ask := func(i int) string { return w.askNew(questions[i], NewOptions{Sampling: &settings[i]}) }
	var alone []*Message
	begun := time.Now()
	for i := range questions {
		alone = append(alone, w.answerIn(ask(i)))
	}
	apart := time.Since(begun)
	if n := tap.switches(); n > 0 {
		t.Fatalf("one after another, and yet %d switches", n)
	}
	tap.together(len(questions))
	begun = time.Now()
	var ids []string
	for i := range questions {
		ids = append(ids, ask(i))
	}
	tokens := 0
	for i, id := range ids {
		m := w.answerIn(id)
		if m.Text != alone[i].Text || m.Status != Cut || m.Stats.Tokens != settings[i].MaxTokens {
			t.Errorf("%q: beside others %q, alone %q", questions[i], m.Text, alone[i].Text)
		}
		tokens += m.Stats.Tokens
	}
	t.Logf("%d tokens in four conversations: %v one after another, %v side by side", tokens, apart.Round(time.Millisecond), time.Since(begun).Round(time.Millisecond))
	if n := tap.switches(); n < 40 {
		t.Errorf("at once, but only %d switches: %v", n, tap.pieces)
	}

	tap.together(2)
	endless := Sampling{}
	first := w.askNew("Tell me a long story.", NewOptions{Sampling: &settings[1]})
	second := w.askNew("Tell me another.", NewOptions{Sampling: &endless})
	w.wait("some text", func(s *Snapshot) bool {
		return s.Conversation.ID == second && len(s.Conversation.Messages[1].Text) > 10
	})
	w.Stop()
	if m := w.answerIn(second); m.Text == "" {
		t.Errorf("stopped: %+v", m)
	}
	if m := w.answerIn(first); m.Status != Cut || m.Stats.Tokens != settings[1].MaxTokens {
		t.Errorf("beside a stop: %+v", m)
	}
	w.restart()
	for _, id := range slices.Concat(ids, []string{first, second}) { // all are saved
		states, err := w.store.States(t.Context(), store.ID(id))
		if err != nil || len(states) != 1 {
			t.Errorf("%d states, %v", len(states), err)
		}
	}
}
