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

	"kestrel/app/backend"
	"kestrel/assets"
	"kestrel/engine"
	"kestrel/engine/chat"
	"kestrel/engine/checkpoint"
	"kestrel/engine/kernel"
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
	apart    int
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

// Apart is how many answers were written without engine.GenerateOptions.Together.
func (e *Engine) Apart() int { e.mu.Lock(); defer e.mu.Unlock(); return e.apart }

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

// ErrFire is an error that a test can give.
var ErrFire = errors.New("the device is on fire")
