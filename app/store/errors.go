package store

import (
	"database/sql"
	"errors"
	"io/fs"
	"strings"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Kinds of error, for errors.Is. No error carries anything of a prompt, an
// answer or a document.
var (
	ErrNotFound = errors.New("not found")
	ErrInvalid  = errors.New("not valid")             // what was given makes no sense, as a damaged file to import
	ErrNewer    = errors.New("of a newer version")    // written by a newer Kestrel
	ErrDamaged  = errors.New("damaged")               // the database; the next Open sets it aside
	ErrNoSpace  = errors.New("not enough disk space") // nothing that was there is lost
	ErrDenied   = errors.New("access denied")         // by the file system
	ErrBusy     = errors.New("in use")                // another program holds the database for too long
	ErrClosed   = errors.New("the store is closed")   // after Close
)

// Error says what failed, why, and the way out where there is one. errors.Is
// finds its Kind and its Cause.
type Error struct {
	Op      string // "open", "save state", …
	Kind    error  // one of the kinds above; may be nil
	Problem string
	Way     string // what the user can do; may be empty
	Cause   error  // may be nil
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	for _, part := range []string{e.Problem, text(e.Cause)} {
		if part != "" {
			b.WriteString(": ")
			b.WriteString(part)
		}
	}
	if e.Way != "" {
		b.WriteString("; ")
		b.WriteString(e.Way)
	}
	return b.String()
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
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

// failed says which operation an error stopped, and of which kind it is.
func failed(op string, err error) error {
	if err == nil {
		return nil
	}
	if e := new(Error); errors.As(err, &e) {
		if e.Op == "" {
			e.Op = op
		}
		return err
	}
	e := &Error{Op: op, Cause: err}
	switch primary := sqliteCode(err) & 0xff; {
	case errors.Is(err, sql.ErrNoRows):
		e.Kind, e.Problem, e.Cause = ErrNotFound, "it is not there any more", nil
	case primary == sqlite3.SQLITE_CORRUPT, primary == sqlite3.SQLITE_NOTADB:
		e.Kind, e.Problem = ErrDamaged, "the database of conversations is damaged"
		e.Way = "start Kestrel again: it keeps the damaged file under another name and begins a new one"
	case primary == sqlite3.SQLITE_FULL, errors.Is(err, syscall.ENOSPC):
		e.Kind, e.Problem, e.Way = ErrNoSpace, "the disk is full", "make room and try again"
	case primary == sqlite3.SQLITE_READONLY, primary == sqlite3.SQLITE_PERM, errors.Is(err, fs.ErrPermission):
		e.Kind, e.Problem, e.Way = ErrDenied, "no right to write Kestrel's data", "check the folder's owner and rights, or set KESTREL_HOME to another"
	case primary == sqlite3.SQLITE_BUSY, primary == sqlite3.SQLITE_LOCKED:
		e.Kind, e.Problem, e.Way = ErrBusy, "another program holds the database", "try again, or end the other program"
	case strings.Contains(err.Error(), "sql: database is closed"):
		e.Kind, e.Cause = ErrClosed, ErrClosed
	}
	return e
}

// isDamage says whether an error shows that the database is damaged.
func isDamage(err error) bool { return err != nil && errors.Is(failed("", err), ErrDamaged) }

// sqliteCode is SQLite's extended code of an error, 0 if it is none of its.
func sqliteCode(err error) int {
	if e := new(sqlite.Error); errors.As(err, &e) {
		return e.Code()
	}
	return 0
}

func notFound(what string) error {
	return &Error{Kind: ErrNotFound, Problem: "the " + what + " is not there any more"}
}

func invalid(problem string) error { return &Error{Kind: ErrInvalid, Problem: problem} }
