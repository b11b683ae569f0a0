package half

import (
	"math"
	"testing"
)

// value is the definition of binary16, in float64.
func value(h uint16) float64 {
	sign := 1 - 2*float64(h>>15)
	exp, frac := int(h>>10&31), float64(h&0x3ff)
	switch {
	case exp == 31 && frac != 0:
		return math.NaN()
	case exp == 31:
		return math.Inf(int(sign))
	case exp == 0:
		return sign * math.Ldexp(frac, -24)
	}
	return sign * math.Ldexp(1+frac/1024, exp-15)
}

// TestAll widens every binary16, and rounds it, its neighbours' midpoint and
// the float32 on either side of that back. Encoding in package weights is
// tested further.
func TestAll(t *testing.T) {
	for i := range 0x10000 {
		h := uint16(i)
		got, want := Float32(h), value(h)
		if math.IsNaN(want) {
			if got == got || Float32(FromFloat32(got)) == Float32(FromFloat32(got)) {
				t.Fatalf("%#04x: %v, want NaN, and NaN back", h, got)
			}
			continue
		}
		if float64(got) != want || math.Signbit(float64(got)) != math.Signbit(want) {
			t.Fatalf("%#04x: got %v, want %v", h, got, want)
		}
		if back := FromFloat32(got); back != h {
			t.Fatalf("%#04x widened and rounded is %#04x", h, back)
		}
		if h&0x7c00 == 0x7c00 {
			continue
		}
		next := value(h + 1)
		if math.IsInf(next, 0) {
			next = math.Copysign(65536, want) // what infinity stands for when rounding
		}
		middle := float32((want + next) / 2) // representable: one bit more than a binary16
		even := h + h&1
		if back := FromFloat32(middle); back != even {
			t.Fatalf("%v, between %#04x and the next: %#04x, want %#04x", middle, h, back, even)
		}
		if back := FromFloat32(math.Nextafter32(middle, 0)); back != h {
			t.Fatalf("just below %v: %#04x, want %#04x", middle, back, h)
		}
		if back := FromFloat32(math.Nextafter32(middle, float32(math.Copysign(1e9, want)))); back != h+1 {
			t.Fatalf("just above %v: %#04x, want %#04x", middle, back, h+1)
		}
	}
}
