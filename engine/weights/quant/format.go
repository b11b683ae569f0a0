package quant

import (
	"encoding/binary"

	"kestrel/engine/weights/half"
)

// Format is one block quantization.
type Format struct {
	Name     string
	Number   uint32 // ggml_type, as GGUF files number it; 0 for NF4 and FP4
	Elements int    // of a block
	Bytes    int    // of a block

	scales []int // offsets of the binary16 numbers in a block
	wide   []int // offsets of the binary32 numbers
	decode func(dst []float32, src []byte)
	encode func(dst []byte, src []float32)
}

// The formats of GGML, described in the package's documentation.
var (
	Q4_0   = &Format{"Q4_0", 2, 32, 18, []int{0}, nil, decodeQ4_0, encodeQ4_0}
	Q4_1   = &Format{"Q4_1", 3, 32, 20, []int{0, 2}, nil, decodeQ4_1, encodeQ4_1}
	Q5_0   = &Format{"Q5_0", 6, 32, 22, []int{0}, nil, decodeQ5_0, encodeQ5_0}
	Q5_1   = &Format{"Q5_1", 7, 32, 24, []int{0, 2}, nil, decodeQ5_1, encodeQ5_1}
	Q8_0   = &Format{"Q8_0", 8, 32, 34, []int{0}, nil, decodeQ8_0, encodeQ8_0}
	Q2_K   = &Format{"Q2_K", 10, 256, 84, []int{80, 82}, nil, decodeQ2_K, encodeQ2_K}
	Q3_K   = &Format{"Q3_K", 11, 256, 110, []int{108}, nil, decodeQ3_K, encodeQ3_K}
	Q4_K   = &Format{"Q4_K", 12, 256, 144, []int{0, 2}, nil, decodeQ4_K, encodeQ4_K}
	Q5_K   = &Format{"Q5_K", 13, 256, 176, []int{0, 2}, nil, decodeQ5_K, encodeQ5_K}
	Q6_K   = &Format{"Q6_K", 14, 256, 210, []int{208}, nil, decodeQ6_K, encodeQ6_K}
	IQ4_NL = &Format{"IQ4_NL", 20, 32, 18, []int{0}, nil, decodeIQ4_NL, encodeIQ4_NL}
	IQ4_XS = &Format{"IQ4_XS", 23, 256, 136, []int{0}, nil, decodeIQ4_XS, encodeIQ4_XS}
)

// Formats lists those of GGML, by their numbers.
var Formats = []*Format{Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS}

// Decode writes the elements of the blocks in src to dst. It panics when the
// lengths are not those of the same whole number of blocks.
func (f *Format) Decode(dst []float32, src []byte) {
	for n := f.blocks(len(dst), len(src)); n > 0; n-- {
		f.decode(dst[:f.Elements], src[:f.Bytes])
		dst, src = dst[f.Elements:], src[f.Bytes:]
	}
}

// HasNaN reports whether a scale is NaN or infinite; no element can be one
// otherwise. src is whole blocks.
func (f *Format) HasNaN(src []byte) bool {
	for ; len(src) >= f.Bytes; src = src[f.Bytes:] {
		for _, at := range f.scales {
			if binary.LittleEndian.Uint16(src[at:])&0x7c00 == 0x7c00 {
				return true
			}
		}
		for _, at := range f.wide {
			if binary.LittleEndian.Uint32(src[at:])&0x7f800000 == 0x7f800000 {
				return true
			}
		}
	}
	return false
}

func (f *Format) blocks(elements, bytes int) int {
	n := bytes / f.Bytes
	if n*f.Bytes != bytes || n*f.Elements != elements {
		panic("quant: " + f.Name + ": not whole blocks, or not of the same number")
	}
	return n
}

// scale reads the binary16 at an offset.
func scale(src []byte, at int) float32 {
	return half.Float32(binary.LittleEndian.Uint16(src[at:]))
}

// Encode writes src to dst as blocks, as the package's documentation describes.
// A block with a NaN or an infinity gets scales of NaN, and magnitudes that no
// binary16 scale reaches get infinite ones: HasNaN finds both. It panics when
// the lengths are not those of the same whole number of blocks.
func (f *Format) Encode(dst []byte, src []float32) {
	for n := f.blocks(len(src), len(dst)); n > 0; n-- {
		block, x := dst[:f.Bytes], src[:f.Elements]
		if finite(x) {
			f.encode(block, x)
		} else {
			clear(block)
			for _, at := range f.scales {
				binary.LittleEndian.PutUint16(block[at:], 0x7e00)
			}
			for _, at := range f.wide {
				binary.LittleEndian.PutUint32(block[at:], 0x7fc00000)
			}
		}
		dst, src = dst[f.Bytes:], src[f.Elements:]
	}
}

func finite(x []float32) bool {
	for _, v := range x {
		if v-v != 0 {
			return false
		}
	}
	return true
}
