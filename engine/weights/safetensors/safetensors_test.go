package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"kestrel/engine/weights"
)

// raw is a file of the given header and body.
func raw(header string, body int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, body)...)
}

func TestRead(t *testing.T) {
	data := raw(`{"__metadata__":{"format":"pt"},
		"b":{"dtype":"BF16","shape":[2,3],"data_offsets":[8,20]},
		"a":{"shape":[],"data_offsets":[0,8],"dtype":"F64"},
		"none":{"dtype":"F32","shape":[0,5],"data_offsets":[8,8]},
		"last":{"dtype":"U8","shape":[1],"data_offsets":[20,21]}}   `, 21)
	for i := range 21 {
		data[len(data)-21+i] = byte(i)
	}
	f, err := OpenBytes("x", data)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(f.Names()), "[a none b last]"; got != want {
		t.Errorf("names %s, want %s", got, want)
	}
	b, err := f.Tensor("b")
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != `"b" BF16[2, 3]` || !bytes.Equal(b.Rows(1, 1), []byte{14, 15, 16, 17, 18, 19}) || cap(b.Data) != 12 {
		t.Errorf("got %v with row 1 %v", b, b.Rows(1, 1))
	}
	if f.Metadata()["format"] != "pt" || f.Path() != "x" {
		t.Errorf("metadata %v, path %s", f.Metadata(), f.Path())
	}
	if _, err := f.Tensor("c"); !errors.Is(err, weights.ErrMissingTensor) || !strings.Contains(err.Error(), `x: tensor "c"`) {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func TestMarshal(t *testing.T) {
	want := []weights.Tensor{
		{Name: `quote " and ü`, DType: weights.F16, Shape: []int{2, 2}, Data: []byte{1, 2, 3, 4, 5, 6, 7, 8}},
		{Name: "scalar", DType: weights.F32, Shape: nil, Data: []byte{9, 9, 9, 9}},
		{Name: "empty", DType: weights.I8, Shape: []int{0}, Data: nil},
	}
	data, err := Marshal(want, map[string]string{"k": "v"})
	if err != nil {
		t.Fatal(err)
	}
	f, err := OpenBytes("x", data)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range want {
		got, err := f.Tensor(w.Name)
		if err != nil || got.DType != w.DType || !slices.Equal(got.Shape, w.Shape) || !bytes.Equal(got.Data, w.Data) {
			t.Errorf("%v: got %v, %v", w, got, err)
		}
	}
	if _, err := Marshal([]weights.Tensor{{Name: "q", DType: weights.Q8_0, Shape: []int{32}, Data: make([]byte, 34)}}, nil); !errors.Is(err, weights.ErrUnsupported) {
		t.Errorf("Q8_0: %v", err)
	}
}

// TestBadFiles: each file is refused with the reason, and named.
func TestBadFiles(t *testing.T) {
	one := func(member string) []byte { return raw(`{"w":{`+member+`}}`, 8) }
	for _, c := range []struct {
		name, says string
		data       []byte
	}{
		{"seven bytes", "too short", []byte("1234567")},
		{"header beyond the file", "cut short", []byte("\x09\x00\x00\x00\x00\x00\x00\x00{}")},
		{"huge header", "more than the 100000000 allowed", []byte("\xff\xff\xff\xff\xff\xff\xff\xff{}")},
		{"header above the cap", "100000001 bytes, more than", append(binary.LittleEndian.AppendUint64(nil, 100_000_001), '{')},
		{"no header", "not a JSON object", raw("", 0)},
		{"an array", "not a JSON object", raw("[]", 0)},
		{"unfinished JSON", "header: ", raw(`{"w":{"dtype":"F32"`, 0)},
		{"text after the header", "3 bytes follow", raw("{} {}", 0)},
		{"not UTF-8", "not UTF-8", raw("{\"\xff\":{}}", 0)},
		{"a pickle", "more than the 100000000", []byte("PK\x03\x04\x00\x00\x08\x08\x00\x00")},
		{"duplicate tensor", `"w" is there twice`, raw(`{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"w":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2)},
		{"duplicate member", `"shape" is there twice`, one(`"dtype":"F32","shape":[2],"shape":[2],"data_offsets":[0,8]`)},
		{"no dtype", "needs dtype, shape and data_offsets", one(`"shape":[2],"data_offsets":[0,8]`)},
		{"no shape", "needs dtype, shape and data_offsets", one(`"dtype":"F32","data_offsets":[0,8]`)},
		{"null shape", "needs dtype, shape and data_offsets", one(`"dtype":"F32","shape":null,"data_offsets":[0,8]`)},
		{"unknown member", `unknown member "sparse"`, one(`"dtype":"F32","shape":[2],"data_offsets":[0,8],"sparse":1`)},
		{"other case", `unknown member "Shape"`, one(`"dtype":"F32","Shape":[2],"data_offsets":[0,8]`)},
		{"unknown dtype", `unknown dtype "F31"`, one(`"dtype":"F31","shape":[2],"data_offsets":[0,8]`)},
		{"GGML's dtype", `unknown dtype "Q8_0"`, one(`"dtype":"Q8_0","shape":[2],"data_offsets":[0,8]`)},
		{"dtype a number", "tensor \"w\"", one(`"dtype":7,"shape":[2],"data_offsets":[0,8]`)},
		{"negative dimension", "impossible shape [-2]", one(`"dtype":"F32","shape":[-2],"data_offsets":[0,8]`)},
		{"product overflows", "impossible shape", one(`"dtype":"F32","shape":[2147483647,2147483647,2147483647],"data_offsets":[0,8]`)},
		{"product wraps to the size", "impossible shape", one(`"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]`)},
		{"fraction", "tensor \"w\"", one(`"dtype":"F32","shape":[2.5],"data_offsets":[0,8]`)},
		{"number too large", "tensor \"w\"", one(`"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,8]`)},
		{"many dimensions", "17 numbers where at most 16 are allowed", one(`"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,8],"data_offsets":[0,8]`)},
		{"one offset", "1 numbers, expected 2", one(`"dtype":"F32","shape":[2],"data_offsets":[0]`)},
		{"size and shape disagree", "[3] of F32 takes 12 bytes, found 8", one(`"dtype":"F32","shape":[3],"data_offsets":[0,8]`)},
		{"end beyond the file", "bytes 0 to 9 lie outside", one(`"dtype":"U8","shape":[9],"data_offsets":[0,9]`)},
		{"end before begin", "lie outside", one(`"dtype":"U8","shape":[4],"data_offsets":[8,4]`)},
		{"negative begin", "lie outside", one(`"dtype":"U8","shape":[9],"data_offsets":[-1,8]`)},
		{"overlap", "overlap the tensor before", raw(`{"a":{"dtype":"U8","shape":[5],"data_offsets":[0,5]},"w":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}`, 8)},
		{"the same bytes twice", "overlap the tensor before", raw(`{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"w":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}`, 8)},
		{"a hole", "begins at byte 4, but the tensor before ends at 0", one(`"dtype":"U8","shape":[4],"data_offsets":[4,8]`)},
		{"bytes left over", "take 4 bytes, but the file has 8", one(`"dtype":"U8","shape":[4],"data_offsets":[0,4]`)},
		{"metadata no map", "__metadata__", raw(`{"__metadata__":5}`, 0)},
		{"tensor a number", "expected a JSON object", raw(`{"w":5}`, 0)},
	} {
		_, err := OpenBytes("dir/bad.safetensors", c.data)
		if !errors.Is(err, weights.ErrBadModel) {
			t.Errorf("%s: got %v, want ErrBadModel", c.name, err)
			continue
		}
		for _, s := range []string{"dir/bad.safetensors", c.says} {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%s: %q does not say %q", c.name, err, s)
			}
		}
	}
}

func tensorFile(names ...string) *fstest.MapFile {
	var list []weights.Tensor
	for _, n := range names {
		list = append(list, weights.Tensor{Name: n, DType: weights.U8, Shape: []int{1}, Data: []byte{1}})
	}
	data, err := Marshal(list, nil)
	if err != nil {
		panic(err)
	}
	return &fstest.MapFile{Data: data}
}

func text(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }

func open(t *testing.T, files fstest.MapFS, name string) (*File, error) {
	t.Helper()
	folder, err := weights.FSFolder(files, ".")
	if err != nil {
		t.Fatal(err)
	}
	return OpenIn(folder, name)
}

const indexFile = "model.safetensors.index.json"

func TestShards(t *testing.T) {
	files := fstest.MapFS{
		indexFile:         text(`{"metadata":{"total_size":3},"weight_map":{"a":"m-2.safetensors","b":"m-1.safetensors","c":"sub/m-3.safetensors"}}`),
		"m-1.safetensors": tensorFile("b"), "m-2.safetensors": tensorFile("a"), "sub/m-3.safetensors": tensorFile("c"),
	}
	f, err := open(t, files, "")
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(f.Names()); got != "[a b c]" {
		t.Error(got)
	}
	if c, err := f.Tensor("c"); err != nil || c.File != filepath.Join("sub", "m-3.safetensors") {
		t.Errorf("%v in %s: %v", c, c.File, err)
	}
}

func TestBadFolders(t *testing.T) {
	index := func(weightMap string) *fstest.MapFile { return text(`{"weight_map":` + weightMap + `}`) }
	a := tensorFile("a")
	for _, c := range []struct {
		name  string
		files fstest.MapFS
		kind  error
		says  string
	}{
		{"nothing", fstest.MapFS{"x": text("")}, fs.ErrNotExist, "no .safetensors file"},
		{"missing shard", fstest.MapFS{indexFile: index(`{"a":"m.safetensors","b":"n.safetensors"}`), "m.safetensors": a}, weights.ErrMissingTensor, "n.safetensors"},
		{"missing tensor", fstest.MapFS{indexFile: index(`{"a":"m.safetensors","b":"m.safetensors"}`), "m.safetensors": a}, weights.ErrMissingTensor, `m.safetensors: tensor "b"`},
		{"in the other shard", fstest.MapFS{indexFile: index(`{"a":"n.safetensors","b":"m.safetensors"}`), "m.safetensors": a, "n.safetensors": tensorFile("b")}, weights.ErrBadModel, `tensor "a"`},
		{"in two shards", fstest.MapFS{indexFile: index(`{"a":"m.safetensors","b":"n.safetensors"}`), "m.safetensors": a, "n.safetensors": tensorFile("a", "b")}, weights.ErrBadModel, `tensor "a": already in m.safetensors`},
		{"parent folder", fstest.MapFS{indexFile: index(`{"a":"../m.safetensors"}`)}, weights.ErrBadModel, `"../m.safetensors" leads outside`},
		{"parent inside", fstest.MapFS{indexFile: index(`{"a":"x/../../m.safetensors"}`)}, weights.ErrBadModel, "leads outside"},
		{"absolute", fstest.MapFS{indexFile: index(`{"a":"/etc/m.safetensors"}`)}, weights.ErrBadModel, "leads outside"},
		{"drive", fstest.MapFS{indexFile: index(`{"a":"C:m.safetensors"}`)}, weights.ErrBadModel, "leads outside"},
		{"backslash", fstest.MapFS{indexFile: index(`{"a":"..\\m.safetensors"}`)}, weights.ErrBadModel, "leads outside"},
		{"empty name", fstest.MapFS{indexFile: index(`{"a":""}`)}, weights.ErrBadModel, "leads outside"},
		{"another file", fstest.MapFS{indexFile: index(`{"a":"passwd"}`)}, weights.ErrBadModel, "not a .safetensors file"},
		{"a folder", fstest.MapFS{indexFile: index(`{"a":"d.safetensors"}`), "d.safetensors/x": text("")}, weights.ErrBadModel, "d.safetensors: not a regular file"},
		{"index no JSON", fstest.MapFS{indexFile: text("<html>")}, weights.ErrBadModel, indexFile},
		{"index empty", fstest.MapFS{indexFile: text("{}")}, weights.ErrBadModel, "no weight_map"},
		{"index an array", fstest.MapFS{indexFile: text(`{"weight_map":[]}`)}, weights.ErrBadModel, "expected a JSON object"},
		{"weight_map twice", fstest.MapFS{indexFile: text(`{"weight_map":{"a":"m.safetensors"},"weight_map":{}}`)}, weights.ErrBadModel, "weight_map is there twice"},
		{"tensor twice", fstest.MapFS{indexFile: index(`{"a":"m.safetensors","a":"m.safetensors"}`)}, weights.ErrBadModel, `tensor "a" is there twice`},
		{"file a number", fstest.MapFS{indexFile: index(`{"a":1}`)}, weights.ErrBadModel, `tensor "a"`},
		{"shards without index", fstest.MapFS{"model-00001-of-00002.safetensors": a}, weights.ErrMissingTensor, indexFile},
		{"two models", fstest.MapFS{"x.safetensors": a, "y.safetensors": a}, weights.ErrBadModel, "more than one model: x.safetensors, y.safetensors"},
		{"empty file", fstest.MapFS{"model.safetensors": text("")}, weights.ErrBadModel, "model.safetensors: the file is empty"},
		{"Git LFS pointer", fstest.MapFS{"model.safetensors": text("version https://git-lfs.github.com/spec/v1\noid sha256:00\n")}, weights.ErrBadModel, "git lfs pull"},
	} {
		_, err := open(t, c.files, "")
		if !errors.Is(err, c.kind) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.kind)
		} else if !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %q does not say %q", c.name, err, c.says)
		}
	}
}

