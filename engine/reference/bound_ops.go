package reference

import "math"

// DotBound is the dot product of x and w [n] with the worst-case rounding bound
// gamma_n * sum|x||w|, and the propagated error of x.
func DotBound(x Bounded, w []float64) (value, bound float64) {
	b := MatMulBound(x, w, nil, len(w), 1)
	return b.Value[0], b.Bound[0]
}

// MatMulBound is MatMul, plus bias when it is not nil, for weights exact in
// float32 (f16, bf16 and Q8_0 values are) and float32 sums in any order, by
// Higham's worst case. It never rejects a right kernel; with more than a few
// hundred columns it is too wide to notice one wrong weight: see MatMulLikely.
//
//	x [T, in], w [out, in], bias [out] or nil -> [T, out]
func MatMulBound(x Bounded, w, bias []float64, in, out int) Bounded {
	return matMulBound(x, w, bias, in, out, func(s dotSums) float64 {
		return s.inputs + Gamma(s.n)*s.abs
	})
}

// MatMulLikely is MatMulBound for rounding errors that are independent and as
// often up as down (Higham and Mary 2019): they grow with sqrt(n), on partial
// sums of the size of the 2-norm of the products rather than of their 1-norm.
// Eight standard deviations are allowed, on inputs without order or trend, such
// as the random ones of a test. It notices one weight in thousands that is 1% off.
func MatMulLikely(x Bounded, w, bias []float64, in, out int) Bounded {
	return matMulBound(x, w, bias, in, out, func(s dotSums) float64 {
		partial := math.Abs(s.sum) + 2*s.norm
		return 8*UnitF32*math.Sqrt(float64(s.n))*partial/math.Sqrt(3) + 4*s.inputNorm
	})
}

// dotSums is what the bound of one dot product depends on.
type dotSums struct {
	n                 int     // roundings on the longest path
	sum, abs, norm    float64 // sum, 1-norm and 2-norm of the products
	inputs, inputNorm float64 // 1-norm and 2-norm of |w| * error of x
}

func matMulBound(x Bounded, w, bias []float64, in, out int, rounding func(dotSums) float64) Bounded {
	rows := rowsOf("MatMulBound x", x.Value, in)
	wantLen("MatMulBound w", w, out*in)
	y := Bounded{make([]float64, rows*out), make([]float64, rows*out)}
	for t := range rows {
		for o := range out {
			s := dotSums{n: in + 2} // a product, in-1 sums, the scale of a block, the bias
			add := func(v float64) {
				s.sum += v
				s.abs += math.Abs(v)
				s.norm += v * v
			}
			if bias != nil {
				add(bias[o])
			}
			for i, v := range w[o*in : (o+1)*in] {
				add(x.Value[t*in+i] * v)
				e := x.Bound[t*in+i] * math.Abs(v)
				s.inputs += e
				s.inputNorm += e * e
			}
			s.norm, s.inputNorm = math.Sqrt(s.norm), math.Sqrt(s.inputNorm)
			s.abs += s.inputs
			y.Value[t*out+o] = s.sum
			y.Bound[t*out+o] = rounding(s) + tiny
		}
	}
	return y
}

// AddBound is Add: the residual.
func AddBound(a, b Bounded) Bounded {
	wantLen("AddBound b", b.Value, len(a.Value))
	return each(len(a.Value), func(i int) num { return a.at(i).add(b.at(i)) })
}

// MulBound is the element-wise product of two slices of one length: the gate.
func MulBound(a, b Bounded) Bounded {
	wantLen("MulBound b", b.Value, len(a.Value))
	return each(len(a.Value), func(i int) num { return a.at(i).mul(b.at(i)) })
}

// SiLUBound is SiLU, any shape.
func SiLUBound(x Bounded) Bounded {
	return each(len(x.Value), func(i int) num { return x.at(i).silu() })
}

// SoftplusBound is Softplus, any shape. The bound is absolute near zero, as wide
// as Vulkan lets log(1+e) be there.
func SoftplusBound(x Bounded) Bounded {
	return each(len(x.Value), func(i int) num { return x.at(i).softplus() })
}

