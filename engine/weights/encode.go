package weights

import (
	"encoding/binary"
	"fmt"
	"math"

	"kestrel/engine/weights/half"
)

// Encode writes src to dst in the type d, which [Decode] reverses. F16 and
// BF16 round to nearest, ties to even, as IEEE 754 does. Quantizations choose
// scales and integers as package quant describes.
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
			binary.LittleEndian.PutUint16(dst, half.FromFloat32(v))
			dst = dst[2:]
		}
	case BF16:
		for _, v := range src {
			binary.LittleEndian.PutUint16(dst, toBFloat16(v))
			dst = dst[2:]
		}
	default:
		dtypes[d].format.Encode(dst, src)
	}
	return nil
}

func toBFloat16(v float32) uint16 {
	bits := math.Float32bits(v)
	if v != v {
		return uint16(bits>>16) | 0x40 // keep a NaN one when its low bits go
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}
