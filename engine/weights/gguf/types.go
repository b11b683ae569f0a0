package gguf

import (
	"fmt"

	"kestrel/engine/weights"
	"kestrel/engine/weights/quant"
)

// valueType is the type of a metadata value, numbered as in the file.
type valueType uint32

const (
	typeUint8 valueType = iota
	typeInt8
	typeUint16
	typeInt16
	typeUint32
	typeInt32
	typeFloat32
	typeBool
	typeString
	typeArray
	typeUint64
	typeInt64
	typeFloat64
	numValueTypes
)

var valueTypes = [numValueTypes]struct {
	name string
	size int // bytes; 0 for strings and arrays
}{
	{"uint8", 1}, {"int8", 1}, {"uint16", 2}, {"int16", 2}, {"uint32", 4}, {"int32", 4}, {"float32", 4}, {"bool", 1},
	{"string", 0}, {"array", 0}, {"uint64", 8}, {"int64", 8}, {"float64", 8},
}

func (t valueType) String() string {
	if t >= numValueTypes {
		return fmt.Sprintf("value type %d", uint32(t))
	}
	return valueTypes[t].name
}

// ggmlType is the type of a tensor, numbered as in the file.
type ggmlType uint32

// kind is one type of GGML.
type kind struct {
	name            string
	elements, bytes int64 // of a block
	dtype           weights.DType
}

// ggmlTypes names the types of GGML. Only those with a dtype are read.
var ggmlTypes = map[ggmlType]kind{
	0: {"F32", 1, 4, weights.F32}, 1: {"F16", 1, 2, weights.F16}, 30: {"BF16", 1, 2, weights.BF16},
	24: {"I8", 1, 1, weights.I8}, 25: {"I16", 1, 2, weights.I16}, 26: {"I32", 1, 4, weights.I32}, 27: {"I64", 1, 8, weights.I64},
	28: {"F64", 1, 8, weights.F64},
	9:  {"Q8_1", 32, 36, 0}, 15: {"Q8_K", 256, 292, 0},
	16: {"IQ2_XXS", 256, 66, 0}, 17: {"IQ2_XS", 256, 74, 0}, 18: {"IQ3_XXS", 256, 98, 0}, 19: {"IQ1_S", 256, 50, 0},
	21: {"IQ3_S", 256, 110, 0}, 22: {"IQ2_S", 256, 82, 0}, 29: {"IQ1_M", 256, 56, 0},
	34: {"TQ1_0", 256, 54, 0}, 35: {"TQ2_0", 256, 66, 0}, 39: {"MXFP4", 32, 17, 0},
	40: {"NVFP4", 64, 36, 0}, 41: {"Q1_0", 128, 18, 0}, 42: {"Q2_0", 64, 18, 0},
}

func init() {
	for _, f := range quant.Formats {
		d, _ := weights.ParseDType(f.Name)
		ggmlTypes[ggmlType(f.Number)] = kind{f.Name, int64(f.Elements), int64(f.Bytes), d}
	}
}

func (t ggmlType) String() string {
	if k, ok := ggmlTypes[t]; ok {
		return fmt.Sprintf("%s (type %d)", k.name, uint32(t))
	}
	return fmt.Sprintf("of type %d, which Kestrel has no name for", uint32(t))
}

// typeNumber returns the file's number for a type, as the writer needs it.
func typeNumber(d weights.DType) (ggmlType, bool) {
	for n, k := range ggmlTypes {
		if k.dtype == d && d != weights.Invalid {
			return n, true
		}
	}
	return 0, false
}
