package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"
)

// TestKnownIDs are ids from the publishers' own pages and files.
func TestKnownIDs(t *testing.T) {
	falcon, neox := load(t, "falcon-7b"), load(t, "gpt-neox-20b")
	for _, c := range []struct {
		tok     *Tokenizer
		text    string
		special bool
		want    []int
	}{
		{falcon, "", true, []int{}},
		{falcon, "Hello today", true, []int{9856, 1722}},
		{falcon, "\n", true, []int{193}},
		{falcon, "user", true, []int{5584}},
		{falcon, "system", true, []int{14015}},
		{falcon, "<|endoftext|>", true, []int{11}},
		{falcon, "a<|endoftext|>b", true, []int{76, 11, 77}},
		{neox, "<|padding|><|endoftext|>", true, []int{1, 0}},
		{neox, strings.Repeat(" ", 26), true, []int{50254, 50276}},
		{neox, strings.Repeat(" ", 26), false, []int{50254, 50276}},
	} {
		if got := c.tok.Encode(c.text, c.special); !slices.Equal(got, c.want) {
			t.Errorf("%q: %v, want %v", c.text, got, c.want)
		}
	}
	if ids := falcon.Encode("<|endoftext|>", false); slices.Contains(ids, 11) || falcon.Decode(ids) != "<|endoftext|>" {
		t.Errorf("without special tokens: %v", ids)
	}
	if falcon.VocabSize() != 65024 || neox.VocabSize() != 50277 {
		t.Errorf("sizes %d and %d", falcon.VocabSize(), neox.VocabSize())
	}
	if got, want := falcon.MissingBytes(), []byte("\x03\x04\x05\x0b\x11\x13\x14\x15\x16\x17\x19\x1c\x1d\x1e\xf2"); !slices.Equal(got, want) {
		t.Errorf("missing bytes %q, want %q", got, want)
	}
	if got := neox.MissingBytes(); len(got) > 0 {
		t.Errorf("missing bytes %q", got)
	}
}

func TestTokenAndID(t *testing.T) {
	tok := load(t, "gpt-neox-20b")
	for id := range tok.VocabSize() {
		text, special, ok := tok.Token(id)
		if !ok || special != (id < 2) {
			t.Fatalf("Token(%d) = %q, %v, %v", id, text, special, ok)
		}
		if back, ok := tok.ID(text); !ok || back != id {
			t.Fatalf("ID(%q) = %d, %v, want %d", text, back, ok, id)
		}
	}
	for _, id := range []int{-1, tok.VocabSize(), 1 << 30} {
		if text, _, ok := tok.Token(id); ok {
			t.Errorf("Token(%d) = %q", id, text)
		}
		if text := tok.Decode([]int{id}) + tok.NewDecoder(false).Next(id); text != "" {
			t.Errorf("id %d decodes to %q", id, text)
		}
	}
	if _, ok := tok.ID("no such token"); ok {
		t.Error("found a token that is not there")
	}
}

func TestDecodeSkipsSpecial(t *testing.T) {
	tok := load(t, "falcon-7b")
	ids := tok.Encode("a<|endoftext|> b", true)
	if got := tok.Decode(ids); got != "a<|endoftext|> b" {
		t.Errorf("Decode: %q", got)
	}
	if got := tok.DecodeText(ids, true); got != "a b" {
		t.Errorf("DecodeText: %q", got)
	}
	d := tok.NewDecoder(true)
	got := ""
	for _, id := range ids {
		got += d.Next(id)
	}
	if got += d.Flush(); got != "a b" {
		t.Errorf("Decoder: %q", got)
	}
}

