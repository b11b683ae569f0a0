package kernel

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"kestrel/engine/sample"
	"kestrel/engine/vulkan"
	"kestrel/engine/vulkan/vulkantest"
)

// drawer chooses on the device, over a vocabulary of a size, again and again.
type drawer struct {
	b       bench
	logits  vulkan.View
	d       Draw
	program *vulkan.Program
	vocab   int
}

func (b bench) drawer(p sample.Params, vocab int, accepted []int) (drawer, *sample.Sampler) {
	b.Helper()
	s, err := sample.New(p)
	if err != nil {
		b.Fatal(err)
	}
	for _, id := range accepted {
		s.Accept(id)
	}
	few := b.set.Few(s.Rule(), vocab)
	recent := s.Recent()
	control := Control(s.Rule(), few > 0, s.Place(), len(recent))
	words := make([]uint32, len(control)/4)
	for i := range words {
		words[i] = binary.LittleEndian.Uint32(control[4*i:])
	}
	seen, window := make([]uint32, vocab), make([]uint32, max(1, s.Rule().Window))
	for i, id := range recent {
		seen[id]++
		window[i] = uint32(id)
	}
	dr := drawer{b: b, logits: b.words(make([]uint32, vocab)...), vocab: vocab,
		d: Draw{Control: b.words(words...), Seen: b.words(seen...), Window: b.words(window...), Result: b.words(7, 7)}}
	scratch := [2]vulkan.View{}
	for i := range scratch {
		scratch[i] = b.words(make([]uint32, TopKScratch(vocab, max(few, 1))/4)...)
	}
	top := b.words(make([]uint32, 2*max(few, 1))...)
	dr.program, err = b.set.Record(context.Background(), "draw", func(e *Encoder) {
		if few > 0 {
			e.TopK(dr.logits, top, vocab, few, scratch)
			e.DrawFew(top, few, dr.d)
		} else {
			e.DrawAll(dr.logits, vocab, dr.d)
		}
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(dr.program.Free)
	return dr, s
}

// choose gives the id chosen, or that nothing can be.
func (dr drawer) choose(logits []float32) (id int, ok bool) {
	dr.b.Helper()
	for i, f := range logits {
		binary.LittleEndian.PutUint32(dr.logits.Buffer.Bytes()[4*i:], math.Float32bits(f))
	}
	if err := dr.program.Run(context.Background()); err != nil {
		dr.b.Fatal(err)
	}
	result := readWords(dr.d.Result)
	if next := readWords(dr.d.Control)[0]; next != result[0] {
		dr.b.Errorf("the next step reads id %d, the result is %d", next, result[0])
	}
	return int(result[0]), result[1] == 0
}

// drawParams are parameters of every kind that the device follows.
func drawParams() []sample.Params {
	return []sample.Params{
		{RepeatPenalty: 1.3, RepeatWindow: 5},
		{RepeatPenalty: 0.7, RepeatWindow: 5},
		{RepeatPenalty: 1.3, RepeatWindow: 700},
		{Temperature: 1, Seed: 1},
		{Temperature: 50, Seed: 1 << 40},
		{Temperature: 1e-4, Seed: 2},
		{Temperature: 0.7, TopP: 0.9, Seed: 3},
		{Temperature: 2, TopP: 0.5, Seed: 4},
		{Temperature: 1, TopP: 1e-12, Seed: 5},
		{Temperature: 5, TopP: 0.999, Seed: 6},
		{Temperature: 1, MinP: 0.1, Seed: 7},
		{Temperature: 1.3, TopP: 0.95, MinP: 0.02, RepeatPenalty: 1.2, RepeatWindow: 7, Seed: 8},
		{Temperature: 1.3, TopP: 0.95, RepeatPenalty: 0.8, RepeatWindow: 3, Seed: 9},
		{Temperature: 1, TopK: 1, Seed: 10},
		{Temperature: 1, TopK: 40, Seed: 11},
		{Temperature: 0.8, TopK: 40, TopP: 0.9, MinP: 0.05, Seed: 12},
		{Temperature: 3, TopK: 17, TopP: 0.7, RepeatPenalty: 1.5, RepeatWindow: 9, Seed: 13},
		{Temperature: 9, TopK: MaxTopK, TopP: 0.99, Seed: 14},
		{Temperature: 4, TopK: MaxTopK + 1, Seed: 15},
		{Temperature: 5, TopK: 3000, TopP: 0.9, RepeatPenalty: 1.1, Seed: 16},
		{Temperature: 2, TopK: 9, TopP: 0.9, MinP: 0.01, RepeatPenalty: 0.7, Seed: 17},
	}
}

// TestDraw: the device chooses what the sampler chooses, to the id, in texts whose every choice hangs on those before.
// Many logits are equal, so that a tie decided otherwise would show.
func TestDraw(t *testing.T) {
	dev := vulkantest.Open(t)
	eachTuning(t, dev, func(b bench) {
		r := rand.New(rand.NewPCG(21, 22))
		for _, p := range drawParams() {
			for _, vocab := range []int{1, 7, 300, 5003} {
				if !b.full && vocab > 300 {
					continue
				}
				b.sub(fmt.Sprintf("%d %+v", vocab, p), func(b bench) {
					var accepted []int
					for range r.IntN(10) {
						accepted = append(accepted, r.IntN(vocab))
					}
					dr, s := b.drawer(p, vocab, accepted)
					for step := range 25 {
						logits := random(r, vocab, 3)
						switch step % 4 {
						case 1: // few values
							for i := range logits {
								logits[i] = float32(r.IntN(9)-4) / 2
							}
						case 2: // nearly all equal
							for i := range logits {
								logits[i] = 5 + float32(r.IntN(2))*0x1p-20
							}
						case 3:
							for i := range logits {
								if r.IntN(3) == 0 {
									logits[i] = minusInf
								}
							}
							logits[r.IntN(vocab)] = 1
						}
						want, err := s.Sample(logits)
						if err != nil {
							b.Fatal(err)
						}
						if id, ok := dr.choose(logits); !ok || id != want {
							b.Fatalf("step %d: %d, %v; the sampler chooses %d", step, id, ok, want)
						}
						s.Accept(want)
					}
				})
			}
		}
	})
}

// TestDrawVocabulary: the same over a whole vocabulary.
func TestDrawVocabulary(t *testing.T) {
	dev := vulkantest.Open(t)
	r := rand.New(rand.NewPCG(23, 24))
	for i, p := range drawParams() {
		lanes := []int{128, 512}[i%2]
		b := bench{t, NewSet(dev, Tuning{Top: 32, Draw: lanes, Few: i%4 < 2}), true, true}
		b.sub(fmt.Sprintf("%d lanes %+v", lanes, p), func(b bench) {
			dr, s := b.drawer(p, vocabulary, nil)
			for _, scale := range []float64{2.5, 0, 0.01, 30} {
				logits := random(r, vocabulary, scale)
				want, err := s.Sample(logits)
				if err != nil {
					b.Fatal(err)
				}
				if id, ok := dr.choose(logits); !ok || id != want {
					b.Errorf("spread %v: %d, %v; the sampler chooses %d", scale, id, ok, want)
				}
				s.Accept(want)
			}
		})
	}
}

// TestDrawRefuses: where the sampler finds no choice the device says so, and where it was stays.
func TestDrawRefuses(t *testing.T) {
	dev := vulkantest.Open(t)
	eachTuning(t, dev, func(b bench) {
		for name, bad := range map[string]float32{"NaN": nan, "infinity": inf, "-infinity": minusInf} {
			for _, p := range []sample.Params{{Temperature: 1, RepeatPenalty: 1.2}, {Temperature: 1, TopK: 5, RepeatPenalty: 1.2}, {RepeatPenalty: 0.8}} {
				b.sub(fmt.Sprintf("%s %+v", name, p), func(b bench) {
					dr, s := b.drawer(p, 200, []int{3, 4})
					logits := random(rand.New(rand.NewPCG(1, 1)), 200, 1)
					before := [][]uint32{readWords(dr.d.Control)[1:], readWords(dr.d.Seen), readWords(dr.d.Window)}
					all := slices.Repeat([]float32{bad}, 200)
					if bad == inf {
						all = slices.Clone(logits)
						all[100] = inf
					}
					if id, ok := dr.choose(all); ok || id != 0 {
						b.Errorf("it chooses %d, %v", id, ok)
					}
					for i, now := range [][]uint32{readWords(dr.d.Control)[1:], readWords(dr.d.Seen), readWords(dr.d.Window)} {
						if !slices.Equal(now, before[i]) {
							b.Errorf("part %d became %v, was %v", i, now, before[i])
						}
					}
					want, err := s.Sample(logits)
					if err != nil {
						b.Fatal(err)
					}
					if id, ok := dr.choose(logits); !ok || id != want {
						b.Errorf("then it chooses %d, %v, want %d", id, ok, want)
					}
				})
			}
		}
		b.sub("one NaN among all", func(b bench) {
			dr, _ := b.drawer(sample.Params{Temperature: 1}, 200, nil)
			logits := random(rand.New(rand.NewPCG(1, 1)), 200, 1)
			logits[77] = nan
			if id, ok := dr.choose(logits); ok {
				b.Errorf("it chooses %d", id)
			}
		})
	})
}

// TestFew: which rules choose from few logits.
func TestFew(t *testing.T) {
	dev := vulkantest.Open(t)
	for _, c := range []struct {
		p               sample.Params
		vocab           int
		sorting, adding int // where the few are sorted out, and where they are not
	}{
		{sample.Params{}, vocabulary, 1, 1},
		{sample.Params{RepeatPenalty: 1.1}, vocabulary, 65, 0},
		{sample.Params{RepeatPenalty: 1.1}, 50, 50, 0},
		{sample.Params{RepeatPenalty: 1.1, RepeatWindow: 600}, vocabulary, 0, 0},
		{sample.Params{RepeatPenalty: 0.9}, vocabulary, 0, 0},
		{sample.Params{Temperature: 1}, vocabulary, 0, 0},
		{sample.Params{Temperature: 1, TopK: 512}, vocabulary, 512, 0},
		{sample.Params{Temperature: 1, TopK: 513}, vocabulary, 0, 0},
		{sample.Params{Temperature: 1, TopK: 513}, 300, 300, 0},
		{sample.Params{Temperature: 1, TopK: 500, RepeatPenalty: 1.1}, vocabulary, 0, 0},
		{sample.Params{Temperature: 1, TopK: 5, RepeatPenalty: 0.9}, vocabulary, 0, 0},
	} {
		s, err := sample.New(c.p)
		if err != nil {
			t.Fatal(err)
		}
		for few, want := range map[bool]int{true: c.sorting, false: c.adding} {
			if got := NewSet(dev, Tuning{Few: few}).Few(s.Rule(), c.vocab); got != want {
				t.Errorf("%+v of %d, sorted %v: %d, want %d", c.p, c.vocab, few, got, want)
			}
		}
	}
}
