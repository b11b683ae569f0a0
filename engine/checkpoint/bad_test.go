package checkpoint_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"kestrel/engine/checkpoint"
	"kestrel/engine/checkpoint/checkpointtest"
	"kestrel/engine/weights"
	"kestrel/engine/weights/gguf"
)

var small = checkpointtest.Random(1, checkpointtest.Small(checkpoint.FalconMamba))

// with returns the model's folder with some files replaced; nil removes one.
func with(files map[string][]byte) fstest.MapFS {
	all := small.HF(checkpointtest.Published)
	for name, data := range files {
		if data == nil {
			delete(all, name)
		} else {
			all[name] = &fstest.MapFile{Data: data}
		}
	}
	return all
}

// config returns the model's folder with keys of config.json replaced.
func config(set map[string]any) fstest.MapFS {
	var fields map[string]any
	if err := json.Unmarshal(small.ConfigJSON(), &fields); err != nil {
		panic(err)
	}
	maps.Copy(fields, set)
	data, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	return with(map[string][]byte{"config.json": data})
}

func raw(s string) fstest.MapFS { return with(map[string][]byte{"config.json": []byte(s)}) }

// tensors returns the model's folder with its tensors changed.
func tensors(change func(m *checkpointtest.Model)) fstest.MapFS {
	m := checkpointtest.Random(1, small.Config)
	change(m)
	return m.HF(checkpointtest.Published)
}

// shape returns the model's folder with one tensor of another shape.
func shape(name string, dims ...int) fstest.MapFS {
	return tensors(func(m *checkpointtest.Model) {
		t := m.Find(0, name)
		n := 1
		for _, d := range dims {
			n *= d
		}
		t.Shape, t.Values = dims, make([]float32, n)
	})
}

func without(name string) fstest.MapFS {
	return tensors(func(m *checkpointtest.Model) { m.Find(1, name).Name = "gone" })
}

// meta returns a GGUF file of the model with keys replaced.
func meta(set func(w *gguf.Writer)) fstest.MapFS {
	w := small.Writer(checkpointtest.All(weights.F16), 3)
	set(w)
	data, err := w.Bytes()
	if err != nil {
		panic(err)
	}
	return fstest.MapFS{"m.gguf": {Data: data}}
}

func file(name, data string) fstest.MapFS { return fstest.MapFS{name: {Data: []byte(data)}} }

