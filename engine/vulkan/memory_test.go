package vulkan_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"kestrel/engine/vulkan"
	"kestrel/engine/vulkan/vulkantest"
)

// checkReport checks that a report adds up, and returns what is allocated per purpose.
func checkReport(t *testing.T, r vulkan.MemoryReport) map[vulkan.Purpose]int64 {
	t.Helper()
	type key struct {
		p    vulkan.Purpose
		host bool
	}
	buffers, allocated := map[key]int64{}, map[vulkan.Purpose]int64{}
	for _, b := range r.Buffers {
		buffers[key{b.Purpose, b.Host}] += b.Bytes
	}
	total := int64(0)
	for _, u := range r.Purposes {
		if u.Buffers != buffers[key{u.Purpose, u.Host}] {
			t.Errorf("%s: %d bytes in buffers, the list sums to %d", u.Purpose, u.Buffers, buffers[key{u.Purpose, u.Host}])
		}
		if u.Allocated < u.Buffers || u.Blocks < 1 {
			t.Errorf("%s: %d bytes in %d blocks hold buffers of %d", u.Purpose, u.Allocated, u.Blocks, u.Buffers)
		}
		delete(buffers, key{u.Purpose, u.Host})
		allocated[u.Purpose] += u.Allocated
		total += u.Allocated
	}
	if len(buffers) > 0 {
		t.Errorf("buffers without a purpose in the report: %v", buffers)
	}
	if total != r.Total || r.Peak < r.Total {
		t.Errorf("purposes sum to %d, total %d, peak %d", total, r.Total, r.Peak)
	}
	return allocated
}

func TestMemoryReport(t *testing.T) {
	d := vulkantest.OpenWith(t, vulkan.DeviceOptions{BlockBytes: 8 << 20})
	if r := d.Memory(); r.Total != 0 || len(r.Buffers) != 0 {
		t.Fatalf("a new device has memory: %+v", r)
	}
	var all []*vulkan.Buffer
	add := func(p vulkan.Purpose, size int64, host bool) *vulkan.Buffer {
		t.Helper()
		make := d.NewBuffer
		if host {
			make = d.NewHostBuffer
		}
		b, err := make(fmt.Sprintf("%s %d", p, len(all)), p, size)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
		return b
	}
	big := add(vulkan.Weights, 3<<20, false) // over a quarter of a block: one of its own
	if got := checkReport(t, d.Memory())[vulkan.Weights]; got != 3<<20 {
		t.Errorf("a large buffer of %d bytes takes %d", 3<<20, got)
	}
	add(vulkan.Weights, 1000, false)
	add(vulkan.Weights, 1000, false)
	if got := checkReport(t, d.Memory())[vulkan.Weights]; got != 4<<20 {
		t.Errorf("two small buffers share no block: %d bytes", got)
	}
	add(vulkan.State, 1000, false)
	add(vulkan.Staging, 1000, true)
	add(vulkan.Saved, 1001, true)
	r := d.Memory()
	if got := checkReport(t, r); len(got) != 4 || r.Total != 7<<20 {
		t.Errorf("purposes are not apart: %v, total %d", got, r.Total)
	}
	if r.Purposes[0].Purpose != vulkan.Weights || r.Buffers[0].Purpose != vulkan.Weights || r.Buffers[len(r.Buffers)-1].Name != "saved 5" {
		t.Errorf("the report is out of order: %+v", r)
	}
	big.Free()
	big.Free()
	r = d.Memory()
	if checkReport(t, r); r.Total != 4<<20 || r.Peak != 7<<20 {
		t.Errorf("after freeing the large buffer total %d, peak %d", r.Total, r.Peak)
	}
	for _, b := range all {
		b.Free()
	}
	if r := d.Memory(); r.Total != 0 || len(r.Buffers) != 0 || len(r.Purposes) != 0 || r.Peak != 7<<20 {
		t.Errorf("after freeing all: %+v", r)
	}
}

