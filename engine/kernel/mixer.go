package kernel

import "kestrel/engine/vulkan"

// Conv is the causal convolution of one layer.
type Conv struct {
	Width   int
	W       vulkan.View // [inner][Width]; the last tap meets the current token
	B       vulkan.View // [inner]
	Columns vulkan.View // [inner][Width-1], carried from token to token, oldest first
}

// Scan is the selective scan of one layer.
type Scan struct {
	State int         // states a channel
	Rank  int         // of dt
	A2    vulkan.View // [inner][State], A times log2(e)
	D     vulkan.View // [inner]
	DtB   vulkan.View // [inner]
	S     vulkan.View // [inner][State], carried
	Norm  bool        // Falcon's weightless norms of dt, B and C
	Eps   float32     // of these norms
}

// InProjStep takes one token through RMS norm, in_proj, convolution and SiLU:
//
//	h [Padded(hidden)] -> x [inner] = silu(conv(a)), gate [inner] = silu(z);   a, z = split(in_proj norm(h))
func (e *Encoder) InProjStep(inProj *Matrix, norm Norm, conv Conv, inner int, h, x, gate vulkan.View) {
	if !e.reads(inProj) {
		return
	}
	tune := e.set.tune
	for i, s := range inProj.Slabs {
		rows := tune.slabRows(inProj, s)
		outX, outGate := vulkan.Out(x), vulkan.Out(gate)
		if i > 0 {
			outX, outGate = vulkan.InOut(x), vulkan.InOut(gate)
		}
		e.cost(2*float64(s.Rows)*float64(inProj.Cols), 2*inProj.Cols+s.Rows+s.Rows/2*3*conv.Width, s.Weights.Size)
		shader, constants, push := e.through("in_proj_step", inProj, s, rows,
			[]uint32{uint32(tune.Local), e.multi(tune.Local), uint32(rows), uint32(conv.Width)},
			[]any{inProj.units(), s.Rows, s.Row0, inner, float32(inProj.Cols), norm.Eps}, h, norm.Gain)
		e.run(shader, constants,
			ceil(s.Rows, rows), 1, push,
			vulkan.In(s.Weights), vulkan.In(h), vulkan.In(norm.Gain),
			vulkan.In(conv.W), vulkan.In(conv.B), vulkan.InOut(conv.Columns), outX, outGate)
	}
}

// ScanStep takes one token through the norms of dt, B and C, dt_proj, softplus, the scan, D and the gate:
//
//	dbc [Padded(rank + 2 state)], x [inner], gate [inner] -> y [inner]; S moves on by one token
//
// y must be another buffer than x.
func (e *Encoder) ScanStep(dtProj *Matrix, s Scan, dbc, x, gate, y vulkan.View) {
	if !e.reads(dtProj) {
		return
	}
	tune := e.set.tune
	for i, slab := range dtProj.Slabs {
		channels := tune.ScanChannels
		if channels == 0 {
			channels = max(1, tune.Local/s.State)
		}
		rows := min(tune.slabRows(dtProj, slab), channels)
		channels = ceil(channels, rows) * rows
		if tune.Address {
			channels = max(1, min(channels, slab.Rows)/rows) * rows // of the slab, whole
		}
		out := vulkan.Out(y)
		if i > 0 {
			out = vulkan.InOut(y)
		}
		e.cost(2*float64(slab.Rows)*float64(dtProj.Cols)+6*float64(slab.Rows)*float64(s.State),
			dtProj.Cols+slab.Rows*(3*s.State+5), slab.Weights.Size)
		shader, constants, push := e.through("scan_step", dtProj, slab, rows,
			[]uint32{uint32(tune.Local), e.multi(tune.Local), uint32(rows), uint32(channels), uint32(s.State), flag(s.Norm)},
			[]any{dtProj.units(), s.Rank, slab.Rows, slab.Row0, s.Eps}, dbc, s.A2, s.S)
		e.run(shader, constants, ceil(slab.Rows, channels), 1, push,
			vulkan.In(slab.Weights), vulkan.In(dbc), vulkan.In(s.DtB), vulkan.In(s.A2), vulkan.In(s.D),
			vulkan.In(x), vulkan.In(gate), vulkan.InOut(s.S), out)
	}
}

// RMSNorm computes y[t] = gain * x[t] * rsqrt(mean(x[t]^2) + eps) for x, y [tokens][Padded(cols)].
func (e *Encoder) RMSNorm(norm Norm, x, y vulkan.View, tokens, cols int) {
	local := e.set.tune.Norm
	e.cost(4*float64(tokens)*float64(cols), 2*tokens*cols, 0)
	e.run("rmsnorm", []uint32{uint32(local), e.multi(local)}, tokens, 1,
		[]any{Padded(cols) / 4, float32(cols), norm.Eps},
		vulkan.In(x), vulkan.In(norm.Gain), vulkan.Out(y))
}