// TestRefused: what cannot be run is refused with its kind, the file, and the
// reason.
func TestRefused(t *testing.T) {
	const runs = "Kestrel runs Mamba-family models (falcon_mamba, mamba)"
	bad, no, missing := weights.ErrBadModel, weights.ErrUnsupported, weights.ErrMissingTensor
	llama := gguf.NewWriter(3)
	llama.SetString("general.architecture", "llama")
	llama.AddTensor(weights.Tensor{Name: "token_embd.weight", DType: weights.F32, Shape: []int{1}, Data: make([]byte, 4)})
	llamaFile, err := llama.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		files fstest.MapFS
		kind  error
		says  []string
	}{
		// Other models.
		{"llama", config(map[string]any{"model_type": "llama"}), no, []string{"config.json", `this is "llama"`, runs}},
		{"llama without weights", file("config.json", `{"model_type":"llama"}`), no, []string{`this is "llama"`, runs}},
		{"llama in pickles", fstest.MapFS{"config.json": {Data: []byte(`{"model_type":"llama"}`)}, "pytorch_model.bin": {Data: []byte("PK")}}, no, []string{`this is "llama"`}},
		{"mamba2", raw(`{"model_type":"mamba2","time_step_limit":[0.0,Infinity]}`), no, []string{`this is "mamba2"`, runs}},
		{"by class", raw(`{"architectures":["GPTNeoXForCausalLM"]}`), no, []string{`this is "GPTNeoXForCausalLM"`, runs}},
		{"original mamba2", raw(`{"d_model":64,"n_layer":2,"ssm_cfg":{"layer":"Mamba2"}}`), no, []string{`this is "Mamba2"`, runs}},
		{"original hybrid", raw(`{"d_model":64,"n_layer":2,"attn_layer_idx":[1]}`), no, []string{"attention layers", runs}},
		{"original MLP", raw(`{"d_model":64,"n_layer":2,"d_intermediate":128}`), no, []string{"MLP", runs}},
		{"original LayerNorm", raw(`{"d_model":64,"n_layer":2,"rms_norm":false}`), no, []string{"rms_norm is false"}},
		{"llama GGUF", fstest.MapFS{"m.gguf": {Data: llamaFile}}, no, []string{"m.gguf", `this is "llama"`, runs}},
		{"mamba2 GGUF", meta(func(w *gguf.Writer) { w.SetString("general.architecture", "mamba2") }), no, []string{`this is "mamba2"`, runs}},
		{"no kind", raw(`{"hidden_size":24}`), bad, []string{"no model_type"}},

		// Variants that Kestrel does not compute.
		{"bias", config(map[string]any{"use_bias": true}), no, []string{"use_bias is true", "projections with a bias"}},
		{"activation", config(map[string]any{"hidden_act": "gelu"}), no, []string{`hidden_act is "gelu"`, "silu"}},
		{"quantized", config(map[string]any{"quantization_config": map[string]any{"quant_method": "gptq"}}), no, []string{`quantized by "gptq"`, "--quant"}},
		{"bias in the file", tensors(func(m *checkpointtest.Model) {
			b := *m.Find(0, "mixer.D")
			b.Name = "backbone.layers.0.mixer.out_proj.bias"
			m.Tensors = append(m.Tensors, b)
		}), no, []string{"backbone.layers.0.mixer.out_proj.bias"}},
		{"unknown tensor", tensors(func(m *checkpointtest.Model) {
			b := *m.Find(0, "mixer.D")
			b.Name = "backbone.norm_f.bias"
			m.Tensors = append(m.Tensors, b)
		}), no, []string{"backbone.norm_f.bias"}},
		{"convolution bias that should not be", config(map[string]any{"use_conv_bias": false}), bad, []string{"conv1d.bias", "use_conv_bias false"}},
		{"part of a split", meta(func(w *gguf.Writer) { w.SetUint32("split.count", 3) }), no, []string{"llama-gguf-split --merge"}},

		// Configurations that are wrong.
		{"no JSON", raw("<html>"), bad, []string{"config.json", "not valid JSON"}},
		{"null", raw("null"), bad, []string{"config.json", "expected an object"}},
		{"an array", raw("[]"), bad, []string{"config.json", "not valid JSON"}},
		{"text for a number", config(map[string]any{"hidden_size": "24"}), bad, []string{"config.json", `hidden_size: expected an integer, found "24"`}},
		{"fraction", config(map[string]any{"state_size": 8.5}), bad, []string{"state_size", "8.5"}},
		{"negative", config(map[string]any{"conv_kernel": -4}), bad, []string{"conv_kernel", "positive"}},
		{"number for truth", config(map[string]any{"tie_word_embeddings": 1}), bad, []string{"tie_word_embeddings", "true or false"}},
		{"number for text", config(map[string]any{"hidden_act": 1}), bad, []string{"hidden_act", "a string"}},
		{"epsilon", config(map[string]any{"layer_norm_epsilon": -1}), bad, []string{"layer_norm_epsilon", "-1"}},
		{"mixer epsilon", config(map[string]any{"mixer_rms_eps": "small"}), bad, []string{"mixer_rms_eps"}},
		{"rank", config(map[string]any{"time_step_rank": "many"}), bad, []string{"time_step_rank", "many"}},
		{"eos text", config(map[string]any{"eos_token_id": "x"}), bad, []string{"eos_token_id"}},
		{"eos list of text", config(map[string]any{"eos_token_id": []any{1, "x"}}), bad, []string{"eos_token_id"}},
		{"eos beyond the vocabulary", config(map[string]any{"eos_token_id": []int{1, 61}}), bad, []string{"eos_token_id is 61", "vocabulary of 61"}},
		{"bos beyond the vocabulary", config(map[string]any{"bos_token_id": 100}), bad, []string{"bos_token_id is 100"}},
		{"generation_config", with(map[string][]byte{"generation_config.json": []byte(`{"top_k":"x"}`)}), bad, []string{"generation_config.json", "top_k"}},
		{"tokenizer_config", with(map[string][]byte{"tokenizer_config.json": []byte(`{`)}), bad, []string{"tokenizer_config.json"}},
		{"templates without default", with(map[string][]byte{"tokenizer_config.json": []byte(`{"chat_template":[{"name":"rag","template":"x"}]}`)}), bad, []string{"tokenizer_config.json", "default"}},
		{"template a number", with(map[string][]byte{"tokenizer_config.json": []byte(`{"chat_template":5}`)}), bad, []string{"chat_template"}},
		{"special token a number", with(map[string][]byte{"special_tokens_map.json": []byte(`{"eos_token":5}`)}), bad, []string{"special_tokens_map.json", "eos_token"}},

		// Configuration and tensors that disagree.
		{"layers too few", config(map[string]any{"num_hidden_layers": 4}), missing, []string{`"backbone.layers.3.norm.weight"`}},
		{"a billion layers", config(map[string]any{"num_hidden_layers": 1000000000}), missing, []string{`"backbone.layers.3.norm.weight"`}},
		{"layers too many", config(map[string]any{"num_hidden_layers": 2}), bad, []string{"number of layers of 2, the tensors have 3"}},
		{"hidden size", config(map[string]any{"hidden_size": 25}), bad, []string{"hidden size of 25, the tensors have 24"}},
		{"inner size", config(map[string]any{"intermediate_size": 48}), bad, []string{"intermediate size of 48, the tensors have 40"}},
		{"state size", config(map[string]any{"state_size": 16}), bad, []string{"state size of 16, the tensors have 8"}},
		{"convolution", config(map[string]any{"conv_kernel": 3}), bad, []string{"convolution kernel of 3, the tensors have 4"}},
		{"rank disagrees", config(map[string]any{"time_step_rank": 4}), bad, []string{"time step rank of 4, the tensors have 3"}},
		{"vocabulary", config(map[string]any{"vocab_size": 62}), bad, []string{"vocabulary of 62, the embedding has 61"}},
		{"GGUF layers", meta(func(w *gguf.Writer) { w.SetUint32("mamba.block_count", 4) }), missing, []string{"m.gguf", `"blk.3.attn_norm.weight"`}},
		{"GGUF state", meta(func(w *gguf.Writer) { w.SetUint32("mamba.ssm.state_size", 16) }), bad, []string{"m.gguf", "state size of 16"}},
		{"GGUF size 0", meta(func(w *gguf.Writer) { w.SetUint32("mamba.ssm.state_size", 0) }), bad, []string{"mamba.ssm.state_size is 0"}},
		{"GGUF size a text", meta(func(w *gguf.Writer) { w.SetString("mamba.ssm.state_size", "8") }), bad, []string{"mamba.ssm.state_size", "an integer"}},
		{"GGUF epsilon", meta(func(w *gguf.Writer) { w.SetFloat32("mamba.attention.layer_norm_rms_epsilon", 2) }), bad, []string{"layer_norm_rms_epsilon"}},
		{"GGUF vocabulary", meta(func(w *gguf.Writer) { w.SetStrings("tokenizer.ggml.tokens", make([]string, 62)) }), bad, []string{"vocabulary of 62, the embedding has 61"}},
		{"GGUF token types", meta(func(w *gguf.Writer) {
			w.SetStrings("tokenizer.ggml.tokens", make([]string, 61))
			w.SetInt32s("tokenizer.ggml.token_type", make([]int32, 60))
		}), bad, []string{"61 tokens but 60 token types"}},
		{"GGUF eos", meta(func(w *gguf.Writer) { w.SetUint32("tokenizer.ggml.eos_token_id", 61) }), bad, []string{"eos_token_id is 61"}},
		{"GGUF bos", meta(func(w *gguf.Writer) { w.SetUint32("tokenizer.ggml.bos_token_id", 3000000000) }), bad, []string{"bos_token_id is 3000000000"}},

		// Tensors.
		{"embedding a vector", shape("backbone.embeddings.weight", 61*24), bad, []string{`"backbone.embeddings.weight"`, "expected shape [vocabulary, hidden], found [1464]"}},
		{"embedding empty", shape("backbone.embeddings.weight", 0, 24), bad, []string{"found [0, 24]"}},
		{"norm", shape("norm.weight", 25), bad, []string{`"backbone.layers.0.norm.weight"`, "expected shape [24], found [25]"}},
		{"projection", shape("mixer.in_proj.weight", 40, 24), bad, []string{"in_proj", "expected shape [80, 24], found [40, 24]"}},
		{"projection transposed", shape("mixer.out_proj.weight", 40, 24), bad, []string{"out_proj", "expected shape [24, 40], found [40, 24]"}},
		{"convolution of two channels", shape("mixer.conv1d.weight", 20, 2, 4), bad, []string{"conv1d.weight", "found [20, 2, 4]"}},
		{"convolution bias", shape("mixer.conv1d.bias", 41), bad, []string{"conv1d.bias", "expected shape [40], found [41]"}},
		{"x_proj", shape("mixer.x_proj.weight", 20, 40), bad, []string{"x_proj", "expected shape [19, 40], found [20, 40]"}},
		{"A of another width", shape("mixer.A_log", 40, 16), bad, []string{"state size of 8, the tensors have 16"}},
		{"A a vector", shape("mixer.A_log", 320), bad, []string{"A_log", "expected shape [inner, state], found [320]"}},
		{"dt bias", shape("mixer.dt_proj.bias", 40, 1), bad, []string{"dt_proj.bias", "expected shape [40], found [40, 1]"}},
		{"D", shape("mixer.D", 1), bad, []string{"mixer.D", "expected shape [40], found [1]"}},
		{"final norm", shape("backbone.norm_f.weight", 23), bad, []string{"norm_f", "expected shape [24], found [23]"}},
		{"head", shape("lm_head.weight", 60, 24), bad, []string{"lm_head", "expected shape [61, 24], found [60, 24]"}},
		{"no embedding", without("backbone.embeddings.weight"), missing, []string{`"backbone.embeddings.weight"`}},
		{"no head", without("lm_head.weight"), missing, []string{`"lm_head.weight"`}},
		{"no final norm", without("backbone.norm_f.weight"), missing, []string{`"backbone.norm_f.weight"`}},
		{"no convolution bias", without("mixer.conv1d.bias"), missing, []string{`"backbone.layers.1.mixer.conv1d.bias"`}},
		{"no A", without("mixer.A_log"), missing, []string{`"backbone.layers.1.mixer.A_log"`}},
		{"an integer type", with(map[string][]byte{"model.safetensors": withType("mixer.D", weights.I32)}), no, []string{`"backbone.layers.0.mixer.D"`, "stored as I32", "F32, F16 or BF16"}},

		// Folders.
		{"empty folder", fstest.MapFS{}, bad, []string{"no model in this folder"}},
		{"no config", with(map[string][]byte{"config.json": nil}), bad, []string{"config.json: missing beside the weights"}},
		{"no weights", with(map[string][]byte{"model.safetensors": nil}), missing, []string{"config.json, but no weights"}},
		{"empty weights", with(map[string][]byte{"model.safetensors": {}}), bad, []string{"model.safetensors", "empty"}},
		{"pickle", with(map[string][]byte{"model.safetensors": nil, "pytorch_model.bin": []byte("PK")}), no, []string{"pytorch_model.bin", "safe_serialization"}},
		{"pickle shards", with(map[string][]byte{"model.safetensors": nil, "pytorch_model.bin.index.json": []byte("{}")}), no, []string{"pytorch_model.bin.index.json", "safe_serialization"}},
		{"two GGUF files", fstest.MapFS{"a.gguf": {}, "b.GGUF": {}}, bad, []string{"more than one model: a.gguf, b.GGUF"}},
		{"GGUF cut short", file("m.gguf", "GGUF\x03\x00\x00\x00"), bad, []string{"m.gguf", "cut short"}},
		{"GGUF of a vocabulary", file("m.gguf", vocabulary(t)), missing, []string{"m.gguf", "a vocabulary without tensors"}},
		{"GGUF without architecture", file("m.gguf", "GGUF\x03\x00\x00\x00"+strings.Repeat("\x00", 16)), bad, []string{"no general.architecture"}},
		{"huge config", with(map[string][]byte{"config.json": make([]byte, 17<<20)}), bad, []string{"config.json", "more than"}},
	} {
		for _, where := range []string{"in memory", "on disk"} {
			var m *checkpoint.Checkpoint
			var err error
			if where == "in memory" {
				m, err = checkpoint.OpenFS(c.files, ".")
			} else {
				m, err = checkpoint.Open(write(t, c.files))
			}
			if err == nil {
				m.Close()
			}
			if !errors.Is(err, c.kind) {
				t.Errorf("%s, %s: got %v, want %v", c.name, where, err, c.kind)
				continue
			}
			for _, s := range c.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("%s, %s: %q does not say %q", c.name, where, err, s)
				}
			}
		}
	}
}

