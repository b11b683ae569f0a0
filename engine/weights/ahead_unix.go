//go:build unix

package weights

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// adviseAhead asks for the pages of mapped data, without waiting for them. It is advice: errors mean nothing.
func adviseAhead(data []byte) {
	page := uintptr(os.Getpagesize())
	skip := (page - uintptr(unsafe.Pointer(unsafe.SliceData(data)))%page) % page // whole pages only
	if uintptr(len(data)) > skip {
		_ = unix.Madvise(data[skip:], unix.MADV_WILLNEED)
	}
}
