package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kestrel/engine"
	"kestrel/engine/sample"
)

// stepByStep has no step ahead of what is read; from 1 on so many steps are in flight; 0 lets their time decide.
const stepByStep = -1

// generation is all that can be seen of a call of Generate.
type generation struct {
	r      engine.Result
	err    error
	pieces []string
	ids    []int
	end    *engine.State
	place  uint64 // of the sampler
}

// ending is how a call of Generate is ended.
type ending struct {
	name string
	o    engine.GenerateOptions
	// what happens as the nth piece is emitted
	nth    int
	cancel bool
	err    error
}

// run generates from a state with so many steps in flight.
func (e ending) run(t *testing.T, m *engine.Model, s *engine.Session, start *engine.State, sampler *sample.Sampler, ahead int) (g generation) {
	t.Helper()
	engine.SetAhead(m, ahead)
	defer engine.SetAhead(m, 0)
	setState(t, s, start)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	sampler.Watch(func(id int) { g.ids = append(g.ids, id) })
	defer sampler.Watch(nil)
	g.r, g.err = s.Generate(ctx, sampler, e.o, func(text string) error {
		g.pieces = append(g.pieces, text)
		if len(g.pieces) == e.nth {
			if e.cancel {
				cancel()
			}
			return e.err
		}
		return nil
	})
	g.r.FirstToken, g.r.Duration = 0, 0
	g.end, g.place = state(t, s), sampler.Place()
	return g
}

func (g generation) compare(t *testing.T, want generation) {
	t.Helper()
	if g.r != want.r || fmt.Sprint(g.err) != fmt.Sprint(want.err) || !slices.Equal(g.pieces, want.pieces) || !slices.Equal(g.ids, want.ids) || g.place != want.place {
		t.Errorf("%+v, %v, pieces %q, ids %v, place %d\nwant %+v, %v, pieces %q, ids %v, place %d", g.r, g.err, g.pieces, g.ids, g.place, want.r, want.err, want.pieces, want.ids, want.place)
	}
	equal(t, "at the end", g.end, want.end)
}

// TestAhead: however many steps are in flight, and however the text ends, it is the text of going step by step, and so is
// what the session has then read and how it goes on.
func TestAhead(t *testing.T) {
	m := demo(t)
	prompt := prose(m, 30)
	s := read(t, m, prompt)
	start := state(t, s)
	full := errors.New("disk full")
	all := []sample.Params{
		{},
		{RepeatPenalty: 1.3},
		{RepeatPenalty: 0.8, RepeatWindow: 10},
		{Temperature: 0.7, TopP: 0.9, Seed: 1}, // what chats begin with
		{Temperature: 1.2, Seed: 2},
		{Temperature: 0.9, MinP: 0.05, RepeatPenalty: 1.1, RepeatWindow: 300, Seed: 3},
		{Temperature: 1.1, TopK: 40, TopP: 0.9, MinP: 0.02, RepeatPenalty: 1.1, RepeatWindow: 20, Seed: 4},
		{Temperature: 2, TopK: 513, Seed: 5},
		{RepeatPenalty: 1.2, RepeatWindow: 1 << 17}, // not for the device
		{Temperature: 50, Seed: 6},                  // characters in pieces
	}
	for _, p := range all {
		t.Run(fmt.Sprintf("%+v", p), func(t *testing.T) {
			first := newSampler(t, p)
			for _, id := range prompt {
				first.Accept(id)
			}
			plain := ending{o: engine.GenerateOptions{Max: 24, IgnoreEOS: true}}.run(t, m, s, start, first.Clone(), stepByStep)
			text := strings.Join(plain.pieces, "")
			endings := []ending{
				{name: "max", o: engine.GenerateOptions{Max: 24, IgnoreEOS: true}},
				{name: "max of one", o: engine.GenerateOptions{Max: 1, IgnoreEOS: true}},
				{name: "stop id", o: engine.GenerateOptions{Max: 24, IgnoreEOS: true, StopIDs: plain.ids[13:14]}},
				{name: "the model's stop id", o: engine.GenerateOptions{Max: 30}},
				{name: "cancelled", o: engine.GenerateOptions{Max: 24, IgnoreEOS: true}, nth: 7, cancel: true},
				{name: "error of emit", o: engine.GenerateOptions{IgnoreEOS: true}, nth: 10, err: full},
			}
			if runes := []rune(text); len(runes) > 12 {
				endings = append(endings, ending{name: "stop string", o: engine.GenerateOptions{Max: 24, IgnoreEOS: true, StopStrings: []string{"never said", string(runes[len(runes)/2-3 : len(runes)/2+3])}}})
			}
			for _, e := range endings {
				want := e.run(t, m, s, start, first.Clone(), stepByStep)
				for _, ahead := range []int{1, 2, 4, 0} {
					t.Run(fmt.Sprint(e.name, ", ", ahead), func(t *testing.T) {
						sampler := first.Clone()
						e.run(t, m, s, start, sampler, ahead).compare(t, want)
						// it goes on from there
						on := ending{o: engine.GenerateOptions{Max: 6, IgnoreEOS: true}}
						again, wanted := sampler.Clone(), sampler
						on.run(t, m, s, want.end, again, 4).compare(t, on.run(t, m, s, want.end, wanted, stepByStep))
					})
				}
			}
		})
	}
}

