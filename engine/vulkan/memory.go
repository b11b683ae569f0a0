package vulkan

// #include "shim.h"
import "C"

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	vk "github.com/vulkan-go/vulkan"
)

// Purpose says what a buffer is for. Buffers of different purposes never share a block of memory.
type Purpose string

// The purposes of memory.
const (
	Weights Purpose = "weights"
	State   Purpose = "state"
	Scratch Purpose = "scratch"
	Staging Purpose = "staging"
	Saved   Purpose = "saved"
)

// place is the purpose's place in a report.
func (p Purpose) place() int {
	order := []Purpose{Weights, State, Scratch, Staging, Saved}
	if i := slices.Index(order, p); i >= 0 {
		return i
	}
	return len(order)
}

// MemoryReport is what the device's buffers take, in bytes. Allocated sums to Total exactly.
type MemoryReport struct {
	Purposes []PurposeUse // in the order of the constants; those in use
	Buffers  []BufferUse  // sorted by purpose, then name
	Total    int64        // bytes allocated from the driver
	Peak     int64        // the most Total has been
}

// PurposeUse is the memory of one purpose, on the device or in host memory.
type PurposeUse struct {
	Purpose   Purpose
	Host      bool  // host memory that the device can read (NewHostBuffer)
	Buffers   int64 // bytes in buffers
	Allocated int64 // bytes of the blocks they lie in
	Blocks    int
}

// BufferUse is one buffer.
type BufferUse struct {
	Name    string
	Purpose Purpose
	Host    bool
	Bytes   int64
}

// allocation is one VkDeviceMemory, mapped for as long as it lives where it is host-visible.
type allocation struct {
	handle vk.DeviceMemory
	mapped unsafe.Pointer
	pages  *pages // not nil: it is these
}

type arenaKey struct {
	purpose Purpose
	host    bool
}

// memory hands out buffers from blocks.
type memory struct {
	d          *Device
	deviceType uint32 // memory type of NewBuffer
	deviceMap  bool   // it is host-visible and shall be mapped
	hostType   uint32 // memory type of NewHostBuffer
	align      int64

	mu       sync.Mutex
	arenas   map[arenaKey]*arena
	buffers  map[*Buffer]struct{}
	unzeroed map[*Buffer]struct{} // buffers still to be filled with zeros
	toZero   atomic.Int64         // buffers in unzeroed or being filled; readable without mu
	total    int64
	peak     int64
	perHeap  [16]int64
	count    int // live allocations
}

const bufferUsage = vk.BufferUsageFlags(vk.BufferUsageStorageBufferBit | vk.BufferUsageTransferSrcBit | vk.BufferUsageTransferDstBit)

// addressUsage is what buffers need to have addresses, where the device gives such.
func (m *memory) addressUsage() vk.BufferUsageFlags {
	if m.d.info.Features.Address {
		return C.VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT
	}
	return 0
}

// ownPages are pages for so much memory of a type, where the device takes such; nil: the driver makes them.
func (m *memory) ownPages(size int64, index uint32) *pages {
	if !m.d.info.Features.HostMemory {
		return nil
	}
	p := newPages(size, int64(m.d.info.raw.host_align))
	if p != nil && uint32(C.kv_host_types(m.d.table, p.at))>>index&1 == 0 {
		p.free()
		return nil
	}
	return p
}

func newMemory(d *Device) (*memory, error) {
	m := &memory{d: d, arenas: map[arenaKey]*arena{}, buffers: map[*Buffer]struct{}{}, unzeroed: map[*Buffer]struct{}{}}
	probe, need, err := m.createBuffer("probe", 1024)
	if err != nil {
		return nil, err
	}
	vk.DestroyBuffer(d.handle, probe, nil)
	m.align = max(256, need.align, d.info.Limits.StorageAlign, int64(d.info.raw.noncoherent_atom))
	var ok bool
	if m.deviceType, m.deviceMap, ok = chooseDeviceType(typesOf(d.info.raw), d.info.Heaps, need.types, d.info.Type != Discrete && !d.o.ForceStaging); !ok {
		return nil, fmt.Errorf("vulkan: open device %q: %w: it has no device-local memory for storage buffers", d.info.Name, ErrUnsupported)
	}
	if m.hostType, ok = chooseHostType(typesOf(d.info.raw), need.types); !ok {
		return nil, fmt.Errorf("vulkan: open device %q: %w: it has no host-visible memory for storage buffers", d.info.Name, ErrUnsupported)
	}
	return m, nil
}

// memoryType is one memory type of a device: VkMemoryPropertyFlags and its heap.
type memoryType struct{ flags, heap uint32 }

func typesOf(r *C.kv_physical) []memoryType {
	types := make([]memoryType, r.types)
	for i := range types {
		types[i] = memoryType{uint32(r.type_flags[i]), uint32(r.type_heap[i])}
	}
	return types
}

