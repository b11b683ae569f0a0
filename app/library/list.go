package library

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"kestrel/engine/checkpoint"
)

// Entry is a model of the library as it lies on the disk.
type Entry struct {
	Manifest
	Folder string // of the manifest
	Path   string // what engine.Open and checkpoint.Open take
	Have   int64  // bytes on the disk, parts included; of Size()
	Err    error  // why it cannot be used although it should: damaged manifest, missing files
}

// Ready reports whether the model can be opened.
func (e *Entry) Ready() bool { return e.Err == nil && e.State == Complete }

// root is the folder of the model's files.
func (e *Entry) root() string {
	if e.Source.Kind == Reference {
		return e.Root
	}
	return filepath.Join(e.Folder, filepath.FromSlash(e.Root))
}

// entry looks at a model's folder. The error is fs.ErrNotExist where it holds
// no manifest.
func (l *Library) entry(folder string) (*Entry, error) {
	m, err := readManifest(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err != nil {
		return &Entry{Manifest: Manifest{Name: filepath.Base(folder)}, Folder: folder, Err: err}, nil
	}
	e := &Entry{Manifest: *m, Folder: folder}
	e.Path = filepath.Join(e.root(), filepath.FromSlash(m.Open))
	if folderName(m.Name) != filepath.Base(folder) {
		e.Err = &Error{Kind: ErrBadManifest, Problem: "it lies in the folder " + folder + ", not its own", Way: "rename that to " + folderName(m.Name)}
	}
	for _, f := range m.Files {
		info, err := os.Stat(filepath.Join(e.root(), filepath.FromSlash(f.Name)))
		switch {
		case err == nil && info.Mode().IsRegular() && info.Size() == f.Size:
			e.Have += f.Size
		case m.State == Partial:
			if info, err := os.Stat(filepath.Join(folder, partsFolder, f.part())); err == nil {
				e.Have += min(info.Size(), f.Size)
			}
		case e.Err == nil:
			e.Err = damaged(e, f, info, err)
		}
	}
	return e, nil
}

func damaged(e *Entry, f File, info fs.FileInfo, err error) error {
	problem := "is not there"
	if err == nil {
		problem = fmt.Sprintf("has %d bytes, not %d", info.Size(), f.Size)
	} else if !errors.Is(err, fs.ErrNotExist) {
		problem = err.Error()
	}
	way := "'kestrel model pull " + e.Name + "' fetches it again"
	switch e.Source.Kind {
	case Reference:
		way = "put it back, or import the model again"
	case Copy:
		way = "remove the model and import it again"
	}
	return &Error{Name: e.Name, Kind: ErrNotComplete, File: f.Name, Problem: problem, Way: way}
}

// List returns the models by name, also those that are there in part or
// damaged. The parts of a model that is there and being updated do not count.
func (l *Library) List() ([]*Entry, error) {
	dirs, err := os.ReadDir(l.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list models: %w", err)
	}
	var list []*Entry
	for _, d := range dirs {
		folder := filepath.Join(l.dir, d.Name())
		if info, err := os.Stat(folder); err != nil || !info.IsDir() || strings.HasPrefix(d.Name(), ".") {
			continue
		}
		e, err := l.entry(folder)
		if errors.Is(err, fs.ErrNotExist) { // nothing of ours, or a pull that has just begun
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list models: %w", err)
		}
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b *Entry) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(a.Name, b.Name))
	})
	return list, nil
}

// Find returns the model of that name: the whole name, or the repository's or
// file's own name where only one model has it; letter case counts only where
// it decides. The error is ErrNotFound or ErrAmbiguous.
func (l *Library) Find(name string) (*Entry, error) {
	list, err := l.List()
	if err != nil {
		return nil, err
	}
	if r, err := ParseRef(name); err == nil { // @main and the like
		if i := slices.IndexFunc(list, func(e *Entry) bool { return e.Name == r.Name() }); i >= 0 {
			return list[i], nil
		}
	}
	for _, same := range []func(*Entry) bool{
		func(e *Entry) bool { return e.Name == name },
		func(e *Entry) bool { return strings.EqualFold(e.Name, name) },
		func(e *Entry) bool { return slices.Contains(e.shortNames(), name) },
		func(e *Entry) bool {
			return slices.ContainsFunc(e.shortNames(), func(s string) bool { return strings.EqualFold(s, name) })
		},
	} {
		var found []*Entry
		for _, e := range list {
			if same(e) {
				found = append(found, e)
			}
		}
		if len(found) == 1 {
			return found[0], nil
		}
		if len(found) > 1 {
			var names []string
			for _, e := range found {
				names = append(names, e.Name)
			}
			return nil, &Error{Name: name, Kind: ErrAmbiguous, Problem: "several models have this name: " + strings.Join(names, ", "), Way: "give the whole name"}
		}
	}
	return nil, &Error{Name: name, Kind: ErrNotFound, Problem: "no model of this name is in the library", Way: "'kestrel model list' shows those that are"}
}

