//go:build unix

package document

import (
	"time"

	"golang.org/x/sys/unix"
)

// limitCPU ends the process after that much work, should the one that started
// it be gone while PDFium goes round in circles.
func limitCPU(d time.Duration) {
	n := uint64(d.Seconds())
	_ = unix.Setrlimit(unix.RLIMIT_CPU, &unix.Rlimit{Cur: n, Max: n})
}