// TestFiles opens from disk, where files are mapped.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "model-00001-of-00002.safetensors")
	if err := os.WriteFile(path, tensorFile("a").Data, 0o444); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Tensor("b"); !errors.Is(err, weights.ErrMissingTensor) || !strings.Contains(err.Error(), "one shard of several") {
		t.Error(err)
	}
	if err := errors.Join(f.Close(), f.Close()); err != nil {
		t.Errorf("closing twice: %v", err)
	}
	if _, err := Open(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), dir) {
		t.Error(err)
	}
	link := filepath.Join(dir, "model.safetensors") // as the hub's cache has them
	if err := os.Symlink(path, link); err != nil {
		t.Skip(err)
	}
	if f, err = Open(dir); err != nil || f.Path() != link {
		t.Fatal(err)
	}
	f.Close()
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

// Allocations may be this many times the size of a file: a tensor takes at
// least 50 bytes of the header, and becomes two structs and a map's entry.
const allocFactor = 40

// TestAllocations: files made to cost memory cost a small multiple of their size.
func TestAllocations(t *testing.T) {
	list := func(item string, n int) string { return strings.Repeat(item+",", n-1) + item }
	var many strings.Builder
	for i := range 20000 {
		fmt.Fprintf(&many, `"%x":{"dtype":"U8","shape":[],"data_offsets":[%d,%d]},`, i, i, i+1)
	}
	for name, data := range map[string][]byte{
		"many tensors":      raw("{"+strings.TrimSuffix(many.String(), ",")+"}", 20000),
		"long shape":        raw(`{"w":{"dtype":"U8","data_offsets":[0,1],"shape":[`+list("1", 1<<19)+`]}}`, 1),
		"long metadata":     raw(`{"__metadata__":{`+list(`"":""`, 1<<17)+`}}`, 0),
		"deep nesting":      raw(`{"__metadata__":`+strings.Repeat(`{"":`, 1<<18), 0),
		"long name":         raw(`{"`+strings.Repeat("x", 1<<20)+`":5}`, 0),
		"claims many bytes": raw(`{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,9223372036854775807]}}`, 1<<20),
		"claims elements":   raw(`{"w":{"dtype":"U8","shape":[2147483647,2147483647],"data_offsets":[0,4611686014132420609]}}`, 1<<20),
	} {
		if got, limit := allocated(func() { OpenBytes("x", data) }), int64(allocFactor*len(data)+1<<16); got > limit {
			t.Errorf("%s: %d bytes allocated for a file of %d", name, got, len(data))
		} else {
			t.Logf("%s: %.1f times the file", name, float64(got)/float64(len(data)))
		}
	}
}

