package mamba

import (
	"kestrel/engine/checkpoint"
	"kestrel/engine/kernel"
	"kestrel/engine/vulkan"
	"kestrel/engine/weights"
)

// Need is the device memory in bytes that the model and one session take: weights, scratch for chunks, state, logits.
// The length of the text does not enter. With as other than 0, matrices count as if they were stored so.
//
// Blocks of the allocator round this up a little; see vulkan.MemoryReport for what is allocated then.
func Need(ck *checkpoint.Checkpoint, lim vulkan.Limits, chunk int, as weights.DType) int64 {
	if chunk <= 0 {
		chunk = DefaultChunk
	}
	var n int64
	tensors(ck, func(t weights.Tensor) {
		if as != 0 && !(as == weights.Q8_0 && t.Shape[1]%32 != 0) {
			t.DType = as
		}
		for _, b := range kernel.MatrixBytes(t, lim) {
			n += b
		}
	}, func(t weights.Tensor) { n += kernel.VectorBytes(t.Elements()) })
	c := ck.Config
	perToken := kernel.Padded(c.Hidden)*2 + kernel.Padded(2*c.Inner) + 2*kernel.Padded(c.Inner) + kernel.Padded(c.DtRank+2*c.State) + 1
	n += int64(chunk) * int64(perToken) * 4
	n += int64(c.Layers) * int64(c.Inner) * int64(c.State+c.Conv-1) * 4
	return n + int64(c.Vocab)*4
}