// DBCNorm applies Falcon's weightless norms to dt, B and C of dbc [tokens][stride] in place.
func (e *Encoder) DBCNorm(s Scan, dbc vulkan.View, tokens, stride int) {
	local := e.set.tune.Norm
	e.cost(0, 2*tokens*(s.Rank+2*s.State), 0)
	e.run("dbc_norm", []uint32{uint32(local), e.multi(local)}, tokens, 1,
		[]any{s.Rank, s.State, stride, s.Eps}, vulkan.InOut(dbc))
}

// ConvChunk computes x[t] = silu(conv(a)) for chunks of so many tokens of one or several sequences, one after another, and
// carries their columns: c.Columns is [sequences][inner][Width-1].
//
//	a [sequences tokens][aStride], of which the first inner columns are convolved;  x [sequences tokens][xStride]
//
// Rows of a are padded as ScanChunk's.
func (e *Encoder) ConvChunk(c Conv, a, x vulkan.View, sequences, tokens, inner, aStride, xStride int) {
	tune := e.set.tune
	local := tune.Conv
	e.cost(2*float64(sequences*tokens)*float64(inner)*float64(c.Width), 2*sequences*tokens*inner, 0)
	shader, push := "conv_chunk", []any{inner, tokens, aStride, xStride}
	if tune.Address && local == addressLanes {
		shader, push = "conv_chunk_address", append(push, uint32(a.Address()), uint32(a.Address()>>32))
	}
	e.runDeep(shader, []uint32{uint32(local), uint32(c.Width), uint32(tune.ConvSpan)},
		ceil(inner, local), ceil(tokens, tune.ConvSpan), sequences, push,
		vulkan.In(a), vulkan.In(c.W), vulkan.In(c.B), vulkan.In(c.Columns), vulkan.Out(x))
	e.cost(0, 2*sequences*inner*(c.Width-1), 0)
	e.run("conv_carry", []uint32{uint32(local), uint32(c.Width)}, ceil(inner, local), sequences,
		[]any{inner, tokens, aStride}, vulkan.In(a), vulkan.InOut(c.Columns))
}

// ScanChunk runs the scan over chunks of so many tokens of one or several sequences, one after another, with D and the
// gate; y takes x's place. s.S is [sequences][inner][State]; rows are sequences tokens in number.
//
//	delta [tokens][xStride], after softplus;  dbc [tokens][dbcStride];  z stands inner columns into rows of az [tokens][zStride]
//	xy [tokens][xStride]: x in, y out;  S moves on by tokens
//
// Rows are padded: of 8 neighbouring channels, which are read together, the last may be beyond inner.
func (e *Encoder) ScanChunk(s Scan, delta, dbc, az, xy vulkan.View, sequences, tokens, inner, dbcStride, zStride, xStride int) {
	local, lanes := e.set.tune.Scan, e.set.tune.ScanLanes
	for s.State%lanes != 0 {
		lanes /= 2
	}
	e.cost(6*float64(sequences*tokens)*float64(inner)*float64(s.State),
		sequences*(tokens*(4*inner+2*s.State)+2*inner*s.State)+inner*s.State, 0)
	if e.set.tune.Address {
		push := []any{inner, tokens, s.Rank, dbcStride, zStride, xStride}
		for _, v := range []vulkan.View{delta, dbc, az, xy} {
			push = append(push, uint32(v.Address()), uint32(v.Address()>>32))
		}
		e.run("scan_lanes", []uint32{addressLanes, uint32(s.State)}, ceil(inner, addressLanes), sequences, push,
			vulkan.In(delta), vulkan.In(s.A2), vulkan.In(dbc), vulkan.In(s.D), vulkan.In(az), vulkan.InOut(s.S), vulkan.InOut(xy))
		return
	}
	alone := flag(e.multi(local) == 0 && lanes == 1 && 2*s.State%local == 0)
	e.run("scan_chunk", []uint32{uint32(local), e.multi(local), uint32(s.State), uint32(lanes), uint32(e.set.tune.ScanSpan), alone},
		ceil(inner*lanes, local), sequences,
		[]any{inner, tokens, s.Rank, dbcStride, zStride, xStride},
		vulkan.In(delta), vulkan.In(s.A2), vulkan.In(dbc), vulkan.In(s.D), vulkan.In(az), vulkan.InOut(s.S), vulkan.InOut(xy))
}

func flag(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}
