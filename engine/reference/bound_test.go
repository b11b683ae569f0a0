package reference

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

// The ops in float32, as a kernel computes them: once in plain order, once with
// sums by 32 lanes that are then folded in a tree.
type kernels struct{ lanes bool }

func (k kernels) sum(n int, term func(i int) float32) float32 {
	if !k.lanes {
		var s float32
		for i := range n {
			s += term(i)
		}
		return s
	}
	var lane [32]float32
	for i := range n {
		lane[i%32] += term(i)
	}
	for w := 16; w > 0; w /= 2 {
		for i := range w {
			lane[i] += lane[i+w]
		}
	}
	return lane[0]
}

func exp32(v float32) float32 { return float32(math.Exp(float64(v))) }

func (k kernels) matMul(x, w, bias []float32, in, out int) []float32 {
	var y []float32
	for t := range len(x) / in {
		for o := range out {
			s := k.sum(in, func(i int) float32 { return x[t*in+i] * w[o*in+i] })
			if bias != nil {
				s += bias[o]
			}
			y = append(y, s)
		}
	}
	return y
}

func (k kernels) norm(x, w []float32, n int, eps float32) []float32 {
	var y []float32
	for t := range len(x) / n {
		ss := k.sum(n, func(i int) float32 { return x[t*n+i] * x[t*n+i] })
		r := 1 / float32(math.Sqrt(float64(ss/float32(n)+eps)))
		for i := range n {
			y = append(y, x[t*n+i]*r*w[i])
		}
	}
	return y
}

func (k kernels) conv(x, w, b []float32, inner, conv int) []float32 {
	var y []float32
	for t := range len(x) / inner {
		for i := range inner {
			s := k.sum(conv, func(j int) float32 {
				if t-conv+1+j < 0 {
					return 0
				}
				return w[i*conv+j] * x[(t-conv+1+j)*inner+i]
			})
			y = append(y, silu32(s+b[i]))
		}
	}
	return y
}

func silu32(v float32) float32 { return v / (1 + exp32(-v)) }

func softplus32(v float32) float32 {
	if v > SoftplusThreshold {
		return v
	}
	return float32(math.Log(float64(1 + exp32(v))))
}

func (k kernels) scan(delta, A, B, C, D, x, z []float32, inner, n int) []float32 {
	state := make([]float32, inner*n)
	var y []float32
	for t := range len(x) / inner {
		for i := range inner {
			ti := t*inner + i
			s := k.sum(n, func(j int) float32 {
				at := i*n + j
				state[at] = exp32(delta[ti]*A[at])*state[at] + delta[ti]*B[t*n+j]*x[ti]
				return state[at] * C[t*n+j]
			})
			y = append(y, (s+D[i]*x[ti])*silu32(z[ti]))
		}
	}
	return y
}

// spoil returns a copy of v with one element changed.
func spoil(v []float64, i int, f func(float64) float64) []float64 {
	out := append([]float64{}, v...)
	out[i] = f(out[i])
	return out
}

func onePercent(v float64) float64 { return v * 1.01 }

// biggest is the index of the element of largest magnitude: the one whose change
// a test that works must notice.
func biggest(v []float64) int {
	best := 0
	for i := range v {
		if math.Abs(v[i]) > math.Abs(v[best]) {
			best = i
		}
	}
	return best
}

func swap(v []float64, i, j int) []float64 {
	out := append([]float64{}, v...)
	out[i], out[j] = out[j], out[i]
	return out
}

func rightAndWrong(t *testing.T, name string, bound Bounded, right []float32, wrong map[string][]float32) {
	t.Helper()
	if err := bound.Check(right); err != nil {
		t.Errorf("%s: a right result is rejected: %v", name, err)
	}
	for what, got := range wrong {
		if err := bound.Check(got); !errors.Is(err, ErrOutOfBound) {
			t.Errorf("%s: %s is not noticed (%.2g of the bound)", name, what, bound.Share(got))
		}
	}
}

