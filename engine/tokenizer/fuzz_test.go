package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"
)

// checkText holds a tokenizer to what must be true of every text.
func checkText(t *testing.T, tok *Tokenizer, text string, special bool) {
	t.Helper()
	ids := tok.Encode(text, special)
	for _, id := range ids {
		if _, _, ok := tok.Token(id); !ok {
			t.Fatalf("%q gives id %d, which is no token", text, id)
		}
	}
	want := tok.DecodeText(ids, false)
	if !utf8.ValidString(want) {
		t.Fatalf("%q decodes to %q", text, want)
	}
	d := tok.NewDecoder(false)
	var got strings.Builder
	for _, id := range ids {
		piece := d.Next(id)
		if !utf8.ValidString(piece) {
			t.Fatalf("the decoder returns %q", piece)
		}
		got.WriteString(piece)
	}
	got.WriteString(d.Flush())
	if got.String() != want {
		t.Fatalf("in pieces %q, whole %q", got.String(), want)
	}
}

// FuzzEncodeDecode: whatever the text, Falcon's tokenizer loses the bytes that its
// vocabulary lacks and the demo model's loses nothing.
func FuzzEncodeDecode(f *testing.F) {
	for i, text := range pool(f) {
		f.Add(text, i%2 == 0)
	}
	all := pool(f)
	for i := range 50 {
		f.Add(line(i*3+1, all), i%2 == 0)
	}
	falcon, demo := load(f, "falcon-7b"), load(f, "demo")
	missing := string(falcon.MissingBytes())
	neox := load(f, "gpt-neox-20b")
	f.Fuzz(func(t *testing.T, text string, special bool) {
		for _, tok := range []*Tokenizer{falcon, demo, neox} {
			checkText(t, tok, text, special)
		}
		valid := validText(text)
		if got := demo.Decode(demo.Encode(text, special)); got != valid {
			t.Fatalf("%q became %q", valid, got)
		}
		var kept []byte
		for i := range len(valid) {
			if strings.IndexByte(missing, valid[i]) < 0 {
				kept = append(kept, valid[i])
			}
		}
		if got := falcon.Decode(falcon.Encode(text, special)); got != string(kept) {
			t.Fatalf("%q became %q", kept, got)
		}
		if got, want := neox.Decode(neox.Encode(text, special)), nfc(valid); !strings.ContainsAny(valid, "<") && got != want {
			t.Fatalf("%q became %q, want %q", valid, got, want)
		}
	})
}

// FuzzTokenizerJSON: a file either gives a tokenizer that works or an error of a
// known kind.
func FuzzTokenizerJSON(f *testing.F) {
	f.Add(small(nil))
	var base map[string]json.RawMessage
	if err := json.Unmarshal(small(nil), &base); err != nil {
		f.Fatal(err)
	}
	for _, v := range readGolden(f).Variants {
		if v.Change["model"] != nil {
			continue
		}
		changed := map[string]any{}
		for k, raw := range base {
			changed[k] = raw
		}
		for k, raw := range v.Change {
			changed[k] = raw
		}
		data, err := json.Marshal(changed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tok, err := FromJSON(data)
		if err != nil {
			if !errors.Is(err, ErrBadTokenizer) && !errors.Is(err, ErrUnsupported) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		for _, text := range []string{"", "abc <x> the 12345 <w>é  \n\n", "\xff我\x00"} {
			checkText(t, tok, text, true)
			checkText(t, tok, text, false)
		}
	})
}

// TestMemoryOfBadFiles: reading a file allocates some multiple of its size,
// whatever it says. Counted is all that was ever allocated, garbage included.
func TestMemoryOfBadFiles(t *testing.T) {
	const size = 1 << 20
	fill := func(unit string) json.RawMessage {
		return json.RawMessage("[" + strings.TrimSuffix(strings.Repeat(unit+",", size/(len(unit)+1)), ",") + "]")
	}
	long := strings.Repeat("ab", size/2)
	for name, data := range map[string][]byte{
		"empty merges":   small(set("model.merges", fill("[]"))),
		"equal merges":   small(set("model.merges", fill(`["a","b"]`))),
		"old merges":     small(set("model.merges", fill(`"a b"`))),
		"merges":         small(set("model.merges", fill(`" "`))),
		"long merge":     small(set("model.merges", []any{long})),
		"added tokens":   small(set("added_tokens", fill(`{"content":"a"}`))),
		"long token":     small(set("added_tokens", []any{obj("id", 258, "content", long)})),
		"empty tokens":   small(set("added_tokens", fill(`{}`))),
		"pre-tokenizers": small(set("pre_tokenizer", obj("type", "Sequence", "pretokenizers", fill(`{"type":"Digits"}`)))),
		"sequences":      small(set("pre_tokenizer", obj("type", "Sequence", "pretokenizers", fill(`{"type":"Sequence"}`)))),
		"template":       small(set("post_processor", obj("type", "TemplateProcessing", "single", fill(`{"Sequence":{"id":"B"}}`)))),
		"highest id":     small(func(j map[string]any) { j["model"].(map[string]any)["vocab"].(map[string]any)["ab"] = 258 + maxGap - 1 }),
		"deep":           bytes.Repeat([]byte(`{"model":`), size/9),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := FromJSON(data)
		runtime.ReadMemStats(&after)
		used := int64(after.TotalAlloc - before.TotalAlloc)
		t.Logf("%s: %d bytes, %d allocated in all, %.80v", name, len(data), used, err)
		if used > 64*int64(len(data))+16<<20 {
			t.Errorf("%s: a file of %d bytes makes it allocate %d", name, len(data), used)
		}
	}
}
