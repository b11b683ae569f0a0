package engine_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"kestrel/engine"
	"kestrel/engine/sample"
)

// singer writes one text side by side with others.
type singer struct {
	prompt  string
	params  sample.Params
	o       engine.GenerateOptions
	ctx     context.Context
	session *engine.Session
	sampler *sample.Sampler
	ids     []int
	note    func() // of each token; may be nil
	r       engine.Result
	err     error
	end     chan struct{}
}

func newSinger(t *testing.T, m *engine.Model, i int, p sample.Params, o engine.GenerateOptions) *singer {
	t.Helper()
	o.Together = true
	s := &singer{prompt: togetherPrompts[i], params: p, o: o, ctx: context.Background(), end: make(chan struct{})}
	s.session, s.sampler = read(t, m, m.Tokenizer().Encode(s.prompt, true)), newSampler(t, p)
	return s
}

// sing begins; each is called with the number of tokens so far, and its error ends the text.
func (s *singer) sing(each func(n int) error) {
	s.sampler.Watch(func(id int) {
		s.ids = append(s.ids, id)
		if s.note != nil {
			s.note()
		}
	})
	go func() {
		defer close(s.end)
		s.r, s.err = s.session.Generate(s.ctx, s.sampler, s.o, func(string) error { return each(len(s.ids)) })
	}()
}

// check compares a text that has ended, well or by a stop, with what the session alone would have chosen.
func (s *singer) check(t *testing.T, m *engine.Model) {
	t.Helper()
	<-s.end
	prompt := m.Tokenizer().Encode(s.prompt, true)
	if len(s.ids) == 0 || s.r.Tokens != len(s.ids) || s.session.Tokens() != len(prompt)+len(s.ids) {
		t.Errorf("%q: %+v, %v; %d ids, the session counts %d", s.prompt, s.r, s.err, len(s.ids), s.session.Tokens())
		return
	}
	checkChoices(t, m, s.prompt, newSampler(t, s.params), s.ids)
	alone := read(t, m, append(prompt, s.ids...))
	if f := far(logits(t, s.session), logits(t, alone)); !(f < 1e-3) {
		t.Errorf("%q: the session's logits differ by %.2g of their RMS", s.prompt, f)
	}
}

// TestChorus: sessions come to those that write, at any token, and leave apart: by their end, a stop, an error. Each
// writes what it would write alone; each gets a token while every other gets one; nothing of the device's memory is kept.
func TestChorus(t *testing.T) {
	m := openFS(t, demoFloats, ".", options(t))
	before := m.Memory()
	t.Run("texts", func(t *testing.T) {
		broken := errors.New("broken pipe")
		params := []sample.Params{{}, {Temperature: 0.8, TopP: 0.9, Seed: 3}, {Temperature: 0.7, TopK: 20, RepeatPenalty: 1.1, Seed: 4}, {}, {Temperature: 1, Seed: 5}}
		lengths := []int{200, 60, 60, 200, 60}
		var list []*singer
		for i, p := range params {
			list = append(list, newSinger(t, m, i, p, engine.GenerateOptions{Max: lengths[i], IgnoreEOS: true}))
		}
		ctx, cancel := context.WithCancel(context.Background())
		list[3].ctx = ctx
		var mu sync.Mutex
		var order []int
		var each func(i int) func(n int) error
		each = func(i int) func(n int) error {
			next := i + 1
			return func(n int) error {
				mu.Lock()
				order = append(order, i)
				mu.Unlock()
				switch {
				case next < len(list) && n >= 9+i: // the next comes amid this one
					list[next].sing(each(next))
					next = len(list)
				case i == 2 && n >= 40:
					return broken
				case i == 3 && n >= 50:
					cancel()
				}
				return nil
			}
		}
		list[0].sing(each(0))
		for _, s := range list {
			s.check(t, m)
		}
		for _, i := range []int{0, 1, 4} {
			if r := list[i].r; list[i].err != nil || r.Reason != engine.ReasonLength || r.Tokens != lengths[i] || r.Text == "" {
				t.Errorf("%d: %+v, %v", i, r, list[i].err)
			}
		}
		if s := list[2]; !errors.Is(s.err, broken) || s.r.Reason != "" || len(s.ids) > 45 {
			t.Errorf("the broken one: %+v, %v", s.r, s.err)
		}
		if s := list[3]; !errors.Is(s.err, context.Canceled) || s.r.Reason != engine.ReasonCancelled || len(s.ids) > 55 {
			t.Errorf("the stopped one: %+v, %v", s.r, s.err)
		}
		if at := slices.Index(order, 4); at < 0 || !slices.Contains(order[at:], 0) {
			t.Errorf("the first had ended before the last began: %v", order)
		} else if turns := switches(order[at:]); turns < 60 {
			t.Errorf("the texts were written one after another: %v", order)
		}
	})
	after := m.Memory()
	after.Peak, before.Peak = 0, 0
	if !reflect.DeepEqual(after, before) {
		t.Errorf("after the sessions were closed\n%+v\nbefore they were opened\n%+v", after, before)
	}
}

