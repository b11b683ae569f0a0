package weights

import (
	"fmt"

	"kestrel/engine/weights/quant"
)

// DType is the storage type of a tensor's elements.
type DType uint8

// The types Kestrel computes with are F32, F16, BF16 and the block
// quantizations, which package quant describes (see
// [DType.Decodable]); the others exist so that a file that holds them can be
// described and refused by name.
const (
	Invalid DType = iota
	F32           // IEEE 754 binary32
	F16           // IEEE 754 binary16
	BF16          // the upper half of a binary32
	Q8_0          // GGML block of 32: binary16 scale, then 32 int8
	Q4_0
	Q4_1
	Q5_0
	Q5_1
	Q2_K
	Q3_K
	Q4_K
	Q5_K
	Q6_K
	IQ4_NL
	IQ4_XS
	NF4 // bitsandbytes' 4 bits in blocks of 64, as package quant lays them out
	FP4
	F64
	I64
	I32
	I16
	I8
	U64
	U32
	U16
	U8
	Bool
	F8E4M3
	F8E5M2
	numDTypes
)

type dtype struct {
	name              string
	elements, storage int // of one block
	format            *quant.Format
}

func plain(name string, size int) dtype { return dtype{name, 1, size, nil} }

func blocks(f *quant.Format) dtype { return dtype{f.Name, f.Elements, f.Bytes, f} }

var dtypes = [numDTypes]dtype{
	Invalid: plain("invalid", 0),
	F32:     plain("F32", 4),
	F16:     plain("F16", 2),
	BF16:    plain("BF16", 2),
	Q8_0:    blocks(quant.Q8_0),
	Q4_0:    blocks(quant.Q4_0),
	Q4_1:    blocks(quant.Q4_1),
	Q5_0:    blocks(quant.Q5_0),
	Q5_1:    blocks(quant.Q5_1),
	Q2_K:    blocks(quant.Q2_K),
	Q3_K:    blocks(quant.Q3_K),
	Q4_K:    blocks(quant.Q4_K),
	Q5_K:    blocks(quant.Q5_K),
	Q6_K:    blocks(quant.Q6_K),
	IQ4_NL:  blocks(quant.IQ4_NL),
	IQ4_XS:  blocks(quant.IQ4_XS),
	NF4:     blocks(quant.NF4),
	FP4:     blocks(quant.FP4),
	F64:     plain("F64", 8),
	I64:     plain("I64", 8),
	I32:     plain("I32", 4),
	I16:     plain("I16", 2),
	I8:      plain("I8", 1),
	U64:     plain("U64", 8),
	U32:     plain("U32", 4),
	U16:     plain("U16", 2),
	U8:      plain("U8", 1),
	Bool:    plain("BOOL", 1),
	F8E4M3:  plain("F8_E4M3", 1),
	F8E5M2:  plain("F8_E5M2", 1),
}

// String returns the name the file formats use, such as "BF16".
func (d DType) String() string {
	if d >= numDTypes {
		return fmt.Sprintf("DType(%d)", uint8(d))
	}
	return dtypes[d].name
}

// BlockSize returns the elements of one block: 1 for plain types, 32, 64 or
// 256 for quantizations.
// A row of a tensor holds a whole number of blocks.
func (d DType) BlockSize() int {
	if d >= numDTypes {
		return 1
	}
	return dtypes[d].elements
}

// BlockBytes returns the bytes of one block.
func (d DType) BlockBytes() int {
	if d >= numDTypes {
		return 0
	}
	return dtypes[d].storage
}

// Bytes returns the bytes that n elements take; n is a whole number of blocks.
func (d DType) Bytes(n int) int64 {
	return int64(n) / int64(d.BlockSize()) * int64(d.BlockBytes())
}

// Decodable reports whether [Decode] and [Encode] know the type.
func (d DType) Decodable() bool { return d == F32 || d == F16 || d == BF16 || d.Quantized() }

// Quantized reports whether the type is a block quantization.
func (d DType) Quantized() bool { return d < numDTypes && dtypes[d].format != nil }

// Fallback returns the type that a matrix with rows of cols elements gets where
// d is asked for: d itself if rows are whole blocks, Q8_0 in place of a type
// with blocks of 256 if they are whole blocks of 32, else F16.
func Fallback(d DType, cols int) DType {
	switch {
	case cols%d.BlockSize() == 0:
		return d
	case d.BlockSize() > Q8_0.BlockSize() && cols%Q8_0.BlockSize() == 0:
		return Q8_0
	}
	return F16
}

// ParseDType returns the type with the given name, as String writes it.
func ParseDType(name string) (DType, bool) {
	for d := F32; d < numDTypes; d++ {
		if dtypes[d].name == name {
			return d, true
		}
	}
	return Invalid, false
}
