package vulkan_test

import (
	"context"
	"fmt"
	"testing"

	"kestrel/engine/vulkan"
	"kestrel/engine/vulkan/vulkantest"
)

// TestBarriers runs chains of dispatches, copies and fills and checks the values and the number of barriers.
// Synchronization validation checks that none is missing; the counts check that none is needless.
func TestBarriers(t *testing.T) {
	const n = 4096 // words of a buffer
	for _, staging := range []bool{false, true} {
		d := vulkantest.OpenWith(t, vulkan.DeviceOptions{ForceStaging: staging})
		inc, double := axpb(t, d, 1), axpb(t, d, 2)
		for _, c := range []struct {
			name   string
			record func(r *vulkan.Recorder, a, b, c *vulkan.Buffer)
			want   [3]uint32 // value of every word of a, b, c
			stats  vulkan.Stats
		}{
			{"read after write", func(r *vulkan.Recorder, a, b, c *vulkan.Buffer) {
				apply(r, inc, b.Whole(), a.Whole(), 5)    // b = a+5
				apply(r, double, c.Whole(), b.Whole(), 1) // c = 2b+1
			}, [3]uint32{0, 5, 11}, vulkan.Stats{Dispatches: 2, Barriers: 1, Submissions: 1}},
			{"write after read", func(r *vulkan.Recorder, a, b, c *vulkan.Buffer) {
				apply(r, inc, b.Whole(), a.Whole(), 5)
				apply(r, inc, a.Whole(), c.Whole(), 7)
			}, [3]uint32{7, 5, 0}, vulkan.Stats{Dispatches: 2, Barriers: 1, Submissions: 1}},
			{"write after write", func(r *vulkan.Recorder, a, b, c *vulkan.Buffer) {
				apply(r, inc, b.Whole(), a.Whole(), 5)
				apply(r, inc, b.Whole(), c.Whole(), 7)
			}, [3]uint32{0, 7, 0}, vulkan.Stats{Dispatches: 2, Barriers: 1, Submissions: 1}},
			{"read after read", func(r *vulkan.Recorder, a, b, c *vulkan.Buffer) {
				apply(r, inc, b.Whole(), a.Whole(), 5)
				apply(r, inc, c.Whole(), a.Whole(), 7)
			}, [3]uint32{0, 5, 7}, vulkan.Stats{Dispatches: 2, Submissions: 1}},
			{"ranges that do not touch", func(r *vulkan.Recorder, a, b, c *vulkan.Buffer) {
				half := int64(2 * n)
				apply(r, inc, b.View(0, half), a.Whole(), 5)
				apply(r, inc, b.View(half, half), a.Whole(), 5)
				apply(r, inc, c.View(0, half), b.View(half, half), 1) // needs the second
				apply(r, inc, c.View(half, half), b.View(0, half), 1) // ordered by the same barrier
			}, [3]uint32{0, 5, 6}, vulkan.Stats{Dispatches: 4, Barriers: 1, Submissions: 1}},
			{"ranges that share a word", func(r *vulkan.Recorder, a, b, c *vulkan.Buffer) {
				apply(r, inc, b.View(0, 4*n-256), a.Whole(), 5)
				apply(r, inc, b.View(256, 4*n-256), a.Whole(), 5)
			}, [3]uint32{0, 5, 0}, vulkan.Stats{Dispatches: 2, Barriers: 1, Submissions: 1}},
			{"in place", func(r *vulkan.Recorder, a, b, c *vulkan.Buffer) {
				for range 10 {
					r.Dispatch(inc, n/64, 1, 1, words(n, 3), vulkan.InOut(a.Whole()), vulkan.InOut(a.Whole()))
				}
				apply(r, inc, b.Whole(), a.Whole(), 0)
			}, [3]uint32{30, 30, 0}, vulkan.Stats{Dispatches: 11, Barriers: 10, Submissions: 1}},
			{"copies and fills", func(r *vulkan.Recorder, a, b, c *vulkan.Buffer) {
				r.Fill(a.Whole(), 9)
				r.Copy(b.Whole(), a.Whole())              // after the fill
				apply(r, double, c.Whole(), b.Whole(), 0) // after the copy
				r.Fill(b.Whole(), 4)                      // after the dispatch
				r.Copy(a.Whole(), b.Whole())              // after the fill
			}, [3]uint32{4, 4, 18}, vulkan.Stats{Dispatches: 1, Barriers: 4, Submissions: 1}},
			{"parts", func(r *vulkan.Recorder, a, b, c *vulkan.Buffer) {
				r.Split() // empty parts do not count
				for range 5 {
					apply(r, inc, b.Whole(), a.Whole(), 1)
					r.Split()
					apply(r, inc, a.Whole(), b.Whole(), 1)
					r.Split()
				}
				r.Split()
			}, [3]uint32{10, 9, 0}, vulkan.Stats{Dispatches: 10, Submissions: 10}},
		} {
			t.Run(fmt.Sprintf("%s/staging=%v", c.name, staging), func(t *testing.T) {
				var bufs [3]*vulkan.Buffer
				for i := range bufs {
					bufs[i] = newBuffer(t, d, string(rune('a'+i)), 4*n)
					defer bufs[i].Free()
				}
				stats := vulkantest.Run(t, d, func(r *vulkan.Recorder) { c.record(r, bufs[0], bufs[1], bufs[2]) })
				if stats != c.stats {
					t.Errorf("stats %+v, want %+v", stats, c.stats)
				}
				for i, b := range bufs {
					for j, out := 0, download(t, d, b.Whole()); j < n; j++ {
						if got := word(out, j); got != c.want[i] {
							t.Fatalf("%s[%d] = %d, want %d", b.Name(), j, got, c.want[i])
						}
					}
				}
			})
		}
	}
}

