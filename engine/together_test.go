package engine_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"kestrel/engine"
	"kestrel/engine/sample"
)

var togetherPrompts = []string{"The sea", "Once upon a time there was a king who", "<|im_start|>user\nHello!<|im_end|>\n<|im_start|>assistant\n",
	"War and peace", "In the beginning of the year 1812"}

// together writes all prompts side by side; ids are those of each.
func together(t *testing.T, m *engine.Model, p sample.Params, o engine.GenerateOptions, prompts []string) (sessions []*engine.Session, ids [][]int, out []engine.Outcome) {
	t.Helper()
	var turns []engine.Turn
	ids = make([][]int, len(prompts))
	for i, prompt := range prompts {
		p.Seed = uint64(len(prompt))
		s := newSampler(t, p)
		s.Watch(func(id int) { ids[i] = append(ids[i], id) })
		session := read(t, m, m.Tokenizer().Encode(prompt, true))
		sessions = append(sessions, session)
		turns = append(turns, engine.Turn{Session: session, Sampler: s, Options: o})
	}
	out, err := m.GenerateTogether(context.Background(), turns)
	if err != nil {
		t.Fatal(err)
	}
	return sessions, ids, out
}

// TestTogether: each turn chooses what the session alone would choose after the same text, ends for the same reasons, and
// leaves its session behind its text; nothing depends on who writes beside.
func TestTogether(t *testing.T) {
	m := demo(t)
	ctx := context.Background()
	for name, p := range map[string]sample.Params{"greedy": {}, "sampled": {Temperature: 0.8, TopP: 0.9}, "penalized": {Temperature: 0.7, TopK: 20, RepeatPenalty: 1.1}} {
		t.Run(name, func(t *testing.T) {
			o := engine.GenerateOptions{Max: 24}
			sessions, ids, out := together(t, m, p, o, togetherPrompts)
			for i, prompt := range togetherPrompts {
				if out[i].Err != nil || out[i].Tokens != len(ids[i]) || sessions[i].Tokens() != len(m.Tokenizer().Encode(prompt, true))+len(ids[i]) {
					t.Fatalf("%q: %+v, %d ids, the session counts %d", prompt, out[i], len(ids[i]), sessions[i].Tokens())
				}
				p.Seed = uint64(len(prompt))
				checkChoices(t, m, prompt, newSampler(t, p), ids[i])
				// The session goes on from its own text.
				alone := read(t, m, append(m.Tokenizer().Encode(prompt, true), ids[i]...))
				if f := far(logits(t, sessions[i]), logits(t, alone)); !(f < 1e-3) {
					t.Errorf("%q: the session's logits differ by %.2g of their RMS", prompt, f)
				}
				_, apart, single := together(t, m, p, o, togetherPrompts[i:i+1])
				if !slices.Equal(apart[0], ids[i]) || single[0].Text != out[i].Text {
					t.Errorf("%q: beside others %q, alone in a group %q", prompt, out[i].Text, single[0].Text)
				}
			}
		})
	}
	t.Run("ends", func(t *testing.T) {
		_, ids, out := together(t, m, sample.Params{}, engine.GenerateOptions{Max: 400, StopStrings: []string{"."}}, togetherPrompts)
		for i, o := range out {
			want, err := read(t, m, m.Tokenizer().Encode(togetherPrompts[i], true)).Generate(ctx, newSampler(t, sample.Params{}),
				engine.GenerateOptions{Max: 400, StopStrings: []string{"."}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if o.Reason != want.Reason || o.Text != want.Text || len(ids[i]) != want.Tokens {
				t.Errorf("%q: %+v, alone %+v", togetherPrompts[i], o, want)
			}
		}
	})
}

// checkChoices follows ids from the prompt on, token by token, and compares each with the sampler's choice. Where the two
// differ, the choice must have hung on a rounding: the same choice is made from logits a little off.
func checkChoices(t *testing.T, m *engine.Model, prompt string, s *sample.Sampler, ids []int) {
	t.Helper()
	session := read(t, m, m.Tokenizer().Encode(prompt, true))
	for i, id := range ids {
		values := logits(t, session)
		want, err := s.Sample(values)
		if err != nil {
			t.Fatal(err)
		}
		if want != id {
			if !nearly(t, s, values, id) {
				t.Errorf("%q, token %d: %d, alone %d", prompt, i, id, want)
			}
			return
		}
		s.Accept(id)
		feed(t, session, []int{id})
	}
}

// nearly says whether a sampler chooses an id from logits that are off by no more than rounding makes them. Sample is the
// same at a place, however often it is asked.
func nearly(t *testing.T, s *sample.Sampler, logits []float32, id int) bool {
	t.Helper()
	r := rand.New(rand.NewPCG(1, uint64(id)))
	off := make([]float32, len(logits))
	for range 1000 {
		for i, v := range logits {
			off[i] = v + float32(r.Float64()*2-1)*5e-4
		}
		got, err := s.Sample(off)
		if err != nil {
			t.Fatal(err)
		}
		if got == id {
			return true
		}
	}
	return false
}

// TestNearly: an id that hangs on rounding is taken, another is not.
func TestNearly(t *testing.T) {
	logits := []float32{0, 1, 1.0004, -2, 0.9}
	if s := newSampler(t, sample.Params{}); !nearly(t, s, logits, 1) || nearly(t, s, logits, 4) {
		t.Error("greedy")
	}
	drawn, near := 0, 0
	for seed := range uint64(100) {
		s := newSampler(t, sample.Params{Temperature: 1, Seed: seed})
		got, err := s.Sample(logits)
		if err != nil {
			t.Fatal(err)
		}
		for id := range logits {
			if id != got && nearly(t, s, logits, id) {
				near++
			}
			drawn++
		}
	}
	if near > drawn/50 {
		t.Errorf("%d of %d ids that were not drawn nearly were", near, drawn)
	}
}

// TestTogetherEndsApart: a turn that fails, or ends early, leaves the others alone; a stop ends all with what was written.
func TestTogetherEndsApart(t *testing.T) {
	m := demo(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	broken := errors.New("broken pipe")
	var turns []engine.Turn
	said := make([]int, 4)
	for i := range 4 {
		turn := engine.Turn{Session: read(t, m, m.Tokenizer().Encode(togetherPrompts[i], true)), Sampler: newSampler(t, sample.Params{}),
			Options: engine.GenerateOptions{Max: 6 + 10*i, IgnoreEOS: true}}
		turn.Emit = func(string) error {
			said[i]++
			if i == 1 && said[i] == 3 {
				return broken
			}
			if i == 3 && said[i] == 12 {
				cancel()
			}
			return nil
		}
		turns = append(turns, turn)
	}
	out, err := m.GenerateTogether(ctx, turns)
	if err != nil {
		t.Fatal(err)
	}
	if out[0].Reason != engine.ReasonLength || out[0].Tokens != 6 || out[0].Err != nil {
		t.Errorf("the short one: %+v", out[0])
	}
	if !errors.Is(out[1].Err, broken) || out[1].Reason != "" {
		t.Errorf("the broken one: %+v", out[1])
	}
	for _, i := range []int{2, 3} {
		if o := out[i]; o.Reason != engine.ReasonCancelled || !errors.Is(o.Err, context.Canceled) || o.Text == "" {
			t.Errorf("stopped %d: %+v", i, o)
		}
	}
	for i, turn := range turns {
		prompt := m.Tokenizer().Encode(togetherPrompts[i], true)
		if turn.Session.Tokens() != len(prompt)+out[i].Tokens {
			t.Errorf("turn %d: the session counts %d, %d were read and %d written", i, turn.Session.Tokens(), len(prompt), out[i].Tokens)
		}
		if _, err := turn.Session.Next(context.Background(), newSampler(t, sample.Params{})); err != nil {
			t.Errorf("turn %d does not go on: %v", i, err)
		}
	}
}

// TestTogetherRefuses: nothing begins where a turn cannot.
func TestTogetherRefuses(t *testing.T) {
	m := demo(t)
	s, empty := read(t, m, []int{20, 21}), newSession(t, m)
	other := openFS(t, demoFloats, ".", options(t))
	g := newSampler(t, sample.Params{})
	for what, c := range map[string]struct {
		turns []engine.Turn
		want  error
	}{
		"the same session twice": {[]engine.Turn{{Session: s, Sampler: g}, {Session: s, Sampler: g}}, engine.ErrStateMismatch},
		"another model's":        {[]engine.Turn{{Session: read(t, other, []int{20}), Sampler: g}}, engine.ErrStateMismatch},
		"nothing read":           {[]engine.Turn{{Session: s, Sampler: g}, {Session: empty, Sampler: g}}, engine.ErrEmptyPrompt},
	} {
		if out, err := m.GenerateTogether(context.Background(), c.turns); !errors.Is(err, c.want) || out != nil {
			t.Errorf("%s: %v, %v", what, out, err)
		}
	}
	if out, err := m.GenerateTogether(context.Background(), nil); len(out) != 0 || err != nil {
		t.Errorf("no turns: %v, %v", out, err)
	}
	if s.Tokens() != 2 {
		t.Errorf("a refused turn moved on to %d tokens", s.Tokens())
	}
}
