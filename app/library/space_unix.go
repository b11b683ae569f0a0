//go:build linux || darwin || freebsd || dragonfly

package library

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// freeSpace returns how many bytes this user may still write in the folder's
// file system.
func freeSpace(dir string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, fmt.Errorf("statfs %s: %w", dir, err)
	}
	return int64(s.Bavail) * int64(s.Bsize), nil
}

func noSpace(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }
