package kernel

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"kestrel/engine/vulkan"
	"kestrel/engine/weights"
)

// Measured is how GEMV is cut fastest on one device, as Measure finds it. It may come from a file: see Tuning.With.
type Measured struct {
	Local      int            `json:"local"`       // lanes that share a weight row
	Rows       map[string]int `json:"rows"`        // weight rows of a workgroup for one token, by storage type in lower case
	Groups     int            `json:"groups"`      // workgroups below which a matrix is cut finer; 0: not measured
	ThinRows   int            `json:"thin_rows"`   // rows and tokens of the register tile for several tokens
	ThinTokens int            `json:"thin_tokens"` //
	Draw       int            `json:"draw"`        // lanes that choose from all logits; 0: not measured, nor Few
	Few        bool           `json:"few"`         // top-k sorts out its few first
}

// mostMeasured bounds each number of Measured: beyond it registers and shared memory would not do.
const mostMeasured = 32

// mostGroups bounds Measured.Groups: no device runs more side by side.
const mostGroups = 1 << 16

// fewRows is a matrix that makes few workgroups: x_proj of falcon-mamba-7b.
var fewRows = Shape{Rows: 288, Cols: 8192}

// With is t cut as was measured. The error says what of m no kernel could do.
func (t Tuning) With(m Measured, lim vulkan.Limits) (Tuning, error) {
	if m.Local < 1 || m.Local > lim.MaxInvocations || m.Local > lim.MaxGroupSize[0] || t.LaneRows > 0 && m.Local != t.Local {
		return t, fmt.Errorf("%d lanes a row", m.Local)
	}
	t.Local = m.Local
	t.RowsOf = map[weights.DType]int{}
	for name, rows := range m.Rows {
		d, ok := storedAs(name)
		if !ok || rows < 1 || rows > mostMeasured {
			return t, fmt.Errorf("%d rows of %q", rows, name)
		}
		t.RowsOf[d] = rows
	}
	if m.Groups < 0 || m.Groups > mostGroups {
		return t, fmt.Errorf("%d workgroups", m.Groups)
	}
	if m.Groups > 0 {
		t.Groups = m.Groups
	}
	// Fewer tokens than a tile's half take half a tile: see Project.
	if m.ThinRows < 1 || m.ThinRows > mostMeasured || m.ThinTokens < 2 || m.ThinTokens > mostMeasured || m.ThinTokens%2 != 0 {
		return t, fmt.Errorf("tiles of %d rows by %d tokens", m.ThinRows, m.ThinTokens)
	}
	t.ThinRows, t.ThinTokens = m.ThinRows, m.ThinTokens
	if m.Draw < 0 || m.Draw > min(mostDraw, lim.MaxInvocations, lim.MaxGroupSize[0]) {
		return t, fmt.Errorf("%d lanes that choose", m.Draw)
	}
	if m.Draw > 0 {
		t.Draw, t.Few = m.Draw, m.Few
	}
	return t, nil
}

// storedAs finds a storage type by its name in lower case.
func storedAs(name string) (weights.DType, bool) {
	for d := range storages {
		if strings.ToLower(d.String()) == name {
			return d, true
		}
	}
	return 0, false
}

// tuner measures candidates on one device.
type tuner struct {
	dev         *vulkan.Device
	rows, cols  int
	done, total int
	progress    func(done, total int)
}

// Measure tries ways of cutting GEMV on a device, for matrices of the given types, and of choosing ids, and gives the fastest; progress, which
// may be nil, is told after each. Another way than base's is taken only where it is clearly faster. Nothing else should run
// on the device meanwhile.
func Measure(ctx context.Context, dev *vulkan.Device, base Tuning, types []weights.DType, progress func(done, total int)) (Measured, error) {
	rows, thin, locals := []int{1, 2, 4, 8, 16}, []int{2, 4, 8}, []int{32, 64, 128, 256}
	u := &tuner{dev: dev, rows: 16384, cols: 4096, progress: progress}
	if dev.Info().Type == vulkan.Software {
		u.rows, u.cols = 2048, 1024
		locals = []int{base.Local} // a subgroup is a thread's vector
	}
	locals = slices.DeleteFunc(locals, func(n int) bool { return n > dev.Limits().MaxInvocations || n > dev.Limits().MaxGroupSize[0] })
	lanes := drawLanes(base, dev.Info())
	var groups []int
	if base.Groups > 0 { // else no matrix is cut finer: a processor has few cores to keep busy
		groups = []int{1, 128, 256, 512, 1024, 2048}
	}
	u.total = len(locals)*len(rows) + len(types)*len(rows) + len(thin)*2 + len(groups) + len(lanes) + 2
	m := Measured{Local: base.Local, Rows: map[string]int{}, ThinRows: base.ThinRows, ThinTokens: base.ThinTokens}

	// Lanes: with the rows that suit them, for the commonest type.
	err := u.fastest(ctx, weights.F16, 1, len(locals)*len(rows), func(i int) Tuning {
		t := base
		t.Local, t.RowsOf = locals[i/len(rows)], map[weights.DType]int{weights.F16: rows[i%len(rows)]}
		return t
	}, base, func(t Tuning) { m.Local = t.Local })
	if err != nil {
		return m, err
	}
	base.Local = m.Local
	for _, d := range types {
		err := u.fastest(ctx, d, 1, len(rows), func(i int) Tuning {
			t := base
			t.RowsOf = map[weights.DType]int{d: rows[i]}
			return t
		}, base, func(t Tuning) { m.Rows[strings.ToLower(d.String())] = t.rowsOf(d) })
		if err != nil {
			return m, err
		}
	}
	if len(groups) > 0 {
		few := &tuner{dev: dev, rows: fewRows.Rows, cols: fewRows.Cols, done: u.done, total: u.total, progress: progress}
		err := few.fastest(ctx, weights.F16, 1, len(groups), func(i int) Tuning {
			t := base
			t.Groups = groups[i]
			return t
		}, base, func(t Tuning) { m.Groups = t.Groups })
		if err != nil {
			return m, err
		}
		u.done = few.done
	}
	err = u.fastest(ctx, weights.F16, 4, len(thin)*2, func(i int) Tuning {
		t := base
		t.ThinRows, t.ThinTokens = thin[i/2], 2+2*(i%2)
		return t
	}, base, func(t Tuning) { m.ThinRows, m.ThinTokens = t.ThinRows, t.ThinTokens })
	if err == nil {
		m.Draw, m.Few, err = u.draw(ctx, base, lanes)
	}
	return m, err
}

