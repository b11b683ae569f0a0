package weights

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
)

func TestTensor(t *testing.T) {
	w := Tensor{Name: "w", DType: F16, Shape: []int{3, 2, 2}, Data: make([]byte, 24)}
	for i := range w.Data {
		w.Data[i] = byte(i)
	}
	if w.Elements() != 12 || w.RowLen() != 4 || w.String() != `"w" F16[3, 2, 2]` {
		t.Errorf("%d elements, rows of %d, %v", w.Elements(), w.RowLen(), w)
	}
	if got := w.Rows(1, 2); !bytes.Equal(got, w.Data[8:24]) || cap(got) != 16 {
		t.Errorf("rows 1 and 2: %v", got)
	}
	q := Tensor{Name: "q", DType: Q8_0, Shape: []int{2, 64}, Data: make([]byte, 136)}
	if got := q.Rows(1, 1); len(got) != 68 {
		t.Errorf("a Q8_0 row of 64 takes %d bytes", len(got))
	}
	if s := (Tensor{}); s.Elements() != 1 || s.RowLen() != 1 {
		t.Error("a scalar has one element")
	}
	for _, bad := range []Tensor{
		{Name: "w", DType: F64, Shape: []int{1}, Data: make([]byte, 8), File: "f"},
		{Name: "w", DType: F32, Shape: []int{2}, Data: make([]byte, 4), File: "f"},
	} {
		if _, err := bad.Float32s(); err == nil || !strings.Contains(err.Error(), `f: tensor "w"`) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

func TestFileError(t *testing.T) {
	cause := fs.ErrNotExist
	var err error = fmt.Errorf("open: %w", &FileError{Kind: ErrMissingTensor, File: "f", Tensor: "t\x1b[31m", Problem: "gone", Cause: cause, Way: "find it"})
	if !errors.Is(err, ErrMissingTensor) || !errors.Is(err, cause) || errors.Is(err, ErrBadModel) {
		t.Error("kinds")
	}
	if got, want := err.Error(), `open: f: tensor "t\x1b[31m": gone: file does not exist; find it`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	long := (&FileError{Kind: ErrBadModel, Tensor: strings.Repeat("x", 10000), Problem: "long"}).Error()
	if len(long) > 200 {
		t.Errorf("a name of 10000 bytes makes a message of %d", len(long))
	}
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	content := bytes.Repeat([]byte("0123456789"), 1000)
	for name, data := range map[string][]byte{"file": content, "empty": nil, "pointer": []byte("version https://git-lfs.github.com/spec/v1\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	embedded, err := FSFolder(fstest.MapFS{
		"m/file": {Data: content}, "m/empty": {}, "m/pointer": {Data: []byte("version https://git-lfs.github.com/spec/v1\n")}, "m/sub/x": {},
	}, "m")
	if err != nil {
		t.Fatal(err)
	}
	for kind, folder := range map[string]Folder{"disk": OSFolder(dir), "embedded": embedded} {
		m, err := folder.Map("file")
		if err != nil || !bytes.Equal(m.Data, content) {
			t.Fatalf("%s: %v", kind, err)
		}
		if err := errors.Join(m.Close(), m.Close()); err != nil || m.Data != nil {
			t.Errorf("%s: closed twice: %v", kind, err)
		}
		if data, err := folder.Read("file", 10000); err != nil || !bytes.Equal(data, content) {
			t.Errorf("%s: %v", kind, err)
		}
		if data, err := folder.Head("file", 3); err != nil || string(data) != "012" {
			t.Errorf("%s: %q %v", kind, data, err)
		}
		if data, err := folder.Head("empty", 3); err != nil || len(data) != 0 {
			t.Errorf("%s: %q %v", kind, data, err)
		}
		if names, err := folder.Names(); err != nil || fmt.Sprint(names) != "[empty file pointer sub]" {
			t.Errorf("%s: %v %v", kind, names, err)
		}
		if !folder.Has("file") || folder.Has("none") {
			t.Errorf("%s: what it has", kind)
		}
		for name, c := range map[string]struct {
			get  func() error
			is   error
			says string
		}{
			"empty":    {func() error { _, err := folder.Map("empty"); return err }, ErrBadModel, folder.File("empty") + ": the file is empty"},
			"pointer":  {func() error { _, err := folder.Map("pointer"); return err }, ErrBadModel, "git lfs pull"},
			"pointer2": {func() error { _, err := folder.Read("pointer", 1000); return err }, ErrBadModel, "git lfs pull"},
			"none":     {func() error { _, err := folder.Map("none"); return err }, fs.ErrNotExist, folder.File("none")},
			"too long": {func() error { _, err := folder.Read("file", 9999); return err }, ErrBadModel, "10000 bytes, more than the 9999"},
			"folder":   {func() error { _, err := folder.Map("sub"); return err }, ErrBadModel, "not a regular file"},
			"parent":   {func() error { _, err := folder.Map("../file"); return err }, ErrBadModel, "leads outside"},
			"absolute": {func() error { _, err := folder.Read("/etc/passwd", 1<<20); return err }, ErrBadModel, "leads outside"},
		} {
			if err := c.get(); !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s, %s: %v", kind, name, err)
			}
		}
	}
}

// TestPipe: opening a pipe in place of a model must not wait for a writer.
func TestPipe(t *testing.T) {
	dir := t.TempDir()
	if err := mkfifo(filepath.Join(dir, "model.safetensors")); err != nil {
		t.Skip(err)
	}
	if _, err := OSFolder(dir).Map("model.safetensors"); !errors.Is(err, ErrBadModel) {
		t.Error(err)
	}
}

func TestLocate(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "m.gguf")
	if err := os.WriteFile(file, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if folder, name, err := Locate(file); err != nil || folder.Path() != dir || name != "m.gguf" {
		t.Errorf("%v %q %v", folder.Path(), name, err)
	}
	if folder, name, err := Locate(dir); err != nil || folder.Path() != dir || name != "" {
		t.Errorf("%v %q %v", folder.Path(), name, err)
	}
	if _, _, err := Locate(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "none") {
		t.Error(err)
	}
	fsys := fstest.MapFS{"a/b/m.gguf": {Data: []byte("x")}, "top": {}}
	for name, want := range map[string][2]string{".": {".", ""}, "a/b": {"a/b", ""}, "a/b/m.gguf": {"a/b", "m.gguf"}, "top": {".", "top"}} {
		if folder, file, err := LocateFS(fsys, name); err != nil || folder.Path() != want[0] || file != want[1] || file != "" && !folder.Has(file) {
			t.Errorf("%s: %v %q %v", name, folder.Path(), file, err)
		}
	}
	if _, _, err := LocateFS(fsys, "../x"); err == nil {
		t.Error("left the file system")
	}
}

func TestWriteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	put := func(s string) func(io.Writer) error {
		return func(w io.Writer) error { _, err := io.WriteString(w, s); return err }
	}
	if err := WriteFile(path, put("one")); err != nil {
		t.Fatal(err)
	}
	full := &fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}
	err := WriteFile(path, func(w io.Writer) error { return errors.Join(put("two")(w), full) })
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "one" {
		t.Errorf("after a failure: %q %v", data, err)
	}
	if err := WriteFile(path, put("three")); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if left, _ := os.ReadDir(filepath.Dir(path)); err != nil || string(data) != "three" || len(left) != 1 {
		t.Errorf("%q, %v, %v", data, left, err)
	}
	if err := WriteFile(filepath.Join(path, "x"), put("")); err == nil {
		t.Error("wrote below a file")
	}
}
