package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"kestrel/engine/reference"
	"kestrel/engine/vulkan/vulkantest"
	"kestrel/engine/weights"
)

// inStep is a trial of InProjStep.
type inStep struct {
	w               weights.Tensor // [2 inner][hidden]
	h, gain         []float32
	eps             float32
	width           int
	convW, convB    []float32
	columns         []float32 // [inner][width-1]
	inner, slabRows int
}

func randomInStep(r *rand.Rand, d weights.DType, hidden, inner, width int) inStep {
	hidden = suits(d, hidden)
	return inStep{
		w: tensor(d, 2*inner, hidden, random(r, 2*inner*hidden, 1/math.Sqrt(float64(hidden)))), h: random(r, hidden, 1),
		gain: around(1, random(r, hidden, 0.1)), eps: 1e-2, width: width, inner: inner,
		convW: random(r, inner*width, 1), convB: random(r, inner, 1), columns: random(r, inner*(width-1), 1),
	}
}

func (s inStep) device(b bench) [][]float32 {
	b.Helper()
	hidden, inner := len(s.h), s.inner
	h := b.gridPadded(s.h, 1, hidden, Padded(hidden), 0) // the padding enters the mean
	x, gate := b.grid(nil, 1, inner, Padded(inner)), b.grid(nil, 1, inner, Padded(inner))
	columns := b.grid(s.columns, 1, len(s.columns), len(s.columns)+1)
	w, norm := b.matrix(s.w, s.slabRows), Norm{b.vector(s.gain), s.eps}
	conv := Conv{Width: s.width, W: b.vector(s.convW), B: b.vector(s.convB), Columns: columns.View}
	b.run(func(e *Encoder) { e.InProjStep(w, norm, conv, inner, h.View, x.View, gate.View) })
	return [][]float32{x.values(), gate.values(), columns.values()}
}

func (s inStep) truth() []reference.Bounded {
	hidden, inner := len(s.h), s.inner
	u := reference.NormBound(reference.Exact32(s.h), reference.Float64s(s.gain), hidden, float64(s.eps))
	az := matMul(u, s.w, nil)
	x, columns := convTruth(az.Columns(2*inner, 0, inner), s.convW, s.convB, s.columns, inner, s.width)
	return []reference.Bounded{x, reference.SiLUBound(az.Columns(2*inner, inner, 2*inner)), columns}
}

// convTruth is the convolution and SiLU of a [tokens, inner], and the columns after it as the device keeps them.
func convTruth(a reference.Bounded, w, b, columns []float32, inner, width int) (x, after reference.Bounded) {
	kept := width - 1
	carry := reference.Exact(transposed(reference.Float64s(columns), inner, kept))
	x = reference.SiLUBound(reference.ConvBound(a, reference.Float64s(w), reference.Float64s(b), carry, inner, width))
	return x, reference.Bounded{Value: transposed(carry.Value, kept, inner), Bound: transposed(carry.Bound, kept, inner)}
}

// transposed is v [rows, cols] as [cols, rows].
func transposed(v []float64, rows, cols int) []float64 {
	out := make([]float64, len(v))
	for i := range v {
		out[i%cols*rows+i/cols] = v[i]
	}
	return out
}

func (s inStep) wrong() map[string]trial {
	hidden := len(s.h)
	wrong := map[string]trial{}
	with := func(what string, change func(*inStep)) {
		q := s
		change(&q)
		wrong[what] = q
	}
	for what, row := range map[string]int{"one weight of x off": 0, "one weight of the gate off": 2*s.inner - 1} {
		at := heaviest(s.h, decoded(s.w)[row*hidden:(row+1)*hidden])
		with(what, func(q *inStep) { q.w = spoiled(s.w, row, at) })
	}
	with("two columns swapped", func(q *inStep) { q.w = columnsSwapped(s.w, 0, hidden-1) })
	with("another epsilon", func(q *inStep) { q.eps *= 2 })
	with("one gain off", func(q *inStep) { q.gain = onePercent(s.gain, biggest(s.h)) })
	with("one tap off", func(q *inStep) { q.convW = onePercent(s.convW, s.width-1) })
	with("one bias off", func(q *inStep) { q.convB = onePercent(s.convB, biggest(s.convB)) })
	if s.width > 1 {
		var taps []float32 // those that the columns meet
		for i := range s.inner {
			taps = append(taps, s.convW[i*s.width:(i+1)*s.width-1]...)
		}
		with("one carried column off", func(q *inStep) { q.columns = onePercent(s.columns, heaviest(s.columns, taps)) })
		with("two taps swapped", func(q *inStep) { q.convW = swapped(s.convW, 0, 1) })
	}
	return wrong
}

