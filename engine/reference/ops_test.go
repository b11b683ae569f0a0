package reference

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func near(t *testing.T, what string, got, want []float64, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	for i := range want {
		if !(math.Abs(got[i]-want[i]) <= tol) {
			t.Fatalf("%s: element %d is %v, want %v", what, i, got[i], want[i])
		}
	}
}

func randn(r *rand.Rand, n int, scale float64) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = float64(float32(r.NormFloat64() * scale)) // exact in float32
	}
	return v
}

// Values worked out by hand.
func TestOpsByHand(t *testing.T) {
	near(t, "Embed", Embed([]float64{1, 2, 3, 4, 5, 6}, []int{2, 0}, 2), []float64{5, 6, 1, 2}, 0)
	near(t, "RMSNorm", RMSNorm([]float64{3, 4}, []float64{2, 1}, 2, 12.5), []float64{6. / 5, 4. / 5}, 1e-15)
	near(t, "RMSNorm without weight", RMSNorm([]float64{3, 4, 0, 0}, nil, 2, 12.5), []float64{3. / 5, 4. / 5, 0, 0}, 1e-15)
	near(t, "MatMul", MatMul([]float64{1, 2, 0, 1}, []float64{1, 1, 2, 0, 0, 3}, 2, 3), []float64{3, 2, 6, 1, 0, 3}, 0)
	near(t, "MatVec", MatVec([]float64{1, 2}, []float64{1, 1, 2, 0, 0, 3}, 2, 3), []float64{3, 2, 6}, 0)
	near(t, "AddRow", AddRow([]float64{1, 2, 3, 4}, []float64{10, 20}), []float64{11, 22, 13, 24}, 0)
	near(t, "Columns", Columns([]float64{1, 2, 3, 4, 5, 6}, 3, 1, 3), []float64{2, 3, 5, 6}, 0)
	near(t, "SiLU", SiLU([]float64{0, math.Log(3)}), []float64{0, math.Log(3) * 0.75}, 1e-15)
	near(t, "Softplus", Softplus([]float64{0, 20, 20.5, -50}),
		[]float64{math.Ln2, 20 + math.Log1p(math.Exp(-20)), 20.5, math.Exp(-50)}, 1e-14)
	near(t, "LogSoftmax", LogSoftmax([]float64{1000, 1000 + math.Log(3)}), []float64{math.Log(.25), math.Log(.75)}, 1e-12)

	carry := []float64{7, 9} // the tokens before: 7, then 9
	got := CausalConv1d([]float64{1, 2}, []float64{100, 10, 1}, []float64{0.5}, carry, 1, 3)
	near(t, "CausalConv1d", got, []float64{791.5, 912.5}, 0)
	near(t, "carried columns", carry, []float64{1, 2}, 0)

	state := []float64{8}
	y := SelectiveScan([]float64{1, 2}, []float64{-math.Ln2}, []float64{3, 5}, []float64{1, 10}, []float64{100},
		[]float64{1, -1}, []float64{math.Log(3), 0}, state, 1, 1)
	// S1 = 8/2 + 1*3*1 = 7, y1 = (7 + 100) * silu(log 3); S2 = 7/4 + 2*5*-1 = -8.25, gate closed
	near(t, "SelectiveScan", y, []float64{107 * math.Log(3) * 0.75, 0}, 1e-12)
	near(t, "scan state", state, []float64{-8.25}, 1e-12)
}

func TestArgMaxTopK(t *testing.T) {
	v := []float64{1, 5, 5, math.Inf(-1), 2}
	if got := ArgMax(v); got != 1 {
		t.Errorf("ArgMax = %d, want the lowest id of a tie, 1", got)
	}
	if got := ArgMax(nil); got != -1 {
		t.Errorf("ArgMax of nothing = %d", got)
	}
	if got := TopK(v, 3); !slices.Equal(got, []int{1, 2, 4}) {
		t.Errorf("TopK = %v", got)
	}
	if got := TopK(v, 99); len(got) != 5 || got[4] != 3 {
		t.Errorf("TopK of more than there are = %v", got)
	}
}

// A sequence given in pieces must give what it gives whole: the carried columns
// and the carried state are all a layer remembers.
func TestConvAndScanInPieces(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const T, inner, n, conv = 23, 5, 3, 4
	x, z, delta := randn(r, T*inner, 1), randn(r, T*inner, 1), Softplus(randn(r, T*inner, 1))
	w, b := randn(r, inner*conv, 1), randn(r, inner, 1)
	A, D := randn(r, inner*n, 1), randn(r, inner, 1)
	for i := range A {
		A[i] = -math.Exp(A[i])
	}
	B, C := randn(r, T*n, 1), randn(r, T*n, 1)
	run := func(cuts ...int) (conv1, scan, carry, state []float64) {
		carry, state = make([]float64, (conv-1)*inner), make([]float64, inner*n)
		from := 0
		for _, to := range append(cuts, T) {
			conv1 = append(conv1, CausalConv1d(x[from*inner:to*inner], w, b, carry, inner, conv)...)
			scan = append(scan, SelectiveScan(delta[from*inner:to*inner], A, B[from*n:to*n], C[from*n:to*n], D,
				x[from*inner:to*inner], z[from*inner:to*inner], state, inner, n)...)
			from = to
		}
		return
	}
	c0, s0, k0, h0 := run()
	for _, cuts := range [][]int{{1}, {2, 3, 4}, {22}, {7, 7, 14}} {
		c, s, k, h := run(cuts...)
		near(t, "conv", c, c0, 0)
		near(t, "scan", s, s0, 0)
		near(t, "carry", k, k0, 0)
		near(t, "state", h, h0, 0)
	}
}

func TestOpsPanicOnWrongSizes(t *testing.T) {
	for name, f := range map[string]func(){
		"MatMul":        func() { MatMul(make([]float64, 5), make([]float64, 4), 2, 2) },
		"RMSNorm":       func() { RMSNorm(make([]float64, 4), make([]float64, 3), 4, 0) },
		"CausalConv1d":  func() { CausalConv1d(make([]float64, 4), make([]float64, 8), nil, make([]float64, 5), 2, 4) },
		"SelectiveScan": func() { checkScan(nil, nil, nil, nil, nil, nil, nil, []float64{1}, 1, 1) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s took slices of the wrong size", name)
				}
			}()
			f()
		}()
	}
}
