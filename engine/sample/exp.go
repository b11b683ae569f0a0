package sample

import "math"

// steps is the number of powers of two tabled within an octave.
const steps = 256

var powers = func() (t [steps]float64) {
	for i := range t {
		t[i] = math.Exp2(float64(i) / steps)
	}
	return t
}()

// exp returns e^x for x <= 0 within a relative 1e-12, 0 below -700. It is
// several times faster than math.Exp, which is most of the time that sampling
// takes.
func exp(x float64) float64 {
	if !(x > -700) {
		return 0
	}
	// x = (n + f) * ln2/steps with |f| <= 1/2
	n := int(x*(steps/math.Ln2) - 0.5)
	r := x - float64(n)*(math.Ln2/steps)
	scale := math.Float64frombits(uint64(n>>8+1023) << 52)
	return scale * powers[n&(steps-1)] * (1 + r*(1+r*(0.5+r*(1.0/6))))
}
