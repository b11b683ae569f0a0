package checkpoint

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"kestrel/engine/weights"
)

// TestConfigDefaults: what config.json leaves out is what transformers 5 and
// mamba_ssm fill in.
func TestConfigDefaults(t *testing.T) {
	for name, c := range map[string]struct {
		json string
		want Config
		size sizes
	}{
		"mamba": {`{"model_type":"mamba"}`,
			Config{Kind: Mamba, NormEps: 1e-5, Tied: true, EOS: []int{0}}, sizes{convBias: true}},
		"falcon_mamba": {`{"model_type":"falcon_mamba"}`,
			Config{Kind: FalconMamba, NormEps: 1e-5, MixerNorm: true, MixerEps: 1e-6, Tied: true, EOS: []int{0}}, sizes{convBias: true}},
		"by class": {`{"architectures":["FalconMambaForCausalLM"]}`,
			Config{Kind: FalconMamba, NormEps: 1e-5, MixerNorm: true, MixerEps: 1e-6, Tied: true, EOS: []int{0}}, sizes{convBias: true}},
		"nulls": {`{"model_type":"mamba","hidden_size":null,"tie_word_embeddings":null,"bos_token_id":null,"eos_token_id":null,"pad_token_id":null}`,
			Config{Kind: Mamba, NormEps: 1e-5, Tied: true, BOS: -1, Pad: -1}, sizes{convBias: true}},
		"falcon-mamba-7b": {`{"architectures":["FalconMambaForCausalLM"],"bos_token_id":0,"conv_kernel":4,"eos_token_id":11,"expand":16,
			"hidden_act":"silu","hidden_size":4096,"initializer_range":0.1,"intermediate_size":8192,"layer_norm_epsilon":1e-05,"model_type":"falcon_mamba",
			"num_hidden_layers":64,"pad_token_id":11,"rescale_prenorm_residual":false,"residual_in_fp32":true,"state_size":16,"tie_word_embeddings":false,
			"time_step_rank":256,"torch_dtype":"bfloat16","use_bias":false,"use_cache":true,"use_conv_bias":true,"use_mambapy":false,"vocab_size":65024}`,
			Config{Kind: FalconMamba, NormEps: 1e-5, MixerNorm: true, MixerEps: 1e-6, EOS: []int{11}, Pad: 11},
			sizes{hidden: 4096, layers: 64, inner: 8192, state: 16, conv: 4, dtRank: 256, vocab: 65024, convBias: true}},
		"Falcon3": {`{"model_type":"falcon_mamba","mixer_rms_eps":1e-5,"expand":2,"eos_token_id":[10,11],"max_position_embeddings":32768}`,
			Config{Kind: FalconMamba, NormEps: 1e-5, MixerNorm: true, MixerEps: 1e-5, Tied: true, EOS: []int{10, 11}, MaxTrained: 32768}, sizes{convBias: true}},
		"auto": {`{"model_type":"mamba","time_step_rank":"auto","use_conv_bias":false,"layer_norm_epsilon":1e-6,"hidden_act":"swish"}`,
			Config{Kind: Mamba, NormEps: 1e-6, Tied: true, EOS: []int{0}}, sizes{}},
		"original": {`{"d_model":768,"n_layer":24,"vocab_size":50277,"ssm_cfg":{},"rms_norm":true,"residual_in_fp32":true,"fused_add_norm":true,"pad_vocab_size_multiple":8}`,
			Config{Kind: Mamba, NormEps: 1e-5, Tied: true, EOS: []int{0}}, sizes{hidden: 768, layers: 24, vocab: 50277, convBias: true}},
		"original, all set": {`{"d_model":8,"n_layer":2,"tie_embeddings":false,"attn_layer_idx":[],"d_intermediate":0,
			"ssm_cfg":{"layer":"Mamba1","d_state":4,"d_conv":3,"dt_rank":5,"conv_bias":false,"expand":2}}`,
			Config{Kind: Mamba, NormEps: 1e-5, EOS: []int{0}}, sizes{hidden: 8, layers: 2, state: 4, conv: 3, dtRank: 5}},
		"Python's literals": {`{"model_type":"mamba","a":NaN,"b":[-Infinity,Infinity],"c":"NaN \" Infinity"}`,
			Config{Kind: Mamba, NormEps: 1e-5, Tied: true, EOS: []int{0}}, sizes{convBias: true}},
	} {
		got, size, err := parseConfig("config.json", []byte(c.json))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(got.EOS) == 0 {
			got.EOS = nil
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, c.want)
		}
		if size != c.size {
			t.Errorf("%s:\n got %+v\nwant %+v", name, size, c.size)
		}
	}
}