func TestMatMulBound(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, lanes := range []bool{false, true} {
		k := kernels{lanes}
		for _, in := range []int{1, 3, 52, 100, 331, 1000, 8192} {
			const T, out = 2, 3
			x, w, bias := randn(r, T*in, 1), randn(r, out*in, 0.3), randn(r, out, 1)
			run := func(x, w []float64) []float32 {
				return k.matMul(Float32s(x), Float32s(w), Float32s(bias), in, out)
			}
			sure, likely := MatMulBound(Exact(x), w, bias, in, out), MatMulLikely(Exact(x), w, bias, in, out)
			near(t, "value", sure.Value, AddRow(MatMul(x, w, in, out), bias), 1e-9)
			// The weight and the input that together weigh the most in row 0.
			at := biggest(MulBound(Exact(w[:in]), Exact(x[:in])).Value)
			wrong := map[string][]float32{"a weight 1% off": run(x, spoil(w, at, onePercent))}
			if in > 1 {
				wrong["two weights swapped"] = run(x, swap(w, at, (at+1)%in))
			}
			rightAndWrong(t, "likely", likely, run(x, w), wrong)
			if in > 331 {
				wrong = nil // the worst case is that wide; hence MatMulLikely
			}
			rightAndWrong(t, "sure", sure, run(x, w), wrong)
			if in == 1000 && likely.Share(run(x, w)) < 0.001 {
				t.Errorf("the bound is %g times the error", 1/likely.Share(run(x, w)))
			}
		}
	}
}

// Random sums stay within the bound many times over, including sums of one sign,
// where partial sums are as large as the 1-norm.
func TestMatMulLikelyHolds(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for trial := range 300 {
		in := 1 + r.IntN(3000)
		x, w := randn(r, in, 1), randn(r, in, 1)
		if trial%3 == 0 {
			for i := range x {
				x[i], w[i] = math.Abs(x[i]), math.Abs(w[i])
			}
		}
		b := MatMulLikely(Exact(x), w, nil, in, 1)
		if err := b.Check(kernels{trial%2 == 0}.matMul(Float32s(x), Float32s(w), nil, in, 1)); err != nil {
			t.Fatalf("trial %d, %d columns: %v", trial, in, err)
		}
	}
}

func TestDotBound(t *testing.T) {
	v, b := DotBound(Exact([]float64{1, -2}), []float64{3, 4})
	if v != -5 || b < Gamma(2)*11 || b > Gamma(5)*11 {
		t.Errorf("DotBound = %v within %v", v, b)
	}
	_, wide := DotBound(Bounded{[]float64{1, -2}, []float64{0.5, 0}}, []float64{3, 4})
	if wide < 1.5 {
		t.Errorf("the input's error of 0.5 times 3 became %v", wide)
	}
}

func TestNormBound(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, lanes := range []bool{false, true} {
		k := kernels{lanes}
		for _, n := range []int{1, 5, 52, 1000, 4096} {
			for _, scale := range []float64{1e-3, 1, 1e3} {
				x, w := randn(r, 2*n, scale), randn(r, n, 1)
				run := func(x, w []float64, eps float32) []float32 { return k.norm(Float32s(x), Float32s(w), n, eps) }
				eps := float64(float32(1e-5))
				wrong := map[string][]float32{"a weight 1% off": run(x, spoil(w, biggest(w), onePercent), 1e-5)}
				if n > 1 {
					wrong["two inputs swapped"] = run(swap(x, 0, 1), w, 1e-5)
				}
				if scale == 1e-3 {
					wrong["the other epsilon"] = run(x, w, 1e-6)
				}
				rightAndWrong(t, "norm", NormBound(Exact(x), w, n, eps), run(x, w, 1e-5), wrong)
			}
		}
	}
}

func TestConvBound(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for _, conv := range []int{2, 3, 4} {
		const T, inner = 9, 7
		x, w, b := randn(r, T*inner, 1), randn(r, inner*conv, 1), randn(r, inner, 1)
		carry := Exact(make([]float64, (conv-1)*inner))
		want := SiLUBound(ConvBound(Exact(x), w, b, carry, inner, conv))
		run := func(x, w, b []float64) []float32 {
			return kernels{}.conv(Float32s(x), Float32s(w), Float32s(b), inner, conv)
		}
		rightAndWrong(t, "conv", want, run(x, w, b), map[string][]float32{
			"a weight 1% off":         run(x, spoil(w, biggest(w), onePercent), b),
			"two taps swapped":        run(x, swap(w, 0, 1), b),
			"no bias":                 run(x, w, make([]float64, inner)),
			"two time steps swapped":  run(swap(x, 0, inner), w, b),
			"one output left at zero": append(run(x, w, b)[:T*inner-1], 0),
		})
		near(t, "carry", carry.Value, x[(T-conv+1)*inner:], 0)
	}
}

