package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kestrel/assets"
	"kestrel/engine"
	"kestrel/engine/chat"
	"kestrel/engine/checkpoint"
	"kestrel/engine/sample"
	"kestrel/engine/tokenizer"
	"kestrel/engine/vulkan"
)

// fakeEngine plays a model whose answers are written down.
type fakeEngine struct {
	devices   []vulkan.DeviceInfo
	deviceErr error
	openErr   error
	feedErr   error
	trained   int
	template  string

	// reply gives what the model writes after a text
	reply func(read string) string
	// wait is closed by the test, or a context's end, once so many tokens of an
	// answer are out; 0: never waits
	wait    int
	waiting chan struct{} // gets a value when it waits

	mu     sync.Mutex
	opened []string
	o      engine.Options
	fed    []string // what each Feed read
	states map[string]*fakeState
}

var demo = sync.OnceValues(func() (*tokenizer.Tokenizer, error) {
	data, err := fs.ReadFile(assets.Demo(), "tokenizer.json")
	if err != nil {
		return nil, err
	}
	return tokenizer.FromJSON(data)
})

func demoTokenizer(t testing.TB) *tokenizer.Tokenizer {
	t.Helper()
	tok, err := demo()
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func (e *fakeEngine) Devices(bool) ([]vulkan.DeviceInfo, error) { return e.devices, e.deviceErr }

func (e *fakeEngine) Open(_ context.Context, name string, o engine.Options) (Model, error) {
	e.opened, e.o = append(e.opened, name), o
	if e.openErr != nil {
		return nil, e.openErr
	}
	tok, err := demo()
	if err != nil {
		return nil, err
	}
	return &fakeModel{e, tok}, nil
}

func (e *fakeEngine) LoadState(path string) (State, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	if s := e.states[path]; s != nil {
		return s, nil
	}
	return nil, fmt.Errorf("%s: %w", path, engine.ErrStateMismatch)
}

type fakeModel struct {
	e   *fakeEngine
	tok *tokenizer.Tokenizer
}

func (m *fakeModel) Name() string { return "fake" }
func (m *fakeModel) Config() checkpoint.Config {
	return checkpoint.Config{Vocab: m.tok.VocabSize(), MaxTrained: m.e.trained, EOS: []int{m.end()}}
}

// end is the id that ends an answer.
func (m *fakeModel) end() int {
	id, ok := m.tok.ID("<|im_end|>")
	if !ok {
		panic("the built-in tokenizer has no <|im_end|>")
	}
	return id
}
func (m *fakeModel) Files() checkpoint.Files         { return checkpoint.Files{} }
func (m *fakeModel) Tokenizer() *tokenizer.Tokenizer { return m.tok }
func (m *fakeModel) Template() *chat.Template {
	if m.e.template == "" {
		return chat.ChatML()
	}
	t, err := chat.NewTemplate(m.e.template, nil)
	if err != nil {
		panic(err)
	}
	return t
}
func (m *fakeModel) Device() vulkan.DeviceInfo {
	return vulkan.DeviceInfo{Name: "fake device", Type: vulkan.Software, Driver: "none", DriverVersion: "1.0"}
}
func (m *fakeModel) Memory() vulkan.MemoryReport {
	return vulkan.MemoryReport{Total: 1000, Peak: 2000}
}
func (m *fakeModel) Chunk() int                                            { return 64 }
func (m *fakeModel) DecodeBytes() int64                                    { return 1 << 20 }
func (m *fakeModel) CopyBandwidth(context.Context, int64) (float64, error) { return 10, nil }
func (m *fakeModel) NewSession() (Session, error)                          { return &fakeSession{m: m}, nil }
func (m *fakeModel) Close() error                                          { return nil }

type fakeSession struct {
	m   *fakeModel
	ids []int
}

type fakeState struct {
	e   *fakeEngine
	ids []int
}

func (s *fakeState) Tokens() int  { return len(s.ids) }
func (s *fakeState) Bytes() int64 { return 100 }
func (s *fakeState) Save(path string) error {
	if s.e.states == nil {
		s.e.states = map[string]*fakeState{}
	}
	s.e.states[path] = s
	return os.WriteFile(path, []byte("state"), 0o600)
}

func (s *fakeSession) check(ids []int) error {
	for _, id := range ids {
		if id >= s.m.tok.VocabSize() {
			return fmt.Errorf("token %d: %w", id, engine.ErrBadToken)
		}
	}
	if len(ids) == 0 {
		return engine.ErrEmptyPrompt
	}
	return s.m.e.feedErr
}

func (s *fakeSession) Feed(ctx context.Context, ids []int, progress func(done, total int)) error {
	if err := s.check(ids); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	s.m.e.mu.Lock()
	s.m.e.fed = append(s.m.e.fed, s.m.tok.Decode(ids))
	s.m.e.mu.Unlock()
	s.ids = append(s.ids, ids...)
	if progress != nil {
		progress(len(ids), len(ids))
	}
	return nil
}

// logits are high for the id that follows the last one.
func (s *fakeSession) logits(last int) []float32 {
	logits := make([]float32, s.m.tok.VocabSize())
	logits[(last+1)%len(logits)] = 5
	return logits
}

func (s *fakeSession) FeedAll(ctx context.Context, ids []int, each func(int, []float32) error) error {
	if err := s.Feed(ctx, ids, nil); err != nil {
		return err
	}
	for i, id := range ids {
		if err := each(i, s.logits(id)); err != nil {
			return err
		}
	}
	return nil
}

func (s *fakeSession) Logits(context.Context) ([]float32, error) {
	return s.logits(s.ids[len(s.ids)-1]), nil
}

func (s *fakeSession) Next(_ context.Context, sampler *sample.Sampler) (int, error) {
	id, err := sampler.Sample(s.logits(s.ids[len(s.ids)-1]))
	if err != nil {
		return 0, err
	}
	sampler.Accept(id)
	s.ids = append(s.ids, id)
	return id, nil
}

func (s *fakeSession) Generate(ctx context.Context, sampler *sample.Sampler, o engine.GenerateOptions, emit func(string) error) (engine.Result, error) {
	r := engine.Result{FirstToken: time.Millisecond, Duration: time.Second}
	ids := append(s.m.tok.Encode(s.m.e.reply(s.m.tok.Decode(s.ids)), false), s.m.end())
	for _, id := range ids {
		if s.m.e.wait > 0 && r.Tokens >= s.m.e.wait {
			s.m.e.waiting <- struct{}{}
			<-ctx.Done()
		}
		if ctx.Err() != nil {
			r.Reason = engine.ReasonCancelled
			return r, ctx.Err()
		}
		if o.Max > 0 && r.Tokens == o.Max {
			r.Reason = engine.ReasonLength
			return r, nil
		}
		sampler.Accept(id)
		s.ids = append(s.ids, id)
		r.Tokens++
		if id == s.m.end() {
			r.Reason = engine.ReasonStop
			return r, nil
		}
		piece := s.m.tok.Decode([]int{id})
		if len(o.StopStrings) > 0 && slices.Contains(o.StopStrings, piece) {
			r.Reason = engine.ReasonStopString
			return r, nil
		}
		r.Text += piece
		if emit != nil {
			if err := emit(piece); err != nil {
				return r, err
			}
		}
	}
	return r, nil
}

func (s *fakeSession) Tokens() int  { return len(s.ids) }
func (s *fakeSession) Reset() error { s.ids = nil; return nil }
func (s *fakeSession) State(context.Context) (State, error) {
	return &fakeState{s.m.e, slices.Clone(s.ids)}, nil
}
func (s *fakeSession) SetState(_ context.Context, t State) error {
	s.ids = slices.Clone(t.(*fakeState).ids)
	return nil
}
func (s *fakeSession) Stats() vulkan.Stats { return vulkan.Stats{Dispatches: 27} }
func (s *fakeSession) Profile() []vulkan.KernelTime {
	return []vulkan.KernelTime{{Name: "gemv", Count: 2, Total: time.Millisecond}, {Name: "scan", Count: 1, Total: 3 * time.Millisecond}}
}
func (s *fakeSession) Close() error { return nil }

// result is what a run printed and returned.
type result struct {
	code     int
	out, err string
}

// call runs the command line over a fake engine, or the one in sys.
func call(t testing.TB, sys IO, input string, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	sys.Out, sys.Err = &out, &errs
	if sys.In == nil {
		sys.In = strings.NewReader(input)
	}
	if sys.Getenv == nil {
		sys.Getenv = func(string) string { return "" }
	}
	code := Run(sys, args)
	return result{code, out.String(), errs.String()}
}

// fake is an engine that answers with text.
func fake(text string) *fakeEngine {
	return &fakeEngine{reply: func(string) string { return text }, waiting: make(chan struct{}, 100)}
}

var errFake = errors.New("the device is on fire")
