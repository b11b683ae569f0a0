package library

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"
)

// Report is the result of [Library.Verify].
type Report struct {
	*Entry
	Checks []Check
}

// Check is what became of one file.
type Check struct {
	File    string
	Size    int64  // that it should have
	Problem string // "" when every byte is as it should be
}

// OK reports whether every file is as it should be.
func (r *Report) OK() bool {
	for _, c := range r.Checks {
		if c.Problem != "" {
			return false
		}
	}
	return true
}

// Repair is how to mend what is wrong.
func (r *Report) Repair() string {
	switch r.Source.Kind {
	case Hub:
		return "'kestrel model pull " + r.Name + " --check' fetches again what is wrong"
	case Copy:
		return "remove the model and import it again"
	}
	return "if the files were changed on purpose, import them again"
}

// Verify reads every file of a model and compares its hash with the one that
// it had when it came. Files that are wrong are no error; they are in the
// report. The error is that of Find, ErrNotComplete for a model that is there in part,
// or the context's.
func (l *Library) Verify(ctx context.Context, name string, progress func(Progress)) (*Report, error) {
	e, err := l.Find(name)
	if err != nil {
		return nil, named("verify", name, err)
	}
	if errors.Is(e.Err, ErrBadManifest) {
		return nil, named("verify", e.Name, e.Err)
	}
	if e.State != Complete {
		return nil, &Error{Op: "verify", Name: e.Name, Kind: ErrNotComplete, Problem: "it is here in part only", Way: e.resume()}
	}
	m := newMeter(progress, time.Now)
	defer m.close()
	m.stage(Hashing, e.Size())
	r := &Report{Entry: e}
	for _, f := range e.Files {
		s, err := hashFile(ctx, filepath.Join(e.root(), filepath.FromSlash(f.Name)), f.Size, false, func(n int64) { m.add(f.Name, n) })
		c := Check{File: f.Name, Size: f.Size}
		switch {
		case ctx.Err() != nil:
			return nil, named("verify", e.Name, context.Cause(ctx))
		case errors.Is(err, fs.ErrNotExist):
			c.Problem = "missing"
		case err != nil:
			c.Problem = err.Error()
		case s.size != f.Size:
			c.Problem = fmt.Sprintf("has %d bytes, not %d", s.size, f.Size)
		case s.sha256 != f.SHA256:
			c.Problem = "its contents changed: the hash is another"
		}
		r.Checks = append(r.Checks, c)
	}
	return r, nil
}
