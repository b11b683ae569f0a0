package kernel

import (
	"fmt"

	"kestrel/engine/vulkan"
)

// ArgMax writes { id, logit } of the largest of logits [count] to result [2]uint32; the lowest id where several are
// equal. Where no logit is a number the logit written is -infinity.
func (e *Encoder) ArgMax(logits, result vulkan.View, count int) {
	e.cost(0, count, 0)
	e.run("argmax", []uint32{uint32(e.set.tune.draw())}, 1, 1, []any{count}, vulkan.In(logits), vulkan.Out(result))
}

// topSlice is how many values a workgroup of TopK sorts.
const topSlice = 1024

// MaxTopK is the largest k of TopK: a pass must leave fewer values than it was given.
const MaxTopK = topSlice / 2

// TopKScratch is the size in bytes of each of TopK's two scratch buffers.
func TopKScratch(count, k int) int64 { return int64(ceil(count, topSlice)) * int64(k) * 8 }

// TopK writes pairs { id, logit } of the k largest of logits [count] to result [k][2]uint32, larger first, the lower id
// first where equal. Where count < k, the rest has id 0xffffffff.
func (e *Encoder) TopK(logits, result vulkan.View, count, k int, scratch [2]vulkan.View) {
	if k < 1 || k > MaxTopK {
		e.fail(fmt.Errorf("top-k of %d: the kernel keeps 1 to %d", k, MaxTopK))
		return
	}
	in, first := logits, uint32(1)
	for pass := 0; ; pass++ {
		slices := ceil(count, topSlice)
		out := scratch[pass%2]
		if slices == 1 {
			out = result
		}
		e.run("topk", []uint32{uint32(e.set.tune.Top), first}, slices, 1, []any{count, k}, vulkan.In(in), vulkan.Out(out))
		if slices == 1 {
			return
		}
		in, first, count = out, 0, slices*k
	}
}
