package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"kestrel/engine/reference"
	"kestrel/engine/vulkan"
	"kestrel/engine/vulkan/vulkantest"
)

var (
	nan      = float32(math.NaN())
	inf      = float32(math.Inf(1))
	minusInf = float32(math.Inf(-1))
	minusOne = uint32(math.MaxUint32)
)

// vocabulary is the number of Falcon-Mamba's logits.
const vocabulary = 65024

// logitCases are logits that are hard to order, and random ones of many lengths.
func logitCases() map[string][]float32 {
	r := rand.New(rand.NewPCG(11, 12))
	cases := map[string][]float32{
		"one":                   {3},
		"one NaN":               {nan},
		"all NaN":               slices.Repeat([]float32{nan}, 300),
		"all -infinity":         slices.Repeat([]float32{minusInf}, 70),
		"NaN and -infinity":     {nan, minusInf, nan, minusInf},
		"NaN first":             {nan, 1, nan, 3, 2, nan},
		"negative NaN":          {math.Float32frombits(0xffc00001), -7, -5},
		"infinity":              {1, inf, nan, inf, minusInf},
		"all equal":             slices.Repeat([]float32{-2.5}, 2500),
		"zero before -0":        {-1, 0, float32(math.Copysign(0, -1)), 0},
		"-0 before zero":        {-1, float32(math.Copysign(0, -1)), 0, 0},
		"largest last":          append(slices.Repeat([]float32{1}, 1500), 2),
		"largest first":         append([]float32{2}, slices.Repeat([]float32{1}, 1500)...),
		"negative":              around(-1000, random(r, 1300, 1)),
		"neighbours":            {1, math.Nextafter32(1, 2), math.Nextafter32(1, 0), math.Nextafter32(1, 2)},
		"subnormal and largest": {-math.MaxFloat32, 0x1p-130, math.MaxFloat32, -0x1p-130},
		"vocabulary":            random(r, vocabulary, 5),
	}
	for range 4 {
		v := random(r, odd(r, 5000), 1)
		for i := range v {
			if r.IntN(20) == 0 {
				v[i] = v[r.IntN(len(v))] // ties
			}
			if r.IntN(50) == 0 {
				v[i] = nan
			}
		}
		cases[fmt.Sprint(len(v), " with ties and NaN")] = v
	}
	few := make([]float32, 3001) // of a few values, so that ties go over the borders of slices
	for i := range few {
		few[i] = float32(r.IntN(7))
	}
	cases["seven values"] = few
	return cases
}

// numbers are logits as the kernels order them: NaN counts as -infinity.
func numbers(v []float32) []float64 {
	out := reference.Float64s(v)
	for i, f := range out {
		if math.IsNaN(f) {
			out[i] = math.Inf(-1)
		}
	}
	return out
}

func (b bench) argMax(logits []float32) (id uint32, logit float32) {
	b.Helper()
	in, out := b.floats(append(slices.Clone(logits), inf)), b.words(7, 7, garbageWord) // count says where they end
	b.run(func(e *Encoder) { e.ArgMax(in, out, len(logits)) })
	got := readWords(out)
	if got[2] != garbageWord {
		b.Errorf("the word after the result became %#x", got[2])
	}
	return got[0], math.Float32frombits(got[1])
}

const garbageWord = 0xdeadbeef

func TestArgMax(t *testing.T) {
	dev := vulkantest.Open(t)
	eachTuning(t, dev, func(b bench) {
		for name, logits := range logitCases() {
			b.sub(name, func(b bench) {
				v := numbers(logits)
				want := reference.ArgMax(v)
				id, logit := b.argMax(logits)
				switch {
				case math.IsInf(v[want], -1): // no number: the id means nothing
					if logit != minusInf || int(id) >= len(logits) {
						b.Errorf("id %d, logit %v; want -infinity and an id of the %d", id, logit, len(logits))
					}
				case int(id) != want || float64(logit) != v[want]:
					b.Errorf("id %d, logit %v; want %d, %v", id, logit, want, v[want])
				}
			})
		}
		b.sub("every place", func(b bench) {
			for place := range 140 {
				logits := make([]float32, 140)
				logits[place] = 1
				if id, _ := b.argMax(logits); int(id) != place {
					b.Errorf("id %d, want %d", id, place)
				}
			}
		})
	})
}

// pair is an id and its logit's bits.
type pair struct{ id, logit uint32 }

func (b bench) topK(logits []float32, k int) []pair {
	b.Helper()
	in := b.floats(append(slices.Clone(logits), inf))
	// One word more than is written, which must stay.
	memory := func(bytes int64) vulkan.View { return b.words(slices.Repeat([]uint32{garbageWord}, int(bytes/4)+1)...) }
	scratch := [2]vulkan.View{memory(TopKScratch(len(logits), k)), memory(TopKScratch(len(logits), k))}
	out := memory(int64(k) * 8)
	b.run(func(e *Encoder) { e.TopK(in, out, len(logits), k, scratch) })
	for _, v := range append(scratch[:], out) {
		if w := readWords(v); w[len(w)-1] != garbageWord {
			b.Errorf("a word after %d became %#x", len(w)-1, w[len(w)-1])
		}
	}
	words := readWords(out)
	var pairs []pair
	for i := range k {
		pairs = append(pairs, pair{words[2*i], words[2*i+1]})
	}
	return pairs
}

// topKTruth is what TopK promises, from reference.TopK.
func topKTruth(logits []float32, k int) []pair {
	v := numbers(logits)
	var pairs []pair
	for _, id := range reference.TopK(v, k) {
		f := logits[id]
		if f != f {
			f = minusInf
		}
		pairs = append(pairs, pair{uint32(id), math.Float32bits(f)})
	}
	for len(pairs) < k {
		pairs = append(pairs, pair{minusOne, math.Float32bits(minusInf)})
	}
	return pairs
}

func TestTopK(t *testing.T) {
	type choice struct {
		name   string
		k      int
		logits []float32
		want   []pair
	}
	var choices []choice
	for name, logits := range logitCases() {
		for _, k := range []int{1, 40, MaxTopK} {
			choices = append(choices, choice{name, k, logits, topKTruth(logits, k)})
		}
	}
	dev := vulkantest.Open(t)
	eachTuning(t, dev, func(b bench) {
		for _, c := range choices {
			b.sub(fmt.Sprint(c.k, " of ", c.name), func(b bench) {
				for i, got := range b.topK(c.logits, c.k) {
					if got != c.want[i] {
						b.Fatalf("place %d: %v, want %v", i, got, c.want[i])
					}
				}
			})
		}
	})
}

// TestChoiceSeesEveryLogit: a logit raised above the others anywhere changes what is chosen.
func TestChoiceSeesEveryLogit(t *testing.T) {
	b := bench{t, NewSet(vulkantest.Open(t), Tuning{Top: 32}), true, true}
	logits := random(rand.New(rand.NewPCG(13, 14)), vocabulary, 1)
	for _, place := range []int{0, 1, 1023, 1024, 33333, 64511, 64512, vocabulary - 1} {
		raised := slices.Clone(logits)
		raised[place] = 100
		if id, logit := b.argMax(raised); int(id) != place || logit != 100 {
			t.Errorf("ArgMax gives %d, %v; want %d, 100", id, logit, place)
		}
		if top := b.topK(raised, 3); top[0] != (pair{uint32(place), math.Float32bits(100)}) {
			t.Errorf("TopK gives %v first, want %d", top[0], place)
		}
	}
}
