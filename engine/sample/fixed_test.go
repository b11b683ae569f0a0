package sample

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestWeight: over every fraction of an octave, the weight is the power of two and falls.
func TestWeight(t *testing.T) {
	last := uint32(1<<31 + 1)
	for d := uint32(0); d <= 2<<24; d++ {
		got, want := float64(weight(d)), math.Exp2(31-float64(d)/(1<<24))
		if math.Abs(got-want) > 2e-8*want+0.5 {
			t.Fatalf("weight(%#x) = %v, want %v", d, got, want)
		}
		if weight(d) > last {
			t.Fatalf("weight(%#x) = %d, more than %d before it", d, weight(d), last)
		}
		last = weight(d)
	}
	for n := range uint32(32) {
		for _, f := range []uint32{0, 1, 1 << 23, 1<<24 - 1} {
			d := n<<24 | f
			if got, want := float64(weight(d)), math.Exp2(31-float64(d)/(1<<24)); math.Abs(got-want) > 2e-8*want+0.5 {
				t.Errorf("weight(%#x) = %v, want %v", d, got, want)
			}
		}
	}
	if weight(0) != 1<<31 || weight(none) != 0 || weight(math.MaxUint32) != 0 {
		t.Error("the ends are off")
	}
}

func TestDepth(t *testing.T) {
	for _, c := range []struct {
		logit, largest, scale float32
		want                  uint32
	}{
		{3, 3, 1, 0},
		{2, 3, 1, 1 << 24},
		{2, 3, 0.25, 1 << 22},
		{-28.5, 3, 1, 31<<24 | 1<<23},
		{-29, 3, 1, none},
		{inf(-1), 3, 1, none},
		{-math.MaxFloat32, math.MaxFloat32, 1, none},
		{3, 3, math.MaxFloat32, 0},
		{nan(), 3, 1, none},
	} {
		if got := depth(c.logit, c.largest, c.scale); got != c.want {
			t.Errorf("%v below %v by %v: %#x, want %#x", c.logit, c.largest, c.scale, got, c.want)
		}
	}
}

// TestPhilox: the published answers.
func TestPhilox(t *testing.T) {
	const all = math.MaxUint32
	for _, c := range []struct {
		counter [4]uint32
		key     [2]uint32
		want    [4]uint32
	}{
		{[4]uint32{}, [2]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{[4]uint32{all, all, all, all}, [2]uint32{all, all}, [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, [2]uint32{0xa4093822, 0x299f31d0},
			[4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
	} {
		if got := philox(c.counter, c.key); got != c.want {
			t.Errorf("philox(%x, %x) = %x, want %x", c.counter, c.key, got, c.want)
		}
	}
}

// TestDraw: numbers are below the total and spread evenly; another seed or place gives others.
func TestDraw(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, total := range []uint64{1, 2, 1 << 31, 65024 << 31} {
		for range 1000 {
			if r := draw(rng.Uint64(), rng.Uint64(), total); r >= total {
				t.Fatalf("%d of %d", r, total)
			}
		}
	}
	const n, cells = 64_000, 64
	var seen [cells]int
	for i := range uint64(n) {
		seen[draw(7, i, cells<<40)>>40]++
	}
	chi := 0.0
	for _, k := range seen {
		chi += math.Pow(float64(k)-n/cells, 2) / (n / cells)
	}
	if limit := cells + 5*math.Sqrt(2*cells); chi > limit {
		t.Errorf("chi-square %.1f over %d cells", chi, cells)
	}
	const large = 1 << 62
	if a := draw(1, 1, large); a == draw(1, 2, large) || a == draw(2, 1, large) || a == draw(1<<32|1, 1, large) || a == draw(1, 1<<32|1, large) {
		t.Error("another seed or place gives the same number")
	}
}

func TestShare(t *testing.T) {
	if got := share(1<<31, 65024<<31); got != 65024<<30 {
		t.Errorf("half of %d is %d", uint64(65024<<31), got)
	}
	if got := share(math.MaxUint32, 1); got != 0 {
		t.Errorf("just less than one is %d", got)
	}
}
