// Package checkpointtest builds small random Mamba models in memory, for the
// tests of whatever computes them.
//
//	m := checkpointtest.Random(1, checkpointtest.Small(checkpoint.FalconMamba))
//	c := m.Open(t, checkpointtest.All(weights.BF16))
package checkpointtest

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"kestrel/engine/checkpoint"
	"kestrel/engine/weights"
	"kestrel/engine/weights/quant"
)

// Small returns small sizes that suit no kernel's width: 3 layers, hidden 24,
// inner 40, state 8, conv 4, dt rank 3, vocabulary 61.
func Small(kind checkpoint.Kind) checkpoint.Config {
	return Config(kind, 24, 3, 40, 8, 4, 3, 61)
}

// Blocks returns sizes of which every row is whole blocks of 32, as Q8_0 needs.
func Blocks(kind checkpoint.Kind) checkpoint.Config {
	return Config(kind, 64, 2, 96, 16, 4, 32, 64)
}

// SuperBlocks returns sizes of which every row is whole blocks of 256, as the
// quantizations Q2_K to Q6_K and IQ4_XS need.
func SuperBlocks(kind checkpoint.Kind) checkpoint.Config {
	return Config(kind, 256, 2, 512, 16, 4, 256, 64)
}

// Config returns a configuration of the given sizes, with the usual epsilons
// (1e-5; 1e-6 for dt, B and C), an untied head, and the ids 0, 1 and 2 as
// beginning, end and padding.
func Config(kind checkpoint.Kind, hidden, layers, inner, state, conv, dtRank, vocab int) checkpoint.Config {
	c := checkpoint.Config{
		Kind: kind, Hidden: hidden, Layers: layers, Inner: inner, State: state, Conv: conv, DtRank: dtRank, Vocab: vocab,
		NormEps: 1e-5, BOS: 0, EOS: []int{1}, Pad: 2,
	}
	if kind == checkpoint.FalconMamba {
		c.MixerNorm, c.MixerEps = true, 1e-6
	}
	return c
}

// Model is a model in memory, in float32.
type Model struct {
	Config  checkpoint.Config
	Tensors []Tensor // by their names in transformers, in the order of loading
}

// Tensor is one of its tensors; conv1d.weight is [I, 1, K], A_log is A_log.
type Tensor struct {
	Name   string
	Shape  []int
	Values []float32
}

// Random returns a model with values as training leaves them: projections of
// the size that keeps a signal's, A_log = log(1..N) with a little noise, dt
// biases for steps of 0.001 to 0.1. The same seed gives the same model.
func Random(seed uint64, cfg checkpoint.Config) *Model {
	r := rand.New(rand.NewPCG(seed, 0x6b65737472656c))
	m := &Model{Config: cfg}
	normal := func(mean, deviation float64) func(int) float64 {
		return func(int) float64 { return mean + deviation*r.NormFloat64() }
	}
	uniform := func(limit float64) func(int) float64 {
		return func(int) float64 { return limit * (2*r.Float64() - 1) }
	}
	fan := func(n int) func(int) float64 { return uniform(math.Sqrt(3 / float64(n))) } // of variance 1/n
	add := func(name string, value func(i int) float64, shape ...int) {
		n := 1
		for _, d := range shape {
			n *= d
		}
		t := Tensor{Name: name, Shape: shape, Values: make([]float32, n)}
		for i := range t.Values {
			t.Values[i] = float32(value(i))
		}
		m.Tensors = append(m.Tensors, t)
	}

	h, inner, n, k, rank := cfg.Hidden, cfg.Inner, cfg.State, cfg.Conv, cfg.DtRank
	add("backbone.embeddings.weight", normal(0, 1), cfg.Vocab, h)
	for l := range cfg.Layers {
		p := "backbone.layers." + strconv.Itoa(l) + "."
		add(p+"norm.weight", normal(1, 0.1), h)
		p += "mixer."
		add(p+"in_proj.weight", fan(h), 2*inner, h)
		add(p+"conv1d.weight", fan(k), inner, 1, k)
		add(p+"conv1d.bias", normal(0, 0.1), inner)
		add(p+"x_proj.weight", fan(inner), rank+2*n, inner)
		add(p+"dt_proj.weight", fan(rank), inner, rank)
		add(p+"dt_proj.bias", func(int) float64 {
			dt := math.Exp(math.Log(0.001) + r.Float64()*math.Log(100))
			return math.Log(math.Expm1(dt)) // the inverse of softplus
		}, inner)
		add(p+"A_log", func(i int) float64 { return math.Log(float64(i%n+1)) + 0.05*r.NormFloat64() }, inner, n)
		add(p+"D", normal(1, 0.1), inner)
		add(p+"out_proj.weight", fan(inner), h, inner)
	}
	add("backbone.norm_f.weight", normal(1, 0.1), h)
	if !cfg.Tied {
		add("lm_head.weight", fan(h), cfg.Vocab, h)
	}
	return m
}

