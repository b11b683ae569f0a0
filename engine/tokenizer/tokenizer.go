package tokenizer

import "slices"

// Tokenizer turns text into ids and back. Make one with FromJSON or FromVocab;
// it is safe for concurrent use.
type Tokenizer struct {
	tokens    []token          // by id
	ids       map[string]int32 // by text
	bpe       bpe
	merges    []merge // as applied, best first
	steps     []step
	normalize bool      // NFC
	verbatim  *addedSet // looked for in the text as it is
	added     *addedSet // looked for in the normalized text
	prefix    []int
	warnings  []string
	hash      [32]byte
}

// token is one entry of the vocabulary.
type token struct {
	text    string // as the vocabulary spells it
	raw     string // the bytes that it stands for
	present bool   // ids may have gaps
	special bool
}

// merge says that left and right become id.
type merge struct{ left, right, id int32 }

// Encode returns the ids of text, without what Prefix names. Bytes that are not
// UTF-8 count as U+FFFD (see the package comment).
//
// With special set, special tokens in the text become their ids, as a chat
// template needs it; without, they are text like any other, as is right for what
// a user wrote. Added tokens that are not special (GPT-NeoX's runs of spaces)
// count in both cases.
func (t *Tokenizer) Encode(text string, special bool) []int {
	text = validText(text)
	out := make([]int, 0, len(text)/4+4)
	word := func(w string) { out = t.bpe.word(out, w) }
	found := func(id int32) { out = append(out, int(id)) }
	between := func(piece string) { walk(t.steps, piece, word) }
	t.verbatim.cut(text, special, func(piece string) {
		if t.normalize {
			piece = nfc(piece)
		}
		t.added.cut(piece, special, between, found)
	}, found)
	return slices.Clip(out)
}

// Decode returns the bytes that ids stand for, the text of special tokens
// included. Ids outside the vocabulary stand for nothing. The result need not be
// valid UTF-8, as ids may begin or end within a character; DecodeText's is.
func (t *Tokenizer) Decode(ids []int) string {
	return string(t.appendRaw(nil, ids, false))
}

// DecodeText is Decode with U+FFFD for each maximal ill-formed subsequence, and
// without special tokens if skipSpecial is set: what `decode` of the reference
// returns, and what a Decoder returns in pieces.
func (t *Tokenizer) DecodeText(ids []int, skipSpecial bool) string {
	return validText(string(t.appendRaw(nil, ids, skipSpecial)))
}

func (t *Tokenizer) appendRaw(out []byte, ids []int, skipSpecial bool) []byte {
	for _, id := range ids {
		if id < 0 || id >= len(t.tokens) || skipSpecial && t.tokens[id].special {
			continue
		}
		out = append(out, t.tokens[id].raw...)
	}
	return out
}

// VocabSize returns one more than the largest id. A model may have more rows.
func (t *Tokenizer) VocabSize() int { return len(t.tokens) }

// ID returns the id of a token, spelled as in the vocabulary: "Ġthe" for " the",
// "<|im_end|>" for an added token.
func (t *Tokenizer) ID(token string) (id int, ok bool) {
	i, ok := t.ids[token]
	return int(i), ok
}

// Token returns the text of an id as the vocabulary spells it (ID's inverse) and
// whether it is special; ok is false if the vocabulary has no such id.
func (t *Tokenizer) Token(id int) (text string, special, ok bool) {
	if id < 0 || id >= len(t.tokens) || !t.tokens[id].present {
		return "", false, false
	}
	return t.tokens[id].text, t.tokens[id].special, true
}

// Prefix returns the ids that the tokenizer puts before every text when it is
// asked for special tokens (add_special_tokens=True in the reference, which is
// its default): a begin-of-text token, or nothing. Encode does not add them,
// since chat templates spell them out.
func (t *Tokenizer) Prefix() []int { return slices.Clone(t.prefix) }

// MissingBytes returns the bytes that occur in UTF-8 and that no token spells.
// Encode drops them, as the reference does.
func (t *Tokenizer) MissingBytes() []byte {
	var missing []byte
	for b, id := range t.bpe.bytes {
		if id < 0 && b != 0xC0 && b != 0xC1 && b < 0xF5 {
			missing = append(missing, byte(b))
		}
	}
	return missing
}

// Warnings returns what a user should know about the files the tokenizer was made
// of, one sentence each; usually none.
func (t *Tokenizer) Warnings() []string { return slices.Clone(t.warnings) }

// Hash identifies the tokenizer: two of the same hash give the same ids for the
// same text and the same text for the same ids.
func (t *Tokenizer) Hash() [32]byte { return t.hash }