// TestAheadCancelledAtRandom: wherever a stop from outside strikes, the session is after the tokens that the result counts.
func TestAheadCancelledAtRandom(t *testing.T) {
	m := demo(t)
	s := read(t, m, prose(m, 30))
	start := state(t, s)
	const most = 60
	for _, p := range []sample.Params{{}, {Temperature: 0.8, TopP: 0.95, RepeatPenalty: 1.1, Seed: 9}} {
		setState(t, s, start)
		sampler := newSampler(t, p)
		var ids []int
		states := []*engine.State{start}
		for range most {
			ids = append(ids, next(t, s, sampler, 1)...)
			states = append(states, state(t, s))
		}
		r := rand.New(rand.NewPCG(31, 32))
		for range 12 {
			engine.SetAhead(m, 2+r.IntN(3))
			setState(t, s, start)
			ctx, cancel := context.WithTimeout(context.Background(), time.Duration(r.IntN(60))*time.Millisecond)
			var got []int
			sampler := newSampler(t, p)
			sampler.Watch(func(id int) { got = append(got, id) })
			result, err := s.Generate(ctx, sampler, engine.GenerateOptions{Max: most, IgnoreEOS: true}, nil)
			cancel()
			if result.Reason != engine.ReasonLength && (result.Reason != engine.ReasonCancelled || err != context.DeadlineExceeded) {
				t.Fatalf("%+v, %v", result, err)
			}
			if !slices.Equal(got, ids[:result.Tokens]) || result.Text != m.Tokenizer().Decode(got) && !strings.HasPrefix(m.Tokenizer().Decode(got), result.Text) {
				t.Errorf("%q from ids %v, want %v", result.Text, got, ids[:result.Tokens])
			}
			equal(t, fmt.Sprintf("%+v stopped after %d tokens", p, result.Tokens), state(t, s), states[result.Tokens])
		}
		engine.SetAhead(m, 0)
	}
}