// switches is how often the next is another.
func switches(order []int) (n int) {
	for i := range len(order) - 1 {
		if order[i] != order[i+1] {
			n++
		}
	}
	return n
}

// TestChorusNoRoom: where the group has no room for all, as where memory is short, the others write in turns with it, and
// every text is as alone.
func TestChorusNoRoom(t *testing.T) {
	o := options(t)
	o.Chunk = 2 // a group has no more slots than a chunk tokens
	m := openFS(t, demoFloats, ".", o)
	var list []*singer
	begin := make(chan struct{})
	for i := range 4 {
		list = append(list, newSinger(t, m, i, sample.Params{Temperature: float32(i) / 2, Seed: 1}, engine.GenerateOptions{Max: 40, IgnoreEOS: true}))
	}
	var mu sync.Mutex
	var order []int
	for i, s := range list {
		s.sing(func(n int) error {
			<-begin
			mu.Lock()
			defer mu.Unlock()
			order = append(order, i)
			return nil
		})
	}
	close(begin)
	for i, s := range list {
		s.check(t, m)
		if s.err != nil || s.r.Reason != engine.ReasonLength {
			t.Errorf("%d: %+v, %v", i, s.r, s.err)
		}
	}
	if switches(order) < 60 {
		t.Errorf("the texts were written one after another: %v", order)
	}
}

// TestChorusReads: while one reads a long prompt, those that write get a token for each of its chunks, alone and in a
// group. (While the group is made, more chunks may pass: the reader begins when all write in it.)
func TestChorusReads(t *testing.T) {
	m := demo(t)
	for _, writers := range []int{1, 2} {
		t.Run(fmt.Sprint(writers), func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			var mu sync.Mutex
			var order []int // -1 is a chunk
			together := make(chan struct{})
			once := sync.OnceFunc(func() { close(together) })
			note := func(what int) {
				mu.Lock()
				defer mu.Unlock()
				if order = append(order, what); switches(order) >= 6*(writers-1) {
					once()
				}
			}
			var list []*singer
			for i := range writers {
				s := newSinger(t, m, i, sample.Params{Temperature: 1}, engine.GenerateOptions{IgnoreEOS: true})
				s.ctx, s.note = ctx, func() { note(i) }
				list = append(list, s)
			}
			for _, s := range list {
				s.sing(func(int) error { return nil })
			}
			<-together
			reader := newSession(t, m)
			const chunks = 20
			if err := reader.Feed(ctx, prose(m, chunks*m.Chunk()), func(int, int) { note(-1) }); err != nil {
				t.Fatal(err)
			}
			mu.Lock()
			first, last := slices.Index(order, -1), len(order)-1
			for order[last] != -1 {
				last--
			}
			amid := slices.Clone(order[first : last+1])
			mu.Unlock()
			cancel()
			for _, s := range list {
				<-s.end
			}
			most, now := 0, 0
			for _, what := range amid {
				if now++; what == 0 {
					now = 0
				} else if what != -1 {
					now--
				}
				most = max(most, now)
			}
			if most > 2 { // one, and another that was noted a moment early
				t.Errorf("%d chunks were read between two tokens: %v", most, amid)
			}
		})
	}
}

