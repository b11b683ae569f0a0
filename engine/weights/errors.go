package weights

import (
	"errors"
	"strings"
)

// Kinds of error, for errors.Is.
var (
	// ErrBadModel: the file breaks its own format, or its parts disagree.
	ErrBadModel = errors.New("bad model file")
	// ErrUnsupported: the file is sound, but of a kind Kestrel does not run.
	ErrUnsupported = errors.New("unsupported model")
	// ErrMissingTensor: a tensor, or the file that should hold it, is absent.
	ErrMissingTensor = errors.New("missing tensor")
)

// FileError says what is wrong with a model file, and the way out where there
// is one. errors.Is finds its Kind and its Cause.
type FileError struct {
	Kind    error  // one of the kinds above
	File    string // path as the user knows it
	Tensor  string // "" when the file as a whole is meant
	Problem string
	Way     string // what the user can do; may be empty
	Cause   error  // underlying error, may be nil
}

func (e *FileError) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File)
		b.WriteString(": ")
	}
	if e.Tensor != "" {
		b.WriteString("tensor ")
		b.WriteString(quote(e.Tensor))
		b.WriteString(": ")
	}
	b.WriteString(e.Problem)
	if e.Cause != nil {
		b.WriteString(": ")
		b.WriteString(e.Cause.Error())
	}
	if e.Way != "" {
		b.WriteString("; ")
		b.WriteString(e.Way)
	}
	return b.String()
}

func (e *FileError) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Cause}
}
