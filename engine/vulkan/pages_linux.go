package vulkan

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pages is memory of this process that a device on the CPU computes in. Drivers take theirs from a file in memory, whose pages are
// made half as fast, and the loading of weights waits for pages. (Large pages were tried: sixteen times as fast where the system
// has such at hand, slower than small ones where it must first gather them.)
type pages struct {
	at   unsafe.Pointer
	size int64
}

// newPages takes at least size bytes in whole units of align; nil where the system has none.
func newPages(size, align int64) *pages {
	if page := int64(os.Getpagesize()); page%align == 0 {
		size = roundUp(size, page)
		if at, err := unix.MmapPtr(-1, 0, nil, uintptr(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON); err == nil {
			return &pages{at, size}
		}
	}
	return nil
}

// free gives the pages back; nothing may use them any more.
func (p *pages) free() {
	if p != nil {
		_ = unix.MunmapPtr(p.at, uintptr(p.size))
	}
}
