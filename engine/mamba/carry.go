package mamba

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"

	"kestrel/engine/kernel"
	"kestrel/engine/vulkan"
)

// Carried is what a sequence carries, on the host, dense and without the device's alignment.
type Carried struct {
	S       []float32 // [layers][inner][state]
	Columns []float32 // [layers][inner][conv-1], oldest first
	Logits  []float32 // [vocabulary] after the last token
}

// Carry downloads what the sequence carries.
func (q *Sequence) Carry(ctx context.Context) (*Carried, error) {
	if err := q.lock("state"); err != nil {
		return nil, err
	}
	defer q.m.mu.Unlock()
	logits, err := q.logitsLocked(ctx)
	if err != nil {
		return nil, err
	}
	raw := make([]byte, q.state.Size())
	if err := q.m.dev.Download(ctx, raw, q.state.Whole()); err != nil {
		return nil, fmt.Errorf("download of the state: %w", err)
	}
	c := q.m.Config
	ss, cs, _ := stateLayout(c, q.m.dev.Limits())
	out := &Carried{Logits: logits}
	for i := range c.Layers {
		out.S = append(out.S, floats(raw[ss[i]:][:c.Inner*c.State*4])...)
		out.Columns = append(out.Columns, floats(raw[cs[i]:][:c.Inner*(c.Conv-1)*4])...)
	}
	return out, nil
}

// SetCarry puts c, of the model's own sizes, in the sequence's place. The programs recorded stay valid. Once begun it is
// not cancelled: it takes no longer than a submission, and half a state is none.
func (q *Sequence) SetCarry(ctx context.Context, c *Carried) error {
	g := q.m.Config
	perS, perC := g.Inner*g.State, g.Inner*(g.Conv-1)
	if len(c.S) != g.Layers*perS || len(c.Columns) != g.Layers*perC || len(c.Logits) != g.Vocab {
		return fmt.Errorf("state of %d + %d values and %d logits, this model has %d + %d and %d",
			len(c.S), len(c.Columns), len(c.Logits), g.Layers*perS, g.Layers*perC, g.Vocab)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("upload of the state: %w", err)
	}
	ctx = context.WithoutCancel(ctx)
	if err := q.lock("set state"); err != nil {
		return err
	}
	defer q.m.mu.Unlock()
	raw := make([]byte, q.state.Size())
	ss, cs, _ := stateLayout(g, q.m.dev.Limits())
	for i := range g.Layers {
		putFloats(raw[ss[i]:], c.S[i*perS:(i+1)*perS])
		putFloats(raw[cs[i]:], c.Columns[i*perC:(i+1)*perC])
	}
	if err := q.m.dev.Upload(ctx, q.state.Whole(), raw); err != nil {
		return fmt.Errorf("upload of the state: %w", err)
	}
	logits := make([]byte, 4*len(c.Logits))
	putFloats(logits, c.Logits)
	if err := q.m.dev.Upload(ctx, q.logits.View(0, int64(len(logits))), logits); err != nil {
		return fmt.Errorf("upload of the logits: %w", err)
	}
	id, best := 0, float32(math.Inf(-1))
	for i, l := range c.Logits {
		if l > best {
			id, best = i, l
		}
	}
	binary.LittleEndian.PutUint32(q.result.Bytes(), uint32(id))
	binary.LittleEndian.PutUint32(q.result.Bytes()[4:], math.Float32bits(best))
	return nil
}

func putFloats(raw []byte, v []float32) {
	for i, f := range v {
		binary.LittleEndian.PutUint32(raw[4*i:], math.Float32bits(f))
	}
}

// topk is the recorded choice of the k largest logits.
type topk struct {
	k       int
	program *vulkan.Program
	scratch [2]*vulkan.Buffer
	result  *vulkan.Buffer
}

func (t *topk) free() {
	t.program.Free()
	for _, b := range []*vulkan.Buffer{t.scratch[0], t.scratch[1], t.result} {
		b.Free()
	}
}

// MaxTop is the largest k of Top.
const MaxTop = kernel.MaxTopK

// Top gives the k largest of the present logits and their ids, larger first, chosen on the device.
func (q *Sequence) Top(ctx context.Context, k int) (ids []int32, logits []float32, err error) {
	if err := q.lock("top-k"); err != nil {
		return nil, nil, err
	}
	defer q.m.mu.Unlock()
	k = min(k, q.m.Config.Vocab)
	if q.top == nil || q.top.k != k {
		if q.top != nil {
			q.top.free()
			q.top = nil
		}
		if q.top, err = q.newTop(ctx, k); err != nil {
			return nil, nil, fmt.Errorf("top-%d: %w", k, err)
		}
	}
	if err := q.top.program.Run(ctx); err != nil {
		return nil, nil, err
	}
	raw := q.top.result.Bytes()
	for i := range k {
		ids = append(ids, int32(binary.LittleEndian.Uint32(raw[8*i:])))
		logits = append(logits, math.Float32frombits(binary.LittleEndian.Uint32(raw[8*i+4:])))
	}
	return ids, logits, nil
}

func (q *Sequence) newTop(ctx context.Context, k int) (*topk, error) {
	t := &topk{k: k}
	var err error
	for i := range t.scratch {
		if t.scratch[i], err = q.m.dev.NewBuffer("top-k", vulkan.Scratch, kernel.TopKScratch(q.m.Config.Vocab, k)); err != nil {
			t.free()
			return nil, err
		}
	}
	if t.result, err = q.m.dev.NewHostBuffer("top-k result", vulkan.Scratch, int64(k)*8); err == nil {
		t.program, err = q.m.kernels.Record(ctx, "top-k", func(e *kernel.Encoder) {
			e.TopK(q.place.logits, t.result.Whole(), q.m.Config.Vocab, k, [2]vulkan.View{t.scratch[0].Whole(), t.scratch[1].Whole()})
		})
	}
	if err != nil {
		t.free()
		return nil, err
	}
	return t, nil
}