// clearly is how much less time another way must take than what is.
const clearly = 0.97

// fastest hands take the fastest of n candidates, or base.
func (u *tuner) fastest(ctx context.Context, d weights.DType, tokens, n int, candidate func(int) Tuning, base Tuning, take func(Tuning)) error {
	w, err := newMatrix(u.dev, weights.Tensor{Name: "tuning", DType: d, Shape: []int{u.rows, u.cols}}, u.dev.Limits())
	if err != nil {
		return err
	}
	defer w.Free()
	if err := u.clear(ctx, w); err != nil {
		return err
	}
	best, least, err := base, time.Duration(0), error(nil)
	if least, err = u.time(ctx, base, w, tokens); err != nil {
		return err
	}
	least = time.Duration(float64(least) * clearly)
	for i := range n {
		t := candidate(i)
		took, err := u.time(ctx, t, w, tokens)
		switch {
		case errors.Is(err, vulkan.ErrUnsupported): // a candidate that the device does not take
		case err != nil:
			return err
		case took < least:
			best, least = t, took
		}
		u.done++
		if u.progress != nil {
			u.progress(u.done, u.total)
		}
	}
	take(best)
	return nil
}

// clear makes the weights zeros: what lay there before may be numbers that a CPU is slow with.
func (u *tuner) clear(ctx context.Context, w *Matrix) error {
	p, err := NewSet(u.dev, Tuning{}).Record(ctx, "clear", func(e *Encoder) {
		for _, s := range w.Slabs {
			e.Fill(s.Weights, 0)
		}
	})
	if err != nil {
		return err
	}
	defer p.Free()
	return p.Run(ctx)
}

// repeats of a product in one submission.
const repeats = 8

// time is the shortest of several runs of a product cut in one way, in a vector of zeros: what is multiplied does not change
// how long it takes.
func (u *tuner) time(ctx context.Context, t Tuning, w *Matrix, tokens int) (time.Duration, error) {
	t.LaneRows, t.TileFrom, t.Fragment = 0, 0, Fragment{} // GEMV, for any number of tokens
	set := NewSet(u.dev, t)
	x, err := u.dev.NewHostBuffer("tuning x", vulkan.Scratch, int64(tokens*Padded(u.cols))*4)
	if err != nil {
		return 0, err
	}
	defer x.Free()
	clear(x.Bytes())
	y, err := u.dev.NewBuffer("tuning y", vulkan.Scratch, int64(tokens*u.rows)*4)
	if err != nil {
		return 0, err
	}
	defer y.Free()
	p, err := set.Record(ctx, "tuning", func(e *Encoder) {
		for range repeats {
			e.Project(Project{W: w, X: x.Whole(), Y: y.Whole(), Tokens: tokens, XStride: Padded(u.cols), YStride: u.rows})
		}
	})
	if err != nil {
		return 0, err
	}
	defer p.Free()
	return shortest(ctx, p)
}

// shortest is that of several runs.
func shortest(ctx context.Context, p *vulkan.Program) (time.Duration, error) {
	least := time.Duration(0)
	for run := 0; run < 6; run++ {
		start := time.Now()
		if err := p.Run(ctx); err != nil {
			return 0, err
		}
		if took := time.Since(start); run > 0 && (least == 0 || took < least) {
			least = took
		}
	}
	return least, nil
}

// TunedTypes are the types worth measuring besides a model's own.
func TunedTypes(more ...weights.DType) []weights.DType {
	all := map[weights.DType]bool{weights.F16: true, weights.BF16: true, weights.Q8_0: true, weights.Q4_K: true, weights.Q6_K: true}
	for _, d := range more {
		if _, ok := storages[d]; ok {
			all[d] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}
