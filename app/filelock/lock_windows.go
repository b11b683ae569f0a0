package filelock

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// Exclusive locks the first byte of f for its holder alone, or fails with ErrLocked at once. Nobody else can read that
// byte meanwhile.
func Exclusive(f *os.File) error {
	var at windows.Overlapped
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &at)
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return ErrLocked
	}
	return err
}

// Shared locks f together with others that share it. It waits while one holds it alone. An exclusive lock of f becomes a
// shared one; another may come between.
func Shared(f *os.File) error {
	var at windows.Overlapped
	// a lock cannot be changed here; who has none is told so, which is no failure
	_ = windows.UnlockFileEx(windows.Handle(f.Fd()), 0, 1, 0, &at)
	return windows.LockFileEx(windows.Handle(f.Fd()), 0, 0, 1, 0, &at)
}
