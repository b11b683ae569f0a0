package vulkan

import (
	"cmp"
	"fmt"
	"slices"

	vk "github.com/vulkan-go/vulkan"
)

// Request is a buffer that is to be made: by NewBuffer, or by NewHostBuffer where Host is set.
type Request struct {
	Purpose Purpose
	Size    int64
	Host    bool
}

// Plan is what a list of requests would allocate, in bytes.
type Plan struct {
	Purposes  []PurposeUse // what would be added to each purpose; Blocks counts the new ones
	Allocated int64        // sum over the purposes
	Device    int64        // the part of it in the heap of device memory
	Free      int64        // what that heap has free now
}

// Fits says whether the device memory suffices.
func (p Plan) Fits() bool { return p.Device <= p.Free }

// Err is nil where the plan fits, and ErrOutOfDeviceMemory with the bytes needed and free where it does not.
func (p Plan) Err() error {
	if p.Fits() {
		return nil
	}
	return outOfMemory("all buffers", p.Device, p.Free)
}

// PlanAllocation says exactly what making these buffers in this order would allocate, given the buffers that
// there are; it allocates nothing. Errors: ErrUnsupported for a request beyond Limits.MaxAllocation.
func (d *Device) PlanAllocation(requests []Request) (Plan, error) {
	if err := d.enter("plan", "memory"); err != nil {
		return Plan{}, err
	}
	defer d.leave()
	m := d.memory
	sizes := map[int64]int64{} // of a buffer -> of the memory it needs
	for _, r := range requests {
		if _, ok := sizes[r.Size]; ok {
			continue
		}
		if r.Size <= 0 || r.Size > d.info.Limits.MaxAllocation {
			return Plan{}, fmt.Errorf("vulkan: plan memory: %w: a buffer of %d bytes; 1 to %d are possible", ErrUnsupported, r.Size, d.info.Limits.MaxAllocation)
		}
		b, need, err := m.createBuffer("plan", r.Size)
		if err != nil {
			return Plan{}, err
		}
		vk.DestroyBuffer(d.handle, b, nil)
		sizes[r.Size] = need.size
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	arenas := map[arenaKey]*arena{}
	uses := map[arenaKey]*PurposeUse{}
	for _, r := range requests {
		k := arenaKey{r.Purpose, r.Host}
		if arenas[k] == nil {
			arenas[k] = m.arenaOf(k).clone()
			uses[k] = &PurposeUse{Purpose: r.Purpose, Host: r.Host}
		}
		a, u := arenas[k], uses[k]
		u.Buffers += r.Size
		if _, _, ok := a.place(sizes[r.Size]); !ok {
			n := a.nextBlock(sizes[r.Size])
			a.add(n, nil)
			a.place(sizes[r.Size])
			u.Allocated += n
			u.Blocks++
		}
	}
	heap := m.heapOf(false)
	plan := Plan{Free: m.heaps()[heap].Free()}
	for k, u := range uses {
		plan.Purposes = append(plan.Purposes, *u)
		plan.Allocated += u.Allocated
		if m.heapOf(k.host) == heap {
			plan.Device += u.Allocated
		}
	}
	slices.SortFunc(plan.Purposes, comparePurposes)
	return plan, nil
}

func comparePurposes(a, b PurposeUse) int {
	return cmp.Or(cmp.Compare(a.Purpose.place(), b.Purpose.place()), cmp.Compare(a.Purpose, b.Purpose), cmp.Compare(btoi(a.Host), btoi(b.Host)))
}
