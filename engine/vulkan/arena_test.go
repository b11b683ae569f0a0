package vulkan

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestArena places and releases at random and checks after each step that nothing overlaps, that the free spans
// are whole and merged, and that empty blocks are told of.
func TestArena(t *testing.T) {
	type placed struct {
		b         *block
		off, size int64
	}
	rng := rand.New(rand.NewPCG(1, 2))
	a := &arena{limit: 16 << 20, align: 256}
	var live []placed
	for step := range 5000 {
		if len(live) > 0 && rng.IntN(100) < 45+10*(step/2500) {
			i := rng.IntN(len(live))
			p := live[i]
			live = slices.Delete(live, i, i+1)
			if p.b.release(p.off, p.size, a.align) != !slices.ContainsFunc(live, func(q placed) bool { return q.b == p.b }) {
				t.Fatalf("step %d: release does not say rightly whether the block is empty", step)
			}
			if p.b.used == 0 {
				a.remove(p.b)
			}
		} else {
			size := 1 + rng.Int64N(int64(1)<<(6+rng.IntN(18)))
			b, off, ok := a.place(size)
			if !ok {
				n := a.nextBlock(size)
				if n < size || n > max(a.limit, roundUp(size, a.align)) {
					t.Fatalf("step %d: a block of %d bytes for a buffer of %d", step, n, size)
				}
				a.add(n, nil)
				if b, off, ok = a.place(size); !ok {
					t.Fatalf("step %d: %d bytes do not fit a new block of %d", step, size, n)
				}
			}
			live = append(live, placed{b, off, size})
		}
		for _, b := range a.blocks {
			spans := slices.Clone(b.free)
			used := int64(0)
			for _, p := range live {
				if p.b == b {
					spans = append(spans, span{p.off, roundUp(p.size, a.align)})
					used += roundUp(p.size, a.align)
				}
			}
			slices.SortFunc(spans, func(x, y span) int { return int(x.off - y.off) })
			end := int64(0)
			for _, s := range spans {
				if s.off != end || s.off%a.align != 0 {
					t.Fatalf("step %d: a gap or an overlap at %d", step, s.off)
				}
				end = s.off + s.size
			}
			if end != b.size || used != b.used {
				t.Fatalf("step %d: spans end at %d of %d, %d bytes used and %d counted", step, end, b.size, used, b.used)
			}
			for i := 1; i < len(b.free); i++ {
				if b.free[i-1].off+b.free[i-1].size == b.free[i].off {
					t.Fatalf("step %d: free spans are not merged", step)
				}
			}
		}
	}
	if len(live) == 0 || len(a.blocks) < 2 {
		t.Fatalf("the test has placed too little: %d live in %d blocks", len(live), len(a.blocks))
	}
}

func TestArenaClone(t *testing.T) {
	a := &arena{limit: 1 << 20, align: 256}
	a.add(1<<20, nil)
	a.place(1000)
	c := a.clone()
	c.place(5000)
	c.add(1<<20, nil)
	if a.blocks[0].used != 1024 || len(a.blocks) != 1 || a.blocks[0].free[0].off != 1024 {
		t.Fatalf("placing in a clone changed the original: %+v", a.blocks[0])
	}
}
