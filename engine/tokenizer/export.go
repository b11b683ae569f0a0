package tokenizer

import (
	"cmp"
	"slices"
)

// namesOfPre are the names under which a pre-tokenizer is written to GGUF, the
// first that is the same counts. Falcon3's is Llama 3's by another name.
var namesOfPre = []string{"falcon", "mpt", "falcon3", "dbrx", "qwen2", "smollm", "default"}

// Vocab describes the tokenizer as a GGUF file does, for [FromVocab] and for
// llama.cpp. BOS, EOS and Pad are left at -1, for the model's configuration to
// tell. Pre is "" where llama.cpp has no name for the pre-tokenizer.
//
// What the format cannot say is lost: a normalizer (GPT-NeoX's NFC), added
// tokens that take white space beside them, and a prefix of more than one token.
func (t *Tokenizer) Vocab() Vocab {
	v := Vocab{Model: "gpt2", Tokens: make([]string, len(t.tokens)), Types: make([]int32, len(t.tokens)), BOS: -1, EOS: -1, Pad: -1}
	for i, tok := range t.tokens {
		v.Tokens[i], v.Types[i] = tok.text, TypeNormal
		switch {
		case !tok.present:
			v.Types[i] = TypeUnused
		case tok.special:
			v.Types[i] = TypeControl
		}
	}
	for _, set := range []*addedSet{t.verbatim, t.added} {
		for _, a := range set.tokens {
			if !t.tokens[a.id].special {
				v.Types[a.id] = TypeUserDefined
			}
		}
	}
	pairs := slices.DeleteFunc(slices.Clone(t.bpe.pairs.slots), func(p pairSlot) bool { return p.left < 0 })
	slices.SortFunc(pairs, func(a, b pairSlot) int { return cmp.Compare(a.rank, b.rank) })
	for _, p := range pairs {
		v.Merges = append(v.Merges, t.tokens[p.left].text+" "+t.tokens[p.right].text)
	}
	for _, name := range namesOfPre {
		if pre := preTokenizers[name]; v.Pre == "" && pre.ignoreMerges == (t.bpe.whole != nil) && slices.Equal(stepNames(pre.steps), stepNames(t.steps)) {
			v.Pre = name
		}
	}
	if len(t.prefix) == 1 {
		v.BOS, v.AddBOS = t.prefix[0], true
	}
	return v
}

func stepNames(steps []step) []string {
	var names []string
	for _, s := range steps {
		names = append(names, s.String())
	}
	return names
}
