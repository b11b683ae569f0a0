package quant

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"
)

// extremes and block are those of build/reference/quant_golden.py.
var extremes = []uint16{0x0000, 0x8000, 0x0001, 0x8001, 0x03ff, 0x0400, 0x7bff, 0xfbff, 0x7c00, 0xfc00, 0x7e00, 0x7c01, 0xffff, 0x3c00, 0xbc00}

func block(f *Format, k int) []byte {
	var b []byte
	for c := 0; len(b) < f.Bytes; c++ {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %d", f.Name, k, c))
		b = append(b, sum[:]...)
	}
	if k%3 == 0 {
		for n, at := range f.scales {
			v := extremes[(k/3+n*(k/3/len(extremes)))%len(extremes)]
			binary.LittleEndian.PutUint16(b[at:], v)
		}
	}
	return b[:f.Bytes]
}

func bits(v float32) uint32 {
	if v != v {
		return 0x7fc00000 // which NaN it is, is not part of the format
	}
	return math.Float32bits(v)
}

// TestDecode holds decoding against the gguf package, bit for bit.
func TestDecode(t *testing.T) {
	data, err := os.ReadFile("testdata/decode.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Blocks int
		Types  map[string]struct {
			Number          uint32
			Elements, Bytes int
			SHA256, First   string
		}
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Types) != len(Formats) {
		t.Fatalf("%d types in the golden file, %d here", len(golden.Types), len(Formats))
	}
	for _, f := range Formats {
		t.Run(f.Name, func(t *testing.T) {
			want := golden.Types[f.Name]
			if f.Number != want.Number || f.Elements != want.Elements || f.Bytes != want.Bytes {
				t.Errorf("got %+v, want %+v", *f, want)
			}
			var src []byte
			for k := range golden.Blocks {
				src = append(src, block(f, k)...)
			}
			got := make([]float32, golden.Blocks*f.Elements)
			f.Decode(got, src)
			first, err := base64.StdEncoding.DecodeString(want.First)
			if err != nil {
				t.Fatal(err)
			}
			for i := range len(first) / 4 {
				if w := binary.LittleEndian.Uint32(first[4*i:]); bits(got[i]) != w {
					t.Fatalf("block %d, element %d: %v (%#x), want %v", i/f.Elements, i%f.Elements, got[i], bits(got[i]), math.Float32frombits(w))
				}
			}
			h := sha256.New()
			for _, v := range got {
				binary.Write(h, binary.LittleEndian, bits(v))
			}
			if sum := hex.EncodeToString(h.Sum(nil)); sum != want.SHA256 {
				t.Errorf("the first blocks are right, but all %d have hash %s, want %s", golden.Blocks, sum, want.SHA256)
			}
		})
	}
}

// TestHasNaN: a block has one exactly when a scale is, since the scales below
// infinity stay far from it; but a scale of infinity is one even where all it
// scales are zeros.
func TestHasNaN(t *testing.T) {
	for _, f := range Formats {
		for k := range 300 {
			b := block(f, k)
			out := make([]float32, f.Elements)
			f.Decode(out, b)
			found := false
			for _, v := range out {
				found = found || math.IsNaN(float64(v)) || math.IsInf(float64(v), 0)
			}
			got := f.HasNaN(b)
			if found && !got || got && !found && k%3 != 0 {
				t.Fatalf("%s block %d: HasNaN is %v, decoding has one: %v", f.Name, k, got, found)
			}
			if !got {
				two := append(append([]byte{}, b...), b...)
				if f.HasNaN(two) {
					t.Fatalf("%s block %d: found one in two sound blocks", f.Name, k)
				}
				for _, at := range f.scales { // in either block, of either sign
					two[f.Bytes+at], two[f.Bytes+at+1] = 0, 0x7c
					if !f.HasNaN(two) {
						t.Fatalf("%s: missed the scale at %d of the second block", f.Name, at)
					}
					copy(two[f.Bytes:], b)
				}
			}
		}
	}
}

func TestLengths(t *testing.T) {
	for _, f := range Formats {
		for _, c := range [][2]int{{f.Elements, f.Bytes - 1}, {f.Elements - 1, f.Bytes}, {2 * f.Elements, f.Bytes}, {f.Elements, 2 * f.Bytes}} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s: %d elements of %d bytes", f.Name, c[0], c[1])
					}
				}()
				f.Decode(make([]float32, c[0]), make([]byte, c[1]))
			}()
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, f := range Formats {
		const blocks = 1 << 10
		src, dst := make([]byte, blocks*f.Bytes), make([]float32, blocks*f.Elements)
		for k := range blocks {
			copy(src[k*f.Bytes:], block(f, 3*k+1))
		}
		b.Run(f.Name, func(b *testing.B) {
			b.SetBytes(int64(4 * len(dst)))
			for b.Loop() {
				f.Decode(dst, src)
			}
		})
	}
}
