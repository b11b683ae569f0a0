package kernel

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"kestrel/engine/reference"
	"kestrel/engine/vulkan"
	"kestrel/engine/weights"
)

// trial is one use of a kernel: its inputs, what the device makes of them, and the truth with its rounding bounds.
type trial interface {
	device(b bench) [][]float32 // values, then what is carried
	truth() []reference.Bounded // the same
}

// repeat runs what plan encodes as often as the benchmark asks.
func repeat(b *testing.B, set *Set, plan func(*Encoder)) {
	b.Helper()
	p, err := set.Record(b.Context(), "bench", plan)
	if err != nil {
		b.Fatal(err)
	}
	defer p.Free()
	for b.Loop() {
		if err := p.Run(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// check compares a trial's outputs with the truth, and with a second run, which must give the same bits.
func check(b bench, tr trial) {
	b.Helper()
	got, again := tr.device(b), tr.device(b)
	for i, want := range tr.truth() {
		if err := want.Check(got[i]); err != nil {
			b.Errorf("output %d: %v", i, err)
		}
		if !sameBits(got[i], again[i]) {
			b.Errorf("output %d: a second run differs", i)
		}
	}
}

// checkSpoiled makes sure that check can fail: given any of the wrong inputs the device leaves the bounds of the right one.
func checkSpoiled(b bench, right trial, wrong map[string]trial) {
	b.Helper()
	want := right.truth()
	for what, tr := range wrong {
		outside := false
		for i, got := range tr.device(b) {
			err := want[i].Check(got)
			outside = outside || errors.Is(err, reference.ErrOutOfBound)
		}
		if !outside {
			b.Errorf("%s is not noticed", what)
		}
	}
}

// bench runs kernels on a device, cut by one tuning.
type bench struct {
	*testing.T
	set *Set
	// How much to try, as each shader takes long to compile: full is every path of the tunings in use, all is what
	// need not be seen in every storage type; with neither, what teams of lanes of a certain size could spoil.
	full, all bool
}

// sub is T.Run.
func (b bench) sub(name string, f func(bench)) {
	b.Run(name, func(t *testing.T) { f(bench{t, b.set, b.full, b.all}) })
}

func (b bench) run(plan func(*Encoder)) {
	b.Helper()
	p, err := b.set.Record(context.Background(), b.Name(), plan)
	if err != nil {
		b.Fatal(err)
	}
	defer p.Free()
	if err := p.Run(context.Background()); err != nil {
		b.Fatal(err)
	}
}

// words makes a buffer that host and device see.
func (b bench) words(v ...uint32) vulkan.View {
	b.Helper()
	buf, err := b.set.Device().NewHostBuffer("words", vulkan.Scratch, int64(max(1, len(v)))*4)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(buf.Free)
	raw := buf.Bytes()
	for i, w := range v {
		binary.LittleEndian.PutUint32(raw[4*i:], w)
	}
	return buf.Whole()
}

func (b bench) floats(v []float32) vulkan.View {
	b.Helper()
	return b.words(bits(v)...)
}

func readWords(v vulkan.View) []uint32 {
	raw := v.Buffer.Bytes()[v.Offset : v.Offset+v.Size]
	out := make([]uint32, len(raw)/4)
	for i := range out {
		out[i] = binary.LittleEndian.Uint32(raw[4*i:])
	}
	return out
}

func readFloats(v vulkan.View) []float32 {
	words := readWords(v)
	out := make([]float32, len(words))
	for i, w := range words {
		out[i] = math.Float32frombits(w)
	}
	return out
}

// vector is NewVector of v: a weight vector, padded with zeros.
func (b bench) vector(v []float32) vulkan.View {
	b.Helper()
	ctx, dev := context.Background(), b.set.Device()
	up, err := dev.NewUploader(0)
	if err != nil {
		b.Fatal(err)
	}
	defer up.Close()
	view, err := NewVector(ctx, dev, up, "vector", v)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(view.Buffer.Free)
	if err := up.Flush(ctx); err != nil {
		b.Fatal(err)
	}
	return view
}

// matrix puts w on the device, in slabs of slabRows rows each; 0 leaves that to the device's limits.
func (b bench) matrix(w weights.Tensor, slabRows int) *Matrix {
	b.Helper()
	ctx, dev := context.Background(), b.set.Device()
	lim := dev.Limits()
	if slabRows > 0 {
		lim = limitedTo(lim, w, slabRows)
	}
	m, err := newMatrix(dev, w, lim)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(m.Free)
	if slabRows > 0 && len(m.Slabs) != ceil(w.Shape[0], slabRows) {
		b.Fatalf("%v in slabs of %d rows: %d slabs", w, slabRows, len(m.Slabs))
	}
	up, err := dev.NewUploader(0)
	if err != nil {
		b.Fatal(err)
	}
	defer up.Close()
	if _, err := m.Upload(ctx, up, w); err != nil {
		b.Fatal(err)
	}
	if err := up.Flush(ctx); err != nil {
		b.Fatal(err)
	}
	return m
}

// limitedTo is limits under which a slab of w has n rows.
func limitedTo(lim vulkan.Limits, w weights.Tensor, n int) vulkan.Limits {
	lim.MaxStorageBufferRange = slabBytes(w.DType, n, w.Shape[1])
	return lim
}

// garbage stands where no kernel may look, or where what it sees meets zero weights, and where none may write.
const garbage = 0x1p99

// grid is rows of n values that stand stride apart, with garbage between them and in a spare row at the end.
type grid struct {
	vulkan.View
	b         bench
	n, stride int
	pad       float32 // what stands in the padding
}

// grid puts rows of n values into memory of the device; v nil stands for NaN, which what is written must replace.
func (b bench) grid(v []float32, rows, n, stride int) grid {
	return b.gridPadded(v, rows, n, stride, garbage)
}

func (b bench) gridPadded(v []float32, rows, n, stride int, pad float32) grid {
	b.Helper()
	all := slices.Repeat([]float32{pad}, (rows+1)*stride)
	for r := range rows {
		for i := range n {
			all[r*stride+i] = float32(math.NaN())
		}
		if v != nil {
			copy(all[r*stride:], v[r*n:(r+1)*n])
		}
	}
	return grid{b.floats(all), b, n, stride, pad}
}

// values takes the rows out again; padding that has changed fails the test.
func (g grid) values() []float32 {
	g.b.Helper()
	all := readFloats(g.View)
	var out []float32
	rows := len(all)/g.stride - 1
	for at, v := range all {
		if r, i := at/g.stride, at%g.stride; r < rows && i < g.n {
			out = append(out, v)
		} else if v != g.pad {
			g.b.Errorf("row %d: padding column %d (of %d to %d) became %v", r, i, g.n, g.stride, v)
			return out
		}
	}
	return out
}

// tensor stores values [rows, cols] in type d.
func tensor(d weights.DType, rows, cols int, values []float32) weights.Tensor {
	w := weights.Tensor{Name: "w", File: "test", DType: d, Shape: []int{rows, cols}, Data: make([]byte, d.Bytes(len(values)))}
	if err := weights.Encode(w.Data, d, values); err != nil {
		panic(err) // sizes that do not suit the type: a mistake in the test
	}
	return w
}

func decoded(w weights.Tensor) []float32 {
	v, err := w.Float32s()
	if err != nil {
		panic(err)
	}
	return v
}

func exactly(w weights.Tensor) []float64 { return reference.Float64s(decoded(w)) }

// spoiled is w with one weight off by 1%, or by the least that a changed bit of its code makes of it.
func spoiled(w weights.Tensor, row, col int) weights.Tensor {
	n := w.Shape[1]
	if !w.DType.Quantized() {
		return tensor(w.DType, w.Shape[0], n, onePercent(decoded(w), row*n+col))
	}
	size, bytes := w.DType.BlockSize(), w.DType.BlockBytes()
	at := (row*n + col) / size * bytes
	right := make([]float32, size)
	decode := func(block []byte) []float32 {
		out := make([]float32, size)
		if err := weights.Decode(out, w.DType, block); err != nil {
			panic(err)
		}
		return out
	}
	block := slices.Clone(w.Data[at : at+bytes])
	copy(right, decode(block))
	best, least := slices.Clone(block), math.Inf(1)
	for bit := range 8 * bytes {
		block[bit/8] ^= 1 << (bit % 8)
		off := math.Inf(1)
		for i, v := range decode(block) {
			if i == col%size && v != right[i] {
				off = math.Abs(float64(v - right[i]))
			} else if v != right[i] {
				off = math.Inf(1)
				break
			}
		}
		if off < least {
			best, least = slices.Clone(block), off
		}
		block[bit/8] ^= 1 << (bit % 8)
	}
	if math.IsInf(least, 1) {
		panic(fmt.Sprintf("no bit changes only column %d of a block of %v", col%size, w.DType))
	}
	w.Data = slices.Clone(w.Data)
	copy(w.Data[at:], best)
	return w
}

// columnsSwapped is w with columns i and j exchanged.
func columnsSwapped(w weights.Tensor, i, j int) weights.Tensor {
	v, n := decoded(w), w.Shape[1]
	for row := 0; row < len(v); row += n {
		v[row+i], v[row+j] = v[row+j], v[row+i]
	}
	return tensor(w.DType, w.Shape[0], n, v)
}

// matMul takes the bound that a sum of n columns calls for: the worst case, until that is too wide to notice an error.
func matMul(x reference.Bounded, w weights.Tensor, bias []float32) reference.Bounded {
	rows, cols := w.Shape[0], w.Shape[1]
	var add []float64
	if bias != nil {
		add = reference.Float64s(bias)
	}
	if cols > 300 {
		return reference.MatMulLikely(x, exactly(w), add, cols, rows)
	}
	return reference.MatMulBound(x, exactly(w), add, cols, rows)
}

func random(r *rand.Rand, n int, scale float64) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(scale * r.NormFloat64())
	}
	return out
}

// around is v, each plus center.
func around(center float32, v []float32) []float32 {
	for i := range v {
		v[i] += center
	}
	return v
}

// odd is a size in [1, most] that suits no kernel's width.
func odd(r *rand.Rand, most int) int { return r.IntN((most+1)/2)*2 + 1 }

// onePercent is v with element i 1% off.
func onePercent(v []float32, i int) []float32 {
	out := slices.Clone(v)
	out[i] *= 1.01
	return out
}

// swapped is v with elements i and j exchanged.
func swapped(v []float32, i, j int) []float32 {
	out := slices.Clone(v)
	out[i], out[j] = out[j], out[i]
	return out
}

// heaviest is the i for which x[i] w[i] is largest: the product whose change a test that works must notice.
func heaviest(x, w []float32) int {
	best := 0
	for i := range w {
		if math.Abs(float64(x[i]*w[i])) > math.Abs(float64(x[best]*w[best])) {
			best = i
		}
	}
	return best
}

func biggest(v []float32) int { return heaviest(v, v) }

func bits(v []float32) []uint32 {
	out := make([]uint32, len(v))
	for i, f := range v {
		out[i] = math.Float32bits(f)
	}
	return out
}

func sameBits(a, b []float32) bool { return slices.Equal(bits(a), bits(b)) }

// storageTypes are the types that the kernels read.
var storageTypes = slices.Sorted(maps.Keys(storages))

// suits rounds a number of columns up to whole blocks of d.
func suits(d weights.DType, cols int) int { return ceil(cols, d.BlockSize()) * d.BlockSize() }

// cut is a tuning and the storage types it is tested with: those in use with all, others, which force teams of a certain
// size, with one each.
type cut struct {
	name  string
	tune  Tuning
	types []weights.DType
}

func cuts(dev *vulkan.Device) []cut {
	types := storageTypes
	if testing.Short() { // each type has its own shaders to compile
		types = []weights.DType{weights.F32, weights.F16, weights.BF16, weights.Q8_0, weights.Q4_K, weights.Q6_K}
	}
	gpu := DefaultTuning(vulkan.DeviceInfo{Type: vulkan.Discrete})
	fine := gpu
	gpu.Groups = 0 // else no matrix here has rows enough
	list := []cut{
		{"default", DefaultTuning(dev.Info()), types},
		{"gpu", gpu, types},
		{"gpu, fine", fine, []weights.DType{weights.F16, weights.Q4_K}},
		{"odd", Tuning{Local: 12, Rows: 3, ThinRows: 3, ThinTokens: 3, Norm: 20, Conv: 5, ConvSpan: 3, ScanChannels: 7,
			Scan: 12, ScanLanes: 2, ScanSpan: 5, Top: 24, Wide: dev.Info().Features.Int64}, []weights.DType{weights.BF16}},
	}
	for i, team := range []int{4, 16, 32, 128} {
		list = append(list, cut{fmt.Sprintf("team of %d", team), Tuning{Local: team, Rows: 2, ThinRows: 2, ThinTokens: 2,
			Norm: team, Conv: team, ConvSpan: 1, ScanChannels: 5, Scan: team, ScanLanes: 4, ScanSpan: 8, Top: team, Draw: 4 * team, Few: i%2 == 0}, storageTypes[i : i+1]})
	}
	return list
}

// eachCut runs f for every tuning and storage type.
func eachCut(t *testing.T, dev *vulkan.Device, f func(b bench, d weights.DType)) {
	for _, c := range cuts(dev) {
		for _, d := range c.types {
			t.Run(fmt.Sprint(c.name, " ", d), func(t *testing.T) {
				full := len(c.types) > 1
				f(bench{t, NewSet(dev, c.tune), full, full && d == weights.F16}, d)
			})
		}
	}
}

// eachTuning runs f for every tuning: of kernels without weights.
func eachTuning(t *testing.T, dev *vulkan.Device, f func(b bench)) {
	for _, c := range cuts(dev) {
		t.Run(c.name, func(t *testing.T) { f(bench{t, NewSet(dev, c.tune), len(c.types) > 1, true}) })
	}
}
