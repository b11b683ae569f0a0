package weights

import (
	"encoding/binary"
	"sync/atomic"
)

// HasNaN reports whether the data hold a NaN or an infinity. For quantizations
// the scales are what can be one. Other types than these, F32, F16, BF16 and
// F64 hold none.
func HasNaN(d DType, data []byte) bool {
	var found atomic.Bool
	InParts(len(data), max(1, d.BlockBytes())*64, func(from, to int) {
		if !found.Load() && hasNaN(d, data[from:to]) {
			found.Store(true)
		}
	})
	return found.Load()
}

func hasNaN(d DType, data []byte) bool {
	switch d {
	case F16:
		return scan(data, 0x7c00, 0x0400, 16)
	case BF16:
		return scan(data, 0x7f80, 0x0080, 16)
	case F32:
		return scan(data, 0x7f800000, 0x00800000, 32)
	case F64:
		return scan(data, 0x7ff0000000000000, 0x0010000000000000, 64)
	}
	return d.Quantized() && dtypes[d].format.HasNaN(data)
}

// scan looks at all lanes of a 64-bit word at once. A lane's exponent is all
// ones exactly when adding the exponent's lowest bit to it carries into the
// sign's place, which the mask has cleared.
func scan(data []byte, exponent, lowest uint64, lane int) bool {
	var mask, one, sign uint64
	for s := 0; s < 64; s += lane {
		mask |= exponent << s
		one |= lowest << s
		sign |= 1 << (s + lane - 1)
	}
	for len(data) >= 64 {
		b := data[:64]
		found := (binary.LittleEndian.Uint64(b[0:8]) & mask) + one
		found |= (binary.LittleEndian.Uint64(b[8:16]) & mask) + one
		found |= (binary.LittleEndian.Uint64(b[16:24]) & mask) + one
		found |= (binary.LittleEndian.Uint64(b[24:32]) & mask) + one
		found |= (binary.LittleEndian.Uint64(b[32:40]) & mask) + one
		found |= (binary.LittleEndian.Uint64(b[40:48]) & mask) + one
		found |= (binary.LittleEndian.Uint64(b[48:56]) & mask) + one
		found |= (binary.LittleEndian.Uint64(b[56:64]) & mask) + one
		if found&sign != 0 {
			return true
		}
		data = data[64:]
	}
	for len(data) > 0 {
		var word [8]byte
		n := copy(word[:], data)
		if ((binary.LittleEndian.Uint64(word[:])&mask)+one)&sign != 0 {
			return true
		}
		data = data[n:]
	}
	return false
}
