package mamba

import (
	"context"
	"fmt"
	"sync"
	"time"

	"kestrel/engine/checkpoint"
	"kestrel/engine/kernel"
	"kestrel/engine/vulkan"
	"kestrel/engine/weights"
)

// Options of Load.
type Options struct {
	Chunk    int                     // tokens taken side by side in chunked prefill; 0: as suits the device
	Tuning   *kernel.Tuning          // nil: kernel.DefaultTuning
	Progress func(done, total int64) // bytes of weights loaded
	Warn     func(string)            // what the user should know although loading goes on
}

// Tokens that prefill takes side by side: enough to fill a device's ordinary units or its matrix units, or to decode the
// weights once for all of them, few enough to stop soon.
const (
	plainChunk  = 256
	panelsChunk = 512
	unitsChunk  = 1024
)

// chunkShare is the part of a device's memory that the scratch of longer chunks may take.
const chunkShare = 32

// tuning is how work is cut on a device.
func (o Options) tuning(info vulkan.DeviceInfo) kernel.Tuning {
	if o.Tuning != nil {
		return *o.Tuning
	}
	return kernel.DefaultTuning(info)
}

// chunk is how many tokens a chunk has on a device: the longest that its units can use and its memory spare.
func (o Options) chunk(c checkpoint.Config, info vulkan.DeviceInfo) int {
	if o.Chunk > 0 {
		return o.Chunk
	}
	chunk, tune := plainChunk, o.tuning(info)
	switch {
	case tune.Fragment.Width > 0:
		chunk = unitsChunk
	case tune.PanelsFrom > 0:
		chunk = panelsChunk
	}
	var memory int64
	for _, h := range info.Heaps {
		if h.DeviceLocal {
			memory = max(memory, h.Size)
		}
	}
	h, az, x, dbc := strides(c)
	token := int64(2*h+az+2*x+dbc)*4 + workBytes(c, tune, 1)
	for chunk > plainChunk && (int64(chunk)*token > memory/chunkShare || chunk > mostTokens(c, info.Limits)) {
		chunk /= 2
	}
	return chunk
}

// Model is the weights on a device and the scratch memory in which tokens are computed.
//
// It is safe for concurrent use: sequences take turns, as they share the scratch and the device's queue.
type Model struct {
	Config checkpoint.Config

	dev     *vulkan.Device
	kernels *kernel.Set
	params  *parameters
	chunk   int

	mu      sync.Mutex // guards what follows, and the device while a program runs
	scratch *scratch
	deck    *deck // also the state of the sequence at work, as it was before a program of several submissions

	stepTime time.Duration // of a step, lately; 0: none was timed
	ahead    int           // steps in flight; 0: by their time
}

// Load puts the checkpoint's weights on the device. On an error what was allocated is released with the device.
func Load(ctx context.Context, dev *vulkan.Device, ck *checkpoint.Checkpoint, o Options) (*Model, error) {
	m := &Model{Config: ck.Config, dev: dev, kernels: kernel.NewSet(dev, o.tuning(dev.Info())), chunk: o.chunk(ck.Config, dev.Info())}
	if most := mostTokens(ck.Config, dev.Limits()); m.chunk > most {
		return nil, fmt.Errorf("chunks of %d tokens: %s takes %d tokens at a time; choose smaller chunks: %w", m.chunk, dev.Info().Name, most, vulkan.ErrUnsupported)
	}
	// Scratch comes first: where memory is short, say so before minutes of loading.
	var err error
	if m.scratch, err = m.newScratch(m.chunk); err != nil {
		return nil, fmt.Errorf("scratch memory for chunks of %d tokens: %w", m.chunk, err)
	}
	if m.deck, err = m.newDeck(); err != nil {
		return nil, fmt.Errorf("scratch memory for states: %w", err)
	}
	if m.params, err = loadParameters(ctx, m.kernels, ck, o); err != nil {
		return nil, err
	}
	return m, nil
}

// Chunk is the number of tokens of a whole prefill chunk.
func (m *Model) Chunk() int { return m.chunk }

// Kernels gives the kernels, for benchmarks beside the model.
func (m *Model) Kernels() *kernel.Set { return m.kernels }

// DecodeBytes is how many bytes of weights and state one decoded token reads at least.
func (m *Model) DecodeBytes() int64 {
	var n int64
	add := func(mats ...*kernel.Matrix) {
		for _, w := range mats {
			n += w.DType.Bytes(w.Rows * w.Cols)
		}
	}
	c := m.Config
	for _, l := range m.params.layers {
		add(l.inProj, l.xProj, l.dtProj, l.outProj)
		n += 4 * int64(c.Hidden+c.Inner*(c.Conv+1+2*(c.Conv-1)+1+1+3*c.State))
	}
	add(m.params.head)
	return n
}

