package kernel

import "kestrel/engine/vulkan"

// Panels serve many tokens on the CPU: weights are decoded once, eight rows side by side, and then meet all tokens, where
// the lane-a-row GEMM decodes them again for each dozen.

// panelSpan is the columns that a workgroup of unpack.comp takes.
const panelSpan = 128

// mostPanelBytes bounds the panels that are decoded at a time: they stay in a processor's last cache.
const mostPanelBytes = 8 << 20

// panelBytes is what a panel of f32 takes.
func panelBytes(cols int) int64 { return int64(addressLanes) * int64(Padded(cols)) * 4 }

// panelsBytes is the scratch in which a matrix is multiplied, some panels at a time.
func panelsBytes(m Shape) int64 {
	panel := panelBytes(m.Cols)
	return panel * min(max(1, mostPanelBytes/panel), int64(ceil(m.Rows, addressLanes)))
}

// onPanels tells whether a projection decodes its weights first.
func (e *Encoder) onPanels(a Project) bool {
	tune := e.set.tune
	return tune.PanelsFrom > 0 && a.Tokens >= tune.PanelsFrom && a.Norm == nil && a.Token0 == 0 && a.Scratch.Size >= panelBytes(a.W.Cols)
}

// projectPanels encodes a projection through as many panels at a time as the scratch holds.
func (e *Encoder) projectPanels(a Project, bias vulkan.View, out vulkan.Arg) {
	cols, toks, step := Padded(a.W.Cols), e.set.tune.LaneTokens, 32
	if cols%64 == 0 {
		step = 64
	}
	most := int(a.Scratch.Size/panelBytes(cols)) * addressLanes
	for _, s := range a.W.Slabs {
		for first := 0; first < s.Rows; first += most {
			part := Slab{Rows: min(most, s.Rows-first), Row0: s.Row0 + first}
			n := ceil(part.Rows, addressLanes)
			part.Weights = a.Scratch.Slice(0, int64(n)*panelBytes(cols))
			e.cost(0, part.Rows*a.W.Cols, s.Weights.Size*int64(part.Rows)/int64(s.Rows))
			e.run(a.W.shader("unpack"), []uint32{addressLanes}, ceil(cols, panelSpan), n,
				[]any{uint32(a.W.units()), s.Rows, first},
				vulkan.In(s.Weights), vulkan.Out(part.Weights))
			w, x := part.Weights.Address(), a.X.Address()
			e.projectCost(a, part, int64(a.Tokens)*int64(a.W.Cols)*4)
			e.run("gemm_panels", []uint32{addressLanes, uint32(toks), uint32(step), uint32(a.Epilogue)}, n, ceil(a.Tokens, toks),
				[]any{cols, part.Rows, part.Row0, a.Tokens, a.XStride, a.YStride, uint32(w), uint32(w >> 32), uint32(x), uint32(x >> 32)},
				vulkan.In(part.Weights), vulkan.In(a.X), vulkan.In(bias), out)
		}
	}
}
