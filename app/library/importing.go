package library

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kestrel/engine/checkpoint"
)

// ImportOptions are those of [Library.Import].
type ImportOptions struct {
	Name     string // "" for that of the file or folder
	Copy     bool   // copy the files into the library, rather than note where they lie
	Progress func(Progress)
}

// Import registers the model at a path: a folder in the Hugging Face layout,
// a .safetensors file beside its config.json, or a GGUF file. Its files stay
// where they are unless Copy asks otherwise; they are read once, for the hashes
// that Verify compares later. Importing the same path again takes up what
// changed. The error is that of checkpoint.Open, ErrBadName, ErrExists or
// ErrBusy.
func (l *Library) Import(ctx context.Context, file string, o ImportOptions) (*Entry, error) {
	abs, err := filepath.Abs(file)
	if err != nil {
		return nil, named("import", file, err)
	}
	m, err := l.survey(abs)
	if err != nil {
		return nil, err
	}
	if o.Name != "" {
		m.Name = o.Name
	}
	if err := checkName(m.Name); err != nil {
		return nil, named("import", file, err)
	}
	lock, err := l.lock(m.Name)
	if err != nil {
		return nil, named("import", m.Name, err)
	}
	defer lock.release()
	l.sweep()
	old, err := l.manifestOf(m.Name)
	if err != nil {
		return nil, named("import", m.Name, err)
	}
	if o.Copy {
		m.Source.Kind = Copy
	}
	again := old != nil && old.Source.Path == m.Source.Path && old.Source.Kind == m.Source.Kind && (!o.Copy || old.State == Partial)
	if old != nil && !again {
		return nil, &Error{Op: "import", Name: m.Name, Kind: ErrExists, Problem: "a model of this name is in the library", Way: "choose another name, or remove that one"}
	}
	meter := newMeter(o.Progress, time.Now)
	defer meter.close()
	folder := l.folder(m.Name)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, named("import", m.Name, diskError(err))
	}
	if err := l.take(ctx, m, folder, meter); err != nil {
		if old == nil && m.State != Partial {
			os.Remove(folder) // empty, else it stays
		}
		return nil, named("import", m.Name, err)
	}
	m.State = Complete
	if err := m.write(folder); err != nil {
		return nil, named("import", m.Name, err)
	}
	return l.entry(folder)
}

// survey opens a model and lists the files it consists of, as a reference.
func (l *Library) survey(abs string) (*Manifest, error) {
	ck, err := checkpoint.Open(abs)
	if err != nil {
		return nil, err
	}
	defer ck.Close()
	info, err := os.Stat(abs)
	if err != nil {
		return nil, err
	}
	if rel, err := filepath.Rel(l.dir, abs); err == nil && filepath.IsLocal(rel) {
		return nil, &Error{Op: "import", Name: abs, Kind: ErrExists, Problem: "it lies in the library already"}
	}
	m := &Manifest{Name: ck.Files.Name, Format: Safetensors, Root: abs, Source: Source{Kind: Reference, Path: abs}}
	if !info.IsDir() {
		m.Root, m.Open = filepath.Split(abs)
		m.Root = filepath.Clean(m.Root)
	}
	var names []string
	for _, t := range ck.Tensors() {
		if t.File == "" { // zeros that stand for an absent bias
			continue
		}
		rel, err := filepath.Rel(m.Root, t.File)
		if err != nil {
			return nil, fmt.Errorf("import %s: %w", abs, err)
		}
		names = append(names, filepath.ToSlash(rel))
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) == 1 && startsGGUF(filepath.Join(m.Root, filepath.FromSlash(names[0]))) {
		m.Format = GGUF
		m.Name = strings.TrimSuffix(filepath.Base(names[0]), path.Ext(names[0]))
	} else if names, err = beside(m.Root, names); err != nil {
		return nil, err
	}
	for _, name := range names {
		info, err := os.Stat(filepath.Join(m.Root, filepath.FromSlash(name)))
		if err != nil {
			return nil, fmt.Errorf("import %s: %w", abs, err)
		}
		m.Files = append(m.Files, File{Name: name, Size: info.Size()})
	}
	return m, nil
}

