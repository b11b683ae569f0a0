package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"kestrel/assets"
	"kestrel/engine"
	"kestrel/engine/chat"
	"kestrel/engine/checkpoint"
	"kestrel/engine/sample"
	"kestrel/engine/tokenizer"
	"kestrel/engine/vulkan"
)

// Engine is what the commands need of the engine.
type Engine interface {
	Devices(validation bool) ([]vulkan.DeviceInfo, error)
	Open(ctx context.Context, name string, o engine.Options) (Model, error)
	LoadState(path string) (State, error)
}

// Model is an open model; see engine.Model.
type Model interface {
	Name() string
	Config() checkpoint.Config
	Files() checkpoint.Files
	Tokenizer() *tokenizer.Tokenizer
	Template() *chat.Template
	Device() vulkan.DeviceInfo
	Memory() vulkan.MemoryReport
	Chunk() int
	DecodeBytes() int64
	CopyBandwidth(ctx context.Context, n int64) (float64, error)
	NewSession() (Session, error)
	Close() error
}

// Session is a text's place in a model; see engine.Session.
type Session interface {
	Feed(ctx context.Context, ids []int, progress func(done, total int)) error
	FeedAll(ctx context.Context, ids []int, each func(pos int, logits []float32) error) error
	Logits(ctx context.Context) ([]float32, error)
	Next(ctx context.Context, s *sample.Sampler) (int, error)
	Generate(ctx context.Context, s *sample.Sampler, o engine.GenerateOptions, emit func(string) error) (engine.Result, error)
	Tokens() int
	Reset() error
	State(ctx context.Context) (State, error)
	SetState(ctx context.Context, t State) error
	Stats() vulkan.Stats
	Profile() []vulkan.KernelTime
	Close() error
}

// State is what a session remembers; see engine.State.
type State interface {
	Tokens() int
	Bytes() int64
	Save(path string) error
}

// vulkanEngine is the real one.
type vulkanEngine struct{}

func (vulkanEngine) Devices(validation bool) ([]vulkan.DeviceInfo, error) {
	return engine.Devices(validation)
}

func (vulkanEngine) Open(ctx context.Context, name string, o engine.Options) (Model, error) {
	var m *engine.Model
	var err error
	if name == builtin {
		m, err = engine.OpenFS(ctx, assets.Demo(), ".", o)
	} else if shape, precision, ok := randomModel(name); ok {
		m, err = engine.OpenRandom(ctx, shape, precision, o)
	} else if path, missing := locate(name); missing != nil {
		err = missing
	} else {
		m, err = engine.Open(ctx, path, o)
	}
	if err != nil {
		return nil, err
	}
	return vulkanModel{m, name}, nil
}

func (vulkanEngine) LoadState(path string) (State, error) { return engine.LoadState(path) }

type vulkanModel struct {
	*engine.Model
	opened string // what --model said
}

// Name is the model's own, or the one it was opened by.
func (m vulkanModel) Name() string {
	if name := m.Model.Name(); name != "" {
		return name
	}
	return filepath.Base(m.opened)
}

func (m vulkanModel) NewSession() (Session, error) {
	s, err := m.Model.NewSession()
	if err != nil {
		return nil, err
	}
	return vulkanSession{s}, nil
}

type vulkanSession struct{ *engine.Session }

func (s vulkanSession) State(ctx context.Context) (State, error) { return s.Session.State(ctx) }

func (s vulkanSession) SetState(ctx context.Context, t State) error {
	state, ok := t.(*engine.State)
	if !ok {
		return fmt.Errorf("set state: a %T is no state of this engine", t)
	}
	return s.Session.SetState(ctx, state)
}

// builtin is the name of the model in the program itself.
const builtin = "demo"

// randomModel reads "random:SHAPE:PRECISION", a model of random weights; the precision is f16 where it is left out.
func randomModel(name string) (shape, precision string, ok bool) {
	rest, ok := strings.CutPrefix(name, "random:")
	shape, precision, _ = strings.Cut(rest, ":")
	if precision == "" {
		precision = "f16"
	}
	return shape, precision, ok
}

// openCheckpoint opens a model's files alone, without a device.
func openCheckpoint(name string) (*checkpoint.Checkpoint, error) {
	if name == builtin {
		return checkpoint.OpenFS(assets.Demo(), ".")
	}
	if shape, precision, ok := randomModel(name); ok {
		return checkpoint.OpenRandom(shape, precision)
	}
	path, err := locate(name)
	if err != nil {
		return nil, err
	}
	return checkpoint.Open(path)
}
