package gguf

import (
	"bytes"
	"errors"
	"math"
	"os"
	"slices"
	"testing"

	"kestrel/engine/weights"
)

// The golden files come from build/reference/gguf_golden.py, which uses the
// gguf package of llama.cpp's authors.

func golden(t *testing.T, name string) *File {
	t.Helper()
	f, err := Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func float32s(t *testing.T, f *File, name string) []float32 {
	t.Helper()
	w, err := f.Tensor(name)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(w.Shape, []int{6, 96}) {
		t.Fatalf("%v: want shape [6, 96]", w)
	}
	x, err := w.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// TestGoldenTypes encodes the golden values in each type and compares the
// bytes; and decodes Q8_0 and compares the bits.
func TestGoldenTypes(t *testing.T) {
	f := golden(t, "values.gguf")
	x := float32s(t, f, "x")
	for name, d := range map[string]weights.DType{"x": weights.F32, "x.f16": weights.F16, "x.bf16": weights.BF16, "x.q8_0": weights.Q8_0} {
		w, err := f.Tensor(name)
		if err != nil || w.DType != d {
			t.Fatalf("%v, want type %v: %v", w, d, err)
		}
		got := make([]byte, d.Bytes(len(x)))
		if err := weights.Encode(got, d, x); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, w.Data) {
			i := 0
			for got[i] == w.Data[i] {
				i++
			}
			t.Errorf("%s: byte %d of %d is %#x, want %#x", name, i, len(got), got[i], w.Data[i])
		}
	}
	got, want := float32s(t, f, "x.q8_0"), float32s(t, f, "x.q8_0.back")
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("x.q8_0[%d] decodes to %v, want %v", i, got[i], want[i])
		}
	}
}

func TestGoldenMetadata(t *testing.T) {
	f := golden(t, "values.gguf")
	for key, want := range map[string]int64{
		"u8": 200, "i8": -100, "u16": 60000, "i16": -30000, "u32": 4000000000, "i32": -2000000000, "i64": math.MinInt64,
	} {
		if n, ok, err := f.Int(key); n != want || !ok || err != nil {
			t.Errorf("%s: %d %v %v, want %d", key, n, ok, err, want)
		}
	}
	for key, want := range map[string]float64{"f32": float64(float32(0.1)), "f64": 0.1, "u8": 200} {
		if v, ok, err := f.Float(key); v != want || !ok || err != nil {
			t.Errorf("%s: %v %v %v, want %v", key, v, ok, err, want)
		}
	}
	for key, want := range map[string]bool{"yes": true, "no": false} {
		if v, ok, err := f.Bool(key); v != want || !ok || err != nil {
			t.Errorf("%s: %v %v %v", key, v, ok, err)
		}
	}
	if s, ok, err := f.String("text"); s != "grüß \x00 Gott" || !ok || err != nil {
		t.Errorf("text: %q %v %v", s, ok, err)
	}
	if s, ok, err := f.Strings("texts"); !slices.Equal(s, []string{"", "a", "日本"}) || !ok || err != nil {
		t.Errorf("texts: %q %v %v", s, ok, err)
	}
	if n, ok, err := f.Int32s("ints"); !slices.Equal(n, []int32{1, -2, 3}) || !ok || err != nil {
		t.Errorf("ints: %v %v %v", n, ok, err)
	}
	if f.Len("nested") != 2 || f.Len("floats") != 2 || f.Len("text") != 0 {
		t.Error("lengths of arrays")
	}
	// An absent key is no error; a key of another type is one that names it.
	if _, ok, err := f.Int("none"); ok || err != nil {
		t.Errorf("none: %v %v", ok, err)
	}
	for name, get := range map[string]func() (bool, error){
		"Int of u64":        func() (bool, error) { _, ok, err := f.Int("u64"); return ok, err },
		"Int of text":       func() (bool, error) { _, ok, err := f.Int("text"); return ok, err },
		"Int of ints":       func() (bool, error) { _, ok, err := f.Int("ints"); return ok, err },
		"Float of yes":      func() (bool, error) { _, ok, err := f.Float("yes"); return ok, err },
		"Float of u64":      func() (bool, error) { _, ok, err := f.Float("u64"); return ok, err },
		"Bool of u8":        func() (bool, error) { _, ok, err := f.Bool("u8"); return ok, err },
		"String of texts":   func() (bool, error) { _, ok, err := f.String("texts"); return ok, err },
		"Strings of text":   func() (bool, error) { _, ok, err := f.Strings("text"); return ok, err },
		"Strings of nested": func() (bool, error) { _, ok, err := f.Strings("nested"); return ok, err },
		"Int32s of floats":  func() (bool, error) { _, ok, err := f.Int32s("floats"); return ok, err },
		"Int32s of u8":      func() (bool, error) { _, ok, err := f.Int32s("u8"); return ok, err },
	} {
		if ok, err := get(); ok || !errors.Is(err, weights.ErrBadModel) {
			t.Errorf("%s: %v %v", name, ok, err)
		}
	}
}

// TestGoldenWriter writes plain.gguf again, byte for byte.
func TestGoldenWriter(t *testing.T) {
	want, err := os.ReadFile("testdata/plain.gguf")
	if err != nil {
		t.Fatal(err)
	}
	f := golden(t, "plain.gguf")
	w := NewWriter(3)
	w.SetString("general.architecture", "first try")
	w.SetUint32("mamba.block_count", 2)
	w.SetFloat32("mamba.attention.layer_norm_rms_epsilon", 1e-5)
	w.SetBool("mamba.ssm.dt_b_c_rms", true)
	w.SetStrings("tokenizer.ggml.tokens", []string{"a", "", "Ġ日"})
	w.SetInt32s("tokenizer.ggml.token_type", []int32{1, 3, -1})
	w.SetFloat32s("tokenizer.ggml.scores", []float32{0.5, -1.5})
	w.SetString("general.architecture", "mamba")
	for _, name := range f.Names() {
		x, err := f.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		w.AddTensor(x)
	}
	got, err := w.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		i := 0
		for i < min(len(got), len(want)) && got[i] == want[i] {
			i++
		}
		t.Errorf("%d bytes, want %d; the first difference is at %d", len(got), len(want), i)
	}
}
