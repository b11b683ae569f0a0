package kernel

import (
	"fmt"

	"kestrel/engine/weights"
)

// storage is how a type of weights lies on the device: units of a few columns, which shaders take at a time.
//
// A slab holds its units plane after plane: first the low bits of all units, then the rest of their codes, then what
// scales them. So loads of 8 and 16 bytes are aligned, and a weight takes the bytes that it takes in the file (Q3_K
// 3.5625 bits instead of 3.4375). shaders/include/weights.glsl reads them:
//
//	Q8_0           16 columns a unit
//	    codes      int8 each
//	    scale      f16 for two units
//	Q4_0 … FP4     32 columns a unit, 8 units a block of 256
//	    low        4 bits: byte b holds columns b and b+16; Q2_K, Q3_K 2 bits: the four columns b%4 + 16 (b/4) + 4 k of byte b
//	    high       1 bit: bit c/4 of byte c%4 belongs to column c; Q6_K 2 bits as above
//	    scale      for a unit: f16 (Q4_0, Q5_0, IQ4_NL), two f16 (scale and addend: Q4_1, Q5_1), int8 for each 16 columns
//	               (Q3_K, Q6_K), 4 bits of scale and 4 of minimum for each 16 (Q2_K); for two units: f32 (NF4, FP4)
//	    block      f16 d (Q3_K, Q6_K), f16 d and dmin (Q2_K); Q4_K, Q5_K: d, dmin, then for each unit a byte of the low
//	               4 bits of its scale and minimum, then for each 4 bits of their high 2; IQ4_XS: as in the file
//
// Q5_K has its blocks before its high bits, which keeps them aligned.
type storage struct {
	suffix string // of the shader variants
	unit   int    // columns
	planes []plane
}

// plane is one part of every block of a slab.
type plane struct {
	bytes int                    // of a block
	pack  func(to, block []byte) // nil: rows as the file has them, padded with zeros
}

var storages = map[weights.DType]storage{
	weights.F32:    {"f32", 4, nil},
	weights.F16:    {"f16", 8, nil},
	weights.BF16:   {"bf16", 8, nil},
	weights.Q8_0:   {"q8_0", 16, []plane{{32, from(2)}, {2, from(0)}}},
	weights.Q4_0:   {"q4_0", 32, []plane{{16, from(2)}, {2, from(0)}}},
	weights.Q4_1:   {"q4_1", 32, []plane{{16, from(4)}, {4, from(0)}}},
	weights.Q5_0:   {"q5_0", 32, []plane{{16, from(6)}, {4, fifthBits(2)}, {2, from(0)}}},
	weights.Q5_1:   {"q5_1", 32, []plane{{16, from(8)}, {4, fifthBits(4)}, {4, from(0)}}},
	weights.IQ4_NL: {"iq4_nl", 32, []plane{{16, from(2)}, {2, from(0)}}},
	weights.Q2_K:   {"q2_k", 32, []plane{{64, quarters(16)}, {16, from(0)}, {4, from(80)}}},
	weights.Q3_K:   {"q3_k", 32, []plane{{64, quarters(32)}, {32, singles(0)}, {16, scalesQ3_K}, {2, from(108)}}},
	weights.Q4_K:   {"q4_k", 32, []plane{{128, nibbles(16)}, {16, headK}}},
	weights.Q5_K:   {"q5_k", 32, []plane{{128, nibbles(48)}, {16, headK}, {32, singles(16)}}},
	weights.Q6_K:   {"q6_k", 32, []plane{{128, nibblesQ6_K}, {64, quarters(128)}, {16, from(192)}, {2, from(208)}}},
	weights.IQ4_XS: {"iq4_xs", 32, []plane{{128, from(8)}, {8, from(0)}}},
	weights.NF4:    {"nf4", 32, []plane{{32, nibblesInOrder(4)}, {4, from(0)}}},
	weights.FP4:    {"fp4", 32, []plane{{32, nibblesInOrder(4)}, {4, from(0)}}},
}

// stored looks up the storage of a type.
func stored(d weights.DType) (storage, error) {
	s, ok := storages[d]
	if !ok {
		return s, fmt.Errorf("weights of type %v: %w (the kernels read F32, F16, BF16 and the quantizations of package quant)", d, weights.ErrUnsupported)
	}
	return s, nil
}

// rowBytes is what a row of cols columns takes on the device.
func rowBytes(d weights.DType, cols int) int64 {
	s := storages[d]
	if s.planes == nil {
		return d.Bytes(Padded(cols))
	}
	n := 0
	for _, p := range s.planes {
		n += p.bytes
	}
	return int64(cols/d.BlockSize()) * int64(n)
}

// slabBytes is what rows of cols columns take in a slab: whole words.
func slabBytes(d weights.DType, rows, cols int) int64 {
	return (int64(rows)*rowBytes(d, cols) + 3) / 4 * 4
}

// of is the rows or blocks, whole, of which bytes from … to of a slab are the last, in the first plane: pieces that make up
// a slab have each once.
func (s storage) of(rows []byte, d weights.DType, cols int, from, to int64) []byte {
	unit, made := d.Bytes(cols), d.Bytes(Padded(cols))
	if s.planes != nil {
		unit, made = int64(d.BlockBytes()), int64(s.planes[0].bytes)
	}
	n := int64(len(rows)) / unit
	return rows[min(n, from/made)*unit : min(n, to/made)*unit]
}

// pack writes bytes off… of a slab with the given rows, each of cols columns.
func (s storage) pack(p []byte, off int64, rows []byte, d weights.DType, cols int) {
	if s.planes == nil {
		padRows(p, off, rows, int(d.Bytes(cols)), int(d.Bytes(Padded(cols))))
		return
	}
	size := int64(d.BlockBytes())
	blocks := int64(len(rows)) / size
	var start int64 // of the plane
	for _, plane := range s.planes {
		n := int64(plane.bytes)
		if end := start + blocks*n; off < end && len(p) > 0 {
			take := min(int64(len(p)), end-off)
			plane.write(p[:take], off-start, rows, size)
			p, off = p[take:], off+take
		}
		start += blocks * n
	}
	clear(p) // what is left of the last word
}

// write writes bytes off… of the plane of the given blocks of size bytes.
func (l plane) write(p []byte, off int64, blocks []byte, size int64) {
	n := int64(l.bytes)
	blocks, off = blocks[off/n*size:], off%n
	var whole [128]byte // the largest of a block
	for len(p) > 0 {
		block := blocks[:size:size]
		if blocks = blocks[size:]; off == 0 && int64(len(p)) >= n {
			l.pack(p[:n:n], block)
			p = p[n:]
			continue
		}
		l.pack(whole[:n], block)
		p, off = p[copy(p, whole[off:n]):], 0
	}
}

// padRows writes bytes off… of rows whose length grows from `from` to `to` bytes with zeros.
func padRows(p []byte, off int64, rows []byte, from, to int) {
	if from == to {
		copy(p, rows[off:])
		return
	}
	for len(p) > 0 {
		row, at := int(off/int64(to)), int(off%int64(to))
		n := min(to-at, len(p))
		clear(p[:n])
		if at < from {
			copy(p[:n], rows[row*from+at:(row+1)*from])
		}
		p, off = p[n:], off+int64(n)
	}
}
