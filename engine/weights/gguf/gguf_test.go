package gguf

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"

	"kestrel/engine/weights"
	"kestrel/engine/weights/quant"
)

// raw builds a file by hand: a head, then parts as they come.
func raw(version uint32, tensors, keys uint64, parts ...any) []byte {
	b := binary.LittleEndian.AppendUint32([]byte(magic), version)
	b = binary.LittleEndian.AppendUint64(b, tensors)
	b = binary.LittleEndian.AppendUint64(b, keys)
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			b = appendString(b, p)
		case []byte:
			b = append(b, p...)
		case valueType:
			b = binary.LittleEndian.AppendUint32(b, uint32(p))
		default: // a fixed size
			var err error
			if b, err = binary.Append(b, binary.LittleEndian, p); err != nil {
				panic(err)
			}
		}
	}
	return b
}

type u32 = uint32
type u64 = uint64

// body is padding to the alignment, and n bytes.
func body(head []byte, n int) []byte {
	return append(head, make([]byte, int(align(uint64(len(head))))-len(head)+n)...)
}

func TestEmptyAndTruncated(t *testing.T) {
	if _, err := OpenBytes("x", raw(3, 0, 0)); err != nil {
		t.Errorf("a file with nothing in it: %v", err)
	}
	data, err := os.ReadFile("testdata/values.gguf")
	if err != nil {
		t.Fatal(err)
	}
	f, err := OpenBytes("x", data)
	if err != nil {
		t.Fatal(err)
	}
	last, err := f.Tensor("x.q8_0.back")
	if err != nil {
		t.Fatal(err)
	}
	end := bytes.LastIndex(data, last.Data) + len(last.Data) // padding after it may be cut
	for n := range data {
		_, err := OpenBytes("cut.gguf", data[:n])
		if n >= end {
			if err != nil {
				t.Fatalf("%d of %d bytes, all tensors whole: %v", n, len(data), err)
			}
			continue
		}
		if !errors.Is(err, weights.ErrBadModel) || !strings.Contains(err.Error(), "cut.gguf: ") {
			t.Fatalf("%d of %d bytes: %v", n, len(data), err)
		}
	}
}

