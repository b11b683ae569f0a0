// Package backendtest plays an engine whose models answer what a test wrote
// down, read at a speed that it sets, and break when it says so. The tokenizer
// is the built-in model's.
//
// It does not compute anything: what a text leads to is Engine.Reply's word.
package backendtest

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"kestrel/app/backend"
	"kestrel/assets"
	"kestrel/engine"
	"kestrel/engine/chat"
	"kestrel/engine/checkpoint"
	"kestrel/engine/kernel"
	"kestrel/engine/sample"
	"kestrel/engine/tokenizer"
	"kestrel/engine/vulkan"
)

// ChunkTokens is the size of a fake model's chunk.
const ChunkTokens = 64

// StateBytes is the size that a fake state says it has.
const StateBytes = 100

// Engine is a backend.Engine. Its fields are set before it is used.
type Engine struct {
	DeviceList []vulkan.DeviceInfo
	DeviceErr  error
	OpenErr    error
	Trained    int           // Config.MaxTrained
	Template   string        // "" for ChatML
	Room       int           // sessions that there is memory for; 0: any number
	Memory     engine.Memory // what Estimate says of every model

	// Reply gives what a model writes after a text.
	Reply func(read string) string
	// Wait is after how many tokens an answer waits for its context's end, having
	// sent to Waiting; 0: never.
	Wait    int
	Waiting chan struct{}
	// Before, if set, is called before each chunk is read ("feed"), token is
	// written ("token"), state is taken or set ("state"), and before a model
	// opens ("open"). Its error ends what was to be done. It may block, and should
	// then watch ctx.
	Before func(ctx context.Context, op string) error

	mu       sync.Mutex
	opened   []string
	options  engine.Options
	fed      []string // what each Feed read
	tokens   int
	models   int
	sessions int
	most     int
}

var _ backend.Engine = (*Engine)(nil)

// New is an engine whose models answer with text.
func New(text string) *Engine {
	return &Engine{Reply: func(string) string { return text }, Waiting: make(chan struct{}, 100)}
}

// Opened lists the models that were opened, or should have been.
func (e *Engine) Opened() []string { e.mu.Lock(); defer e.mu.Unlock(); return slices.Clone(e.opened) }

// Options are those of the last Open.
func (e *Engine) Options() engine.Options { e.mu.Lock(); defer e.mu.Unlock(); return e.options }

// Fed lists what each Feed read.
func (e *Engine) Fed() []string { e.mu.Lock(); defer e.mu.Unlock(); return slices.Clone(e.fed) }

// FedTokens is how many tokens were read so far.
func (e *Engine) FedTokens() int { e.mu.Lock(); defer e.mu.Unlock(); return e.tokens }

// Alive is how many models and sessions are open, and the most sessions that
// ever were at once.
func (e *Engine) Alive() (models, sessions, most int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.models, e.sessions, e.most
}

func (e *Engine) before(ctx context.Context, op string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if e.Before == nil {
		return nil
	}
	return e.Before(ctx, op)
}

var demo = sync.OnceValues(func() (*tokenizer.Tokenizer, error) {
	ck, err := checkpoint.OpenBytes("demo", assets.Demo)
	if err != nil {
		return nil, err
	}
	defer ck.Close()
	return tokenizer.FromJSON(ck.Files.TokenizerJSON)
})

