package weights

import (
	"runtime"
	"sync"
)

// partBytes is how much data is worth another goroutine.
const partBytes = 1 << 18

// InParts calls f for parts [from, to) of n bytes, side by side on all processors and in no order; f is called once for
// little data. Parts begin at multiples of unit. Data of mapped files are read from the disk side by side too.
func InParts(n, unit int, f func(from, to int)) {
	workers := min(runtime.GOMAXPROCS(0), n/partBytes)
	if workers < 2 {
		f(0, n)
		return
	}
	step := (partBytes + unit - 1) / unit * unit
	next := make(chan int, (n+step-1)/step)
	for from := 0; from < n; from += step {
		next <- from
	}
	close(next)
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for from := range next {
				f(from, min(from+step, n))
			}
		})
	}
	all.Wait()
}
