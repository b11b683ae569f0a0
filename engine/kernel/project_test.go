package kernel

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"kestrel/engine/reference"
	"kestrel/engine/vulkan/vulkantest"
	"kestrel/engine/weights"
)

// projection is a trial of Project.
type projection struct {
	w              weights.Tensor
	x              []float32 // [token0 + tokens][cols]
	y              []float32 // before: [tokens][rows], for Add
	bias           []float32 // for SoftplusAdd
	gain           []float32 // nil: no norm
	eps            float32
	tokens, token0 int
	wide           int // how much longer rows of y are than they must; of x four times as much
	epilogue       Epilogue
	slabRows       int
	scratch        func(t Tuning, tokens int, m Shape) int64 // bytes; nil: none, so that neither matrix units nor panels serve
}

func randomProjection(r *rand.Rand, d weights.DType, rows, cols, tokens, token0 int) projection {
	cols = suits(d, cols)
	return projection{
		w: tensor(d, rows, cols, random(r, rows*cols, 1/math.Sqrt(float64(cols)))), x: random(r, (token0+tokens)*cols, 1),
		y: around(3, random(r, tokens*rows, 1)), bias: random(r, rows, 1), tokens: tokens, token0: token0, wide: r.IntN(3),
	}
}

// asked is the scratch that a projection asks for.
func asked(t Tuning, tokens int, m Shape) int64 { return t.ScratchBytes(tokens, m) }

// normed is p with a norm on the way in.
func (p projection) normed(r *rand.Rand) projection {
	p.gain, p.eps = random(r, p.w.Shape[1], 1), 1e-2
	return p
}

func (p projection) device(b bench) [][]float32 {
	b.Helper()
	rows, cols := p.w.Shape[0], p.w.Shape[1]
	pad, before := float32(garbage), p.y
	if p.gain != nil {
		pad = 0 // it enters the mean
	}
	if p.epilogue != Add {
		before = nil
	}
	x := b.gridPadded(p.x, p.token0+p.tokens, cols, Padded(cols)+4*p.wide, pad)
	y := b.grid(before, p.tokens, rows, rows+p.wide)
	a := Project{W: b.matrix(p.w, p.slabRows), X: x.View, Y: y.View, Tokens: p.tokens, Token0: p.token0,
		XStride: x.stride, YStride: y.stride, Epilogue: p.epilogue, Bias: b.vector(p.bias)}
	if p.gain != nil {
		a.Norm = &Norm{Gain: b.vector(p.gain), Eps: p.eps}
	}
	if p.scratch != nil {
		a.Scratch = b.words(make([]uint32, p.scratch(b.set.tune, p.tokens, Shape{rows, cols})/4)...)
	}
	b.run(func(e *Encoder) { e.Project(a) })
	return [][]float32{y.values()}
}

func (p projection) truth() []reference.Bounded {
	cols := p.w.Shape[1]
	x := reference.Exact32(p.x[p.token0*cols:])
	if p.gain != nil {
		x = reference.NormBound(x, reference.Float64s(p.gain), cols, float64(p.eps))
	}
	switch p.epilogue {
	case Add:
		return []reference.Bounded{reference.AddBound(reference.Exact32(p.y), matMul(x, p.w, nil))}
	case SoftplusAdd:
		return []reference.Bounded{reference.SoftplusBound(matMul(x, p.w, p.bias))}
	}
	return []reference.Bounded{matMul(x, p.w, nil)}
}

