package engine_test

import (
	"context"
	"errors"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"kestrel/engine"
	"kestrel/engine/checkpoint"
	"kestrel/engine/checkpoint/checkpointtest"
	"kestrel/engine/mamba"
	"kestrel/engine/sample"
	"kestrel/engine/vulkan"
	"kestrel/engine/vulkan/vulkantest"
	"kestrel/engine/weights"
)

// TestConstantMemory: what the model and a session take of the device does not depend on the length of the text.
func TestConstantMemory(t *testing.T) {
	read, write := 5000, 500
	if testing.Short() {
		read, write = 300, 30
	}
	o := options(t)
	m := openFS(t, demoFloats, ".", o)
	s := newSession(t, m)
	sampler := newSampler(t, sample.Params{Temperature: 1, TopK: 40})
	feed(t, s, prose(m, m.Chunk()+2)) // a whole chunk and the rest of one
	next(t, s, sampler, 1)
	state(t, s)
	before := m.Memory()
	bytes := state(t, s).Bytes()
	feed(t, s, prose(m, read))
	next(t, s, sampler, write)
	if err := s.Reset(); err != nil {
		t.Fatal(err)
	}
	feed(t, s, prose(m, 7))
	if after := m.Memory(); !reflect.DeepEqual(after, before) {
		t.Errorf("before the text\n%+v\nafter it\n%+v", before, after)
	}
	if got := state(t, s).Bytes(); got != bytes {
		t.Errorf("the state has %d bytes, %d at first", got, bytes)
	}
}

// TestHostMemory: a text of any length leaves nothing behind in the program either.
func TestHostMemory(t *testing.T) {
	m := demo(t)
	s := newSession(t, m)
	heap := func() int64 {
		feed(t, s, prose(m, 130))
		greedy(t, s, 5)
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return int64(stats.HeapAlloc)
	}
	heap()
	before := heap()
	for k := range 30 { // prompts of every length
		feed(t, s, prose(m, 66+k))
	}
	if grown := heap() - before; grown > 1<<20 {
		t.Errorf("%d bytes more after 30 prompts", grown)
	}
}

