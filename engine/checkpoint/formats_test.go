package checkpoint_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"kestrel/engine/checkpoint"
	"kestrel/engine/checkpoint/checkpointtest"
	"kestrel/engine/weights"
)

// TestForms writes one model in every accepted form and reads it back: the
// configuration and each value of each tensor must be those that were written.
func TestForms(t *testing.T) {
	for _, kind := range []checkpoint.Kind{checkpoint.Mamba, checkpoint.FalconMamba} {
		for _, tied := range []bool{false, true} {
			small := checkpointtest.Small(kind)
			small.Tied, small.MixerEps = tied, small.MixerEps*10
			blocks := checkpointtest.Blocks(kind)
			blocks.Tied = tied
			s, b := checkpointtest.Random(1, small), checkpointtest.Random(2, blocks)
			for name, types := range map[string]checkpointtest.Types{
				"F32": checkpointtest.All(weights.F32), "F16": checkpointtest.All(weights.F16), "BF16": checkpointtest.All(weights.BF16),
				"published": checkpointtest.Published, "mixed": checkpointtest.Mixed,
			} {
				label := fmt.Sprintf("%s tied=%v %s", kind, tied, name)
				check(t, label+" single", s, types, s.HF(types), ".", false)
				check(t, label+" file", s, types, s.HF(types), "model.safetensors", false)
				check(t, label+" 3 shards", s, types, s.Sharded(types, 3), ".", false)
				for _, v := range []int{2, 3} {
					files := fstest.MapFS{"m.gguf": {Data: s.GGUF(types, v)}}
					check(t, fmt.Sprint(label, " gguf v", v), s, types, files, "m.gguf", true)
				}
			}
			q8 := checkpointtest.All(weights.Q8_0)
			files := fstest.MapFS{"m.gguf": {Data: b.GGUF(q8, 3)}}
			check(t, fmt.Sprintf("%s tied=%v Q8_0", kind, tied), b, q8, files, ".", true)
		}
	}
}

// TestQuantizedForms reads a model back in every quantization: where all rows
// are whole blocks, and where some are not.
func TestQuantizedForms(t *testing.T) {
	whole := checkpointtest.Random(3, checkpointtest.SuperBlocks(checkpoint.FalconMamba))
	odd := checkpointtest.Random(4, checkpointtest.Config(checkpoint.Mamba, 256, 1, 288, 16, 4, 48, 64))
	for _, d := range checkpointtest.Quantizations() {
		if testing.Short() && d != weights.Q4_K && d != weights.Q4_0 {
			continue // the search for scales takes long; the mixture has the others
		}
		files := fstest.MapFS{"m.gguf": {Data: whole.GGUF(checkpointtest.All(d), 3)}}
		check(t, d.String(), whole, checkpointtest.All(d), files, "m.gguf", true)
		files = fstest.MapFS{"m.gguf": {Data: odd.GGUF(odd.Quantized(d), 3)}}
		check(t, d.String()+" odd", odd, odd.Quantized(d), files, "m.gguf", true)
		wide := d // of rows of 288
		if d.BlockSize() == 256 {
			wide = weights.Q8_0
		}
		if l := opened(t, files).Layers[0]; l.InProj.DType != d || l.OutProj.DType != wide || l.DtProj.DType != weights.F16 {
			t.Errorf("%v: %v, %v, %v", d, l.InProj, l.OutProj, l.DtProj)
		}
	}
	// Every type in one file, as llama-quantize mixes them.
	n := 0
	mixed := func(name string) weights.DType {
		if whole := checkpointtest.All(weights.Q4_K)(name); whole == weights.F32 {
			return whole
		}
		list := append(checkpointtest.Quantizations(), weights.F32, weights.F16, weights.BF16)
		n = 0
		for _, b := range []byte(name) {
			n = (n*31 + int(b)) % 9973
		}
		return list[n%len(list)]
	}
	found := map[weights.DType]bool{}
	for _, w := range whole.Open(t, mixed).Tensors() {
		found[w.DType] = true
	}
	if len(found) < 6 {
		t.Errorf("only %v in the mixture", found)
	}
	files := fstest.MapFS{"m.gguf": {Data: whole.GGUF(mixed, 3)}}
	check(t, "mixture", whole, mixed, files, "m.gguf", true)
}