// Tokenizer is that of the fake models.
func Tokenizer(t testing.TB) *tokenizer.Tokenizer {
	t.Helper()
	tok, err := demo()
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// Devices is DeviceList.
func (e *Engine) Devices(bool) ([]vulkan.DeviceInfo, error) { return e.DeviceList, e.DeviceErr }

// Tune finds that everything is best as it is.
func (e *Engine) Tune(ctx context.Context, o engine.Options, progress func(done, total int)) (engine.Tuned, error) {
	progress(1, 1)
	return engine.Tuned{Device: "fake device", Driver: "none 1.0", Path: "tuning.json",
		Measured: kernel.Measured{Local: 8, Rows: map[string]int{"f16": 4, "q8_0": 2}, ThinRows: 4, ThinTokens: 2}}, ctx.Err()
}

// Estimate is Memory for every model.
func (e *Engine) Estimate(name string, o engine.Options) (engine.Memory, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.opened, e.options = append(e.opened, name), o
	return e.Memory, e.OpenErr
}

// Open opens a model of any name. Models of different names have different
// hashes.
func (e *Engine) Open(ctx context.Context, name string, o engine.Options) (backend.Model, error) {
	e.mu.Lock()
	e.opened, e.options = append(e.opened, name), o
	e.mu.Unlock()
	if e.OpenErr != nil {
		return nil, e.OpenErr
	}
	if err := e.before(ctx, "open"); err != nil {
		return nil, err
	}
	if o.Progress != nil {
		o.Progress(engine.Progress{Stage: "load", Done: 1000, Total: 1000})
	}
	tok, err := demo()
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	e.models++
	e.mu.Unlock()
	return &model{e: e, tok: tok, hash: sha256.Sum256([]byte(name))}, nil
}

// Describe is the same for every model.
func (e *Engine) Describe(string) (backend.Description, error) {
	return backend.Description{Name: "fake", Precision: "f16", Parameters: 1000, WeightBytes: 2000, StateBytes: StateBytes, ChatTemplate: true}, nil
}

// LoadState reads a file that a state was saved to.
func (e *Engine) LoadState(path string) (backend.State, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s, err := e.ReadState(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// ReadState reads what a state wrote. Else: engine.ErrBadState.
func (e *Engine) ReadState(r io.Reader) (backend.State, error) {
	var s state
	if err := json.NewDecoder(r).Decode(&s); err != nil {
		return nil, fmt.Errorf("%w: %w", engine.ErrBadState, err)
	}
	return &s, nil
}

type model struct {
	e    *Engine
	tok  *tokenizer.Tokenizer
	hash [32]byte

	mu     sync.Mutex
	closed bool
}

func (m *model) Name() string   { return "fake" }
func (m *model) Hash() [32]byte { return m.hash }
func (m *model) Config() checkpoint.Config {
	return checkpoint.Config{Vocab: m.tok.VocabSize(), MaxTrained: m.e.Trained, EOS: []int{m.end()}}
}

// end is the id that ends an answer.
func (m *model) end() int {
	id, ok := m.tok.ID("<|im_end|>")
	if !ok {
		panic("the built-in tokenizer has no <|im_end|>")
	}
	return id
}

func (m *model) Files() checkpoint.Files         { return checkpoint.Files{} }
func (m *model) Tokenizer() *tokenizer.Tokenizer { return m.tok }
func (m *model) Template() *chat.Template {
	if m.e.Template == "" {
		return chat.ChatML()
	}
	t, err := chat.NewTemplate(m.e.Template, nil)
	if err != nil {
		panic(err)
	}
	return t
}

func (m *model) Device() vulkan.DeviceInfo {
	return vulkan.DeviceInfo{Name: "fake device", Type: vulkan.Software, Driver: "none", DriverVersion: "1.0"}
}

func (m *model) Memory() vulkan.MemoryReport {
	return vulkan.MemoryReport{Total: 1000, Peak: 2000, Purposes: []vulkan.PurposeUse{
		{Purpose: vulkan.Weights, Buffers: 700, Allocated: 800, Blocks: 1}, {Purpose: vulkan.State, Buffers: 200, Allocated: 200, Blocks: 1},
	}}
}

func (m *model) Heaps() []vulkan.Heap {
	return []vulkan.Heap{{DeviceLocal: true, Size: 1 << 30, Budget: 1 << 29, Used: 1000, BudgetKnown: true}}
}
func (m *model) Chunk() int                                            { return ChunkTokens }
func (m *model) DecodeBytes() int64                                    { return 1 << 20 }
func (m *model) CopyBandwidth(context.Context, int64) (float64, error) { return 10, nil }
func (m *model) MeasurePeak(context.Context) (engine.Peak, error) {
	return engine.Peak{FMA: 2e12, Matrix: 8e12}, nil
}
func (m *model) PrefillFLOP(n, chunks int) float64 { return float64(n) * 1000 }
func (m *model) OnMatrixUnits() bool               { return m.e.Options().MatrixUnits == "on" }

func (m *model) NewSession() (backend.Session, error) {
	if m.gone() {
		return nil, engine.ErrClosed
	}
	m.e.mu.Lock()
	defer m.e.mu.Unlock()
	if m.e.Room > 0 && m.e.sessions >= m.e.Room {
		return nil, fmt.Errorf("state of a session: %w", engine.ErrOutOfDeviceMemory)
	}
	m.e.sessions++
	m.e.most = max(m.e.most, m.e.sessions)
	return &session{m: m}, nil
}

// GenerateTogether has the sessions write one after another, which none of them can tell.
func (m *model) GenerateTogether(ctx context.Context, turns []backend.Turn) ([]engine.Outcome, error) {
	out := make([]engine.Outcome, len(turns))
	for i, t := range turns {
		out[i].Result, out[i].Err = t.Session.Generate(ctx, t.Sampler, t.Options, t.Emit)
	}
	return out, nil
}

func (m *model) gone() bool { m.mu.Lock(); defer m.mu.Unlock(); return m.closed }

func (m *model) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return engine.ErrClosed
	}
	m.closed = true
	m.e.mu.Lock()
	m.e.models--
	m.e.mu.Unlock()
	return nil
}

type session struct {
	m      *model
	ids    []int
	busy   sync.Mutex // a session is for one goroutine at a time
	closed bool
}

// enter panics where two goroutines use a session at once.
func (s *session) enter() func() {
	if !s.busy.TryLock() {
		panic("backendtest: two goroutines use one session")
	}
	return s.busy.Unlock
}

type state struct {
	Model [32]byte
	IDs   []int
}

func (s *state) Tokens() int  { return len(s.IDs) }
func (s *state) Bytes() int64 { return StateBytes }
func (s *state) WriteTo(w io.Writer) (int64, error) {
	data, err := json.Marshal(s)
	if err != nil {
		return 0, err
	}
	n, err := w.Write(data)
	return int64(n), err
}

func (s *state) Save(path string) error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}