// shortNames are the names a model goes by, besides its own: the repository's
// without its owner, the file's with and without its ending.
func (e *Entry) shortNames() []string {
	var names []string
	if e.Source.Repo != "" && (e.Source.Revision == "" || e.Source.Revision == mainRevision) && !strings.Contains(e.Name, ":") {
		names = append(names, path.Base(e.Source.Repo))
	}
	if e.Source.File != "" {
		base := path.Base(e.Source.File)
		names = append(names, base, base[:len(base)-len(path.Ext(base))])
	}
	return names
}

// Resolve returns the path of the model of that name, for engine.Open. The
// error is that of Find, ErrNotComplete for a model that is there in part, or
// what is wrong with it.
func (l *Library) Resolve(name string) (string, error) {
	e, err := l.Find(name)
	switch {
	case err != nil:
		return "", err
	case e.Err != nil:
		return "", e.Err
	case e.State != Complete:
		return "", &Error{Name: e.Name, Kind: ErrNotComplete, Problem: fmt.Sprintf("only %s of %s are here", sizeText(e.Have), sizeText(e.Size())), Way: e.resume()}
	}
	return e.Path, nil
}

// resume is how to complete the model.
func (e *Entry) resume() string {
	if e.Source.Kind == Hub {
		return "'kestrel model pull " + e.Name + "' goes on with it"
	}
	return "import " + e.Source.Path + " again"
}

// Details is what a model's files say of it.
type Details struct {
	*Entry
	Config      checkpoint.Config
	Parameters  int64
	WeightBytes int64
}

// Info opens the files of a model, as for loading, and returns what they hold.
func (l *Library) Info(name string) (*Details, error) {
	p, err := l.Resolve(name)
	if err != nil {
		return nil, err
	}
	e, err := l.Find(name)
	if err != nil {
		return nil, err
	}
	ck, err := checkpoint.Open(p)
	if err != nil {
		return nil, err
	}
	defer ck.Close()
	d := &Details{Entry: e, Config: ck.Config}
	for _, t := range ck.Tensors() {
		d.Parameters += int64(t.Elements())
		d.WeightBytes += t.Size()
	}
	return d, nil
}

// Remove deletes a model and returns how many bytes that freed. Of a reference
// only the library's note goes; the files where they lie stay. The error is
// ErrBusy while another process pulls the model.
func (l *Library) Remove(name string) (freed int64, err error) {
	e, err := l.Find(name)
	if err != nil {
		return 0, named("remove", name, err)
	}
	lock, err := l.lock(e.Name)
	if err != nil {
		return 0, named("remove", e.Name, err)
	}
	defer lock.release()
	if e.Source.Kind != Reference {
		freed = e.Have
	}
	// Out of the way first: a removal that is cut short leaves no half model.
	trash, err := os.MkdirTemp(l.dir, trashPrefix)
	if err != nil {
		return 0, named("remove", e.Name, err)
	}
	if err := os.Rename(e.Folder, filepath.Join(trash, filepath.Base(e.Folder))); err != nil {
		os.Remove(trash)
		return 0, named("remove", e.Name, err)
	}
	if err := os.RemoveAll(trash); err != nil {
		return 0, &Error{Op: "remove", Name: e.Name, Problem: "it is out of the library, but some files could not be deleted", Cause: err, Way: "delete " + trash}
	}
	l.sweep()
	return freed, nil
}

// sweep deletes what removals that were cut short left.
func (l *Library) sweep() {
	old, _ := filepath.Glob(filepath.Join(l.dir, trashPrefix+"*"))
	for _, dir := range old {
		_ = os.RemoveAll(dir) // the next one tries again
	}
}
