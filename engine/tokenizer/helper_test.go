package tokenizer

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"testing"
)

// files are the tokenizers under testdata.
var files = []string{"falcon-7b", "gpt-neox-20b", "demo"}

// read returns the tokenizer.json of a name in files.
func read(tb testing.TB, name string) []byte {
	tb.Helper()
	return unzip(tb, "testdata/"+name+".json.gz")
}

func unzip(tb testing.TB, path string) []byte {
	tb.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		tb.Fatal(err)
	}
	if data, err = io.ReadAll(r); err != nil {
		tb.Fatal(err)
	}
	return data
}

var loaded = map[string]*Tokenizer{}

// load returns the tokenizer of a name in files, made once.
func load(tb testing.TB, name string) *Tokenizer {
	tb.Helper()
	if loaded[name] == nil {
		t, err := FromJSON(read(tb, name))
		if err != nil {
			tb.Fatal(err)
		}
		loaded[name] = t
	}
	return loaded[name]
}

// fragments returns the pieces of text that the golden lines are made of.
func fragments(tb testing.TB) map[string][]string {
	tb.Helper()
	data, err := os.ReadFile("testdata/fragments.json")
	if err != nil {
		tb.Fatal(err)
	}
	var f map[string][]string
	if err := json.Unmarshal(data, &f); err != nil {
		tb.Fatal(err)
	}
	return f
}
