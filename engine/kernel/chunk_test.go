package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"kestrel/engine/reference"
	"kestrel/engine/vulkan/vulkantest"
)

// rowNorm is a trial of RMSNorm.
type rowNorm struct {
	x, gain []float32 // [tokens][cols], [cols]
	eps     float32
}

func (n rowNorm) device(b bench) [][]float32 {
	b.Helper()
	cols := len(n.gain)
	tokens := len(n.x) / cols
	x := b.gridPadded(n.x, tokens, cols, Padded(cols), 0) // the padding enters the mean
	y := b.grid(nil, tokens, Padded(cols), Padded(cols))
	norm := Norm{b.vector(n.gain), n.eps}
	b.run(func(e *Encoder) { e.RMSNorm(norm, x.View, y.View, tokens, cols) })
	return [][]float32{y.values()}
}

// truth is zero in the padding.
func (n rowNorm) truth() []reference.Bounded {
	cols := len(n.gain)
	y := reference.NormBound(reference.Exact32(n.x), reference.Float64s(n.gain), cols, float64(n.eps))
	var out reference.Bounded
	for t := range len(n.x) / cols {
		row, pad := y.Row(t, cols), make([]float64, Padded(cols)-cols)
		out.Value = append(append(out.Value, row.Value...), pad...)
		out.Bound = append(append(out.Bound, row.Bound...), pad...)
	}
	return []reference.Bounded{out}
}

func TestRMSNorm(t *testing.T) {
	dev := vulkantest.Open(t)
	eachTuning(t, dev, func(b bench) {
		r := rand.New(rand.NewPCG(5, 6))
		for _, cols := range []int{2, odd(r, 99), odd(r, 600), 512, 1023} {
			n := rowNorm{random(r, odd(r, 70)*cols, 1), random(r, cols, 1), 1e-2}
			b.sub(fmt.Sprint(cols, " columns"), func(b bench) {
				check(b, n)
				check(b, rowNorm{make([]float32, cols), n.gain, 1e-5}) // of nothing but zeros
				x, gain, eps, other := n, n, n, n
				x.x = swapped(n.x, 0, 1)
				gain.gain = onePercent(n.gain, biggest(n.gain))
				eps.eps *= 2
				other.x = onePercent(n.x, biggest(n.x))
				checkSpoiled(b, n, map[string]trial{"two of x swapped": x, "one gain off": gain, "another epsilon": eps, "one of x off": other})
			})
		}
	})
}

// threeNorms is a trial of DBCNorm.
type threeNorms struct {
	dbc         []float32 // [tokens][rank + 2 state]
	rank, state int
	eps         float32
}

func (n threeNorms) device(b bench) [][]float32 {
	b.Helper()
	cols := n.rank + 2*n.state
	tokens := len(n.dbc) / cols
	dbc := b.grid(n.dbc, tokens, cols, Padded(cols)+4)
	b.run(func(e *Encoder) {
		e.DBCNorm(Scan{State: n.state, Rank: n.rank, Eps: n.eps}, dbc.View, tokens, dbc.stride)
	})
	return [][]float32{dbc.values()}
}

func (n threeNorms) truth() []reference.Bounded {
	cols := n.rank + 2*n.state
	dt, B, C := parts(reference.Exact32(n.dbc), n.rank, n.state, cols)
	dt, B, C = dbcNorms(dt, B, C, n.rank, n.state, n.eps)
	var out reference.Bounded
	for t := range len(n.dbc) / cols {
		for _, p := range []reference.Bounded{dt.Row(t, n.rank), B.Row(t, n.state), C.Row(t, n.state)} {
			out.Value = append(out.Value, p.Value...)
			out.Bound = append(out.Bound, p.Bound...)
		}
	}
	return []reference.Bounded{out}
}

func TestDBCNorm(t *testing.T) {
	dev := vulkantest.Open(t)
	eachTuning(t, dev, func(b bench) {
		r := rand.New(rand.NewPCG(7, 8))
		for _, state := range []int{5, 8, 16} {
			rank := 2 + odd(r, 300)
			n := threeNorms{random(r, odd(r, 70)*(rank+2*state), 1), rank, state, 1e-2}
			b.sub(fmt.Sprint("rank ", rank, ", state ", state), func(b bench) {
				check(b, n)
				value, eps, border := n, n, n
				value.dbc = onePercent(n.dbc, rank+biggest(n.dbc[rank:rank+2*state]))
				eps.eps *= 2
				border.rank, border.state = rank-2, state+1
				checkSpoiled(b, n, map[string]trial{"one of B or C off": value, "another epsilon": eps, "other borders": border})
			})
		}
	})
}

// convChunk is a trial of ConvChunk.
type convChunk struct {
	a, w, b, columns     []float32 // [tokens][inner], [inner][width], [inner], [inner][width-1]
	tokens, inner, width int
	more                 int // columns of a beyond inner: z and padding
	beside               int // sequences beside the first, each with tokens of a and columns of its own behind the first's
}

