package mamba

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"

	"kestrel/engine/kernel"
	"kestrel/engine/vulkan"
)

// Group decodes several sequences side by side: a step reads the weights once for all of them, where each alone would read
// them again. Sequences join it in slots, are copied back when they leave, and are not to be used meanwhile.
//
// What a slot computes does not depend on the other slots' texts. It may differ from Sequence.Step by rounding, as the
// products are summed in another order.
type Group struct {
	m        *Model
	size     int
	state    *vulkan.Buffer // of each layer S of all slots, then of each layer the columns
	logits   *vulkan.Buffer // [size][groupRow]
	results  *vulkan.Buffer // { id, logit } of each slot's largest; on the host
	place    place          // of all slots
	slots    []place
	programs map[int]*vulkan.Program // by the number of slots that step
	draws    *groupDraws
	stats    vulkan.Stats
	closed   bool // guarded by the model's mutex
}

// resultStride keeps each slot's result at an offset that any device can bind.
const resultStride = 256

// groupRow is a slot's row of logits in floats: aligned for binding as well.
func groupRow(vocab int) int { return (vocab + 63) / 64 * 64 }

// NewGroup makes a group of so many slots.
func (m *Model) NewGroup(size int) (*Group, error) {
	if size < 1 || size > m.chunk {
		return nil, fmt.Errorf("group of %d sequences: %w: 1 to %d are possible with chunks of so many tokens", size, vulkan.ErrUnsupported, m.chunk)
	}
	c := m.Config
	wide := c // whose layers hold the states of all slots
	wide.Inner *= size
	ss, cs, total := stateLayout(wide, m.dev.Limits())
	g := &Group{m: m, size: size, slots: make([]place, size), programs: map[int]*vulkan.Program{}}
	row := groupRow(c.Vocab)
	for _, b := range []struct {
		at    **vulkan.Buffer
		make  func(string, vulkan.Purpose, int64) (*vulkan.Buffer, error)
		name  string
		bytes int64
	}{
		{&g.state, m.dev.NewBuffer, "group state", total},
		{&g.logits, m.dev.NewBuffer, "group logits", int64(size*row) * 4},
		{&g.results, m.dev.NewHostBuffer, "group results", int64(size) * resultStride},
	} {
		var err error
		if *b.at, err = b.make(b.name, vulkan.State, b.bytes); err != nil {
			g.free()
			return nil, fmt.Errorf("group of %d sequences: %w", size, err)
		}
	}
	var err error
	if g.draws, err = m.newGroupDraws(size); err != nil {
		g.free()
		return nil, fmt.Errorf("group of %d sequences: %w", size, err)
	}
	s, columns := int64(c.Inner*c.State)*4, int64(c.Inner*(c.Conv-1))*4
	for i := range c.Layers {
		g.place.s = append(g.place.s, g.state.View(ss[i], int64(size)*s))
		g.place.columns = append(g.place.columns, g.state.View(cs[i], max(4, int64(size)*columns)))
		for slot := range g.slots {
			p := &g.slots[slot]
			p.s = append(p.s, g.state.View(ss[i]+int64(slot)*s, s))
			p.columns = append(p.columns, g.state.View(cs[i]+int64(slot)*columns, max(4, columns)))
		}
	}
	g.place.all = g.logits.Whole()
	for slot := range g.slots {
		g.slots[slot].logits = g.logits.View(int64(slot*row)*4, int64(c.Vocab)*4)
		g.slots[slot].result = g.results.View(int64(slot)*resultStride, resultBytes)
	}
	return g, nil
}

// Size is the number of slots.
func (g *Group) Size() int { return g.size }

// Stats counts the work of the last Step.
func (g *Group) Stats() vulkan.Stats { return g.stats }

// lock takes the model for one operation on the group and, where q is not nil, a sequence.
func (g *Group) lock(op string, slot int, q *Sequence) error {
	if slot < 0 || slot >= g.size || q != nil && q.m != g.m {
		return fmt.Errorf("%s: slot %d of a group of %d, or a sequence of another model", op, slot, g.size)
	}
	g.m.mu.Lock()
	if g.closed || q != nil && q.closed {
		g.m.mu.Unlock()
		return fmt.Errorf("%s: the group or the session is %w", op, vulkan.ErrClosed)
	}
	if q != nil {
		if err := q.land(); err != nil {
			g.m.mu.Unlock()
			return fmt.Errorf("%s: %w", op, err)
		}
	}
	return nil
}