// check opens the files from memory and from a directory.
func check(t *testing.T, label string, m *checkpointtest.Model, types checkpointtest.Types, files fstest.MapFS, name string, gguf bool) {
	t.Run(label, func(t *testing.T) {
		inMemory, err := checkpoint.OpenFS(files, name)
		if err != nil {
			t.Fatal(err)
		}
		defer inMemory.Close()
		compare(t, m, types, inMemory, gguf)

		onDisk, err := checkpoint.Open(filepath.Join(write(t, files), name))
		if err != nil {
			t.Fatal(err)
		}
		defer onDisk.Close()
		compare(t, m, types, onDisk, gguf)
		if inMemory.Hash() != onDisk.Hash() {
			t.Error("the same files have two hashes")
		}
	})
}

func compare(t *testing.T, m *checkpointtest.Model, types checkpointtest.Types, c *checkpoint.Checkpoint, gguf bool) {
	t.Helper()
	if got, want := c.Config, m.Config; !reflect.DeepEqual(got, want) {
		t.Errorf("config:\n got %+v\nwant %+v", got, want)
	}
	got := map[string]weights.Tensor{"backbone.embeddings.weight": c.Embed, "backbone.norm_f.weight": c.NormF, "lm_head.weight": c.Head}
	for i, l := range c.Layers {
		p := fmt.Sprintf("backbone.layers.%d.", i)
		got[p+"norm.weight"] = l.Norm
		p += "mixer."
		for role, t := range map[string]weights.Tensor{
			"in_proj.weight": l.InProj, "conv1d.weight": l.ConvW, "conv1d.bias": l.ConvB, "x_proj.weight": l.XProj,
			"dt_proj.weight": l.DtProj, "dt_proj.bias": l.DtBias, "A_log": l.A, "D": l.D, "out_proj.weight": l.OutProj,
		} {
			got[p+role] = t
		}
	}
	for _, want := range m.Tensors {
		g, d := got[want.Name], types(want.Name)
		shape := want.Shape
		if strings.HasSuffix(want.Name, "conv1d.weight") {
			shape = []int{shape[0], shape[2]}
		}
		if g.DType != d || !slices.Equal(g.Shape, shape) {
			t.Errorf("%s: got %v, want %v%v", want.Name, g, d, shape)
			continue
		}
		values, err := g.Float32s()
		if err != nil {
			t.Fatal(err)
		}
		relative, fixed := tolerance(d), absolute(d, want.Values)
		negated := gguf && strings.HasSuffix(want.Name, "A_log")
		for i, v := range want.Values {
			if negated {
				v = float32(-math.Exp(float64(v)))
			}
			if math.Abs(float64(values[i]-v)) > relative*math.Abs(float64(v))+fixed {
				t.Fatalf("%s[%d]: got %v, want %v", want.Name, i, values[i], v)
			}
		}
	}
	if m.Config.Tied && &c.Head.Data[0] != &c.Embed.Data[0] {
		t.Error("the tied head is not the embedding")
	}
	a, err := c.Layers[0].NegA()
	if err != nil {
		t.Fatal(err)
	}
	for i, log := range m.Find(0, "mixer.A_log").Values {
		want := -math.Exp(float64(log))
		d := types("backbone.layers.0.mixer.A_log")
		// Rounding A_log by a relative e changes A by a factor exp(e |A_log|).
		if math.Abs(float64(a[i])-want) > -want*(tolerance(d)*(1+2*math.Abs(float64(log)))+1e-6) {
			t.Fatalf("A[%d]: got %v, want %v", i, a[i], want)
		}
	}
}

// tolerance is the relative error of rounding to the type: half a unit in the
// last place.
func tolerance(d weights.DType) float64 {
	return map[weights.DType]float64{weights.F16: 0x1p-11, weights.BF16: 0x1p-8}[d]
}

// absolute is the error where it does not scale with the value: a subnormal's
// for F16; half a step of the largest block for Q8_0, whose scale is rounded;
// for the other quantizations, which choose the scales for the whole block's
// error, several steps of a block as wide as the tensor.
func absolute(d weights.DType, values []float32) float64 {
	span := float64(max(0, slices.Max(values))) - float64(min(0, slices.Min(values)))
	switch {
	case d == weights.F16:
		return 0x1p-25
	case d == weights.Q8_0:
		return span / 127 * (0.5 + 127*0x1p-11)
	case d.Quantized():
		return span * 3 / map[string]float64{"2": 3, "3": 7, "4": 15, "5": 31, "6": 63}[strings.Trim(d.String(), "IQ")[:1]]
	}
	return 0
}

func write(t *testing.T, files fstest.MapFS) string {
	t.Helper()
	dir := t.TempDir()
	for name, f := range files {
		if err := os.WriteFile(filepath.Join(dir, name), f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
