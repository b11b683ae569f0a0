package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"kestrel/engine/reference"
	"kestrel/engine/vulkan"
	"kestrel/engine/vulkan/vulkantest"
	"kestrel/engine/weights"
	"kestrel/engine/weights/half"
)

// onUnits is a projection on matrix units. Its truth is that of the inputs rounded to binary16 as the kernel rounds them,
// without which no bound would be narrow enough to notice a wrong weight.
type onUnits struct{ projection }

func (p onUnits) truth() []reference.Bounded {
	rows, cols := p.w.Shape[0], p.w.Shape[1]
	p.w = tensor(weights.F32, rows, cols, halves(decoded(p.w), 1))
	x := make([]float32, 0, len(p.x))
	for t := 0; t < len(p.x); t += cols {
		x = append(x, halves(p.x[t:t+cols], rowScale(p.x[t:t+cols]))...)
	}
	p.x = x
	return p.projection.truth()
}

func (p onUnits) wrong() map[string]trial {
	wrong := p.projection.wrong()
	for what, w := range wrong {
		wrong[what] = onUnits{w.(projection)}
	}
	return wrong
}

// halves rounds v to binary16, scaled.
func halves(v []float32, scale float32) []float32 {
	out := make([]float32, len(v))
	for i, f := range v {
		out[i] = half.Float32(half.FromFloat32(f/scale)) * scale
	}
	return out
}

// rowScale is to_half.comp's.
func rowScale(row []float32) float32 {
	top := 0.0
	for _, v := range row {
		top = max(top, math.Abs(float64(v)))
	}
	_, exp := math.Frexp(top)
	return float32(math.Ldexp(1, max(exp-15, -126)))
}

// withUnits opens a device and picks its fragment.
func withUnits(t *testing.T) (*vulkan.Device, Fragment) {
	dev := vulkantest.Open(t)
	f, ok := FragmentOf(dev.Info())
	if !ok {
		t.Skipf("%s has no matrix units for binary16 with f32 sums", dev.Info().Name)
	}
	return dev, f
}

// TestMatrixUnits takes every epilogue, both tiles and every storage type through cooperative matrices.
func TestMatrixUnits(t *testing.T) {
	dev, f := withUnits(t)
	tune := DefaultTuning(dev.Info())
	tune.Fragment, tune.FragmentFrom = f, 1
	t.Run("few registers", func(t *testing.T) {
		small := tune
		small.Fragment.Small = true
		if reflect.DeepEqual(coopTiles(small.Fragment), coopTiles(f)) != f.Small {
			t.Errorf("tiles of %+v: %v", small.Fragment, coopTiles(small.Fragment))
		}
		b := bench{t, NewSet(dev, small), true, false}
		r := rand.New(rand.NewPCG(8, 1))
		for _, p := range []projection{
			randomProjection(r, weights.F16, 100+odd(r, 60), odd(r, 290), 70, 0), // the lesser tile, over its edges
			randomProjection(r, weights.Q4_K, 64*busy-odd(r, 60), 256, 65, 0),    // the greater, where it fits
		} {
			p.scratch = asked
			check(b, onUnits{p})
		}
	})
	for _, d := range storageTypes {
		if d == weights.F32 {
			continue // see TestMatrixUnitsKeepF32
		}
		t.Run(fmt.Sprint(d), func(t *testing.T) {
			b := bench{t, NewSet(dev, tune), true, d == weights.F16}
			r := rand.New(rand.NewPCG(7, uint64(d)))
			trials := map[string]projection{
				"few tokens":     randomProjection(r, d, odd(r, 100), odd(r, 290), 5, 0),
				"over two tiles": randomProjection(r, d, 64+odd(r, 60), odd(r, 100), 64+odd(r, 6), 0),
				"wide":           randomProjection(r, d, odd(r, 30), 1000+odd(r, 99), 17, 0),
			}
			if b.all {
				trials["one row"] = randomProjection(r, d, 1, odd(r, 290), 3, 0)
				trials["one column"] = randomProjection(r, d, odd(r, 100), 1, 9, 0)
				trials["whole tiles"] = randomProjection(r, d, 64, 64, 64, 0)
				trials["many tiles"] = randomProjection(r, d, 64*busy-odd(r, 60), 33, 65, 0)
				tiny, huge := randomProjection(r, d, 20, 40, 4, 0), randomProjection(r, d, 20, 40, 4, 0)
				for i := range tiny.x {
					tiny.x[i] *= 1e-20
					huge.x[i] *= float32(math.Pow(10, float64(10*(i/40)-10))) // 1e-10 … 1e20, a token each
				}
				trials["tiny"], trials["huge"] = tiny, huge
			}
			for name, p := range trials {
				for what, ep := range epilogues {
					p.epilogue, p.scratch = ep, asked
					b.sub(name+", "+what, func(b bench) {
						check(b, onUnits{p})
						if p.w.Shape[0] > 1 && name != "tiny" && name != "huge" && name != "many tiles" {
							checkSpoiled(b, onUnits{p}, onUnits{p}.wrong())
						}
					})
				}
			}
			b.sub("slabs", func(b bench) {
				p := randomProjection(r, d, 87, odd(r, 99), 33, 0)
				p.scratch = asked
				checkSlabs(b, p, func(rows int) trial { p.slabRows = rows; return p })
			})
		})
	}
}

// TestMatrixUnitsKeepF32: weights of f32 keep all their digits.
func TestMatrixUnitsKeepF32(t *testing.T) {
	dev, f := withUnits(t)
	tune := DefaultTuning(dev.Info())
	tune.Fragment, tune.FragmentFrom = f, 1
	p := randomProjection(rand.New(rand.NewPCG(9, 0)), weights.F32, 30, 40, 33, 0)
	p.scratch = asked
	check(bench{t, NewSet(dev, tune), true, true}, p)
}

