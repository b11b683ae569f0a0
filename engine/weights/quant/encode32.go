package quant

import (
	"encoding/binary"
	"math"

	"kestrel/engine/weights/half"
)

// Q4_0, Q4_1, Q5_0, Q5_1, Q8_0: blocks of 32 with one scale.

func encodeQ4_0(dst []byte, src []float32) {
	var q [32]byte
	d := putHalf(dst, 0, bestHalf(fitScale(src, 8), func(d float32) float32 { return scaleError(src, 8, d) }))
	roundScale(q[:], src, 8, d)
	putNibbles(dst[2:], q[:])
}

func encodeQ4_1(dst []byte, src []float32) {
	var q [32]byte
	encodeLine32(dst, src, 15, -1, 1, q[:])
	putNibbles(dst[4:], q[:])
}

func encodeQ5_0(dst []byte, src []float32) {
	var q [32]byte
	d := putHalf(dst, 0, bestHalf(fitScale(src, 16), func(d float32) float32 { return scaleError(src, 16, d) }))
	roundScale(q[:], src, 16, d)
	putFifthBits(dst[2:], q[:])
	putNibbles(dst[6:], q[:])
}

func encodeQ5_1(dst []byte, src []float32) {
	var q [32]byte
	encodeLine32(dst, src, 31, -1, 1, q[:])
	putFifthBits(dst[4:], q[:])
	putNibbles(dst[8:], q[:])
}

func encodeLine32(dst []byte, src []float32, n, from, to float32, q []byte) {
	scale, minimum := fitLine(src, n, from, to, 21, true)
	m := putHalf(dst, 2, half.FromFloat32(-minimum))
	d := putHalf(dst, 0, bestHalf(scale, func(d float32) float32 { return lineError(src, n, d, -m) }))
	roundLine(q, src, n, d, -m)
}

// encodeQ8_0 rounds as GGML's quantize_row_q8_0_ref: scale max|x|/127 in
// binary16, the integers by the scale before it was rounded, ties away from
// zero.
func encodeQ8_0(dst []byte, src []float32) {
	d := magnitude(largest(src)) / 127
	putHalf(dst, 0, half.FromFloat32(d))
	inverse := reciprocal(d)
	for i, v := range src {
		dst[2+i] = byte(int8(math.Round(float64(v * inverse))))
	}
}

// bestHalf returns the one of the two binary16 around a scale that has the
// smaller squared error. It matters for the subnormal ones, which lie far
// apart.
func bestHalf(scale float32, squared func(scale float32) float32) uint16 {
	h := half.FromFloat32(scale)
	other, found := h, half.Float32(h)
	switch {
	case h&0x7c00 == 0x7c00: // out of reach, which must show
		return h
	case magnitude(found) < magnitude(scale):
		other++
	case magnitude(found) > magnitude(scale):
		other--
	}
	if squared(half.Float32(other)) < squared(found) {
		return other
	}
	return h
}

// putNibbles stores the low nibbles of 32 integers, two 16 apart in a byte.
func putNibbles(dst, q []byte) {
	for i := range 16 {
		dst[i] = q[i]&15 | q[i+16]<<4
	}
}

func putFifthBits(dst, q []byte) {
	var bits uint32
	for i, v := range q {
		bits |= uint32(v>>4&1) << i
	}
	binary.LittleEndian.PutUint32(dst, bits)
}
