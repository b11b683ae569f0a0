package tokenizer

import (
	"reflect"
	"testing"
)

// TestVocab: a tokenizer written for GGUF and read again is the same one, and
// says what a converter makes of its tokenizer.json.
func TestVocab(t *testing.T) {
	for name, pre := range map[string]string{"falcon-7b": "falcon", "demo": "falcon", "gpt-neox-20b": "mpt"} {
		tok := load(t, name)
		v := tok.Vocab()
		want := vocabOf(t, name, pre)
		if !reflect.DeepEqual(v, want) {
			if v.Pre != want.Pre || !reflect.DeepEqual(v.Tokens, want.Tokens) || !reflect.DeepEqual(v.Types, want.Types) {
				t.Errorf("%s: pre %q, tokens or types differ", name, v.Pre)
			}
			if !reflect.DeepEqual(v.Merges, want.Merges) {
				t.Errorf("%s: %d merges, want %d", name, len(v.Merges), len(want.Merges))
			}
			continue
		}
		back, err := FromVocab(v)
		if err != nil {
			t.Fatal(err)
		}
		if !tok.normalize && back.Hash() != tok.Hash() {
			t.Errorf("%s: read again it is another tokenizer", name)
		}
	}
	// With a token before every text; with a pre-tokenizer that llama.cpp has no name for.
	v := vocabOf(t, "demo", "falcon")
	v.BOS, v.AddBOS = 11, true
	tok, err := FromVocab(v)
	if err != nil {
		t.Fatal(err)
	}
	if got := tok.Vocab(); got.BOS != 11 || !got.AddBOS {
		t.Errorf("begin of text %d, added %v", got.BOS, got.AddBOS)
	}
	tok.steps = tok.steps[1:]
	if got := tok.Vocab(); got.Pre != "" {
		t.Errorf("a part of Falcon's pre-tokenizer is called %q", got.Pre)
	}
}
