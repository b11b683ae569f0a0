package checkpointtest

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing/fstest"

	"kestrel/engine/checkpoint"
	"kestrel/engine/weights"
	"kestrel/engine/weights/bnb/bnbtest"
	"kestrel/engine/weights/gguf"
	"kestrel/engine/weights/safetensors"
)

// ConfigJSON returns the model's config.json as transformers writes it.
func (m *Model) ConfigJSON() []byte {
	c := m.Config
	class := map[checkpoint.Kind]string{checkpoint.Mamba: "MambaForCausalLM", checkpoint.FalconMamba: "FalconMambaForCausalLM"}[c.Kind]
	fields := map[string]any{
		"architectures": []string{class}, "model_type": string(c.Kind),
		"hidden_size": c.Hidden, "num_hidden_layers": c.Layers, "intermediate_size": c.Inner, "state_size": c.State,
		"conv_kernel": c.Conv, "time_step_rank": c.DtRank, "vocab_size": c.Vocab, "expand": 16,
		"layer_norm_epsilon": c.NormEps, "tie_word_embeddings": c.Tied, "hidden_act": "silu",
		"use_bias": false, "use_conv_bias": true, "residual_in_fp32": true,
		"bos_token_id": c.BOS, "eos_token_id": c.EOS, "pad_token_id": c.Pad,
	}
	if c.MixerNorm {
		fields["mixer_rms_eps"] = c.MixerEps
	}
	if c.MaxTrained > 0 {
		fields["max_position_embeddings"] = c.MaxTrained
	}
	return must(json.MarshalIndent(fields, "", "  "))
}

// HF returns the model as a folder: config.json and model.safetensors.
func (m *Model) HF(types Types) fstest.MapFS {
	return fstest.MapFS{
		"config.json":       {Data: m.ConfigJSON()},
		"model.safetensors": {Data: m.Safetensors(types)},
	}
}

// Safetensors returns the model's tensors as one safetensors file.
func (m *Model) Safetensors(types Types) []byte { return marshal(m.Tensors, types) }

// Bitsandbytes returns the model as transformers saves one that bitsandbytes
// quantized to 4 bits: projections in 4 bits, all else as types says.
func (m *Model) Bitsandbytes(types Types, o bnbtest.Options) fstest.MapFS {
	var config map[string]any
	if err := json.Unmarshal(m.ConfigJSON(), &config); err != nil {
		panic(err)
	}
	config["quantization_config"] = map[string]any{
		"_load_in_4bit": true, "_load_in_8bit": false, "bnb_4bit_compute_dtype": "bfloat16", "bnb_4bit_quant_storage": "uint8",
		"bnb_4bit_quant_type": o.Kind, "bnb_4bit_use_double_quant": o.Nested, "llm_int8_enable_fp32_cpu_offload": false,
		"llm_int8_has_fp16_weight": false, "llm_int8_skip_modules": nil, "llm_int8_threshold": 6.0, "load_in_4bit": true,
		"load_in_8bit": false, "quant_method": "bitsandbytes",
	}
	var list []weights.Tensor
	for _, t := range m.Tensors {
		if strings.HasSuffix(t.Name, "proj.weight") {
			list = append(list, bnbtest.Quantize(t.Name, t.Shape[0], t.Shape[1], t.Values, o)...)
		} else {
			list = append(list, t.Encoded(types(t.Name)))
		}
	}
	return fstest.MapFS{
		"config.json":       {Data: must(json.Marshal(config))},
		"model.safetensors": {Data: must(safetensors.Marshal(list, map[string]string{"format": "pt"}))},
	}
}

// Sharded returns the model as a folder of n shards with their index.
func (m *Model) Sharded(types Types, n int) fstest.MapFS {
	files := fstest.MapFS{"config.json": {Data: m.ConfigJSON()}}
	where := map[string]string{}
	for i := range n {
		part := m.Tensors[i*len(m.Tensors)/n : (i+1)*len(m.Tensors)/n]
		name := fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, n)
		files[name] = &fstest.MapFile{Data: marshal(part, types)}
		for _, t := range part {
			where[t.Name] = name
		}
	}
	index := must(json.Marshal(map[string]any{"metadata": map[string]any{"total_size": 0}, "weight_map": where}))
	files["model.safetensors.index.json"] = &fstest.MapFile{Data: index}
	return files
}

