package vulkan

// #include "shim.h"
import "C"

import (
	"fmt"
	"unsafe"

	vk "github.com/vulkan-go/vulkan"
)

// Buffer is a range of memory that shaders read and write. Device buffers come from NewBuffer, buffers shared
// with the host from NewHostBuffer.
type Buffer struct {
	d       *Device
	name    string
	purpose Purpose
	host    bool
	size    int64
	handle  vk.Buffer
	raw     uint64 // handle as a number
	block   *block
	off     int64 // in the block
	span    int64 // bytes it takes there
	mapped  []byte

	// guarded by memory.mu
	refs     int  // programs that name it
	freed    bool // Free was called
	released bool // its memory is given back
}

// View is a range of bytes of a buffer.
type View struct {
	Buffer       *Buffer
	Offset, Size int64
}

// NewBuffer returns a buffer of size bytes in device memory, filled with zeros. The name is for reports.
// Errors: ErrOutOfDeviceMemory with the bytes needed and free, ErrUnsupported for more than Limits.MaxAllocation.
func (d *Device) NewBuffer(name string, p Purpose, size int64) (*Buffer, error) {
	if err := d.enter("create buffer", name); err != nil {
		return nil, err
	}
	defer d.leave()
	return d.newBuffer(name, p, size, false)
}

// NewHostBuffer returns a buffer of size bytes in host memory that the device reads and writes directly, and
// the host through Bytes; coherent, filled with zeros. Errors as NewBuffer.
func (d *Device) NewHostBuffer(name string, p Purpose, size int64) (*Buffer, error) {
	if err := d.enter("create buffer", name); err != nil {
		return nil, err
	}
	defer d.leave()
	return d.newBuffer(name, p, size, true)
}

func (d *Device) newBuffer(name string, p Purpose, size int64, host bool) (*Buffer, error) {
	if size <= 0 {
		return nil, fmt.Errorf("vulkan: create buffer %q: its size is %d", name, size)
	}
	if l := d.info.Limits.MaxAllocation; size > l {
		return nil, fmt.Errorf("vulkan: create buffer %q: %w: it needs %d bytes and the device allows %d in one allocation", name, ErrUnsupported, size, l)
	}
	m := d.memory
	h, need, err := m.createBuffer(name, size)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	key := arenaKey{p, host}
	a := m.arenaOf(key)
	blk, off, ok := a.place(need.size)
	if !ok {
		n := a.nextBlock(need.size)
		mem, err := m.allocate(name, n, host)
		if err != nil {
			vk.DestroyBuffer(d.handle, h, nil)
			return nil, err
		}
		a.add(n, mem)
		blk, off, _ = a.place(need.size)
	}
	b := &Buffer{d: d, name: name, purpose: p, host: host, size: size, handle: h, raw: handle(&h), block: blk, off: off, span: need.size}
	if r := vk.BindBufferMemory(d.handle, h, blk.memory.handle, vk.DeviceSize(off)); r < 0 {
		m.releaseSpan(b)
		vk.DestroyBuffer(d.handle, h, nil)
		return nil, check(r, "bind memory of", name)
	}
	if blk.memory.mapped != nil {
		b.mapped = unsafe.Slice((*byte)(unsafe.Add(blk.memory.mapped, off)), size)
	}
	d.setName(C.VK_OBJECT_TYPE_BUFFER, b.raw, name)
	m.buffers[b] = struct{}{}
	if host {
		clear(b.mapped)
	} else { // filled before its first use, all new buffers at once
		m.unzeroed[b] = struct{}{}
		m.toZero.Add(1)
	}
	return b, nil
}

// Free gives the buffer's memory back: at once, or with the last program that names it. It may be called
// twice. A View of it must not be used afterwards.
func (b *Buffer) Free() {
	if b == nil {
		return
	}
	b.d.life.RLock()
	defer b.d.life.RUnlock()
	if b.d.closed {
		return
	}
	b.free()
}

func (b *Buffer) free() {
	m := b.d.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	b.freed = true
	m.releaseIfUnused(b)
}

// retain keeps the buffer alive for a program; false where it is freed already.
func (m *memory) retain(b *Buffer) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if b.freed || b.released {
		return false
	}
	b.refs++
	return true
}

func (m *memory) alive(b *Buffer) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !b.freed && !b.released
}

func (m *memory) unretain(b *Buffer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b.refs--
	m.releaseIfUnused(b)
}

// releaseIfUnused is called with m.mu held.
func (m *memory) releaseIfUnused(b *Buffer) {
	if !b.freed || b.refs > 0 || b.released {
		return
	}
	b.released = true
	b.mapped = nil
	if _, ok := m.unzeroed[b]; ok {
		delete(m.unzeroed, b)
		m.toZero.Add(-1)
	}
	delete(m.buffers, b)
	vk.DestroyBuffer(m.d.handle, b.handle, nil)
	m.releaseSpan(b)
}

// releaseSpan gives the buffer's place in its block back, and the block too if it is empty; m.mu is held.
func (m *memory) releaseSpan(b *Buffer) {
	key := arenaKey{b.purpose, b.host}
	a := m.arenas[key]
	if b.block.release(b.off, b.span, a.align) {
		a.remove(b.block)
		m.dispose(b.block, b.host)
	}
}

// Whole is a view of all its bytes.
func (b *Buffer) Whole() View { return View{b, 0, b.size} }

// View is a view of size bytes from off. Bounds are checked where the view is used. A shader that is given a view
// may touch its last 4-byte word as a whole, so buffers hold tensors at offsets of Limits.StorageAlign.
func (b *Buffer) View(off, size int64) View { return View{b, off, size} }

// Size is the buffer's size in bytes.
func (b *Buffer) Size() int64 { return b.size }

// Name is the name it was created with.
func (b *Buffer) Name() string { return b.name }

// Address is where shaders find the view's first byte, on devices that have Features.Address. A program must name the
// buffer in its arguments too: they keep it alive and order what uses it.
func (v View) Address() uint64 {
	return uint64(C.kv_buffer_address(v.Buffer.d.table, C.uint64_t(v.Buffer.raw))) + uint64(v.Offset)
}

// Bytes is a host buffer's memory, valid until Free; nil for a device buffer.
func (b *Buffer) Bytes() []byte {
	if !b.host {
		return nil
	}
	return b.mapped
}

// Slice is the part of v of size bytes from off.
func (v View) Slice(off, size int64) View { return View{v.Buffer, v.Offset + off, size} }

// check says whether the view lies inside a live buffer of device d.
func (v View) check(d *Device) error {
	b := v.Buffer
	switch {
	case b == nil:
		return fmt.Errorf("view of no buffer")
	case b.d != d:
		return fmt.Errorf("buffer %q belongs to another device", b.name)
	case !d.memory.alive(b):
		return fmt.Errorf("buffer %q is %w", b.name, ErrClosed)
	case v.Size <= 0 || v.Offset < 0 || v.Offset > b.size || v.Size > b.size-v.Offset:
		return fmt.Errorf("bytes %d..%d are outside buffer %q of %d bytes", v.Offset, v.Offset+v.Size, b.name, b.size)
	}
	return nil
}