// Close releases the group's memory; what was not taken back is lost. It may be called twice.
func (g *Group) Close() {
	if g.lock("close", 0, nil) != nil {
		return
	}
	defer g.m.mu.Unlock()
	g.closed = true
	g.free()
}

func (g *Group) free() {
	for _, p := range g.programs {
		p.Free()
	}
	for _, b := range []*vulkan.Buffer{g.state, g.logits, g.results} {
		b.Free()
	}
	if g.draws != nil {
		g.draws.free()
	}
}

// Join copies a sequence's place into a slot.
func (g *Group) Join(ctx context.Context, slot int, q *Sequence) error {
	if err := g.lock("join a group", slot, q); err != nil {
		return err
	}
	defer g.m.mu.Unlock()
	return g.copy(ctx, g.slots[slot], q.place, g.results.Bytes()[slot*resultStride:], q.result.Bytes())
}

// Leave copies a slot's place back into a sequence.
func (g *Group) Leave(ctx context.Context, slot int, q *Sequence) error {
	if err := g.lock("leave a group", slot, q); err != nil {
		return err
	}
	defer g.m.mu.Unlock()
	return g.copy(ctx, q.place, g.slots[slot], q.result.Bytes(), g.results.Bytes()[slot*resultStride:])
}

// Move copies a slot's place into another slot.
func (g *Group) Move(ctx context.Context, to, from int) error {
	if err := g.lock("move in a group", to, nil); err != nil {
		return err
	}
	defer g.m.mu.Unlock()
	if from < 0 || from >= g.size || from == to {
		return fmt.Errorf("move in a group of %d: from slot %d to %d", g.size, from, to)
	}
	return g.copy(ctx, g.slots[to], g.slots[from], g.results.Bytes()[to*resultStride:], g.results.Bytes()[from*resultStride:])
}

// copy is not cancelled once begun: half a place is none.
func (g *Group) copy(ctx context.Context, to, from place, toResult, fromResult []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	logits := int64(g.m.Config.Vocab) * 4
	p, err := g.m.kernels.Record(ctx, "copy of a place", func(e *kernel.Encoder) {
		for i := range to.s {
			e.Copy(to.s[i], from.s[i])
			if g.m.Config.Conv > 1 {
				e.Copy(to.columns[i], from.columns[i])
			}
		}
		e.Copy(to.logits.Slice(0, logits), from.logits.Slice(0, logits))
	})
	if err != nil {
		return err
	}
	defer p.Free()
	if err := p.Run(ctx); err != nil {
		return err
	}
	copy(toResult[:resultBytes], fromResult)
	return nil
}

// Step feeds ids[i] to slot i; slots beyond len(ids) rest. Once begun it is not cancelled: it takes no longer than a step
// of each sequence alone.
func (g *Group) Step(ctx context.Context, ids []int) error {
	if err := g.lock("step of a group", len(ids)-1, nil); err != nil {
		return err
	}
	defer g.m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	n := len(ids)
	p := g.programs[n]
	if p == nil {
		var err error
		p, err = g.m.kernels.Record(ctx, fmt.Sprintf("step of %d sequences", n), func(e *kernel.Encoder) { g.m.groupPlan(e, g, n) })
		if err != nil {
			return err
		}
		g.programs[n] = p
	}
	putIDs(g.m.scratch, ids)
	g.stats = p.Stats()
	return p.Run(ctx)
}

// Largest is the id of the largest of a slot's logits. ErrNotFinite where none is a number.
func (g *Group) Largest(slot int) (int, error) {
	if err := g.lock("largest logit", slot, nil); err != nil {
		return 0, err
	}
	defer g.m.mu.Unlock()
	return largest(g.results.Bytes()[slot*resultStride:])
}

// Logits downloads a slot's logits [vocabulary].
func (g *Group) Logits(ctx context.Context, slot int) ([]float32, error) {
	if err := g.lock("logits", slot, nil); err != nil {
		return nil, err
	}
	defer g.m.mu.Unlock()
	raw := make([]byte, g.m.Config.Vocab*4)
	if err := g.m.dev.Download(ctx, raw, g.slots[slot].logits); err != nil {
		return nil, err
	}
	return floats(raw), nil
}

// largest reads { id, logit }.
func largest(raw []byte) (int, error) {
	id, logit := binary.LittleEndian.Uint32(raw), math.Float32frombits(binary.LittleEndian.Uint32(raw[4:]))
	if math.IsInf(float64(logit), 0) || logit != logit {
		return 0, ErrNotFinite
	}
	return int(id), nil
}
