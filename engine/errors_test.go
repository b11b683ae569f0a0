package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"kestrel/engine"
	"kestrel/engine/checkpoint"
	"kestrel/engine/checkpoint/checkpointtest"
	"kestrel/engine/sample"
	"kestrel/engine/weights"
)

// TestBadTokens: nothing is read of what holds a bad id, or of nothing.
func TestBadTokens(t *testing.T) {
	m := demo(t)
	ctx := context.Background()
	s := newSession(t, m)
	sampler := newSampler(t, sample.Params{})
	vocab := m.Config().Vocab
	for _, c := range []struct {
		ids  []int
		kind error
		says string
	}{
		{nil, engine.ErrEmptyPrompt, "no tokens"},
		{[]int{}, engine.ErrEmptyPrompt, "no tokens"},
		{[]int{-1}, engine.ErrBadToken, "-1"},
		{[]int{1, 2, vocab}, engine.ErrBadToken, fmt.Sprint(vocab)},
		{append(prose(m, 300), math.MaxInt), engine.ErrBadToken, "token 300 of 301"},
		{[]int{math.MinInt}, engine.ErrBadToken, fmt.Sprint(math.MinInt)},
	} {
		for name, call := range map[string]func() error{
			"Feed":    func() error { return s.Feed(ctx, c.ids, nil) },
			"FeedAll": func() error { return s.FeedAll(ctx, c.ids, func(int, []float32) error { return nil }) },
		} {
			if err := call(); !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) || s.Tokens() != 0 {
				t.Errorf("%s of %d ids: %v, %d tokens read", name, len(c.ids), err, s.Tokens())
			}
		}
	}
	if _, err := s.Next(ctx, sampler); !errors.Is(err, engine.ErrEmptyPrompt) {
		t.Errorf("Next of nothing: %v", err)
	}
	if _, err := s.Logits(ctx); !errors.Is(err, engine.ErrEmptyPrompt) {
		t.Errorf("Logits of nothing: %v", err)
	}
	if r, err := s.Generate(ctx, sampler, engine.GenerateOptions{Max: 3}, nil); !errors.Is(err, engine.ErrEmptyPrompt) || r.Reason != "" {
		t.Errorf("Generate of nothing: %+v, %v", r, err)
	}
	feed(t, s, []int{0, vocab - 1})
}

// TestClosed: a session or model that was closed refuses every call, and what else is open goes on.
func TestClosed(t *testing.T) {
	ctx := context.Background()
	m, err := engine.OpenFS(ctx, small(t, 1), ".", options(t))
	if err != nil {
		t.Fatal(err)
	}
	open := func() *engine.Session {
		s, err := m.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		feed(t, s, []int{1, 2, 3})
		return s
	}
	a, b := open(), open()
	kept := state(t, a)
	refuses := func(what string, s *engine.Session) {
		t.Helper()
		sampler := newSampler(t, sample.Params{})
		warm := newSampler(t, sample.Params{Temperature: 1})
		top := newSampler(t, sample.Params{Temperature: 1, TopK: 5})
		for name, call := range map[string]func() error{
			"Feed":             func() error { return s.Feed(ctx, []int{1, 2}, nil) },
			"Feed of one":      func() error { return s.Feed(ctx, []int{1}, nil) },
			"FeedAll":          func() error { return s.FeedAll(ctx, []int{1, 2}, func(int, []float32) error { return nil }) },
			"Logits":           func() error { _, err := s.Logits(ctx); return err },
			"Next":             func() error { _, err := s.Next(ctx, sampler); return err },
			"Next at random":   func() error { _, err := s.Next(ctx, warm); return err },
			"Next of the best": func() error { _, err := s.Next(ctx, top); return err },
			"Generate":         func() error { _, err := s.Generate(ctx, sampler, engine.GenerateOptions{}, nil); return err },
			"State":            func() error { _, err := s.State(ctx); return err },
			"SetState":         func() error { return s.SetState(ctx, kept) },
			"Reset":            s.Reset,
			"Close":            s.Close,
		} {
			if err := call(); !errors.Is(err, engine.ErrClosed) {
				t.Errorf("%s on %s: %v", name, what, err)
			}
		}
		s.Stats()
		s.Profile()
		if s.Tokens() != 3 {
			t.Errorf("%s counts %d tokens", what, s.Tokens())
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	refuses("a closed session", a)
	greedy(t, b, 2)
	setState(t, b, kept)
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	refuses("a session of a closed model", b)
	refuses("a closed session of a closed model", a)
	if _, err := m.NewSession(); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("new session: %v", err)
	}
	if _, err := m.CopyBandwidth(ctx, 1<<20); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("bandwidth: %v", err)
	}
	if err := m.Close(); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("closed twice: %v", err)
	}
	if n := len(m.Memory().Buffers); n != 0 || len(m.Heaps()) == 0 || m.Device().Name == "" || m.Tokenizer() == nil {
		t.Errorf("%d buffers are left", n)
	}
}