// TestSessionMemory: a session takes what it takes once, and gives all of it back.
func TestSessionMemory(t *testing.T) {
	m := openFS(t, demoFloats, ".", options(t))
	ctx := context.Background()
	empty := m.Memory()
	use := func() *engine.Session {
		s, err := m.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		feed(t, s, prose(m, 40))
		if err := s.FeedAll(ctx, prose(m, 40), func(int, []float32) error { return nil }); err != nil {
			t.Fatal(err)
		}
		for _, p := range []sample.Params{{}, {Temperature: 1, TopK: 3}, {Temperature: 1, TopK: 50}, {Temperature: 1}} {
			next(t, s, newSampler(t, p), 2)
		}
		state(t, s)
		return s
	}
	var open []*engine.Session
	var taken []int64
	for range 3 {
		open = append(open, use())
		taken = append(taken, buffers(m.Memory()))
	}
	if one := taken[0] - buffers(empty); one <= 0 || taken[1]-taken[0] != one || taken[2]-taken[1] != one {
		t.Errorf("sessions take %v bytes one after the other, the model alone %d", taken, buffers(empty))
	}
	for _, s := range open {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	after := m.Memory()
	after.Peak, empty.Peak = 0, 0
	if !reflect.DeepEqual(after, empty) {
		t.Errorf("after the sessions were closed\n%+v\nbefore they were opened\n%+v", after, empty)
	}
	if err := use().Close(); err != nil {
		t.Fatal(err)
	}
}

// buffers is the memory in use but for staging, which is the device's.
func buffers(r vulkan.MemoryReport) int64 {
	var n int64
	for _, p := range r.Purposes {
		if p.Purpose != vulkan.Staging {
			n += p.Buffers
		}
	}
	return n
}

// TestParallelMemory: prefill in one piece takes more memory with every token, and gives it back.
func TestParallelMemory(t *testing.T) {
	o := options(t)
	o.Prefill, o.Chunk = engine.Parallel, 16
	m := openFS(t, demoFloats, ".", o)
	s := newSession(t, m)
	feed(t, s, prose(m, 16))
	before := m.Memory()
	feed(t, s, prose(m, 600))
	after := m.Memory()
	if buffers(after) != buffers(before) || after.Total != before.Total || after.Peak <= before.Peak {
		t.Errorf("before\n%+v\nafter\n%+v", before, after)
	}
}

const gib = 1 << 30

// TestSuggest: the way out names the best precisions that would fit, and how to get them.
func TestSuggest(t *testing.T) {
	float := map[weights.DType]int64{weights.F16: 14 * gib, weights.Q8_0: 7*gib + gib/2, weights.Q6_K: 6 * gib, weights.Q5_K: 5 * gib,
		weights.Q4_K: 4 * gib, weights.Q3_K: 3 * gib, weights.Q2_K: 2 * gib}
	for _, c := range []struct {
		name       string
		need, free int64
		quantizes  bool
		says, not  string
	}{
		{"a byte short", 14 * gib, 14*gib - 1, true, "as Q8_0 (7.50 GiB) or Q6_K (6.00 GiB): use --quant q8_0", "F16"},
		{"half", 28 * gib, 16 * gib, true, "as F16 (14.00 GiB) or Q8_0 (7.50 GiB): use --quant f16", "Q6_K"},
		{"a file that is quantized", 14 * gib, 7 * gib, false, "as Q6_K (6.00 GiB) or Q5_K (5.00 GiB): take a file of that precision", "--quant"},
		{"one", 28 * gib, 2*gib + 1, true, "as Q2_K (2.00 GiB): use --quant q2_k", " or "},
		{"none", 28 * gib, 100 << 20, true, "choose another device (kestrel devices lists them) or a smaller model", "--quant"},
		{"nothing smaller", 2 * gib, gib, true, "smaller model", "--quant"},
	} {
		smaller, got := engine.Suggest(c.need, c.free, c.quantizes, func(d weights.DType) int64 { return float[d] })
		if !strings.Contains(got, c.says) || strings.Contains(got, c.not) {
			t.Errorf("%s: %q", c.name, got)
		}
		for _, a := range smaller {
			if a.Device != float[a.Quant] || !strings.Contains(got, a.Quant.String()+" (") {
				t.Errorf("%s: %v needs %d, told %q", c.name, a.Quant, a.Device, got)
			}
		}
		if len(smaller) == 0 != (c.name == "none" || c.name == "nothing smaller") {
			t.Errorf("%s: %v", c.name, smaller)
		}
	}
}

// TestDeviceMemory: on a device with just enough memory a model is opened and runs; with a byte less it is refused before
// anything is loaded, with the precision in which it would fit.
func TestDeviceMemory(t *testing.T) {
	ck := checkpointtest.Random(1, checkpointtest.Config(checkpoint.FalconMamba, 256, 2, 512, 16, 4, 32, 32768)).Open(t, checkpointtest.All(weights.F32))
	ctx := context.Background()
	o := engine.Options{Chunk: 16}
	all := vulkantest.Open(t)
	plan, err := all.PlanAllocation(mamba.Requests(ck, all.Info(), mamba.Options{Chunk: o.Chunk}))
	if err != nil {
		t.Fatal(err)
	}
	enough := vulkantest.OpenWith(t, vulkan.DeviceOptions{MemoryLimit: plan.Device})
	if err := engine.CheckMemory(ck, enough, o); err != nil {
		t.Fatal(err)
	}
	// Quantized, it fits into what its loading needs at the most, staging among it, and not into a byte less.
	o.Quant = "q8_0"
	quant, err := engine.EstimateOn(ck, enough, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, less := range []int64{0, 1} {
		if err := engine.CheckMemory(ck, vulkantest.OpenWith(t, vulkan.DeviceOptions{MemoryLimit: quant.Device - less}), o); (err == nil) != (less == 0) {
			t.Errorf("q8_0 in %d bytes less than %+v: %v", less, quant, err)
		}
	}
	as, err := ck.As(weights.Q8_0, false)
	if err != nil {
		t.Fatal(err)
	}
	tight, err := mamba.Load(ctx, vulkantest.OpenWith(t, vulkan.DeviceOptions{MemoryLimit: quant.Device}), as, mamba.Options{Chunk: o.Chunk})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tight.NewSequence(); err != nil {
		t.Error(err)
	}
	o.Quant = ""
	m, err := mamba.Load(ctx, enough, ck, mamba.Options{Chunk: o.Chunk})
	if err != nil {
		t.Fatal(err)
	}
	q, err := m.NewSequence()
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Chunk(ctx, []int{1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	if err := q.Step(ctx, 4); err != nil {
		t.Fatal(err)
	}
	fill(t, enough, m, q)

	less := vulkantest.OpenWith(t, vulkan.DeviceOptions{MemoryLimit: plan.Device - 1})
	if err := engine.CheckMemory(ck, less, o); !errors.Is(err, engine.ErrOutOfDeviceMemory) || !strings.Contains(err.Error(), "F16 (") || !strings.Contains(err.Error(), "Q8_0 (") ||
		!strings.Contains(err.Error(), "--quant f16") {
		t.Errorf("a byte less than enough: %v", err)
	}
	none := vulkantest.OpenWith(t, vulkan.DeviceOptions{MemoryLimit: 1 << 20})
	if err := engine.CheckMemory(ck, none, o); !errors.Is(err, engine.ErrOutOfDeviceMemory) || strings.Contains(err.Error(), "Q8_0") {
		t.Errorf("next to nothing: %v", err)
	}
	if total := less.Memory().Total + none.Memory().Total; total != 0 {
		t.Errorf("%d bytes were allocated to find that out", total)
	}
}

// fill asks for more than the device has: sessions until none fits, and a prompt in one piece. What is open goes on.
func fill(t *testing.T, dev *vulkan.Device, m *mamba.Model, q *mamba.Sequence) {
	t.Helper()
	ctx := context.Background()
	before, err := q.Carry(ctx)
	if err != nil {
		t.Fatal(err)
	}
	used := buffers(dev.Memory())
	if err := q.Parallel(ctx, make([]int, 2000)); !errors.Is(err, engine.ErrOutOfDeviceMemory) || !strings.Contains(err.Error(), "chunked") {
		t.Errorf("2000 tokens in one piece: %v", err)
	}
	if now := buffers(dev.Memory()); now != used {
		t.Errorf("%d bytes are in use after that, %d before", now, used)
	}
	var more []*mamba.Sequence
	for err == nil && len(more) < 100 {
		var s *mamba.Sequence
		if s, err = m.NewSequence(); err == nil {
			more = append(more, s)
		}
	}
	if !errors.Is(err, engine.ErrOutOfDeviceMemory) || !strings.Contains(err.Error(), "session") {
		t.Errorf("after %d more sessions: %v", len(more), err)
	}
	for _, s := range more {
		s.Close()
	}
	if now := buffers(dev.Memory()); now != used {
		t.Errorf("%d bytes are in use after %d more sessions, %d before", now, len(more), used)
	}
	after, err := q.Carry(ctx)
	if err != nil || !reflect.DeepEqual(after, before) {
		t.Errorf("the first session is not where it was: %v", err)
	}
	if err := q.Step(ctx, 5); err != nil {
		t.Error(err)
	}
}