// TestUndeclaredHazard declares a write as a read, so that the barrier is missing, and expects synchronization
// validation to find it: that the other tests are silent means something only if this one is not.
func TestUndeclaredHazard(t *testing.T) {
	d := vulkantest.Open(t)
	a, b, c := newBuffer(t, d, "a", 1024), newBuffer(t, d, "b", 1024), newBuffer(t, d, "c", 1024)
	inc := axpb(t, d, 1)
	stats := vulkantest.Run(t, d, func(r *vulkan.Recorder) {
		r.Dispatch(inc, 4, 1, 1, words(256, 1), vulkan.In(a.Whole()), vulkan.In(b.Whole())) // writes b
		r.Dispatch(inc, 4, 1, 1, words(256, 1), vulkan.In(b.Whole()), vulkan.Out(a.Whole()))
	})
	if stats.Barriers != 1 { // a is read, then written
		t.Errorf("%d barriers, want 1", stats.Barriers)
	}
	if got := vulkantest.Take(t); len(got) != 0 {
		t.Errorf("the barrier for a orders b too, yet there are messages: %q", got)
	}
	vulkantest.Run(t, d, func(r *vulkan.Recorder) {
		r.Dispatch(inc, 4, 1, 1, words(256, 1), vulkan.In(a.Whole()), vulkan.In(b.Whole()))
		r.Dispatch(inc, 4, 1, 1, words(256, 1), vulkan.In(b.Whole()), vulkan.Out(c.Whole()))
	})
	vulkantest.Expect(t, "SYNC-HAZARD-READ-AFTER-WRITE")
}

// TestOddView binds a view that ends inside a word: a shader of 16-bit values reads that word.
func TestOddView(t *testing.T) {
	d := vulkantest.Open(t)
	x, y := newBuffer(t, d, "x", 70), newBuffer(t, d, "y", 16)
	if err := d.Upload(context.Background(), x.View(64, 6), []byte{1, 0, 0, 0, 2, 1}); err != nil {
		t.Fatal(err)
	}
	vulkantest.Run(t, d, func(r *vulkan.Recorder) {
		r.Dispatch(axpb(t, d, 1), 1, 1, 1, words(2, 0), vulkan.In(x.View(64, 6)), vulkan.Out(y.Whole()))
	})
	if got := download(t, d, y.View(0, 8)); word(got, 0) != 1 || word(got, 1) != 0x102 {
		t.Errorf("the shader read %x", got)
	}
}