// NormBound is RMSNorm.
//
//	x [T, n], w [n] or nil -> [T, n]
func NormBound(x Bounded, w []float64, n int, eps float64) Bounded {
	rows := rowsOf("NormBound x", x.Value, n)
	y := Bounded{RMSNorm(x.Value, w, n, eps), make([]float64, len(x.Value))}
	for t := range rows {
		row := x.Row(t, n)
		var squares, moved float64
		for i, v := range row.Value {
			e := row.Bound[i]
			squares += v * v
			moved += 2*math.Abs(v)*e + e*e
		}
		mean, moved := squares/float64(n)+eps, moved/float64(n)
		r := 1 / math.Sqrt(mean)
		// All squares are positive, so their sum is off by gamma relatively; the
		// root halves that, and what the inputs' errors move the mean by.
		rel := (Gamma(n+4)+divError)*(1+moved/mean)/2 + rsqrtError
		if moved < mean/2 {
			rel += moved / mean // 1/sqrt(1-d) - 1 <= d for d <= 1/2
		} else {
			rel = math.Inf(1)
		}
		for i := range n {
			a := num{row.Value[i], row.Bound[i]}.mul(num{r, r * rel})
			if w != nil {
				a = a.mul(num{v: w[i]})
			}
			y.Bound[t*n+i] = a.e
		}
	}
	return y
}

// ConvBound is CausalConv1d without its activation (compose with SiLUBound).
// carry is replaced, errors and all.
//
//	x [T, inner], w [inner, conv], b [inner] or nil, carry [conv-1, inner] -> [T, inner]
func ConvBound(x Bounded, w, b []float64, carry Bounded, inner, conv int) Bounded {
	rows := rowsOf("ConvBound x", x.Value, inner)
	all := append(append([]float64{}, carry.Value...), x.Value...)
	errs := append(append([]float64{}, carry.Bound...), x.Bound...)
	y := Bounded{CausalConv1d(x.Value, w, b, carry.Value, inner, conv), make([]float64, len(x.Value))}
	for t := range rows {
		for i := range inner {
			var abs, inputs float64
			if b != nil {
				abs = math.Abs(b[i])
			}
			for k := range conv {
				at := (t+k)*inner + i
				abs += math.Abs(w[i*conv+k]) * (math.Abs(all[at]) + errs[at])
				inputs += math.Abs(w[i*conv+k]) * errs[at]
			}
			y.Bound[t*inner+i] = inputs + Gamma(conv+1)*abs + tiny
		}
	}
	copy(carry.Bound, errs[rows*inner:])
	return y
}

// ScanBound is SelectiveScan with its rounding followed through time: each step
// multiplies the error of the state by exp(delta*A), as it does the state, and
// adds the rounding of this step. Sizes are taken without regard to sign, so the
// bound holds for sequential scans and for those that combine spans of time.
// state is replaced, errors and all.
//
//	delta, x [T, inner], z [T, inner] or nil, A [inner, state], B, C [T, state],
//	D [inner] or nil, state [inner, state] -> [T, inner]
func ScanBound(delta Bounded, A []float64, B, C Bounded, D []float64, x Bounded, z *Bounded, state Bounded, inner, n int) Bounded {
	var gate []float64
	if z != nil {
		gate = z.Value
	}
	rows := checkScan(delta.Value, A, B.Value, C.Value, D, x.Value, gate, state.Value, inner, n)
	y := Bounded{make([]float64, rows*inner), make([]float64, rows*inner)}
	size := make([]float64, inner*n) // of the state, were nothing to cancel
	for i, v := range state.Value {
		size[i] = math.Abs(v) + state.Bound[i]
	}
	for t := range rows {
		for i := range inner {
			ti := t*inner + i
			d, xt := delta.at(ti), x.at(ti)
			var out num
			var abs float64
			term := func(p num) {
				out.v += p.v
				out.e += p.e
				abs += p.mag()
			}
			for j := range n {
				at := i*n + j
				keep := d.mul(num{v: A[at]}).exp()
				in := d.mul(B.at(t*n + j)).mul(xt)
				// S = keep*S + in
				e := keep.mag()*state.Bound[at] + size[at]*keep.e + in.e
				size[at] = keep.mag()*size[at] + in.mag()
				state.Value[at] = keep.v*state.Value[at] + in.v
				state.Bound[at] = e + Gamma(2)*size[at] + tiny
				term(state.at(at).mul(C.at(t*n + j)))
			}
			if D != nil {
				term(num{v: D[i]}.mul(xt))
			}
			out.e += Gamma(n+1) * abs
			if z != nil {
				out = out.mul(z.at(ti).silu())
			}
			y.Value[ti], y.Bound[ti] = out.v, out.e
		}
	}
	return y
}

func each(n int, f func(i int) num) Bounded {
	b := Bounded{make([]float64, n), make([]float64, n)}
	for i := range n {
		v := f(i)
		b.Value[i], b.Bound[i] = v.v, v.e
	}
	return b
}
