package store

import (
	"errors"
	"fmt"
	"os"

	"kestrel/app/filelock"
)

// lock tells programs that have the same data open of each other. Each holds
// a file locked for as long as it runs, shared with the others; the system
// lets go of it when the program ends, however that happens. Who could have it
// for itself at first is alone: all that then stands unfinished in the data is
// of a program that has ended.
type lock struct{ f *os.File }

// acquire takes the lock, for this program alone if no other has it. A lock
// held alone must be shared after what only one may do.
func acquire(path string) (_ *lock, alone bool, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, false, err
	}
	l := &lock{f}
	switch err := filelock.Exclusive(f); {
	case err == nil:
		return l, true, nil
	case !errors.Is(err, filelock.ErrLocked):
		f.Close()
		return nil, false, lockFailed(path, err)
	}
	if err := l.share(); err != nil {
		f.Close()
		return nil, false, err
	}
	return l, false, nil
}

// share lets other programs in. Where the change is not atomic another may come
// between and be alone for a while; nothing is unfinished then.
func (l *lock) share() error {
	if err := filelock.Shared(l.f); err != nil {
		return lockFailed(l.f.Name(), err)
	}
	return nil
}

func (l *lock) release() error { return l.f.Close() } // the file stays: two programs must not lock two files of one name

func lockFailed(path string, err error) error {
	return &Error{Problem: "cannot lock " + path, Cause: fmt.Errorf("lock: %w", err),
		Way: "some network file systems have no locks; set KESTREL_HOME to a folder on a local disk"}
}