func (s *session) check(ids []int) error {
	if s.closed || s.m.gone() {
		return engine.ErrClosed
	}
	for _, id := range ids {
		if id < 0 || id >= s.m.tok.VocabSize() {
			return fmt.Errorf("token %d: %w", id, engine.ErrBadToken)
		}
	}
	if len(ids) == 0 {
		return engine.ErrEmptyPrompt
	}
	return nil
}

func (s *session) Feed(ctx context.Context, ids []int, progress func(done, total int)) error {
	defer s.enter()()
	return s.feed(ctx, ids, progress)
}

func (s *session) feed(ctx context.Context, ids []int, progress func(done, total int)) error {
	if err := s.check(ids); err != nil {
		return err
	}
	done := 0
	defer func() {
		if done == 0 {
			return
		}
		s.m.e.mu.Lock()
		s.m.e.fed = append(s.m.e.fed, s.m.tok.Decode(ids[:done]))
		s.m.e.tokens += done
		s.m.e.mu.Unlock()
	}()
	for done < len(ids) {
		if err := s.m.e.before(ctx, "feed"); err != nil {
			return err
		}
		n := min(ChunkTokens, len(ids)-done)
		s.ids = append(s.ids, ids[done:done+n]...)
		done += n
		if progress != nil {
			progress(done, len(ids))
		}
	}
	return nil
}

