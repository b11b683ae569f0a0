package cli

import (
	"os"

	"golang.org/x/sys/unix"
)

// dropCached drops the pages of a file that the system keeps in memory and nobody has mapped.
func dropCached(f *os.File) error { return unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED) }
