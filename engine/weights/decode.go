package weights

import (
	"encoding/binary"
	"fmt"
	"math"

	"kestrel/engine/weights/half"
)

// Decode writes the elements of src to dst as float32. Values of F32, F16, BF16
// and the quantizations without a minimum are representable, so decoding them
// is exact; with a minimum the sum is rounded once (package quant). src must
// hold exactly len(dst) elements; types that are not [DType.Decodable] fail
// with ErrUnsupported.
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
			dst[0] = half.Float32(uint16(w))
			dst[1] = half.Float32(uint16(w >> 16))
			dst[2] = half.Float32(uint16(w >> 32))
			dst[3] = half.Float32(uint16(w >> 48))
			src, dst = src[8:], dst[4:]
		}
		for i := range dst {
			dst[i] = half.Float32(binary.LittleEndian.Uint16(src[2*i:]))
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
	default:
		dtypes[d].format.Decode(dst, src)
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
