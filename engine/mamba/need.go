package mamba

import (
	"slices"

	"kestrel/engine/checkpoint"
	"kestrel/engine/kernel"
	"kestrel/engine/vulkan"
	"kestrel/engine/weights"
)

// Requests are all buffers that the model and one session make, in the order in which they are made: scratch for chunks
// and for decoding ahead, weights, state, logits. The length of the text does not enter. Nothing of the weights is read:
// for the need in another precision ask with Checkpoint.As. Device.PlanAllocation says what they allocate.
//
// Chunk and Tuning of o count. LoadRequests while loading, the choice among the k largest logits and the logits of all positions come on top where they
// are used.
func Requests(ck *checkpoint.Checkpoint, info vulkan.DeviceInfo, o Options) []vulkan.Request {
	lim, chunk := info.Limits, o.chunk(ck.Config, info)
	var list []vulkan.Request
	add := func(p vulkan.Purpose, size int64) { list = append(list, vulkan.Request{Purpose: p, Size: size}) }
	list = append(list, vulkan.Request{Purpose: vulkan.Scratch, Size: int64(chunk) * 4, Host: true})
	h, az, x, dbc := strides(ck.Config)
	for _, stride := range []int{h, h, az, x, dbc, x} {
		add(vulkan.Scratch, int64(chunk)*int64(stride)*4)
	}
	if n := workBytes(ck.Config, o.tuning(info), chunk); n > 0 {
		add(vulkan.Scratch, n)
	}
	_, _, state := stateLayout(ck.Config, lim)
	list = append(list, newDeckParts(ck.Config, lim).requests()...)
	tensors(ck, func(t weights.Tensor) {
		for _, b := range kernel.MatrixBytes(t, lim) {
			add(vulkan.Weights, b)
		}
	}, func(t weights.Tensor) { add(vulkan.Weights, kernel.VectorBytes(t.Elements())) })
	add(vulkan.State, state)
	add(vulkan.State, logitsBytes(ck.Config))
	return append(list, vulkan.Request{Purpose: vulkan.State, Size: resultBytes, Host: true})
}

// LoadRequests are the buffers that exist while Load runs only, after the scratch was made and beside the weights.
func LoadRequests(dev *vulkan.Device, ck *checkpoint.Checkpoint) []vulkan.Request {
	var list []vulkan.Request
	if quantizes(ck) {
		list = kernel.QuantizerRequests()
	}
	return append(list, dev.UploaderRequests(stagingBytes)...)
}

// quantizes reports whether the device makes any of the weights from floats.
func quantizes(ck *checkpoint.Checkpoint) bool {
	return slices.ContainsFunc(ck.Tensors(), func(t weights.Tensor) bool { _, ok := kernel.Quantizes(t); return ok })
}

// Need is the sum of Requests in bytes. Blocks of the allocator round this up a little.
func Need(ck *checkpoint.Checkpoint, info vulkan.DeviceInfo, o Options) int64 {
	var n int64
	for _, r := range Requests(ck, info, o) {
		n += r.Size
	}
	return n
}