// TestInvalidUTF8 compares with Python's bytes.decode("utf-8", "replace").
func TestInvalidUTF8(t *testing.T) {
	for in, want := range map[string]string{
		"a\xffb":                       "a\uFFFDb",
		"\xe2\x82":                     "\uFFFD",
		"\xe2\x82a":                    "\uFFFDa",
		"\xe2\xe2\x82\xac":             "\uFFFD€",
		"\xf0\x9f\x98":                 "\uFFFD",
		"\xf0\x9f\x98\xf0\x9f\x98\x80": "\uFFFD😀",
		"\xed\xa0\x80":                 "\uFFFD\uFFFD\uFFFD",
		"\xc0\xaf":                     "\uFFFD\uFFFD",
		"\xe0\x80\xaf":                 "\uFFFD\uFFFD\uFFFD",
		"\xf4\x90\x80\x80":             "\uFFFD\uFFFD\uFFFD\uFFFD",
		"\xf8\x88\x80\x80\x80":         "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD",
		"\x80\xbf":                     "\uFFFD\uFFFD",
		"é\xc3":                        "é\uFFFD",
	} {
		if got := validText(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// TestDecoderWhole feeds the bytes of characters one id at a time.
func TestDecoderWhole(t *testing.T) {
	tok := load(t, "demo") // its vocabulary is small, so few characters are one token
	for i, l := range append(pool(t), "\xf0\x9f\x98", "a\xc3", "\xe2\x82\xe2\x82\xac") {
		var ids []int
		for j := range len(l) { // byte by byte, so that invalid text stays so
			ids = append(ids, int(tok.bpe.bytes[l[j]]))
		}
		for _, ids := range [][]int{ids, tok.Encode(l, true)} {
			d := tok.NewDecoder(false)
			var got strings.Builder
			for _, id := range ids {
				piece := d.Next(id)
				if !utf8.ValidString(piece) {
					t.Fatalf("fragment %d: the decoder returned %q", i, piece)
				}
				got.WriteString(piece)
			}
			got.WriteString(d.Flush())
			if want := tok.DecodeText(ids, false); got.String() != want {
				t.Errorf("fragment %d: %q, want %q", i, got.String(), want)
			}
			if d.Flush() != "" {
				t.Errorf("fragment %d: a second Flush returns text", i)
			}
		}
	}
}

// TestRoundTrip: with every byte in the vocabulary and no normalizer nothing is
// lost.
func TestRoundTrip(t *testing.T) {
	tok := load(t, "demo")
	all := pool(t)
	for i := range 3000 {
		text := validText(line(i, all))
		for _, special := range []bool{false, true} {
			if got := tok.Decode(tok.Encode(text, special)); got != text {
				t.Fatalf("line %d, special %v: %q became %q", i, special, clip(text), clip(got))
			}
		}
	}
}

// TestShortAndLongAgree merges the same words by both algorithms.
func TestShortAndLongAgree(t *testing.T) {
	for _, name := range files {
		tok := load(t, name)
		all := pool(t)
		for i := range 5000 {
			w := line(i, all)
			w = w[:min(len(w), shortWord)]
			var short []int
			for _, id := range tok.bpe.mergeShort(w) {
				short = append(short, int(id))
			}
			if long := tok.bpe.mergeLong(nil, w); !slices.Equal(short, long) {
				t.Fatalf("%s: %q: %v and %v", name, w, short, long)
			}
		}
	}
}

// TestLongWords: a word of 1 MiB takes a fraction of a second. The bound is so wide
// that only a quadratic algorithm, which takes many minutes, breaks it.
func TestLongWords(t *testing.T) {
	const size, bound = 1 << 20, 20 * time.Second
	for _, name := range files {
		if raceDetector && name != "demo" {
			continue
		}
		tok := load(t, name)
		for kind, unit := range map[string]string{
			"one letter": "a", "letters": "abcdefghij", "han": "我能吞下玻璃", "spaces": " ", "line ends": "\r\n", "digits": "1234567",
			"punctuation": "-", "marks": "\u0301\u0323", "jamo": "\u1112\u1161\u11ab", "added tokens": "<|endoftext|>", "almost added tokens": "<|endoftext|",
		} {
			text := strings.Repeat(unit, size/len(unit))
			var ids []int
			took := bound + 1
			for try := 0; try < 3 && took > bound; try++ { // the machine may be busy
				start := time.Now()
				ids = tok.Encode(text, true)
				took = time.Since(start)
			}
			t.Logf("%s, %s: %v", name, kind, took)
			if took > bound {
				t.Errorf("%s, %s: 1 MiB takes %v", name, kind, took)
			}
			if got := tok.Decode(ids); !tok.normalize && got != text {
				t.Errorf("%s, %s: decodes otherwise", name, kind)
			}
		}
	}
}

// TestConcurrent is for the race detector: one tokenizer, many goroutines, a
// cache that overflows.
func TestConcurrent(t *testing.T) {
	tok, err := FromJSON(read(t, "demo"))
	if err != nil {
		t.Fatal(err)
	}
	all := pool(t)
	want := make([][]int, 500)
	for i := range want {
		want[i] = load(t, "demo").Encode(line(i, all), true)
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for k := range want {
				i := (k*7 + g*61) % len(want)
				got := tok.Encode(line(i, all), true)
				if !slices.Equal(got, want[i]) {
					t.Errorf("line %d differs", i)
				}
				tok.Decode(got)
			}
		})
	}
	wg.Wait()
}

func TestCacheIsBounded(t *testing.T) {
	tok, err := FromJSON(read(t, "demo"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 * cacheSlots {
		tok.Encode(fmt.Sprintf("word%dword", i), true)
	}
	if n := len(tok.bpe.cache.slots); n != cacheSlots {
		t.Errorf("%d slots", n)
	}
	for i := range tok.bpe.cache.slots {
		if e := tok.bpe.cache.slots[i].Load(); e != nil && len(e.word) > shortWord {
			t.Fatalf("a word of %d bytes is kept", len(e.word))
		}
	}
}

func TestHash(t *testing.T) {
	seen := map[[32]byte]string{}
	note := func(name string, tok *Tokenizer) {
		t.Helper()
		if other, ok := seen[tok.Hash()]; ok {
			t.Errorf("%s has the hash of %s", name, other)
		}
		seen[tok.Hash()] = name
	}
	for _, name := range files {
		tok := load(t, name)
		note(name, tok)
		again, err := FromJSON(read(t, name))
		if err != nil {
			t.Fatal(err)
		}
		if again.Hash() != tok.Hash() {
			t.Errorf("%s: the hash is not always the same", name)
		}
	}
	var base map[string]json.RawMessage
	if err := json.Unmarshal(read(t, "demo"), &base); err != nil {
		t.Fatal(err)
	}
	for _, v := range readGolden(t).Variants {
		data, _ := varied(t, base, v.Change)
		tok, err := FromJSON(data)
		if err != nil {
			t.Fatal(err)
		}
		switch v.Name {
		case "legacy merges":
			if tok.Hash() != load(t, "demo").Hash() {
				t.Error("another spelling of the merges changes the hash")
			}
			continue
		case "gpt2 as a Split": // the same as "gpt2"
			continue
		}
		note(v.Name, tok)
	}
}

// small returns a tokenizer.json over all bytes with two merges; edit changes it.
func small(edit func(j map[string]any)) []byte {
	vocab := map[string]any{}
	for b, r := range byteToRune {
		vocab[string(r)] = b
	}
	vocab["ab"], vocab["abc"] = 256, 257
	j := map[string]any{
		"version": "1.0", "added_tokens": []any{}, "normalizer": nil,
		"pre_tokenizer":  map[string]any{"type": "ByteLevel", "add_prefix_space": false},
		"post_processor": nil, "decoder": map[string]any{"type": "ByteLevel"},
		"model": map[string]any{"type": "BPE", "vocab": vocab, "merges": []any{"a b", "ab c"}},
	}
	if edit != nil {
		edit(j)
	}
	data, err := json.Marshal(j)
	if err != nil {
		panic(err)
	}
	return data
}

// set returns an edit that sets one field; "model.x" is a field of the model.
func set(path string, value any) func(map[string]any) {
	return func(j map[string]any) {
		if field, ok := strings.CutPrefix(path, "model."); ok {
			j = j["model"].(map[string]any)
			path = field
		}
		j[path] = value
	}
}

func obj(kv ...any) map[string]any {
	m := map[string]any{}
	for i := 0; i < len(kv); i += 2 {
		m[kv[i].(string)] = kv[i+1]
	}
	return m
}

func TestRefused(t *testing.T) {
	tok, err := FromJSON(small(nil))
	if err != nil {
		t.Fatal(err)
	}
	if got := tok.Encode("abcab", true); !slices.Equal(got, []int{257, 256}) {
		t.Fatalf("the tokenizer that the cases change: %v", got)
	}
	level := obj("type", "ByteLevel", "add_prefix_space", false)
	split := func(kv ...any) map[string]any { return obj(append([]any{"type", "Split"}, kv...)...) }
	in := func(p ...any) any { return obj("type", "Sequence", "pretokenizers", p) }
	for _, c := range []struct {
		name string
		data []byte
		kind error
		says string
	}{
		{"empty", nil, ErrBadTokenizer, "not the JSON"},
		{"not JSON", []byte("GGUF\x03"), ErrBadTokenizer, "not the JSON"},
		{"cut", small(nil)[:1000], ErrBadTokenizer, "not the JSON"},
		{"a list", []byte("[1]"), ErrBadTokenizer, "not the JSON"},
		{"null", []byte("null"), ErrBadTokenizer, `no "model"`},
		{"no model", []byte("{}"), ErrBadTokenizer, `no "model"`},
		{"WordPiece", small(set("model.type", "WordPiece")), ErrUnsupported, "WordPiece"},
		{"Unigram", small(set("model", obj("type", "Unigram", "vocab", []any{[]any{"a", -1.5}}))), ErrUnsupported, "Unigram"},
		{"byte fallback", small(set("model.byte_fallback", true)), ErrUnsupported, "byte_fallback"},
		{"dropout", small(set("model.dropout", 0.1)), ErrUnsupported, "dropout"},
		{"prefix", small(set("model.continuing_subword_prefix", "##")), ErrUnsupported, "continuing_subword_prefix"},
		{"suffix", small(set("model.end_of_word_suffix", "</w>")), ErrUnsupported, "end_of_word_suffix"},
		{"no vocabulary", small(set("model.vocab", nil)), ErrBadTokenizer, "vocabulary is empty"},
		{"vocabulary is a list", small(set("model.vocab", []any{1})), ErrBadTokenizer, "vocabulary"},
		{"few bytes", small(func(j map[string]any) {
			j["model"] = obj("vocab", obj("a", 0, "b", 1, "ab", 2), "merges", []any{"a b"})
		}), ErrUnsupported, "2 of the 256 bytes"},
		{"unk token", small(func(j map[string]any) {
			set("model.unk_token", "?")(j)
			delete(j["model"].(map[string]any)["vocab"].(map[string]any), "!")
		}), ErrUnsupported, "unk_token"},
		{"huge id", small(func(j map[string]any) { j["model"].(map[string]any)["vocab"].(map[string]any)["ab"] = 4e9 }), ErrBadTokenizer, "id 4000000000"},
		{"id of a gap too wide", small(func(j map[string]any) { j["model"].(map[string]any)["vocab"].(map[string]any)["ab"] = 1e6 }), ErrBadTokenizer, "id 1000000"},
		{"negative id", small(func(j map[string]any) { j["model"].(map[string]any)["vocab"].(map[string]any)["ab"] = -1 }), ErrBadTokenizer, "id -1"},
		{"id twice", small(func(j map[string]any) { j["model"].(map[string]any)["vocab"].(map[string]any)["ab"] = 97 }), ErrBadTokenizer, "same id 97"},
		{"no merges", small(set("model.merges", nil)), ErrBadTokenizer, "no merges"},
		{"empty merges", small(set("model.merges", []any{})), ErrBadTokenizer, "no merges"},
		{"merges of one part", small(set("model.merges", []any{"ab"})), ErrBadTokenizer, "merge 0 has 1 parts"},
		{"merges of three parts", small(set("model.merges", []any{[]any{"a", "b", "c"}})), ErrBadTokenizer, "merge 0 has 3 parts"},
		{"merges both ways", small(set("model.merges", []any{"a b", []any{"ab", "c"}})), ErrBadTokenizer, "merges are neither"},
		{"merges of numbers", small(set("model.merges", []any{1})), ErrBadTokenizer, "merges are neither"},
		{"merge of no token", small(set("model.merges", []any{"a b", "ab d"})), ErrBadTokenizer, `"abd"`},
		{"normalizer", small(set("normalizer", obj("type", "NFKC"))), ErrUnsupported, "normalizer: NFKC"},
		{"normalizer in a sequence", small(set("normalizer", obj("type", "Sequence", "normalizers", []any{obj("type", "NFC"), obj("type", "Lowercase")}))), ErrUnsupported, "normalizer: Lowercase"},
		{"no pre-tokenizer", small(set("pre_tokenizer", nil)), ErrUnsupported, "ByteLevel"},
		{"pre-tokenizer", small(set("pre_tokenizer", obj("type", "Metaspace"))), ErrUnsupported, "pre_tokenizer: Metaspace"},
		{"byte level twice", small(set("pre_tokenizer", in(level, level))), ErrUnsupported, "ByteLevel twice"},
		{"byte level of no prefix space", small(set("pre_tokenizer", obj("type", "ByteLevel"))), ErrBadTokenizer, "add_prefix_space"},
		{"pattern", small(set("pre_tokenizer", in(split("behavior", "Isolated", "pattern", obj("Regex", "x+")), level))), ErrUnsupported, `"x+"`},
		{"pattern behind", small(set("pre_tokenizer", in(level, split("behavior", "Isolated", "pattern", obj("Regex", patternGPT2))))), ErrUnsupported, "behind ByteLevel"},
		{"no pattern", small(set("pre_tokenizer", in(split("behavior", "Isolated"), level))), ErrBadTokenizer, "without a pattern"},
		{"empty pattern", small(set("pre_tokenizer", in(split("behavior", "Isolated", "pattern", obj("String", "")), level))), ErrUnsupported, "empty string"},
		{"no behavior", small(set("pre_tokenizer", in(split("pattern", obj("String", "x")), level))), ErrBadTokenizer, "without behavior"},
		{"behavior", small(set("pre_tokenizer", in(split("behavior", "Sideways", "pattern", obj("String", "x")), level))), ErrUnsupported, "Sideways"},
		{"no decoder", small(set("decoder", nil)), ErrUnsupported, "decoder: none"},
		{"decoder", small(set("decoder", obj("type", "WordPiece"))), ErrUnsupported, "decoder: WordPiece"},
		{"post-processor", small(set("post_processor", obj("type", "BertProcessing"))), ErrUnsupported, "post_processor: BertProcessing"},
		{"template behind the text", small(set("post_processor", obj("type", "TemplateProcessing", "single", []any{obj("Sequence", obj("id", "A")), obj("SpecialToken", obj("id", "</s>"))}))), ErrUnsupported, `"</s>" after the text`},
		{"template of unknown token", small(set("post_processor", obj("type", "TemplateProcessing", "single", []any{obj("SpecialToken", obj("id", "<s>")), obj("Sequence", obj("id", "A"))}))), ErrBadTokenizer, `"<s>" has no ids`},
		{"template of id out of range", small(set("post_processor", obj("type", "TemplateProcessing", "special_tokens", obj("<s>", obj("ids", []any{999})), "single", []any{obj("SpecialToken", obj("id", "<s>")), obj("Sequence", obj("id", "A"))}))), ErrBadTokenizer, "id 999"},
		{"deep", []byte(strings.Repeat(`{"model":`, 20000)), ErrBadTokenizer, "not the JSON"},
		{"deep sequence", small(set("normalizer", json.RawMessage(strings.Repeat(`{"type":"Sequence","normalizers":[`, 100)+strings.Repeat("]}", 100)))), ErrUnsupported, "more than 64"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tok, err := FromJSON(c.data)
			if err == nil || tok != nil {
				t.Fatal("accepted")
			}
			if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) || !strings.HasPrefix(err.Error(), "tokenizer: ") {
				t.Errorf("%v", err)
			}
			if len(err.Error()) > 400 {
				t.Errorf("the message has %d bytes", len(err.Error()))
			}
		})
	}
}

// TestAddedTokenText: an added token stands for its own text, though its letters
// are also in the byte alphabet (the reference gives U+FFFD there), unless it is
// the token of a byte: then characters that hold this byte must not suffer.
func TestAddedTokenText(t *testing.T) {
	tok, err := FromJSON(small(set("added_tokens", []any{obj("content", "éé", "id", 258), obj("content", "é", "id", 0xE9), obj("content", "Ġ", "id", 0x20)})))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][]int{"caféé": {'c', 'a', 'f', 258}, "a 馬": {'a', ' ', 0xE9, 0xA6, 0xAC}} {
		ids := tok.Encode(text, true)
		if !slices.Equal(ids, want) || tok.Decode(ids) != text {
			t.Errorf("%q: %v gives %q", text, ids, tok.Decode(ids))
		}
	}
}

