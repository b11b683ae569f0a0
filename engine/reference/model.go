package reference

import (
	"errors"
	"fmt"

	"kestrel/engine/checkpoint"
	"kestrel/engine/weights"
)

// Errors of Model.Forward.
var (
	ErrEmptyPrompt = errors.New("no tokens were given")
	ErrBadToken    = errors.New("token id outside the vocabulary")
)

// Model is a whole network in float64, eight bytes a weight: for small models.
// It is read-only; several goroutines may run it, each on its own State.
type Model struct {
	Config checkpoint.Config

	embed  []float64 // [vocab, hidden]
	layers []layer
	normF  []float64 // [hidden]
	head   []float64 // [vocab, hidden], embed itself when tied
}

// layer is one residual block: a norm and a Mamba mixer.
type layer struct {
	norm    []float64 // [hidden]
	inProj  []float64 // [2*inner, hidden]: the rows of x, then those of z
	convW   []float64 // [inner, conv]
	convB   []float64 // [inner]
	xProj   []float64 // [rank+2*state, inner]: the rows of dt, B, C
	dtProj  []float64 // [inner, rank]
	dtBias  []float64 // [inner]
	a       []float64 // [inner, state], A = -exp(A_log)
	d       []float64 // [inner]
	outProj []float64 // [hidden, inner]
}

// State is all a model remembers of the tokens it was given. Its size does not
// depend on their number.
type State struct {
	Conv [][]float64 // per layer [conv-1, inner]: the last inputs of the convolution, oldest first
	SSM  [][]float64 // per layer [inner, state]
}

// New decodes every weight of a checkpoint. The checkpoint may be closed
// afterwards.
func New(c *checkpoint.Checkpoint) (*Model, error) {
	m := &Model{Config: c.Config, layers: make([]layer, len(c.Layers))}
	var err error
	read := func(t weights.Tensor) []float64 {
		v, e := t.Float32s()
		err = errors.Join(err, e)
		return Float64s(v)
	}
	m.embed, m.normF = read(c.Embed), read(c.NormF)
	if m.head = m.embed; !c.Tied {
		m.head = read(c.Head)
	}
	for i, l := range c.Layers {
		a, e := l.NegA()
		err = errors.Join(err, e)
		m.layers[i] = layer{
			norm: read(l.Norm), inProj: read(l.InProj), convW: read(l.ConvW), convB: read(l.ConvB), xProj: read(l.XProj),
			dtProj: read(l.DtProj), dtBias: read(l.DtBias), a: Float64s(a), d: read(l.D), outProj: read(l.OutProj),
		}
	}
	if err != nil {
		return nil, fmt.Errorf("reference: read the weights of %s: %w", c.Path(), err)
	}
	return m, nil
}

// NewState is the state before the first token: zeros.
func (m *Model) NewState() *State {
	c, s := m.Config, &State{}
	for range m.layers {
		s.Conv = append(s.Conv, make([]float64, (c.Conv-1)*c.Inner))
		s.SSM = append(s.SSM, make([]float64, c.Inner*c.State))
	}
	return s
}

// Clone is a state of its own with the same content.
func (s *State) Clone() *State {
	c := &State{}
	for i := range s.Conv {
		c.Conv = append(c.Conv, append([]float64(nil), s.Conv[i]...))
		c.SSM = append(c.SSM, append([]float64(nil), s.SSM[i]...))
	}
	return c
}

// Forward feeds ids, moves the state on past them and returns the logits that
// follow each: row t predicts the token after ids[t].
//
//	ids [T] -> [T, vocab]
func (m *Model) Forward(s *State, ids []int) ([]float64, error) {
	h, err := m.hidden(s, ids)
	if err != nil {
		return nil, err
	}
	return m.logits(h), nil
}

// ForwardLast is Forward for the logits after the last id only.
//
//	ids [T] -> [vocab]
func (m *Model) ForwardLast(s *State, ids []int) ([]float64, error) {
	h, err := m.hidden(s, ids)
	if err != nil {
		return nil, err
	}
	return m.logits(h[len(h)-m.Config.Hidden:]), nil
}

// hidden is the residual stream after the last layer, [T, hidden].
func (m *Model) hidden(s *State, ids []int) ([]float64, error) {
	if len(ids) == 0 {
		return nil, fmt.Errorf("reference: %w", ErrEmptyPrompt)
	}
	for _, id := range ids {
		if id < 0 || id >= m.Config.Vocab {
			return nil, fmt.Errorf("reference: token %d of a vocabulary of %d: %w", id, m.Config.Vocab, ErrBadToken)
		}
	}
	h := Embed(m.embed, ids, m.Config.Hidden)
	for i := range m.layers {
		h = Add(h, m.mixer(&m.layers[i], s.Conv[i], s.SSM[i], h))
	}
	return h, nil
}

// mixer is the Mamba block (Mamba, algorithm 2 and figure 3) on the normalized
// residual stream; conv and ssm are carried on.
//
//	h [T, hidden] -> [T, hidden]
func (m *Model) mixer(l *layer, conv, ssm, h []float64) []float64 {
	c := m.Config
	inner, n, rank := c.Inner, c.State, c.DtRank

	// u = w_norm * RMS(h)
	u := RMSNorm(h, l.norm, c.Hidden, float64(c.NormEps))

	// x, z = split(in_proj u)
	xz := MatMul(u, l.inProj, c.Hidden, 2*inner)
	x, z := Columns(xz, 2*inner, 0, inner), Columns(xz, 2*inner, inner, 2*inner)

	// x = silu(conv1d(x)), causal, a filter of its own for each channel
	x = SiLU(CausalConv1d(x, l.convW, l.convB, conv, inner, c.Conv))

	// dt, B, C = split(x_proj x): the selection, parameters that depend on the token
	width := rank + 2*n
	dbc := MatMul(x, l.xProj, inner, width)
	dt, B, C := Columns(dbc, width, 0, rank), Columns(dbc, width, rank, rank+n), Columns(dbc, width, rank+n, width)

	// Falcon-Mamba: dt, B, C = RMS(dt), RMS(B), RMS(C), without weights, for stable training
	if c.MixerNorm {
		eps := float64(c.MixerEps)
		dt, B, C = RMSNorm(dt, nil, rank, eps), RMSNorm(B, nil, n, eps), RMSNorm(C, nil, n, eps)
	}

	// Delta = softplus(dt_proj dt + bias)
	delta := Softplus(AddRow(MatMul(dt, l.dtProj, rank, inner), l.dtBias))

	// S = exp(Delta A) S + Delta B x; y = (S C + D x) * silu(z)
	y := SelectiveScan(delta, l.a, B, C, l.d, x, z, ssm, inner, n)

	// out_proj y
	return MatMul(y, l.outProj, inner, c.Hidden)
}

// logits = head(w_f * RMS(h)), [T, hidden] -> [T, vocab]
func (m *Model) logits(h []float64) []float64 {
	c := m.Config
	return MatMul(RMSNorm(h, m.normF, c.Hidden, float64(c.NormEps)), m.head, c.Hidden, c.Vocab)
}

// Greedy continues ids with the n likeliest tokens, one at a time.
func (m *Model) Greedy(s *State, ids []int, n int) ([]int, error) {
	logits, err := m.ForwardLast(s, ids)
	var out []int
	for err == nil && len(out) < n {
		id := ArgMax(logits)
		out = append(out, id)
		logits, err = m.ForwardLast(s, []int{id})
	}
	return out, err
}
