package tokenizer

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
)

// vocabOf makes of a tokenizer.json under testdata what a GGUF converter makes of
// it: one list of tokens, each with its type.
func vocabOf(t *testing.T, name, pre string) Vocab {
	t.Helper()
	var j struct {
		AddedTokens []addedJSON `json:"added_tokens"`
		Model       struct {
			Vocab  map[string]int
			Merges []any
		}
	}
	if err := json.Unmarshal(read(t, name), &j); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, id := range j.Model.Vocab {
		n = max(n, id+1)
	}
	for _, a := range j.AddedTokens {
		n = max(n, int(a.ID)+1)
	}
	v := Vocab{Model: "gpt2", Pre: pre, Tokens: make([]string, n), Types: slices.Repeat([]int32{TypeNormal}, n), BOS: -1, EOS: -1, Pad: -1}
	for text, id := range j.Model.Vocab {
		v.Tokens[id] = text
	}
	for _, a := range j.AddedTokens {
		v.Tokens[a.ID], v.Types[a.ID] = a.Content, TypeUserDefined
		if a.Special {
			v.Types[a.ID] = TypeControl
		}
	}
	for _, m := range j.Model.Merges {
		if pair, ok := m.([]any); ok {
			m = pair[0].(string) + " " + pair[1].(string)
		}
		v.Merges = append(v.Merges, m.(string))
	}
	return v
}

// TestFromVocab: the same vocabulary by way of GGUF gives the same ids. GGUF does
// not know of normalizers, so GPT-NeoX is held to text in normal form.
func TestFromVocab(t *testing.T) {
	all := pool(t)
	for _, c := range []struct{ name, pre string }{
		{"falcon-7b", "falcon"}, {"demo", "falcon"}, {"gpt-neox-20b", "olmo"}, {"gpt-neox-20b", "mpt"},
	} {
		tok, err := FromVocab(vocabOf(t, c.name, c.pre))
		if err != nil {
			t.Fatal(err)
		}
		want := load(t, c.name)
		if tok.VocabSize() != want.VocabSize() || len(tok.Warnings()) > 0 || len(tok.Prefix()) > 0 {
			t.Errorf("%s: %d tokens, warnings %q, prefix %v", c.name, tok.VocabSize(), tok.Warnings(), tok.Prefix())
		}
		if (tok.Hash() == want.Hash()) == want.normalize {
			t.Errorf("%s: equal hashes: %v", c.name, !want.normalize)
		}
		lines := 0
		for i := range 3000 {
			text := line(i, all)
			if want.normalize && nfc(validText(text)) != validText(text) {
				continue
			}
			lines++
			for _, special := range []bool{false, true} {
				got, ids := tok.Encode(text, special), want.Encode(text, special)
				if !slices.Equal(got, ids) {
					t.Fatalf("%s, pre %s: %q: %v, want %v", c.name, c.pre, clip(text), got, ids)
				}
				if tok.Decode(got) != want.Decode(ids) {
					t.Fatalf("%s: %q decodes otherwise", c.name, clip(text))
				}
			}
		}
		if lines < 2000 {
			t.Errorf("%s: only %d lines compared", c.name, lines)
		}
	}
}

func TestFromVocabPrefixAndWarning(t *testing.T) {
	v := vocabOf(t, "demo", "falcon")
	v.BOS, v.AddBOS = 11, true
	tok, err := FromVocab(v)
	if err != nil {
		t.Fatal(err)
	}
	if got := tok.Prefix(); !slices.Equal(got, []int{11}) {
		t.Errorf("prefix %v", got)
	}
	v.Pre = ""
	if tok, err = FromVocab(v); err != nil {
		t.Fatal(err)
	}
	if w := tok.Warnings(); len(w) != 1 || !strings.Contains(w[0], "pre-tokenizer") {
		t.Errorf("warnings %q", w)
	}
}

func TestFromVocabRefused(t *testing.T) {
	sound := vocabOf(t, "demo", "falcon")
	for _, c := range []struct {
		name string
		edit func(v *Vocab)
		kind error
		says string
	}{
		{"llama", func(v *Vocab) { v.Model = "llama" }, ErrUnsupported, `model "llama"`},
		{"no model", func(v *Vocab) { v.Model = "" }, ErrUnsupported, `model ""`},
		{"pre", func(v *Vocab) { v.Pre = "tekken" }, ErrUnsupported, `pre "tekken"`},
		{"no tokens", func(v *Vocab) { v.Tokens, v.Types = nil, nil }, ErrBadTokenizer, "tokens is empty"},
		{"few types", func(v *Vocab) { v.Types = v.Types[:9] }, ErrBadTokenizer, "9 entries for 4096"},
		{"no merges", func(v *Vocab) { v.Merges = nil }, ErrBadTokenizer, "no merges"},
		{"empty merge", func(v *Vocab) { v.Merges = []string{""} }, ErrBadTokenizer, "merge 0"},
		{"merge of one part", func(v *Vocab) { v.Merges = []string{"ab"} }, ErrBadTokenizer, "merge 0"},
		{"merge of no token", func(v *Vocab) { v.Merges = []string{"a b", "☃ x"} }, ErrBadTokenizer, `"☃"`},
		{"bos out of range", func(v *Vocab) { v.AddBOS, v.BOS = true, 4096 }, ErrBadTokenizer, "4096 of 4096"},
		{"no bos", func(v *Vocab) { v.AddBOS = true }, ErrBadTokenizer, "-1 of 4096"},
		{"not bytes", func(v *Vocab) { v.Tokens, v.Types, v.Merges = []string{"a", "b", "ab"}, nil, []string{"a b"} }, ErrUnsupported, "2 of the 256 bytes"},
	} {
		v := sound
		c.edit(&v)
		_, err := FromVocab(v)
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestPreTokenizers checks where each of llama.cpp's pre-tokenizers cuts.
func TestPreTokenizers(t *testing.T) {
	const text = "I'LL pay $1234.50\n\n now`s  x`)"
	for pre, want := range map[string]string{
		"gpt-2":     "I|'|LL| pay| $|1234|.|50|\n\n| now|`|s| | x|`)",
		"falcon":    "I|'|LL| pay| |$|123|4|.|50|\n\n| now|`|s| | x|`)",
		"default":   "I|'|LL| pay| |$|123|4|.|50|\n\n| now|`|s| | x|`|)",
		"starcoder": "I|'|LL| pay| $|1|2|3|4|.|5|0|\n\n| now|`|s| | x|`)",
		"llama-bpe": "I|'LL| pay| $|123|4|.|50|\n\n| now|`s| | x|`)",
		"qwen2":     "I|'LL| pay| $|1|2|3|4|.|5|0|\n\n| now|`s| | x|`)",
	} {
		var got []string
		walk(preTokenizers[pre].steps, text, func(w string) { got = append(got, w) })
		if s := strings.Join(got, "|"); s != want {
			t.Errorf("%s: %q, want %q", pre, s, want)
		}
	}
}
