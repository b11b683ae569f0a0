package tokenizer

// Vocab is a tokenizer as a GGUF file's metadata describes it. It is what a
// reader of such a file hands to FromVocab; nothing in it has been checked.
type Vocab struct {
	// Model is tokenizer.ggml.model. Byte-level BPE is "gpt2".
	Model string
	// Pre is tokenizer.ggml.pre, the name of the pre-tokenizer; "" where the
	// file does not say.
	Pre string
	// Tokens is tokenizer.ggml.tokens: the text of each id, in the byte-level
	// alphabet for ordinary tokens and as it reads for the others.
	Tokens []string
	// Types is tokenizer.ggml.token_type, one of the Type constants an id; nil
	// where the file has none.
	Types []int32
	// Merges is tokenizer.ggml.merges: "left right", best first.
	Merges []string
	// BOS, EOS and Pad are ids; -1 where the file names none.
	BOS, EOS, Pad int
	// AddBOS is tokenizer.ggml.add_bos_token.
	AddBOS bool
}

// Token types of Vocab.Types, numbered as in GGUF files.
const (
	TypeNormal      int32 = 1
	TypeUnknown     int32 = 2
	TypeControl     int32 = 3
	TypeUserDefined int32 = 4
	TypeUnused      int32 = 5
	TypeByte        int32 = 6
)
