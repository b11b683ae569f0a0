package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
)

// fileJSON is a tokenizer.json. Truncation and padding are left out: they are a
// caller's wish of the moment that was saved along, and transformers ignores them
// unless it is asked for them again.
type fileJSON struct {
	AddedTokens   []addedJSON     `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage `json:"decoder"`
	Model         *modelJSON      `json:"model"`
}

type addedJSON struct {
	ID         int64  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

// modelJSON is the model of a tokenizer.json.
type modelJSON struct {
	Type         *string         `json:"type"`
	Dropout      *float64        `json:"dropout"`
	UnkToken     *string         `json:"unk_token"`
	Prefix       *string         `json:"continuing_subword_prefix"`
	Suffix       *string         `json:"end_of_word_suffix"`
	ByteFallback bool            `json:"byte_fallback"`
	IgnoreMerges bool            `json:"ignore_merges"`
	Vocab        json.RawMessage `json:"vocab"` // in another model it may be a list
	Merges       json.RawMessage `json:"merges"`
}

// FromJSON reads a Hugging Face tokenizer.json (format version 1.0). Errors are
// ErrBadTokenizer or ErrUnsupported; they do not name the file, which only the
// caller knows.
func FromJSON(data []byte) (*Tokenizer, error) {
	var f fileJSON
	if err := decodeJSON(data, "the file", &f); err != nil {
		return nil, err
	}
	m := f.Model
	if m == nil {
		return nil, bad(`there is no "model": this is not a tokenizer.json; take the one of the model's folder`)
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	b, err := readVocab(m.Vocab)
	if err != nil {
		return nil, err
	}
	if err := b.readMerges(m.Merges); err != nil {
		return nil, err
	}
	if err := b.seal(m.IgnoreMerges); err != nil {
		return nil, err
	}
	if missing := b.t.MissingBytes(); m.UnkToken != nil && len(missing) > 0 {
		return nil, unsupported("model: unk_token %q where the vocabulary lacks %d bytes", clip(*m.UnkToken), len(missing))
	}
	if b.t.normalize, err = readNormalizer(f.Normalizer); err != nil {
		return nil, err
	}
	if b.t.steps, err = readPreTokenizer(f.PreTokenizer); err != nil {
		return nil, err
	}
	if err := readDecoder(f.Decoder); err != nil {
		return nil, err
	}
	if err := b.readAdded(f.AddedTokens); err != nil {
		return nil, err
	}
	if b.t.prefix, err = readPostProcessor(f.PostProcessor, len(b.t.tokens)); err != nil {
		return nil, err
	}
	return b.finish(), nil
}

func decodeJSON(data []byte, what string, into any) error {
	if err := json.Unmarshal(data, into); err != nil {
		return bad("%s is not the JSON of a tokenizer (%v); fetch the file again", what, err)
	}
	return nil
}

func isNull(raw json.RawMessage) bool {
	return len(raw) == 0 || bytes.Equal(raw, []byte("null"))
}

// check refuses models other than plain BPE.
func (m *modelJSON) check() error {
	switch {
	// Files from before 2021 name no type; theirs is BPE if there are merges.
	case m.Type != nil && *m.Type != "BPE":
		return unsupported("model: type %s", clip(*m.Type))
	case m.ByteFallback:
		return unsupported("model: byte_fallback, which SentencePiece tokenizers have")
	case m.Dropout != nil && *m.Dropout != 0:
		return unsupported("model: dropout %v, which makes ids random", *m.Dropout)
	case m.Prefix != nil && *m.Prefix != "":
		return unsupported("model: continuing_subword_prefix %q", clip(*m.Prefix))
	case m.Suffix != nil && *m.Suffix != "":
		return unsupported("model: end_of_word_suffix %q", clip(*m.Suffix))
	}
	return nil
}

func readVocab(raw json.RawMessage) (*builder, error) {
	var vocab map[string]int64
	if !isNull(raw) {
		if err := decodeJSON(raw, "the vocabulary", &vocab); err != nil {
			return nil, err
		}
	}
	if len(vocab) == 0 {
		return nil, bad("the vocabulary is empty; take the tokenizer.json of the model's folder")
	}
	last := int64(-1)
	for text, id := range vocab {
		if id < 0 || id >= int64(len(vocab))+maxGap || id > math.MaxInt32 {
			return nil, bad("token %q has id %d in a vocabulary of %d tokens", clip(text), id, len(vocab))
		}
		last = max(last, id)
	}
	b := newBuilder(int(last) + 1)
	for text, id := range vocab {
		if old := b.t.tokens[id]; old.present {
			return nil, bad("the tokens %q and %q have the same id %d", clip(old.text), clip(text), id)
		}
		b.put(text, int32(id))
	}
	return b, nil
}

// readMerges reads both spellings: "a b", and ["a", "b"] since 2024.
func (b *builder) readMerges(raw json.RawMessage) error {
	if isNull(raw) {
		return noMerges()
	}
	var pairs [][]string
	var err error
	if first := bytes.TrimLeft(raw[1:], " \t\r\n"); raw[0] == '[' && first[0] == '"' {
		var lines []string
		err = json.Unmarshal(raw, &lines)
		pairs = make([][]string, 0, len(lines))
		for _, line := range lines {
			if !strings.HasPrefix(line, "#version") {
				pairs = append(pairs, strings.Split(line, " "))
			}
		}
	} else {
		err = json.Unmarshal(raw, &pairs)
	}
	if err != nil {
		return bad(`model: merges are neither a list of "a b" nor of ["a", "b"] (%v)`, err)
	}
	if len(pairs) == 0 {
		return noMerges()
	}
	b.expect(len(pairs))
	for rank, pair := range pairs {
		if len(pair) != 2 {
			return bad("model: merge %d has %d parts, not 2: %q", rank, len(pair), clip(strings.Join(pair, " ")))
		}
		if err := b.merge(pair[0], pair[1]); err != nil {
			return err
		}
	}
	return nil
}

func noMerges() error {
	return bad("there are no merges, so text cannot be encoded; take the tokenizer.json that belongs to the model, or convert the model to GGUF again")
}

// readAdded gives added tokens their ids as the reference does: that of the
// vocabulary if it has the token, else the next one that is free; the id in the
// file is only what it should come to.
func (b *builder) readAdded(list []addedJSON) error {
	next := int32(b.size)
	for _, a := range list {
		if a.Content == "" {
			continue
		}
		id, ok := b.t.ids[a.Content]
		if !ok {
			id = next
			next++
			if int(id) < len(b.t.tokens) && b.t.tokens[id].present {
				return bad("added token %q would get id %d, which is that of %q", clip(a.Content), id, clip(b.t.tokens[id].text))
			}
		}
		if int64(id) != a.ID {
			b.t.warnings = append(b.t.warnings, fmt.Sprintf("the tokenizer lists the added token %q as id %d, but it comes to id %d", clip(a.Content), a.ID, id))
		}
		b.add(addedToken{
			id: id, content: a.Content, special: a.Special, singleWord: a.SingleWord,
			lstrip: a.LStrip, rstrip: a.RStrip, normalized: a.Normalized,
		})
	}
	return nil
}