func TestRecorderErrors(t *testing.T) {
	d := vulkantest.Open(t)
	other := vulkantest.Open(t)
	a, b := newBuffer(t, d, "a", 1024), newBuffer(t, d, "b", 1024)
	foreign := newBuffer(t, other, "foreign", 1024)
	freed := newBuffer(t, d, "freed", 1024)
	freed.Free()
	inc := axpb(t, d, 1)
	push := words(1, 1)
	in, out := vulkan.In(a.Whole()), vulkan.Out(b.Whole())
	for _, c := range []struct {
		name   string
		record func(r *vulkan.Recorder)
		says   string
	}{
		{"nothing", func(r *vulkan.Recorder) {}, "no commands"},
		{"no pipeline", func(r *vulkan.Recorder) { r.Dispatch(nil, 1, 1, 1, push, in, out) }, "pipeline is missing"},
		{"pipeline of another device", func(r *vulkan.Recorder) { r.Dispatch(axpb(t, other, 1), 1, 1, 1, push, in, out) }, "of another device"},
		{"no workgroups", func(r *vulkan.Recorder) { r.Dispatch(inc, 1, 0, 1, push, in, out) }, "1x0x1 workgroups"},
		{"too many workgroups", func(r *vulkan.Recorder) { r.Dispatch(inc, 1, d.Limits().MaxGroups[1]+1, 1, push, in, out) }, "workgroups"},
		{"push constants of another size", func(r *vulkan.Recorder) { r.Dispatch(inc, 1, 1, 1, push[:4], in, out) }, "4 bytes of push constants"},
		{"too few arguments", func(r *vulkan.Recorder) { r.Dispatch(inc, 1, 1, 1, push, in) }, "1 arguments"},
		{"no access", func(r *vulkan.Recorder) { r.Dispatch(inc, 1, 1, 1, push, in, vulkan.Arg{View: b.Whole()}) }, "declares no access"},
		{"no buffer", func(r *vulkan.Recorder) { r.Dispatch(inc, 1, 1, 1, push, in, vulkan.Arg{Access: vulkan.Write}) }, "no buffer"},
		{"buffer of another device", func(r *vulkan.Recorder) { r.Dispatch(inc, 1, 1, 1, push, in, vulkan.Out(foreign.Whole())) }, "another device"},
		{"freed buffer", func(r *vulkan.Recorder) { r.Dispatch(inc, 1, 1, 1, push, in, vulkan.Out(freed.Whole())) }, "already closed"},
		{"beyond the end", func(r *vulkan.Recorder) { r.Dispatch(inc, 1, 1, 1, push, in, vulkan.Out(b.View(512, 513))) }, `outside buffer "b"`},
		{"negative offset", func(r *vulkan.Recorder) { r.Copy(a.View(-4, 8), b.View(0, 8)) }, `outside buffer "a"`},
		{"offset that overflows", func(r *vulkan.Recorder) { r.Copy(a.View(1<<62, 1<<62), b.View(0, 8)) }, `outside buffer "a"`},
		{"empty", func(r *vulkan.Recorder) { r.Fill(a.View(0, 0), 1) }, `outside buffer "a"`},
		{"crooked offset", func(r *vulkan.Recorder) { r.Dispatch(inc, 1, 1, 1, push, in, vulkan.Out(b.View(4, 16))) }, "not a multiple of"},
		{"copy of another size", func(r *vulkan.Recorder) { r.Copy(a.View(0, 8), b.View(0, 16)) }, "16 bytes go to 8"},
		{"copy onto itself", func(r *vulkan.Recorder) { r.Copy(a.View(0, 8), a.View(4, 8)) }, "overlap"},
		{"crooked fill", func(r *vulkan.Recorder) { r.Fill(a.View(0, 6), 1) }, "multiples of 4"},
		{"the first error wins", func(r *vulkan.Recorder) { r.Fill(a.View(0, 6), 1); r.Copy(a.View(0, 8), b.View(0, 16)) }, "multiples of 4"},
	} {
		r := d.NewRecorder("wrong")
		c.record(r)
		p, err := r.End()
		if err == nil {
			p.Free()
		}
		checkError(t, c.name, err, nil, `"wrong"`, c.says)
	}
	r := d.NewRecorder("freed before the end")
	c := newBuffer(t, d, "c", 1024)
	r.Fill(c.Whole(), 1)
	c.Free()
	_, err := r.End()
	checkError(t, "freed before the end", err, vulkan.ErrClosed, `"c"`)
}
