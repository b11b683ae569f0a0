package kernel

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"kestrel/engine/vulkan"
)

// Peak is how many floating-point operations a second a device does at best, a multiply-add counted as two, from
// registers. Matrix is of binary16 with f32 sums by cooperative matrices; 0 where there are none.
type Peak struct{ FMA, Matrix float64 }

// peakSpan is how long the measured submissions take at the least: long enough that submitting does not show, short
// enough for a desktop to stay alive.
const peakSpan = 30 * time.Millisecond

// fmaRound is the multiply-adds that a lane does in a round: chains times times of shaders/peak_fma.comp.
const fmaRound = 12 * 8

// MeasurePeak measures the device. Nothing else should run on it meanwhile.
func (s *Set) MeasurePeak(ctx context.Context) (Peak, error) {
	buf, err := s.dev.NewHostBuffer("peak", vulkan.Scratch, 64<<10)
	if err != nil {
		return Peak{}, err
	}
	defer buf.Free()
	raw := buf.Bytes()
	for i := 0; i < len(raw); i += 4 {
		binary.LittleEndian.PutUint32(raw[i:], floatBits(0.5)) // finite, and so for all rounds
	}
	var p Peak
	info := s.dev.Info()
	local, groups := 64, 4096
	if info.Type == vulkan.Software {
		local, groups = info.Limits.SubgroupSize, 64
	}
	p.FMA, err = s.rate(ctx, 2*fmaRound*float64(local*groups), func(e *Encoder, rounds uint32) {
		e.run("peak_fma", []uint32{uint32(local)}, groups, 1, []any{rounds}, vulkan.InOut(buf.Whole()))
	})
	if err != nil {
		return p, fmt.Errorf("peak of multiply-adds: %w", err)
	}
	f, ok := FragmentOf(info)
	if !ok {
		return p, nil
	}
	subgroups := 4
	p.Matrix, err = s.rate(ctx, 2*8*float64(f.M*f.N*f.K*subgroups*groups), func(e *Encoder, rounds uint32) {
		e.runFull(f.Width, "peak_coopmat", []uint32{uint32(subgroups * f.Width), uint32(f.M), uint32(f.N), uint32(f.K)},
			groups, 1, []any{rounds}, vulkan.InOut(buf.Whole()))
	})
	if err != nil {
		return p, fmt.Errorf("peak of the matrix units: %w", err)
	}
	return p, nil
}

// rate runs a dispatch of so many operations a round with more and more rounds, and gives operations a second: the best of
// three, at the first number of rounds that takes peakSpan.
func (s *Set) rate(ctx context.Context, flop float64, plan func(e *Encoder, rounds uint32)) (float64, error) {
	for rounds := uint32(16); ; rounds *= 2 {
		p, err := s.Record(ctx, "peak", func(e *Encoder) { plan(e, rounds) })
		if err != nil {
			return 0, err
		}
		best := time.Duration(0)
		for range 4 { // of which the first warms up
			start := time.Now()
			if err := p.Run(ctx); err != nil {
				p.Free()
				return 0, err
			}
			if took := time.Since(start); best == 0 || took < best {
				best = took
			}
		}
		p.Free()
		if best >= peakSpan || rounds >= 1<<24 {
			return flop * float64(rounds) / best.Seconds(), nil
		}
	}
}
