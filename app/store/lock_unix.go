//go:build unix

package store

import (
	"os"

	"golang.org/x/sys/unix"
)

func lockAlone(f *os.File) error  { return flock(f, unix.LOCK_EX|unix.LOCK_NB) }
func lockShared(f *os.File) error { return flock(f, unix.LOCK_SH) }

func flock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how)
		switch err {
		case unix.EINTR:
			continue
		case unix.EWOULDBLOCK:
			return errLocked
		}
		return err
	}
}
