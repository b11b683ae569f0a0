package gguf

import (
	"fmt"
	"slices"

	"kestrel/engine/weights"
)

// File is an open GGUF file: a [weights.Source], and its metadata.
// It may be used from several goroutines until Close.
type File struct {
	path    string
	version uint32
	values  []value        // the metadata
	keys    map[string]int // where in values
	tensors []info
	index   map[string]int // where in tensors
	mapping *weights.Mapping
}

var _ weights.Source = (*File)(nil)

// Open opens a GGUF file. Errors: weights.ErrBadModel, weights.ErrUnsupported,
// or that of the operating system.
func Open(path string) (*File, error) {
	folder, name, err := weights.Locate(path)
	if err != nil {
		return nil, err
	}
	if name == "" {
		return nil, &weights.FileError{Kind: weights.ErrBadModel, File: path, Problem: "a folder, not a GGUF file", Way: "name the file in it"}
	}
	return OpenIn(folder, name)
}

// OpenIn is [Open] for a file of the folder.
func OpenIn(folder weights.Folder, name string) (*File, error) {
	m, err := folder.Map(name)
	if err != nil {
		return nil, err
	}
	f, err := OpenBytes(folder.File(name), m.Data)
	if err != nil {
		m.Close()
		return nil, err
	}
	f.mapping = m
	return f, nil
}

// OpenBytes reads a file from memory; name stands for it in messages.
func OpenBytes(name string, data []byte) (*File, error) {
	f := &File{path: name}
	if err := f.parse(data); err != nil {
		return nil, err
	}
	return f, nil
}

// Version returns the version of the format, 2 or 3.
func (f *File) Version() int { return int(f.version) }

// Names lists the tensors in the order of the header.
func (f *File) Names() []string {
	names := make([]string, len(f.tensors))
	for i, t := range f.tensors {
		names[i] = t.name
	}
	return names
}

// Tensor returns the tensor of that name. Errors: weights.ErrMissingTensor,
// and weights.ErrUnsupported for a quantization Kestrel does not decode.
func (f *File) Tensor(name string) (weights.Tensor, error) {
	i, ok := f.index[name]
	if !ok {
		return weights.Tensor{}, &weights.FileError{Kind: weights.ErrMissingTensor, File: f.path, Tensor: name, Problem: "not in the file"}
	}
	t := f.tensors[i]
	d := ggmlTypes[t.kind].dtype
	if d == weights.Invalid {
		return weights.Tensor{}, &weights.FileError{Kind: weights.ErrUnsupported, File: f.path, Tensor: name,
			Problem: fmt.Sprintf("quantization %v", t.kind), Way: "use the model in F16, BF16, Q8_0, Q6_K, Q5_K or Q4_K"}
	}
	return weights.Tensor{Name: name, DType: d, Shape: slices.Clone(t.shape), Data: t.data, File: f.path}, nil
}

// Path returns the path the file was opened from.
func (f *File) Path() string { return f.path }

// Close unmaps the file; no tensor's Data may be used after it. What the
// getters of the metadata returned are copies and stay.
func (f *File) Close() error {
	f.tensors, f.index, f.values, f.keys = nil, nil, nil, nil
	if f.mapping == nil {
		return nil
	}
	m := f.mapping
	f.mapping = nil
	return m.Close()
}
