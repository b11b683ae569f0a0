package mamba

import (
	"context"
	"fmt"
	"math"

	"kestrel/engine/checkpoint"
	"kestrel/engine/kernel"
	"kestrel/engine/vulkan"
	"kestrel/engine/weights"
)

// layer is the weights of one block on the device.
type layer struct {
	norm                           kernel.Norm
	inProj, xProj, dtProj, outProj *kernel.Matrix
	conv                           kernel.Conv // without Columns: these belong to a sequence
	scan                           kernel.Scan // without S
}

// parameters is all weights on the device.
type parameters struct {
	embed, head *kernel.Matrix // the same where the checkpoint ties them
	normF       kernel.Norm
	layers      []layer
}

// loader puts tensors on the device one after the other.
type loader struct {
	ctx         context.Context
	dev         *vulkan.Device
	up          *vulkan.Uploader
	quantizer   *kernel.Quantizer // nil unless floats are to be quantized
	buf         []byte            // for tensors that are computed, one after the other
	ahead       *weights.Ahead
	done, total int64
	told        int64 // to progress
	progress    func(done, total int64)
	warn        func(string)
	err         error
}

// stagingBytes is the ring through which weights pass where the device's memory cannot be written by the host.
const stagingBytes = 32 << 20

// aheadBytes is how much of the weights is read from the disk ahead of what is put on the device.
const aheadBytes = 256 << 20

func loadParameters(ctx context.Context, kernels *kernel.Set, ck *checkpoint.Checkpoint, o Options) (*parameters, error) {
	dev := kernels.Device()
	up, err := dev.NewUploader(stagingBytes)
	if err != nil {
		return nil, err
	}
	defer up.Close()
	l := &loader{ctx: ctx, dev: dev, up: up, total: checkpointBytes(ck), progress: o.Progress, warn: o.Warn}
	var order []weights.Tensor
	tensors(ck, func(t weights.Tensor) { order = append(order, t) }, func(t weights.Tensor) { order = append(order, t) })
	if l.progress != nil {
		l.progress(0, l.total)
	}
	l.ahead = weights.NewAhead(aheadBytes, order...)
	defer l.ahead.Close()
	if quantizes(ck) {
		if l.quantizer, err = kernel.NewQuantizer(kernels, up); err != nil {
			return nil, err
		}
		defer l.quantizer.Close()
	}
	c := ck.Config
	p := &parameters{embed: l.matrix(ck.Embed)}
	for i, src := range ck.Layers {
		if l.err != nil {
			break
		}
		negA, err := src.NegA()
		if err != nil {
			return nil, fmt.Errorf("layer %d: %w", i, err)
		}
		for j, a := range negA {
			negA[j] = float32(float64(a) * math.Log2E)
		}
		p.layers = append(p.layers, layer{
			norm:    kernel.Norm{Gain: l.vector(src.Norm), Eps: c.NormEps},
			inProj:  l.matrix(src.InProj),
			xProj:   l.matrix(src.XProj),
			dtProj:  l.matrix(src.DtProj),
			outProj: l.matrix(src.OutProj),
			conv:    kernel.Conv{Width: c.Conv, W: l.vector(src.ConvW), B: l.vector(src.ConvB)},
			scan: kernel.Scan{
				State: c.State, Rank: c.DtRank, A2: l.put(src.A, negA), D: l.vector(src.D), DtB: l.vector(src.DtBias),
				Norm: c.MixerNorm, Eps: c.MixerEps,
			},
		})
	}
	p.normF = kernel.Norm{Gain: l.vector(ck.NormF), Eps: c.NormEps}
	p.head = p.embed
	if !c.Tied {
		p.head = l.matrix(ck.Head)
	}
	if l.err == nil {
		l.err = up.Flush(ctx)
	}
	if l.err != nil {
		return nil, l.err
	}
	return p, nil
}

// tensors calls matrix or vector for every tensor of the checkpoint once, in the order of loading.
func tensors(ck *checkpoint.Checkpoint, matrix, vector func(weights.Tensor)) {
	matrix(ck.Embed)
	for _, l := range ck.Layers {
		vector(l.Norm)
		for _, t := range []weights.Tensor{l.InProj, l.XProj, l.DtProj, l.OutProj} {
			matrix(t)
		}
		for _, t := range []weights.Tensor{l.ConvW, l.ConvB, l.A, l.D, l.DtBias} {
			vector(t)
		}
	}
	vector(ck.NormF)
	if !ck.Tied {
		matrix(ck.Head)
	}
}

func checkpointBytes(ck *checkpoint.Checkpoint) int64 {
	var n int64
	add := func(t weights.Tensor) { n += t.Size() }
	tensors(ck, add, add)
	return n
}

func (l *loader) matrix(t weights.Tensor) *kernel.Matrix {
	if l.err != nil {
		return nil
	}
	m, err := kernel.NewMatrix(l.dev, t)
	if err != nil {
		l.err = err
		return nil
	}
	var sound bool
	part := func(rows int) { l.tell(l.done + t.Size()/int64(t.Shape[0])*int64(rows)) }
	if src, ok := kernel.Quantizes(t); ok {
		sound, err = l.quantizer.Upload(l.ctx, m, src, part)
	} else if t, err = t.LoadProgress(l.ctx, l.buf, part); err == nil {
		if t.Computed() {
			l.buf = t.Data
		}
		sound, err = m.Upload(l.ctx, l.up, t)
	}
	if err != nil {
		l.err = err
		return nil
	}
	if !sound {
		l.damaged(t)
	}
	l.advance(t)
	return m
}

func (l *loader) vector(t weights.Tensor) vulkan.View {
	if l.err != nil {
		return vulkan.View{}
	}
	v, err := t.Float32s()
	if err != nil {
		l.err = err
		return vulkan.View{}
	}
	return l.put(t, v)
}

// put puts the values v of t on the device, which may be in another form than t's.
func (l *loader) put(t weights.Tensor, v []float32) vulkan.View {
	if l.err != nil {
		return vulkan.View{}
	}
	if weights.HasNaN(t.DType, t.Data) {
		l.damaged(t)
	}
	view := l.floats(t.Name, v)
	l.advance(t)
	return view
}

func (l *loader) floats(name string, v []float32) vulkan.View {
	if l.err != nil {
		return vulkan.View{}
	}
	view, err := kernel.NewVector(l.ctx, l.dev, l.up, name, v)
	l.err = err
	return view
}

// damaged warns of weights that are no numbers: the model runs, but what it writes is worth nothing.
func (l *loader) damaged(t weights.Tensor) {
	if l.warn != nil {
		l.warn(fmt.Sprintf("%s: tensor %q has NaN or infinite weights; the file is damaged or was trained to that, expect nonsense", t.File, t.Name))
	}
}

func (l *loader) advance(t weights.Tensor) {
	l.done += t.Size()
	l.ahead.Used(l.done)
	l.tell(l.done)
}

// tell says how many bytes are done.
func (l *loader) tell(done int64) {
	if l.progress != nil && done > l.told {
		l.told = done
		l.progress(done, l.total)
	}
}
