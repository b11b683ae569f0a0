package engine_test

import (
	"bytes"
	"context"
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"kestrel/engine"
	"kestrel/engine/checkpoint"
	"kestrel/engine/checkpoint/checkpointtest"
	"kestrel/engine/sample"
	"kestrel/engine/vulkan/vulkantest"
	"kestrel/engine/weights"
)

// longEnv makes TestFlat write 130,000 tokens and read 1,000,000, as long as the longest figures of the publication.
const longEnv = "KESTREL_LONG_TESTS"

// TestFlat: a long text is written and read as fast at its end as at its beginning, and takes no more memory.
//
// Speed is compared with a second session that starts anew now and then, in turns with the long one: what else the
// machine does then slows both. The driver's and the program's own memory are fitted over the run by a line.
func TestFlat(t *testing.T) {
	written, fed := 20_000, 200_000
	switch {
	case os.Getenv(longEnv) != "":
		written, fed = 130_000, 1_000_000
	case testing.Short():
		written, fed = 1_000, 10_000
	}
	m := quick(t)
	t.Run("decode", func(t *testing.T) {
		sampler := newSampler(t, sample.Params{})
		step := func(s *engine.Session, n int) { next(t, s, sampler, n) }
		flat(t, m, written, 4, step)
	})
	t.Run("decode ahead", func(t *testing.T) {
		engine.SetAhead(m, 4)
		defer engine.SetAhead(m, 0)
		sampler := newSampler(t, sample.Params{Temperature: 1, TopP: 0.9, RepeatPenalty: 1.1})
		flat(t, m, written/2, 20, func(s *engine.Session, n int) {
			if _, err := s.Generate(context.Background(), sampler, engine.GenerateOptions{Max: n, IgnoreEOS: true}, nil); err != nil {
				t.Fatal(err)
			}
		})
	})
	t.Run("prefill", func(t *testing.T) {
		ids := prose(m, m.Chunk())
		flat(t, m, fed, m.Chunk(), func(s *engine.Session, n int) { feed(t, s, ids[:n]) })
	})
}

// quick is a model that takes little time a token, so that the fixed costs of a token show.
func quick(t *testing.T) *engine.Model {
	c := checkpointtest.Config(checkpoint.FalconMamba, 64, 2, 128, 16, 4, 8, 4096)
	o := engine.Options{Device: os.Getenv(vulkantest.DeviceEnv), Warn: all.add, CacheDir: cacheDir}
	failOnWarnings(t, &all)
	return openFS(t, withTokenizer(t, checkpointtest.Random(7, c).HF(checkpointtest.All(weights.F16))), ".", o)
}

// flat moves a session on by total tokens, in pieces of `piece`.
func flat(t *testing.T, m *engine.Model, total, piece int, step func(*engine.Session, int)) {
	long, fresh := newSession(t, m), newSession(t, m)
	for _, s := range []*engine.Session{long, fresh} { // record programs, warm up
		feed(t, s, prose(m, 2))
		step(s, piece)
		step(s, piece)
	}
	pieces := total / piece
	var longTimes, freshTimes []float64
	pair := func(i int) { // one piece of each
		if i%40 == 0 {
			if err := fresh.Reset(); err != nil {
				t.Fatal(err)
			}
			feed(t, fresh, prose(m, 2))
		}
		timed := func(s *engine.Session) float64 {
			start := time.Now()
			step(s, piece)
			return time.Since(start).Seconds()
		}
		if i%2 == 0 { // neither always goes first
			longTimes = append(longTimes, timed(long))
			freshTimes = append(freshTimes, timed(fresh))
		} else {
			freshTimes = append(freshTimes, timed(fresh))
			longTimes = append(longTimes, timed(long))
		}
	}
	var at, heap, resident []float64
	before := m.Memory()
	for i := range pieces {
		pair(i)
		if i%max(pieces/50, 1) == 0 {
			h, r := memory(t)
			at, heap, resident = append(at, float64(i*piece)), append(heap, h), append(resident, r)
		}
	}
	tenth := max(pieces/10, 2) &^ 1
	late := (pieces - tenth) &^ 1
	first, last := median(longTimes[:tenth]), median(longTimes[late:])
	slower := func() float64 { return median(ratios(longTimes[late:], freshTimes[late:])) }
	// Where the machine is too busy for so few pieces to tell, more of them tell; none is left out.
	const limit = 1.02
	for most := 20 * tenth; !testing.Short() && slower() > limit && len(longTimes) < pieces+most; {
		for range tenth {
			pair(len(longTimes))
		}
	}
	ratio := slower()
	t.Logf("%d tokens: first tenth %.0f tokens/s, last %.0f; last beside a new session %.4f in %d pieces", total,
		float64(piece)/first, float64(piece)/last, 1/ratio, len(longTimes)-late)
	// the first fifth lets the heap find its size
	skip := len(at) / 5
	heapSlope, residentSlope := slope(at[skip:], heap[skip:]), slope(at[skip:], resident[skip:])
	t.Logf("growth per 1,000 tokens: Go heap %.0f bytes, resident memory %.0f bytes", heapSlope*1000, residentSlope*1000)

	if after := m.Memory(); after.Total != before.Total || after.Peak != before.Peak || buffers(after) != buffers(before) {
		t.Errorf("device memory: before\n%+v\nafter\n%+v", before, after)
	}
	if !testing.Short() && ratio > limit {
		t.Errorf("after %d tokens a token takes %.4f of a new session's time, want at most %.2f", total, ratio, limit)
	}
	// A leak of 8 bytes a token would show; the line of resident memory is as rough as pages are.
	if grown := heapSlope * float64(total); grown > 1<<20 && heapSlope > 8 {
		t.Errorf("the Go heap grew by %.0f bytes", grown)
	}
	if grown := residentSlope * float64(total); grown > 8<<20 {
		t.Errorf("resident memory grew by %.0f bytes", grown)
	}
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

// ratios of a to b in every two pairs: in one of them a went first, in the other b, and going first may cost.
func ratios(a, b []float64) []float64 {
	var r []float64
	for i := 0; i+1 < len(a); i += 2 {
		r = append(r, (a[i]+a[i+1])/(b[i]+b[i+1]))
	}
	return r
}

// slope of the least-squares line through (x, y).
func slope(x, y []float64) float64 {
	var mx, my, xy, xx float64
	for i := range x {
		mx += x[i] / float64(len(x))
		my += y[i] / float64(len(x))
	}
	for i := range x {
		xy += (x[i] - mx) * (y[i] - my)
		xx += (x[i] - mx) * (x[i] - mx)
	}
	if xx == 0 {
		return 0
	}
	return xy / xx
}

// memory is the live Go heap and the process's resident memory, the driver's and C's included, in bytes.
func memory(t *testing.T) (heap, resident float64) {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return float64(stats.HeapAlloc), 0 // no Linux
	}
	fields := bytes.Fields(data)
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return float64(stats.HeapAlloc), float64(pages) * float64(os.Getpagesize())
}
