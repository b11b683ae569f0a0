package weights

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

// TestInParts: every byte is in one part, and parts begin at units.
func TestInParts(t *testing.T) {
	for _, n := range []int{0, 1, partBytes - 1, 2*partBytes - 1, 2 * partBytes, 7*partBytes + 5, 9 * partBytes} {
		for _, unit := range []int{1, 18, 4096, 3 * partBytes} {
			seen, calls := make([]atomic.Int32, n), atomic.Int32{}
			InParts(n, unit, func(from, to int) {
				calls.Add(1)
				if from%unit != 0 || to > n || from > to {
					t.Errorf("%d bytes in units of %d: a part %d to %d", n, unit, from, to)
				}
				for i := from; i < to; i++ {
					seen[i].Add(1)
				}
			})
			for i := range seen {
				if times := seen[i].Load(); times != 1 {
					t.Fatalf("%d bytes in units of %d: byte %d came %d times", n, unit, i, times)
				}
			}
			if n < 2*partBytes && calls.Load() != 1 {
				t.Errorf("%d bytes in %d parts", n, calls.Load())
			}
		}
	}
}

// TestAhead: what is asked for is what comes next, in order, a window ahead of what was used, once.
func TestAhead(t *testing.T) {
	tensor := func(n int) Tensor { return Tensor{DType: I8, Shape: []int{n}, Data: make([]byte, n)} }
	big, small, last := tensor(aheadPiece+10), tensor(100), tensor(1000)
	var mu sync.Mutex
	var asked []int
	a := newAhead(func(b []byte) { mu.Lock(); defer mu.Unlock(); asked = append(asked, len(b)) }, aheadPiece+50, []Tensor{big, small, last})
	left := []int{len(a.pieces)}
	for _, used := range []int64{0, 59, 60, 61, aheadPiece + 10, aheadPiece + 1110} {
		a.Used(used)
		left = append(left, len(a.pieces))
	}
	if want := []int{1, 1, 1, 1, 0, 0, 0}; !slices.Equal(left, want) {
		t.Errorf("%v pieces are left, want %v", left, want)
	}
	for len(a.wanted) > 0 { // Close may leave out what was not asked for
		runtime.Gosched()
	}
	a.Close()
	if want := []int{aheadPiece, 10, 100, 1000}; !slices.Equal(asked, want) {
		t.Errorf("asked for %v bytes, want %v", asked, want)
	}
}

// TestAheadOfAFile takes any part of a mapped file, and leaves it as it is.
func TestAheadOfAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	want := slices.Repeat([]byte("kestrel "), 4000)
	if err := os.WriteFile(path, want, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, unmap, err := mapFile(f, len(want))
	if err != nil {
		t.Fatal(err)
	}
	defer unmap()
	for _, part := range [][]byte{data, data[1:], data[4095:4097], data[:0], data[len(data)-1:], nil} {
		adviseAhead(part)
	}
	if !slices.Equal(data, want) {
		t.Error("the data changed")
	}
}
