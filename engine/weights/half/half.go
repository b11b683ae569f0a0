// Package half converts between float32 and IEEE 754 binary16.
package half

import "math"

// Float32 widens a binary16, which is exact. The product scales the exponent
// from bias 15 to bias 127 and normalizes subnormals on the way.
func Float32(h uint16) float32 {
	const rebias = 0x1p112
	bits := math.Float32bits(math.Float32frombits(uint32(h&0x7fff)<<13) * rebias)
	if h&0x7c00 == 0x7c00 { // Inf or NaN
		bits = 0x7f800000 | uint32(h&0x3ff)<<13
	}
	return math.Float32frombits(bits | uint32(h&0x8000)<<16)
}

// FromFloat32 rounds to nearest, ties to even. From 65520 on it is infinity;
// a NaN stays one.
func FromFloat32(v float32) uint16 {
	bits := math.Float32bits(v)
	sign, mag := uint16(bits>>16&0x8000), bits&0x7fffffff
	switch {
	case mag > 0x7f800000: // NaN
		return sign | 0x7e00 | uint16(mag>>13&0x3ff)
	case mag >= 0x47800000: // 65536; below, rounding carries into infinity by itself
		return sign | 0x7c00
	case mag < 0x38800000: // below 2^-14: adding 0.5 leaves the subnormal's units in the low bits, rounded
		return sign | uint16(math.Float32bits(math.Float32frombits(mag)+0.5)-0x3f000000)
	}
	return sign | uint16((mag-0x38000000+0xfff+mag>>13&1)>>13)
}
