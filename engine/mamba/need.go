package mamba

import (
	"kestrel/engine/checkpoint"
	"kestrel/engine/kernel"
	"kestrel/engine/vulkan"
	"kestrel/engine/weights"
)

// Need is the memory in bytes of all buffers that the model and one session take: weights, scratch for chunks, state,
// logits. The length of the text does not enter. With as other than 0, matrices count as if they were stored so.
//
// Staging while loading, the choice among the k largest logits and the logits of all positions come on top where they
// are used; blocks of the allocator round up a little. See vulkan.MemoryReport for what is allocated then.
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
	_, _, state := stateLayout(ck.Config, lim)
	n += scratchBytes(ck.Config, chunk) + state // and the state kept
	return n + state + logitsBytes(ck.Config) + resultBytes
}
