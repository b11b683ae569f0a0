package bnb_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"kestrel/engine/weights"
	"kestrel/engine/weights/bnb"
	"kestrel/engine/weights/bnb/bnbtest"
	"kestrel/engine/weights/quant"
	"kestrel/engine/weights/safetensors"
)

// memory is a source of tensors at hand.
type memory []weights.Tensor

func (m memory) Path() string { return "model.safetensors" }
func (m memory) Close() error { return nil }

func (m memory) Names() (names []string) {
	for _, t := range m {
		names = append(names, t.Name)
	}
	return names
}

func (m memory) Tensor(name string) (weights.Tensor, error) {
	for _, t := range m {
		if t.Name == name {
			return t, nil
		}
	}
	return weights.Tensor{}, &weights.FileError{Kind: weights.ErrMissingTensor, File: m.Path(), Tensor: name, Problem: "not in the file"}
}

// TestGolden: tensors made and dequantized by build/reference/bnb_golden.py
// have the same values here, to the bit.
func TestGolden(t *testing.T) {
	file, err := safetensors.Open("testdata/bnb.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	values, err := safetensors.Open("testdata/values.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer values.Close()
	s, err := bnb.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]weights.DType{
		"layers.0.mixer.in_proj.weight": weights.NF4, "layers.0.mixer.x_proj.weight": weights.NF4, "layers.0.mixer.dt_proj.weight": weights.FP4,
		"layers.0.mixer.out_proj.weight": weights.FP4, "long.weight": weights.NF4, "longest.weight": weights.FP4, "many.weight": weights.NF4,
		"short.weight": weights.F32, "odd.weight": weights.F32, "odder.weight": weights.F32,
	}
	if names := s.Names(); len(names) != len(types)+1 || !slices.Contains(names, "layers.0.norm.weight") {
		t.Errorf("the names are %q", names)
	}
	if w := s.Warnings(); len(w) != 1 || !strings.Contains(w[0], "3 of 10 4-bit matrices") || !strings.Contains(w[0], "F32") {
		t.Errorf("warnings %q", w)
	}
	if types := s.Types(); !slices.Contains(types, "nf4") || !slices.Contains(types, "fp4") || len(types) != 2 {
		t.Errorf("types %q", types)
	}
	for _, name := range values.Names() {
		want, err := values.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		if got.DType != types[name] || !slices.Equal(got.Shape, want.Shape) || got.File != "testdata/bnb.safetensors" {
			t.Errorf("%v of %s, want %v", got, got.File, want)
		}
		same(t, name, got, want)
		// Rows by themselves, as a matrix in slabs is read.
		part := make([]float32, 2*got.RowLen())
		if err := got.DecodeRows(part, 1); err != nil {
			t.Fatal(err)
		}
		all, _ := want.Float32s()
		if !slices.Equal(part, all[want.RowLen():3*want.RowLen()]) {
			t.Errorf("%s: rows 1 and 2 are not those of the whole", name)
		}
	}
	norm, err := s.Tensor("layers.0.norm.weight")
	if err != nil || norm.DType != weights.F32 || norm.Elements() != 8 || norm.From != nil {
		t.Errorf("%v, %v", norm, err)
	}
	if _, err := s.Tensor("long.weight.absmax"); !errors.Is(err, weights.ErrMissingTensor) {
		t.Errorf("a part of a matrix is listed as a tensor of its own: %v", err)
	}
}

func same(t *testing.T, name string, got, want weights.Tensor) {
	t.Helper()
	a, err := got.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	b, err := want.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		if a[i] != b[i] {
			t.Fatalf("%s, element %d: %v, numpy has %v", name, i, a[i], b[i])
		}
	}
}

// TestMade: what bnbtest makes is read as the values nearest to those it was
// given, in every kind, block and shape.
func TestMade(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, kind := range []string{"nf4", "fp4"} {
		for _, nested := range []bool{false, true} {
			for _, block := range []int{32, 64, 128, 4096} {
				for _, shape := range [][2]int{{3, 64}, {7, 320}, {5, 13}, {300, 128}} {
					name := fmt.Sprintf("%s nested %v block %d %v", kind, nested, block, shape)
					x := make([]float32, shape[0]*shape[1])
					for i := range x {
						x[i] = float32(rng.NormFloat64())
					}
					s, err := bnb.Open(memory(bnbtest.Quantize("w", shape[0], shape[1], x, bnbtest.Options{Kind: kind, Block: block, Nested: nested})))
					if err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					w, err := s.Tensor("w")
					if err != nil {
						t.Fatal(err)
					}
					if whole := block%64 == 0 && shape[1]%64 == 0; (w.DType == weights.F32) == whole || (len(s.Warnings()) == 0) != whole {
						t.Errorf("%s: %v, warnings %q", name, w, s.Warnings())
					}
					got, err := w.Float32s()
					if err != nil {
						t.Fatal(err)
					}
					for at := 0; at < len(x); at += block {
						b := x[at:min(at+block, len(x))]
						var most float64
						for _, v := range b {
							most = max(most, math.Abs(float64(v)))
						}
						// Half the widest gap of the table, and the 8 bits of the scale.
						gap := map[string]float64{"nf4": 0.153, "fp4": 0.167}[kind] * most
						if nested {
							gap += 0.02 * most
						}
						for i, v := range b {
							if e := math.Abs(float64(got[at+i] - v)); e > gap*1.02 {
								t.Fatalf("%s, element %d: %v for %v in a block up to %v", name, at+i, got[at+i], v, most)
							}
						}
					}
				}
			}
		}
	}
}

