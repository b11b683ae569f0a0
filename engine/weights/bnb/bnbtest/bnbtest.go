// Package bnbtest makes 4-bit tensors as bitsandbytes saves them, for tests.
package bnbtest

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"kestrel/engine/weights"
	"kestrel/engine/weights/quant"
)

// Options of Quantize.
type Options struct {
	Kind   string // "nf4" or "fp4"
	Block  int    // 0: 64
	Nested bool   // scales in 8 bits, in blocks of 256
	DType  string // what the JSON says the matrix was stored as; "" is bfloat16
}

// Quantize returns the tensors that stand for the matrix name [out, in].
func Quantize(name string, out, in int, values []float32, o Options) []weights.Tensor {
	if o.Block == 0 {
		o.Block = 64
	}
	if o.DType == "" {
		o.DType = "bfloat16"
	}
	table := map[string]*quant.Codebook{"nf4": quant.NF4Values, "fp4": quant.FP4Values}[o.Kind]
	codes := make([]byte, (len(values)+1)/2)
	var absmax []float32
	for at := 0; at < len(values); at += o.Block {
		x := values[at:min(at+o.Block, len(values))]
		var most float32
		for _, v := range x {
			most = max(most, float32(math.Abs(float64(v))))
		}
		absmax = append(absmax, most)
		for i, v := range x {
			var scaled float32
			if most > 0 {
				scaled = v / most
			}
			codes[(at+i)/2] |= byte(nearest(table[:], scaled)) << (4 * (1 - (at+i)%2))
		}
	}
	state := map[string]any{"quant_type": o.Kind, "blocksize": o.Block, "dtype": o.DType, "shape": []int{out, in}}
	list := []weights.Tensor{{Name: name, DType: weights.U8, Shape: []int{len(codes), 1}, Data: codes}, floats(name+".quant_map", table[:])}
	if !o.Nested {
		list = append(list, floats(name+".absmax", absmax))
	} else {
		const size = 256
		var sum float64
		for _, v := range absmax {
			sum += float64(v)
		}
		offset := float32(sum / float64(len(absmax)))
		table := DynamicMap()
		small := make([]byte, len(absmax))
		var nested []float32
		for at := 0; at < len(absmax); at += size {
			x := absmax[at:min(at+size, len(absmax))]
			var most float32
			for _, v := range x {
				most = max(most, float32(math.Abs(float64(v-offset))))
			}
			nested = append(nested, most)
			for i, v := range x {
				if most > 0 {
					small[at+i] = byte(nearest(table, (v-offset)/most))
				} else {
					small[at+i] = byte(nearest(table, 0))
				}
			}
		}
		state["nested_blocksize"], state["nested_dtype"], state["nested_offset"] = size, "float32", float64(offset)
		list = append(list, weights.Tensor{Name: name + ".absmax", DType: weights.U8, Shape: []int{len(small)}, Data: small},
			floats(name+".nested_absmax", nested), floats(name+".nested_quant_map", table))
	}
	text, err := json.Marshal(state)
	if err != nil {
		panic(err) // of numbers and texts
	}
	return append(list, weights.Tensor{Name: fmt.Sprintf("%s.quant_state.bitsandbytes__%s", name, o.Kind), DType: weights.U8, Shape: []int{len(text)}, Data: text})
}

// DynamicMap is bitsandbytes' table for signed values in 8 bits
// (create_dynamic_map): decimal exponents, each with twice the fractions of the
// one below.
func DynamicMap() []float32 {
	table := []float32{0, 1}
	for e := range 7 {
		n := 1 << e
		for i := range n {
			low, high := 0.1+0.9*float64(i)/float64(n), 0.1+0.9*float64(i+1)/float64(n)
			v := float32((low + high) / 2 * math.Pow10(e-6))
			table = append(table, v, -v)
		}
	}
	slices.Sort(table)
	return table
}

func nearest(table []float32, v float32) int {
	best := 0
	for i, t := range table {
		if math.Abs(float64(t-v)) < math.Abs(float64(table[best]-v)) {
			best = i
		}
	}
	return best
}

func floats(name string, v []float32) weights.Tensor {
	t := weights.Tensor{Name: name, DType: weights.F32, Shape: []int{len(v)}, Data: make([]byte, 4*len(v))}
	for i, x := range v {
		binary.LittleEndian.PutUint32(t.Data[4*i:], math.Float32bits(x))
	}
	return t
}
