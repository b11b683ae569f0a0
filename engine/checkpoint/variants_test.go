package checkpoint_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"kestrel/engine/checkpoint"
	"kestrel/engine/checkpoint/checkpointtest"
	"kestrel/engine/tokenizer"
	"kestrel/engine/weights"
	"kestrel/engine/weights/gguf"
)

func opened(t *testing.T, files fstest.MapFS) *checkpoint.Checkpoint {
	t.Helper()
	c, err := checkpoint.OpenFS(files, ".")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// TestSpellings: other names for the same tensors give the same model.
func TestSpellings(t *testing.T) {
	want := opened(t, with(nil)).Hash()
	rename := func(from, to string) fstest.MapFS {
		return tensors(func(m *checkpointtest.Model) {
			for i := range m.Tensors {
				m.Tensors[i].Name = strings.Replace(m.Tensors[i].Name, from, to, 1)
			}
		})
	}
	constant := checkpointtest.Tensor{Name: "backbone.layers.0.mixer.b_c_rms", Shape: []int{8}, Values: make([]float32, 8)}
	for name, files := range map[string]fstest.MapFS{
		"mamba_ssm's embedding": rename("embeddings", "embedding"),
		"the bare model":        rename("backbone.", ""),
		"constant ones":         tensors(func(m *checkpointtest.Model) { m.Tensors = append(m.Tensors, constant) }),
		"squeezed convolution": tensors(func(m *checkpointtest.Model) {
			for l := range 3 {
				w := m.Find(l, "mixer.conv1d.weight")
				w.Shape = []int{w.Shape[0], w.Shape[2]}
			}
		}),
		"shards": small.Sharded(checkpointtest.Published, 4),
	} {
		if opened(t, files).Hash() != want {
			t.Errorf("%s: another model", name)
		}
	}
}

func TestConvolutionWithoutBias(t *testing.T) {
	m := checkpointtest.Random(1, small.Config)
	var rest []checkpointtest.Tensor
	for _, w := range m.Tensors {
		if !strings.HasSuffix(w.Name, "conv1d.bias") {
			rest = append(rest, w)
		}
	}
	m.Tensors = rest
	files := config(map[string]any{"use_conv_bias": false})
	files["model.safetensors"].Data = m.Safetensors(checkpointtest.Published)
	for i, l := range opened(t, files).Layers {
		b, err := l.ConvB.Float32s()
		if err != nil || len(b) != 40 || !reflect.DeepEqual(b, make([]float32, 40)) {
			t.Errorf("layer %d: %v %v", i, b, err)
		}
	}
}

// TestTies: transformers' rules for a head that the configuration ties.
func TestTies(t *testing.T) {
	cfg := small.Config
	cfg.Tied = true
	tied := checkpointtest.Random(1, cfg)
	add := func(name string, values []float32) fstest.MapFS {
		m := checkpointtest.Random(1, cfg)
		m.Tensors = append(m.Tensors, checkpointtest.Tensor{Name: name, Shape: []int{61, 24}, Values: values})
		return m.HF(checkpointtest.Published)
	}
	embedding := tied.Find(0, "backbone.embeddings.weight").Values
	if c := opened(t, add("lm_head.weight", embedding)); !c.Tied || &c.Head.Data[0] != &c.Embed.Data[0] {
		t.Error("an equal head must be tied")
	}
	if c := opened(t, add("lm_head.weight", make([]float32, 61*24))); c.Tied || c.Head.Name != "lm_head.weight" {
		t.Error("a head of its own must count")
	}
	untied := checkpointtest.Random(1, small.Config)
	copy(untied.Find(0, "lm_head.weight").Values, untied.Find(0, "backbone.embeddings.weight").Values)
	if c := opened(t, untied.HF(checkpointtest.Published)); c.Tied {
		t.Error("an untied head that is equal stays untied")
	}
	only := checkpointtest.Random(1, cfg)
	only.Find(0, "backbone.embeddings.weight").Name = "lm_head.weight"
	if c := opened(t, only.HF(checkpointtest.Published)); !c.Tied || c.Embed.Name != "lm_head.weight" {
		t.Error("a tied model may be stored by its head")
	}
	// And in GGUF, where a missing head says it.
	if c := opened(t, fstest.MapFS{"m.gguf": {Data: tied.GGUF(checkpointtest.All(weights.F16), 3)}}); !c.Tied {
		t.Error("a GGUF without output.weight is tied")
	}
}

// TestOriginal: a folder as mamba_ssm writes it, its vocabulary padded.
func TestOriginal(t *testing.T) {
	cfg := checkpointtest.Small(checkpoint.Mamba)
	cfg.Vocab, cfg.Tied = 64, true
	m := checkpointtest.Random(3, cfg)
	m.Find(0, "backbone.embeddings.weight").Name = "backbone.embedding.weight"
	c := opened(t, fstest.MapFS{
		"config.json": {Data: []byte(`{"d_model":24,"n_layer":3,"vocab_size":61,"ssm_cfg":{},"rms_norm":true,
			"residual_in_fp32":true,"fused_add_norm":true,"pad_vocab_size_multiple":8}`)},
		"model.safetensors": {Data: m.Safetensors(checkpointtest.All(weights.F32))},
	})
	cfg.BOS, cfg.EOS, cfg.Pad = 0, []int{0}, 0
	if !reflect.DeepEqual(c.Config, cfg) {
		t.Errorf("got %+v, want %+v", c.Config, cfg)
	}
}

// TestGGUFMetadata: everything a GGUF file may say.
func TestGGUFMetadata(t *testing.T) {
	tokens := make([]string, 61)
	for i := range tokens {
		tokens[i] = string(rune('A' + i))
	}
	types := make([]int32, 61)
	c := opened(t, meta(func(w *gguf.Writer) {
		w.SetString("general.name", "Falcon Mamba")
		w.SetString("tokenizer.ggml.model", "gpt2")
		w.SetString("tokenizer.ggml.pre", "falcon")
		w.SetStrings("tokenizer.ggml.tokens", tokens)
		w.SetInt32s("tokenizer.ggml.token_type", types)
		w.SetStrings("tokenizer.ggml.merges", []string{"A B"})
		w.SetUint32("tokenizer.ggml.bos_token_id", 5)
		w.SetUint32("tokenizer.ggml.eos_token_id", 6)
		w.SetUint32("tokenizer.ggml.eot_token_id", 7)
		w.SetUint32("tokenizer.ggml.eom_token_id", 6)
		w.SetUint32("tokenizer.ggml.padding_token_id", 1<<32-1)
		w.SetBool("tokenizer.ggml.add_bos_token", true)
		w.SetString("tokenizer.chat_template", "{{ x }}")
		w.SetUint32("mamba.context_length", 8192)
	}))
	want := small.Config
	want.BOS, want.EOS, want.Pad, want.MaxTrained = 5, []int{6, 7}, -1, 8192
	if !reflect.DeepEqual(c.Config, want) {
		t.Errorf("config:\n got %+v\nwant %+v", c.Config, want)
	}
	files := checkpoint.Files{
		Name: "Falcon Mamba", ChatTemplate: "{{ x }}", SpecialTokens: map[string]string{"bos_token": "F", "eos_token": "G"},
		Vocab: &tokenizer.Vocab{Model: "gpt2", Pre: "falcon", Tokens: tokens, Types: types, Merges: []string{"A B"}, BOS: 5, EOS: 6, Pad: -1, AddBOS: true},
	}
	if !reflect.DeepEqual(c.Files, files) {
		t.Errorf("files:\n got %+v\nwant %+v", c.Files, files)
	}
}

// TestGGUFKinds: without dt_b_c_rms it is a Mamba; without Kestrel's own key
// the epsilon is transformers' default.
func TestGGUFKinds(t *testing.T) {
	build := func(falcon bool) fstest.MapFS {
		w := gguf.NewWriter(3)
		w.SetString("general.architecture", "mamba")
		w.SetFloat32("mamba.attention.layer_norm_rms_epsilon", 1e-5)
		if falcon {
			w.SetBool("mamba.ssm.dt_b_c_rms", true)
		}
		data := small.GGUF(checkpointtest.All(weights.BF16), 3)
		f, err := gguf.OpenBytes("", data)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range f.Names() {
			tensor, err := f.Tensor(name)
			if err != nil {
				t.Fatal(err)
			}
			w.AddTensor(tensor)
		}
		return fstest.MapFS{"m.gguf": {Data: must(w.Bytes())}}
	}
	if c := opened(t, build(true)); c.Kind != checkpoint.FalconMamba || !c.MixerNorm || c.MixerEps != 1e-6 {
		t.Errorf("%+v", c.Config)
	}
	c := opened(t, build(false))
	if c.Kind != checkpoint.Mamba || c.MixerNorm || c.MixerEps != 0 || c.BOS != -1 || c.Pad != -1 || len(c.EOS) != 0 {
		t.Errorf("%+v", c.Config)
	}
	if c.Files.Vocab != nil || c.Files.Name != "m" {
		t.Errorf("%+v", c.Files)
	}
}

// TestFolders: which file of a folder is the model.
func TestFolders(t *testing.T) {
	ggufFile := small.GGUF(checkpointtest.All(weights.F16), 3)
	both := with(map[string][]byte{"x.gguf": ggufFile, "pytorch_model.bin": []byte("PK")})
	if c := opened(t, both); !strings.HasSuffix(c.Embed.File, "model.safetensors") {
		t.Errorf("opened %s", c.Embed.File)
	}
	// As publishers of GGUF files leave it beside them.
	if c := opened(t, with(map[string][]byte{"x.gguf": ggufFile, "model.safetensors": nil})); c.Embed.File != "x.gguf" {
		t.Errorf("opened %s", c.Embed.File)
	}
	dir := write(t, with(nil))
	for name, path := range map[string]string{"": dir, "config.json": dir, "model.safetensors": dir} {
		c, err := checkpoint.Open(filepath.Join(dir, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		c.Close()
		if c.Path() != path || c.Files.Name != filepath.Base(dir) {
			t.Errorf("%q: path %s, name %s", name, c.Path(), c.Files.Name)
		}
	}
	for _, name := range []string{"config.json", "model.safetensors.index.json"} {
		c, err := checkpoint.OpenFS(small.Sharded(checkpointtest.Published, 2), name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		c.Close()
	}
	single := with(map[string][]byte{"tokenizer.json": []byte("{}")})
	c, err := checkpoint.OpenFS(single, "model.safetensors")
	if err != nil || string(c.Files.TokenizerJSON) != "{}" {
		t.Errorf("tokenizer beside a file: %v", err)
	}
}

// TestHash: models that differ have different hashes.
func TestHash(t *testing.T) {
	hashes := map[[32]byte]string{}
	add := func(name string, files fstest.MapFS) {
		c := opened(t, files)
		again := opened(t, files)
		if c.Hash() != again.Hash() {
			t.Errorf("%s: not stable", name)
		}
		if other, ok := hashes[c.Hash()]; ok {
			t.Errorf("%s has the hash of %s", name, other)
		}
		hashes[c.Hash()] = name
	}
	add("the model", with(nil))
	add("another type", small.HF(checkpointtest.All(weights.F16)))
	add("another epsilon", config(map[string]any{"mixer_rms_eps": 1e-5}))
	add("another kind", config(map[string]any{"model_type": "mamba"}))
	add("another seed", checkpointtest.Random(2, small.Config).HF(checkpointtest.Published))
	for _, w := range small.Tensors {
		add(w.Name, tensors(func(m *checkpointtest.Model) { m.Find(0, w.Name).Values[len(w.Values)-1] += 1 }))
	}
}

// TestTensors: each tensor once, and the head only where it is one.
func TestTensors(t *testing.T) {
	for _, tied := range []bool{false, true} {
		cfg := small.Config
		cfg.Tied = tied
		m := checkpointtest.Random(1, cfg)
		var got, want []string
		for _, w := range m.Open(t, checkpointtest.Published).Tensors() {
			got = append(got, w.Name)
		}
		for _, w := range m.Tensors {
			want = append(want, w.Name)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %q\nwant %q", got, want)
		}
	}
}

// TestPadOutside: an id that is never fed may have no row.
func TestPadOutside(t *testing.T) {
	if c := opened(t, config(map[string]any{"pad_token_id": 61})); c.Pad != -1 {
		t.Errorf("pad %d", c.Pad)
	}
}

// TestQuantizedTensor: a model in a quantization Kestrel does not know.
func TestQuantizedTensor(t *testing.T) {
	data := checkpointtest.Random(1, checkpointtest.Blocks(checkpoint.Mamba)).GGUF(checkpointtest.All(weights.Q8_0), 3)
	// The type follows the name, the count of dimensions and the two dimensions.
	name := []byte("blk.1.ssm_in.weight")
	data[bytes.Index(data, name)+len(name)+4+16] = 99
	_, err := checkpoint.OpenFS(fstest.MapFS{"m.gguf": {Data: data}}, "m.gguf")
	for _, s := range []string{"m.gguf", `"blk.1.ssm_in.weight"`, "type 99", "F16, BF16, Q8_0, Q6_K, Q5_K or Q4_K"} {
		if err == nil || !strings.Contains(err.Error(), s) {
			t.Errorf("%v does not say %q", err, s)
		}
	}
}

// TestQuantizedVector: what GGUF never quantizes is refused where a file does.
func TestQuantizedVector(t *testing.T) {
	m := checkpointtest.Random(1, checkpointtest.Config(checkpoint.FalconMamba, 64, 2, 96, 32, 32, 32, 64))
	for role, name := range map[string]string{
		"backbone.layers.1.norm.weight": "blk.1.attn_norm.weight", "backbone.layers.1.mixer.conv1d.weight": "blk.1.ssm_conv1d.weight",
		"backbone.layers.1.mixer.conv1d.bias": "blk.1.ssm_conv1d.bias", "backbone.layers.1.mixer.dt_proj.bias": "blk.1.ssm_dt.bias",
		"backbone.layers.1.mixer.A_log": "blk.1.ssm_a", "backbone.layers.1.mixer.D": "blk.1.ssm_d", "backbone.norm_f.weight": "output_norm.weight",
	} {
		data := m.GGUF(func(n string) weights.DType {
			if n == role {
				return weights.Q8_0
			}
			return weights.F32
		}, 3)
		_, err := checkpoint.OpenFS(fstest.MapFS{"m.gguf": {Data: data}}, "m.gguf")
		for _, s := range []string{"m.gguf", `"` + name + `"`, "Q8_0", "F32, F16 or BF16"} {
			if !errors.Is(err, weights.ErrUnsupported) || !strings.Contains(err.Error(), s) {
				t.Errorf("%v does not say %q", err, s)
			}
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestConfigJSON: what checkpointtest writes is read back whole, extra keys or not.
func TestConfigJSON(t *testing.T) {
	var fields map[string]any
	if err := json.Unmarshal(small.ConfigJSON(), &fields); err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(fields, func(key string, _ any) bool { return strings.HasSuffix(key, "_size") || key == "num_hidden_layers" })
	bare := with(map[string][]byte{"config.json": must(json.Marshal(fields))})
	if c := opened(t, bare); !reflect.DeepEqual(c.Config, small.Config) {
		t.Errorf("sizes from the tensors alone:\n got %+v\nwant %+v", c.Config, small.Config)
	}
}