// TestDamaged: every part that is missing, too short, too long, of another type
// or says impossible things is refused by name, with a way out.
func TestDamaged(t *testing.T) {
	x := make([]float32, 6*128)
	for i := range x {
		x[i] = float32(math.Sin(float64(i)))
	}
	state := func(text string) func([]weights.Tensor) {
		return func(list []weights.Tensor) {
			w := &list[len(list)-1]
			w.Data, w.Shape = []byte(text), []int{len(text)}
		}
	}
	find := func(list []weights.Tensor, name string) *weights.Tensor {
		for i := range list {
			if list[i].Name == name {
				return &list[i]
			}
		}
		panic(name)
	}
	without := func(name string) func([]weights.Tensor) {
		return func(list []weights.Tensor) { find(list, name).Name = "elsewhere" }
	}
	cut := func(name string, n int) func([]weights.Tensor) {
		return func(list []weights.Tensor) {
			w := find(list, name)
			w.Data = append(slices.Clone(w.Data), make([]byte, 64)...)[:len(w.Data)+n]
		}
	}
	as := func(name string, d weights.DType) func([]weights.Tensor) {
		return func(list []weights.Tensor) { find(list, name).DType = d }
	}
	named := func(from, to string) func([]weights.Tensor) {
		return func(list []weights.Tensor) { find(list, from).Name = to }
	}
	const nf4 = "w.quant_state.bitsandbytes__nf4"
	bad, no, missing := weights.ErrBadModel, weights.ErrUnsupported, weights.ErrMissingTensor
	for _, c := range []struct {
		name   string
		nested bool
		change func([]weights.Tensor)
		kind   error
		tensor string
		says   string
	}{
		{"no codes", true, without("w"), missing, "w", "which has its " + nf4},
		{"no absmax", false, without("w.absmax"), missing, "w.absmax", "not in the file"},
		{"no absmax", true, without("w.absmax"), missing, "w.absmax", "not in the file"},
		{"no map", false, without("w.quant_map"), missing, "w.quant_map", "not in the file"},
		{"no nested absmax", true, without("w.nested_absmax"), missing, "w.nested_absmax", "not in the file"},
		{"no nested map", true, without("w.nested_quant_map"), missing, "w.nested_quant_map", "not in the file"},
		{"no state", false, without(nf4), missing, nf4, "which has w."},
		{"codes cut short", false, cut("w", -1), bad, "w", "383 bytes, but the matrix's shape and blocks want 384"},
		{"too many codes", false, cut("w", 1), bad, "w", "385 bytes"},
		{"absmax cut short", false, cut("w.absmax", -4), bad, "w.absmax", "44 bytes"},
		{"absmax cut short", true, cut("w.absmax", -1), bad, "w.absmax", "11 bytes"},
		{"too many scales", true, cut("w.absmax", 1), bad, "w.absmax", "13 bytes"},
		{"map cut short", false, cut("w.quant_map", -4), bad, "w.quant_map", "60 bytes"},
		{"nested absmax too long", true, cut("w.nested_absmax", 4), bad, "w.nested_absmax", "8 bytes"},
		{"nested map cut short", true, cut("w.nested_quant_map", -4), bad, "w.nested_quant_map", "1020 bytes"},
		{"absmax in 8 bits without nesting", false, as("w.absmax", weights.U8), bad, "w.absmax", "stored as U8, want F32"},
		{"absmax in floats though nested", true, as("w.absmax", weights.F32), bad, "w.absmax", "stored as F32, want U8"},
		{"map of bytes", false, as("w.quant_map", weights.U8), bad, "w.quant_map", "stored as U8"},
		{"another table", false, func(l []weights.Tensor) { find(l, "w.quant_map").Data[3] ^= 1 }, no, "w.quant_map", "not the table of nf4"},
		{"a table with NaN", false, func(l []weights.Tensor) { copy(find(l, "w.quant_map").Data, "\x00\x00\xc0\x7f") }, no, "w.quant_map", "not the table"},
		{"the other type", false, named(nf4, "w.quant_state.bitsandbytes__fp4"), bad, "w.quant_state.bitsandbytes__fp4", `quant_type is "nf4"`},
		{"an unknown type", false, named(nf4, "w.quant_state.bitsandbytes__af4"), no, "w.quant_state.bitsandbytes__af4", "a method Kestrel does not know"},
		{"another program", false, named(nf4, "w.quant_state.other__nf4"), no, "w.quant_state.other__nf4", "a method Kestrel does not know"},
		{"no JSON", false, state("nf4"), bad, nf4, "not valid JSON"},
		{"empty", false, state(""), bad, nf4, "not valid JSON"},
		{"null", false, state("null"), bad, nf4, "needs quant_type, blocksize and shape"},
		{"a list", false, state("[]"), bad, nf4, "not valid JSON"},
		{"huge", false, state(strings.Repeat(" ", 1<<17)), bad, nf4, "131072 bytes, more than"},
		{"no shape", false, state(`{"quant_type":"nf4","blocksize":64}`), bad, nf4, "needs quant_type"},
		{"one size", false, state(`{"quant_type":"nf4","blocksize":64,"shape":[768]}`), bad, nf4, "shape is [768]"},
		{"no size", false, state(`{"quant_type":"nf4","blocksize":64,"shape":[0,128]}`), bad, nf4, "shape is [0 128]"},
		{"negative", false, state(`{"quant_type":"nf4","blocksize":64,"shape":[-6,-128]}`), bad, nf4, "shape is"},
		{"overflows", false, state(`{"quant_type":"nf4","blocksize":64,"shape":[2147483647,2147483647]}`), bad, nf4, "shape is"},
		{"overflows twice", false, state(`{"quant_type":"nf4","blocksize":64,"shape":[4294967296,4294967296]}`), bad, nf4, "shape is"},
		{"large", false, state(`{"quant_type":"nf4","blocksize":64,"shape":[536870912,1073741824]}`), bad, "w", "384 bytes"},
		{"other shape", false, state(`{"quant_type":"nf4","blocksize":64,"shape":[6,130]}`), bad, "w", "384 bytes"},
		{"no block", false, state(`{"quant_type":"nf4","blocksize":0,"shape":[6,128]}`), bad, nf4, "blocksize is 0"},
		{"huge block", false, state(`{"quant_type":"nf4","blocksize":9007199254740993,"shape":[6,128]}`), bad, nf4, "blocksize is"},
		{"half a block", false, state(`{"quant_type":"nf4","blocksize":64.5,"shape":[6,128]}`), bad, nf4, "not valid JSON"},
		{"other block", false, state(`{"quant_type":"nf4","blocksize":128,"shape":[6,128]}`), bad, "w.absmax", "48 bytes"},
		{"nested without offset", true, state(`{"quant_type":"nf4","blocksize":64,"shape":[6,128],"nested_blocksize":256}`), bad, nf4, "nested_offset both"},
		{"no nested block", true, state(`{"quant_type":"nf4","blocksize":64,"shape":[6,128],"nested_blocksize":0,"nested_offset":1}`), bad, nf4, "nested_blocksize is 0"},
		{"other nested block", true, state(`{"quant_type":"nf4","blocksize":64,"shape":[6,128],"nested_blocksize":8,"nested_offset":1}`), bad, "w.nested_absmax", "4 bytes"},
		{"endless offset", true, state(`{"quant_type":"nf4","blocksize":64,"shape":[6,128],"nested_blocksize":256,"nested_offset":1e300}`), bad, nf4, "nested_offset"},
		{"other nested type", true, state(`{"quant_type":"nf4","blocksize":64,"shape":[6,128],"nested_blocksize":256,"nested_offset":1,"nested_dtype":"float16"}`), no, nf4, "nested_dtype"},
		{"two states", false, func(l []weights.Tensor) { find(l, "w.quant_map").Name = "w.quant_state.bitsandbytes__fp4" }, bad, nf4, "another state"},
	} {
		list := bnbtest.Quantize("w", 6, 128, x, bnbtest.Options{Kind: "nf4", Nested: c.nested})
		c.change(list)
		_, err := bnb.Open(memory(list))
		var fe *weights.FileError
		if !errors.As(err, &fe) || !errors.Is(err, c.kind) {
			t.Errorf("%s, nested %v: %v", c.name, c.nested, err)
			continue
		}
		if fe.Tensor != c.tensor || !strings.Contains(err.Error(), c.says) || fe.File != "model.safetensors" || fe.Way == "" {
			t.Errorf("%s, nested %v: of %q: %v", c.name, c.nested, fe.Tensor, err)
		}
	}
}

