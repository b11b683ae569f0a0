package vulkan

import (
	"context"
	"fmt"
	"time"
)

// CopyBandwidth measures how fast the device copies its own memory: GB/s, counting the bytes read and the bytes
// written. It copies a buffer of the given size to another and back for at least a fifth of a second, and gives
// the best run. It needs twice the bytes of device memory while it measures.
func (d *Device) CopyBandwidth(ctx context.Context, bytes int64) (float64, error) {
	bytes = roundUp(bytes, 4)
	a, err := d.NewBuffer("bandwidth a", Scratch, bytes)
	if err != nil {
		return 0, err
	}
	defer a.Free()
	b, err := d.NewBuffer("bandwidth b", Scratch, bytes)
	if err != nil {
		return 0, err
	}
	defer b.Free()
	best := time.Duration(0)
	for copies, total := 2, time.Duration(0); total < 200*time.Millisecond; {
		took, err := d.timeCopies(ctx, a, b, copies)
		if err != nil {
			return 0, err
		}
		total += took
		if per := took / time.Duration(copies); best == 0 || per < best {
			best = per
		}
		if took < 20*time.Millisecond && copies < 1024 {
			copies *= 2 // so that the cost of a submission does not show
		}
	}
	return 2 * float64(bytes) / max(best.Seconds(), 1e-9) / 1e9, nil
}

// timeCopies is the time of one program with n copies to and fro, after one run to warm up.
func (d *Device) timeCopies(ctx context.Context, a, b *Buffer, n int) (time.Duration, error) {
	r := d.NewRecorder("bandwidth")
	for i := range n {
		if i%2 == 0 {
			r.Copy(b.Whole(), a.Whole())
		} else {
			r.Copy(a.Whole(), b.Whole())
		}
	}
	p, err := r.End()
	if err != nil {
		return 0, err
	}
	defer p.Free()
	var took time.Duration
	for range 2 {
		start := time.Now()
		if err := p.Run(ctx); err != nil {
			return 0, fmt.Errorf("vulkan: measure bandwidth: %w", err)
		}
		took = time.Since(start)
	}
	return took, nil
}
