package kernel

import (
	"context"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"time"

	"kestrel/engine/sample"
	"kestrel/engine/vulkan"
)

const (
	measuredLogits = 65024 // Falcon-Mamba's
	mostDraw       = 512   // lanes that choose from all logits: their shared memory fits into 16 KiB
)

// drawLanes are the numbers of lanes to try.
func drawLanes(base Tuning, info vulkan.DeviceInfo) []int {
	if info.Type == vulkan.Software {
		return []int{base.draw()} // a subgroup is a thread's vector
	}
	var list []int
	for n := 64; n <= min(mostDraw, info.Limits.MaxInvocations, info.Limits.MaxGroupSize[0]); n *= 2 {
		list = append(list, n)
	}
	return list
}

// draw measures with how many lanes choosing from all logits is fastest, and whether top-k sorts out its few first.
func (u *tuner) draw(ctx context.Context, base Tuning, lanes []int) (best int, few bool, err error) {
	d := drawTrial{dev: u.dev}
	defer d.free()
	if err := d.make(ctx); err != nil {
		return 0, false, err
	}
	measure := func(t Tuning, p sample.Params) (took time.Duration) {
		if err == nil {
			took, err = d.time(ctx, NewSet(u.dev, t), p)
		}
		u.done++
		if u.progress != nil && err == nil {
			u.progress(u.done, u.total)
		}
		return took
	}
	least := time.Duration(math.MaxInt64)
	for _, n := range lanes {
		t := base
		t.Draw = n
		if took := measure(t, sample.Params{Temperature: 0.8, TopP: 0.9}); took < least {
			best, least = n, took
		}
	}
	base.Draw = best
	topK := sample.Params{Temperature: 0.8, TopK: 40, TopP: 0.9}
	base.Few = false
	all := measure(base, topK)
	base.Few = true
	few = measure(base, topK) < all
	return best, few, err
}

// drawTrial is what choosing once needs.
type drawTrial struct {
	dev     *vulkan.Device
	buffers []*vulkan.Buffer
	logits  vulkan.View
	top     [3]vulkan.View
	d       Draw
}

func (d *drawTrial) make(ctx context.Context) error {
	const k = 40
	for _, b := range []struct {
		at   *vulkan.View
		size int64
	}{
		{&d.logits, 4 * measuredLogits}, {&d.top[0], TopKScratch(measuredLogits, k)}, {&d.top[1], TopKScratch(measuredLogits, k)}, {&d.top[2], 8 * k},
		{&d.d.Control, ControlBytes}, {&d.d.Seen, 4 * measuredLogits}, {&d.d.Window, 4}, {&d.d.Result, 8},
	} {
		buffer, err := d.dev.NewBuffer("tuning draw", vulkan.Scratch, b.size)
		if err != nil {
			return err
		}
		d.buffers = append(d.buffers, buffer)
		*b.at = buffer.Whole()
	}
	raw := make([]byte, d.logits.Size)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range measuredLogits {
		binary.LittleEndian.PutUint32(raw[4*i:], math.Float32bits(float32(2.5*r.NormFloat64())))
	}
	return d.dev.Upload(ctx, d.logits, raw)
}

func (d *drawTrial) free() {
	for _, b := range d.buffers {
		b.Free()
	}
}

// time is the shortest of several runs.
func (d *drawTrial) time(ctx context.Context, set *Set, p sample.Params) (time.Duration, error) {
	s, err := sample.New(p)
	if err != nil {
		return 0, err
	}
	few := set.Few(s.Rule(), measuredLogits)
	if err := d.dev.Upload(ctx, d.d.Control, Control(s.Rule(), few > 0, 0, 0)); err != nil {
		return 0, err
	}
	program, err := set.Record(ctx, "tuning draw", func(e *Encoder) {
		for range repeats {
			if few > 0 {
				e.TopK(d.logits, d.top[2], measuredLogits, few, [2]vulkan.View{d.top[0], d.top[1]})
				e.DrawFew(d.top[2], few, d.d)
			} else {
				e.DrawAll(d.logits, measuredLogits, d.d)
			}
		}
	})
	if err != nil {
		return 0, err
	}
	defer program.Free()
	return shortest(ctx, program)
}
