package tokenizer

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// The golden data is what Python's `tokenizers` makes of the same text; see
// build/reference/tokenizer_golden.py, whose line and digests these repeat.
type golden struct {
	Lines      int
	Text       string
	Tokenizers map[string]struct {
		Tokens int
		Digest string
	}
	CodePoints map[string][]string `json:"code_points"`
	Variants   []struct {
		Name   string
		Change map[string]json.RawMessage
		Text   bool // the digest is also of the decoded text
		Digest string
	}
}

func readGolden(tb testing.TB) (g golden) {
	tb.Helper()
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		tb.Fatal(err)
	}
	if err := json.Unmarshal(data, &g); err != nil {
		tb.Fatal(err)
	}
	return g
}

// random is splitmix64.
type random uint64

func (r *random) below(n int) int {
	*r += 0x9E3779B97F4A7C15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return int((z ^ z>>31) % uint64(n))
}

// pool is every fragment, by name of its kind.
func pool(tb testing.TB) (all []string) {
	f := fragments(tb)
	for _, name := range slices.Sorted(maps.Keys(f)) {
		all = append(all, f[name]...)
	}
	return all
}

// line makes line i, not always UTF-8.
func line(i int, pool []string) string {
	r := random(i)
	var out []byte
	if i%1000 == 7 {
		for range 5000 {
			out = append(out, byte('a'+r.below(6)))
		}
		return string(out)
	}
	for range 1 + r.below(6) {
		kind := r.below(20)
		f := pool[r.below(len(pool))]
		switch {
		case kind < 11:
			out = append(out, f...)
		case kind == 11:
			for range 1 + r.below(12) {
				out = append(out, byte('0'+r.below(10)))
			}
		case kind == 12:
			space := []string{" ", "\n", "\t", " \n", "\u00a0", "\u3000"}[r.below(6)]
			out = append(out, strings.Repeat(space, 1+r.below(30))...)
		case kind == 13:
			for range 1 + r.below(4) {
				c := r.below(0x110000 - 0x800)
				if c >= 0xD800 {
					c += 0x800
				}
				out = utf8.AppendRune(out, rune(c))
			}
		case kind == 14:
			at := r.below(len(f) + 1)
			out = append(out, f[:at]...)
			out = append(out, f[min(len(f), at+1+r.below(3)):]...)
		case kind == 15:
			for range 1 + r.below(6) {
				out = append(out, byte(r.below(256)))
			}
		case kind == 16:
			out = append(out, strings.Repeat(f, 1+r.below(20))...)
		case kind == 17:
			for range 1 + r.below(16) {
				out = append(out, byte(32+r.below(95)))
			}
		case kind == 18:
			for range 1 + r.below(6) {
				out = utf8.AppendRune(out, rune(0x80+r.below(0x3000)))
			}
		default:
			out = append(out, 'e')
			for range r.below(40) {
				out = utf8.AppendRune(out, rune(0x300+r.below(0x70)))
			}
		}
		if r.below(2) == 1 {
			out = append(out, ' ')
		}
	}
	return string(out)
}

// digest is of the ids of line i and, if decode is set, of the text they give and
// of that of the last two thirds of them.
func digest(t *Tokenizer, i int, text string, decode bool) (ids []int, sum [32]byte) {
	ids = append(t.Prefix(), t.Encode(text, i%4 != 3)...)
	var b []byte
	for _, id := range ids {
		b = binary.LittleEndian.AppendUint32(b, uint32(id))
	}
	if decode {
		b = append(b, t.DecodeText(ids, false)...)
		b = append(b, t.DecodeText(ids[len(ids)/3:], true)...)
	}
	return ids, sha256.Sum256(b)
}

func TestGoldenLines(t *testing.T) {
	g := readGolden(t)
	marks, err := os.ReadFile("testdata/golden.bin")
	if err != nil {
		t.Fatal(err)
	}
	if len(marks) != len(files)*g.Lines*2 || g.Lines < 20000 {
		t.Fatalf("golden.bin has %d bytes for %d lines", len(marks), g.Lines)
	}
	all := pool(t)
	lines := make([]string, g.Lines)
	text := sha256.New()
	for i := range lines {
		lines[i] = line(i, all)
		text.Write([]byte(lines[i]))
	}
	if hex.EncodeToString(text.Sum(nil)) != g.Text {
		t.Fatal("the lines are not those of the reference script")
	}
	for _, name := range files {
		if raceDetector && name != "demo" {
			marks = marks[2*g.Lines:]
			continue
		}
		tok := load(t, name)
		whole := sha256.New()
		wrong, tokens := 0, 0
		for i, l := range lines {
			ids, sum := digest(tok, i, l, true)
			if string(sum[:2]) != string(marks[:2]) {
				if wrong++; wrong <= 3 {
					t.Errorf("%s: line %d, %q: got %d ids %v", name, i, clip(l), len(ids), ids[:min(40, len(ids))])
				}
			}
			marks = marks[2:]
			whole.Write(sum[:])
			tokens += len(ids)
		}
		want := g.Tokenizers[name]
		if wrong > 0 || tokens != want.Tokens || hex.EncodeToString(whole.Sum(nil)) != want.Digest {
			t.Errorf("%s: at least %d of %d lines differ from the reference; %d tokens, want %d", name, wrong, g.Lines, tokens, want.Tokens)
		} else {
			t.Logf("%s: %d lines, %d tokens, all as in the reference", name, g.Lines, tokens)
		}
	}
}