func startsGGUF(file string) bool {
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	magic := make([]byte, 4)
	_, err = io.ReadFull(f, magic)
	return err == nil && string(magic) == "GGUF"
}

// beside adds what is read along with safetensors: the companions, and the
// index of shards with every shard that it names.
func beside(root string, names []string) ([]string, error) {
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if isCompanion(e.Name()) {
			names = append(names, e.Name())
		}
	}
	if len(names) > 0 && !slices.Contains(names, singleName) && slices.ContainsFunc(names, shardForm.MatchString) {
		data, err := os.ReadFile(filepath.Join(root, indexName))
		if err == nil {
			all, err := shards(data)
			if err != nil {
				return nil, err
			}
			names = append(append(names, all...), indexName)
		} else if !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// take hashes the files of a reference, or copies them into the folder.
func (l *Library) take(ctx context.Context, m *Manifest, folder string, meter *meter) error {
	from := m.Root
	if m.Source.Kind == Copy {
		m.Root, m.State = "copy/"+path.Base(filepath.ToSlash(from)), Partial
		if checkPath(m.Root) != nil {
			m.Root = "copy/model"
		}
		for _, f := range m.Files {
			if err := checkPath(f.Name); err != nil {
				return err
			}
		}
		free, err := l.free(folder)
		if err != nil {
			return err
		}
		if m.Size() > free-margin {
			return &Error{Kind: ErrNoSpace, Problem: fmt.Sprintf("the copy takes %s, but the disk has %s free", sizeText(m.Size()), sizeText(max(free, 0))),
				Way: "make room, or import without copying", Need: m.Size(), Free: max(free, 0)}
		}
		if err := m.write(folder); err != nil {
			return err
		}
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return diskError(err)
	}
	defer root.Close()
	stage := Hashing
	if m.Source.Kind == Copy {
		stage = Copying
	}
	meter.stage(stage, m.Size())
	for i := range m.Files {
		f := &m.Files[i]
		source := filepath.Join(from, filepath.FromSlash(f.Name))
		each := func(n int64) { meter.add(f.Name, n) }
		var s sums
		if m.Source.Kind == Copy {
			s, err = copyFile(ctx, root, path.Join(m.Root, f.Name), source, each)
		} else {
			s, err = hashFile(ctx, source, f.Size, false, each)
		}
		if err != nil {
			return inFile(f.Name, err)
		}
		if s.size != f.Size {
			return &Error{File: f.Name, Kind: ErrCorrupt, Problem: "it changed while it was read", Way: "import it when nothing writes to it"}
		}
		f.SHA256 = s.sha256
	}
	_ = root.RemoveAll(partsFolder) // of an import that was cut short
	return nil
}

// copyFile copies a file into the folder; it gets its name when all of it is
// on the disk.
func copyFile(ctx context.Context, root *os.Root, dest, source string, each func(int64)) (sums, error) {
	r, err := os.Open(source)
	if err != nil {
		return sums{}, err
	}
	defer r.Close()
	if err := root.MkdirAll(partsFolder, 0o755); err != nil {
		return sums{}, diskError(err)
	}
	const part = partsFolder + "/copy.part"
	w, err := root.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return sums{}, diskError(err)
	}
	s, err := hashing(ctx, r, w, 0, false, each)
	if err == nil {
		err = w.Sync()
	}
	if closed := w.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = root.MkdirAll(path.Dir(dest), 0o755)
	}
	if err == nil {
		err = root.Rename(part, dest)
	}
	if err != nil {
		_ = root.Remove(part)
		return s, err
	}
	syncFolder(root, path.Dir(dest))
	return s, nil
}
