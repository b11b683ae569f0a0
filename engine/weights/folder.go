package weights

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Folder is where a model's files lie: a directory, or a place in an fs.FS
// such as an embedded one. Names are relative and stay inside it.
type Folder struct {
	fsys fs.FS
	path string // as the user knows it
}

// OSFolder returns a directory of the machine. Its files are memory-mapped.
func OSFolder(dir string) Folder {
	if abs, err := filepath.Abs(dir); err == nil && (dir == "." || dir == "") {
		dir = abs // messages should not speak of "."
	}
	return Folder{os.DirFS(dir), dir}
}

// FSFolder returns the folder dir of fsys ("." for its root). Its files are
// read into memory, except those that are files of the machine.
func FSFolder(fsys fs.FS, dir string) (Folder, error) {
	sub, err := fs.Sub(fsys, dir)
	if err != nil {
		return Folder{}, fmt.Errorf("open model folder: %w", err)
	}
	return Folder{sub, dir}, nil
}

// Path returns the folder's path as the user knows it.
func (d Folder) Path() string { return d.path }

// File returns the path of a file in it, for messages.
func (d Folder) File(name string) string {
	if d.path == "." || d.path == "" {
		return name
	}
	return filepath.Join(d.path, name)
}

// Names lists the folder's entries, sorted, without its sub-folders' contents.
func (d Folder) Names() ([]string, error) {
	entries, err := fs.ReadDir(d.fsys, ".")
	if err != nil {
		return nil, fmt.Errorf("open model folder %s: %w", d.path, err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, nil
}

// Has reports whether the folder holds a file (or folder) of that name.
func (d Folder) Has(name string) bool {
	_, err := fs.Stat(d.fsys, name)
	return err == nil
}

// Read returns a small file, of at most limit bytes. The error is
// fs.ErrNotExist where there is none.
func (d Folder) Read(name string, limit int64) ([]byte, error) {
	f, size, err := d.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if size > limit {
		return nil, &FileError{Kind: ErrBadModel, File: d.File(name), Problem: fmt.Sprintf("%d bytes, more than the %d such a file may have", size, limit)}
	}
	return d.readAll(f, name, size)
}

func (d Folder) readAll(f fs.File, name string, size int64) ([]byte, error) {
	data := make([]byte, size)
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, fmt.Errorf("read %s: %w", d.File(name), err)
	}
	return data, d.checkPointer(name, data)
}

// checkPointer recognizes what git leaves in place of a large file when
// Git LFS is not installed: the most common broken download.
func (d Folder) checkPointer(name string, data []byte) error {
	if bytes.HasPrefix(data, []byte("version https://git-lfs")) {
		return &FileError{Kind: ErrBadModel, File: d.File(name), Problem: "a Git LFS pointer, not the file itself",
			Way: "run git lfs pull in its folder, or download the file again"}
	}
	return nil
}

// Head returns the first n bytes of a file, fewer where it is shorter.
func (d Folder) Head(name string, n int) ([]byte, error) {
	f, size, err := d.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data := make([]byte, min(size, int64(n)))
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, fmt.Errorf("read %s: %w", d.File(name), err)
	}
	return data, nil
}

// Map returns the contents of a file: mapped where the machine allows it,
// else read. Mapped bytes must not be written to.
func (d Folder) Map(name string) (*Mapping, error) {
	f, size, err := d.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if size == 0 {
		return nil, &FileError{Kind: ErrBadModel, File: d.File(name), Problem: "the file is empty", Way: "download it again"}
	}
	if int64(int(size)) != size {
		return nil, &FileError{Kind: ErrUnsupported, File: d.File(name), Problem: fmt.Sprintf("%d bytes do not fit this machine's address space", size)}
	}
	if osFile, ok := f.(*os.File); ok {
		data, unmap, err := mapFile(osFile, int(size))
		if err == nil {
			m := &Mapping{Data: data, close: unmap}
			if err := d.checkPointer(name, data); err != nil {
				m.Close()
				return nil, err
			}
			return m, nil
		}
		if !errors.Is(err, errNoMap) {
			return nil, fmt.Errorf("map %s: %w", d.File(name), err)
		}
	}
	data, err := d.readAll(f, name, size)
	if err != nil {
		return nil, err
	}
	return &Mapping{Data: data}, nil
}

func (d Folder) open(name string) (fs.File, int64, error) {
	if !fs.ValidPath(name) || strings.ContainsRune(name, '\\') {
		return nil, 0, &FileError{Kind: ErrBadModel, File: d.path, Problem: fmt.Sprintf("file name %s leads outside the model's folder", quote(name))}
	}
	// Looked at before opening: opening a pipe would wait for its writer.
	info, err := fs.Stat(d.fsys, name)
	if err != nil {
		return nil, 0, d.ioError(name, err)
	}
	if !info.Mode().IsRegular() {
		return nil, 0, &FileError{Kind: ErrBadModel, File: d.File(name), Problem: "not a regular file"}
	}
	f, err := d.fsys.Open(name)
	if err != nil {
		return nil, 0, d.ioError(name, err)
	}
	if info, err = f.Stat(); err != nil {
		f.Close()
		return nil, 0, d.ioError(name, err)
	}
	return f, info.Size(), nil
}

// ioError restores the folder's path, which fs errors leave out.
func (d Folder) ioError(name string, err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return fmt.Errorf("open %s: %w", d.File(name), err)
}

// Locate splits the path of a model into a folder and the file in it; the
// file is "" when the path is a folder itself.
func Locate(p string) (Folder, string, error) {
	info, err := os.Stat(p)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return Folder{}, "", fmt.Errorf("open model %s: %w", p, err)
	}
	if info.IsDir() {
		return OSFolder(p), "", nil
	}
	return OSFolder(filepath.Dir(p)), filepath.Base(p), nil
}

// LocateFS is [Locate] for a name in fsys.
func LocateFS(fsys fs.FS, name string) (Folder, string, error) {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return Folder{}, "", fmt.Errorf("open model: %w", err)
	}
	dir, file := name, ""
	if !info.IsDir() {
		dir, file = path.Split(name)
		dir = path.Clean(dir)
	}
	folder, err := FSFolder(fsys, dir)
	return folder, file, err
}

// Mapping is the contents of one file.
type Mapping struct {
	Data  []byte
	close func() error
}

// Close gives the memory back; Data must not be used after it.
func (m *Mapping) Close() error {
	m.Data = nil
	if m.close == nil {
		return nil
	}
	unmap := m.close
	m.close = nil
	return unmap()
}

var errNoMap = errors.New("files cannot be mapped here")