// TestChorusClose: a model that is closed ends what is written.
func TestChorusClose(t *testing.T) {
	m := openFS(t, demoFloats, ".", options(t))
	var list []*singer
	var begun sync.WaitGroup
	for i := range 3 {
		s := newSinger(t, m, i, sample.Params{Temperature: 1}, engine.GenerateOptions{IgnoreEOS: true})
		list = append(list, s)
		begun.Add(1)
		once := sync.OnceFunc(begun.Done)
		s.sing(func(n int) error {
			if n > 20 {
				once()
			}
			return nil
		})
	}
	begun.Wait()
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	for i, s := range list {
		select {
		case <-s.end:
		case <-time.After(10 * time.Second):
			t.Fatalf("%d writes on", i)
		}
		if !errors.Is(s.err, engine.ErrClosed) || s.r.Text == "" || s.r.Reason != "" {
			t.Errorf("%d: %+v, %v", i, s.r, s.err)
		}
	}
}

// TestChorusEmpty: a session that has read nothing says so, and does not disturb.
func TestChorusEmpty(t *testing.T) {
	m := demo(t)
	s := newSinger(t, m, 0, sample.Params{}, engine.GenerateOptions{Max: 60, IgnoreEOS: true})
	var err error
	s.sing(func(n int) error {
		if n == 5 {
			_, err = newSession(t, m).Generate(context.Background(), newSampler(t, sample.Params{}), engine.GenerateOptions{Together: true}, nil)
		}
		return nil
	})
	s.check(t, m)
	if !errors.Is(err, engine.ErrEmptyPrompt) {
		t.Error(err)
	}
}

// BenchmarkChorus is what several texts take side by side and one after another: of the built-in model, whose steps are
// short, and of the size of mamba-130m.
func BenchmarkChorus(b *testing.B) {
	o := engine.Options{CacheDir: cacheDir}
	small := openFS(b, demoFloats, ".", o)
	large, err := engine.OpenRandom(context.Background(), "mamba-130m", "q8_0", o)
	if err != nil {
		b.Fatal(err)
	}
	defer large.Close()
	for _, c := range []struct {
		name   string
		m      *engine.Model
		tokens int
	}{{"demo", small, 100}, {"130m", large, 16}} {
		for _, n := range []int{1, 2, 4} {
			var sessions []*engine.Session
			for range n {
				sessions = append(sessions, read(b, c.m, []int{20, 21, 22}))
			}
			write := func(i int, together bool) {
				_, err := sessions[i].Generate(context.Background(), newSampler(b, sample.Params{Temperature: 0.7, TopP: 0.9, Seed: uint64(i)}),
					engine.GenerateOptions{Max: c.tokens, IgnoreEOS: true, Together: together}, nil)
				if err != nil {
					b.Error(err)
				}
			}
			rate := func(b *testing.B) { b.ReportMetric(float64(n*c.tokens*b.N)/b.Elapsed().Seconds(), "tokens/s") }
			b.Run(fmt.Sprint(c.name, "/", n, "/after"), func(b *testing.B) {
				for b.Loop() {
					for i := range n {
						write(i, false)
					}
				}
				rate(b)
			})
			b.Run(fmt.Sprint(c.name, "/", n, "/beside"), func(b *testing.B) {
				for b.Loop() {
					var group sync.WaitGroup
					for i := range n {
						group.Go(func() { write(i, true) })
					}
					group.Wait()
				}
				rate(b)
			})
		}
	}
}