// TestMatrixUnitsNotFinite: an infinite activation comes out as no number, not as a wrong one.
func TestMatrixUnitsNotFinite(t *testing.T) {
	dev, f := withUnits(t)
	tune := DefaultTuning(dev.Info())
	tune.Fragment, tune.FragmentFrom = f, 1
	b := bench{t, NewSet(dev, tune), true, true}
	r := rand.New(rand.NewPCG(8, 0))
	p := randomProjection(r, weights.F16, 20, 40, 4, 0)
	p.scratch = asked
	p.x[45] = float32(math.Inf(1))
	for i, v := range p.device(b)[0] {
		if finite := !math.IsInf(float64(v), 0) && v == v; finite != (i/20 != 1) {
			t.Fatalf("token %d, row %d: %v", i/20, i%20, v)
		}
	}
}

// TestFragmentOf: what a device offers decides, not its name.
func TestFragmentOf(t *testing.T) {
	shape := func(m, n, k int, types ...string) vulkan.CooperativeMatrix {
		return vulkan.CooperativeMatrix{M: m, N: n, K: k, A: types[0], B: types[1], C: types[2], Result: types[2], Scope: "subgroup"}
	}
	half := []string{"f16", "f16", "f32"}
	able := vulkan.DeviceInfo{
		Features: vulkan.Features{Float16: true, MemoryModel: true, SubgroupSizeControl: true},
		Limits:   vulkan.Limits{SubgroupSize: 32, MinSubgroup: 32, MaxSubgroup: 32},
	}
	for name, c := range map[string]struct {
		change func(*vulkan.DeviceInfo)
		shapes []vulkan.CooperativeMatrix
		want   Fragment
	}{
		"the largest": {nil, []vulkan.CooperativeMatrix{shape(16, 8, 16, half...), shape(16, 16, 16, half...), shape(16, 16, 8, half...)}, Fragment{Width: 32, M: 16, N: 16, K: 16}},
		"Intel's":     {func(i *vulkan.DeviceInfo) { i.VendorID, i.Limits.MinSubgroup = vendorIntel, 8 }, []vulkan.CooperativeMatrix{shape(8, 8, 16, half...)}, Fragment{8, 8, 8, 16, true}},
		"f16 sums":    {nil, []vulkan.CooperativeMatrix{shape(16, 16, 16, "f16", "f16", "f16")}, Fragment{}},
		"integers":    {nil, []vulkan.CooperativeMatrix{shape(16, 16, 32, "i8", "i8", "i32")}, Fragment{}},
		"bfloat":      {nil, []vulkan.CooperativeMatrix{shape(16, 16, 16, "bf16", "bf16", "f32")}, Fragment{}},
		"odd":         {nil, []vulkan.CooperativeMatrix{shape(12, 16, 16, half...), shape(16, 16, 64, half...)}, Fragment{}},
		"none":        {nil, nil, Fragment{}},
		"no f16":      {func(i *vulkan.DeviceInfo) { i.Features.Float16 = false }, []vulkan.CooperativeMatrix{shape(16, 16, 16, half...)}, Fragment{}},
		"no model":    {func(i *vulkan.DeviceInfo) { i.Features.MemoryModel = false }, []vulkan.CooperativeMatrix{shape(16, 16, 16, half...)}, Fragment{}},
		"any width": {func(i *vulkan.DeviceInfo) { i.Features.SubgroupSizeControl, i.Limits.MinSubgroup = false, 8 },
			[]vulkan.CooperativeMatrix{shape(16, 16, 16, half...)}, Fragment{}},
	} {
		info := able
		if c.change != nil {
			c.change(&info)
		}
		info.Features.CooperativeMatrix = c.shapes
		if got, ok := FragmentOf(info); got != c.want || ok != (c.want.Width > 0) {
			t.Errorf("%s: %+v %v, want %+v", name, got, ok, c.want)
		}
	}
}

// BenchmarkProject compares the GEMMs that a device has.
func BenchmarkProject(b *testing.B) {
	dev := vulkantest.Open(b)
	plain := DefaultTuning(dev.Info())
	plain.Fragment = Fragment{}
	rows := plain
	rows.PanelsFrom = 0
	tunes := map[string]Tuning{"plain": plain}
	if plain.PanelsFrom > 0 {
		tunes["rows"] = rows
	}
	if f, ok := FragmentOf(dev.Info()); ok {
		units := plain
		units.Fragment, units.FragmentFrom = f, 1
		tunes["units"] = units
	}
	const tokens = 256
	m := Shape{3072, 768}
	for _, d := range []weights.DType{weights.F16, weights.Q8_0, weights.Q4_K} {
		for name, tune := range tunes {
			b.Run(fmt.Sprint(name, " ", d), func(b *testing.B) {
				be := bench{T: &testing.T{}, set: NewSet(dev, tune)}
				r := rand.New(rand.NewPCG(1, 1))
				a := Project{W: be.matrix(tensor(d, m.Rows, m.Cols, random(r, m.Rows*m.Cols, 1)), 0), X: be.floats(random(r, tokens*m.Cols, 1)),
					Y: be.floats(make([]float32, tokens*m.Rows)), Tokens: tokens, XStride: m.Cols, YStride: m.Rows}
				if n := tune.ScratchBytes(tokens, m); n > 0 {
					a.Scratch = be.words(make([]uint32, n/4)...)
				}
				repeat(b, be.set, func(e *Encoder) { e.Project(a) })
				b.ReportMetric(2*tokens*float64(m.Rows*m.Cols)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		}
	}
}