// withType is the model's file with one tensor of layer 0 in another type.
func withType(role string, d weights.DType) []byte {
	data := small.Safetensors(checkpointtest.All(weights.F32))
	name := `"backbone.layers.0.` + role + `":{"data_offsets":[`
	i := strings.Index(string(data), name)
	j := i + strings.Index(string(data[i:]), `"F32"`)
	return []byte(string(data[:j]) + `"` + d.String() + `"` + string(data[j+5:]))
}

func vocabulary(t *testing.T) string {
	w := gguf.NewWriter(3)
	w.SetString("general.architecture", "mamba")
	w.SetFloat32("mamba.attention.layer_norm_rms_epsilon", 1e-5)
	data, err := w.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestPaths: the path itself is wrong.
func TestPaths(t *testing.T) {
	dir := write(t, fstest.MapFS{"pytorch_model.bin": {Data: []byte("PK")}, "text.txt": {Data: []byte("hello, this is text")}})
	for name, c := range map[string]struct {
		kind error
		says string
	}{
		"none":              {fs.ErrNotExist, "none"},
		"pytorch_model.bin": {weights.ErrUnsupported, "safe_serialization"},
		"text.txt":          {weights.ErrBadModel, "text.txt: neither"},
	} {
		for _, open := range []func() (*checkpoint.Checkpoint, error){
			func() (*checkpoint.Checkpoint, error) { return checkpoint.Open(filepath.Join(dir, name)) },
			func() (*checkpoint.Checkpoint, error) { return checkpoint.OpenFS(os.DirFS(dir), name) },
		} {
			if _, err := open(); !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
