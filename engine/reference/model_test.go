package reference

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"kestrel/engine/checkpoint"
	"kestrel/engine/reference/golden"
)

func openModel(t *testing.T, path string) *Model {
	t.Helper()
	c, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	m, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// transformers' logits, states and greedy text. Against its float32 run the
// difference is its rounding; against the same code in float64 only that of
// A = -exp(A_log) and of the epsilons, which are kept in float32.
func TestTransformersGoldens(t *testing.T) {
	for _, c := range golden.Cases(t, "../testdata/golden") {
		t.Run(c.Name, func(t *testing.T) { checkGolden(t, openModel(t, c.Path), c.Prompts) })
	}
}

func checkGolden(t *testing.T, m *Model, prompts []golden.Prompt) {
	t.Helper()
	vocab := m.Config.Vocab
	var worst32, worst64 float64
	for _, p := range prompts {
		s := m.NewState()
		got, err := m.Forward(s, p.IDs)
		if err != nil {
			t.Fatal(err)
		}
		for i, pos := range p.Positions {
			row := got[pos*vocab : (pos+1)*vocab]
			worst32 = max(worst32, golden.Distance(row, p.Logits[i]))
			worst64 = max(worst64, golden.Distance(row, p.Logits64[i]))
			if want := ArgMax(p.Logits64[i]); ArgMax(row) != want {
				t.Errorf("%d tokens, position %d: arg-max %d, want %d", len(p.IDs), pos, ArgMax(row), want)
			}
		}
		checkStates(t, m, s, p.States)
		more, err := m.Greedy(m.NewState(), p.IDs, len(p.Greedy))
		if err != nil || !slices.Equal(more, p.Greedy) {
			t.Errorf("greedy %v, %v; want %v", more, err, p.Greedy)
		}
	}
	if worst32 > 1e-4 || worst64 > 1e-6 {
		t.Errorf("logits differ by %.2g of their RMS from float32, by %.2g from float64", worst32, worst64)
	}
	t.Logf("off by %.2g (float32), %.2g (float64)", worst32, worst64)
}

func checkStates(t *testing.T, m *Model, s *State, want []golden.State) {
	t.Helper()
	c := m.Config
	for i, w := range want {
		if d := golden.Distance(s.SSM[i], w.SSM); d > 1e-5 {
			t.Errorf("layer %d: the state is off by %.2g", i, d)
		}
		var conv []float32 // theirs as ours: [conv-1, inner], without the oldest
		for k := 1; k < c.Conv; k++ {
			for ch := range c.Inner {
				conv = append(conv, w.Conv[ch*c.Conv+k])
			}
		}
		if d := golden.Distance(s.Conv[i], conv); d > 1e-5 {
			t.Errorf("layer %d: the convolution's columns are off by %.2g", i, d)
		}
	}
}

// A test that cannot fail proves nothing: every part of the model matters to the
// goldens by far more than the tolerance.
func TestGoldensNoticeWrongModels(t *testing.T) {
	for _, c := range golden.Cases(t, "../testdata/golden") {
		m := openModel(t, c.Path)
		last := c.Prompts[len(c.Prompts)-1]
		logits := last.Logits[len(last.Logits)-1]
		l := &m.layers[0]
		for name, spoil := range map[string]func() (undo func()){
			"norm epsilon":     func() func() { return set(&m.Config.NormEps, m.Config.NormEps+1e-2) },
			"x and z swapped":  func() func() { return set(&l.inProj, rotate(l.inProj, len(l.inProj)/2)) },
			"taps shifted":     func() func() { return set(&l.convW, rotate(l.convW, 1)) },
			"B and dt mixed":   func() func() { return set(&l.xProj, rotate(l.xProj, m.Config.Inner)) },
			"dt bias shifted":  func() func() { return set(&l.dtBias, rotate(l.dtBias, 1)) },
			"A shifted":        func() func() { return set(&l.a, rotate(l.a, 1)) },
			"D shifted":        func() func() { return set(&l.d, rotate(l.d, 1)) },
			"mixer norm":       func() func() { return set(&m.Config.MixerNorm, !m.Config.MixerNorm) },
			"mixer epsilon":    func() func() { return set(&m.Config.MixerEps, m.Config.MixerEps*1.5) },
			"final norm":       func() func() { return set(&m.normF, rotate(m.normF, 1)) },
			"nothing (sanity)": func() func() { return func() {} },
		} {
			undo := spoil()
			got, err := m.ForwardLast(m.NewState(), last.IDs)
			undo()
			if err != nil {
				t.Fatal(err)
			}
			harmless := name == "nothing (sanity)" || name == "mixer epsilon" && !m.Config.MixerNorm
			if d := golden.Distance(got, logits); (d < 1e-3) != harmless {
				t.Errorf("%s, %s: the logits differ by %.2g", c.Name, name, d)
			}
		}
	}
}

func set[T any](p *T, v T) (undo func()) {
	old := *p
	*p = v
	return func() { *p = old }
}

func rotate(v []float64, by int) []float64 { return append(slices.Clone(v[by:]), v[:by]...) }

// prefill(n) = n decodes, and any split into chunks agrees: the state is all a
// model remembers.
func TestAnySplitAgrees(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	for _, c := range golden.Cases(t, "../testdata/golden") {
		m := openModel(t, c.Path)
		ids := c.Prompts[3].IDs
		whole := m.NewState()
		want, err := m.Forward(whole, ids)
		if err != nil {
			t.Fatal(err)
		}
		for trial := range 6 {
			s := m.NewState()
			var got []float64
			for rest := ids; len(rest) > 0; {
				n := 1 // the first trial: token by token
				if trial > 0 {
					n = 1 + r.IntN(len(rest))
				}
				part, err := m.Forward(s, rest[:n])
				if err != nil {
					t.Fatal(err)
				}
				got, rest = append(got, part...), rest[n:]
			}
			near(t, c.Name+": logits", got, want, 1e-12)
			for i := range s.SSM {
				near(t, c.Name+": state", s.SSM[i], whole.SSM[i], 1e-12)
				near(t, c.Name+": columns", s.Conv[i], whole.Conv[i], 1e-12)
			}
		}
	}
}

func TestStatesAreTheirOwn(t *testing.T) {
	m := openModel(t, "../testdata/golden/falcon-f16")
	a := m.NewState()
	if _, err := m.Forward(a, []int{5, 6, 7}); err != nil {
		t.Fatal(err)
	}
	fork := a.Clone()
	want, err := m.Forward(a, []int{8})
	if err != nil {
		t.Fatal(err)
	}
	other, err := m.Forward(m.NewState(), []int{8})
	if err != nil {
		t.Fatal(err)
	}
	got, err := m.Forward(fork, []int{8})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "clone", got, want, 0)
	if golden.Distance(other, want) < 1e-2 {
		t.Error("what went before makes no difference")
	}
}

func TestForwardRefusesBadInput(t *testing.T) {
	m := openModel(t, "../testdata/golden/falcon-f16")
	for _, c := range []struct {
		ids  []int
		want error
	}{{nil, ErrEmptyPrompt}, {[]int{0, -1}, ErrBadToken}, {[]int{m.Config.Vocab}, ErrBadToken}} {
		s := m.NewState()
		if _, err := m.Forward(s, c.ids); !errors.Is(err, c.want) {
			t.Errorf("%v: %v, want %v", c.ids, err, c.want)
		}
		if slices.ContainsFunc(s.SSM[0], func(v float64) bool { return v != 0 }) {
			t.Errorf("%v: the state moved on", c.ids)
		}
	}
}
