package tokenizer

import "strings"

// preTokenizer is what llama.cpp makes of a name in tokenizer.ggml.pre.
type preTokenizer struct {
	steps        []step
	ignoreMerges bool
}

var (
	splitGPT2    = step{find: gpt2{}, behavior: isolated}
	splitDigits3 = step{find: digits3{}, behavior: isolated}
	eachDigit    = step{find: classRun{mask: classN, most: 1}, behavior: isolated}

	preGPT2   = preTokenizer{steps: []step{splitGPT2}}
	preDigits = preTokenizer{steps: []step{eachDigit, splitGPT2}}
	// Falcon's own four steps. llama.cpp leaves Digits out, which changes nothing,
	// as no merge of Falcon's joins a digit with something else.
	preFalcon = preTokenizer{steps: []step{
		classStep(classPunct, contiguous, false), splitGPT2, classStep(classDigit, contiguous, true), splitDigits3,
	}}
	preDefault = preTokenizer{steps: []step{
		{find: defaultPunct{}, behavior: isolated}, splitGPT2,
		{find: classRun{mask: classN}, behavior: isolated}, splitDigits3,
	}}
	preLlama3 = preTokenizer{steps: []step{{find: tiktoken{digits: 3}, behavior: isolated}}, ignoreMerges: true}
	preDBRX   = preTokenizer{steps: preLlama3.steps}
	preQwen2  = preTokenizer{steps: []step{{find: tiktoken{digits: 1}, behavior: isolated}}}
)

// preTokenizers are llama.cpp's names (llama-vocab.cpp) whose patterns are here.
// Mamba models have "mpt" or "olmo" (GPT-NeoX's vocabulary), Falcon-Mamba "falcon".
var preTokenizers = map[string]preTokenizer{
	"default": preDefault,
	"falcon":  preFalcon,

	"gpt-2": preGPT2, "mpt": preGPT2, "olmo": preGPT2, "gpt-neox": preGPT2, "phi-2": preGPT2,
	"jais": preGPT2, "jina-es": preGPT2, "jina-de": preGPT2, "jina-v2-es": preGPT2, "jina-v2-de": preGPT2,
	"gigachat": preGPT2, "a.x-4.0": preGPT2, "mellum": preGPT2, "modern-bert": preGPT2, "exaone4": preGPT2,
	"trillion": preGPT2, "granite-docling": preGPT2,

	"starcoder": preDigits, "refact": preDigits, "command-r": preDigits, "smollm": preDigits,
	"codeshell": preDigits, "exaone": preDigits, "minerva-7b": preDigits,

	"llama3": preLlama3, "llama-v3": preLlama3, "llama-bpe": preLlama3, "falcon3": preLlama3,
	"falcon-h1": preLlama3, "pixtral": preLlama3, "midm-2.0": preLlama3, "lfm2": preLlama3,
	"dbrx": preDBRX, "smaug-bpe": preDBRX, "glm4": preDBRX, "chatglm-bpe": preDBRX,

	"qwen2": preQwen2, "deepseek-r1-qwen": preQwen2, "kormo": preQwen2, "megrez": preQwen2,
	"stablelm2": preQwen2, "hunyuan": preQwen2, "solar-open": preQwen2,
}

// defaultPunct matches [\p{P}\$\+<=>\^~\|]+, as llama.cpp's default has it.
type defaultPunct struct{}

func (defaultPunct) String() string { return "defaultPunct" }

func (defaultPunct) next(s string, from int) (int, int) {
	start := -1
	for i := from; i < len(s); {
		class, size := classAt(s, i)
		in := class&classP != 0 || strings.IndexByte("$+<=>^~|", s[i]) >= 0
		if in && start < 0 {
			start = i
		}
		if !in && start >= 0 {
			return start, i
		}
		i += size
	}
	return start, len(s)
}

// FromVocab makes the tokenizer that a GGUF file describes. Such a file names no
// normalizer, so there is none, as in llama.cpp: where the original tokenizer
// has one (GPT-NeoX: NFC), text that is not in that form gives other ids.
// Control tokens are special, user-defined ones are added tokens. Errors are
// ErrBadTokenizer or ErrUnsupported.
func FromVocab(v Vocab) (*Tokenizer, error) {
	if v.Model != "gpt2" {
		return nil, unsupported("tokenizer.ggml.model %q", clip(v.Model))
	}
	pre, err := v.preTokenizer()
	if err != nil {
		return nil, err
	}
	switch {
	case len(v.Tokens) == 0:
		return nil, bad("tokenizer.ggml.tokens is empty; convert the model to GGUF again")
	case len(v.Types) != 0 && len(v.Types) != len(v.Tokens):
		return nil, bad("tokenizer.ggml.token_type has %d entries for %d tokens; convert the model to GGUF again", len(v.Types), len(v.Tokens))
	case len(v.Merges) == 0:
		return nil, noMerges()
	case v.AddBOS && (v.BOS < 0 || v.BOS >= len(v.Tokens)):
		return nil, bad("tokenizer.ggml.add_bos_token is set, but the id of that token is %d of %d", v.BOS, len(v.Tokens))
	}
	b := newBuilder(len(v.Tokens))
	if v.Pre == "" {
		b.t.warnings = append(b.t.warnings, `the GGUF file does not name its pre-tokenizer (it was made before May 2024): "default" is used as in llama.cpp, which may cut words otherwise than the model learned them; convert the model again for the best text`)
	}
	for id, text := range v.Tokens {
		b.put(text, int32(id))
	}
	b.expect(len(v.Merges))
	for rank, line := range v.Merges {
		space := -1
		if len(line) > 0 {
			space = strings.IndexByte(line[1:], ' ') + 1
		}
		if space <= 0 {
			return nil, bad("tokenizer.ggml.merges: merge %d is not two tokens: %q", rank, clip(line))
		}
		if err := b.merge(line[:space], line[space+1:]); err != nil {
			return nil, err
		}
	}
	if err := b.seal(pre.ignoreMerges); err != nil {
		return nil, err
	}
	for id, kind := range v.Types {
		text := v.Tokens[id]
		switch kind {
		case TypeControl, TypeUnknown:
			b.add(addedToken{id: int32(id), content: text, special: true})
		case TypeUserDefined:
			b.add(addedToken{id: int32(id), content: text})
		}
	}
	if v.AddBOS {
		b.t.prefix = []int{v.BOS}
	}
	b.t.steps = pre.steps
	return b.finish(), nil
}

func (v Vocab) preTokenizer() (preTokenizer, error) {
	name := v.Pre
	if name == "" {
		name = "default"
	}
	pre, ok := preTokenizers[name]
	if !ok {
		return pre, unsupported("tokenizer.ggml.pre %q", clip(name))
	}
	return pre, nil
}
