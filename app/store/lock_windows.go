package store

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

func lockAlone(f *os.File) error {
	var at windows.Overlapped
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &at)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return errLocked
	}
	return err
}

func lockShared(f *os.File) error {
	var at windows.Overlapped
	// a lock cannot be changed here; who has none is told so, which is no failure
	_ = windows.UnlockFileEx(windows.Handle(f.Fd()), 0, 1, 0, &at)
	return windows.LockFileEx(windows.Handle(f.Fd()), 0, 0, 1, 0, &at)
}
