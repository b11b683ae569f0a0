package checkpoint

import (
	"encoding/json"
	"errors"
	"io/fs"

	"kestrel/engine/weights"
)

// readFiles takes what lies beside a model's safetensors: tokenizer, chat
// template, generation settings. Each may be absent.
func (c *Checkpoint) readFiles(folder weights.Folder) error {
	f := &c.Files
	f.Name = modelName(c.path)
	var err error
	if f.TokenizerJSON, err = readOptional(folder, "tokenizer.json", maxTokenizer); err != nil {
		return err
	}
	if err := c.readGeneration(folder); err != nil {
		return err
	}
	if err := f.readTokenizerConfig(folder); err != nil {
		return err
	}
	// Its own file goes before the one in tokenizer_config.json.
	jinja, err := readOptional(folder, "chat_template.jinja", maxConfig)
	if err != nil {
		return err
	}
	if jinja != nil {
		f.ChatTemplate = string(jinja)
	}
	return nil
}

func readOptional(folder weights.Folder, name string, limit int64) ([]byte, error) {
	data, err := folder.Read(name, limit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// readGeneration takes the ids and the sampling advice of
// generation_config.json, which go before those of config.json.
func (c *Checkpoint) readGeneration(folder weights.Folder) error {
	o, err := readObject(folder, "generation_config.json")
	if o == nil {
		return err
	}
	if o.has("eos_token_id") {
		c.EOS = o.tokenIDs("eos_token_id", nil)
	}
	c.BOS = o.integer("bos_token_id", c.BOS)
	c.Pad = o.integer("pad_token_id", c.Pad)
	g := &c.Files.Generation
	o.get("do_sample", "true or false", &g.DoSample)
	o.get("temperature", "a number", &g.Temperature)
	o.get("top_k", "an integer", &g.TopK)
	o.get("top_p", "a number", &g.TopP)
	o.get("repetition_penalty", "a number", &g.RepetitionPenalty)
	return o.err
}

var specialTokens = []string{"bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token"}

func (f *Files) readTokenizerConfig(folder weights.Folder) error {
	f.SpecialTokens = make(map[string]string)
	for _, name := range []string{"special_tokens_map.json", "tokenizer_config.json"} {
		o, err := readObject(folder, name)
		if err != nil {
			return err
		}
		if o == nil {
			continue
		}
		for _, key := range specialTokens {
			if s, ok := o.token(key); ok {
				f.SpecialTokens[key] = s
			}
		}
		if o.has("chat_template") {
			if f.ChatTemplate, err = chatTemplate(o.fields["chat_template"]); err != nil {
				return badFile(o.file+": chat_template", err)
			}
		}
		if v, ok := o.number("model_max_length"); ok && v > 0 && v < 1<<31 { // transformers writes 1e30 for "not known"
			f.MaxInputTokens = int(v)
		}
		if o.err != nil {
			return o.err
		}
	}
	return nil
}

// token is a special token: its text, or an object that holds it as content.
func (o *object) token(key string) (string, bool) {
	var s string
	if !o.has(key) {
		return "", false
	}
	if json.Unmarshal(o.fields[key], &s) == nil {
		return s, true
	}
	var t struct{ Content *string }
	if o.get(key, "a token", &t); t.Content == nil {
		return "", false
	}
	return *t.Content, true
}

// chatTemplate is a template, or a list of named ones of which "default" counts.
func chatTemplate(v json.RawMessage) (string, error) {
	var s string
	if json.Unmarshal(v, &s) == nil {
		return s, nil
	}
	var list []struct{ Name, Template string }
	if err := json.Unmarshal(v, &list); err != nil {
		return "", errors.New("expected a string or a list of named templates")
	}
	for _, t := range list {
		if t.Name == "default" {
			return t.Template, nil
		}
	}
	return "", errNoDefault
}
