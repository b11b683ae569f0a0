package weights

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Encode writes src to dst in the type d, which [Decode] reverses. F16 and
// BF16 round to nearest, ties to even, as IEEE 754 does. Q8_0 rounds as GGML's
// quantize_row_q8_0_ref: scale max|x|/127 in binary16, ties away from zero.
func Encode(dst []byte, d DType, src []float32) error {
	if err := checkLengths(len(src), d, len(dst)); err != nil {
		return fmt.Errorf("encode %v: %w", d, err)
	}
	switch d {
	case F32:
		for _, v := range src {
			binary.LittleEndian.PutUint32(dst, math.Float32bits(v))
			dst = dst[4:]
		}
	case F16:
		for _, v := range src {
			binary.LittleEndian.PutUint16(dst, toFloat16(v))
			dst = dst[2:]
		}
	case BF16:
		for _, v := range src {
			binary.LittleEndian.PutUint16(dst, toBFloat16(v))
			dst = dst[2:]
		}
	case Q8_0:
		for len(src) > 0 {
			encodeQ8(dst[:34], src[:32])
			dst, src = dst[34:], src[32:]
		}
	}
	return nil
}

func encodeQ8(block []byte, x []float32) {
	var largest float32
	for _, v := range x {
		largest = max(largest, float32(math.Abs(float64(v))))
	}
	scale := largest / 127
	var inverse float32
	if scale != 0 {
		inverse = 1 / scale
	}
	binary.LittleEndian.PutUint16(block, toFloat16(scale))
	for i, v := range x {
		block[2+i] = byte(int8(math.Round(float64(v * inverse))))
	}
}

func toBFloat16(v float32) uint16 {
	bits := math.Float32bits(v)
	if v != v {
		return uint16(bits>>16) | 0x40 // keep a NaN one when its low bits go
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}

func toFloat16(v float32) uint16 {
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
