package engine_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"kestrel/engine"
	"kestrel/engine/checkpoint"
	"kestrel/engine/checkpoint/checkpointtest"
	"kestrel/engine/kernel"
	"kestrel/engine/mamba"
	"kestrel/engine/reference"
	"kestrel/engine/reference/golden"
	"kestrel/engine/vulkan"
	"kestrel/engine/vulkan/vulkantest"
	"kestrel/engine/weights"
	"kestrel/engine/weights/bnb/bnbtest"
)

// TestEstimate: what is foretold without loading is what loading and one session then allocate, to the byte and by
// purpose, in every precision, whether the device's memory is written directly or through staging.
func TestEstimate(t *testing.T) {
	r := checkpointtest.Random(2, checkpointtest.Config(checkpoint.FalconMamba, 256, 2, 320, 16, 4, 48, 500))
	float := r.Open(t, checkpointtest.Published)
	four, err := checkpoint.OpenFS(r.Bitsandbytes(checkpointtest.Published, bnbtest.Options{Kind: "nf4", Nested: true}), ".")
	if err != nil {
		t.Fatal(err)
	}
	defer four.Close()
	type wish struct {
		name, quant string
		ck          *checkpoint.Checkpoint
	}
	wishes := []wish{{"as it is", "", float}, {"4 bits", "", four}, {"4 bits as F32", "f32", four}}
	for _, d := range precisions() {
		wishes = append(wishes, wish{d.String(), strings.ToLower(d.String()), float})
	}
	for _, staged := range []bool{false, true} {
		for _, w := range wishes {
			t.Run(w.name, func(t *testing.T) {
				ctx, ck := context.Background(), w.ck
				dev := vulkantest.OpenWith(t, vulkan.DeviceOptions{ForceStaging: staged})
				o := engine.Options{Chunk: 16, Quant: w.quant}
				want, err := engine.EstimateOn(ck, dev, o)
				if err != nil {
					t.Fatal(err)
				}
				if total := dev.Memory().Total; total != 0 {
					t.Errorf("%d bytes were allocated to find that out", total)
				}
				as := ck
				if w.quant != "" {
					d, err := checkpoint.ParsePrecision(w.quant)
					if err != nil {
						t.Fatal(err)
					}
					if as, err = ck.As(d, false); err != nil {
						t.Fatal(err)
					}
				}
				m, err := mamba.Load(ctx, dev, as, mamba.Options{Chunk: o.Chunk})
				if err != nil {
					t.Fatal(err)
				}
				if peak := dev.Memory().Peak; peak != want.Weights+want.Scratch+want.Staging {
					t.Errorf("loading takes %d bytes, foretold are %+v", peak, want)
				}
				q, err := m.NewSequence()
				if err != nil {
					t.Fatal(err)
				}
				if err := q.Chunk(ctx, []int{1, 2, 3}); err != nil {
					t.Fatal(err)
				}
				got := map[vulkan.Purpose]int64{}
				for _, p := range dev.Memory().Purposes {
					got[p.Purpose] += p.Allocated
				}
				if got[vulkan.Weights] != want.Weights || got[vulkan.State] != want.State || got[vulkan.Scratch] != want.Scratch {
					t.Errorf("a session takes %v, foretold are %+v", got, want)
				}
				staging := staged || slices.ContainsFunc(as.Tensors(), func(t weights.Tensor) bool { _, device := kernel.Quantizes(t); return device })
				if want.Total != want.Weights+want.State+want.Scratch+want.Staging || !want.Fits || want.Budget <= want.Device || (want.Staging > 0) != staging {
					t.Errorf("%+v", want)
				}
				longer, err := engine.EstimateOn(ck, vulkantest.OpenWith(t, vulkan.DeviceOptions{ForceStaging: staged}), o)
				if err != nil || longer.Total != want.Total {
					t.Errorf("another time it is %+v, %v", longer, err)
				}
			})
		}
	}
}

// precisions are those that a model can be asked for in; a few of them in a short run.
func precisions() []weights.DType {
	if testing.Short() {
		return []weights.DType{weights.F16, weights.Q8_0, weights.Q4_K}
	}
	return checkpoint.Precisions()
}

// TestQuant: a float model that is quantized while it is loaded computes what the file does that was quantized before: to
// the bit where the host quantizes, as near to the floats where the device does.
func TestQuant(t *testing.T) {
	cfg := checkpointtest.Config(checkpoint.FalconMamba, 256, 2, 256, 16, 4, 32, 300)
	r := checkpointtest.Random(3, cfg)
	float := r.HF(checkpointtest.All(weights.F32))
	withTokenizer(t, float)
	for _, d := range precisions() {
		t.Run(d.String(), func(t *testing.T) {
			types := checkpointtest.All(d)
			if d.Quantized() {
				types = r.Quantized(d)
			}
			w := r.Writer(func(name string) weights.DType {
				if checkpointtest.All(weights.Q8_0)(name) == weights.F32 {
					return weights.F32
				}
				return types(name)
			}, 3)
			w.SetString("tokenizer.huggingface.json", string(float["tokenizer.json"].Data))
			data, err := w.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			o := options(t)
			o.Chunk = 16
			var said warnings
			o.Warn = said.add
			stored := openFS(t, fstest.MapFS{"m.gguf": {Data: data}}, "m.gguf", o)
			o.Quant = strings.ToLower(d.String())
			made := openFS(t, float, ".", o)
			for _, line := range said.take() {
				if !strings.Contains(line, "whole blocks") {
					t.Errorf("unexpected warning: %s", line)
				}
			}
			o.Quant = ""
			var logits [][]float32
			for _, m := range []*engine.Model{stored, made, openFS(t, float, ".", o)} {
				s := newSession(t, m)
				feed(t, s, []int{5, 17, 200, 3})
				l, err := s.Logits(context.Background())
				if err != nil {
					t.Fatal(err)
				}
				logits = append(logits, l)
			}
			ck, err := checkpoint.OpenFS(float, ".")
			if err != nil {
				t.Fatal(err)
			}
			defer ck.Close()
			as, err := ck.As(d, false)
			if err != nil {
				t.Fatal(err)
			}
			file, quant := golden.Distance(logits[0], logits[2]), golden.Distance(logits[1], logits[2])
			if _, device := kernel.Quantizes(as.Embed); !device && !slices.Equal(logits[0], logits[1]) || quant > 1.1*file+1e-5 {
				t.Errorf("by the device %v: the file says %v …, the quantized model %v …; from the floats' logits they are %.3g and %.3g away",
					device, logits[0][:4], logits[1][:4], file, quant)
			}
		})
	}
}

