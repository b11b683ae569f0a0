package mamba

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"kestrel/engine/kernel"
	"kestrel/engine/sample"
	"kestrel/engine/vulkan"
)

// groupDraws is what a group needs to choose ids on the device: of each slot as much as deck.draw.
type groupDraws struct {
	parts    deckParts
	draw     *vulkan.Buffer
	results  *vulkan.Buffer // on the host: { id, flag } of each slot's choice
	follows  []following
	programs map[int]*vulkan.Program // by the number of slots that choose
}

// following is where a slot's memory stands: it chooses next as this sampler does at this place.
type following struct {
	sampler *sample.Sampler
	place   uint64
}

func (m *Model) newGroupDraws(size int) (*groupDraws, error) {
	d := &groupDraws{parts: m.deck.parts, follows: make([]following, size), programs: map[int]*vulkan.Program{}}
	var err error
	if d.draw, err = m.dev.NewBuffer("group draw", vulkan.State, int64(size)*d.parts.draw); err != nil {
		return nil, err
	}
	if d.results, err = m.dev.NewHostBuffer("group choices", vulkan.State, int64(size)*resultStride); err != nil {
		d.free()
		return nil, err
	}
	return d, nil
}

func (d *groupDraws) free() {
	for _, p := range d.programs {
		p.Free()
	}
	d.draw.Free()
	d.results.Free()
}

// NoChoice stands for an id where the device chooses none: its logits are no numbers, or it cannot follow the sampler.
const NoChoice = -1

// Choose chooses an id for each of the first slots, as its sampler would from the slot's logits, or NoChoice; the caller
// accepts those it takes. All are chosen side by side on the device, and no logits leave it.
func (g *Group) Choose(ctx context.Context, samplers []*sample.Sampler) ([]int, error) {
	if err := g.lock("choice of a group", len(samplers)-1, nil); err != nil {
		return nil, err
	}
	defer g.m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ctx = context.WithoutCancel(ctx) // it takes no time to speak of
	n, vocab := len(samplers), g.m.Config.Vocab
	d := g.draws
	can := make([]bool, n)
	for slot, s := range samplers {
		if d.follows[slot] == (following{s, s.Place()}) {
			can[slot] = true
			continue
		}
		raw, err := d.parts.follow(s, false, vocab)
		if errors.Is(err, ErrGrounded) {
			continue
		} else if err == nil {
			err = g.m.dev.Upload(ctx, d.draw.View(int64(slot)*d.parts.draw, int64(len(raw))), raw)
		}
		if err != nil {
			return nil, fmt.Errorf("upload of a sampler: %w", err)
		}
		can[slot] = true
	}
	p := d.programs[n]
	if p == nil {
		var err error
		p, err = g.m.kernels.Record(ctx, fmt.Sprintf("choice of %d sequences", n), func(e *kernel.Encoder) {
			for slot, place := range g.slots[:n] {
				result := d.results.View(int64(slot)*resultStride, resultBytes)
				e.DrawAll(place.logits, vocab, d.parts.choice(d.draw, int64(slot)*d.parts.draw, result, vocab))
			}
		})
		if err != nil {
			return nil, err
		}
		d.programs[n] = p
	}
	if err := p.Run(ctx); err != nil {
		return nil, err
	}
	ids := make([]int, n)
	for slot, s := range samplers {
		raw := d.results.Bytes()[slot*resultStride:]
		d.follows[slot], ids[slot] = following{}, NoChoice
		if can[slot] && binary.LittleEndian.Uint32(raw[4:]) == 0 {
			ids[slot] = int(binary.LittleEndian.Uint32(raw))
			d.follows[slot] = following{s, s.Place() + 1}
		}
	}
	return ids, nil
}
