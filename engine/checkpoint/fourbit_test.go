package checkpoint_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"kestrel/engine/checkpoint"
	"kestrel/engine/checkpoint/checkpointtest"
	"kestrel/engine/weights"
	"kestrel/engine/weights/bnb/bnbtest"
)

// TestFourBit: a checkpoint that bitsandbytes quantized opens with its
// projections in NF4 or FP4, or in F32 where rows are no whole blocks.
func TestFourBit(t *testing.T) {
	for _, o := range []bnbtest.Options{{Kind: "nf4"}, {Kind: "nf4", Nested: true}, {Kind: "fp4"}, {Kind: "fp4", Nested: true, Block: 128}} {
		m := checkpointtest.Random(7, checkpointtest.Config(checkpoint.FalconMamba, 128, 2, 192, 16, 4, 64, 64))
		c := opened(t, m.Bitsandbytes(checkpointtest.Published, o))
		want := map[string]weights.DType{"nf4": weights.NF4, "fp4": weights.FP4}[o.Kind]
		for _, l := range c.Layers {
			for _, w := range []weights.Tensor{l.InProj, l.XProj, l.DtProj, l.OutProj} {
				if w.DType != want {
					t.Errorf("%+v: %v", o, w)
				}
				got, err := w.Float32s()
				if err != nil {
					t.Fatal(err)
				}
				layer := slices.IndexFunc(c.Layers, func(x checkpoint.Layer) bool { return x.InProj.Name == l.InProj.Name })
				_, role, _ := strings.Cut(w.Name, "mixer.")
				var err2, sum float64
				for i, v := range m.Find(layer, "mixer."+role).Values {
					err2 += float64((got[i] - v) * (got[i] - v))
					sum += float64(v * v)
				}
				if err2 > 0.04*sum {
					t.Errorf("%+v, %s: relative error squared %v", o, w.Name, err2/sum)
				}
			}
		}
		if c.Embed.DType != weights.BF16 || c.Layers[0].A.DType != weights.F32 || len(c.Warnings) != 0 {
			t.Errorf("%+v: embedding %v, A %v, warnings %q", o, c.Embed.DType, c.Layers[0].A.DType, c.Warnings)
		}
		if _, err := c.As(weights.Q4_K, false); !errors.Is(err, weights.ErrUnsupported) {
			t.Errorf("%+v: quantized again: %v", o, err)
		}
		if f, err := c.As(weights.F32, false); err != nil || f.Layers[0].InProj.DType != weights.F32 {
			t.Errorf("%+v: as F32: %v", o, err)
		}
	}
	odd := opened(t, small.Bitsandbytes(checkpointtest.Published, bnbtest.Options{Kind: "nf4", Nested: true}))
	if odd.Layers[0].InProj.DType != weights.F32 || len(odd.Warnings) != 1 || !strings.Contains(odd.Warnings[0], "12 of 12") {
		t.Errorf("rows that are no blocks: %v, warnings %q", odd.Layers[0].InProj, odd.Warnings)
	}
	other := opened(t, small.Bitsandbytes(checkpointtest.Published, bnbtest.Options{Kind: "nf4"}))
	if again := opened(t, small.Bitsandbytes(checkpointtest.Published, bnbtest.Options{Kind: "nf4", Nested: true})); again.Hash() != odd.Hash() || other.Hash() == odd.Hash() {
		t.Error("the hash is not that of the files")
	}
}

// TestFourBitConfig: what config.json says of quantization agrees with the
// tensors, or is refused.
func TestFourBitConfig(t *testing.T) {
	m := checkpointtest.Random(7, checkpointtest.Config(checkpoint.FalconMamba, 64, 1, 64, 16, 4, 64, 64))
	with := func(set map[string]any) fstest.MapFS {
		files := m.Bitsandbytes(checkpointtest.Published, bnbtest.Options{Kind: "nf4"})
		var config map[string]any
		if err := json.Unmarshal(files["config.json"].Data, &config); err != nil {
			t.Fatal(err)
		}
		q := config["quantization_config"].(map[string]any)
		for key, v := range set {
			if v == nil {
				delete(q, key)
			} else {
				q[key] = v
			}
		}
		data, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		files["config.json"] = &fstest.MapFile{Data: data}
		return files
	}
	float := m.HF(checkpointtest.Published)
	float["config.json"] = with(nil)["config.json"]
	plain := m.Bitsandbytes(checkpointtest.Published, bnbtest.Options{Kind: "nf4"})
	plain["config.json"] = &fstest.MapFile{Data: m.ConfigJSON()}
	for _, c := range []struct {
		name  string
		files fstest.MapFS
		kind  error // nil: it opens
		says  string
	}{
		{"as saved", with(nil), nil, ""},
		{"tensors alone", plain, nil, ""},
		{"older", with(map[string]any{"_load_in_4bit": nil}), nil, ""},
		{"the other type", with(map[string]any{"bnb_4bit_quant_type": "fp4"}), weights.ErrBadModel, "quantization_config says fp4, but the tensors are nf4"},
		{"by default", with(map[string]any{"bnb_4bit_quant_type": nil}), weights.ErrBadModel, "quantization_config says fp4"},
		{"floats", float, weights.ErrBadModel, "quantization_config says nf4, but none of the tensors is"},
		{"8 bits", with(map[string]any{"load_in_4bit": false, "_load_in_4bit": false, "load_in_8bit": true}), weights.ErrUnsupported, "to 8 bits"},
		{"another type", with(map[string]any{"bnb_4bit_quant_type": "af4"}), weights.ErrUnsupported, `as "af4"`},
		{"another method", with(map[string]any{"quant_method": "gptq"}), weights.ErrUnsupported, `quantized by "gptq"`},
		{"no method", with(map[string]any{"quant_method": nil}), weights.ErrUnsupported, "an unnamed method"},
		{"wrong JSON", with(map[string]any{"load_in_4bit": "yes"}), weights.ErrBadModel, "load_in_4bit: expected true or false"},
	} {
		ck, err := checkpoint.OpenFS(c.files, ".")
		if err == nil {
			ck.Close()
		}
		if c.kind == nil && err != nil || c.kind != nil && (!errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "config.json")) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
