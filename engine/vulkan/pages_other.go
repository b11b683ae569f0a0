//go:build !linux

package vulkan

import "unsafe"

// pages is memory of this process that a device on the CPU computes in: only on Linux.
type pages struct {
	at   unsafe.Pointer
	size int64
}

func newPages(size, align int64) *pages { return nil }

func (p *pages) free() {}