func TestAddedTokenIDs(t *testing.T) {
	add := func(tokens ...any) []byte { return small(set("added_tokens", tokens)) }
	tok, err := FromJSON(add(obj("id", 258, "content", "<x>", "special", true), obj("id", 259, "content", "<y>"), obj("id", 256, "content", "ab")))
	if err != nil {
		t.Fatal(err)
	}
	if len(tok.Warnings()) > 0 || tok.VocabSize() != 260 {
		t.Errorf("%d tokens, warnings %q", tok.VocabSize(), tok.Warnings())
	}
	if got := tok.Encode("abc<x><y>", true); !slices.Equal(got, []int{256, 'c', 258, 259}) {
		t.Errorf("with special tokens: %v", got)
	}
	if got := tok.Encode("c<x><y>", false); !slices.Equal(got, []int{'c', '<', 'x', '>', 259}) {
		t.Errorf("without: %v", got)
	}
	// The reference gives the next free id, whatever the file says.
	tok, err = FromJSON(add(obj("id", 300, "content", "<x>")))
	if err != nil {
		t.Fatal(err)
	}
	if id, _ := tok.ID("<x>"); id != 258 || len(tok.Warnings()) != 1 {
		t.Errorf("id %d, warnings %q", id, tok.Warnings())
	}
	// A gap in the vocabulary would make that id another token's.
	_, err = FromJSON(small(func(j map[string]any) {
		j["model"].(map[string]any)["vocab"].(map[string]any)["abc"] = 258
		j["added_tokens"] = []any{obj("id", 259, "content", "<x>")}
	}))
	if !errors.Is(err, ErrBadTokenizer) || !strings.Contains(err.Error(), `"abc"`) {
		t.Errorf("%v", err)
	}
}