func randomConvChunk(r *rand.Rand, tokens, inner, width int) convChunk {
	return convChunk{random(r, tokens*inner, 1), random(r, inner*width, 1), random(r, inner, 1), random(r, inner*(width-1), 1),
		tokens, inner, width, 4 * r.IntN(20), 0}
}

func (c convChunk) device(b bench) [][]float32 {
	b.Helper()
	rows := (1 + c.beside) * c.tokens
	a := b.grid(c.a, rows, c.inner, Padded(c.inner)+c.more)
	x := b.grid(nil, rows, c.inner, Padded(c.inner)+4)
	columns := b.grid(c.columns, 1, len(c.columns), len(c.columns)+1)
	conv := Conv{Width: c.width, W: b.vector(c.w), B: b.vector(c.b), Columns: columns.View}
	b.run(func(e *Encoder) { e.ConvChunk(conv, a.View, x.View, 1+c.beside, c.tokens, c.inner, a.stride, x.stride) })
	return [][]float32{x.values(), columns.values()}
}

func (c convChunk) truth() []reference.Bounded {
	x, columns := convTruth(reference.Exact32(c.a), c.w, c.b, c.columns, c.inner, c.width)
	return []reference.Bounded{x, columns}
}

func TestConvChunk(t *testing.T) {
	dev := vulkantest.Open(t)
	eachTuning(t, dev, func(b bench) {
		for width := 1; width <= 4; width++ {
			if !b.full && width != 4 {
				continue
			}
			b.sub(fmt.Sprint("width ", width), func(b bench) {
				r := rand.New(rand.NewPCG(9, uint64(width)))
				for tokens := 1; tokens <= 70; tokens++ {
					check(b, randomConvChunk(r, tokens, odd(r, 40), width))
				}
				c := randomConvChunk(r, 2*b.set.tune.ConvSpan+3, 131, width) // over three spans
				check(b, c)
				wrong := map[string]trial{}
				with := func(what string, change func(*convChunk)) {
					q := c
					change(&q)
					wrong[what] = q
				}
				with("one tap off", func(q *convChunk) { q.w = onePercent(c.w, biggest(c.w)) })
				with("one bias off", func(q *convChunk) { q.b = onePercent(c.b, biggest(c.b)) })
				with("two tokens swapped", func(q *convChunk) { q.a = swapped(c.a, 0, c.inner) })
				if width > 1 {
					with("two taps swapped", func(q *convChunk) { q.w = swapped(c.w, 0, 1) })
					with("one carried column off", func(q *convChunk) { q.columns = onePercent(c.columns, biggest(c.columns)) })
				}
				checkSpoiled(b, c, wrong)
			})
		}
	})
}

// scanChunk is a trial of ScanChunk.
type scanChunk struct {
	delta, x, z                []float32 // [tokens][inner]
	dbc                        []float32 // [tokens][rank + 2 state]
	a, d, s                    []float32 // [inner][state], [inner], [inner][state]
	tokens, inner, rank, state int
	wide                       int // how much longer rows are than they must
	beside                     int // sequences beside the first, each with tokens and states of its own behind the first's
}

func randomScanChunk(r *rand.Rand, tokens, inner, state int) scanChunk {
	rank := odd(r, 20)
	return scanChunk{
		delta: reference.Float32s(reference.Softplus(reference.Float64s(random(r, tokens*inner, 1)))), x: random(r, tokens*inner, 1),
		z: random(r, tokens*inner, 1), dbc: random(r, tokens*(rank+2*state), 1), a: decays(r, inner*state, state),
		d: random(r, inner, 1), s: random(r, inner*state, 1), tokens: tokens, inner: inner, rank: rank, state: state, wide: 4 * r.IntN(9),
	}
}

func (c scanChunk) device(b bench) [][]float32 {
	b.Helper()
	plan, xy, state := c.prepared(b)
	b.run(plan)
	return [][]float32{xy.values(), state.values()}
}

// prepared puts the inputs on the device; plan turns x into y.
func (c scanChunk) prepared(b bench) (plan func(*Encoder), xy, state grid) {
	b.Helper()
	stride, cols, rows := Padded(c.inner)+c.wide, c.rank+2*c.state, (1+c.beside)*c.tokens
	delta := b.grid(c.delta, rows, c.inner, stride)
	xy = b.grid(c.x, rows, c.inner, stride)
	dbc := b.grid(c.dbc, rows, cols, Padded(cols)+c.wide)
	az := make([]float32, rows*2*c.inner) // z stands behind a
	for i, v := range c.z {
		az[i/c.inner*2*c.inner+i%c.inner] = garbage
		az[i/c.inner*2*c.inner+c.inner+i%c.inner] = v
	}
	z := b.grid(az, rows, 2*c.inner, Padded(2*c.inner)+c.wide)
	state = b.grid(c.s, 1, len(c.s), len(c.s)+1)
	scan := Scan{State: c.state, Rank: c.rank, A2: b.vector(timesLog2e(c.a)), D: b.vector(c.d), S: state.View}
	return func(e *Encoder) {
		e.ScanChunk(scan, delta.View, dbc.View, z.View, xy.View, 1+c.beside, c.tokens, c.inner, dbc.stride, z.stride, stride)
	}, xy, state
}

