package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"kestrel/engine/chat"
	"kestrel/engine/checkpoint"
	"kestrel/engine/kernel"
	"kestrel/engine/mamba"
	"kestrel/engine/tokenizer"
	"kestrel/engine/vulkan"
)

// PrefillMode is how a prompt is read.
type PrefillMode int

const (
	Chunked  PrefillMode = iota // chunk after chunk, in constant memory
	Parallel                    // all at once, in memory that grows with the prompt
)

// Options of Open. The zero value is right for most uses.
type Options struct {
	Device      string         // index or part of the name; "" for the best usable device
	Prefill     PrefillMode    //
	Chunk       int            // tokens of a chunk; 0 for the default
	MatrixUnits string         // whether they read prompts: "on", "off"; "" where they are faster. Weights are rounded to binary16 in them
	Quant       string         // precision to store the matrices in, such as "q4_k" (checkpoint.Precisions); "" as they are
	Progress    func(Progress) // called from Open's goroutine while weights are loaded
	Warn        func(string)   // what the user should know although the work goes on
	Validation  bool           // the Khronos validation layer; its messages go to Warn, which is needed then
	Profile     bool           // time every kernel, see Session.Profile
	CacheDir    string         // of compiled pipelines and of what Tune measured; "" for the user's cache folder
}

// Progress of a long operation, in bytes or tokens.
type Progress struct {
	Stage       string
	Done, Total int64
}

// Model is a model on a device. It is safe for concurrent use.
type Model struct {
	name      string
	options   Options
	config    checkpoint.Config
	files     checkpoint.Files
	hash      [32]byte
	tokenizer *tokenizer.Tokenizer
	template  *chat.Template
	stops     []int

	instance *vulkan.Instance
	device   *vulkan.Device
	model    *mamba.Model
	turns    turns  // a chunk or a token each
	chorus   chorus // of those that write side by side

	mu       sync.Mutex
	sessions map[*Session]bool
	closed   bool
}

// Open loads a model from a Hugging Face folder, a .safetensors file beside its config.json, or a .gguf file.
func Open(ctx context.Context, path string, o Options) (*Model, error) {
	ck, err := checkpoint.Open(path)
	if err != nil {
		return nil, err
	}
	return open(ctx, ck, o)
}

// OpenFS loads a model in Hugging Face layout from a file system, such as one embedded in the program.
func OpenFS(ctx context.Context, fsys fs.FS, name string, o Options) (*Model, error) {
	ck, err := checkpoint.OpenFS(fsys, name)
	if err != nil {
		return nil, err
	}
	return open(ctx, ck, o)
}

// OpenBytes loads a GGUF file that is in memory, such as one embedded in the program, without copying it. data must stay as it
// is meanwhile; name stands for it in messages.
func OpenBytes(ctx context.Context, name string, data []byte, o Options) (*Model, error) {
	ck, err := checkpoint.OpenBytes(name, data)
	if err != nil {
		return nil, err
	}
	return open(ctx, ck, o)
}

// OpenRandom loads random weights of a shape and precision, such as "falcon-mamba-7b" and "q8_0" (checkpoint.Shape says
// which shapes), so that speed can be measured without a download. What it writes is noise.
func OpenRandom(ctx context.Context, shape, precision string, o Options) (*Model, error) {
	ck, err := checkpoint.OpenRandom(shape, precision)
	if err != nil {
		return nil, err
	}
	return open(ctx, ck, o)
}