func marshal(tensors []Tensor, types Types) []byte {
	var list []weights.Tensor
	for _, t := range tensors {
		list = append(list, t.Encoded(types(t.Name)))
	}
	return must(safetensors.Marshal(list, map[string]string{"format": "pt"}))
}

var ggufNames = map[string]string{
	"backbone.embeddings.weight": "token_embd.weight", "backbone.norm_f.weight": "output_norm.weight", "lm_head.weight": "output.weight",
	"norm.weight": "attn_norm.weight", "mixer.in_proj.weight": "ssm_in.weight",
	"mixer.conv1d.weight": "ssm_conv1d.weight", "mixer.conv1d.bias": "ssm_conv1d.bias", "mixer.x_proj.weight": "ssm_x.weight",
	"mixer.dt_proj.weight": "ssm_dt.weight", "mixer.dt_proj.bias": "ssm_dt.bias",
	"mixer.A_log": "ssm_a", "mixer.D": "ssm_d", "mixer.out_proj.weight": "ssm_out.weight",
}

// GGUF returns the model as a GGUF file of the version, 2 or 3, with the names,
// shapes and -exp(A_log) that llama.cpp expects. It has no tokenizer.
func (m *Model) GGUF(types Types, version int) []byte {
	return must(m.Writer(types, version).Bytes())
}

// Writer is GGUF before writing, so that a test can add to it or change it.
func (m *Model) Writer(types Types, version int) *gguf.Writer {
	c, w := m.Config, gguf.NewWriter(version)
	w.SetString("general.architecture", "mamba")
	w.SetString("general.name", "random")
	for _, size := range []struct {
		key string
		v   int
	}{
		{"context_length", 1 << 20}, {"embedding_length", c.Hidden}, {"block_count", c.Layers}, {"feed_forward_length", 0},
		{"attention.head_count", 0}, {"ssm.conv_kernel", c.Conv}, {"ssm.inner_size", c.Inner}, {"ssm.state_size", c.State},
		{"ssm.time_step_rank", c.DtRank},
	} {
		w.SetUint32("mamba."+size.key, uint32(size.v))
	}
	w.SetFloat32("mamba.attention.layer_norm_rms_epsilon", c.NormEps)
	w.SetBool("mamba.ssm.dt_b_c_rms", c.MixerNorm)
	if c.MixerNorm {
		w.SetFloat32(checkpoint.MixerEpsKey, c.MixerEps)
	}
	w.SetUint32("tokenizer.ggml.bos_token_id", uint32(c.BOS))
	w.SetUint32("tokenizer.ggml.eos_token_id", uint32(c.EOS[0]))
	w.SetUint32("tokenizer.ggml.padding_token_id", uint32(c.Pad))
	for _, t := range m.Tensors {
		w.AddTensor(t.gguf(types(t.Name)))
	}
	return w
}

// gguf is the tensor as GGUF has it.
func (t Tensor) gguf(d weights.DType) weights.Tensor {
	name, prefix := t.Name, ""
	if rest, ok := strings.CutPrefix(name, "backbone.layers."); ok {
		num, role, _ := strings.Cut(rest, ".")
		name, prefix = role, "blk."+num+"."
	}
	if len(t.Shape) == 3 {
		t.Shape = []int{t.Shape[0], t.Shape[2]}
	}
	if strings.HasSuffix(t.Name, ".A_log") {
		values := make([]float32, len(t.Values))
		for i, v := range t.Values {
			values[i] = float32(-math.Exp(float64(v)))
		}
		t.Values = values
	}
	w := t.Encoded(d)
	w.Name = prefix + ggufNames[name]
	return w
}

// Find returns the tensor of that name, or one whose name ends with it in
// layer l; it panics when there is none.
func (m *Model) Find(l int, role string) *Tensor {
	for i, t := range m.Tensors {
		if t.Name == role || t.Name == "backbone.layers."+strconv.Itoa(l)+"."+role {
			return &m.Tensors[i]
		}
	}
	panic("no tensor " + role)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