// PrefillFLOP is how many floating-point operations the matrices take to read tokens in so many chunks, each of which ends
// with the logits of its last token.
func (m *Model) PrefillFLOP(tokens, chunks int) float64 {
	size := func(w *kernel.Matrix) float64 { return 2 * float64(w.Rows) * float64(w.Cols) }
	n := float64(chunks) * size(m.params.head)
	for _, l := range m.params.layers {
		n += float64(tokens) * (size(l.inProj) + size(l.xProj) + size(l.dtProj) + size(l.outProj))
	}
	return n
}

// OnMatrixUnits reports whether cooperative matrices read prompts.
func (m *Model) OnMatrixUnits() bool { return m.kernels.Tuning().Fragment.Width > 0 }

// MeasurePeak measures the device's arithmetic; no sequence runs meanwhile.
func (m *Model) MeasurePeak(ctx context.Context) (kernel.Peak, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.kernels.MeasurePeak(ctx)
}

// scratch is the activations of up to `tokens` tokens. Rows are padded; padding stays zero, or at least finite.
type scratch struct {
	tokens int
	ids    *vulkan.Buffer // [tokens] uint32, written by the host
	h      *vulkan.Buffer // residual [tokens][hidden]
	u      *vulkan.Buffer // normed [tokens][hidden]
	az     *vulkan.Buffer // in_proj's result [tokens][2 inner]; in a step: y [inner]
	x      *vulkan.Buffer // after the convolution, then y [tokens][inner]
	dbc    *vulkan.Buffer // [tokens][rank + 2 state]
	delta  *vulkan.Buffer // [tokens][inner]; in a step: the gate [inner]
	work   *vulkan.Buffer // what a projection works in; nil where none does
}

// workView is what a projection works in; empty where none does.
func (s *scratch) workView() vulkan.View {
	if s.work == nil {
		return vulkan.View{}
	}
	return s.work.Whole()
}

// workBytes is the largest that a projection of the layers works in.
func workBytes(c checkpoint.Config, t kernel.Tuning, tokens int) int64 {
	return t.ScratchBytes(tokens, kernel.Shape{Rows: 2 * c.Inner, Cols: c.Hidden}, kernel.Shape{Rows: c.DtRank + 2*c.State, Cols: c.Inner},
		kernel.Shape{Rows: c.Inner, Cols: c.DtRank}, kernel.Shape{Rows: c.Hidden, Cols: c.Inner})
}

// strides in floats of scratch rows.
func strides(c checkpoint.Config) (h, az, x, dbc int) {
	return kernel.Padded(c.Hidden), kernel.Padded(2 * c.Inner), kernel.Padded(c.Inner), kernel.Padded(c.DtRank + 2*c.State)
}

// ErrTooLong says that prefill in one piece needs a larger buffer than the device can bind.
var ErrTooLong = fmt.Errorf("%w: prompt too long for prefill in one piece", vulkan.ErrUnsupported)

// mostTokens is how many tokens the device takes side by side: each activation is one binding, and each token a row of
// workgroups.
func mostTokens(c checkpoint.Config, lim vulkan.Limits) int {
	h, az, x, dbc := strides(c)
	row := int64(max(h, az, x, dbc)) * 4
	return int(min(lim.MaxStorageBufferRange/row, lim.MaxAllocation/row, int64(lim.MaxGroups[0]), int64(lim.MaxGroups[1])))
}

func (m *Model) newScratch(tokens int) (*scratch, error) {
	h, az, x, dbc := strides(m.Config)
	s := &scratch{tokens: tokens}
	var err error
	if s.ids, err = m.dev.NewHostBuffer("ids", vulkan.Scratch, int64(tokens)*4); err != nil {
		return nil, err
	}
	for _, b := range []struct {
		at     **vulkan.Buffer
		name   string
		stride int
	}{{&s.h, "h", h}, {&s.u, "u", h}, {&s.az, "az", az}, {&s.x, "x", x}, {&s.dbc, "dbc", dbc}, {&s.delta, "delta", x}} {
		if *b.at, err = m.dev.NewBuffer(b.name, vulkan.Scratch, int64(tokens)*int64(b.stride)*4); err != nil {
			s.free()
			return nil, err
		}
	}
	if n := workBytes(m.Config, m.kernels.Tuning(), tokens); n > 0 {
		if s.work, err = m.dev.NewBuffer("work", vulkan.Scratch, n); err != nil {
			s.free()
			return nil, err
		}
	}
	return s, nil
}

func (s *scratch) free() {
	for _, b := range []*vulkan.Buffer{s.ids, s.h, s.u, s.az, s.x, s.dbc, s.delta, s.work} {
		b.Free()
	}
}

// Matrices counts the model's matrices by storage type, for display.
func (m *Model) Matrices() map[weights.DType]int {
	n := map[weights.DType]int{}
	count := func(w *kernel.Matrix) { n[w.DType]++ }
	count(m.params.embed)
	for _, l := range m.params.layers {
		for _, w := range []*kernel.Matrix{l.inProj, l.xProj, l.dtProj, l.outProj} {
			count(w)
		}
	}
	if m.params.head != m.params.embed {
		count(m.params.head)
	}
	return n
}