// TestPlanAllocation makes random lists of buffers and checks that what they allocate is what was planned.
func TestPlanAllocation(t *testing.T) {
	d := vulkantest.OpenWith(t, vulkan.DeviceOptions{BlockBytes: 16 << 20})
	rng := rand.New(rand.NewPCG(3, 4))
	purposes := []vulkan.Purpose{vulkan.Weights, vulkan.State, vulkan.Scratch}
	for round := range 10 {
		var requests []vulkan.Request
		for range 1 + rng.IntN(60) {
			requests = append(requests, vulkan.Request{Purpose: purposes[rng.IntN(3)], Size: 1 + rng.Int64N(int64(1)<<(8+rng.IntN(16))), Host: rng.IntN(8) == 0})
		}
		before := d.Memory()
		plan, err := d.PlanAllocation(requests)
		if err != nil {
			t.Fatal(err)
		}
		if after := d.Memory(); after.Total != before.Total {
			t.Fatal("planning allocates")
		}
		var made []*vulkan.Buffer
		for i, r := range requests {
			make := d.NewBuffer
			if r.Host {
				make = d.NewHostBuffer
			}
			b, err := make(fmt.Sprint(i), r.Purpose, r.Size)
			if err != nil {
				t.Fatal(err)
			}
			made = append(made, b)
		}
		after := d.Memory()
		checkReport(t, after)
		if got := after.Total - before.Total; got != plan.Allocated {
			t.Errorf("round %d: planned %d bytes, allocated %d", round, plan.Allocated, got)
		}
		sum := int64(0)
		for _, u := range plan.Purposes {
			sum += u.Allocated
		}
		if sum != plan.Allocated || plan.Device > plan.Allocated || !plan.Fits() || plan.Err() != nil {
			t.Errorf("round %d: the plan does not add up: %+v", round, plan)
		}
		for _, b := range made { // leave some, so that the next plan starts from a fragmented heap
			if rng.IntN(3) > 0 {
				b.Free()
			}
		}
	}
	for _, size := range []int64{0, -1, d.Limits().MaxAllocation + 1} {
		_, err := d.PlanAllocation([]vulkan.Request{{Purpose: vulkan.Weights, Size: size}})
		checkError(t, fmt.Sprintf("a plan for %d bytes", size), err, vulkan.ErrUnsupported)
	}
}

func TestOutOfDeviceMemory(t *testing.T) {
	const limit = 10 << 20
	d := vulkantest.OpenWith(t, vulkan.DeviceOptions{MemoryLimit: limit})
	a, err := d.NewBuffer("fits", vulkan.Weights, 4<<20)
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.NewBuffer("layers.3.in_proj", vulkan.Weights, 40<<20)
	used := d.Memory().Total
	checkError(t, "too much", err, vulkan.ErrOutOfDeviceMemory, `"layers.3.in_proj"`, fmt.Sprint(40<<20), fmt.Sprint(limit-used), "smaller precision")
	if got := d.Memory().Total; got != used {
		t.Errorf("a failed allocation leaves %d bytes", got-used)
	}
	plan, err := d.PlanAllocation([]vulkan.Request{{Purpose: vulkan.Weights, Size: 40 << 20}, {Purpose: vulkan.State, Size: 1 << 20}})
	if err != nil {
		t.Fatal(err)
	}
	if plan.Fits() || plan.Free != limit-used || plan.Device != 41<<20 {
		t.Errorf("plan %+v", plan)
	}
	checkError(t, "a plan that does not fit", plan.Err(), vulkan.ErrOutOfDeviceMemory, fmt.Sprint(plan.Device), fmt.Sprint(plan.Free))
	a.Free()
	b, err := d.NewBuffer("fits now", vulkan.Weights, limit)
	if err != nil {
		t.Errorf("after a free: %v", err)
	}
	b.Free()
	_, err = d.NewBuffer("beyond the device", vulkan.Weights, d.Limits().MaxAllocation+1)
	checkError(t, "one allocation too large", err, vulkan.ErrUnsupported, "in one allocation")
	for _, size := range []int64{0, -5} {
		_, err = d.NewBuffer("empty", vulkan.Weights, size)
		checkError(t, "empty", err, nil, `"empty"`)
	}
}

