package document

import (
	"errors"
	"io/fs"
)

// The kinds of failure, for errors.Is.
var (
	ErrMissing   = errors.New("no such file")
	ErrFolder    = errors.New("a folder")
	ErrEmpty     = errors.New("an empty file")
	ErrFormat    = errors.New("unknown format") // also binary files
	ErrEncoding  = errors.New("unknown text encoding")
	ErrBroken    = errors.New("a damaged file")
	ErrEncrypted = errors.New("an encrypted file")
	ErrNoText    = errors.New("no text") // such as scanned pages
	ErrBomb      = errors.New("a file that unpacks to far more than it is")
	ErrTooLarge  = errors.New("too large")
	ErrTimeout   = errors.New("too slow")
	ErrChanged   = errors.New("the file changed while it was read")
	ErrRead      = errors.New("cannot be read") // the disk or the system refused
)

// Error says what is wrong with a document and what can be done.
type Error struct {
	Name string // the file
	Kind error  // one of the Err… above
	What string // a sentence without its end
	Way  string // the way out; "" if there is none
	Err  error  // the cause; may be nil
}

func (e *Error) Error() string {
	s := e.Name + ": " + e.What
	if e.Err != nil {
		s += " (" + e.Err.Error() + ")"
	}
	if e.Way != "" {
		s += ": " + e.Way
	}
	return s
}

// Unwrap returns the kind and the cause.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}

// readError is what the system said about a file.
func readError(name string, err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		err = p.Err // the message names the file already
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &Error{Name: name, Kind: ErrMissing, What: "there is no such file", Way: "check its name", Err: err}
	case errors.Is(err, fs.ErrPermission):
		return &Error{Name: name, Kind: ErrRead, What: "the file may not be read", Way: "ask its owner for the right to read it", Err: err}
	}
	return &Error{Name: name, Kind: ErrRead, What: "the file cannot be read", Way: "check the disk and that the file is still there", Err: err}
}
