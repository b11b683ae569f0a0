package quant

import (
	"encoding/binary"

	"kestrel/engine/weights/half"
)

// ceilHalf rounds v >= 0 up to a binary16. In units of the largest scale over
// levels, rounded so, no scale exceeds levels, even where the binary16 is
// subnormal and rounding moves it far.
func ceilHalf(v float32) uint16 {
	h := half.FromFloat32(v)
	if half.Float32(h) < v {
		h++
	}
	return h
}

// lines chooses the scales and minima of sub-blocks: first of each sub-block
// for itself (fitLine), then, in units of the largest over levels, the nine
// pairs of integers around it, of which the one with the least error is taken.
// Integers are 0 to levels.
func lines(src []float32, n, from, to float32, trials int, levels float32, scales, minima []byte) (d, dmin uint16) {
	size := len(src) / len(scales)
	var s, m [16]float32
	var largestS, largestM float32
	for j := range scales {
		s[j], m[j] = fitLine(src[j*size:][:size], n, from, to, trials, false)
		largestS, largestM = max(largestS, s[j]), max(largestM, m[j])
	}
	d, dmin = ceilHalf(largestS/levels), ceilHalf(largestM/levels)
	unitS, unitM := half.Float32(d), half.Float32(dmin)
	inverseS, inverseM := reciprocal(unitS), reciprocal(unitM)
	for j := range scales {
		x := src[j*size:][:size]
		nearS, nearM := nearest(float32(s[j]*inverseS), levels), nearest(float32(m[j]*inverseM), levels)
		scales[j], minima[j] = byte(nearS), byte(nearM)
		least := lineError(x, n, unitS*nearS, unitM*nearM)
		for a := max(nearS-1, 0); a <= min(nearS+1, levels); a++ {
			for b := max(nearM-1, 0); b <= min(nearM+1, levels); b++ {
				if e := lineError(x, n, unitS*a, unitM*b); e < least {
					least, scales[j], minima[j] = e, byte(a), byte(b)
				}
			}
		}
	}
	return d, dmin
}

// steps chooses the scales of sub-blocks without minima: first of each for
// itself, then, in units of the largest over levels, the three integers around
// it. Integers are -levels to levels-1; the unit has the sign that puts the
// largest at -levels.
func steps(src []float32, fit func(x []float32) float32, squared func(x []float32, scale float32) float32, levels float32, scales []int8) (d uint16) {
	size := len(src) / len(scales)
	var s [16]float32
	for j := range scales {
		s[j] = fit(src[j*size:][:size])
	}
	top := largest(s[:])
	d = ceilHalf(magnitude(top) / levels)
	if top > 0 {
		d |= 0x8000
	}
	unit := half.Float32(d)
	inverse := reciprocal(unit)
	for j := range scales {
		x := src[j*size:][:size]
		near := nearest(float32(s[j]*inverse)+levels, 2*levels-1) - levels
		scales[j] = int8(near)
		least := squared(x, unit*near)
		for a := max(near-1, -levels); a <= min(near+1, levels-1); a++ {
			if e := squared(x, unit*a); e < least {
				least, scales[j] = e, int8(a)
			}
		}
	}
	return d
}

// roundLine writes the integers of x in scale*q - minimum.
func roundLine(q []byte, x []float32, n, scale, minimum float32) {
	inverse := reciprocal(scale)
	for i, v := range x {
		q[i] = byte(nearest(float32((v+minimum)*inverse), n))
	}
}

// roundScale writes the integers of x in scale*(q-n).
func roundScale(q []byte, x []float32, n, scale float32) {
	inverse := reciprocal(scale)
	for i, v := range x {
		q[i] = byte(nearest(float32(v*inverse)+n, 2*n-1))
	}
}

func putHalf(dst []byte, at int, h uint16) float32 {
	binary.LittleEndian.PutUint16(dst[at:], h)
	return half.Float32(h)
}
