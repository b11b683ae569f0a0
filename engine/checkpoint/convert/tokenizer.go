package convert

import (
	"fmt"

	"kestrel/engine/checkpoint"
	"kestrel/engine/tokenizer"
	"kestrel/engine/weights"
)

// setTokenizer writes the vocabulary as llama.cpp wants it, and beside it the
// tokenizer.json where the model has one, which says more.
func (c *converter) setTokenizer(ck *checkpoint.Checkpoint) error {
	w := c.w
	if ck.Files.TokenizerJSON != nil {
		w.SetString("tokenizer.huggingface.json", string(ck.Files.TokenizerJSON))
	}
	v, err := c.vocab(ck)
	if v == nil {
		return err
	}
	w.SetString("tokenizer.ggml.model", v.Model)
	if v.Pre != "" {
		w.SetString("tokenizer.ggml.pre", v.Pre)
	}
	w.SetStrings("tokenizer.ggml.tokens", v.Tokens)
	if v.Types != nil {
		w.SetInt32s("tokenizer.ggml.token_type", v.Types)
	}
	w.SetStrings("tokenizer.ggml.merges", v.Merges)
	w.SetBool("tokenizer.ggml.add_bos_token", v.AddBOS)
	set := func(kind string, id int) {
		if id >= 0 {
			w.SetUint32("tokenizer.ggml."+kind+"_token_id", uint32(id))
		}
	}
	bos := ck.BOS
	if v.AddBOS {
		bos = v.BOS
	}
	set("bos", bos)
	set("padding", ck.Pad)
	for i, kind := range []string{"eos", "eot", "eom"} { // the format has room for three ends of a text
		if i < len(ck.EOS) {
			set(kind, ck.EOS[i])
		}
	}
	if len(ck.EOS) > 3 {
		c.o.Warn(fmt.Sprintf("the model names %d tokens that end a text, of which GGUF holds 3: %v are left out", len(ck.EOS), ck.EOS[3:]))
	}
	if ck.Files.ChatTemplate != "" {
		w.SetString("tokenizer.chat_template", ck.Files.ChatTemplate)
	}
	return nil
}

// vocab is the vocabulary, a token for each row of the embedding; nil where the
// model has no tokenizer.
func (c *converter) vocab(ck *checkpoint.Checkpoint) (*tokenizer.Vocab, error) {
	if ck.Files.Vocab != nil {
		return ck.Files.Vocab, nil
	}
	if ck.Files.TokenizerJSON == nil {
		c.o.Warn("the model has no tokenizer.json; the file will have no tokenizer either")
		return nil, nil
	}
	t, err := tokenizer.FromJSON(ck.Files.TokenizerJSON)
	if err != nil {
		return nil, fmt.Errorf("%w: tokenizer of %s: %w", weights.ErrUnsupported, ck.Path(), err)
	}
	v := t.Vocab()
	if v.Pre == "" {
		c.o.Warn("llama.cpp has no name for this model's way of cutting words: it will read text a little otherwise; Kestrel uses the tokenizer.json in the file")
	}
	if n := len(v.Tokens); n > ck.Vocab {
		c.o.Warn(fmt.Sprintf("the tokenizer has %d tokens, the model %d: the last are left out", n, ck.Vocab))
		v.Tokens, v.Types = v.Tokens[:ck.Vocab], v.Types[:ck.Vocab]
	}
	for i := range v.Types { // gaps and padding
		if v.Types[i] == tokenizer.TypeUnused {
			v.Tokens[i] = fmt.Sprintf("[PAD%d]", i)
		}
	}
	for i := len(v.Tokens); i < ck.Vocab; i++ {
		v.Tokens, v.Types = append(v.Tokens, fmt.Sprintf("[PAD%d]", i)), append(v.Types, tokenizer.TypeUnused)
	}
	return &v, nil
}