// TestCloseWhileAtWork: closing a model under a session that reads in another goroutine ends the reading.
func TestCloseWhileAtWork(t *testing.T) {
	ctx := context.Background()
	o := options(t)
	o.Chunk = 16
	m, err := engine.OpenFS(ctx, demoFloats, ".", o)
	if err != nil {
		t.Fatal(err)
	}
	s, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	ids, begun, ended := prose(m, 4000), make(chan bool), make(chan error)
	go func() {
		ended <- s.Feed(ctx, ids, func(done, _ int) {
			if done == 32 {
				close(begun)
			}
		})
	}()
	<-begun
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, engine.ErrClosed) {
		t.Errorf("the reading ended with %v", err)
	}
}

// TestTooLong: a prompt that the device cannot read in one piece names the other way, and leaves the session as it was.
func TestTooLong(t *testing.T) {
	o := options(t)
	o.Prefill = engine.Parallel
	m := openFS(t, small(t, 1), ".", o)
	s := read(t, m, []int{1, 2, 3})
	before := state(t, s)
	lim := m.Device().Limits
	n := min(lim.MaxGroups[0], lim.MaxGroups[1]) + 1
	if n > 1<<20 {
		t.Skipf("%s takes %d tokens", m.Device().Name, n)
	}
	err := s.Feed(context.Background(), make([]int, n), nil)
	if !errors.Is(err, engine.ErrTooLong) || !strings.Contains(err.Error(), "chunked") {
		t.Errorf("%d tokens in one piece: %v", n, err)
	}
	equal(t, "after a prompt too long", state(t, s), before)
	o.Chunk = n
	if m, err := engine.OpenFS(context.Background(), small(t, 1), ".", o); err == nil || !strings.Contains(err.Error(), "smaller chunks") {
		t.Errorf("chunks of %d tokens: %v, %v", n, m, err)
	}
}

func TestUnknownDevice(t *testing.T) {
	o := options(t)
	for _, name := range []string{"no such device", "99", "-1"} {
		o.Device = name
		m, err := engine.OpenFS(context.Background(), small(t, 1), ".", o)
		if !errors.Is(err, engine.ErrNoDevice) || m != nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), demo(t).Device().Name) {
			t.Errorf("device %q: %v", name, err)
		}
	}
}

// damaged is a random model with a number in the tensor that is none.
func damaged(t *testing.T, layer int, role string, value float32) fstest.MapFS {
	t.Helper()
	m := checkpointtest.Random(1, checkpointtest.Small(checkpoint.FalconMamba))
	m.Find(layer, role).Values[1] = value
	return withTokenizer(t, m.HF(checkpointtest.All(weights.F32)))
}

// TestNotANumber: weights that are no numbers are named when the model is opened, and logits that are none are an error,
// however the next token is chosen.
func TestNotANumber(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		role  string
		value float32
	}{
		{"backbone.norm_f.weight", nan}, {"mixer.in_proj.weight", nan}, {"mixer.D", inf}, {"mixer.A_log", nan}, {"mixer.conv1d.weight", nan},
	} {
		var warned warnings
		o := options(t)
		o.Warn = warned.add
		m := openFS(t, damaged(t, 1, c.role, c.value), ".", o)
		lines := warned.take()
		if len(lines) != 1 || !strings.Contains(lines[0], c.role) || !strings.Contains(lines[0], "safetensors") || !strings.Contains(lines[0], "NaN") {
			t.Errorf("%v in %s: warnings %q", c.value, c.role, lines)
		}
		s := read(t, m, []int{1, 2, 3})
		for _, p := range []sample.Params{{}, {Temperature: 1}, {Temperature: 1, TopK: 5}, {RepeatPenalty: 1.1}} {
			if id, err := s.Next(context.Background(), newSampler(t, p)); !errors.Is(err, engine.ErrNotFinite) {
				t.Errorf("%v in %s, %+v: chose %d, %v", c.value, c.role, p, id, err)
			}
		}
		r, err := s.Generate(context.Background(), newSampler(t, sample.Params{}), engine.GenerateOptions{Max: 3}, nil)
		if !errors.Is(err, engine.ErrNotFinite) || r.Tokens != 0 || s.Tokens() != 3 {
			t.Errorf("%v in %s: %+v, %v", c.value, c.role, r, err)
		}
		for _, line := range warned.take() {
			t.Errorf("%v in %s: unexpected warning: %s", c.value, c.role, line)
		}
	}
}

