// Package backend is what the program needs of the engine: interfaces of
// models, sessions and states, and Vulkan, their implementation.
//
// The interfaces are here so that the command line and the window can be tested
// on package backendtest, whose models answer what a test wrote down. The names
// of models that a user gives are resolved here too: the built-in model, random
// weights, a path, or a name of the library.
//
// It does not provide conversations or documents; those are in app/dialog.
package backend

import (
	"context"
	"io"

	"kestrel/engine"
	"kestrel/engine/chat"
	"kestrel/engine/checkpoint"
	"kestrel/engine/sample"
	"kestrel/engine/tokenizer"
	"kestrel/engine/vulkan"
)

// Engine opens models. It is safe for concurrent use.
type Engine interface {
	Devices(validation bool) ([]vulkan.DeviceInfo, error)
	Open(ctx context.Context, name string, o engine.Options) (Model, error)
	// Estimate is what Open would allocate, without reading any weights.
	Estimate(name string, o engine.Options) (engine.Memory, error)
	// Tune measures how decoding is cut fastest on a device, and keeps it; see engine.Tune.
	Tune(ctx context.Context, o engine.Options, progress func(done, total int)) (engine.Tuned, error)
	// Describe says what a model's files hold, without a device.
	Describe(name string) (Description, error)
	LoadState(path string) (State, error)
	ReadState(r io.Reader) (State, error)
}

// Description of a model.
type Description struct {
	Name         string
	Precision    string // types of the weights, that of most bytes first: "q4_k+q6_k"
	Parameters   int64
	WeightBytes  int64
	StateBytes   int64 // of one text, whatever its length
	Config       checkpoint.Config
	ChatTemplate bool // of its own
}

// Model is an open model; see engine.Model.
type Model interface {
	Name() string
	Hash() [32]byte
	Config() checkpoint.Config
	Files() checkpoint.Files
	Tokenizer() *tokenizer.Tokenizer
	Template() *chat.Template
	Device() vulkan.DeviceInfo
	Memory() vulkan.MemoryReport
	Heaps() []vulkan.Heap
	Chunk() int
	DecodeBytes() int64
	CopyBandwidth(ctx context.Context, n int64) (float64, error)
	MeasurePeak(ctx context.Context) (engine.Peak, error)
	PrefillFLOP(n, chunks int) float64
	OnMatrixUnits() bool
	NewSession() (Session, error)
	// GenerateTogether writes for several sessions of the model side by side; see engine.Model.GenerateTogether.
	GenerateTogether(ctx context.Context, turns []Turn) ([]engine.Outcome, error)
	Close() error
}

// Turn is one session's part in GenerateTogether; the fields are Generate's parameters.
type Turn struct {
	Session Session
	Sampler *sample.Sampler
	Options engine.GenerateOptions
	Emit    func(string) error // may be nil
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
	io.WriterTo
}
