package kernel

import (
	"fmt"
	"slices"

	"kestrel/engine/vulkan"
	"kestrel/engine/weights"
)

// Fragment is the shape in which a device multiplies cooperative matrices: C(MxN) += A(MxK) B(KxN), of binary16 with f32
// sums, by one subgroup of Width lanes. Small says that a subgroup has registers for few of them; see fewRegisters.
type Fragment struct {
	Width, M, N, K int
	Small          bool
}

// stepColumns is what gemm_coopmat.comp takes of a row at a time.
const stepColumns = 32

// FragmentOf picks the shape for a device; false where its matrix units cannot serve gemm_coopmat.comp.
func FragmentOf(info vulkan.DeviceInfo) (Fragment, bool) {
	f, lim, small := info.Features, info.Limits, fewRegisters(info)
	width := lim.SubgroupSize
	if small && f.SubgroupSizeControl {
		width = lim.MinSubgroup // that of its matrix units: a wider subgroup takes them in turns, its values as many more registers
	}
	if !f.Float16 || !f.MemoryModel || !f.SubgroupSizeControl && lim.MinSubgroup != lim.MaxSubgroup {
		return Fragment{}, false
	}
	var best Fragment
	for _, c := range f.CooperativeMatrix {
		if c.A != "f16" || c.B != "f16" || c.C != "f32" || c.Result != "f32" || c.Scope != "subgroup" ||
			c.Saturating || stepColumns%c.K != 0 || c.K%4 != 0 || 64%c.M != 0 || 64%c.N != 0 {
			continue
		}
		// The larger, the fewer loads from shared memory; square rather than long.
		if size := c.M * c.N; size > best.M*best.N || size == best.M*best.N && c.K > best.K {
			best = Fragment{width, c.M, c.N, c.K, small}
		}
	}
	return best, best.Width > 0
}

// coopTile is how subgroups share a tile of results: SR along the rows and ST along the tokens, each with FM x FN fragments.
type coopTile struct{ sr, st, fm, fn int }

func (t coopTile) rows(f Fragment) int { return t.sr * t.fm * f.M }
func (t coopTile) toks(f Fragment) int { return t.st * t.fn * f.N }

// fits tells whether a workgroup of the tile is allowed; its shared memory as in gemm_coopmat.comp.
func (t coopTile) fits(f Fragment, lim vulkan.Limits) bool {
	lanes := t.sr * t.st * f.Width
	shared := (t.rows(f)+t.toks(f))*(stepColumns+8)*2 + t.sr*t.st*f.M*f.N*4
	if lim.MaxSubgroups > 0 && t.sr*t.st > lim.MaxSubgroups {
		return false
	}
	return lanes <= lim.MaxInvocations && lanes <= lim.MaxGroupSize[0] && shared <= lim.MaxSharedBytes
}

// coopTiles are 128 x 128 results and 64 x 64, the smaller for matrices that would leave much of a GPU idle. Where registers
// are few more subgroups share a tile, with 16 x 8 results each or 16 x 32 (fragments of 8 x 8 or 8 x 16): what they load of
// the next step and the fragments then fit in, as Mesa's compiler tells of Arc and Xe2 (mamba.TestCompiled).
func coopTiles(f Fragment) []coopTile {
	if f.Small {
		fm, fn := max(1, 16/f.M), max(1, f.N/8)
		return []coopTile{
			{8, max(1, 64/f.N), fm, fn},
			{4, max(1, 64/f.N), fm, 1},
		}
	}
	return []coopTile{
		{2, 4, 64 / f.M, max(1, 32/f.N)},
		{2, 2, max(1, 32/f.M), max(1, 32/f.N)},
	}
}

// busy is how many workgroups keep a large GPU at work.
const busy = 128

// coopTile picks a tile for a slab; false where no tile fits the device.
func (e *Encoder) coopTile(rows, tokens int) (coopTile, bool) {
	f, lim := e.set.tune.Fragment, e.set.dev.Limits()
	tiles := slices.DeleteFunc(coopTiles(f), func(t coopTile) bool { return !t.fits(f, lim) })
	if len(tiles) == 0 {
		return coopTile{}, false
	}
	for _, t := range tiles {
		if ceil(rows, t.rows(f))*ceil(tokens, t.toks(f)) >= busy {
			return t, true
		}
	}
	return tiles[len(tiles)-1], true
}

// halfAlign separates the activations in binary16 from their scales; at least any device's alignment of bindings.
const halfAlign = 256

// halfBytes is the scratch that matrix units need for activations [tokens][cols].
func halfBytes(tokens, cols int) int64 { return halfScales(tokens, cols) + int64(tokens)*4 }

func halfScales(tokens, cols int) int64 {
	return (int64(tokens)*int64(Padded(cols))*2 + halfAlign - 1) / halfAlign * halfAlign
}

// onMatrixUnits tells whether cooperative matrices take this projection. Weights of f32 never: they would lose digits.
func (e *Encoder) onMatrixUnits(a Project) bool {
	tune := e.set.tune
	return tune.Fragment.Width > 0 && a.Scratch.Size > 0 && a.Tokens >= tune.FragmentFrom &&
		a.Norm == nil && a.Token0 == 0 && a.W.DType != weights.F32
}

// projectCoop encodes a projection on matrix units: the activations once to binary16, then a GEMM a slab.
func (e *Encoder) projectCoop(a Project, bias vulkan.View, out vulkan.Arg) {
	f, local := e.set.tune.Fragment, e.set.tune.Norm
	at := halfScales(a.Tokens, a.W.Cols)
	half, scale := a.Scratch.Slice(0, at), a.Scratch.Slice(at, int64(a.Tokens)*4)
	e.cost(0, a.Tokens*a.W.Cols, int64(a.Tokens)*int64(a.W.Cols)*2)
	e.run("to_half", []uint32{uint32(local), e.multi(local)}, a.Tokens, 1,
		[]any{Padded(a.W.Cols) / 4, a.W.Cols, a.XStride / 4},
		vulkan.In(a.X), vulkan.Out(half), vulkan.Out(scale))
	for _, s := range a.W.Slabs {
		t, ok := e.coopTile(s.Rows, a.Tokens)
		if !ok {
			e.fail(fmt.Errorf("%w: no tile of %+v fits a workgroup of %s", vulkan.ErrUnsupported, f, e.set.dev.Info().Name))
			return
		}
		e.projectCost(a, s, int64(a.Tokens)*int64(a.W.Cols)*2)
		e.runFull(f.Width, a.W.shader("gemm_coopmat"),
			[]uint32{uint32(t.sr * t.st * f.Width), uint32(f.Width), uint32(f.M), uint32(f.N), uint32(f.K),
				uint32(t.sr), uint32(t.st), uint32(t.fm), uint32(t.fn)},
			ceil(s.Rows, t.rows(f)), ceil(a.Tokens, t.toks(f)),
			[]any{uint32(a.W.units()), uint32(a.Epilogue), s.Rows, s.Row0, a.Tokens, a.YStride},
			vulkan.In(s.Weights), vulkan.In(half), vulkan.In(scale), vulkan.In(bias), out)
	}
}