// TestTokenizer: a model without one is refused, and so is one with one that cannot be read.
func TestTokenizer(t *testing.T) {
	ctx := context.Background()
	none, bad, noMerges, other := small(t, 1), small(t, 1), small(t, 1), small(t, 1)
	delete(none, "tokenizer.json")
	bad["tokenizer.json"] = &fstest.MapFile{Data: []byte("{")}
	noMerges["tokenizer.json"] = &fstest.MapFile{Data: []byte(`{"model": {"type": "BPE", "vocab": {"a": 0}}}`)}
	other["tokenizer.json"] = &fstest.MapFile{Data: []byte(`{"model": {"type": "Unigram", "vocab": [["a", 0]]}}`)}
	for _, c := range []struct {
		name  string
		files fstest.MapFS
		kind  error
	}{
		{"none", none, engine.ErrBadModel},
		{"bad JSON", bad, engine.ErrBadModel},
		{"no merges", noMerges, engine.ErrBadModel},
		{"of another kind", other, engine.ErrUnsupported},
	} {
		m, err := engine.OpenFS(ctx, c.files, ".", options(t))
		if m != nil || !errors.Is(err, c.kind) || !strings.Contains(err.Error(), "tokenizer") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	path := filepath.Join(t.TempDir(), "bare.gguf")
	gguf := checkpointtest.Random(1, checkpointtest.Small(checkpoint.FalconMamba)).GGUF(checkpointtest.All(weights.F32), 3)
	if err := os.WriteFile(path, gguf, 0o600); err != nil {
		t.Fatal(err)
	}
	if m, err := engine.Open(ctx, path, options(t)); m != nil || !errors.Is(err, engine.ErrBadModel) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "vocabulary") {
		t.Errorf("GGUF without a vocabulary: %v", err)
	}
	if m, err := engine.Open(ctx, filepath.Join(t.TempDir(), "none"), options(t)); m != nil || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no model at all: %v", err)
	}
}

// TestTemplate: a chat template that cannot be read is told of, and ChatML serves.
func TestTemplate(t *testing.T) {
	for _, c := range []struct {
		name, template string
		warns          bool
	}{
		{"none", "", false},
		{"its own", "{% for m in messages %}[{{ m.content }}]{% endfor %}", false},
		{"broken", "{% for m in messages %}{{ m.content", true},
	} {
		files := small(t, 1)
		if c.template != "" {
			files["chat_template.jinja"] = &fstest.MapFile{Data: []byte(c.template)}
		}
		var warned warnings
		o := options(t)
		o.Warn = warned.add
		m := openFS(t, files, ".", o)
		lines := warned.take()
		if got := slices.ContainsFunc(lines, func(s string) bool { return strings.Contains(s, "ChatML") && strings.Contains(s, "template") }); got != c.warns || len(lines) > 1 {
			t.Errorf("%s: warnings %q", c.name, lines)
		}
		if chatML := strings.Contains(m.Template().Source(), "<|im_start|>"); chatML != (c.name != "its own") {
			t.Errorf("%s: the template is %q", c.name, m.Template().Source())
		}
		o.Warn, o.Validation = nil, false
		openFS(t, files, ".", o) // nobody to tell
	}
}

// TestCancelOpen: opening a model ends with its context, and leaves nothing open.
func TestCancelOpen(t *testing.T) {
	o := options(t)
	for k := range 12 {
		m, err := engine.OpenFS(after(k), demoFloats, ".", o)
		if m != nil || !errors.Is(err, context.Canceled) {
			t.Fatalf("stopped at %d: %v", k, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var told []engine.Progress
	o.Progress = func(p engine.Progress) {
		if told = append(told, p); p.Done > p.Total/2 {
			cancel()
		}
	}
	m, err := engine.OpenFS(ctx, demoFloats, ".", o)
	if m != nil || !errors.Is(err, context.Canceled) || len(told) == 0 || told[len(told)-1].Done > told[0].Total*9/10 {
		t.Errorf("stopped halfway: %v, progress %v", err, told)
	}
	told = nil
	whole := openFS(t, demoFloats, ".", o)
	for i, p := range told {
		if p.Stage != "load" || p.Total != told[0].Total || p.Done > p.Total || i > 0 && p.Done < told[i-1].Done {
			t.Errorf("progress %v", told)
			break
		}
	}
	if last := told[len(told)-1]; last.Done != last.Total {
		t.Errorf("%s was loaded with a progress of %v", whole.Name(), last)
	}
}
