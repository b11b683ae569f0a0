package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"kestrel/engine/vulkan"
	"kestrel/engine/vulkan/vulkantest"
	"kestrel/engine/weights"
)

// TestExactWeights: the weight that a kernel computes with is, bit for bit, what engine/weights decodes, for blocks of
// random bytes: all scales, all codes. An activation that is 1 in one column and 0 in the others brings it to light.
func TestExactWeights(t *testing.T) {
	dev := vulkantest.Open(t)
	for _, c := range cuts(dev)[:2] {
		for _, d := range c.types {
			t.Run(fmt.Sprint(c.name, " ", d), func(t *testing.T) {
				b := bench{t, NewSet(dev, c.tune), true, false}
				r := rand.New(rand.NewPCG(25, uint64(d)))
				cols := max(64, d.BlockSize())
				w := randomBlocks(r, d, 5, 2*cols)
				exactProject(b, w)
				w = randomBlocks(r, d, 7, cols)
				exactInProjStep(b, w)
				exactScanStep(b, w)
			})
		}
	}
}

// randomBlocks is a matrix of random bytes without NaN and infinity.
func randomBlocks(r *rand.Rand, d weights.DType, rows, cols int) weights.Tensor {
	w := weights.Tensor{Name: "w", File: "test", DType: d, Shape: []int{rows, cols}}
	for len(w.Data) < int(d.Bytes(rows*cols)) {
		block := randomBytes(r, d.BlockBytes())
		var largest float32
		v := make([]float32, d.BlockSize())
		if err := weights.Decode(v, d, block); err != nil {
			panic(err)
		}
		for _, v := range v {
			largest = max(largest, float32(math.Abs(float64(v))))
		}
		// What is below 2^-60 is left out, as devices may take subnormals for 0; so is what squares would overflow with.
		if !weights.HasNaN(d, block) && largest < 0x1p60 && (largest > 0x1p-60 || largest == 0) {
			w.Data = append(w.Data, block...)
		}
	}
	return w
}

// unitVectors is an activation for each column.
func (b bench) unitVectors(n int, value float32) (v vulkan.View, stride int) {
	all := make([]float32, n*n)
	for k := range n {
		all[k*n+k] = value
	}
	return b.floats(all), n
}

// same compares what a kernel made of the weight at row, col; a zero's sign does not count.
func (b bench) same(what string, w weights.Tensor, row, col int, got, want float32) {
	b.Helper()
	if got != want {
		b.Fatalf("%s, %v row %d column %d: %v (%#x), want %v (%#x)", what, w.DType, row, col, got, math.Float32bits(got), want, math.Float32bits(want))
	}
}

// exactProject takes one token, few and many.
func exactProject(b bench, w weights.Tensor) {
	b.Helper()
	rows, cols := w.Shape[0], w.Shape[1]
	want, m := decoded(w), b.matrix(w, 0)
	x, stride := b.unitVectors(cols, 1)
	for _, tokens := range []int{1, 4, cols} {
		y := b.floats(make([]float32, cols*64))
		b.run(func(e *Encoder) {
			for k := 0; k < cols; k += tokens {
				e.Project(Project{W: m, X: x.Slice(int64(4*k*stride), int64(4*stride*tokens)), Y: y.Slice(int64(4*64*k), int64(4*64*tokens)),
					Tokens: tokens, XStride: stride, YStride: 64})
			}
		})
		for i, got := range readFloats(y) {
			if k, row := i/64, i%64; row < rows {
				b.same(fmt.Sprint(tokens, " tokens"), w, row, k, got, want[row*cols+k])
			}
		}
	}
}

// exactInProjStep finds the weights in the carried columns. The norm of the activation is 1.
func exactInProjStep(b bench, w weights.Tensor) {
	b.Helper()
	rows, cols := w.Shape[0], w.Shape[1]
	root := float32(math.Sqrt(float64(cols))) // 8 or 16
	want, m := decoded(w), b.matrix(w, 0)
	h, stride := b.unitVectors(cols, root)
	gain := make([]float32, cols)
	for i := range gain {
		gain[i] = 1 / root
	}
	ones := make([]float32, 4*rows)
	conv := Conv{Width: 4, W: b.vector(ones), B: b.vector(ones[:rows])}
	norm := Norm{Gain: b.vector(gain)}
	x, columns := b.floats(make([]float32, 64)), b.floats(make([]float32, 64*cols))
	b.run(func(e *Encoder) {
		for k := range cols {
			conv.Columns = columns.Slice(int64(4*64*k), 4*64)
			e.InProjStep(m, norm, conv, rows, h.Slice(int64(4*k*stride), int64(4*stride)), x, x)
		}
	})
	for i, got := range readFloats(columns) {
		if k, row := i/64, i%64/3; row < rows && i%64%3 == 2 { // the newest of three
			b.same("in_proj", w, row, k, got, want[row*cols+k])
		}
	}
}

// exactScanStep finds the weights in the state: delta itself where it is large, as softplus is linear there.
func exactScanStep(b bench, w weights.Tensor) {
	b.Helper()
	rows, cols := w.Shape[0], w.Shape[1]
	want, m := decoded(w), b.matrix(w, 0)
	zeros, ones := make([]float32, 64), make([]float32, 64)
	for i := range ones {
		ones[i] = 1
	}
	for _, scale := range []float32{0x1p66, -0x1p66} {
		stride := ceil(cols+2, 64) * 64
		dbc := make([]float32, cols*stride)
		for k := range cols {
			dbc[k*stride+k] = scale
			dbc[k*stride+cols] = 1 // B
		}
		at, state, y := b.floats(dbc), b.floats(make([]float32, 64*cols)), b.floats(zeros)
		x, none := b.floats(ones), b.vector(zeros)
		b.run(func(e *Encoder) {
			for k := range cols {
				s := Scan{State: 1, Rank: cols, A2: none, D: none, DtB: none, S: state.Slice(int64(4*64*k), 4*64)}
				e.ScanStep(m, s, at.Slice(int64(4*k*stride), int64(4*stride)), x, x, y)
			}
		})
		for i, got := range readFloats(state) {
			if k, row := i/64, i%64; row < rows && want[row*cols+k]*scale > 20 {
				b.same("scan", w, row, k, got/scale, want[row*cols+k])
			}
		}
	}
}
