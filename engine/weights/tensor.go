package weights

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// Tensor is a view of one tensor of a file.
type Tensor struct {
	Name  string
	DType DType
	Shape []int  // slowest dimension first; a matrix is [out, in]
	Data  []byte // row-major, little-endian; mapped read-only, valid until the Source is closed. nil where it is Computed: see Load
	File  string // the file that holds it

	From []Tensor // what a computed tensor is made of
	rows RowsFunc // nil unless computed

	encodes bool // made by As
}

// Source is an open model file, or a set of files that make one model.
// It may be used from several goroutines until Close.
type Source interface {
	// Names lists the tensors in the order of the file.
	Names() []string
	// Tensor returns a tensor by name. Errors: ErrMissingTensor, and
	// ErrUnsupported for an element type Kestrel has no name for.
	Tensor(name string) (Tensor, error)
	// Path is the file or folder the source was opened from.
	Path() string
	// Close unmaps the files; no tensor's Data may be used after it.
	Close() error
}

// Elements returns the product of the shape, 1 for a scalar.
func (t Tensor) Elements() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// RowLen returns the elements of one row: the product of all dimensions but
// the first.
func (t Tensor) RowLen() int {
	n := 1
	for i := 1; i < len(t.Shape); i++ {
		n *= t.Shape[i]
	}
	return n
}

// Rows returns the bytes of n rows from row i on. It panics, as slicing does,
// when the rows are not all in the tensor's Data.
func (t Tensor) Rows(i, n int) []byte {
	row := t.DType.Bytes(t.RowLen())
	lo, hi := int64(i)*row, int64(i+n)*row
	return t.Data[lo:hi:hi]
}

// Float32s returns a decoded copy of the whole tensor. It fails with
// ErrUnsupported for a type that [Decode] does not know.
func (t Tensor) Float32s() ([]float32, error) {
	if !t.DType.Decodable() {
		return nil, &FileError{Kind: ErrUnsupported, File: t.File, Tensor: t.Name,
			Problem: fmt.Sprintf("stored as %v, which Kestrel does not compute with", t.DType),
			Way:     "convert the model to F32, F16 or BF16"}
	}
	t, err := t.Load(context.Background(), nil)
	if err != nil {
		return nil, err
	}
	out := make([]float32, t.Elements())
	if err := Decode(out, t.DType, t.Data); err != nil {
		return nil, &FileError{Kind: ErrBadModel, File: t.File, Tensor: t.Name, Problem: "cannot decode", Cause: err}
	}
	return out, nil
}

// String describes the tensor: name, type and shape.
func (t Tensor) String() string {
	return fmt.Sprintf("%s %v%s", quote(t.Name), t.DType, ShapeString(t.Shape))
}

// ShapeString writes a shape as "[8192, 16]".
func ShapeString(shape []int) string {
	s := make([]string, len(shape))
	for i, d := range shape {
		s[i] = strconv.Itoa(d)
	}
	return "[" + strings.Join(s, ", ") + "]"
}

// quote shows a name from a file; an absurdly long one is cut.
func quote(name string) string {
	if len(name) > 120 {
		return strconv.Quote(name[:120]) + "…"
	}
	return strconv.Quote(name)
}
