package engine_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"kestrel/engine"
	"kestrel/engine/sample"
	"kestrel/engine/vulkan/vulkantest"
)

// demoFloats is the demo model in the precision it was trained in, of which the golden data is; the program's own is made of it.
var demoFloats = os.DirFS("../assets/demo")

// The pipelines that one test compiles serve the next. Compiled ones of the demo model stay open for all tests.
var (
	cacheDir string
	shared   struct {
		once  sync.Once
		model *engine.Model
		err   error
	}
)

func TestMain(m *testing.M) {
	if asSubprocess() {
		return
	}
	dir, err := os.MkdirTemp("", "kestrel-engine-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	cacheDir = dir
	code := m.Run()
	if shared.model != nil {
		shared.model.Close()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// warnings collects what Warn is told, the validation layer's messages among it.
type warnings struct {
	mu    sync.Mutex
	lines []string
}

// add takes a line. Of the layer's best practices only errors count, as in vulkantest.
func (w *warnings) add(line string) {
	if strings.HasPrefix(line, "vulkan warning") && strings.Contains(line, "BestPractices") {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, line)
}

func (w *warnings) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	lines := w.lines
	w.lines = nil
	return lines
}

// all is for models that tests share: what it holds at the end of a test fails that test.
var all warnings

func failOnWarnings(t testing.TB, w *warnings) {
	t.Helper()
	t.Cleanup(func() {
		for _, line := range w.take() {
			t.Errorf("unexpected warning: %s", line)
		}
	})
}

// options are those of every test: validated, on the test device, where any warning fails the test.
func options(t testing.TB) engine.Options {
	t.Helper()
	failOnWarnings(t, &all)
	return engine.Options{Device: os.Getenv(vulkantest.DeviceEnv), Validation: true, Warn: all.add, CacheDir: cacheDir,
		MatrixUnits: "off"} // which round to binary16: see TestMatrixUnits
}

// demo is the demo model in its floats, one for all tests that do not close it, with chunks of 64 tokens.
func demo(t testing.TB) *engine.Model {
	t.Helper()
	o := options(t)
	o.Chunk = 64
	shared.once.Do(func() { shared.model, shared.err = engine.OpenFS(context.Background(), demoFloats, ".", o) })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.model
}

func openFS(t testing.TB, fsys fs.FS, name string, o engine.Options) *engine.Model {
	t.Helper()
	m, err := engine.OpenFS(context.Background(), fsys, name, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func newSession(t testing.TB, m *engine.Model) *engine.Session {
	t.Helper()
	s, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// read gives a new session that has read ids.
func read(t testing.TB, m *engine.Model, ids []int) *engine.Session {
	t.Helper()
	s := newSession(t, m)
	feed(t, s, ids)
	return s
}

func feed(t testing.TB, s *engine.Session, ids []int) {
	t.Helper()
	if err := s.Feed(context.Background(), ids, nil); err != nil {
		t.Fatal(err)
	}
}

func newSampler(t testing.TB, p sample.Params) *sample.Sampler {
	t.Helper()
	s, err := sample.New(p)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// next takes n tokens.
func next(t testing.TB, s *engine.Session, sampler *sample.Sampler, n int) []int {
	t.Helper()
	var ids []int
	for range n {
		id, err := s.Next(context.Background(), sampler)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}

func greedy(t testing.TB, s *engine.Session, n int) []int {
	t.Helper()
	return next(t, s, newSampler(t, sample.Params{}), n)
}

func logits(t testing.TB, s *engine.Session) []float32 {
	t.Helper()
	l, err := s.Logits(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func state(t testing.TB, s *engine.Session) *engine.State {
	t.Helper()
	st, err := s.State(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func setState(t testing.TB, s *engine.Session, st *engine.State) {
	t.Helper()
	if err := s.SetState(context.Background(), st); err != nil {
		t.Fatal(err)
	}
}

// equal compares two texts' places in a model to the bit.
func equal(t testing.TB, what string, got, want *engine.State) {
	t.Helper()
	if got.Tokens() != want.Tokens() {
		t.Errorf("%s: %d tokens, want %d", what, got.Tokens(), want.Tokens())
	}
	g, w := engine.Carried(got), engine.Carried(want)
	if !slices.Equal(g.S, w.S) || !slices.Equal(g.Columns, w.Columns) || !slices.Equal(g.Logits, w.Logits) {
		t.Errorf("%s: the states differ", what)
	}
}

// overlay is a file system in which some files are others, or are missing where nil.
type overlay struct {
	fs.FS
	files map[string]fs.FS
}

func (o overlay) Open(name string) (fs.File, error) {
	f, ok := o.files[name]
	switch {
	case !ok:
		return o.FS.Open(name)
	case f == nil:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return f.Open(name)
}

// prose gives n ids of the model that read as text.
func prose(m *engine.Model, n int) []int {
	const text = "It was the best of times, it was the worst of times; the captain looked at the sea and said nothing. "
	ids := m.Tokenizer().Encode(strings.Repeat(text, n/16+1), false)
	return ids[:n]
}
