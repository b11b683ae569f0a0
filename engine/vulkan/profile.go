package vulkan

// #include "shim.h"
import "C"

import (
	"cmp"
	"slices"
	"time"

	vk "github.com/vulkan-go/vulkan"
)

// KernelTime is the time that the dispatches of one pipeline took on the device, over all complete runs of a
// program. Copies and fills count under "copy" and "fill".
type KernelTime struct {
	Name  string
	Count int
	Total time.Duration
	Cost  Cost // of all these dispatches, as far as it was said
}

// profile reads the time at the start of each submission and after each command. A command's time runs from the
// end of all before it to its own end: where commands overlap, the later one is charged only for what it adds,
// so the times sum to what the device was busy.
type profile struct {
	d     *Device
	pool  vk.QueryPool
	raw   uint64
	costs []Cost
	names []string // of the command before each timestamp, "" at the start of a submission
	mask  uint64   // valid bits
	ticks []uint64
	total map[string]*KernelTime
}

func newProfile(d *Device, r *Recorder) (*profile, error) {
	p := &profile{d: d, total: map[string]*KernelTime{}}
	for _, steps := range r.parts {
		p.names, p.costs = append(p.names, ""), append(p.costs, Cost{})
		for _, s := range steps {
			if s.kind != stepBarrier {
				p.costs = append(p.costs, s.cost)
			}
			switch s.kind {
			case stepDispatch:
				p.names = append(p.names, s.pipeline.name)
			case stepCopy:
				p.names = append(p.names, "copy")
			case stepFill:
				p.names = append(p.names, "fill")
			}
		}
	}
	n := len(p.names)
	info := vk.QueryPoolCreateInfo{SType: vk.StructureTypeQueryPoolCreateInfo, QueryType: vk.QueryTypeTimestamp, QueryCount: uint32(n)}
	defer info.Free()
	var err error
	p.pool, err = create("create query pool of", r.name, func(h *vk.QueryPool) vk.Result {
		return vk.CreateQueryPool(d.handle, &info, nil, h)
	})
	if err != nil {
		return nil, err
	}
	p.raw = handle(&p.pool)
	p.ticks = make([]uint64, n)
	p.mask = 1<<d.info.raw.family_timestamp_bits[d.info.family] - 1
	return p, nil
}

// begin resets the queries that a submission uses and reads its first time.
func (p *profile) begin(o *ops, first int, steps []step) {
	n := 1
	for _, s := range steps {
		if s.kind != stepBarrier {
			n++
		}
	}
	o.resetQueries(p.raw, first, n)
	o.stamp(p.raw, first, stageBottom)
}

// collect adds the times of the run that has just ended.
func (p *profile) collect() error {
	r := C.kv_query_results(p.d.table, C.uint64_t(p.raw), 0, C.uint32_t(len(p.names)), (*C.uint64_t)(&p.ticks[0]))
	if err := p.d.deviceError(vk.Result(r), "read times of", "profile"); err != nil {
		return err
	}
	for i, name := range p.names {
		if name == "" {
			continue
		}
		t := p.total[name]
		if t == nil {
			t = &KernelTime{Name: name}
			p.total[name] = t
		}
		t.Count++
		t.Cost.add(p.costs[i])
		ticks := (p.ticks[i] - p.ticks[i-1]) & p.mask
		t.Total += time.Duration(float64(ticks) * p.d.info.Limits.TimestampNanos)
	}
	return nil
}

func (p *profile) free() { vk.DestroyQueryPool(p.d.handle, p.pool, nil) }

// Profile is the time of each kernel over all complete runs so far, the longest first; nil unless the device was
// opened with DeviceOptions.Profile.
func (p *Program) Profile() []KernelTime {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.profile == nil {
		return nil
	}
	var times []KernelTime
	for _, t := range p.profile.total {
		times = append(times, *t)
	}
	slices.SortFunc(times, func(a, b KernelTime) int { return cmp.Or(cmp.Compare(b.Total, a.Total), cmp.Compare(a.Name, b.Name)) })
	return times
}
