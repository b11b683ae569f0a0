package golden

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sort"
	"strings"
	"testing"

	"kestrel/engine/checkpoint"
	"kestrel/engine/checkpoint/convert"
	"kestrel/engine/weights"
	"kestrel/engine/weights/gguf"
)

// GGUF converts an open model, as the program does for llama.cpp: matrices in d, or in weights.Fallback of it. Where
// build/reference/make_gguf.py knows the type, its tensors are the same.
func GGUF(t testing.TB, c *checkpoint.Checkpoint, d weights.DType) []byte {
	t.Helper()
	as, err := c.As(d, false)
	if err != nil {
		t.Fatal(err)
	}
	w, err := convert.Writer(context.Background(), as, convert.Options{})
	if err != nil {
		t.Fatal(err)
	}
	data, err := w.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TensorsHash is tensors_sha256 of build/reference/make_llamacpp.py.
func TensorsHash(t testing.TB, file []byte) string {
	t.Helper()
	f, err := gguf.OpenBytes("model.gguf", file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	names, h := f.Names(), sha256.New()
	sort.Strings(names)
	for _, name := range names {
		x, err := f.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		shape := strings.Trim(strings.ReplaceAll(fmt.Sprint(x.Shape), " ", "x"), "[]")
		fmt.Fprintf(h, "%s %v %s\n", name, x.DType, shape)
		h.Write(x.Data)
	}
	return hex.EncodeToString(h.Sum(nil))
}