func FuzzSafetensors(f *testing.F) {
	f.Add(raw(`{"w":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}}`, 8))
	f.Add(raw(`{"__metadata__":{"a":"b"},"w":{"dtype":"BF16","shape":[],"data_offsets":[0,2]},"v":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}`, 2))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var file *File
		var err error
		if got, more := allocatesMore(int64(allocFactor*len(data)+1<<16), func() { file, err = OpenBytes("x", data) }); more {
			t.Fatalf("%d bytes allocated for a file of %d", got, len(data))
		}
		if err != nil {
			if !errors.Is(err, weights.ErrBadModel) {
				t.Fatalf("error of no kind: %v", err)
			}
			return
		}
		// What opens must be usable, and survive being written again.
		var list []weights.Tensor
		for _, name := range file.Names() {
			w, err := file.Tensor(name)
			if err != nil || int64(len(w.Data)) != w.DType.Bytes(w.Elements()) {
				t.Fatalf("%v: %d bytes, %v", w, len(w.Data), err)
			}
			if w.DType.Decodable() {
				if _, err := w.Float32s(); err != nil {
					t.Fatal(err)
				}
			}
			list = append(list, w)
		}
		again, err := Marshal(list, file.Metadata())
		if err != nil {
			t.Fatal(err)
		}
		back, err := OpenBytes("x", again)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(back.Names(), file.Names()) {
			t.Fatalf("%q became %q", file.Names(), back.Names())
		}
	})
}

func FuzzIndex(f *testing.F) {
	f.Add([]byte(`{"metadata":{"total_size":1},"weight_map":{"a":"m.safetensors","b":"n.safetensors"}}`))
	f.Add([]byte(`{"weight_map":{"a":"../m.safetensors"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		files := fstest.MapFS{indexFile: {Data: data}, "m.safetensors": tensorFile("a"), "n.safetensors": tensorFile("b")}
		folder, err := weights.FSFolder(files, ".")
		if err != nil {
			t.Fatal(err)
		}
		ix, err := parseIndex(indexFile, data)
		if err != nil {
			if !errors.Is(err, weights.ErrBadModel) {
				t.Fatalf("error of no kind: %v", err)
			}
			return
		}
		for _, shard := range ix.shards {
			if !filepath.IsLocal(shard) {
				t.Fatalf("%q leaves the folder", shard)
			}
		}
		if file, err := OpenIn(folder, indexFile); err == nil {
			for _, n := range ix.names {
				if _, err := file.Tensor(n); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}
