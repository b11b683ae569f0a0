//go:build unix

package weights

import (
	"os"

	"golang.org/x/sys/unix"
)

// mapFile maps a file for reading. MAP_SHARED keeps one copy in the page
// cache for all processes; the file's descriptor may be closed afterwards.
func mapFile(f *os.File, size int) ([]byte, func() error, error) {
	data, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		if err == unix.ENODEV || err == unix.ENOSYS { // file systems without mmap
			return nil, nil, errNoMap
		}
		return nil, nil, err
	}
	return data, func() error { return unix.Munmap(data) }, nil
}
