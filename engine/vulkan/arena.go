package vulkan

import "slices"

const (
	defaultBlock = 128 << 20
	leastBlock   = 1 << 20
)

// arena places buffers of one purpose and one kind of memory into blocks. It deals in numbers only, so that
// the same code serves the device and a plan made beforehand.
type arena struct {
	limit  int64 // upper size of a shared block
	align  int64
	blocks []*block
}

// block is one allocation of device memory.
type block struct {
	size   int64
	used   int64
	free   []span // sorted by offset, never touching each other
	memory *allocation
}

type span struct{ off, size int64 }

// place finds room for size bytes: the tightest free span. ok is false where a new block is needed.
func (a *arena) place(size int64) (b *block, off int64, ok bool) {
	size = roundUp(size, a.align)
	var best span
	at := -1
	for _, c := range a.blocks {
		for i, s := range c.free {
			if s.size >= size && (b == nil || s.size < best.size) {
				b, best, at = c, s, i
			}
		}
	}
	if b == nil {
		return nil, 0, false
	}
	if best.size == size {
		b.free = slices.Delete(b.free, at, at+1)
	} else {
		b.free[at] = span{best.off + size, best.size - size}
	}
	b.used += size
	return b, best.off, true
}

// nextBlock is the size of the block to allocate for a buffer of size bytes. Blocks grow with what is there, so
// that at most about an eighth lies idle; a large buffer gets a block of its own, with nothing idle.
func (a *arena) nextBlock(size int64) int64 {
	size = roundUp(size, a.align)
	if size >= a.limit/4 {
		return size
	}
	var total int64
	for _, b := range a.blocks {
		total += b.size
	}
	return max(size, min(a.limit, max(leastBlock, roundUp(total/8, leastBlock))))
}

// add puts an empty block to use.
func (a *arena) add(size int64, m *allocation) *block {
	b := &block{size: size, free: []span{{0, size}}, memory: m}
	a.blocks = append(a.blocks, b)
	return b
}

// release gives the span back and reports whether the block is empty now.
func (b *block) release(off, size, align int64) bool {
	size = roundUp(size, align)
	i, _ := slices.BinarySearchFunc(b.free, off, func(s span, o int64) int { return int(s.off - o) })
	b.free = slices.Insert(b.free, i, span{off, size})
	if i+1 < len(b.free) && off+size == b.free[i+1].off {
		b.free[i].size += b.free[i+1].size
		b.free = slices.Delete(b.free, i+1, i+2)
	}
	if i > 0 && b.free[i-1].off+b.free[i-1].size == off {
		b.free[i-1].size += b.free[i].size
		b.free = slices.Delete(b.free, i, i+1)
	}
	b.used -= size
	return b.used == 0
}

// remove takes an empty block out.
func (a *arena) remove(b *block) {
	a.blocks = slices.DeleteFunc(a.blocks, func(c *block) bool { return c == b })
}

// clone is a copy to plan on.
func (a *arena) clone() *arena {
	c := &arena{limit: a.limit, align: a.align}
	for _, b := range a.blocks {
		c.blocks = append(c.blocks, &block{size: b.size, used: b.used, free: slices.Clone(b.free)})
	}
	return c
}

func roundUp(n, to int64) int64 { return (n + to - 1) / to * to }