// TestBadFiles: each file is refused with the reason, and named.
func TestBadFiles(t *testing.T) {
	// w is a tensor w of two F32; the arguments replace its parts.
	w := func(dims any, shape []u64, kind u32, offset u64) []byte {
		return raw(3, 1, 0, "w", dims, shape, kind, offset)
	}
	good := func(name string, offset u64) []byte { return raw(3, 0, 0, name, u32(1), u64(8), u32(0), offset)[24:] }
	for _, c := range []struct {
		name, says string
		kind       error
		data       []byte
	}{
		{"empty", "not a GGUF file", weights.ErrBadModel, nil},
		{"another format", "not a GGUF file", weights.ErrBadModel, []byte("ggjt and more")},
		{"magic alone", "the version needs 4 bytes", weights.ErrBadModel, []byte(magic)},
		{"version 1", "GGUF version 1", weights.ErrUnsupported, raw(1, 0, 0)},
		{"version 4", "GGUF version 4", weights.ErrUnsupported, raw(4, 0, 0)},
		{"version 0", "GGUF version 0", weights.ErrUnsupported, raw(0, 0, 0)},
		{"big-endian", "big-endian", weights.ErrUnsupported, raw(3<<24, 0, 0)},
		{"more keys than bytes", "1000 metadata keys", weights.ErrBadModel, raw(3, 0, 1000, make([]byte, 999))},
		{"2^64-1 keys", "metadata keys", weights.ErrBadModel, raw(3, 0, 1<<64-1, make([]byte, 999))},
		{"more tensors than bytes", "1000 tensors", weights.ErrBadModel, raw(3, 1000, 0, make([]byte, 999))},
		{"long key", "a metadata key of 65536 bytes", weights.ErrBadModel, raw(3, 0, 1, u64(65536), make([]byte, 65600))},
		{"key beyond the file", "cut short", weights.ErrBadModel, raw(3, 0, 1, u64(60000), make([]byte, 100))},
		{"key not UTF-8", "not UTF-8", weights.ErrBadModel, raw(3, 0, 1, "\xff", typeUint8, byte(1))},
		{"key twice", `"k" is there twice`, weights.ErrBadModel, raw(3, 0, 2, "k", typeUint8, byte(1), "k", typeUint8, byte(1))},
		{"unknown value type", `"k" has the unknown type 13`, weights.ErrBadModel, raw(3, 0, 1, "k", u32(13), byte(1))},
		{"string of 2^63 bytes", `"k" needs 9223372036854775808 bytes`, weights.ErrBadModel, raw(3, 0, 1, "k", typeString, u64(1<<63))},
		{"array of 2^64-1", "has 18446744073709551615 elements", weights.ErrBadModel, raw(3, 0, 1, "k", typeArray, typeUint64, u64(1<<64-1))},
		{"array longer than the file", "cut short", weights.ErrBadModel, raw(3, 0, 1, "k", typeArray, typeUint64, u64(10), make([]byte, 79))},
		{"array of an unknown type", "unknown type 99", weights.ErrBadModel, raw(3, 0, 1, "k", typeArray, u32(99), u64(0))},
		{"arrays too deep", "nests arrays deeper", weights.ErrBadModel, raw(3, 0, 1, "k", typeArray, typeArray, u64(1), typeArray, u64(1), typeArray, u64(1), typeArray, u64(1), typeArray, u64(1), typeUint8, u64(1), byte(0))},
		{"five dimensions", `"w" has 5 dimensions`, weights.ErrBadModel, w(u32(5), []u64{1, 1, 1, 1, 1}, 0, 0)},
		{"2^32-1 dimensions", `"w" has 4294967295 dimensions`, weights.ErrBadModel, w(u32(1<<32-1), []u64{1, 1, 1, 1, 1}, 0, 0)},
		{"huge dimension", `"w" has an impossible dimension`, weights.ErrBadModel, body(w(u32(1), []u64{1 << 62}, 0, 0), 8)},
		{"product wraps", `"w" has an impossible dimension`, weights.ErrBadModel, body(w(u32(4), []u64{1 << 30, 1 << 30, 1 << 30, 1 << 30}, 0, 0), 8)},
		{"product wraps to 0", `"w" has an impossible dimension of 64`, weights.ErrBadModel, body(w(u32(3), []u64{1 << 29, 1 << 29, 64}, 0, 0), 8)},
		{"half a block", "rows of 33 elements", weights.ErrBadModel, body(w(u32(2), []u64{33, 32}, 8, 0), 2000)},
		{"tensor twice", `"w" is there twice`, weights.ErrBadModel, body(raw(3, 2, 0, good("w", 0), good("w", 32)), 64)},
		{"beyond the file", `tensor "w": needs 32 bytes at offset 32, but the file has 63`, weights.ErrBadModel, body(raw(3, 1, 0, good("w", 32)), 63)},
		{"offset of 2^64-32", `tensor "w": needs 32 bytes`, weights.ErrBadModel, body(raw(3, 1, 0, good("w", 1<<64-32)), 64)},
		{"unaligned", `tensor "w": offset 16 is not a multiple`, weights.ErrBadModel, body(raw(3, 1, 0, good("w", 16)), 64)},
		{"overlap", `tensor "w": its bytes from offset 0 overlap tensor "v"`, weights.ErrBadModel, body(raw(3, 2, 0, good("v", 0), good("w", 0)), 64)},
		{"no data", "cut short", weights.ErrBadModel, w(u32(1), []u64{8}, 0, 0)},
		{"alignment 0", "general.alignment is 0", weights.ErrBadModel, body(raw(3, 1, 1, "general.alignment", typeUint32, u32(0), good("w", 0)), 64)},
		{"alignment 24", "general.alignment is 24", weights.ErrBadModel, body(raw(3, 1, 1, "general.alignment", typeUint32, u32(24), good("w", 0)), 64)},
		{"alignment a string", "general.alignment", weights.ErrBadModel, body(raw(3, 1, 1, "general.alignment", typeString, "32", good("w", 0)), 64)},
	} {
		_, err := OpenBytes("dir/bad.gguf", c.data)
		if !errors.Is(err, c.kind) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.kind)
			continue
		}
		for _, s := range []string{"dir/bad.gguf", c.says} {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%s: %q does not say %q", c.name, err, s)
			}
		}
	}
}

