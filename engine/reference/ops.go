package reference

import (
	"fmt"
	"math"
	"sort"
)

// SoftplusThreshold is the argument above which softplus(v) is taken to be v, as
// in torch.nn.functional.softplus and in mamba-ssm's kernels.
const SoftplusThreshold = 20

// Float64s widens v; every float32 is exact in float64.
func Float64s(v []float32) []float64 {
	out := make([]float64, len(v))
	for i, f := range v {
		out[i] = float64(f)
	}
	return out
}

// Float32s rounds v to the nearest float32.
func Float32s(v []float64) []float32 {
	out := make([]float32, len(v))
	for i, f := range v {
		out[i] = float32(f)
	}
	return out
}

// Embed gathers rows of a table.
//
//	table [vocab, hidden], ids [T] -> [T, hidden]
func Embed(table []float64, ids []int, hidden int) []float64 {
	out := make([]float64, 0, len(ids)*hidden)
	for _, id := range ids {
		out = append(out, table[id*hidden:(id+1)*hidden]...)
	}
	return out
}

// RMSNorm divides each row by its root mean square (Zhang and Sennrich 2019):
//
//	y = w * x / sqrt(mean(x^2) + eps)
//
//	x [T, n], w [n] or nil for no weight -> [T, n]
func RMSNorm(x, w []float64, n int, eps float64) []float64 {
	rows := rowsOf("RMSNorm x", x, n)
	if w != nil {
		wantLen("RMSNorm w", w, n)
	}
	out := make([]float64, len(x))
	for t := range rows {
		row := x[t*n : (t+1)*n]
		sum := 0.0
		for _, v := range row {
			sum += v * v
		}
		r := 1 / math.Sqrt(sum/float64(n)+eps)
		for i, v := range row {
			out[t*n+i] = v * r
			if w != nil {
				out[t*n+i] *= w[i]
			}
		}
	}
	return out
}

// MatVec is one row of MatMul.
//
//	x [in], w [out, in] -> [out]
func MatVec(x, w []float64, in, out int) []float64 {
	wantLen("MatVec x", x, in)
	return MatMul(x, w, in, out)
}

// MatMul applies a linear layer without bias, y = x W^T.
//
//	x [T, in], w [out, in] -> [T, out]
func MatMul(x, w []float64, in, out int) []float64 {
	rows := rowsOf("MatMul x", x, in)
	wantLen("MatMul w", w, out*in)
	y := make([]float64, rows*out)
	for t := range rows {
		xs := x[t*in : (t+1)*in]
		for o := range out {
			y[t*out+o] = dot(xs, w[o*in:(o+1)*in])
		}
	}
	return y
}

// dot sums in four parts, which the processor can add side by side.
func dot(a, b []float64) float64 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float64
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return s0 + s1 + s2 + s3
}

// Add is the element-wise sum of two slices of one length (the residual; a bias
// is added by AddRow).
func Add(a, b []float64) []float64 {
	wantLen("Add b", b, len(a))
	out := make([]float64, len(a))
	for i := range a {
		out[i] = a[i] + b[i]
	}
	return out
}

// AddRow adds one row to every row.
//
//	x [T, n], row [n] -> [T, n]
func AddRow(x, row []float64) []float64 {
	n := len(row)
	rowsOf("AddRow x", x, n)
	out := make([]float64, len(x))
	for i := range x {
		out[i] = x[i] + row[i%n]
	}
	return out
}

// Columns cuts the columns [from, to) out of every row: how in_proj's output is
// split into x and z, and x_proj's into dt, B and C.
//
//	x [T, n] -> [T, to-from]
func Columns(x []float64, n, from, to int) []float64 {
	rows := rowsOf("Columns x", x, n)
	out := make([]float64, 0, rows*(to-from))
	for t := range rows {
		out = append(out, x[t*n+from:t*n+to]...)
	}
	return out
}

