package kernel

import (
	"fmt"
	"testing"
)

// BenchmarkPack: how fast a core puts weights into the order of the device's, in bytes of the file.
func BenchmarkPack(b *testing.B) {
	for _, d := range storageTypes {
		b.Run(fmt.Sprint(d), func(b *testing.B) {
			const rows, cols = 256, 4096
			from, to := make([]byte, d.Bytes(rows*cols)), make([]byte, slabBytes(d, rows, cols))
			b.SetBytes(int64(len(from)))
			for b.Loop() {
				storages[d].pack(to, 0, from, d, cols)
			}
		})
	}
}
