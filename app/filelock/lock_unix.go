//go:build linux || darwin || freebsd || openbsd || netbsd || dragonfly

package filelock

import (
	"os"

	"golang.org/x/sys/unix"
)

// Exclusive locks f for its holder alone, or fails with ErrLocked at once.
func Exclusive(f *os.File) error { return flock(f, unix.LOCK_EX|unix.LOCK_NB) }

// Shared locks f together with others that share it. It waits while one holds it alone. An exclusive lock of f becomes a
// shared one.
func Shared(f *os.File) error { return flock(f, unix.LOCK_SH) }

func flock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how)
		switch err {
		case unix.EINTR:
			continue
		case unix.EWOULDBLOCK:
			return ErrLocked
		}
		return err
	}
}
