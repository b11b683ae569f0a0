package mamba

import (
	"kestrel/engine/kernel"
	"kestrel/engine/vulkan"
)

// place is where a sequence keeps what it carries and what it gives back.
type place struct {
	s, columns []vulkan.View // of each layer: [inner][state], [inner][conv-1]
	logits     vulkan.View   // [vocabulary] of the last token
	result     vulkan.View   // { id, logit } of the largest
	all        vulkan.View   // [tokens][padded vocabulary], only where a chunk gives all logits
}

// step plans one token: four dispatches a layer. The id is ids[0].
func (m *Model) step(e *kernel.Encoder, sc *scratch, p place, ids vulkan.View) {
	h, az, x, dbc := sc.h.Whole(), sc.az.Whole(), sc.x.Whole(), sc.dbc.Whole()
	y, gate := az, sc.delta.Whole() // free in a step
	hs, _, xs, dbcs := strides(m.Config)

	e.Embed(m.params.embed, ids, h, 1)
	for i := range m.params.layers {
		l := m.layer(i, p)
		// x, gate = silu(conv(a)), silu(z);  a, z = split(in_proj norm(h))
		e.InProjStep(l.inProj, l.norm, l.conv, m.Config.Inner, h, x, gate)
		// dt, B, C = split(x_proj x)
		e.Project(kernel.Project{W: l.xProj, X: x, Y: dbc, Tokens: 1, XStride: xs, YStride: dbcs})
		// S = exp(delta A) S + delta B x;  y = (S C + D x) gate
		e.ScanStep(l.dtProj, l.scan, dbc, x, gate, y)
		// h = h + out_proj y
		e.Project(kernel.Project{W: l.outProj, X: y, Y: h, Tokens: 1, XStride: xs, YStride: hs, Epilogue: kernel.Add})
		e.Boundary()
	}
	m.head(e, sc, p, 0)
}

// chunkPlan plans tokens side by side; the ids are ids[0 … tokens]. Every chunk ends with the logits of its last token,
// so that a prompt can stop after any chunk; with all, those of every token go to p.all.
func (m *Model) chunkPlan(e *kernel.Encoder, sc *scratch, p place, tokens int, all bool) {
	m.layers(e, sc, p, 1, tokens)
	if all {
		m.heads(e, sc, p.all, tokens, kernel.Padded(m.Config.Vocab))
	}
	m.head(e, sc, p, tokens-1)
}

// layers plans the layers for so many tokens of one or several sequences, whose tokens follow each other; the ids are
// ids[0 … sequences tokens], and a place has the states of all sequences, one after another.
func (m *Model) layers(e *kernel.Encoder, sc *scratch, p place, sequences, tokens int) {
	c := m.Config
	h, u, az, x, dbc, delta := sc.h.Whole(), sc.u.Whole(), sc.az.Whole(), sc.x.Whole(), sc.dbc.Whole(), sc.delta.Whole()
	hs, azs, xs, dbcs := strides(m.Config)
	rows, work := sequences*tokens, sc.workView()

	e.Embed(m.params.embed, sc.ids.Whole(), h, rows)
	for i := range m.params.layers {
		l := m.layer(i, p)
		// a, z = split(in_proj norm(h))
		e.RMSNorm(l.norm, h, u, rows, c.Hidden)
		e.Project(kernel.Project{W: l.inProj, X: u, Y: az, Tokens: rows, Scratch: work, XStride: hs, YStride: azs})
		// x = silu(conv(a))
		e.ConvChunk(l.conv, az, x, sequences, tokens, c.Inner, azs, xs)
		// dt, B, C = norms of split(x_proj x)
		e.Project(kernel.Project{W: l.xProj, X: x, Y: dbc, Tokens: rows, Scratch: work, XStride: xs, YStride: dbcs})
		if l.scan.Norm {
			e.DBCNorm(l.scan, dbc, rows, dbcs)
		}
		// delta = softplus(dt_proj dt + bias)
		e.Project(kernel.Project{W: l.dtProj, X: dbc, Y: delta, Tokens: rows, Scratch: work, XStride: dbcs, YStride: xs,
			Epilogue: kernel.SoftplusAdd, Bias: l.scan.DtB})
		e.Boundary()
		// S = exp(delta A) S + delta B x;  y = (S C + D x) silu(z)
		e.ScanChunk(l.scan, delta, dbc, az, x, sequences, tokens, c.Inner, dbcs, azs, xs)
		// h = h + out_proj y
		e.Project(kernel.Project{W: l.outProj, X: x, Y: h, Tokens: rows, Scratch: work, XStride: xs, YStride: hs, Epilogue: kernel.Add})
		e.Boundary()
	}
}

// groupPlan plans a token of each of the first n slots of a group.
func (m *Model) groupPlan(e *kernel.Encoder, g *Group, n int) {
	m.layers(e, m.scratch, g.place, n, 1)
	m.heads(e, m.scratch, g.place.all, n, groupRow(m.Config.Vocab))
	for _, slot := range g.slots[:n] {
		e.ArgMax(slot.logits, slot.result, m.Config.Vocab)
	}
}

// heads plans the logits of every row: [rows][stride].
func (m *Model) heads(e *kernel.Encoder, sc *scratch, logits vulkan.View, rows, stride int) {
	hs, _, _, _ := strides(m.Config)
	h, u := sc.h.Whole(), sc.u.Whole()
	e.RMSNorm(m.params.normF, h, u, rows, m.Config.Hidden)
	e.Project(kernel.Project{W: m.params.head, X: u, Y: logits, Tokens: rows, Scratch: sc.workView(), XStride: hs, YStride: stride})
}

// head plans the logits of one token, and the largest of them.
func (m *Model) head(e *kernel.Encoder, sc *scratch, p place, token int) {
	hs, _, _, _ := strides(m.Config)
	e.Project(kernel.Project{W: m.params.head, X: sc.h.Whole(), Y: p.logits, Tokens: 1, Token0: token,
		XStride: hs, YStride: m.Config.Vocab, Norm: &m.params.normF})
	e.ArgMax(p.logits, p.result, m.Config.Vocab)
}

// layer is layer i with the carried state of a place.
func (m *Model) layer(i int, p place) layer {
	l := m.params.layers[i]
	l.conv.Columns, l.scan.S = p.columns[i], p.s[i]
	return l
}