// TestLoad: a computed tensor stops with its context, uses the memory it is
// given, and hashes as what it is made of.
func TestLoad(t *testing.T) {
	x := make([]float32, 64*1024)
	s, err := bnb.Open(memory(bnbtest.Quantize("w", 64, 1024, x, bnbtest.Options{Kind: "nf4", Nested: true})))
	if err != nil {
		t.Fatal(err)
	}
	w, err := s.Tensor("w")
	if err != nil {
		t.Fatal(err)
	}
	if w.Size() != 64*1024/64*36 || w.Data != nil || len(w.Sources()) != 6 {
		t.Errorf("%d bytes, made of %d tensors", w.Size(), len(w.Sources()))
	}
	buf := make([]byte, 100_000)
	got, err := w.Load(context.Background(), buf)
	if err != nil || &got.Data[0] != &buf[0] || int64(len(got.Data)) != w.Size() {
		t.Errorf("%d bytes, %v", len(got.Data), err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := w.Load(ctx, nil); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), `"w"`) {
		t.Errorf("cancelled: %v", err)
	}
}

// FuzzOpen: whatever the parts hold, the matrix is refused by kind or has the
// values of its formula, and takes memory in keeping with its codes.
func FuzzOpen(f *testing.F) {
	for _, nested := range []bool{false, true} {
		for _, shape := range [][2]int{{2, 64}, {3, 33}} {
			list := bnbtest.Quantize("w", shape[0], shape[1], make([]float32, shape[0]*shape[1]), bnbtest.Options{Kind: "nf4", Nested: nested})
			part := map[string][]byte{}
			for _, t := range list {
				part[t.Name] = t.Data
			}
			f.Add(part["w"], part["w.quant_state.bitsandbytes__nf4"], part["w.absmax"], part["w.nested_absmax"], nested)
		}
	}
	table, dynamic := bnbtest.Quantize("w", 1, 1, []float32{1}, bnbtest.Options{Kind: "nf4"})[1].Data, bnbtest.Quantize("w", 1, 1, []float32{1}, bnbtest.Options{Kind: "nf4", Nested: true})[4].Data
	f.Fuzz(func(t *testing.T, codes, state, absmax, nestedMax []byte, nested bool) {
		list := memory{
			{Name: "w", DType: weights.U8, Shape: []int{len(codes), 1}, Data: codes},
			{Name: "w.quant_state.bitsandbytes__nf4", DType: weights.U8, Shape: []int{len(state)}, Data: state},
			{Name: "w.quant_map", DType: weights.F32, Shape: []int{16}, Data: table},
			{Name: "w.absmax", DType: weights.F32, Shape: []int{len(absmax) / 4}, Data: absmax},
		}
		if nested {
			list[3].DType, list[3].Shape = weights.U8, []int{len(absmax)}
			list = append(list, weights.Tensor{Name: "w.nested_absmax", DType: weights.F32, Shape: []int{len(nestedMax) / 4}, Data: nestedMax},
				weights.Tensor{Name: "w.nested_quant_map", DType: weights.F32, Shape: []int{256}, Data: dynamic})
		}
		s, err := bnb.Open(list)
		if err != nil {
			if !errors.Is(err, weights.ErrBadModel) && !errors.Is(err, weights.ErrUnsupported) && !errors.Is(err, weights.ErrMissingTensor) {
				t.Fatalf("error of no kind: %v", err)
			}
			return
		}
		w, err := s.Tensor("w")
		if err != nil {
			t.Fatal(err)
		}
		if w.Size() > int64(8*len(codes)) {
			t.Fatalf("%v: %d bytes of %d bytes of codes", w, w.Size(), len(codes))
		}
		got, err := w.Float32s()
		if err != nil {
			t.Fatal(err)
		}
		var st struct{ Blocksize int }
		if err := json.Unmarshal(state, &st); err != nil {
			t.Fatal(err)
		}
		for i, v := range got {
			if nested {
				break // TestGolden has these
			}
			scale := math.Float32frombits(binary.LittleEndian.Uint32(absmax[i/st.Blocksize*4:]))
			if want := scale * quant.NF4Values[codes[i/2]>>(4*(1-i%2))&15]; v != want && v == v {
				t.Fatalf("element %d of %d is %v, want %v", i, len(got), v, want)
			}
		}
	})
}
