package weights

import "fmt"

// DType is the storage type of a tensor's elements.
type DType uint8

// The types Kestrel computes with are F32, F16, BF16 and Q8_0 (see
// [DType.Decodable]); the others exist so that a file that holds them can be
// described and refused by name.
const (
	Invalid DType = iota
	F32           // IEEE 754 binary32
	F16           // IEEE 754 binary16
	BF16          // the upper half of a binary32
	Q8_0          // GGML block of 32: binary16 scale, then 32 int8
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

var dtypes = [numDTypes]struct {
	name              string
	elements, storage int // of one block
}{
	Invalid: {"invalid", 1, 0},
	F32:     {"F32", 1, 4},
	F16:     {"F16", 1, 2},
	BF16:    {"BF16", 1, 2},
	Q8_0:    {"Q8_0", 32, 34},
	F64:     {"F64", 1, 8},
	I64:     {"I64", 1, 8},
	I32:     {"I32", 1, 4},
	I16:     {"I16", 1, 2},
	I8:      {"I8", 1, 1},
	U64:     {"U64", 1, 8},
	U32:     {"U32", 1, 4},
	U16:     {"U16", 1, 2},
	U8:      {"U8", 1, 1},
	Bool:    {"BOOL", 1, 1},
	F8E4M3:  {"F8_E4M3", 1, 1},
	F8E5M2:  {"F8_E5M2", 1, 1},
}

// String returns the name the file formats use, such as "BF16".
func (d DType) String() string {
	if d >= numDTypes {
		return fmt.Sprintf("DType(%d)", uint8(d))
	}
	return dtypes[d].name
}

// BlockSize returns the elements of one block: 1 for plain types, 32 for Q8_0.
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
func (d DType) Decodable() bool { return d >= F32 && d <= Q8_0 }

// ParseDType returns the type with the given name, as String writes it.
func ParseDType(name string) (DType, bool) {
	for d := F32; d < numDTypes; d++ {
		if dtypes[d].name == name {
			return d, true
		}
	}
	return Invalid, false
}