func open(ctx context.Context, ck *checkpoint.Checkpoint, o Options) (m *Model, err error) {
	// Nothing of the files is used once the weights are on the device.
	defer ck.Close()
	files := ck
	if ck, err = quantized(ck, o); err != nil {
		return nil, err
	}
	m = &Model{name: ck.Files.Name, options: o, config: ck.Config, files: ck.Files, sessions: map[*Session]bool{}}
	m.chorus.m = m
	if m.tokenizer, err = openTokenizer(ck); err != nil {
		return nil, err
	}
	if o.Warn != nil {
		for _, w := range ck.Warnings {
			o.Warn(fmt.Sprintf("%s: %s", ck.Path(), w))
		}
		for _, w := range m.tokenizer.Warnings() {
			o.Warn(fmt.Sprintf("tokenizer of %s: %s", ck.Path(), w))
		}
	}
	if m.template, err = openTemplate(ck, o.Warn); err != nil {
		return nil, err
	}
	m.stops = stopIDs(ck, m.tokenizer)
	m.hash = ck.Hash()
	defer func() {
		if err != nil {
			m.release()
			m = nil
		}
	}()
	if m.device, m.instance, err = openDevice(o); err != nil {
		return m, err
	}
	if err = checkMemory(files, m.device, o); err != nil {
		return m, fmt.Errorf("%s: %w", ck.Path(), err)
	}
	cut, err := o.cut(m.device)
	if err != nil {
		return m, err
	}
	cut.Warn = o.Warn
	cut.Progress = func(done, total int64) {
		if o.Progress != nil {
			o.Progress(Progress{Stage: "load", Done: done, Total: total})
		}
	}
	m.model, err = mamba.Load(ctx, m.device, ck, cut)
	if err != nil {
		return m, fmt.Errorf("load %s: %w", ck.Path(), err)
	}
	return m, nil
}

// quantized is the model in the precision asked for. It lives on the files of ck.
func quantized(ck *checkpoint.Checkpoint, o Options) (*checkpoint.Checkpoint, error) {
	if o.Quant == "" {
		return ck, nil
	}
	d, err := checkpoint.ParsePrecision(o.Quant)
	if err != nil {
		return nil, err
	}
	return ck.As(d, false)
}

func openTokenizer(ck *checkpoint.Checkpoint) (t *tokenizer.Tokenizer, err error) {
	switch {
	case ck.Files.TokenizerJSON != nil:
		t, err = tokenizer.FromJSON(ck.Files.TokenizerJSON)
	case ck.Files.Vocab != nil:
		t, err = tokenizer.FromVocab(*ck.Files.Vocab)
	default:
		return nil, fmt.Errorf("%w: %s has no tokenizer, neither a tokenizer.json beside the weights nor a vocabulary in the file; "+
			"fetch what is missing from the model's page", ErrBadModel, ck.Path())
	}
	if err != nil {
		kind := ErrBadModel
		if errors.Is(err, tokenizer.ErrUnsupported) {
			kind = ErrUnsupported
		}
		return nil, fmt.Errorf("%w: %s: %w", kind, ck.Path(), err)
	}
	return t, nil
}

// openTemplate takes the model's chat template. A base model has none, and one that the library cannot read must not
// keep a good model from running: both use ChatML, the second with a warning.
func openTemplate(ck *checkpoint.Checkpoint, warn func(string)) (*chat.Template, error) {
	if ck.Files.ChatTemplate == "" {
		return chat.ChatML(), nil
	}
	t, err := chat.NewTemplate(ck.Files.ChatTemplate, ck.Files.SpecialTokens)
	if err != nil {
		if warn != nil {
			warn(fmt.Sprintf("chat template of %s: %v; using ChatML instead", ck.Path(), err))
		}
		return chat.ChatML(), nil
	}
	return t, nil
}

// turnEnds are the names that publishers give to tokens that end a text or a turn.
var turnEnds = []string{"<|endoftext|>", "<|im_end|>", "<|end_of_text|>", "<|eot_id|>", "<|end|>", "<end_of_turn>"}

// stopIDs are the ids that the files name as ends. A GGUF file has room for one, where the folder that it was made from
// may name several; so its special tokens that are called ends are ends too.
func stopIDs(ck *checkpoint.Checkpoint, t *tokenizer.Tokenizer) []int {
	stops := slices.Clone(ck.EOS)
	if ck.Files.Vocab == nil {
		return stops
	}
	for _, name := range turnEnds {
		id, ok := t.ID(name)
		if !ok || id >= ck.Vocab || slices.Contains(stops, id) {
			continue
		}
		if _, special, _ := t.Token(id); special {
			stops = append(stops, id)
		}
	}
	return stops
}

