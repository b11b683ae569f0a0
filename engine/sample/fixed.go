package sample

import "math/bits"

// Probabilities are fixed-point numbers, so that their sums do not depend on the order of adding: a device, which adds
// side by side, and this package choose the same id from the same logits, whatever the parameters. shaders/include/draw.glsl
// is the same arithmetic. Two floating-point operations come before it, a difference and a product, each rounded once.

// none is the depth of a logit that is never chosen: more than 32 octaves below the largest.
const none = 32 << 24

// depth is how far a logit lies below the largest, in 2^-24 octaves of probability.
func depth(logit, largest, scale float32) uint32 {
	octaves := float32(largest-logit) * scale
	if !(octaves < 32) {
		return none
	}
	return uint32(octaves * (1 << 24))
}

// weight is a probability beside the largest one's, which is 2^31: 2^(31-d), within 2e-8 of it and half of one.
func weight(d uint32) uint32 {
	n := d >> 24
	if n >= 32 {
		return 0
	}
	f := d << 8 // what is more than n octaves, as a fraction of 2^32
	w := uint64(0x0003c278)
	w = 0x002a4fea - times(f, w)
	w = 0x013a779c - times(f, w)
	w = 0x071a98b1 - times(f, w)
	w = 0x1ebfba75 - times(f, w)
	w = 0x58b90bef - times(f, w)
	w = 0x80000000 - times(f, w)
	return uint32(w+1<<n>>1) >> n
}

// times is a*b / 2^32.
func times(f uint32, w uint64) uint64 { return uint64(f) * w >> 32 }

// share is p*total for a fraction p of 2^32, rounded down.
func share(p uint32, total uint64) uint64 {
	high, low := bits.Mul64(uint64(p), total)
	return high<<32 | low>>32
}

// philox is the counter-based generator Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
func philox(counter [4]uint32, key [2]uint32) [4]uint32 {
	for range 10 {
		a, b := uint64(counter[0])*0xd2511f53, uint64(counter[2])*0xcd9e8d57
		counter = [4]uint32{uint32(b>>32) ^ counter[1] ^ key[0], uint32(b), uint32(a>>32) ^ counter[3] ^ key[1], uint32(a)}
		key[0] += 0x9e3779b9
		key[1] += 0xbb67ae85
	}
	return counter
}

// draw is a number below total, each as likely as any other, for a place in the text of a seed.
func draw(seed, place, total uint64) uint64 {
	r := philox([4]uint32{uint32(place), uint32(place >> 32)}, [2]uint32{uint32(seed), uint32(seed >> 32)})
	high, _ := bits.Mul64(uint64(r[0])<<32|uint64(r[1]), total)
	return high
}
