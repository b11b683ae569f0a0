package reference

import (
	"errors"
	"fmt"
	"math"
)

// Unit roundoffs: the largest relative error of one correctly rounded operation.
const (
	UnitF32  = 1.0 / (1 << 24)
	UnitF16  = 1.0 / (1 << 11)
	UnitBF16 = 1.0 / (1 << 8)
)

// Accuracy a Vulkan device owes (Vulkan specification, "Precision and Operation
// of SPIR-V Instructions"), as relative errors; one ULP is at most 2*UnitF32.
// Addition, subtraction and multiplication are correctly rounded.
const (
	ulp        = 2 * UnitF32
	divError   = 2.5 * ulp       // OpFDiv
	rsqrtError = 7 * ulp         // 2 ULP for inversesqrt, 2+2.5+2.5 for 1/sqrt, which it owes through it
	logAbs     = 1.0 / (1 << 21) // log, absolute, of an argument in [0.5, 2]
	logRel     = 3 * ulp         // log elsewhere
	tiny       = 0x1p-126        // a subnormal may be flushed to zero
)

// ErrOutOfBound says that a computed value is further from the truth than
// rounding explains.
var ErrOutOfBound = errors.New("outside the rounding bound")

// Bounded is a slice of true values with, for each, how far a float32
// computation of it may be off. Ops on Bounded values propagate the errors of
// their inputs and add their own rounding, in whatever order a kernel sums, so
// the bound of a fused kernel is the composition of the bounds of its steps.
type Bounded struct {
	Value, Bound []float64
}

// Exact is a value without error: inputs given to a kernel as float32.
func Exact(v []float64) Bounded { return Bounded{v, make([]float64, len(v))} }

// Exact32 is Exact of float32 inputs.
func Exact32(v []float32) Bounded { return Exact(Float64s(v)) }

// Rounded is a value stored once with the given unit roundoff, e.g. UnitF16 for
// activations held in half precision on the way into a matrix unit.
func Rounded(b Bounded, unit float64) Bounded {
	out := Bounded{b.Value, make([]float64, len(b.Value))}
	for i, v := range b.Value {
		out.Bound[i] = b.Bound[i] + unit*(math.Abs(v)+b.Bound[i]) + tiny
		if unit == UnitF16 {
			out.Bound[i] += 0x1p-24 // half of f16's subnormal spacing, with room for a flush of the last bit
		}
	}
	return out
}

// Check compares a kernel's output with the truth. The error names the worst
// element; it is ErrOutOfBound, also for a NaN, an Inf or a wrong length.
func (b Bounded) Check(got []float32) error {
	if len(got) != len(b.Value) {
		return fmt.Errorf("%d values, want %d: %w", len(got), len(b.Value), ErrOutOfBound)
	}
	worst, at, bad := 0.0, -1, 0
	for i := range got {
		if r := b.ratio(i, float64(got[i])); r > 1 {
			bad++
			if at < 0 || r > worst {
				worst, at = r, i
			}
		}
	}
	if at < 0 {
		return nil
	}
	return fmt.Errorf("element %d is %v, want %v within %.3g (%.3g times that; %d of %d elements off): %w",
		at, got[at], b.Value[at], b.Bound[at], worst, bad, len(got), ErrOutOfBound)
}

// Share is the largest |got - value| / bound: how much of the bound is used.
func (b Bounded) Share(got []float32) float64 {
	worst := 0.0
	for i := range got {
		worst = math.Max(worst, b.ratio(i, float64(got[i])))
	}
	return worst
}

func (b Bounded) ratio(i int, got float64) float64 {
	off := math.Abs(got - b.Value[i])
	if off == 0 {
		return 0
	}
	if r := off / b.Bound[i]; !math.IsNaN(r) {
		return r
	}
	return math.Inf(1) // a NaN is never right
}

// Columns is the op Columns: copies, no rounding.
func (b Bounded) Columns(n, from, to int) Bounded {
	return Bounded{Columns(b.Value, n, from, to), Columns(b.Bound, n, from, to)}
}

// Row is row t of [T, n].
func (b Bounded) Row(t, n int) Bounded {
	return Bounded{b.Value[t*n : (t+1)*n], b.Bound[t*n : (t+1)*n]}
}

// Gamma is n*u/(1-n*u), Higham's bound on the relative effect of n roundings in
// any order (Accuracy and Stability of Numerical Algorithms, section 3.1).
func Gamma(n int) float64 {
	nu := float64(n) * UnitF32
	return nu / (1 - nu)
}

// num is one value with its absolute error; its methods are single float32
// operations.
type num struct{ v, e float64 }

func (b Bounded) at(i int) num { return num{b.Value[i], b.Bound[i]} }

// mag is the largest magnitude the computed value can have.
func (a num) mag() float64 { return math.Abs(a.v) + a.e }

func (a num) mul(b num) num {
	e := math.Abs(a.v)*b.e + math.Abs(b.v)*a.e + a.e*b.e
	return num{a.v * b.v, e}.round(1)
}

func (a num) add(b num) num { return num{a.v + b.v, a.e + b.e}.round(1) }

// round adds the error of n roundings of the value.
func (a num) round(n int) num {
	a.e += Gamma(n)*a.mag() + tiny
	return a
}

// exp of a number that is not positive, or small enough not to overflow.
func (a num) exp() num {
	v := math.Exp(a.v)
	return num{v, v*math.Expm1(a.e) + expError(a.v)*v*math.Exp(a.e) + tiny}
}

// expError is the relative error of exp(v): 3+2|v| ULP, and half an ULP of |v|
// more for a kernel that scales by log2(e) itself and calls exp2.
func expError(v float64) float64 { return (3 + 3*math.Abs(v)) * ulp }

func (a num) silu() num {
	s := 1 / (1 + math.Exp(-a.v))
	slope := math.Abs(s*(1+a.v*(1-s))) + a.e/2 // |silu''| <= 1/2
	e := slope * a.e
	e += math.Abs(a.v) * s * ((1-s)*expError(a.v) + divError + 2*UnitF32)
	if a.v-a.e < -87 { // exp(-v) leaves the range in which division is accurate
		e += math.Abs(a.v)*s + 1e-36
	}
	return num{a.v * s, e + tiny}
}

func (a num) softplus() num {
	v := softplus(a.v)
	s := 1 / (1 + math.Exp(-a.v))
	e := (s + a.e/4) * a.e // softplus' = sigmoid, softplus'' <= 1/4
	e += (1-s)*expError(a.v)*math.Min(1, s/(1-s)) + logAbs + logRel*v + 2*UnitF32
	if a.v <= SoftplusThreshold {
		e += s * expError(a.v) // log(1 + exp(v)) without turning the sign of v
	}
	return num{v, e + tiny}
}
