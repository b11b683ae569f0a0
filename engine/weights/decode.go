package weights

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Decode writes the elements of src to dst as float32. Every value of F32,
// F16, BF16 and Q8_0 is representable, so decoding is exact. src must hold
// exactly len(dst) elements; other types fail with ErrUnsupported.
func Decode(dst []float32, d DType, src []byte) error {
	if err := checkLengths(len(dst), d, len(src)); err != nil {
		return fmt.Errorf("decode %v: %w", d, err)
	}
	switch d {
	case F32:
		for len(src) >= 8 && len(dst) >= 2 {
			w := binary.LittleEndian.Uint64(src)
			dst[0] = math.Float32frombits(uint32(w))
			dst[1] = math.Float32frombits(uint32(w >> 32))
			src, dst = src[8:], dst[2:]
		}
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
		}
	case F16:
		for len(src) >= 8 && len(dst) >= 4 {
			w := binary.LittleEndian.Uint64(src)
			dst[0] = float16(uint16(w))
			dst[1] = float16(uint16(w >> 16))
			dst[2] = float16(uint16(w >> 32))
			dst[3] = float16(uint16(w >> 48))
			src, dst = src[8:], dst[4:]
		}
		for i := range dst {
			dst[i] = float16(binary.LittleEndian.Uint16(src[2*i:]))
		}
	case BF16:
		for len(src) >= 8 && len(dst) >= 4 {
			w := binary.LittleEndian.Uint64(src)
			dst[0] = math.Float32frombits(uint32(w) << 16)
			dst[1] = math.Float32frombits(uint32(w) &^ 0xffff)
			dst[2] = math.Float32frombits(uint32(w>>32) << 16)
			dst[3] = math.Float32frombits(uint32(w>>32) &^ 0xffff)
			src, dst = src[8:], dst[4:]
		}
		for i := range dst {
			dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(src[2*i:])) << 16)
		}
	case Q8_0:
		for len(src) >= 34 && len(dst) >= 32 {
			block, out := src[2:34], dst[:32]
			scale := float16(binary.LittleEndian.Uint16(src))
			for i := range out {
				out[i] = scale * float32(int8(block[i])) // 11 + 8 bits: no rounding
			}
			src, dst = src[34:], dst[32:]
		}
	}
	return nil
}

func checkLengths(n int, d DType, bytes int) error {
	if !d.Decodable() {
		return fmt.Errorf("%w: no conversion between %v and float32", ErrUnsupported, d)
	}
	if n%d.BlockSize() != 0 {
		return fmt.Errorf("%w: %d elements are not a whole number of %d-element blocks", ErrBadModel, n, d.BlockSize())
	}
	if want := d.Bytes(n); int64(bytes) != want {
		return fmt.Errorf("%w: %d elements take %d bytes, found %d", ErrBadModel, n, want, bytes)
	}
	return nil
}

// float16 widens a binary16. The product scales the exponent from bias 15 to
// bias 127 and normalizes subnormals on the way, without rounding.
func float16(h uint16) float32 {
	const rebias = 0x1p112
	bits := math.Float32bits(math.Float32frombits(uint32(h&0x7fff)<<13) * rebias)
	if h&0x7c00 == 0x7c00 { // Inf or NaN
		bits = 0x7f800000 | uint32(h&0x3ff)<<13
	}
	return math.Float32frombits(bits | uint32(h&0x8000)<<16)
}