// TestQuantRefused: what cannot be quantized is refused before a device is asked for.
func TestQuantRefused(t *testing.T) {
	r := checkpointtest.Random(3, checkpointtest.Blocks(checkpoint.FalconMamba))
	q8 := fstest.MapFS{"m.gguf": {Data: r.GGUF(checkpointtest.All(weights.Q8_0), 3)}}
	for quant, says := range map[string]string{"q4_0": "stored as Q8_0 already", "q9": `no precision "q9"`} {
		o := engine.Options{Quant: quant, Device: "none"}
		if _, err := engine.OpenFS(context.Background(), q8, "m.gguf", o); !errors.Is(err, engine.ErrUnsupported) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", quant, err)
		}
	}
}

// TestFourBit: 4-bit checkpoints of bitsandbytes give the logits that the reference computes from the values that they
// stand for; where rows are no whole blocks too, with a warning.
func TestFourBit(t *testing.T) {
	r := checkpointtest.Random(4, checkpointtest.Config(checkpoint.FalconMamba, 128, 2, 192, 16, 4, 64, 300))
	odd := checkpointtest.Random(5, checkpointtest.Config(checkpoint.FalconMamba, 64, 1, 72, 16, 4, 8, 300))
	ids := []int{5, 17, 200, 3, 3, 299}
	for _, c := range []struct {
		model *checkpointtest.Model
		o     bnbtest.Options
		warns bool
	}{
		{r, bnbtest.Options{Kind: "nf4", Nested: true}, false}, {r, bnbtest.Options{Kind: "fp4", Nested: true}, false},
		{r, bnbtest.Options{Kind: "nf4", Block: 128}, false}, {r, bnbtest.Options{Kind: "fp4"}, false},
		{odd, bnbtest.Options{Kind: "nf4", Nested: true}, true},
	} {
		files := withTokenizer(t, c.model.Bitsandbytes(checkpointtest.Published, c.o))
		o := options(t)
		o.Chunk = 16
		var said warnings
		o.Warn = said.add
		s := newSession(t, openFS(t, files, ".", o))
		feed(t, s, ids)
		logits, err := s.Logits(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if lines := said.take(); (len(lines) > 0) != c.warns || c.warns && !strings.Contains(lines[0], "held as F32") {
			t.Errorf("%+v: warnings %q", c.o, lines)
		}
		ck, err := checkpoint.OpenFS(files, ".")
		if err != nil {
			t.Fatal(err)
		}
		m, err := reference.New(ck)
		ck.Close()
		if err != nil {
			t.Fatal(err)
		}
		want, err := m.ForwardLast(m.NewState(), ids)
		if err != nil {
			t.Fatal(err)
		}
		if d := golden.Distance(reference.Float64s(logits), want); d > 1e-4 {
			t.Errorf("%+v: the logits are %.2g of their RMS away from the reference's", c.o, d)
		}
	}
}

// TestQuantHostMemory: while a model is quantized, the host holds one tensor in its new form at the most, and nothing of
// those that the device quantizes.
func TestQuantHostMemory(t *testing.T) {
	heap := func() int64 {
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return int64(s.HeapAlloc)
	}
	const vocab, hidden = 32768, 256 // embedding and head of 8 million elements each
	c := checkpointtest.Config(checkpoint.FalconMamba, hidden, 2, 256, 16, 4, 32, vocab)
	ck := checkpointtest.Random(1, c).Open(t, checkpointtest.All(weights.F16))
	for d, limit := range map[weights.DType]int64{weights.BF16: 2 * vocab * hidden, weights.Q8_0: 0} {
		as, err := ck.As(d, false)
		if err != nil {
			t.Fatal(err)
		}
		before, most := heap(), int64(0)
		_, err = mamba.Load(context.Background(), vulkantest.Open(t), as, mamba.Options{Chunk: 16, Progress: func(int64, int64) { most = max(most, heap()-before) }})
		if err != nil {
			t.Fatal(err)
		}
		if most > limit+4<<20 {
			t.Errorf("%v: %d bytes on the heap, %d are one tensor", d, most, limit)
		}
	}
}

// TestQuantStops: a load that quantizes ends with its context.
func TestQuantStops(t *testing.T) {
	for _, quant := range []string{"bf16", "q8_0"} {
		ctx, cancel := context.WithCancel(context.Background())
		o := options(t)
		o.Quant = quant
		o.Progress = func(engine.Progress) { cancel() }
		m, err := engine.OpenRandom(ctx, "256x2x256x32", "f16", o)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", quant, err)
		}
		if m != nil {
			m.Close()
		}
		cancel()
	}
}
