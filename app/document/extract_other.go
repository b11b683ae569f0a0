//go:build !unix

package document

import "time"

// limitCPU does nothing here: only Unix limits a process from within.
func limitCPU(time.Duration) {}