func openDevice(o Options) (*vulkan.Device, *vulkan.Instance, error) {
	if o.Validation && o.Warn == nil {
		return nil, nil, errors.New("open device: validation is asked for, but there is no Warn to take its messages")
	}
	instance, err := vulkan.NewInstance(vulkan.InstanceOptions{
		Validation: o.Validation,
		OnMessage: func(severity, text string) {
			if o.Warn != nil {
				o.Warn("vulkan " + severity + ": " + text)
			}
		},
	})
	if err != nil {
		return nil, nil, err
	}
	info, err := instance.Choose(o.Device)
	if err != nil {
		instance.Close()
		return nil, nil, err
	}
	device, err := instance.Open(info, vulkan.DeviceOptions{CacheDir: o.cacheDir(), Profile: o.Profile, Warn: o.Warn})
	if err != nil {
		instance.Close()
		return nil, nil, err
	}
	return device, instance, nil
}

// Devices lists every Vulkan device, with the reason where one cannot be used. With validation, an error of the Khronos
// validation layer is an error.
func Devices(validation bool) ([]vulkan.DeviceInfo, error) {
	var mu sync.Mutex
	var said []error
	instance, err := vulkan.NewInstance(vulkan.InstanceOptions{Validation: validation, OnMessage: func(severity, text string) {
		mu.Lock()
		defer mu.Unlock()
		if severity == "error" {
			said = append(said, errors.New("vulkan error: "+text))
		}
	}})
	if err != nil {
		return nil, err
	}
	devices, err := instance.Devices()
	instance.Close()
	return devices, errors.Join(append(said, err)...)
}

// Name of the model, from its files.
func (m *Model) Name() string { return m.name }

// Hash tells the model from others, as checkpoint.Checkpoint.Hash has it: a state is of use to models of the same hash.
func (m *Model) Hash() [32]byte { return m.hash }

// Config holds the model's sizes.
func (m *Model) Config() checkpoint.Config { return m.config }

// Files is what lay beside the weights: template, special tokens, advice on sampling.
func (m *Model) Files() checkpoint.Files { return m.files }

// Tokenizer of the model.
func (m *Model) Tokenizer() *tokenizer.Tokenizer { return m.tokenizer }

// Template renders conversations as the model was trained to see them.
func (m *Model) Template() *chat.Template { return m.template }

// Device that the model runs on.
func (m *Model) Device() vulkan.DeviceInfo { return m.device.Info() }

// Memory of the device in use, by purpose and buffer.
func (m *Model) Memory() vulkan.MemoryReport { return m.device.Memory() }

// Heaps of the device with their budgets as they are now.
func (m *Model) Heaps() []vulkan.Heap { return m.device.Heaps() }

// CopyBandwidth measures the device's own copy of n bytes in GB/s, counting bytes read and bytes written.
func (m *Model) CopyBandwidth(ctx context.Context, n int64) (float64, error) {
	return m.device.CopyBandwidth(ctx, n)
}

// Peak is the arithmetic of a device, in operations a second.
type Peak = kernel.Peak

// MeasurePeak measures the device's arithmetic, from registers, through the driver that the model runs on.
func (m *Model) MeasurePeak(ctx context.Context) (Peak, error) { return m.model.MeasurePeak(ctx) }

// PrefillFLOP is how many floating-point operations the matrices take to read n tokens in so many chunks.
func (m *Model) PrefillFLOP(n, chunks int) float64 { return m.model.PrefillFLOP(n, chunks) }

// OnMatrixUnits reports whether the device's matrix units read prompts.
func (m *Model) OnMatrixUnits() bool { return m.model.OnMatrixUnits() }

// DecodeBytes is how many bytes of weights and state one decoded token moves at least.
func (m *Model) DecodeBytes() int64 { return m.model.DecodeBytes() }

// Chunk is the number of tokens of a prefill chunk.
func (m *Model) Chunk() int { return m.model.Chunk() }

// StopIDs are the ids at which the model ends a text.
func (m *Model) StopIDs() []int { return slices.Clone(m.stops) }

// Close releases the device. Sessions that are still open are closed; what they write ends with ErrClosed.
func (m *Model) Close() error {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return fmt.Errorf("model %s: %w", m.name, ErrClosed)
	}
	m.closed = true
	open := m.sessions
	m.sessions = nil
	m.mu.Unlock()
	m.chorus.close()
	for s := range open {
		s.seq.Close()
	}
	m.release()
	return nil
}

func (m *Model) release() {
	if m.device != nil {
		m.device.Close()
	}
	if m.instance != nil {
		m.instance.Close()
	}
}