const (
	memLocal    = uint32(vk.MemoryPropertyDeviceLocalBit)
	memVisible  = uint32(vk.MemoryPropertyHostVisibleBit)
	memCoherent = uint32(vk.MemoryPropertyHostCoherentBit)
	memCached   = uint32(vk.MemoryPropertyHostCachedBit)
	memOrdinary = memLocal | memVisible | memCoherent | memCached // anything else is protected, lazy or vendor's
)

// chooseDeviceType picks the memory of device buffers: in the largest device-local heap, mapped where direct
// writes are wanted and possible.
func chooseDeviceType(types []memoryType, heaps []Heap, allowed uint32, direct bool) (index uint32, mapped, ok bool) {
	best := -1
	for i, t := range types {
		if allowed>>i&1 == 0 || t.flags&memLocal == 0 || t.flags&^memOrdinary != 0 {
			continue
		}
		if best < 0 {
			best = i
			continue
		}
		b := types[best]
		if s, sb := heaps[t.heap].Size, heaps[b.heap].Size; s != sb {
			if s > sb {
				best = i
			}
			continue
		}
		const both = memVisible | memCoherent
		if direct && b.flags&both != both && t.flags&both == both || direct && t.flags&both == both && t.flags&memCached > b.flags&memCached ||
			!direct && b.flags&memVisible != 0 && t.flags&memVisible == 0 {
			best = i
		}
	}
	if best < 0 {
		return 0, false, false
	}
	both := memVisible | memCoherent
	return uint32(best), direct && types[best].flags&both == both, true
}

// chooseHostType picks the memory of host buffers: coherent, cached where it can be, outside the device's own.
func chooseHostType(types []memoryType, allowed uint32) (uint32, bool) {
	score := func(t memoryType) int { return 2*btoi(t.flags&memCached != 0) + btoi(t.flags&memLocal == 0) }
	best := -1
	for i, t := range types {
		if allowed>>i&1 == 0 || t.flags&(memVisible|memCoherent) != memVisible|memCoherent || t.flags&^memOrdinary != 0 {
			continue
		}
		if best < 0 || score(t) > score(types[best]) {
			best = i
		}
	}
	return uint32(best), best >= 0
}

type requirements struct {
	size, align int64
	types       uint32
}

// createBuffer makes a VkBuffer without memory and says what memory it needs.
func (m *memory) createBuffer(name string, size int64) (vk.Buffer, requirements, error) {
	var b vk.Buffer
	// Whole words, so that a fill reaches the last byte and a shader may read the last word.
	info := vk.BufferCreateInfo{SType: vk.StructureTypeBufferCreateInfo, Size: vk.DeviceSize(roundUp(size, 4)), Usage: bufferUsage | m.addressUsage(),
		SharingMode: vk.SharingModeExclusive}
	if m.d.info.Features.HostMemory {
		info.PNext = unsafe.Pointer(C.kv_host_buffer())
	}
	err := check(vk.CreateBuffer(m.d.handle, &info, nil, &b), "create buffer", name)
	info.Free()
	if err != nil {
		return b, requirements{}, err
	}
	var need vk.MemoryRequirements
	vk.GetBufferMemoryRequirements(m.d.handle, b, &need)
	need.Deref()
	r := requirements{int64(need.Size), int64(need.Alignment), need.MemoryTypeBits}
	need.Free()
	return b, r, nil
}

// arenaOf is called with m.mu held.
func (m *memory) arenaOf(k arenaKey) *arena {
	a := m.arenas[k]
	if a == nil {
		a = &arena{limit: min(m.d.o.BlockBytes, m.d.info.Limits.MaxAllocation), align: m.align}
		m.arenas[k] = a
	}
	return a
}

func (m *memory) typeOf(host bool) (index uint32, mapped bool) {
	if host {
		return m.hostType, true
	}
	return m.deviceType, m.deviceMap
}

func (m *memory) heapOf(host bool) uint32 {
	index, _ := m.typeOf(host)
	return uint32(m.d.info.raw.type_heap[index])
}