// wrong gives inputs each of which a test that works must notice.
func (p projection) wrong() map[string]trial {
	rows, cols := p.w.Shape[0], p.w.Shape[1]
	x := slices.Clone(p.x[len(p.x)-cols:])
	for i, g := range p.gain {
		x[i] *= g
	}
	last := heaviest(x, decoded(p.w)[(rows-1)*cols:]) // in the last row for the last token
	wrong := map[string]trial{}
	with := func(what string, change func(*projection)) {
		q := p
		change(&q)
		wrong[what] = q
	}
	with("one weight off", func(q *projection) { q.w = spoiled(p.w, rows-1, last) })
	if cols > 1 {
		with("two columns swapped", func(q *projection) { q.w = columnsSwapped(p.w, last, (last+1)%cols) })
	}
	if p.tokens > 1 {
		with("two tokens swapped", func(q *projection) { q.x = swapped(p.x, len(p.x)-1, len(p.x)-1-cols) })
	}
	switch {
	case p.epilogue == Add:
		with("one addend off", func(q *projection) { q.y = onePercent(p.y, biggest(p.y)) })
	case p.epilogue == SoftplusAdd:
		// The largest, not the largest in magnitude: where softplus is flat, nothing shows.
		most := reference.ArgMax(reference.Float64s(p.bias))
		with("one bias off", func(q *projection) { q.bias = onePercent(p.bias, most) })
	}
	if p.gain != nil {
		with("another epsilon", func(q *projection) { q.eps *= 2 })
		with("one gain off", func(q *projection) { q.gain = onePercent(p.gain, last) })
	}
	return wrong
}

var epilogues = map[string]Epilogue{"store": Store, "add": Add, "softplus": SoftplusAdd}

// TestProject takes every epilogue through every shader of Project.
func TestProject(t *testing.T) {
	dev := vulkantest.Open(t)
	eachCut(t, dev, func(b bench, d weights.DType) {
		r := rand.New(rand.NewPCG(1, uint64(d)))
		trials := map[string]projection{
			"few tokens": randomProjection(r, d, odd(r, 100), odd(r, 290), 5, 0),
		}
		if !b.full || b.all {
			maps.Copy(trials, map[string]projection{
				"normed":       randomProjection(r, d, odd(r, 300), odd(r, 290), 1, 0).normed(r),
				"normed later": randomProjection(r, d, odd(r, 100), odd(r, 290), 1, 3).normed(r),
			})
		}
		if b.full {
			maps.Copy(trials, map[string]projection{
				"one token":      randomProjection(r, d, odd(r, 300), odd(r, 290), 1, 0),
				"one row":        randomProjection(r, d, 1, odd(r, 290), 1, 0),
				"one column":     randomProjection(r, d, odd(r, 100), 1, 1, 0),
				"a later token":  randomProjection(r, d, odd(r, 100), odd(r, 290), 1, 5),
				"many tokens":    randomProjection(r, d, odd(r, 150), odd(r, 290), 16+odd(r, 40), 0),
				"over two tiles": randomProjection(r, d, 64+odd(r, 60), odd(r, 100), 64+odd(r, 6), 0),
				"whole tiles":    randomProjection(r, d, 64, 64, 64, 0),
				"wide":           randomProjection(r, d, odd(r, 30), 1000+odd(r, 99), 1, 0),
				"many, wide":     randomProjection(r, d, odd(r, 30), 1000+odd(r, 99), 17, 0),
			})
		}
		if b.all && b.set.tune.LaneRows == 0 {
			maps.Copy(trials, map[string]projection{
				"two tokens":      randomProjection(r, d, odd(r, 100), odd(r, 290), 2, 0),
				"few, later":      randomProjection(r, d, odd(r, 100), odd(r, 290), 3, 2),
				"two, normed too": randomProjection(r, d, odd(r, 30), odd(r, 99), 2, 1).normed(r),
			})
		}
		for name, p := range trials {
			for what, ep := range epilogues {
				p.epilogue = ep
				b.sub(name+", "+what, func(b bench) {
					check(b, p)
					if p.w.Shape[0] > 1 { // fewer results are less likely to show it
						checkSpoiled(b, p, p.wrong())
					}
				})
			}
		}
		b.sub("every length", func(b bench) {
			for n := 1; b.all && n <= 70; n++ {
				p := randomProjection(r, d, odd(r, 20), odd(r, 45), n, 0)
				p.epilogue = Epilogue(n % 3)
				check(b, p)
			}
		})
		for _, tokens := range []int{1, 5, 33} {
			if !b.full && tokens == 1 {
				continue
			}
			b.sub(fmt.Sprint("slabs, ", tokens, " tokens"), func(b bench) {
				p := randomProjection(r, d, 87, odd(r, 99), tokens, 0)
				p.epilogue = Epilogue(tokens % 3)
				checkSlabs(b, p, func(rows int) trial { p.slabRows = rows; return p })
			})
		}
	})
}

