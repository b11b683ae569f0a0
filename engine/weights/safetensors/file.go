package safetensors

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"kestrel/engine/weights"
)

// File is an open safetensors model: a [weights.Source] over one file or a
// set of shards.
type File struct {
	path    string
	tensors []weights.Tensor
	index   map[string]int
	meta    map[string]string
	maps    []*weights.Mapping
}

var _ weights.Source = (*File)(nil)

// Open opens a .safetensors file or a folder that holds a model in that
// format. Errors: weights.ErrBadModel, ErrUnsupported, ErrMissingTensor (a
// shard that is not there), or that of the operating system.
func Open(path string) (*File, error) {
	folder, name, err := weights.Locate(path)
	if err != nil {
		return nil, err
	}
	return OpenIn(folder, name)
}

// OpenIn is [Open] for a file of the folder, or for the folder when name is "".
func OpenIn(folder weights.Folder, name string) (*File, error) {
	if name == "" {
		var err error
		if name, err = Find(folder); err != nil {
			return nil, err
		}
	}
	f := &File{path: folder.File(name), index: make(map[string]int)}
	var err error
	if strings.HasSuffix(name, indexSuffix) {
		f.path = folder.Path()
		err = f.openShards(folder, name)
	} else {
		err = f.add(folder, name)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// OpenBytes reads a model from memory; name stands for it in messages.
func OpenBytes(name string, data []byte) (*File, error) {
	f := &File{path: name, index: make(map[string]int)}
	if err := f.parse(name, data); err != nil {
		return nil, err
	}
	return f, nil
}

const (
	singleName  = "model.safetensors"
	suffix      = ".safetensors"
	indexSuffix = ".safetensors.index.json"
)

var shardName = regexp.MustCompile(`-\d{5}-of-\d{5}\.safetensors$`)

// Find returns the name of the folder's model: model.safetensors, else the
// index, else the only .safetensors file. The error is fs.ErrNotExist when
// the folder holds none.
func Find(folder weights.Folder) (string, error) {
	if folder.Has(singleName) {
		return singleName, nil
	}
	names, err := folder.Names()
	if err != nil {
		return "", err
	}
	var files, indexes []string
	for _, n := range names {
		switch {
		case strings.HasSuffix(n, suffix):
			files = append(files, n)
		case strings.HasSuffix(n, indexSuffix):
			indexes = append(indexes, n)
		}
	}
	fail := func(kind error, problem, way string) (string, error) {
		return "", &weights.FileError{Kind: kind, File: folder.Path(), Problem: problem, Way: way}
	}
	switch {
	case len(indexes) == 1:
		return indexes[0], nil
	case len(indexes) > 1:
		return fail(weights.ErrBadModel, "more than one model: "+strings.Join(indexes, ", "), "name the file to open")
	case len(files) == 0:
		return "", fmt.Errorf("%s: no .safetensors file: %w", folder.Path(), fs.ErrNotExist)
	case shardName.MatchString(files[0]):
		return fail(weights.ErrMissingTensor, "shards without their index "+singleName+".index.json", "download the index as well")
	case len(files) > 1:
		return fail(weights.ErrBadModel, "more than one model: "+strings.Join(files, ", "), "name the file to open")
	}
	return files[0], nil
}

func (f *File) add(folder weights.Folder, name string) error {
	m, err := folder.Map(name)
	if err != nil {
		return err
	}
	f.maps = append(f.maps, m)
	return f.parse(folder.File(name), m.Data)
}

func (f *File) parse(file string, data []byte) error {
	tensors, meta, err := parse(file, data)
	if err != nil {
		return err
	}
	if len(f.index) == 0 {
		f.index = make(map[string]int, len(tensors))
	}
	f.tensors = slices.Grow(f.tensors, len(tensors))
	for _, t := range tensors {
		if i, ok := f.index[t.Name]; ok {
			return &weights.FileError{Kind: weights.ErrBadModel, File: file, Tensor: t.Name, Problem: "already in " + f.tensors[i].File}
		}
		f.index[t.Name] = len(f.tensors)
		f.tensors = append(f.tensors, t)
	}
	if f.meta == nil {
		f.meta = meta
	}
	return nil
}

// Names lists the tensors in the order of their bytes, shard by shard.
func (f *File) Names() []string {
	names := make([]string, len(f.tensors))
	for i, t := range f.tensors {
		names[i] = t.Name
	}
	return names
}

// Tensor returns the tensor of that name, or weights.ErrMissingTensor.
func (f *File) Tensor(name string) (weights.Tensor, error) {
	i, ok := f.index[name]
	if !ok {
		e := &weights.FileError{Kind: weights.ErrMissingTensor, File: f.path, Tensor: name, Problem: "not in the file"}
		if shardName.MatchString(f.path) {
			e.Way = "this is one shard of several; open the folder that holds them all"
		}
		return weights.Tensor{}, e
	}
	return f.tensors[i], nil
}

// Metadata returns the header's __metadata__ (of the first shard); it may be nil.
func (f *File) Metadata() map[string]string { return f.meta }

// Path returns the file's path, or the folder's for a model of shards.
func (f *File) Path() string { return f.path }

// Close unmaps the files.
func (f *File) Close() error {
	var errs []error
	for _, m := range f.maps {
		errs = append(errs, m.Close())
	}
	f.maps, f.tensors, f.index = nil, nil, nil
	return errors.Join(errs...)
}