// allocate takes size bytes from the driver; m.mu is held.
func (m *memory) allocate(name string, size int64, host bool) (*allocation, error) {
	index, mapped := m.typeOf(host)
	heap := m.heapOf(host)
	if l := m.d.info.Limits.MaxAllocation; size > l {
		return nil, fmt.Errorf("vulkan: allocate %q: %w: it needs %d bytes and the device allows %d in one allocation", name, ErrUnsupported, size, l)
	}
	if m.count >= int(m.d.info.raw.max_allocations) {
		return nil, fmt.Errorf("vulkan: allocate %q: %w: the device allows %d allocations", name, ErrOutOfDeviceMemory, m.count)
	}
	if free := m.heaps()[heap].Free(); size > free {
		return nil, outOfMemory(name, size, free)
	}
	a := &allocation{}
	info := vk.MemoryAllocateInfo{SType: vk.StructureTypeMemoryAllocateInfo, AllocationSize: vk.DeviceSize(size), MemoryTypeIndex: index}
	if a.pages = m.ownPages(size, index); a.pages != nil {
		p := C.kv_host_import(a.pages.at, C.int(btoi(m.d.info.Features.Address)))
		if p == nil {
			info.Free()
			a.pages.free()
			return nil, outOfMemory(name, size, m.heaps()[heap].Free())
		}
		defer C.kv_free(p)
		info.PNext, info.AllocationSize = p, vk.DeviceSize(a.pages.size)
	} else if m.d.info.Features.Address {
		info.PNext = unsafe.Pointer(C.kv_addressed_memory())
	}
	var h vk.DeviceMemory
	r := vk.AllocateMemory(m.d.handle, &info, nil, &h)
	info.Free()
	a.handle = h
	if r != vk.Success {
		a.pages.free()
	}
	if r == vk.ErrorOutOfDeviceMemory || r == vk.ErrorOutOfHostMemory {
		return nil, outOfMemory(name, size, m.heaps()[heap].Free())
	}
	if err := m.d.deviceError(r, "allocate", name); err != nil {
		return nil, err
	}
	switch {
	case mapped && a.pages != nil:
		a.mapped = a.pages.at
	case mapped:
		var p unsafe.Pointer
		if err := check(vk.MapMemory(m.d.handle, a.handle, 0, vk.DeviceSize(size), 0, &p), "map memory of", name); err != nil {
			vk.FreeMemory(m.d.handle, a.handle, nil)
			return nil, err
		}
		a.mapped = p
	}
	m.count++
	m.total += size
	m.peak = max(m.peak, m.total)
	m.perHeap[heap] += size
	return a, nil
}

// heaps are the device's heaps as they are now; m.mu is held.
func (m *memory) heaps() []Heap {
	d := m.d
	heaps := slices.Clone(d.info.Heaps)
	known := d.info.Features.MemoryBudget
	var budget, used [16]C.uint64_t
	if known {
		C.kv_heaps_query(d.in.table, C.uint64_t(handle(&d.info.physical)), 1, &budget[0], &used[0])
	}
	for i := range heaps {
		if known {
			heaps[i].Budget, heaps[i].Used = int64(budget[i]), int64(used[i])
		} else {
			heaps[i].Used = m.perHeap[i]
		}
	}
	if l := d.o.MemoryLimit; l > 0 {
		// What others use of the heap is in neither figure, so the limit counts what is ours.
		h, ours := &heaps[m.heapOf(false)], m.perHeap[m.heapOf(false)]
		h.Budget, h.Used = max(0, min(l, ours+h.Free())), ours
	}
	return heaps
}

func outOfMemory(name string, need, free int64) error {
	return &MemoryError{Thing: name, Need: need, Free: free}
}

// dispose gives a block back to the driver; m.mu is held.
func (m *memory) dispose(b *block, host bool) {
	if b.memory.mapped != nil && b.memory.pages == nil {
		vk.UnmapMemory(m.d.handle, b.memory.handle)
	}
	vk.FreeMemory(m.d.handle, b.memory.handle, nil)
	b.memory.pages.free()
	m.count--
	m.total -= b.size
	m.perHeap[m.heapOf(host)] -= b.size
}

// free gives everything back.
func (m *memory) free() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for b := range m.buffers {
		vk.DestroyBuffer(m.d.handle, b.handle, nil)
		b.released, b.mapped = true, nil
	}
	clear(m.buffers)
	clear(m.unzeroed)
	for k, a := range m.arenas {
		for _, b := range a.blocks {
			m.dispose(b, k.host)
		}
		a.blocks = nil
	}
}

// Memory reports what the device's buffers take, by purpose and by name.
func (d *Device) Memory() MemoryReport {
	m := d.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	r := MemoryReport{Total: m.total, Peak: m.peak}
	uses := map[arenaKey]*PurposeUse{}
	for k, a := range m.arenas {
		u := &PurposeUse{Purpose: k.purpose, Host: k.host, Blocks: len(a.blocks)}
		for _, b := range a.blocks {
			u.Allocated += b.size
		}
		uses[k] = u
	}
	for b := range m.buffers {
		uses[arenaKey{b.purpose, b.host}].Buffers += b.size
		r.Buffers = append(r.Buffers, BufferUse{b.name, b.purpose, b.host, b.size})
	}
	for _, u := range uses {
		if u.Allocated > 0 {
			r.Purposes = append(r.Purposes, *u)
		}
	}
	slices.SortFunc(r.Purposes, comparePurposes)
	slices.SortFunc(r.Buffers, func(a, b BufferUse) int {
		return cmp.Or(cmp.Compare(a.Purpose.place(), b.Purpose.place()), cmp.Compare(a.Purpose, b.Purpose), cmp.Compare(a.Name, b.Name))
	})
	return r
}
