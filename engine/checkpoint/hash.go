package checkpoint

import (
	"crypto/sha256"
	"encoding/binary"
	"math"

	"kestrel/engine/weights"
)

const (
	// Each window of a large tensor costs a read of the disk: four of them
	// make some 2000 reads for a model of 64 layers.
	hashWindow  = 512 // bytes
	hashWindows = 4   // a tensor
)

// Hash identifies the model: its kind and epsilons, and the role, type, shape
// and sampled bytes of every tensor. It reads a few windows of each tensor,
// not all, so it tells models apart but does not prove a file sound.
// The same file always has the same hash, and so has the same model in other
// shards; a model in another precision or format has another. Of a tensor that
// is computed, what it is computed from counts, and the type it becomes.
func (c *Checkpoint) Hash() [32]byte {
	h := sha256.New()
	word := func(v uint64) {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], v)
		h.Write(b[:])
	}
	text := func(s string) {
		word(uint64(len(s)))
		h.Write([]byte(s))
	}
	bytes := func(data []byte) {
		word(uint64(len(data)))
		if len(data) <= hashWindow*hashWindows {
			h.Write(data)
			return
		}
		for i := range hashWindows { // the first window begins the tensor, the last ends it
			at := int(int64(len(data)-hashWindow) * int64(i) / (hashWindows - 1))
			h.Write(data[at : at+hashWindow])
		}
	}
	tensor := func(role string, t weights.Tensor) {
		text(role)
		text(t.DType.String())
		word(uint64(len(t.Shape)))
		for _, d := range t.Shape {
			word(uint64(d))
		}
		for _, part := range t.Sources() {
			if t.Computed() {
				text(part.DType.String())
			}
			bytes(part.Data)
		}
	}
	text("kestrel model 1")
	text(string(c.Kind))
	word(uint64(math.Float32bits(c.NormEps)))
	word(uint64(math.Float32bits(c.MixerEps)))
	tensor("embeddings", c.Embed)
	for i := range c.Layers {
		for _, r := range layerRoles {
			tensor(r.hf, *r.of(&c.Layers[i]))
		}
	}
	tensor("norm_f", c.NormF)
	tensor("head", c.Head)
	return [32]byte(h.Sum(nil))
}