func TestActivationBounds(t *testing.T) {
	var x []float64
	for v := -100.0; v <= 100; v += 0.37 {
		x = append(x, float64(float32(v)))
	}
	x = append(x, 0, 20, float64(math.Nextafter32(20, 21)))
	var silus, softpluses, sigmoids, relus []float32
	for _, v := range x {
		f := float32(v)
		silus = append(silus, silu32(f))
		softpluses = append(softpluses, softplus32(f))
		sigmoids = append(sigmoids, 1/(1+exp32(-f)))
		relus = append(relus, max(f, 0))
	}
	near(t, "silu", SiLUBound(Exact(x)).Value, SiLU(x), 1e-13)
	near(t, "softplus", SoftplusBound(Exact(x)).Value, Softplus(x), 0)
	rightAndWrong(t, "silu", SiLUBound(Exact(x)), silus, map[string][]float32{"sigmoid": sigmoids, "relu": relus})
	rightAndWrong(t, "softplus", SoftplusBound(Exact(x)), softpluses, map[string][]float32{"silu": silus, "relu": relus})
	// Each element by itself, so that no wide spot hides behind the others.
	for i, v := range x {
		if b := SiLUBound(Exact(x)).Bound[i]; math.Abs(v) < 30 && b > 1e-5*math.Abs(v)+1e-7 {
			t.Errorf("silu(%v) within %v", v, b)
		}
		if b := SoftplusBound(Exact(x)).Bound[i]; math.Abs(v) < 30 && b > 1e-5*math.Abs(v)+2e-6 {
			t.Errorf("softplus(%v) within %v", v, b)
		}
	}
}

// Propagation: the value at a shifted input stays within the bound that carries
// the shift, and the bound is not much wider than the shift.
func TestActivationBoundsCarryErrors(t *testing.T) {
	for v := -12.0; v < 25; v += 0.11 {
		for _, e := range []float64{1e-6, 1e-3, 0.3} {
			in := Bounded{[]float64{v}, []float64{e}}
			for name, f := range map[string]struct {
				bound Bounded
				op    func(float64) float64
			}{
				"silu":     {SiLUBound(in), silu},
				"softplus": {SoftplusBound(in), softplus},
				"exp":      {each(1, func(int) num { return num{-math.Abs(v), e}.exp() }), func(u float64) float64 { return math.Exp(u - v - math.Abs(v)) }},
			} {
				for _, u := range []float64{v - e, v + e} {
					if off := math.Abs(f.op(u) - f.bound.Value[0]); off > f.bound.Bound[0] {
						t.Fatalf("%s: %v for %v leaves the bound: %g > %g", name, u, v, off, f.bound.Bound[0])
					}
				}
				if f.bound.Bound[0] > 2.6*e+3e-5 {
					t.Fatalf("%s(%v ± %v): bound %v", name, v, e, f.bound.Bound[0])
				}
			}
		}
	}
}