// CausalConv1d is the depthwise convolution over time, without its activation:
//
//	y[t,i] = b[i] + sum_k w[i,k] * x[t-conv+1+k, i]
//
// so w[i, conv-1] meets the current token. The rows before x are carry, oldest
// first; it is replaced by the last conv-1 rows seen, so a sequence may be given
// in pieces. Zeros stand for "before the start".
//
//	x [T, inner], w [inner, conv], b [inner] or nil, carry [conv-1, inner] -> [T, inner]
func CausalConv1d(x, w, b, carry []float64, inner, conv int) []float64 {
	rows := rowsOf("CausalConv1d x", x, inner)
	wantLen("CausalConv1d w", w, inner*conv)
	wantLen("CausalConv1d carry", carry, (conv-1)*inner)
	if b != nil {
		wantLen("CausalConv1d b", b, inner)
	}
	all := append(append(make([]float64, 0, len(carry)+len(x)), carry...), x...)
	y := make([]float64, len(x))
	for t := range rows {
		for i := range inner {
			sum := 0.0
			if b != nil {
				sum = b[i]
			}
			for k := range conv {
				sum += w[i*conv+k] * all[(t+k)*inner+i]
			}
			y[t*inner+i] = sum
		}
	}
	copy(carry, all[rows*inner:])
	return y
}

// SiLU is v * sigmoid(v), element by element, any shape.
func SiLU(x []float64) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = silu(v)
	}
	return out
}

// Softplus is log(1 + exp(v)), and v above SoftplusThreshold; any shape.
func Softplus(x []float64) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = softplus(v)
	}
	return out
}

// SelectiveScan is the selective state-space recurrence (Mamba, algorithm 2),
// with the skip D and the gate z:
//
//	S = exp(delta*A) * S + (delta*B) * x
//	y = (S . C + D*x) * silu(z)
//
// The state is read first and left as it is after the last token.
//
//	delta, x [T, inner], z [T, inner] or nil for no gate, A [inner, state] (negative),
//	B, C [T, state], D [inner] or nil, state [inner, state] -> [T, inner]
func SelectiveScan(delta, A, B, C, D, x, z, state []float64, inner, n int) []float64 {
	rows := checkScan(delta, A, B, C, D, x, z, state, inner, n)
	y := make([]float64, rows*inner)
	for t := range rows {
		for i := range inner {
			ti := t*inner + i
			sum := 0.0
			for j := range n {
				s := &state[i*n+j]
				*s = math.Exp(delta[ti]*A[i*n+j])**s + delta[ti]*B[t*n+j]*x[ti]
				sum += *s * C[t*n+j]
			}
			if D != nil {
				sum += D[i] * x[ti]
			}
			if z != nil {
				sum *= silu(z[ti])
			}
			y[ti] = sum
		}
	}
	return y
}

func checkScan(delta, A, B, C, D, x, z, state []float64, inner, n int) (rows int) {
	rows = rowsOf("SelectiveScan delta", delta, inner)
	wantLen("SelectiveScan x", x, rows*inner)
	wantLen("SelectiveScan A", A, inner*n)
	wantLen("SelectiveScan B", B, rows*n)
	wantLen("SelectiveScan C", C, rows*n)
	wantLen("SelectiveScan state", state, inner*n)
	if D != nil {
		wantLen("SelectiveScan D", D, inner)
	}
	if z != nil {
		wantLen("SelectiveScan z", z, rows*inner)
	}
	return rows
}

// ArgMax is the index of the largest value; the lowest index wins a tie.
// It returns -1 for an empty slice.
func ArgMax(v []float64) int {
	best := -1
	for i := range v {
		if best < 0 || v[i] > v[best] {
			best = i
		}
	}
	return best
}

// TopK is the indices of the k largest values, largest first; of equal values
// the lower index comes first. k over len(v) gives all.
func TopK(v []float64, k int) []int {
	order := make([]int, len(v))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(a, b int) bool { return v[order[a]] > v[order[b]] })
	return order[:min(k, len(v))]
}

// LogSoftmax is v - log(sum(exp(v))) over the whole slice: one row of logits.
func LogSoftmax(v []float64) []float64 {
	top := math.Inf(-1)
	for _, f := range v {
		top = math.Max(top, f)
	}
	sum := 0.0
	for _, f := range v {
		sum += math.Exp(f - top)
	}
	lse := top + math.Log(sum)
	out := make([]float64, len(v))
	for i, f := range v {
		out[i] = f - lse
	}
	return out
}

func silu(v float64) float64 { return v / (1 + math.Exp(-v)) }

func softplus(v float64) float64 {
	if v > SoftplusThreshold {
		return v
	}
	return math.Log1p(math.Exp(v))
}

func wantLen(what string, v []float64, n int) {
	if len(v) != n {
		panic(fmt.Sprintf("reference: %s has %d elements, want %d", what, len(v), n))
	}
}

func rowsOf(what string, v []float64, n int) int {
	if n <= 0 || len(v)%n != 0 {
		panic(fmt.Sprintf("reference: %s has %d elements, not whole rows of %d", what, len(v), n))
	}
	return len(v) / n
}