// TestZeroFilled dirties memory, frees it and checks that new buffers in its place are zero, whatever reads
// them first.
func TestZeroFilled(t *testing.T) {
	ctx := context.Background()
	for _, staging := range []bool{false, true} {
		d := vulkantest.OpenWith(t, vulkan.DeviceOptions{ForceStaging: staging})
		keep := newBuffer(t, d, "keep", 64) // holds the block
		inc := axpb(t, d, 1)
		for round, size := range []int64{4096, 4099, 1 << 20, 5} {
			dirty := newBuffer(t, d, "dirty", size)
			if err := d.Upload(ctx, dirty.Whole(), bytes.Repeat([]byte{0xee}, int(size))); err != nil {
				t.Fatal(err)
			}
			dirty.Free()
			b := newBuffer(t, d, "new", size)
			if round%2 == 0 {
				c := newBuffer(t, d, "copy", size)
				vulkantest.Run(t, d, func(r *vulkan.Recorder) { apply(r, inc, c.View(0, size&^3), b.View(0, size&^3), 0) })
				b.Free()
				b = c
			}
			if got := download(t, d, b.Whole()); !bytes.Equal(got, make([]byte, size)) {
				t.Errorf("staging %v: a new buffer of %d bytes is not zero", staging, size)
			}
			b.Free()
			// A write to a part leaves the rest zero.
			b = newBuffer(t, d, "part", 4096)
			if err := d.Upload(ctx, b.View(1001, 2), []byte{1, 2}); err != nil {
				t.Fatal(err)
			}
			want := make([]byte, 4096)
			want[1001], want[1002] = 1, 2
			if got := download(t, d, b.Whole()); !bytes.Equal(got, want) {
				t.Errorf("staging %v: a write to a part spoils the rest", staging)
			}
			b.Free()
		}
		keep.Free()
		h, err := d.NewHostBuffer("host", vulkan.Staging, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(h.Bytes(), make([]byte, 1000)) {
			t.Error("a new host buffer is not zero")
		}
		copy(h.Bytes(), bytes.Repeat([]byte{0xee}, 1000))
		h.Free()
		if h, _ = d.NewHostBuffer("host again", vulkan.Staging, 1000); !bytes.Equal(h.Bytes(), make([]byte, 1000)) {
			t.Error("a host buffer in used memory is not zero")
		}
		if b := newBuffer(t, d, "device", 64); b.Bytes() != nil {
			t.Error("a device buffer hands out its memory")
		}
	}
}

// TestHostBuffer lets a shader read and write host memory without copies.
func TestHostBuffer(t *testing.T) {
	d := vulkantest.Open(t)
	var hosts [2]*vulkan.Buffer
	for i := range hosts {
		b, err := d.NewHostBuffer("host", vulkan.Staging, 4000)
		if err != nil {
			t.Fatal(err)
		}
		hosts[i] = b
	}
	r := d.NewRecorder("host")
	apply(r, axpb(t, d, 3), hosts[1].Whole(), hosts[0].Whole(), 1)
	p, err := r.End()
	if err != nil {
		t.Fatal(err)
	}
	for round := range uint32(20) { // the host writes between replays
		for i := range 1000 {
			copy(hosts[0].Bytes()[4*i:], words(uint32(i)+round))
		}
		if err := p.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		for i := range 1000 {
			if got := word(hosts[1].Bytes(), i); got != 3*(uint32(i)+round)+1 {
				t.Fatalf("round %d: word %d is %d", round, i, got)
			}
		}
	}
}
