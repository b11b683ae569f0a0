package kernel

import (
	"kestrel/engine/vulkan"
)

// Epilogue is what happens to a projection's result.
type Epilogue uint32

const (
	Store       Epilogue = iota // y = W x
	Add                         // y += W x
	SoftplusAdd                 // y = softplus(W x + bias)
)

// Norm is an RMS norm taken on the way into a projection: x becomes gain * x * rsqrt(mean(x^2) + eps).
type Norm struct {
	Gain vulkan.View // [Cols], padded
	Eps  float32
}

// Project computes y[t] = W x[t] for tokens t, with f32 sums.
//
//	X [Tokens][≥ Padded(Cols)], rows XStride floats apart (a multiple of 4), of which the first is row Token0
//	Y [Tokens][≥ Rows], rows YStride floats apart
//
// The columns of X between Cols and Padded(Cols) must be finite, and zero where there is a Norm: its mean sees them.
type Project struct {
	W                *Matrix
	X, Y             vulkan.View
	Tokens, Token0   int
	XStride, YStride int
	Norm             *Norm       // only for few tokens: the norm is computed again by every workgroup
	Epilogue         Epilogue    //
	Bias             vulkan.View // for SoftplusAdd: [Rows]
	Scratch          vulkan.View // ScratchBytes, without which neither matrix units nor panels serve
}

// Shape is that of a matrix.
type Shape struct{ Rows, Cols int }

// ScratchBytes is what Project.Scratch takes for so many tokens with any of these matrices; 0: none serves.
func (t Tuning) ScratchBytes(tokens int, matrices ...Shape) int64 {
	var n int64
	for _, m := range matrices {
		if t.Fragment.Width > 0 {
			n = max(n, halfBytes(tokens, m.Cols))
		}
		if t.PanelsFrom > 0 && tokens >= t.PanelsFrom {
			n = max(n, panelsBytes(m))
		}
	}
	return n
}

// Project encodes a projection: for many tokens on matrix units, by tiles in shared memory, or a lane a row on the CPU;
// else by dot products of rows. Matrix units round weights and activations to binary16; what is larger than 65504
// in the weights becomes infinite there.
func (e *Encoder) Project(a Project) {
	if !e.reads(a.W) {
		return
	}
	out := vulkan.Out(a.Y)
	if a.Epilogue == Add {
		out = vulkan.InOut(a.Y)
	}
	bias := a.Bias
	if a.Epilogue != SoftplusAdd {
		bias = a.X // unread
	}
	if e.onMatrixUnits(a) {
		e.projectCoop(a, bias, out)
		return
	}
	if e.onPanels(a) {
		e.projectPanels(a, bias, out)
		return
	}
	n := uint32(a.W.units())
	tune := e.set.tune
	for _, s := range a.W.Slabs {
		weights := vulkan.In(s.Weights)
		e.projectCost(a, s, int64(a.Tokens)*int64(a.W.Cols)*4)
		if tune.TileFrom > 0 && a.Tokens >= tune.TileFrom && a.Norm == nil && a.Token0 == 0 {
			e.run(a.W.shader("gemm"), nil, ceil(s.Rows, 64), ceil(a.Tokens, 64),
				[]any{n, uint32(a.Epilogue), s.Rows, s.Row0, a.Tokens, a.XStride / 4, a.YStride},
				weights, vulkan.In(a.X), vulkan.In(bias), out)
			continue
		}
		thin := tune.Address && a.Tokens <= tune.AddressTokens
		if tune.LaneRows > 0 && a.Tokens > 1 && !thin && a.Norm == nil && a.Token0 == 0 {
			local, toks := tune.Local, tune.laneTokens(a.Tokens)
			shader, address := "gemm_rows", []any(nil)
			if tune.Address {
				at := a.X.Address()
				shader, address = "gemm_rows_address", []any{uint32(0), uint32(at), uint32(at >> 32)}
			}
			e.run(a.W.shader(shader), []uint32{uint32(local), uint32(tune.LaneRows), uint32(toks)},
				ceil(s.Rows, local*tune.LaneRows), ceil(a.Tokens, toks),
				append([]any{n, uint32(a.Epilogue), s.Rows, s.Row0, a.Tokens, a.XStride, a.YStride}, address...),
				weights, vulkan.In(a.X), vulkan.In(bias), out)
			continue
		}
		rows, toks := tune.slabRows(a.W, s), 1
		switch {
		case a.Tokens > 1 && thin:
			for toks = 2; toks < a.Tokens && toks < 4; toks *= 2 {
			}
			rows = min(8, rows) // sums for each token
		case a.Tokens > 1:
			rows, toks = tune.ThinRows, tune.ThinTokens
			if a.Tokens <= toks/2 {
				toks /= 2 // half tiles, and no smaller ones: each size is a shader to compile
			}
		}
		gain, norm, eps := a.X, uint32(0), float32(0)
		if a.Norm != nil {
			gain, norm, eps = a.Norm.Gain, 1, a.Norm.Eps
		}
		local := tune.Local
		if tune.Groups > 0 {
			local, rows = tune.fine(rows, s.Rows, int(n), ceil(a.Tokens, toks), e.set.dev.Limits())
		}
		constants := []uint32{uint32(local), e.multi(local), uint32(rows), uint32(toks), norm}
		push := []any{n, uint32(a.Epilogue), s.Rows, s.Row0, a.Tokens, a.Token0, a.XStride / 4, a.YStride, float32(a.W.Cols), eps}
		shader := a.W.shader("gemv" + e.wide())
		if a.Tokens == 1 || thin {
			x := a.X.Slice(int64(a.Token0*a.XStride)*4, int64((a.Tokens-1)*a.XStride+Padded(a.W.Cols))*4)
			shader, constants, push = e.through("gemv", a.W, s, rows, constants, push, x, gain)
		}
		e.run(shader, constants,
			ceil(s.Rows, rows), ceil(a.Tokens, toks), push,
			weights, vulkan.In(a.X), vulkan.In(gain), vulkan.In(bias), out)
	}
}

// projectCost says what a slab of a projection costs, given the bytes of its input.
func (e *Encoder) projectCost(a Project, s Slab, input int64) {
	results := a.Tokens * s.Rows
	if a.Epilogue == Add {
		results *= 2
	}
	e.cost(2*float64(a.Tokens)*float64(s.Rows)*float64(a.W.Cols), results, s.Weights.Size+input)
}

// Embed gathers rows of the table: H[t] = table[ids[t]].
//
//	Ids [Tokens] uint32, each below table.Rows;  H [Tokens][Padded(Cols)]
func (e *Encoder) Embed(table *Matrix, ids, h vulkan.View, tokens int) {
	if !e.reads(table) {
		return
	}
	n, local := table.units(), e.set.tune.Conv
	for i, s := range table.Slabs {
		out := vulkan.Out(h)
		if i > 0 {
			out = vulkan.InOut(h)
		}
		e.cost(0, tokens*table.Cols, int64(tokens)*rowBytes(table.DType, table.Cols))
		e.run(table.shader("embed"), []uint32{uint32(local)}, ceil(n, local), tokens,
			[]any{n, s.Rows, s.Row0, Padded(table.Cols) / 4},
			vulkan.In(s.Weights), vulkan.In(ids), out)
	}
}