// TestEveryCodePoint puts each character there is beside letters, digits, spaces,
// apostrophes and punctuation.
func TestEveryCodePoint(t *testing.T) {
	if testing.Short() || raceDetector {
		t.Skip("takes ten seconds, and far longer under the race detector")
	}
	g := readGolden(t)
	for _, name := range files[:2] {
		tok := load(t, name)
		var text, ids []byte
		for c := rune(0); c <= utf8.MaxRune; c++ {
			if c < 0xD800 || c >= 0xE000 {
				text = fmt.Appendf(text[:0], " %ca1%c'%c .%c", c, c, c, c)
				for _, id := range tok.Encode(string(text), true) {
					ids = binary.LittleEndian.AppendUint32(ids, uint32(id))
				}
			}
			if c&0xFFF == 0xFFF && c != 0xDFFF {
				sum := sha256.Sum256(ids)
				want := "none"
				if blocks := g.CodePoints[name]; len(blocks) > 0 {
					want, g.CodePoints[name] = blocks[0], blocks[1:]
				}
				if got := hex.EncodeToString(sum[:4]); got != want {
					t.Errorf("%s: U+%04X to U+%04X: digest %s, want %s", name, c-0xFFF, c, got, want)
				}
				ids = ids[:0]
			}
		}
		if len(g.CodePoints[name]) > 0 {
			t.Errorf("%s: %d blocks left", name, len(g.CodePoints[name]))
		}
	}
}

// TestVariants changes one part of the demo model's tokenizer at a time.
func TestVariants(t *testing.T) {
	g := readGolden(t)
	if len(g.Variants) < 40 {
		t.Fatalf("only %d variants", len(g.Variants))
	}
	var base map[string]json.RawMessage
	if err := json.Unmarshal(read(t, "demo"), &base); err != nil {
		t.Fatal(err)
	}
	for _, v := range g.Variants {
		t.Run(v.Name, func(t *testing.T) {
			data, extra := varied(t, base, v.Change)
			tok, err := FromJSON(data)
			if err != nil {
				t.Fatal(err)
			}
			// Some of the added tokens are in the vocabulary under another id.
			if w := tok.Warnings(); len(w) > 0 && v.Change["added_tokens"] == nil {
				t.Fatalf("warnings %q", w)
			}
			all := append(pool(t), extra...)
			whole := sha256.New()
			for i := range 1000 {
				_, sum := digest(tok, i, line(i, all), v.Text)
				whole.Write(sum[:])
			}
			if got := hex.EncodeToString(whole.Sum(nil))[:16]; got != v.Digest {
				t.Errorf("digest %s, the reference has %s", got, v.Digest)
			}
		})
	}
}

// varied applies a change to a tokenizer.json, and returns the added tokens'
// contents as fragments for the lines.
func varied(t *testing.T, base, change map[string]json.RawMessage) (data []byte, extra []string) {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	out := maps.Clone(base)
	for key, value := range change {
		switch key {
		case "added_tokens":
			var old, more []map[string]any
			must(json.Unmarshal(base[key], &old))
			must(json.Unmarshal(value, &more))
			for range 6 {
				for _, a := range more {
					extra = append(extra, a["content"].(string))
				}
			}
			value, err := json.Marshal(append(old, more...))
			must(err)
			out[key] = value
		case "model":
			var model, set map[string]json.RawMessage
			must(json.Unmarshal(base[key], &model))
			must(json.Unmarshal(value, &set))
			maps.Copy(model, set)
			if string(model["merges"]) == `"legacy"` {
				var pairs [][]string
				var lines []string
				var old map[string]json.RawMessage
				must(json.Unmarshal(base[key], &old))
				must(json.Unmarshal(old["merges"], &pairs))
				for _, p := range pairs {
					lines = append(lines, strings.Join(p, " "))
				}
				value, err := json.Marshal(lines)
				must(err)
				model["merges"] = value
			}
			value, err := json.Marshal(model)
			must(err)
			out[key] = value
		default:
			out[key] = value
		}
	}
	data, err := json.Marshal(out)
	must(err)
	return data, extra
}
