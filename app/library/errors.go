package library

import (
	"errors"
	"strings"
)

// Kinds of error, for errors.Is. A model that Kestrel does not run is
// weights.ErrUnsupported.
var (
	ErrNotFound    = errors.New("not found")             // no such model, repository, revision or file
	ErrNotComplete = errors.New("not complete")          // the model is there in part
	ErrAmbiguous   = errors.New("ambiguous name")        // several models have it
	ErrExists      = errors.New("exists already")        // the name is taken
	ErrBusy        = errors.New("in use")                // another process writes the model
	ErrBadName     = errors.New("bad name")              // no name of a model or a repository
	ErrChoice      = errors.New("choice needed")         // several models in one repository; see ChoiceError
	ErrDenied      = errors.New("access denied")         // private or gated, or a wrong token
	ErrHub         = errors.New("hub failure")           // no connection, or answers that make no sense
	ErrUnsafe      = errors.New("unsafe file name")      // a name that leads elsewhere
	ErrCorrupt     = errors.New("wrong bytes")           // the hash is not the one it should be
	ErrNoSpace     = errors.New("not enough disk space") // known before, or met while writing
	ErrBadManifest = errors.New("bad manifest")          // manifest.json is damaged, or of a newer Kestrel
)

// Error says what failed, with which model and file, and the way out where
// there is one. errors.Is finds its Kind and its Cause.
type Error struct {
	Op      string // "pull", "import", …
	Name    string // the model
	File    string // "" when the model as a whole is meant
	Kind    error  // one of the kinds above
	Problem string
	Way     string // what the user can do; may be empty
	Cause   error  // may be nil

	Need, Free int64 // of ErrNoSpace, in bytes; 0 where they are not known
}

func (e *Error) Error() string {
	var b strings.Builder
	for _, part := range []string{strings.TrimSpace(e.Op + " " + e.Name), e.File} {
		if part != "" {
			b.WriteString(part)
			b.WriteString(": ")
		}
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

func (e *Error) Unwrap() []error {
	var errs []error
	for _, err := range []error{e.Kind, e.Cause} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// named says of which operation and model an error is.
func named(op, name string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := err.(*Error); ok && e.Op == "" {
		e.Op, e.Name = op, name
		return e
	}
	if e := new(ChoiceError); errors.As(err, &e) {
		return err
	}
	return &Error{Op: op, Name: name, Problem: "failed", Cause: err}
}

// inFile says of which file an error is.
func inFile(file string, err error) error {
	if e, ok := err.(*Error); ok && e.File == "" {
		e.File = file
		return e
	}
	return err
}

// ChoiceError is a repository with more than one model; the user must name a
// file, as in "owner/repo:file.gguf". It is an ErrChoice.
type ChoiceError struct {
	Repo  string
	Files []RemoteFile // by size
}

func (e *ChoiceError) Error() string {
	var b strings.Builder
	b.WriteString("pull " + e.Repo + ": it has several models; name one:")
	for _, f := range e.Files {
		b.WriteString("\n  " + e.Repo + ":" + f.Path + "  " + sizeText(f.Size))
	}
	return b.String()
}

func (e *ChoiceError) Unwrap() error { return ErrChoice }
