package vulkan_test

import (
	"context"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"kestrel/engine/vulkan"
	"kestrel/engine/vulkan/vulkantest"
)

// residentBytes is the memory that the process holds, 0 where the system does not tell.
func residentBytes(t *testing.T) int64 {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	pages, err := strconv.ParseInt(strings.Fields(string(data))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// TestReplay runs one program many times: each run counts, none allocates, none leaks.
func TestReplay(t *testing.T) {
	d := vulkantest.Open(t)
	b := newBuffer(t, d, "counter", 256)
	inc := axpb(t, d, 1)
	r := d.NewRecorder("count")
	r.Dispatch(inc, 1, 1, 1, words(64, 1), vulkan.InOut(b.Whole()), vulkan.InOut(b.Whole()))
	r.Split()
	r.Dispatch(inc, 1, 1, 1, words(64, 2), vulkan.InOut(b.Whole()), vulkan.InOut(b.Whole()))
	p, err := r.End()
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	const runs = 20000
	var start int64
	for i := range runs {
		if i == runs/4 {
			runtime.GC()
			start = residentBytes(t)
		}
		if err := p.Run(ctx); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	if grown := residentBytes(t) - start; grown > 4<<20 {
		t.Errorf("%d runs grew the process by %d bytes", runs*3/4, grown)
	}
	if got := word(download(t, d, b.Whole()), 63); got != 3*runs {
		t.Errorf("the counter is %d after %d runs", got, runs)
	}
	if n := testing.AllocsPerRun(100, func() { p.Run(ctx) }); n > 0 {
		t.Errorf("a run makes %v allocations", n)
	}
}

// TestRecordAndFree records and frees many programs and buffers.
func TestRecordAndFree(t *testing.T) {
	d := vulkantest.OpenWith(t, vulkan.DeviceOptions{ForceStaging: true})
	inc := axpb(t, d, 1)
	var start int64
	const rounds = 600
	for i := range rounds {
		if i == rounds/3 {
			runtime.GC()
			start = residentBytes(t)
		}
		a, b := newBuffer(t, d, "a", 4096), newBuffer(t, d, "b", 4096)
		vulkantest.Run(t, d, func(r *vulkan.Recorder) {
			for range 20 {
				apply(r, inc, b.Whole(), a.Whole(), 1)
				apply(r, inc, a.Whole(), b.Whole(), 1)
			}
		})
		a.Free()
		b.Free()
	}
	runtime.GC()
	if grown := residentBytes(t) - start; grown > 8<<20 {
		t.Errorf("%d programs grew the process by %d bytes", rounds*2/3, grown)
	}
	if r := d.Memory(); r.Total > transferLimit {
		t.Errorf("%d bytes are still allocated", r.Total)
	}
}

const transferLimit = 4<<20 + 1<<16 // what Upload and Download keep

// stopAfter is a context that is cancelled after n looks at it.
type stopAfter struct {
	context.Context
	n int
}

func (s *stopAfter) Err() error {
	if s.n--; s.n < 0 {
		return context.Canceled
	}
	return nil
}

// TestCancel cancels a run between its parts.
func TestCancel(t *testing.T) {
	d := vulkantest.Open(t)
	b := newBuffer(t, d, "counter", 256)
	inc := axpb(t, d, 1)
	record := func(parts int) *vulkan.Program {
		r := d.NewRecorder("long")
		for range parts {
			r.Dispatch(inc, 1, 1, 1, words(64, 1), vulkan.InOut(b.Whole()), vulkan.InOut(b.Whole()))
			r.Split()
		}
		p, err := r.End()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	const parts = 2000
	p := record(parts)
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	checkError(t, "cancelled before", p.Run(cancelled), context.Canceled, `"long"`, "part 1 of 2000")
	if got := word(download(t, d, b.Whole()), 0); got != 0 {
		t.Errorf("%d parts ran after a cancellation", got)
	}
	checkError(t, "stopped", p.Run(&stopAfter{context.Background(), 100}), context.Canceled, "part 101 of 2000")
	if got := word(download(t, d, b.Whole()), 0); got != 100 {
		t.Errorf("%d parts ran before the stop, want 100", got)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	checkError(t, "timed out", p.Run(ctx), context.DeadlineExceeded, "of 2000")
	got := word(download(t, d, b.Whole()), 0)
	if got < 100 || got >= 100+parts {
		t.Errorf("%d parts ran in 5 ms", got-100)
	}
	time.Sleep(10 * time.Millisecond)
	if later := word(download(t, d, b.Whole()), 0); later != got {
		t.Errorf("%d parts ran after Run had returned", later-got)
	}
	if err := p.Run(context.Background()); err != nil { // it can be run again
		t.Fatal(err)
	}
	if now := word(download(t, d, b.Whole()), 0); now != got+parts {
		t.Errorf("a run after a cancelled one gives %d, want %d", now, got+parts)
	}
}

// TestSubmit keeps several programs in flight and runs one from several goroutines.
func TestSubmit(t *testing.T) {
	d := vulkantest.Open(t)
	a, b := newBuffer(t, d, "a", 256), newBuffer(t, d, "b", 256)
	inc, double := axpb(t, d, 1), axpb(t, d, 2)
	record := func(p *vulkan.Pipeline, y, x *vulkan.Buffer, add uint32) *vulkan.Program {
		r := d.NewRecorder("step")
		apply(r, p, y.Whole(), x.Whole(), add)
		prog, err := r.End()
		if err != nil {
			t.Fatal(err)
		}
		return prog
	}
	first, second := record(inc, b, a, 1), record(double, a, b, 0) // a = 2*(a+1)
	want := uint32(0)
	for range 20 {
		for range 2 { // the second Submit of each waits for the first
			for _, p := range []*vulkan.Program{first, second} {
				if err := p.Submit(); err != nil {
					t.Fatal(err)
				}
			}
			want = 2 * (want + 1)
		}
		for _, p := range []*vulkan.Program{first, second, second} {
			if err := p.Wait(); err != nil {
				t.Fatal(err)
			}
		}
		if got := word(download(t, d, a.Whole()), 63); got != want {
			t.Fatalf("a = %d, want %d", got, want)
		}
	}
	c := newBuffer(t, d, "c", 256)
	count := record(inc, c, c, 1)
	count.Free()
	r := d.NewRecorder("count")
	r.Dispatch(inc, 1, 1, 1, words(64, 1), vulkan.InOut(c.Whole()), vulkan.InOut(c.Whole()))
	count, err := r.End()
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if err := count.Run(context.Background()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := word(download(t, d, c.Whole()), 0); got != 400 {
		t.Errorf("400 runs from 8 goroutines counted %d", got)
	}
	if err := count.Submit(); err != nil {
		t.Fatal(err)
	}
	count.Free() // waits
	count.Free()
	checkError(t, "run", count.Run(context.Background()), vulkan.ErrClosed, `"count"`)
	checkError(t, "submit", count.Submit(), vulkan.ErrClosed)
	checkError(t, "wait", count.Wait(), vulkan.ErrClosed)
	if got := word(download(t, d, c.Whole()), 0); got != 401 {
		t.Errorf("the run that was freed under way counted %d", got)
	}
}

// TestFreedBuffer frees a buffer that a program names: it lives until the program is freed.
func TestFreedBuffer(t *testing.T) {
	d := vulkantest.Open(t)
	a, b := newBuffer(t, d, "a", 1<<20), newBuffer(t, d, "b", 256)
	r := d.NewRecorder("late")
	apply(r, axpb(t, d, 1), b.Whole(), a.View(0, 256), 5)
	p, err := r.End()
	if err != nil {
		t.Fatal(err)
	}
	a.Free()
	if err := p.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := word(download(t, d, b.Whole()), 0); got != 5 {
		t.Errorf("b = %d, want 5", got)
	}
	uses := len(d.Memory().Buffers)
	p.Free()
	if now := len(d.Memory().Buffers); now != uses-1 {
		t.Errorf("%d buffers before the program is freed, %d after", uses, now)
	}
}

func TestProfile(t *testing.T) {
	d := vulkantest.OpenWith(t, vulkan.DeviceOptions{Profile: true})
	b, c := newBuffer(t, d, "b", 8<<20), newBuffer(t, d, "c", 8<<20)
	small := axpb(t, d, 1)
	large, err := d.Pipeline(context.Background(), vulkan.PipelineSpec{Name: "large", SPIRV: axpbSPIRV, Bindings: 2, PushBytes: 8, Constants: []uint32{64, 2}})
	if err != nil {
		t.Fatal(err)
	}
	r := d.NewRecorder("profiled")
	r.Fill(b.Whole(), 1)
	for range 3 {
		apply(r, large, c.Whole(), b.Whole(), 0)
		apply(r, small, b.View(0, 256), c.View(0, 256), 0)
		r.Split()
	}
	r.Copy(c.Whole(), b.Whole())
	p, err := r.End()
	if err != nil {
		t.Fatal(err)
	}
	if times := p.Profile(); len(times) != 0 {
		t.Errorf("times before a run: %v", times)
	}
	const runs = 5
	start := time.Now()
	for range runs {
		if err := p.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	passed := time.Since(start)
	checkError(t, "stopped", p.Run(&stopAfter{context.Background(), 2}), context.Canceled, "part 3 of 4") // does not count
	count := map[string]int{}
	var sum time.Duration
	byName := map[string]time.Duration{}
	for _, k := range p.Profile() {
		count[k.Name] += k.Count
		byName[k.Name] = k.Total
		sum += k.Total
		if k.Total < 0 {
			t.Errorf("%s took %v", k.Name, k.Total)
		}
	}
	for name, want := range map[string]int{"large": 3 * runs, "axpb": 3 * runs, "fill": runs, "copy": runs} {
		if count[name] != want {
			t.Errorf("%s was timed %d times, want %d", name, count[name], want)
		}
	}
	if sum <= 0 || sum > passed {
		t.Errorf("the kernels took %v of the %v that passed", sum, passed)
	}
	if byName["large"] <= byName["axpb"] {
		t.Errorf("32768 times the work took %v and %v", byName["large"], byName["axpb"])
	}
	plain := vulkantest.Open(t)
	x := newBuffer(t, plain, "x", 64)
	r = plain.NewRecorder("plain")
	r.Fill(x.Whole(), 1)
	if p, err = r.End(); err != nil || p.Run(context.Background()) != nil || p.Profile() != nil {
		t.Errorf("a device without Profile: %v, %v", err, p.Profile())
	}
}

func TestCopyBandwidth(t *testing.T) {
	d := vulkantest.Open(t)
	gbps, err := d.CopyBandwidth(context.Background(), 16<<20)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.1f GB/s", gbps)
	if gbps < 0.1 || gbps > 20000 {
		t.Errorf("%g GB/s", gbps)
	}
	if r := d.Memory(); r.Total > transferLimit {
		t.Errorf("%d bytes stay allocated", r.Total)
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = d.CopyBandwidth(cancelled, 1<<20)
	checkError(t, "cancelled", err, context.Canceled)
}

func BenchmarkRun(b *testing.B) {
	in, err := vulkan.NewInstance(vulkan.InstanceOptions{})
	if err != nil {
		b.Fatal(err)
	}
	defer in.Close()
	info, err := in.Choose(os.Getenv(vulkantest.DeviceEnv))
	if err != nil {
		b.Fatal(err)
	}
	d, err := in.Open(info, vulkan.DeviceOptions{})
	if err != nil {
		b.Fatal(err)
	}
	x := newBuffer(b, d, "x", 256)
	inc := axpb(b, d, 1)
	for _, n := range []int{1, 256} {
		r := d.NewRecorder("bench")
		for range n {
			r.Dispatch(inc, 1, 1, 1, words(64, 1), vulkan.InOut(x.Whole()), vulkan.InOut(x.Whole()))
		}
		p, err := r.End()
		if err != nil {
			b.Fatal(err)
		}
		b.Run(strconv.Itoa(n)+" dispatches", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := p.Run(context.Background()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