// logits are high for the id that follows the last one.
func (s *session) logits(last int) []float32 {
	logits := make([]float32, s.m.tok.VocabSize())
	logits[(last+1)%len(logits)] = 5
	return logits
}

func (s *session) FeedAll(ctx context.Context, ids []int, each func(int, []float32) error) error {
	defer s.enter()()
	if err := s.feed(ctx, ids, nil); err != nil {
		return err
	}
	for i, id := range ids {
		if err := each(i, s.logits(id)); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) Logits(context.Context) ([]float32, error) {
	defer s.enter()()
	return s.logits(s.ids[len(s.ids)-1]), nil
}

func (s *session) Next(_ context.Context, sampler *sample.Sampler) (int, error) {
	defer s.enter()()
	id, err := sampler.Sample(s.logits(s.ids[len(s.ids)-1]))
	if err != nil {
		return 0, err
	}
	sampler.Accept(id)
	s.ids = append(s.ids, id)
	return id, nil
}

func (s *session) Generate(ctx context.Context, sampler *sample.Sampler, o engine.GenerateOptions, emit func(string) error) (engine.Result, error) {
	defer s.enter()()
	r := engine.Result{FirstToken: time.Millisecond, Duration: time.Second}
	if s.closed || s.m.gone() {
		return r, engine.ErrClosed
	}
	ids := append(s.m.tok.Encode(s.m.e.Reply(s.m.tok.Decode(s.ids)), false), s.m.end())
	for i := 0; ; i++ {
		id := ids[i%len(ids)] // again and again where its end does not count
		if s.m.e.Wait > 0 && r.Tokens >= s.m.e.Wait {
			s.m.e.Waiting <- struct{}{}
			<-ctx.Done()
		}
		if o.Max > 0 && r.Tokens == o.Max {
			r.Reason = engine.ReasonLength
			return r, nil
		}
		if err := s.m.e.before(ctx, "token"); err != nil {
			if ctx.Err() != nil {
				r.Reason = engine.ReasonCancelled
			}
			return r, err
		}
		sampler.Accept(id)
		s.ids = append(s.ids, id)
		r.Tokens++
		if id == s.m.end() {
			if o.IgnoreEOS {
				continue
			}
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
		if o.Enough != nil && o.Enough(id) {
			r.Reason = engine.ReasonEnough
			return r, nil
		}
	}
}

func (s *session) Tokens() int { return len(s.ids) }

// IDs are the tokens read and written.
func (s *session) IDs() []int { return slices.Clone(s.ids) }

func (s *session) Reset() error {
	defer s.enter()()
	s.ids = nil
	return nil
}

func (s *session) State(ctx context.Context) (backend.State, error) {
	defer s.enter()()
	if err := s.m.e.before(ctx, "state"); err != nil {
		return nil, err
	}
	return &state{s.m.hash, slices.Clone(s.ids)}, nil
}

func (s *session) SetState(ctx context.Context, t backend.State) error {
	defer s.enter()()
	if err := s.m.e.before(ctx, "state"); err != nil {
		return err
	}
	from := t.(*state)
	if from.Model != s.m.hash {
		return engine.ErrStateMismatch
	}
	s.ids = slices.Clone(from.IDs)
	return nil
}

func (s *session) Stats() vulkan.Stats { return vulkan.Stats{Dispatches: 27} }
func (s *session) Profile() []vulkan.KernelTime {
	return []vulkan.KernelTime{{Name: "gemv", Count: 2, Total: time.Millisecond}, {Name: "scan", Count: 1, Total: 3 * time.Millisecond}}
}

func (s *session) Close() error {
	defer s.enter()()
	if s.closed {
		return engine.ErrClosed
	}
	s.closed = true
	s.m.e.mu.Lock()
	s.m.e.sessions--
	s.m.e.mu.Unlock()
	return nil
}

// ErrFire is an error that a test can give.
var ErrFire = errors.New("the device is on fire")