// BenchmarkScanChunk reads 512 tokens in the shape of 130m.
func BenchmarkScanChunk(b *testing.B) {
	dev := vulkantest.Open(b)
	be := bench{T: &testing.T{}, set: NewSet(dev, DefaultTuning(dev.Info()))}
	plan, _, _ := randomScanChunk(rand.New(rand.NewPCG(1, 1)), 512, 1536, 16).prepared(be)
	repeat(b, be.set, plan)
}

func (c scanChunk) truth() []reference.Bounded {
	_, B, C := parts(reference.Exact32(c.dbc), c.rank, c.state, c.rank+2*c.state)
	gate, state := reference.Exact32(c.z), reference.Exact32(c.s)
	y := reference.ScanBound(reference.Exact32(c.delta), reference.Float64s(c.a), B, C, reference.Float64s(c.d),
		reference.Exact32(c.x), &gate, state, c.inner, c.state)
	return []reference.Bounded{y, state}
}

func (c scanChunk) wrong() map[string]trial {
	wrong := map[string]trial{}
	with := func(what string, change func(*scanChunk)) {
		q := c
		change(&q)
		wrong[what] = q
	}
	with("one delta off", func(q *scanChunk) { q.delta = onePercent(c.delta, biggest(c.delta)) })
	with("one of x off", func(q *scanChunk) { q.x = onePercent(c.x, biggest(c.x)) })
	with("one gate off", func(q *scanChunk) { q.z = onePercent(c.z, reference.ArgMax(reference.Float64s(c.z))) })
	with("one of A off", func(q *scanChunk) { q.a = onePercent(c.a, 0) })
	with("one of D off", func(q *scanChunk) { q.d = onePercent(c.d, biggest(c.d)) })
	with("one state off", func(q *scanChunk) { q.s = onePercent(c.s, biggest(c.s)) })
	with("two of B swapped", func(q *scanChunk) { q.dbc = swapped(c.dbc, c.rank, c.rank+1) })
	with("two of C swapped", func(q *scanChunk) { q.dbc = swapped(c.dbc, c.rank+c.state, c.rank+c.state+1) })
	with("two channels swapped", func(q *scanChunk) { q.x = swapped(c.x, 0, 1) })
	return wrong
}

func TestScanChunk(t *testing.T) {
	dev := vulkantest.Open(t)
	eachTuning(t, dev, func(b bench) {
		states := []int{8}
		if b.full {
			states = []int{16, 5}
		}
		for _, state := range states {
			b.sub(fmt.Sprint("state ", state), func(b bench) {
				r := rand.New(rand.NewPCG(10, uint64(state)))
				for tokens := 1; tokens <= 70; tokens += 1 + tokens/10 {
					check(b, randomScanChunk(r, tokens, odd(r, 40), state))
				}
				for _, tokens := range []int{3, 16, 41} {
					c := randomScanChunk(r, tokens, 3+odd(r, 120), state)
					check(b, c)
					checkSpoiled(b, c, c.wrong())
				}
			})
		}
	})
}

// TestSideBySide: sequences in one dispatch give the same bits as each alone.
func TestSideBySide(t *testing.T) {
	dev := vulkantest.Open(t)
	eachTuning(t, dev, func(b bench) {
		r := rand.New(rand.NewPCG(11, 12))
		for _, tokens := range []int{1, 2, 19} {
			inner, beside := odd(r, 90), 1+r.IntN(4)
			conv, scan := convChunk{beside: beside, width: 4}, scanChunk{beside: beside, state: 8}
			var alone [4][]float32
			for i := range 1 + beside {
				c, s := randomConvChunk(r, tokens, inner, 4), randomScanChunk(r, tokens, inner, 8)
				if i > 0 { // the model is one
					c.w, c.b, c.more = conv.w, conv.b, conv.more
					if s.rank != scan.rank {
						s.rank = scan.rank
						s.dbc = random(r, tokens*(s.rank+2*s.state), 1)
					}
					s.a, s.d, s.wide = scan.a, scan.d, scan.wide
				}
				for k, v := range append(c.device(b), s.device(b)...) {
					alone[k] = append(alone[k], v...)
				}
				c.a, c.columns, c.beside = append(conv.a, c.a...), append(conv.columns, c.columns...), beside
				s.delta, s.x, s.z = append(scan.delta, s.delta...), append(scan.x, s.x...), append(scan.z, s.z...)
				s.dbc, s.s, s.beside = append(scan.dbc, s.dbc...), append(scan.s, s.s...), beside
				conv, scan = c, s
			}
			for k, v := range append(conv.device(b), scan.device(b)...) {
				if !sameBits(v, alone[k]) {
					b.Errorf("%d sequences of %d tokens: output %d differs from each alone", 1+beside, tokens, k)
				}
			}
		}
	})
}