// checkSlabs compares a trial with the same trial on a matrix in slabs: the bits are the same.
func checkSlabs(b bench, whole trial, inSlabsOf func(rows int) trial) {
	b.Helper()
	want := whole.device(b)
	for _, rows := range []int{7, 64} {
		for i, got := range inSlabsOf(rows).device(b) {
			if !sameBits(got, want[i]) {
				b.Errorf("output %d differs in slabs of %d rows", i, rows)
			}
		}
	}
}

// gather is a trial of Embed.
type gather struct {
	table    weights.Tensor
	ids      []uint32
	slabRows int
}

func (g gather) device(b bench) [][]float32 {
	b.Helper()
	n := Padded(g.table.Shape[1])
	h := b.grid(nil, len(g.ids), n, n)
	table, ids := b.matrix(g.table, g.slabRows), b.words(g.ids...)
	b.run(func(e *Encoder) { e.Embed(table, ids, h.View, len(g.ids)) })
	return [][]float32{h.values()}
}

// truth is exact, and zero in the padding.
func (g gather) truth() []reference.Bounded {
	n, table := g.table.Shape[1], exactly(g.table)
	out := make([]float64, len(g.ids)*Padded(n))
	for t, id := range g.ids {
		copy(out[t*Padded(n):], reference.Embed(table, []int{int(id)}, n))
	}
	return []reference.Bounded{reference.Exact(out)}
}

func TestEmbed(t *testing.T) {
	dev := vulkantest.Open(t)
	eachCut(t, dev, func(b bench, d weights.DType) {
		r := rand.New(rand.NewPCG(2, uint64(d)))
		for _, cols := range []int{1, 31, 32, 33, 203, 1024} {
			rows, n := 100+odd(r, 50), suits(d, cols)
			g := gather{table: tensor(d, rows, n, random(r, rows*n, 1)), ids: []uint32{uint32(rows - 1), 0, 99, 99}}
			for range 1 + r.IntN(66) {
				g.ids = append(g.ids, uint32(r.IntN(rows)))
			}
			b.sub(fmt.Sprint(cols, " columns"), func(b bench) {
				check(b, g)
				bad, id := g, g
				bad.table = spoiled(g.table, 99, n-1)
				id.ids = append([]uint32{0}, g.ids[1:]...)
				checkSpoiled(b, g, map[string]trial{"one weight off": bad, "one id wrong": id})
				checkSlabs(b, g, func(rows int) trial { g.slabRows = rows; return g })
			})
		}
	})
}

// TestLaneTokens: tiles fit few tokens, and are the tuning's own for many.
func TestLaneTokens(t *testing.T) {
	for most, want := range map[int]map[int]int{
		12: {2: 2, 3: 4, 4: 4, 5: 8, 8: 8, 9: 12, 12: 12, 13: 8, 16: 8, 17: 12, 1000: 12},
		8:  {2: 2, 4: 4, 7: 8, 9: 8, 100: 8},
		2:  {2: 2, 3: 2, 100: 2},
	} {
		for tokens, toks := range want {
			if got := (Tuning{LaneTokens: most}).laneTokens(tokens); got != toks {
				t.Errorf("%d tokens in tiles of at most %d: %d, want %d", tokens, most, got, toks)
			}
		}
	}
}
