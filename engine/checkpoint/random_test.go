package checkpoint_test

import (
	"errors"
	"math"
	"runtime"
	"testing"

	"kestrel/engine/checkpoint"
	"kestrel/engine/tokenizer"
	"kestrel/engine/weights"
)

func TestRandomShapes(t *testing.T) {
	for _, c := range []struct {
		shape, precision string
		inProj, dtProj   weights.DType
		tied             bool
	}{
		{"mamba-130m", "f16", weights.F16, weights.F16, true},
		{"mamba-130m", "q8_0", weights.Q8_0, weights.F16, true}, // 48 columns are no whole blocks
		{"64x3x128x32", "q8_0", weights.Q8_0, weights.Q8_0, false},
		{"40x1x52x7", "bf16", weights.BF16, weights.BF16, false},
	} {
		t.Run(c.shape+" "+c.precision, func(t *testing.T) {
			ck, err := checkpoint.OpenRandom(c.shape, c.precision)
			if err != nil {
				t.Fatal(err)
			}
			defer ck.Close()
			if ck.Tied != c.tied || ck.Layers[0].InProj.DType != c.inProj || ck.Layers[0].DtProj.DType != c.dtProj {
				t.Errorf("tied %v, in_proj %v, dt_proj %v", ck.Tied, ck.Layers[0].InProj.DType, ck.Layers[0].DtProj.DType)
			}
			for _, tensor := range ck.Tensors() {
				tensor, err := tensor.Load(t.Context(), nil)
				if err != nil {
					t.Fatal(err)
				}
				if int64(len(tensor.Data)) != tensor.DType.Bytes(tensor.Elements()) || weights.HasNaN(tensor.DType, tensor.Data) {
					t.Errorf("%v: %d bytes, or not all numbers", tensor, len(tensor.Data))
				}
			}
			values, err := ck.Embed.Float32s()
			if err != nil {
				t.Fatal(err)
			}
			var squares float64
			for _, v := range values {
				squares += float64(v) * float64(v)
			}
			if rms := math.Sqrt(squares / float64(len(values))); rms < 0.015 || rms > 0.025 {
				t.Errorf("RMS of the embedding %v, want about 0.02", rms)
			}
			tok, err := tokenizer.FromJSON(ck.Files.TokenizerJSON)
			if err != nil {
				t.Fatal(err)
			}
			if text := "a th\n\xc3\xa9"; tok.Decode(tok.Encode(text, false)) != text {
				t.Error("its tokenizer does not give bytes back")
			}
		})
	}
}

// TestShapeIsFree: asking what a shape takes makes none of its weights.
func TestShapeIsFree(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	ck, err := checkpoint.OpenRandom("falcon-mamba-7b", "f16")
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 8<<20 {
		t.Errorf("%d bytes were allocated", got)
	}
}

func TestRandomRefused(t *testing.T) {
	for _, c := range [][2]string{{"", "f16"}, {"1x2x3", "f16"}, {"0x1x1x1", "f16"}, {"axbxcxd", "f16"}, {"64x1x64x4", "q9"}, {"64x1x64x4", ""}} {
		if _, err := checkpoint.OpenRandom(c[0], c[1]); !errors.Is(err, weights.ErrUnsupported) {
			t.Errorf("shape %q precision %q: %v", c[0], c[1], err)
		}
	}
}