func TestPlainJSON(t *testing.T) {
	for in, want := range map[string]string{
		`{"a":NaN}`: `{"a":null}`, `[-Infinity,Infinity]`: `[null,null]`, `{"NaN":"\"NaN","b":NaN}`: `{"NaN":"\"NaN","b":null}`,
		`[-1,-2]`: `[-1,-2]`, `Inf`: `Inf`, `"\`: `"\`, ``: ``, `-`: `-`,
	} {
		if got := string(plainJSON([]byte(in))); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func folder(t *testing.T, files map[string]string) weights.Folder {
	t.Helper()
	m := fstest.MapFS{}
	for name, data := range files {
		m[name] = &fstest.MapFile{Data: []byte(data)}
	}
	f, err := weights.FSFolder(m, ".")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFiles(t *testing.T) {
	c := &Checkpoint{Config: Config{BOS: 0, EOS: []int{0}, Pad: 0}, path: "/m/falcon"}
	if err := c.readFiles(folder(t, map[string]string{
		"tokenizer.json":          `{"model":{}}`,
		"generation_config.json":  `{"bos_token_id":8,"eos_token_id":[11,10],"do_sample":true,"temperature":0.7,"top_k":50,"top_p":0.9}`,
		"special_tokens_map.json": `{"eos_token":"map","unk_token":{"content":"<unk>","lstrip":false},"pad_token":null}`,
		"tokenizer_config.json": `{"eos_token":{"content":"<|im_end|>"},"bos_token":"<|begin_of_text|>","model_max_length":8192,
			"chat_template":[{"name":"tool_use","template":"T"},{"name":"default","template":"D"}]}`,
	})); err != nil {
		t.Fatal(err)
	}
	f := c.Files
	want := map[string]string{"eos_token": "<|im_end|>", "bos_token": "<|begin_of_text|>", "unk_token": "<unk>"}
	if !reflect.DeepEqual(f.SpecialTokens, want) {
		t.Errorf("special tokens %v", f.SpecialTokens)
	}
	if f.Name != "falcon" || f.ChatTemplate != "D" || string(f.TokenizerJSON) != `{"model":{}}` || f.MaxInputTokens != 8192 {
		t.Errorf("%+v", f)
	}
	if c.BOS != 8 || fmt.Sprint(c.EOS) != "[11 10]" || c.Pad != 0 {
		t.Errorf("ids %d %v %d", c.BOS, c.EOS, c.Pad)
	}
	if g := f.Generation; !*g.DoSample || *g.Temperature != 0.7 || *g.TopK != 50 || *g.TopP != 0.9 || g.RepetitionPenalty != nil {
		t.Errorf("generation %+v", g)
	}

	c = &Checkpoint{Config: Config{BOS: 1, EOS: []int{2}, Pad: 3}, path: "."}
	if err := c.readFiles(folder(t, map[string]string{
		"tokenizer_config.json":  `{"chat_template":"in the configuration","model_max_length":1000000000000000019884624838656}`,
		"chat_template.jinja":    "in its own file",
		"generation_config.json": `{"eos_token_id":7,"bos_token_id":null}`,
	})); err != nil {
		t.Fatal(err)
	}
	if c.Files.ChatTemplate != "in its own file" || c.Files.MaxInputTokens != 0 || c.Files.Name != "" || c.BOS != 1 || fmt.Sprint(c.EOS) != "[7]" {
		t.Errorf("%+v %+v", c.Files, c.Config)
	}
}

func TestModelName(t *testing.T) {
	for path, want := range map[string]string{
		".": "", "/models/falcon-mamba-7b": "falcon-mamba-7b", "/models/falcon-mamba-7b/": "falcon-mamba-7b", "m/x.safetensors": "x", "y-Q8_0.gguf": "y-Q8_0",
		"/c/models--tiiuae--falcon-mamba-7b/snapshots/0a1b2c": "falcon-mamba-7b",
	} {
		if got := modelName(path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

// allocFactor: allocations may be this many times the size of config.json.
const allocFactor = 60

func FuzzConfig(f *testing.F) {
	f.Add([]byte(`{"model_type":"falcon_mamba","hidden_size":64,"eos_token_id":[1,2],"time_step_rank":"auto","mixer_rms_eps":1e-6,"use_bias":false}`))
	f.Add([]byte(`{"d_model":64,"n_layer":2,"ssm_cfg":{"d_state":8,"layer":"Mamba1"},"attn_layer_idx":[],"tie_embeddings":true,"a":-Infinity}`))
	f.Add([]byte(`{"architectures":["MambaForCausalLM"],"quantization_config":{"quant_method":"gptq"},"bos_token_id":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		c, size, err := parseConfig("config.json", data)
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > uint64(allocFactor*len(data)+1<<16) {
			t.Fatalf("%d bytes allocated for a file of %d", got, len(data))
		}
		if err != nil {
			if !errors.Is(err, weights.ErrBadModel) && !errors.Is(err, weights.ErrUnsupported) {
				t.Fatalf("error of no kind: %v", err)
			}
			if !strings.HasPrefix(err.Error(), "config.json: ") {
				t.Fatalf("error without its file: %v", err)
			}
			return
		}
		if c.Kind != Mamba && c.Kind != FalconMamba || c.MixerNorm != (c.Kind == FalconMamba) || !(c.NormEps >= 0) || !(c.MixerEps >= 0) || c.BOS < -1 || c.Pad < -1 || c.MaxTrained < 0 {
			t.Fatalf("accepted %+v", c)
		}
		for _, n := range []int{size.hidden, size.layers, size.inner, size.state, size.conv, size.dtRank, size.vocab} {
			if n < 0 {
				t.Fatalf("accepted %+v", size)
			}
		}
	})
}