func TestInProjStep(t *testing.T) {
	dev := vulkantest.Open(t)
	eachCut(t, dev, func(b bench, d weights.DType) {
		widths := []int{4}
		switch {
		case b.all && b.set.tune.LaneRows > 0:
			widths = []int{2, 4}
		case b.all:
			widths = []int{1, 3, 4}
		}
		for _, width := range widths {
			b.sub(fmt.Sprint("width ", width), func(b bench) {
				r := rand.New(rand.NewPCG(3, uint64(d)))
				for range 3 {
					s := randomInStep(r, d, odd(r, 200)+2, odd(r, 150), width)
					check(b, s)
					checkSpoiled(b, s, s.wrong())
					checkSlabs(b, s, func(rows int) trial { s.slabRows = rows; return s })
				}
				check(b, randomInStep(r, d, 1024+odd(r, 90), odd(r, 20), width))
				check(b, randomInStep(r, d, 64, 64, width))
				check(b, randomInStep(r, d, 1, 1, width))
			})
		}
	})
}

// scanStep is a trial of ScanStep.
type scanStep struct {
	w            weights.Tensor // dt_proj [inner][rank]
	dbc          []float32      // [rank + 2 state]
	bias         []float32
	a, d         []float32 // [inner][state], [inner]
	x, gate      []float32
	s            []float32 // [inner][state]
	norm         bool
	eps          float32
	state, inner int
	slabRows     int
}

func randomScanStep(r *rand.Rand, d weights.DType, inner, rank, state int, norm bool) scanStep {
	rank = suits(d, rank)
	return scanStep{
		w: tensor(d, inner, rank, random(r, inner*rank, 1/math.Sqrt(float64(rank)))), dbc: random(r, rank+2*state, 1),
		bias: random(r, inner, 1), a: decays(r, inner*state, state), d: around(2, random(r, inner, 0.3)), x: random(r, inner, 1),
		gate: random(r, inner, 1), s: random(r, inner*state, 1), norm: norm, eps: 1e-2, state: state, inner: inner,
	}
}

// decays are values of A as a trained model has: slow and fast.
func decays(r *rand.Rand, n, state int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(-float64(1+i%state) * (0.5 + r.Float64()) / 2)
	}
	return out
}

// timesLog2e is A as the kernels take it.
func timesLog2e(a []float32) []float32 {
	out := make([]float32, len(a))
	for i, v := range a {
		out[i] = float32(float64(v) * math.Log2E)
	}
	return out
}

func (s scanStep) device(b bench) [][]float32 {
	b.Helper()
	rank := s.w.Shape[1]
	dbc := b.grid(s.dbc, 1, len(s.dbc), Padded(len(s.dbc)))
	y, state := b.grid(nil, 1, s.inner, Padded(s.inner)), b.grid(s.s, 1, len(s.s), len(s.s)+1)
	w, x, gate := b.matrix(s.w, s.slabRows), b.floats(s.x), b.floats(s.gate)
	scan := Scan{State: s.state, Rank: rank, A2: b.vector(timesLog2e(s.a)), D: b.vector(s.d), DtB: b.vector(s.bias),
		S: state.View, Norm: s.norm, Eps: s.eps}
	b.run(func(e *Encoder) { e.ScanStep(w, scan, dbc.View, x, gate, y.View) })
	return [][]float32{y.values(), state.values()}
}

// delta is after softplus, with B and C that go with it.
func (s scanStep) delta() (delta, B, C reference.Bounded) {
	rank, n := s.w.Shape[1], s.state
	dt, B, C := parts(reference.Exact32(s.dbc), rank, n, rank+2*n)
	if s.norm {
		dt, B, C = dbcNorms(dt, B, C, rank, n, s.eps)
	}
	return reference.SoftplusBound(matMul(dt, s.w, s.bias)), B, C
}