func TestScanBound(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for _, lanes := range []bool{false, true} {
		for _, n := range []int{1, 8, 16} {
			for _, T := range []int{1, 17, 200} {
				const inner = 5
				k := kernels{lanes}
				delta := Float64s(Float32s(Softplus(randn(r, T*inner, 1))))
				x, z := randn(r, T*inner, 1), randn(r, T*inner, 1)
				A, D := make([]float64, inner*n), randn(r, inner, 1)
				for i := range A {
					A[i] = -float64(1+i%n) / 8 // slow and fast decays, as a trained model has
				}
				B, C := randn(r, T*n, 1), randn(r, T*n, 1)
				type in struct{ delta, A, B, C, x, z []float64 }
				run := func(change func(*in)) []float32 {
					v := in{delta, A, B, C, x, z}
					change(&v)
					return k.scan(Float32s(v.delta), Float32s(v.A), Float32s(v.B), Float32s(v.C), Float32s(D), Float32s(v.x), Float32s(v.z), inner, n)
				}
				gate, state := Exact(z), Exact(make([]float64, inner*n))
				want := ScanBound(Exact(delta), A, Exact(B), Exact(C), D, Exact(x), &gate, state, inner, n)
				plain := make([]float64, inner*n)
				near(t, "value", want.Value, SelectiveScan(delta, A, B, C, D, x, z, plain, inner, n), 1e-9)
				near(t, "state", state.Value, plain, 1e-12)
				wrong := map[string][]float32{
					"B 1% off":             run(func(v *in) { v.B = spoil(B, biggest(B), onePercent) }),
					"C 1% off":             run(func(v *in) { v.C = spoil(C, biggest(C), onePercent) }),
					"delta 1% off":         run(func(v *in) { v.delta = spoil(delta, biggest(delta), onePercent) }),
					"gate 1% off":          run(func(v *in) { v.z = spoil(z, biggest(z), onePercent) }),
					"two channels swapped": run(func(v *in) { v.x = swap(x, 0, 1) }),
					"delta is not applied": run(func(v *in) { v.delta = make([]float64, T*inner) }),
				}
				if n > 1 {
					wrong["two of C swapped"] = run(func(v *in) { v.C = swap(C, 0, 1) })
				}
				if T > 1 {
					wrong["A 1% off"] = run(func(v *in) { v.A = spoil(A, 0, onePercent) })
				}
				rightAndWrong(t, "scan", want, run(func(*in) {}), wrong)
			}
		}
	}
}

// The state's bound is carried from piece to piece as the state is.
func TestScanBoundInPieces(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	const T, inner, n, cut = 12, 3, 4, 5
	delta, x := Exact(Softplus(randn(r, T*inner, 1))), Exact(randn(r, T*inner, 1))
	B, C := Exact(randn(r, T*n, 1)), Exact(randn(r, T*n, 1))
	A := make([]float64, inner*n)
	for i := range A {
		A[i] = -0.2
	}
	part := func(b Bounded, n, from, to int) Bounded {
		return Bounded{b.Value[from*n : to*n], b.Bound[from*n : to*n]}
	}
	whole := ScanBound(delta, A, B, C, nil, x, nil, Exact(make([]float64, inner*n)), inner, n)
	state := Exact(make([]float64, inner*n))
	ScanBound(part(delta, inner, 0, cut), A, part(B, n, 0, cut), part(C, n, 0, cut), nil, part(x, inner, 0, cut), nil, state, inner, n)
	rest := ScanBound(part(delta, inner, cut, T), A, part(B, n, cut, T), part(C, n, cut, T), nil, part(x, inner, cut, T), nil, state, inner, n)
	near(t, "value", rest.Value, whole.Value[cut*inner:], 1e-12)
	for i, b := range rest.Bound {
		if w := whole.Bound[cut*inner+i]; b > w*1.0001 || b < w/3 {
			t.Errorf("element %d: bound %g in pieces, %g whole", i, b, w)
		}
	}
}

func TestCheck(t *testing.T) {
	b := Bounded{[]float64{1, 2}, []float64{0.1, math.Inf(1)}}
	for name, c := range map[string]struct {
		got []float32
		ok  bool
	}{
		"right":      {[]float32{1.05, 9}, true},
		"off":        {[]float32{1.2, 2}, false},
		"NaN":        {[]float32{float32(math.NaN()), 2}, false},
		"Inf":        {[]float32{1, float32(math.Inf(1))}, false},
		"one short":  {[]float32{1}, false},
		"exactly so": {[]float32{1, 2}, true},
	} {
		if err := b.Check(c.got); (err == nil) != c.ok || err != nil && !errors.Is(err, ErrOutOfBound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := Rounded(Exact([]float64{math.Pi}), UnitF16).Check([]float32{3.140625}); err != nil {
		t.Errorf("pi in half precision: %v", err)
	}
	if err := Rounded(Exact([]float64{math.Pi}), UnitF16).Check([]float32{3.13}); err == nil {
		t.Error("3.13 is not pi in half precision")
	}
}
