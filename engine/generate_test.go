package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"kestrel/engine"
	"kestrel/engine/sample"
)

// firstStop is what Stop should do, a character after the other.
func firstStop(stops []string, text string) (string, bool) {
	for end := range len(text) + 1 {
		from := -1
		for _, s := range stops {
			if s != "" && strings.HasSuffix(text[:end], s) && (from < 0 || end-len(s) < from) {
				from = end - len(s)
			}
		}
		if from >= 0 {
			return text[:from], true
		}
	}
	return text, false
}

// TestStop: a stop string is found, and nothing of it is passed on, in whatever pieces the text comes; and no text that
// cannot become one is held back.
func TestStop(t *testing.T) {
	for _, c := range []struct{ stops, pieces, passed []string }{
		{nil, []string{"a", "b"}, []string{"a", "b"}},
		{[]string{""}, []string{"a", "b"}, []string{"a", "b"}},
		{[]string{"xyz"}, []string{"a", "b"}, []string{"a", "b"}},
		{[]string{"bc"}, []string{"ab", "d", "e"}, []string{"a", "bd", "e"}},
		{[]string{"\nUser:"}, []string{"Hi.\n", "Us", "er", ": x"}, []string{"Hi."}},
		{[]string{"\nUser:"}, []string{"Hi.\n", "Us"}, []string{"Hi.", "\nUs"}},
		{[]string{"aab"}, []string{"a", "a", "a", "b"}, []string{"a"}},
		{[]string{"abcd", "c"}, []string{"abcd"}, []string{"ab"}},
		{[]string{"c", "abcd"}, []string{"abc", "d"}, []string{"ab"}},
		{[]string{"bc", "abc"}, []string{"xabc"}, []string{"x"}},
		{[]string{"世界"}, []string{"你好世", "界!"}, []string{"你好"}},
		{[]string{"stop"}, []string{"stop"}, nil},
	} {
		passed, found := engine.Stop(c.stops, c.pieces)
		if !slices.Equal(passed, c.passed) {
			t.Errorf("%q in %q: %q, want %q", c.stops, c.pieces, passed, c.passed)
		}
		if want, ok := firstStop(c.stops, strings.Join(c.pieces, "")); found != ok || strings.Join(passed, "") != want {
			t.Errorf("%q in %q: %q %v, want %q %v", c.stops, c.pieces, passed, found, want, ok)
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	text := func(n int) string {
		var b strings.Builder
		for range n {
			b.WriteByte("abc"[rng.IntN(3)])
		}
		return b.String()
	}
	for range 20_000 {
		var stops, pieces []string
		for range 1 + rng.IntN(3) {
			stops = append(stops, text(rng.IntN(5)))
		}
		for range rng.IntN(8) {
			pieces = append(pieces, text(rng.IntN(5)))
		}
		passed, found := engine.Stop(stops, pieces)
		want, ok := firstStop(stops, strings.Join(pieces, ""))
		if found != ok || strings.Join(passed, "") != want {
			t.Fatalf("%q in %q: %q %v, want %q %v", stops, pieces, passed, found, want, ok)
		}
	}
}

// told is a session after a prompt, with what the model says greedily: 48 tokens in which it does not stop.
type told struct {
	m     *engine.Model
	s     *engine.Session
	start *engine.State
	ids   []int
	text  string
}

func tell(t *testing.T) told {
	t.Helper()
	m := demo(t)
	s := read(t, m, m.Tokenizer().Encode("The captain looked at the sea and", true))
	start := state(t, s)
	ids := greedy(t, s, 48)
	setState(t, s, start)
	for _, stop := range m.StopIDs() {
		if slices.Contains(ids, stop) {
			t.Fatal("the model stops early: choose another prompt")
		}
	}
	return told{m, s, start, ids, m.Tokenizer().Decode(ids)}
}

// again generates from the same place.
func (g told) again(t *testing.T, ctx context.Context, o engine.GenerateOptions, emit func(string) error) (engine.Result, error) {
	t.Helper()
	setState(t, g.s, g.start)
	r, err := g.s.Generate(ctx, newSampler(t, sample.Params{}), o, emit)
	if got := g.s.Tokens() - g.start.Tokens(); got != r.Tokens {
		t.Errorf("the result counts %d tokens, the session %d", r.Tokens, got)
	}
	return r, err
}

func TestGenerateEnds(t *testing.T) {
	g := tell(t)
	across := g.text[9:15] // whatever it is, it begins and ends within tokens of this text
	late := g.text[40:70]  // several tokens
	never := "never said at all"
	after := func(n int) func(id int) bool { // says enough after n tokens, which it checks
		told := 0
		return func(id int) bool {
			if id != g.ids[told] {
				t.Errorf("token %d is told as %d, want %d", told, id, g.ids[told])
			}
			told++
			return told == n
		}
	}
	for _, c := range []struct {
		name   string
		o      engine.GenerateOptions
		text   string
		tokens int // -1: as many as it takes
		reason string
	}{
		{"max", engine.GenerateOptions{Max: 7}, g.m.Tokenizer().Decode(g.ids[:7]), 7, engine.ReasonLength},
		{"max of one", engine.GenerateOptions{Max: 1}, g.m.Tokenizer().Decode(g.ids[:1]), 1, engine.ReasonLength},
		{"stop id", engine.GenerateOptions{Max: 48, StopIDs: []int{-5, g.ids[20]}},
			g.m.Tokenizer().Decode(g.ids[:slices.Index(g.ids, g.ids[20])]), slices.Index(g.ids, g.ids[20]) + 1, engine.ReasonStop},
		{"stop id at once", engine.GenerateOptions{Max: 48, StopIDs: g.ids[:1]}, "", 1, engine.ReasonStop},
		{"stop string across tokens", engine.GenerateOptions{Max: 48, StopStrings: []string{never, across}},
			g.text[:strings.Index(g.text, across)], -1, engine.ReasonStopString},
		{"long stop string", engine.GenerateOptions{Max: 48, StopStrings: []string{late}}, g.text[:strings.Index(g.text, late)], -1, engine.ReasonStopString},
		{"stop string never said", engine.GenerateOptions{Max: 48, StopStrings: []string{never}}, g.text, 48, engine.ReasonLength},
		{"enough", engine.GenerateOptions{Max: 48, Enough: after(5)}, g.m.Tokenizer().Decode(g.ids[:5]), 5, engine.ReasonEnough},
		{"enough at the most", engine.GenerateOptions{Max: 5, Enough: after(5)}, g.m.Tokenizer().Decode(g.ids[:5]), 5, engine.ReasonEnough},
		{"enough later", engine.GenerateOptions{Max: 5, Enough: after(6)}, g.m.Tokenizer().Decode(g.ids[:5]), 5, engine.ReasonLength},
		{"enough, side by side", engine.GenerateOptions{Max: 48, Enough: after(9), Together: true}, g.m.Tokenizer().Decode(g.ids[:9]), 9, engine.ReasonEnough},
		{"stop string half said at the end", engine.GenerateOptions{Max: 48, StopStrings: []string{g.text[len(g.text)-9:] + never}}, g.text, 48, engine.ReasonLength},
	} {
		t.Run(c.name, func(t *testing.T) {
			var pieces []string
			r, err := g.again(t, context.Background(), c.o, func(text string) error { pieces = append(pieces, text); return nil })
			if err != nil || r.Text != c.text || r.Reason != c.reason || c.tokens >= 0 && r.Tokens != c.tokens {
				t.Errorf("%q, %d tokens, %s, %v; want %q, %d tokens, %s", r.Text, r.Tokens, r.Reason, err, c.text, c.tokens, c.reason)
			}
			if joined := strings.Join(pieces, ""); joined != r.Text || slices.Contains(pieces, "") {
				t.Errorf("emitted %q of %q", pieces, r.Text)
			}
			if r.FirstToken <= 0 || r.FirstToken > r.Duration || r.Duration > time.Minute {
				t.Errorf("first token after %v of %v", r.FirstToken, r.Duration)
			}
			if c.tokens < 0 && (r.Tokens >= len(g.ids) || len(g.m.Tokenizer().Decode(g.ids[:r.Tokens])) < len(c.text)) {
				t.Errorf("it took %d tokens", r.Tokens)
			}
		})
	}
}

// TestEndOfText: the model's own stop ids end the text, and do not where that is asked for.
func TestEndOfText(t *testing.T) {
	m := demo(t)
	s := read(t, m, m.Tokenizer().Encode("<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n", true))
	start := state(t, s)
	ctx := context.Background()
	r, err := s.Generate(ctx, newSampler(t, sample.Params{}), engine.GenerateOptions{}, nil) // without a bound
	if err != nil || r.Reason != engine.ReasonStop || r.Text == "" || strings.Contains(r.Text, "<|") {
		t.Fatalf("%+v, %v", r, err)
	}
	if s.Tokens() != start.Tokens()+r.Tokens {
		t.Errorf("%d tokens after a prompt of %d and a text of %d", s.Tokens(), start.Tokens(), r.Tokens)
	}
	setState(t, s, start)
	on, err := s.Generate(ctx, newSampler(t, sample.Params{}), engine.GenerateOptions{Max: r.Tokens + 5, IgnoreEOS: true}, nil)
	if err != nil || on.Reason != engine.ReasonLength || on.Tokens != r.Tokens+5 || !strings.HasPrefix(on.Text, r.Text) || strings.Contains(on.Text, "<|") {
		t.Errorf("%+v, %v; it begins %q", on, err, r.Text)
	}
	setState(t, s, start)
	both, err := s.Generate(ctx, newSampler(t, sample.Params{}), engine.GenerateOptions{Max: r.Tokens + 5, IgnoreEOS: true, StopIDs: m.StopIDs()}, nil)
	if err != nil || both.Reason != engine.ReasonStop || both.Text != r.Text {
		t.Errorf("%+v, %v; want the same as %+v", both, err, r)
	}
}

// TestWholeCharacters: whatever the model writes, the text comes in whole characters, and is what its ids stand for.
func TestWholeCharacters(t *testing.T) {
	m := demo(t)
	for seed := range uint64(4) {
		s := read(t, m, m.Tokenizer().Encode("…», 你好 😀😀", true))
		var ids []int
		sampler := newSampler(t, sample.Params{Temperature: 50, Seed: seed}) // any token is nearly as likely as any other
		sampler.Watch(func(id int) { ids = append(ids, id) })
		r, err := s.Generate(context.Background(), sampler, engine.GenerateOptions{Max: 60, IgnoreEOS: true}, func(text string) error {
			if !utf8.ValidString(text) {
				t.Errorf("%q was emitted", text)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		decoder, want := m.Tokenizer().NewDecoder(true), ""
		for _, id := range ids {
			want += decoder.Next(id)
		}
		if r.Text != want {
			t.Errorf("%q, want %q", r.Text, want)
		}
	}
}

// TestHalfACharacter: the model is made to begin a character that it does not end.
func TestHalfACharacter(t *testing.T) {
	m := demo(t)
	ids := m.Tokenizer().Encode("😀", false)
	if len(ids) < 2 || m.Tokenizer().Decode(ids) != "😀" {
		t.Fatalf("%v is no character in several tokens", ids)
	}
	s := read(t, m, prose(m, 4))
	begun := state(t, s)
	l := engine.Carried(begun).Logits
	clear(l)
	l[ids[0]] = 1
	generate := func(o engine.GenerateOptions) engine.Result {
		setState(t, s, begun)
		r, err := s.Generate(context.Background(), newSampler(t, sample.Params{}), o, nil)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := generate(engine.GenerateOptions{Max: 1}); r.Text != "" || r.Tokens != 1 || r.Reason != engine.ReasonLength {
		t.Errorf("cut off in a character: %+v", r)
	}
	follows := greedy(t, s, 1)
	if r := generate(engine.GenerateOptions{Max: 9, StopIDs: follows}); r.Text != "\uFFFD" || r.Tokens != 2 || r.Reason != engine.ReasonStop {
		t.Errorf("the model ends in a character: %+v", r)
	}
}

func TestEmitError(t *testing.T) {
	g := tell(t)
	full := errors.New("disk full")
	for after := range 4 {
		calls := 0
		r, err := g.again(t, context.Background(), engine.GenerateOptions{Max: 48, StopStrings: []string{g.text[:30] + "?", g.text[2:20] + "?"}},
			func(string) error {
				if calls++; calls > after {
					return full
				}
				return nil
			})
		if !errors.Is(err, full) || r.Reason != "" || calls != after+1 {
			t.Errorf("after %d pieces: reason %q, %v, emit was called %d times", after, r.Reason, err, calls)
		}
	}
}

// TestCancelGeneration: the text so far is kept, and the session can go on as if nothing had happened.
func TestCancelGeneration(t *testing.T) {
	g := tell(t)
	for _, after := range []int{0, 1, 5} {
		t.Run(fmt.Sprint(after), func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			if after == 0 {
				cancel()
			}
			pieces, text := 0, ""
			hold := g.m.Tokenizer().Decode(g.ids[3:6]) // held back when the stop comes, but said
			r, err := g.again(t, ctx, engine.GenerateOptions{Max: 48, StopStrings: []string{hold + "?"}}, func(s string) error {
				text += s
				if pieces++; pieces == after {
					cancel()
				}
				return nil
			})
			if err != context.Canceled || r.Reason != engine.ReasonCancelled {
				t.Fatalf("%+v, %v", r, err)
			}
			if want := g.m.Tokenizer().Decode(g.ids[:r.Tokens]); r.Text != want || text != want || after == 0 && r.Tokens != 0 {
				t.Errorf("%d tokens, text %q, emitted %q, want %q", r.Tokens, r.Text, text, want)
			}
			if rest := greedy(t, g.s, 10); !slices.Equal(rest, g.ids[r.Tokens:r.Tokens+10]) {
				t.Errorf("goes on %v, want %v", rest, g.ids[r.Tokens:r.Tokens+10])
			}
		})
	}
	t.Run("deadline", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
		defer cancel()
		start := time.Now()
		r, err := g.again(t, ctx, engine.GenerateOptions{IgnoreEOS: true}, nil)
		if err != context.DeadlineExceeded || r.Reason != engine.ReasonCancelled || time.Since(start) > 10*time.Second {
			t.Errorf("%+v, %v after %v", r, err, time.Since(start))
		}
	})
}