func (s scanStep) truth() []reference.Bounded {
	n := s.state
	delta, B, C := s.delta()
	state := reference.Exact32(s.s)
	y := reference.ScanBound(delta, reference.Float64s(s.a), B, C, reference.Float64s(s.d), reference.Exact32(s.x), nil, state, s.inner, n)
	return []reference.Bounded{reference.MulBound(y, reference.Exact32(s.gate)), state}
}

// parts are dt, B and C of dbc [tokens, stride].
func parts(dbc reference.Bounded, rank, n, stride int) (dt, B, C reference.Bounded) {
	return dbc.Columns(stride, 0, rank), dbc.Columns(stride, rank, rank+n), dbc.Columns(stride, rank+n, rank+2*n)
}

func dbcNorms(dt, B, C reference.Bounded, rank, n int, eps float32) (_, _, _ reference.Bounded) {
	norm := func(v reference.Bounded, n int) reference.Bounded {
		return reference.NormBound(v, nil, n, float64(eps))
	}
	return norm(dt, rank), norm(B, n), norm(C, n)
}

func (s scanStep) wrong() map[string]trial {
	rank := s.w.Shape[1]
	wrong := map[string]trial{}
	with := func(what string, change func(*scanStep)) {
		q := s
		change(&q)
		wrong[what] = q
	}
	// The channel whose state moves the most: there every input shows.
	var moves []float32
	for i, bias := range s.bias {
		moves = append(moves, bias+float32(math.Abs(float64(s.x[i]))))
	}
	d := reference.ArgMax(reference.Float64s(moves))
	at := heaviest(s.dbc[:rank], decoded(s.w)[d*rank:(d+1)*rank])
	with("one weight off", func(q *scanStep) { q.w = spoiled(s.w, d, at) })
	with("one bias off", func(q *scanStep) { q.bias = onePercent(s.bias, d) })
	with("one of x off", func(q *scanStep) { q.x = onePercent(s.x, d) })
	with("one gate off", func(q *scanStep) { q.gate = onePercent(s.gate, d) })
	with("one of D off", func(q *scanStep) { q.d = onePercent(s.d, d) })
	// What is carried shows where it has not decayed below the bound.
	delta, _, _ := s.delta()
	after := s.truth()[1]
	var kept, decay []float32
	for i, v := range s.s {
		exponent := delta.Value[i/s.state] * float64(s.a[i])
		share := math.Exp(exponent) * math.Abs(float64(v)) / after.Bound[i]
		kept, decay = append(kept, float32(share)), append(decay, float32(-exponent*share))
	}
	with("one of A off", func(q *scanStep) { q.a = onePercent(s.a, biggest(decay)) })
	with("one state off", func(q *scanStep) { q.s = onePercent(s.s, biggest(kept)) })
	with("B and C exchanged", func(q *scanStep) {
		q.dbc = slices.Concat(s.dbc[:rank], s.dbc[rank+s.state:], s.dbc[rank:rank+s.state])
	})
	with("two of B swapped", func(q *scanStep) { q.dbc = swapped(s.dbc, rank, rank+1) })
	if s.norm {
		with("another epsilon", func(q *scanStep) { q.eps *= 2 })
	}
	return wrong
}

func TestScanStep(t *testing.T) {
	dev := vulkantest.Open(t)
	eachCut(t, dev, func(b bench, d weights.DType) {
		states := []int{8}
		switch {
		case b.all:
			states = []int{16, 5}
		case b.full:
			states = []int{16}
		}
		for _, state := range states {
			b.sub(fmt.Sprint("state ", state), func(b bench) {
				r := rand.New(rand.NewPCG(4, uint64(d)))
				norm := state != 5 // Mamba has none
				for range 3 {
					s := randomScanStep(r, d, odd(r, 150), odd(r, 90), state, norm)
					check(b, s)
					checkSpoiled(b, s, s.wrong())
					checkSlabs(b, s, func(rows int) trial { s.slabRows = rows; return s })
				}
				check(b, randomScanStep(r, d, odd(r, 9), 320+odd(r, 90), state, norm))
				check(b, randomScanStep(r, d, 64, 32, state, norm))
				check(b, randomScanStep(r, d, 1, 1, state, norm))
			})
		}
	})
}
