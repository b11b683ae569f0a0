package kernel

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"kestrel/engine/vulkan"
	"kestrel/engine/vulkan/vulkantest"
	"kestrel/engine/weights"
)

// quantized is what the device makes of src in type d, decoded by the kernel that embeds; most bounds a piece.
func (b bench) quantized(src weights.Tensor, d weights.DType, slabRows int, most int64) (values []float32, sound bool) {
	b.Helper()
	dev, ctx := b.set.Device(), context.Background()
	as := src.As(d)
	if from, ok := Quantizes(as); !ok || from.DType != src.DType {
		b.Fatalf("%v of %v is not for the device", as, src)
	}
	lim := dev.Limits()
	if slabRows > 0 {
		lim = limitedTo(lim, as, slabRows)
	}
	m, err := newMatrix(dev, as, lim)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(m.Free)
	up, err := dev.NewUploader(0)
	if err != nil {
		b.Fatal(err)
	}
	defer up.Close()
	q, err := NewQuantizer(b.set, up)
	if err != nil {
		b.Fatal(err)
	}
	defer q.Close()
	if most > 0 {
		q.most = most
	}
	done := 0
	if sound, err = q.Upload(ctx, m, src, func(rows int) {
		if rows <= done {
			b.Errorf("%d rows are done, %d were before", rows, done)
		}
		done = rows
	}); err != nil {
		b.Fatal(err)
	}
	if done != src.Shape[0] {
		b.Errorf("in the end %d rows are done", done)
	}
	rows, cols := src.Shape[0], src.Shape[1]
	ids := make([]uint32, rows)
	for i := range ids {
		ids[i] = uint32(i)
	}
	n := Padded(cols)
	h := b.grid(nil, rows, n, n)
	where := b.words(ids...)
	b.run(func(e *Encoder) { e.Embed(m, where, h.View, rows) })
	all := h.values()
	for r := range rows {
		values = append(values, all[r*n:r*n+cols]...)
		for _, v := range all[r*n+cols : (r+1)*n] {
			if v != 0 {
				b.Fatalf("%v: %v in the padding of row %d", as, v, r)
			}
		}
	}
	return values, sound
}

// uneven is values as trained matrices have them, and blocks that are zero, tiny, constant, positive or with one outlier.
func uneven(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for at := 0; at < n; at += 16 {
		scale, shift := math.Exp(2*r.NormFloat64()-3), 0.0
		switch r.IntN(12) {
		case 0:
			scale = 0
		case 1:
			scale, shift = 0, r.NormFloat64()
		case 2:
			scale *= 1e-7 // scales become subnormal halves
		case 3:
			shift = 4 * scale
		}
		for i := at; i < min(at+16, n); i++ {
			x[i] = float32(scale*r.NormFloat64() + shift)
		}
		if r.IntN(8) == 0 {
			x[at] *= 20
		}
	}
	return x
}

// errors2 is how far a is from x, as a root of mean squares: as it is, and with every 16 values in units of their largest,
// so that small ones count too.
func errors2(a, x []float32) (plain, even float64) {
	for at := 0; at < len(x); at += 16 {
		var sum, most float64
		for i := at; i < min(at+16, len(x)); i++ {
			d := float64(a[i]) - float64(x[i])
			sum += d * d
			most = max(most, math.Abs(float64(x[i])))
		}
		plain += sum
		if most > 0 {
			even += sum / (most * most)
		}
	}
	return math.Sqrt(plain / float64(len(x))), math.Sqrt(even / float64(len(x)))
}

// TestQuantize: what the device makes of floats is as near to them as what the host makes, within 2%: of every type of
// floats, in pieces and in slabs; F16 is the same to the bit.
func TestQuantize(t *testing.T) {
	for name, o := range map[string]vulkan.DeviceOptions{"direct": {}, "staging": {ForceStaging: true}} {
		dev := vulkantest.OpenWith(t, o)
		for _, d := range quantizers {
			t.Run(name+" "+d.String(), func(t *testing.T) {
				r := rand.New(rand.NewPCG(31, uint64(d)))
				b := bench{t, NewSet(dev, DefaultTuning(dev.Info())), true, true}
				var all [4]float64 // squares of mine, mineEven, host and hostEven over all matrices
				for i, from := range sources {
					for _, c := range []struct{ rows, cols, slab, piece int }{{3, 256, 0, 0}, {37, 512, 0, 0}, {29, 256, 10, 0}, {31, 512, 0, 5}, {23, 256, 9, 4}} {
						if testing.Short() && (i != 2 || name != "direct") {
							continue
						}
						cols := c.cols
						if d == weights.F16 {
							cols -= 7
						} else if d.BlockSize() == 32 {
							cols -= 32 * r.IntN(3)
						}
						var x []float32
						if c.rows%2 == 0 {
							x = random(r, c.rows*cols, 0.02)
						} else {
							x = uneven(r, c.rows*cols)
						}
						src := tensor(from, c.rows, cols, x)
						if from == d {
							continue
						}
						got, sound := b.quantized(src, d, c.slab, int64(c.piece)*src.DType.Bytes(cols))
						if !sound {
							t.Errorf("%v: sound values are called damaged", src)
						}
						x = floatsOf(t, src)
						want := floatsOf(t, src.As(d))
						mine, mineEven := errors2(got, x)
						host, hostEven := errors2(want, x)
						for k, e := range []float64{mine, mineEven, host, hostEven} {
							all[k] += e * e * float64(len(x))
						}
						// A driver that rounds otherwise may choose another of two nearly equal scales. In a few blocks that is
						// seen: those are held to a loose bound alone, and to the 2% together with the others of the type.
						bound := 1.02
						if len(x)/d.BlockSize() < 16 {
							bound = 4
						}
						if !(mine <= bound*host && mineEven <= bound*hostEven) || host == 0 && d != weights.F16 {
							t.Errorf("%v, slabs of %d, pieces of %d: the error is %.4g (%.4g), the host's %.4g (%.4g)", src, c.slab, c.piece, mine, mineEven, host, hostEven)
						}
						if d == weights.F16 && !sameBits(got, want) {
							t.Errorf("%v: not rounded to nearest even", src)
						}
						same := 0
						for i := range got {
							if got[i] == want[i] {
								same++
							}
						}
						t.Logf("%v, slabs of %d, pieces of %d: error %.4f (%.4f) of the host's, %.1f%% of the values the same", src, c.slab, c.piece, mine/host, mineEven/hostEven, 100*float64(same)/float64(len(got)))
					}
				}
				if all[0] > 1.02*1.02*all[2] || all[1] > 1.02*1.02*all[3] {
					t.Errorf("over all matrices the squared errors are %.6g and %.6g, the host's %.6g and %.6g", all[0], all[1], all[2], all[3])
				}
			})
		}
	}
}