// Types chooses the storage type of a tensor by its name in transformers.
type Types func(name string) weights.DType

// All stores every tensor in one type. With a quantization, what is never
// quantized (vectors, the convolution, A) is F32; rows must be whole blocks.
func All(d weights.DType) Types {
	return func(name string) weights.DType {
		if d.Quantized() && !matrix(name) {
			return weights.F32
		}
		return d
	}
}

// Quantized stores as All does, and matrices whose rows are not whole blocks in
// weights.Fallback of the type, as converters do.
func (m *Model) Quantized(d weights.DType) Types {
	return func(name string) weights.DType {
		if !matrix(name) {
			return weights.F32
		}
		shape := m.Find(0, name).Shape
		return weights.Fallback(d, shape[len(shape)-1])
	}
}

// Quantizations lists the types that hold blocks.
func Quantizations() []weights.DType {
	var list []weights.DType
	for _, f := range quant.Formats {
		d, ok := weights.ParseDType(f.Name)
		if !ok {
			panic("no type " + f.Name)
		}
		list = append(list, d)
	}
	return list
}

// Published stores as the publisher does: BF16, with A_log and D in F32.
func Published(name string) weights.DType {
	if strings.HasSuffix(name, ".A_log") || strings.HasSuffix(name, ".D") {
		return weights.F32
	}
	return weights.BF16
}

// Mixed stores neighbouring tensors in different types, F32, F16 and BF16.
func Mixed(name string) weights.DType {
	sum := 0
	for _, c := range []byte(name) {
		sum += int(c)
	}
	return []weights.DType{weights.F32, weights.F16, weights.BF16}[sum%3]
}

func matrix(name string) bool {
	return strings.HasSuffix(name, "proj.weight") || strings.HasSuffix(name, "embeddings.weight") || name == "lm_head.weight"
}

// Encoded returns a tensor's bytes in the type.
func (t Tensor) Encoded(d weights.DType) weights.Tensor {
	w := weights.Tensor{Name: t.Name, DType: d, Shape: t.Shape, Data: make([]byte, d.Bytes(len(t.Values)))}
	if err := weights.Encode(w.Data, d, t.Values); err != nil {
		panic(err) // sizes that do not suit the type: a mistake in the test
	}
	return w
}

// Open opens the model as a user's would be: from safetensors in the Hugging
// Face layout, or from GGUF when a tensor is quantized. It is closed with the test.
func (m *Model) Open(t testing.TB, types Types) *checkpoint.Checkpoint {
	t.Helper()
	var files fstest.MapFS
	name := "."
	if slices.ContainsFunc(m.Tensors, func(tensor Tensor) bool { return types(tensor.Name).Quantized() }) {
		files, name = fstest.MapFS{"model.gguf": {Data: m.GGUF(types, 3)}}, "model.gguf"
	} else {
		files = m.HF(types)
	}
	c, err := checkpoint.OpenFS(files, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}
