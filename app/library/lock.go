package library

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"kestrel/app/filelock"
)

// lock is a file that one process holds locked. The system lets go of it when
// the process ends, however that happens, so a lock cannot be left behind; the
// file itself stays, for removing it would let two processes lock two files of
// one name. It holds the number of the process, for messages.
type lock struct{ f *os.File }

// acquire takes the lock or fails with ErrBusy.
func acquire(path string) (*lock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if err := filelock.Exclusive(f); err != nil {
		defer f.Close()
		if !errors.Is(err, filelock.ErrLocked) {
			return nil, &Error{Problem: "cannot lock " + path, Cause: err,
				Way: "some network file systems have no locks; set KESTREL_HOME to a folder on a local disk"}
		}
		holder := "another process"
		if pid := readPID(f); pid > 0 {
			holder = fmt.Sprintf("process %d", pid)
			if pid == os.Getpid() {
				holder = "this program"
			}
		}
		return nil, &Error{Kind: ErrBusy, Problem: holder + " is writing this model", Way: "wait for it, or end it"}
	}
	if err := writePID(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock: %w", err)
	}
	return &lock{f}, nil
}

// release lets go of the lock.
func (l *lock) release() {
	_ = l.f.Truncate(0) // the number in it is of no one now
	_ = l.f.Close()     // unlocks
}

// pidAt is where the number stands: past the byte that Windows locks, which
// nobody else can read.
const pidAt = 1

func writePID(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(" "+strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

func readPID(f *os.File) int {
	text := make([]byte, 32)
	n, err := f.ReadAt(text, pidAt)
	if err != nil && err != io.EOF {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text[:n])))
	if err != nil {
		return 0
	}
	return pid
}