// TestGoodFiles: the unusual that the format allows.
func TestGoodFiles(t *testing.T) {
	tensor := func(name string, offset u64) []byte { return raw(3, 0, 0, name, u32(1), u64(8), u32(0), offset)[24:] }
	for name, data := range map[string][]byte{
		"a hole":            body(raw(3, 2, 0, tensor("v", 64), tensor("w", 0)), 96),
		"no padding at end": body(raw(3, 1, 0, tensor("w", 0)), 32),
		"a scalar":          body(raw(3, 1, 0, "w", u32(0), u32(0), u64(0)), 4),
		"alignment 8":       append(raw(3, 1, 1, "general.alignment", typeUint64, u64(8), tensor("w", 8), make([]byte, 5)), make([]byte, 40)...),
	} {
		f, err := OpenBytes("x", data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, n := range f.Names() {
			if w, err := f.Tensor(n); err != nil || len(w.Data) != 4*w.Elements() {
				t.Errorf("%s: %v of %d bytes: %v", name, w, len(w.Data), err)
			}
		}
	}
}

// TestUnknownQuantization: the file opens, since it may be of another kind
// altogether; the tensor is refused by number and name.
func TestUnknownQuantization(t *testing.T) {
	for kind, says := range map[u32]string{16: "IQ2_XXS (type 16)", 77: "of type 77, which Kestrel has no name for"} {
		f, err := OpenBytes("x.gguf", body(raw(3, 1, 0, "w", u32(1), u64(256), kind, u64(0)), 66))
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.Tensor("w")
		for _, s := range []string{"x.gguf", `tensor "w"`, says, "F16, BF16, Q8_0, Q6_K, Q5_K or Q4_K"} {
			if !errors.Is(err, weights.ErrUnsupported) || !strings.Contains(err.Error(), s) {
				t.Errorf("%v does not say %q", err, s)
			}
		}
	}
}

// eachType writes a file with a tensor of every type that can be computed
// with, quantizations and floats side by side.
func eachType(t testing.TB) ([]byte, []weights.Tensor) {
	var list []weights.Tensor
	w := NewWriter(3)
	for i := range 256 {
		d := weights.DType(i)
		if !d.Decodable() || d == weights.NF4 || d == weights.FP4 { // GGML has neither of these
			continue
		}
		x := make([]float32, 2*d.BlockSize()*3)
		for n := range x {
			x[n] = float32(n%17) - 8
		}
		tensor := weights.Tensor{Name: "w." + d.String(), DType: d, Shape: []int{3, 2 * d.BlockSize()}, Data: make([]byte, d.Bytes(len(x)))}
		if err := weights.Encode(tensor.Data, d, x); err != nil {
			t.Fatal(err)
		}
		w.AddTensor(tensor)
		list = append(list, tensor)
	}
	data, err := w.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return data, list
}

func TestEachType(t *testing.T) {
	data, want := eachType(t)
	if len(want) != 3+len(quant.Formats) {
		t.Errorf("%d types", len(want))
	}
	f, err := OpenBytes("x.gguf", data)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range want {
		got, err := f.Tensor(w.Name)
		if err != nil || got.DType != w.DType || !slices.Equal(got.Shape, w.Shape) || !bytes.Equal(got.Data, w.Data) {
			t.Errorf("%v became %v: %v", w, got, err)
		}
	}
}

// TestRowLengths: rows that are not whole blocks are refused with the name of
// the tensor and of its type, by the reader and by the writer.
func TestRowLengths(t *testing.T) {
	for _, format := range quant.Formats {
		d, _ := weights.ParseDType(format.Name)
		for _, row := range []int{1, format.Elements - 1, format.Elements + 1, format.Elements/2 + format.Elements} {
			_, err := OpenBytes("x.gguf", body(raw(3, 1, 0, "w", u32(2), u64(row), u64(format.Elements), format.Number, u64(0)), 1<<18))
			w := NewWriter(3)
			w.Add("w", d, []int{format.Elements, row}, func(io.Writer) error { return nil })
			_, wrote := w.Bytes()
			for _, err := range []error{err, wrote} {
				for _, s := range []string{`tensor "w"`, fmt.Sprintf("rows of %d", row), format.Name} {
					if err == nil || !strings.Contains(err.Error(), s) {
						t.Errorf("%s, rows of %d: %v does not say %q", format.Name, row, err, s)
					}
				}
			}
			if !errors.Is(err, weights.ErrBadModel) {
				t.Errorf("%s: %v", format.Name, err)
			}
		}
	}
}

func TestWriterErrors(t *testing.T) {
	ok := func(w io.Writer) error { _, err := w.Write(make([]byte, 8)); return err }
	failure := errors.New("source failed")
	for name, c := range map[string]struct {
		build func(w *Writer)
		says  string
	}{
		"twice":          {func(w *Writer) { w.Add("a", weights.F32, []int{2}, ok); w.Add("a", weights.F32, []int{2}, ok) }, `tensor "a": added twice`},
		"half a block":   {func(w *Writer) { w.Add("a", weights.Q8_0, []int{32, 33}, ok) }, "whole blocks"},
		"no such type":   {func(w *Writer) { w.Add("a", weights.Bool, []int{2}, ok) }, "BOOL has no place"},
		"too many bytes": {func(w *Writer) { w.Add("a", weights.F32, []int{1}, ok) }, "8 bytes written, expected 4"},
		"too few bytes":  {func(w *Writer) { w.Add("a", weights.F32, []int{3}, ok) }, "8 bytes written, expected 12"},
		"source fails":   {func(w *Writer) { w.Add("a", weights.F32, []int{2}, func(io.Writer) error { return failure }) }, "source failed"},
	} {
		w := NewWriter(3)
		c.build(w)
		path := filepath.Join(t.TempDir(), "m.gguf")
		if err := w.WriteFile(t.Context(), path); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
		if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 0 {
			t.Errorf("%s: left %v behind", name, left)
		}
	}
	if _, err := NewWriter(1).Bytes(); !errors.Is(err, weights.ErrUnsupported) {
		t.Errorf("version 1: %v", err)
	}
}

// TestWriteFile: the file appears whole, replaces the one before, and a
// cancelled write leaves that alone.
func TestWriteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := NewWriter(2)
	w.SetString("k", "v")
	w.AddTensor(weights.Tensor{Name: "a", DType: weights.F16, Shape: []int{3, 1}, Data: []byte{1, 2, 3, 4, 5, 6}})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.WriteFile(ctx, path); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "old" {
		t.Errorf("after cancelling: %q %v", data, err)
	}
	if err := w.WriteFile(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("left %v behind", left)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	a, err := f.Tensor("a")
	if err != nil || f.Version() != 2 || a.String() != `"a" F16[3, 1]` || !bytes.Equal(a.Data, []byte{1, 2, 3, 4, 5, 6}) {
		t.Errorf("version %d, %v, %v, %v", f.Version(), a, a.Data, err)
	}
	if !slices.Equal(f.Keys(), []string{"k"}) || f.Path() != path {
		t.Errorf("keys %q, path %s", f.Keys(), f.Path())
	}
	if err := w.WriteFile(t.Context(), filepath.Join(path, "below a file")); err == nil {
		t.Error("wrote below a file")
	}
}

func TestOpenFolder(t *testing.T) {
	if _, err := Open(t.TempDir()); !errors.Is(err, weights.ErrBadModel) {
		t.Error(err)
	}
}

// allocated returns the bytes that f allocates, garbage included.
func allocated(f func()) int64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

// allocatesMore reports whether f allocates more than limit, and how much. It
// looks first without stopping the world, which counts some of what was
// allocated before, and makes sure only where that is too much.
func allocatesMore(limit int64, f func()) (bytes int64, more bool) {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	before := sample[0].Value.Uint64()
	f()
	metrics.Read(sample)
	if bytes = int64(sample[0].Value.Uint64() - before); bytes > limit {
		bytes = allocated(f)
	}
	return bytes, bytes > limit
}

// Allocations may be this many times the size of a file: a key takes at least
// 16 bytes of it, and becomes a map's entry and a slice's.
const allocFactor = 40

// TestAllocations: files made to cost memory cost a small multiple of their size.
func TestAllocations(t *testing.T) {
	var keys, tensors, strs, nested []any
	for i := range 20000 {
		keys = append(keys, fmt.Sprintf("%x", i), typeUint8, byte(0))
		tensors = append(tensors, fmt.Sprintf("%x", i), u32(0), u32(24), u64(0))
	}
	const n = 1 << 16
	strs = append(strs, "k", typeArray, typeString, u64(n), make([]byte, 8*n))
	nested = append(nested, "k", typeArray, typeArray, u64(n))
	for range n {
		nested = append(nested, typeUint8, u64(0))
	}
	for name, data := range map[string][]byte{
		"many keys":       raw(3, 0, 20000, keys...),
		"many tensors":    body(raw(3, 20000, 0, tensors...), 20000),
		"empty strings":   raw(3, 0, 1, strs...),
		"empty arrays":    raw(3, 0, 1, nested...),
		"claims keys":     raw(3, 0, 1<<16, make([]byte, 1<<20)),
		"claims tensors":  raw(3, 1<<20, 0, make([]byte, 1<<20)),
		"claims elements": body(raw(3, 1, 0, "w", u32(2), u64(1<<31-1), u64(1<<31-1), u32(0), u64(0)), 1<<20),
	} {
		got := allocated(func() {
			if f, err := OpenBytes("x", data); err == nil {
				f.Strings("k")
			}
		})
		if limit := int64(allocFactor*len(data) + 1<<16); got > limit {
			t.Errorf("%s: %d bytes allocated for a file of %d", name, got, len(data))
		} else {
			t.Logf("%s: %.1f times the file", name, float64(got)/float64(len(data)))
		}
	}
}

func FuzzGGUF(f *testing.F) {
	for _, name := range []string{"values.gguf", "plain.gguf"} {
		data, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add(raw(2, 0, 1, "k", typeArray, typeArray, u64(1), typeString, u64(1), "x"))
	f.Add(body(raw(3, 1, 1, "general.alignment", typeUint32, u32(8), "w", u32(2), u64(32), u64(1), u32(8), u64(0)), 34))
	all, list := eachType(f)
	f.Add(all)
	for _, w := range list { // and each alone, which is short enough to be changed in all places
		one := NewWriter(3)
		one.AddTensor(weights.Tensor{Name: "w", DType: w.DType, Shape: []int{w.DType.BlockSize()}, Data: w.Data[:w.DType.BlockBytes()]})
		data, err := one.Bytes()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var file *File
		var err error
		if got, more := allocatesMore(int64(allocFactor*len(data)+1<<16), func() { file, err = OpenBytes("x", data) }); more {
			t.Fatalf("%d bytes allocated for a file of %d", got, len(data))
		}
		if err != nil {
			if !errors.Is(err, weights.ErrBadModel) && !errors.Is(err, weights.ErrUnsupported) {
				t.Fatalf("error of no kind: %v", err)
			}
			return
		}
		for _, k := range file.Keys() { // no getter may panic, whatever the type
			file.String(k)
			file.Int(k)
			file.Float(k)
			file.Bool(k)
			file.Strings(k)
			file.Int32s(k)
		}
		w := NewWriter(file.Version())
		var names []string
		for _, name := range file.Names() {
			x, err := file.Tensor(name)
			if err != nil {
				if !errors.Is(err, weights.ErrUnsupported) {
					t.Fatal(err)
				}
				continue
			}
			if int64(len(x.Data)) != x.DType.Bytes(x.Elements()) {
				t.Fatalf("%v: %d bytes", x, len(x.Data))
			}
			if x.DType.Decodable() {
				values, err := x.Float32s()
				if err != nil {
					t.Fatal(err)
				}
				if !weights.HasNaN(x.DType, x.Data) && slices.ContainsFunc(values, func(v float32) bool { return v-v != 0 }) {
					t.Fatalf("%v decodes to numbers that are not finite, unnoticed", x)
				}
			}
			names = append(names, name)
			w.AddTensor(x)
		}
		again, err := w.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		back, err := OpenBytes("x", again)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(back.Names(), names) {
			t.Fatalf("%q became %q", names, back.Names())
		}
	})
}
