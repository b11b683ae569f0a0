package golden

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"testing"

	"kestrel/engine/checkpoint"
	"kestrel/engine/weights"
	"kestrel/engine/weights/gguf"
)

// GGUF writes an open model as GGUF, tensor for tensor what
// build/reference/make_gguf.py makes of it for llama.cpp where that knows the
// type: matrices in d, or in weights.Fallback of it; all else in F32. The
// tokenizer goes with it when the model has a tokenizer.json.
func GGUF(t testing.TB, c *checkpoint.Checkpoint, d weights.DType) []byte {
	t.Helper()
	w := gguf.NewWriter(3)
	w.SetString("general.architecture", "mamba")
	w.SetString("general.name", string(c.Kind))
	for _, size := range []struct {
		key string
		v   int
	}{
		{"context_length", 1 << 20}, {"embedding_length", c.Hidden}, {"feed_forward_length", 0}, {"attention.head_count", 0},
		{"block_count", c.Config.Layers}, {"ssm.conv_kernel", c.Conv}, {"ssm.inner_size", c.Inner}, {"ssm.state_size", c.State},
		{"ssm.time_step_rank", c.DtRank},
	} {
		w.SetUint32("mamba."+size.key, uint32(size.v))
	}
	w.SetFloat32("mamba.attention.layer_norm_rms_epsilon", c.NormEps)
	w.SetBool("mamba.ssm.dt_b_c_rms", c.MixerNorm)
	if c.MixerNorm {
		w.SetFloat32(checkpoint.MixerEpsKey, c.MixerEps)
	}
	setTokenizer(t, w, c)

	vector := func(name string, x weights.Tensor) { w.AddTensor(encode(t, name, x, weights.F32)) }
	matrix := func(name string, x weights.Tensor) {
		w.AddTensor(encode(t, name, x, weights.Fallback(d, x.RowLen())))
	}
	matrix("token_embd.weight", c.Embed)
	for i, l := range c.Layers {
		p := fmt.Sprintf("blk.%d.", i)
		vector(p+"attn_norm.weight", l.Norm)
		matrix(p+"ssm_in.weight", l.InProj)
		vector(p+"ssm_conv1d.weight", l.ConvW)
		vector(p+"ssm_conv1d.bias", l.ConvB)
		matrix(p+"ssm_x.weight", l.XProj)
		matrix(p+"ssm_dt.weight", l.DtProj)
		vector(p+"ssm_dt.bias", l.DtBias)
		a, err := l.NegA()
		if err != nil {
			t.Fatal(err)
		}
		w.AddTensor(encodeValues(t, p+"ssm_a", []int{c.Inner, c.State}, a, weights.F32))
		vector(p+"ssm_d", l.D)
		matrix(p+"ssm_out.weight", l.OutProj)
	}
	vector("output_norm.weight", c.NormF)
	if !c.Tied {
		matrix("output.weight", c.Head)
	}
	data, err := w.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TensorsHash is tensors_sha256 of build/reference/make_llamacpp.py.
func TensorsHash(t testing.TB, file []byte) string {
	t.Helper()
	f, err := gguf.OpenBytes("model.gguf", file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	names, h := f.Names(), sha256.New()
	sort.Strings(names)
	for _, name := range names {
		x, err := f.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		shape := strings.Trim(strings.ReplaceAll(fmt.Sprint(x.Shape), " ", "x"), "[]")
		fmt.Fprintf(h, "%s %v %s\n", name, x.DType, shape)
		h.Write(x.Data)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func encode(t testing.TB, name string, x weights.Tensor, d weights.DType) weights.Tensor {
	t.Helper()
	values, err := x.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	shape := x.Shape
	if len(shape) == 3 { // conv1d.weight [inner, 1, conv]
		shape = []int{shape[0], shape[2]}
	}
	return encodeValues(t, name, shape, values, d)
}

func encodeValues(t testing.TB, name string, shape []int, values []float32, d weights.DType) weights.Tensor {
	t.Helper()
	x := weights.Tensor{Name: name, DType: d, Shape: shape, Data: make([]byte, d.Bytes(len(values)))}
	if err := weights.Encode(x.Data, d, values); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return x
}

// setTokenizer writes a byte-level BPE tokenizer.json as GGUF metadata.
func setTokenizer(t testing.TB, w *gguf.Writer, c *checkpoint.Checkpoint) {
	t.Helper()
	if c.Files.TokenizerJSON == nil {
		return
	}
	var j struct {
		AddedTokens []struct {
			ID      int
			Content string
			Special bool
		} `json:"added_tokens"`
		Model struct {
			Vocab  map[string]int
			Merges []json.RawMessage
		}
	}
	if err := json.Unmarshal(c.Files.TokenizerJSON, &j); err != nil {
		t.Fatal(err)
	}
	const normal, control, userDefined, unused = 1, 3, 4, 5 // llama.cpp's token types
	tokens, types := make([]string, c.Vocab), make([]int32, c.Vocab)
	for i := range tokens {
		tokens[i], types[i] = fmt.Sprintf("[PAD%d]", i), unused
	}
	for text, id := range j.Model.Vocab {
		tokens[id], types[id] = text, normal
	}
	for _, a := range j.AddedTokens {
		tokens[a.ID], types[a.ID] = a.Content, userDefined
		if a.Special {
			types[a.ID] = control
		}
	}
	var merges []string
	for _, m := range j.Model.Merges { // a text "a b", or in newer files a pair
		var pair []string
		var text string
		if json.Unmarshal(m, &pair) == nil {
			text = strings.Join(pair, " ")
		} else if err := json.Unmarshal(m, &text); err != nil {
			t.Fatal(err)
		}
		merges = append(merges, text)
	}
	pre := map[checkpoint.Kind]string{checkpoint.FalconMamba: "falcon", checkpoint.Mamba: "mpt"}[c.Kind]
	w.SetString("tokenizer.ggml.model", "gpt2")
	w.SetString("tokenizer.ggml.pre", pre)
	w.SetStrings("tokenizer.ggml.tokens", tokens)
	w.SetInt32s("tokenizer.ggml.token_type", types)
	w.SetStrings("tokenizer.ggml.merges", merges)
	w.SetBool("tokenizer.ggml.add_bos_token", false)
	w.SetUint32("tokenizer.ggml.bos_token_id", uint32(c.BOS))
	w.SetUint32("tokenizer.ggml.eos_token_id", uint32(c.EOS[0]))
	w.SetUint32("tokenizer.ggml.padding_token_id", uint32(c.Pad))
	if c.Files.ChatTemplate != "" {
		w.SetString("tokenizer.chat_template", c.Files.ChatTemplate)
	}
}
