package tokenizer

import (
	"os"
	"strings"
	"testing"
)

// prose is what encoding speed is measured on: the file named by
// KESTREL_BENCH_TEXT, else a page of English repeated.
func prose(tb testing.TB) string {
	if path := os.Getenv("KESTREL_BENCH_TEXT"); path != "" {
		data, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		return string(data)
	}
	return strings.Repeat(strings.Join(fragments(tb)["english"], " ")+"\n", 200)
}

func BenchmarkEncode(b *testing.B) {
	text := prose(b)
	for _, name := range files {
		t := load(b, name)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				t.Encode(text, true)
			}
		})
	}
}

// BenchmarkEncodeFresh encodes with an empty cache of words.
func BenchmarkEncodeFresh(b *testing.B) {
	text := prose(b)
	t := load(b, "falcon-7b")
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		t.bpe.cache = newWordCache()
		t.Encode(text, true)
	}
}

func BenchmarkEncodeLongWord(b *testing.B) {
	text := strings.Repeat("pneumonoultramicroscopicsilicovolcanoconiosis", 1<<20/45)
	t := load(b, "falcon-7b")
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		t.Encode(text, true)
	}
}

func BenchmarkDecode(b *testing.B) {
	text := prose(b)
	t := load(b, "falcon-7b")
	ids := t.Encode(text, true)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		t.Decode(ids)
	}
}

func BenchmarkFromJSON(b *testing.B) {
	data := read(b, "falcon-7b")
	for b.Loop() {
		if _, err := FromJSON(data); err != nil {
			b.Fatal(err)
		}
	}
}
