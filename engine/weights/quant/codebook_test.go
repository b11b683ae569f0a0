package quant

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestCodebooks: each value of a codebook is its own code, what lies between two goes to the nearer, and the first of two
// elements is the high nibble. A value's own magnitude is the block's scale.
func TestCodebooks(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for _, c := range []struct {
		f    *Format
		book *Codebook
	}{{NF4, NF4Values}, {FP4, FP4Values}} {
		x, got, data := make([]float32, 64), make([]float32, 64), make([]byte, 36)
		for i := range x {
			x[i] = 3 * c.book[i%16]
		}
		c.f.Encode(data, x)
		c.f.Decode(got, data)
		for i := range x {
			if got[i] != x[i] {
				t.Errorf("%s: %v became %v", c.f.Name, x[i], got[i])
			}
		}
		if first := c.book[data[4]>>4] * 3; first != x[0] {
			t.Errorf("%s: the high nibble is %v, the first element %v", c.f.Name, first, x[0])
		}
		for range 200 {
			var most float32
			for i := range x {
				x[i] = float32(r.NormFloat64())
				most = max(most, magnitude(x[i]))
			}
			c.f.Encode(data, x)
			c.f.Decode(got, data)
			for i := range x {
				least := math.Inf(1)
				for _, v := range c.book {
					least = min(least, math.Abs(float64(most*v)-float64(x[i])))
				}
				if e := math.Abs(float64(got[i] - x[i])); e > least*(1+1e-6)+1e-6 {
					t.Fatalf("%s: %v became %v, %v away; one is %v away", c.f.Name, x[i], got[i], e, least)
				}
			}
		}
		clear(x)
		c.f.Encode(data, x)
		if c.f.Decode(got, data); got[0] != 0 || got[63] != 0 {
			t.Errorf("%s: zeros became %v", c.f.Name, got)
		}
	}
}