func floatsOf(t *testing.T, w weights.Tensor) []float32 {
	t.Helper()
	x, err := w.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// TestQuantizeDamaged: a value that is no number, or a scale that is out of reach, is noticed wherever it stands.
func TestQuantizeDamaged(t *testing.T) {
	dev := vulkantest.Open(t)
	b := bench{t, NewSet(dev, DefaultTuning(dev.Info())), true, true}
	r := rand.New(rand.NewPCG(33, 34))
	for _, d := range quantizers {
		for i, v := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 1e30} {
			x := random(r, 5*256, 1)
			x[[]int{0, 5*256 - 1, 700, 1023}[i]] = v
			if _, sound := b.quantized(tensor(weights.F32, 5, 256, x), d, 0, 0); sound {
				t.Errorf("%v: %v is not noticed", d, v)
			}
		}
	}
}

// TestQuantizes: what the device does not make is left to the host.
func TestQuantizes(t *testing.T) {
	float := weights.Tensor{Name: "w", DType: weights.BF16, Shape: []int{4, 512}, Data: make([]byte, 4096)}
	for _, c := range []struct {
		name string
		t    weights.Tensor
		want bool
	}{
		{"Q4_K of BF16", float.As(weights.Q4_K), true},
		{"F16 of BF16", float.As(weights.F16), true},
		{"as it is", float, false},
		{"Q2_K", float.As(weights.Q2_K), false},
		{"F32", float.As(weights.F32), false},
		{"of what is made itself", float.As(weights.F32).As(weights.Q8_0), false},
		{"of what is quantized", weights.Tensor{DType: weights.Q8_0, Shape: []int{4, 512}, Data: make([]byte, 4*544)}.As(weights.Q4_0), false},
		{"rows too long", weights.Tensor{DType: weights.F32, Shape: []int{1, 1 << 21}}.As(weights.F16), false},
	} {
		if _, got := Quantizes(c.t); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// TestQuantizeStops: a context that ends stops it between pieces.
func TestQuantizeStops(t *testing.T) {
	dev := vulkantest.Open(t)
	set := NewSet(dev, DefaultTuning(dev.Info()))
	src := tensor(weights.F32, 64, 256, make([]float32, 64*256))
	m, err := NewMatrix(dev, src.As(weights.Q8_0))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Free()
	up, err := dev.NewUploader(0)
	if err != nil {
		t.Fatal(err)
	}
	defer up.Close()
	q, err := NewQuantizer(set, up)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := q.Upload(ctx, m, src, func(int) {}); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
	if sound, err := q.Upload(context.Background(), m, src, func(int) {}); err != nil || !sound {
		t.Errorf("after that: %v", err)
	}
}

// BenchmarkQuantize holds the device beside the host, which uses all processors.
func BenchmarkQuantize(b *testing.B) {
	dev := vulkantest.Open(b)
	set := NewSet(dev, DefaultTuning(dev.Info()))
	r := rand.New(rand.NewPCG(1, 2))
	const rows, cols = 1024, 2048
	src := tensor(weights.BF16, rows, cols, random(r, rows*cols, 0.02))
	up, err := dev.NewUploader(32 << 20)
	if err != nil {
		b.Fatal(err)
	}
	defer up.Close()
	q, err := NewQuantizer(set, up)
	if err != nil {
		b.Fatal(err)
	}
	defer q.Close()
	for _, d := range quantizers {
		b.Run(fmt.Sprint("device ", d), func(b *testing.B) {
			m, err := NewMatrix(dev, src.As(d))
			if err != nil {
				b.Fatal(err)
			}
			defer m.Free()
			for b.Loop() {
				if _, err := q.Upload(context.Background(), m, src, func(int) {}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)*rows*cols/b.Elapsed().Seconds()/1e6, "Mweights/s")
		})
		b.Run(fmt.Sprint("host ", d), func(b *testing.B) {
			for b.Loop() {
				if _, err := src.As(d).Load(context.Background(), nil); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)*rows*cols/b.Elapsed().Seconds()/1e6, "Mweights/s")
		})
	}
}