// TestAheadInEmit: what is asked of the session while text comes is answered as step by step, whatever is under way.
func TestAheadInEmit(t *testing.T) {
	m := demo(t)
	s := read(t, m, prose(m, 30))
	start := state(t, s)
	p := sample.Params{Temperature: 0.9, TopP: 0.9, RepeatPenalty: 1.1, Seed: 3}
	type seen struct {
		tokens int
		logits []float32
		state  *engine.State
	}
	look := func(ahead int, feeding bool) (list []seen, r engine.Result) {
		engine.SetAhead(m, ahead)
		defer engine.SetAhead(m, 0)
		setState(t, s, start)
		n := 0
		sampler := newSampler(t, p)
		r, err := s.Generate(context.Background(), sampler, engine.GenerateOptions{Max: 20, IgnoreEOS: true}, func(string) error {
			n++
			switch {
			case n%5 == 2:
				list = append(list, seen{s.Tokens(), logits(t, s), state(t, s)})
			case n%5 == 4 && feeding:
				feed(t, s, prose(m, n))
			case n%5 == 1 && feeding:
				sampler.Accept(n) // as if it were in the text
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		r.FirstToken, r.Duration = 0, 0
		return append(list, seen{s.Tokens(), logits(t, s), state(t, s)}), r
	}
	for _, feeding := range []bool{false, true} {
		want, wantResult := look(stepByStep, feeding)
		got, result := look(4, feeding)
		if result != wantResult || len(got) != len(want) || len(want) < 3 {
			t.Fatalf("%+v, looked %d times; want %+v, %d times", result, len(got), wantResult, len(want))
		}
		for i, w := range want {
			if got[i].tokens != w.tokens || !slices.Equal(got[i].logits, w.logits) {
				t.Errorf("look %d: %d tokens, want %d, or the logits differ", i, got[i].tokens, w.tokens)
			}
			equal(t, fmt.Sprint("look ", i), got[i].state, w.state)
		}
	}
	engine.SetAhead(m, 4)
	defer engine.SetAhead(m, 0)
	gone := read(t, m, prose(m, 5))
	if r, err := gone.Generate(context.Background(), newSampler(t, p), engine.GenerateOptions{Max: 9, IgnoreEOS: true}, func(string) error {
		return gone.Close()
	}); !errors.Is(err, engine.ErrClosed) || r.Tokens == 0 {
		t.Errorf("closed while it writes: %+v, %v", r, err)
	}
}

// TestAheadSideBySide: sessions that write and read at once, one of them ahead, end where each does alone.
func TestAheadSideBySide(t *testing.T) {
	m := demo(t)
	engine.SetAhead(m, 4)
	defer engine.SetAhead(m, 0)
	const writers = 3
	params := func(i int) sample.Params { return sample.Params{Temperature: float32(i), TopP: 0.9, Seed: uint64(i)} }
	write := func(s *engine.Session, i int) error {
		for range 3 {
			if _, err := s.Generate(context.Background(), newSampler(t, params(i)), engine.GenerateOptions{Max: 9, IgnoreEOS: true}, nil); err != nil {
				return err
			}
			if err := s.Feed(context.Background(), prose(m, 20+i), nil); err != nil {
				return err
			}
		}
		return nil
	}
	var sessions []*engine.Session
	var want []*engine.State
	for i := range writers {
		s := read(t, m, prose(m, 10+i))
		start := state(t, s)
		if err := write(s, i); err != nil {
			t.Fatal(err)
		}
		want = append(want, state(t, s))
		setState(t, s, start)
		sessions = append(sessions, s)
	}
	var group sync.WaitGroup
	for i, s := range sessions {
		group.Go(func() {
			if err := write(s, i); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for i, s := range sessions {
		equal(t, fmt.Sprint("session ", i), state(t, s), want[i])
	}
}

// TestAheadRefuses: where the logits become no numbers on the way, the tokens before stay, as step by step.
func TestAheadRefuses(t *testing.T) {
	m := demo(t)
	s := read(t, m, prose(m, 9))
	// the first choice is sound, what is carried is not
	spoiled := state(t, s)
	c := engine.Carried(spoiled)
	for i := range c.S {
		c.S[i] = float32(math.NaN())
	}
	for _, p := range []sample.Params{{}, {RepeatPenalty: 1.1}, {Temperature: 1, Seed: 4}, {Temperature: 1, TopK: 9, Seed: 4}} {
		var first engine.Result
		for _, ahead := range []int{stepByStep, 1, 4} {
			engine.SetAhead(m, ahead)
			setState(t, s, spoiled)
			var ids []int
			sampler := newSampler(t, p)
			sampler.Watch(func(id int) { ids = append(ids, id) })
			r, err := s.Generate(context.Background(), sampler, engine.GenerateOptions{Max: 9, IgnoreEOS: true}, nil)
			if !errors.Is(err, engine.ErrNotFinite) || r.Tokens != 1 || len(ids) != 1 || s.Tokens() != spoiled.Tokens()+1 || r.Reason != "" {
				t.Errorf("%+v, %d in flight: %+v, %v, ids %v, %d tokens read", p, ahead, r, err, ids, s.Tokens())
			}
			r.FirstToken, r.Duration = 0, 0
			if ahead == stepByStep {
				first = r
			} else if r != first {
				t.Errorf("%+v, %d in flight: %+v, want %+v", p, ahead, r, first)
			}
		}
		engine.SetAhead(m, 0)
	}
}

// TestAheadMakesRoom: a prompt so long that it is read in several submissions keeps its state where decoding ahead does.
func TestAheadMakesRoom(t *testing.T) {
	if testing.Short() {
		t.Skip("a long prompt")
	}
	o := options(t)
	o.Prefill, o.Chunk = engine.Parallel, 64
	m := openFS(t, demoFloats, ".", o)
	writer, reader := read(t, m, prose(m, 30)), newSession(t, m)
	start, long := state(t, writer), prose(m, 1650)
	p := sample.Params{Temperature: 1, TopP: 0.9, Seed: 3}
	write := func(ahead, at int) (g generation, between *engine.State) {
		if err := reader.Reset(); err != nil {
			t.Fatal(err)
		}
		engine.SetAhead(m, ahead)
		defer engine.SetAhead(m, 0)
		setState(t, writer, start)
		n := 0
		g.r, g.err = writer.Generate(context.Background(), newSampler(t, p), engine.GenerateOptions{Max: 20, IgnoreEOS: true}, func(string) error {
			if n++; n == at {
				feed(t, reader, long)
				if reader.Stats().Submissions < 2 {
					t.Skipf("%s takes %d tokens in one submission", m.Device().Name, len(long))
				}
				between = state(t, writer)
			}
			return nil
		})
		g.r.FirstToken, g.r.Duration = 0, 0
		g.end = state(t, writer)
		return g, between
	}
	for at := 4; at < 8; at++ {
		want, wantBetween := write(stepByStep, at)
		got, between := write(4, at)
		got.compare(t, want)
		equal(t, "while the other has read", between, wantBetween)
	}
}
