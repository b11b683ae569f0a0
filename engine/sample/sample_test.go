package sample

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func inf(sign int) float32 { return float32(math.Inf(sign)) }

func nan() float32 { return float32(math.NaN()) }

func must(t testing.TB, p Params) *Sampler {
	t.Helper()
	s, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func pick(t testing.TB, s *Sampler, logits []float32) int {
	t.Helper()
	id, err := s.Sample(logits)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestGreedy(t *testing.T) {
	tests := []struct {
		logits []float32
		want   int
	}{
		{[]float32{1}, 0},
		{[]float32{1, 3, 2}, 1},
		{[]float32{3, 1, 3, 3}, 0},
		{[]float32{-1, inf(-1), -1}, 0},
		{[]float32{inf(-1), -5}, 1},
	}
	for _, test := range tests {
		if got := pick(t, must(t, Params{}), test.logits); got != test.want {
			t.Errorf("%v: got %d, want %d", test.logits, got, test.want)
		}
	}
}

func TestRepeatPenalty(t *testing.T) {
	s := must(t, Params{RepeatPenalty: 2, RepeatWindow: 2})
	logits := []float32{4, 3, -1}
	var got []int
	for range 6 {
		id := pick(t, s, logits)
		s.Accept(id)
		got = append(got, id)
	}
	// 0 (4), 1 (0 is 2), 0 (1 is 1.5; 0 is 2), 0 (1 is 1.5), then 0 twice in
	// the window: 1, and again
	if want := []int{0, 1, 0, 0, 1, 0}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	negative := must(t, Params{RepeatPenalty: 2})
	negative.Accept(0)
	if got := pick(t, negative, []float32{-1, -1.5}); got != 1 {
		t.Errorf("a negative logit was raised: got %d, want 1", got)
	}
	if got := pick(t, negative, []float32{-1, -1.5}); got != 1 {
		t.Errorf("the caller's logits were changed: got %d, want 1", got)
	}
}

func TestWindow(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for size := range 5 {
		w := newWindow(size)
		var all []int32
		for range 200 {
			id := int32(rng.IntN(4))
			w.push(id)
			all = append(all, id)
			want := map[int32]int{}
			for _, id := range all[max(0, len(all)-size):] {
				want[id]++
			}
			if fmt.Sprint(w.count) != fmt.Sprint(want) {
				t.Fatalf("size %d after %v: %v, want %v", size, all, w.count, want)
			}
		}
	}
}

func TestErrors(t *testing.T) {
	all := []Params{
		{}, {Temperature: 1}, {Temperature: 1, TopK: 2}, {Temperature: 1, TopP: 0.5}, {Temperature: 1, MinP: 0.5},
	}
	bad := [][]float32{nil, {nan()}, {1, nan(), 2}, {nan(), 1}, {inf(1), 1}, {inf(-1), inf(-1)}}
	for _, p := range all {
		for _, logits := range bad {
			s := must(t, p)
			if _, err := s.Sample(logits); !errors.Is(err, ErrLogits) {
				t.Errorf("%+v from %v: got %v, want ErrLogits", p, logits, err)
			}
		}
	}
	s := must(t, Params{Temperature: 1, TopK: 3})
	for _, test := range []struct {
		ids    []int32
		logits []float32
	}{
		{nil, nil},
		{[]int32{1}, []float32{1, 2}},
		{[]int32{1, 2}, []float32{1, 2}},
		{[]int32{2, 1}, []float32{1, 1}},
		{[]int32{2, 2}, []float32{1, 1}},
		{[]int32{1, 2}, []float32{1, nan()}},
	} {
		if _, err := s.SampleTop(test.ids, test.logits); !errors.Is(err, ErrLogits) {
			t.Errorf("SampleTop(%v, %v): got %v, want ErrLogits", test.ids, test.logits, err)
		}
	}
	if _, err := must(t, Params{Temperature: 1}).SampleTop([]int32{0}, []float32{1}); !errors.Is(err, ErrLogits) {
		t.Errorf("SampleTop where all logits are needed: got %v", err)
	}
}

func TestValidate(t *testing.T) {
	for _, p := range []Params{
		{Temperature: -1}, {Temperature: nan()}, {Temperature: inf(1)}, {TopK: -1}, {TopP: -0.1}, {TopP: 1.1}, {TopP: nan()},
		{MinP: 2}, {MinP: nan()}, {RepeatPenalty: -1}, {RepeatPenalty: nan()}, {RepeatPenalty: inf(1)}, {RepeatWindow: -1}, {RepeatWindow: 1 << 30},
	} {
		if _, err := New(p); !errors.Is(err, ErrParams) {
			t.Errorf("%+v: got %v, want ErrParams", p, err)
		}
	}
}

// TestKept holds which ids stay, on both ways to choose: the largest k, and all.
func TestKept(t *testing.T) {
	logits := make([]float32, 4)
	for i, p := range []float64{0.1, 0.4, 0.2, 0.3} {
		logits[i] = float32(math.Log(p))
	}
	tests := []struct {
		topP, minP float32
		want       []int
	}{
		{0.01, 0, []int{1}},
		{0.39, 0, []int{1}},
		{0.41, 0, []int{1, 3}},
		{0.69, 0, []int{1, 3}},
		{0.71, 0, []int{1, 2, 3}},
		{0.89, 0, []int{1, 2, 3}},
		{0.91, 0, []int{0, 1, 2, 3}},
		{0, 0.24, []int{0, 1, 2, 3}},
		{0, 0.26, []int{1, 2, 3}},
		{0, 0.51, []int{1, 3}},
		{0, 1, []int{1}},
		{0.71, 0.51, []int{1, 3}},
		{0.41, 0.24, []int{1, 3}},
	}
	for _, test := range tests {
		for _, k := range []int{0, 4, 100} {
			s := must(t, Params{Temperature: 1, TopK: k, TopP: test.topP, MinP: test.minP, Seed: 3})
			seen := map[int]bool{}
			for range 2000 {
				seen[pick(t, s, logits)] = true
				s.accepted++
			}
			if got := slices.Sorted(maps.Keys(seen)); !slices.Equal(got, test.want) {
				t.Errorf("top-k %d, top-p %v, min-p %v: kept %v, want %v", k, test.topP, test.minP, got, test.want)
			}
		}
	}
}

// TestTop holds the promise of DeviceTopK: the largest logits suffice.
func TestTop(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for round := range 3000 {
		p := Params{Seed: rng.Uint64()}
		if rng.IntN(4) > 0 {
			p.Temperature = 0.2 + 2*rng.Float32()
			p.TopK = 1 + rng.IntN(12)
		}
		if rng.IntN(2) == 0 {
			p.TopP = rng.Float32()
		}
		if rng.IntN(2) == 0 {
			p.MinP = rng.Float32() * 0.3
		}
		if rng.IntN(2) == 0 {
			p.RepeatPenalty = 1 + rng.Float32()
			p.RepeatWindow = 1 + rng.IntN(8)
		}
		all := must(t, p)
		k, ok := all.DeviceTopK()
		if !ok {
			t.Fatalf("%+v wants all logits", p)
		}
		top := all.Clone()
		vocab := 1 + rng.IntN(60)
		for step := range 20 {
			logits := make([]float32, vocab)
			for i := range logits {
				// few values, so that many are equal
				logits[i] = float32(rng.IntN(9)-4) / 2
				if rng.IntN(12) == 0 {
					logits[i] = inf(-1)
				}
			}
			logits[rng.IntN(vocab)] = 0.25
			ids := make([]int32, vocab)
			for i := range ids {
				ids[i] = int32(i)
			}
			slices.SortStableFunc(ids, func(a, b int32) int {
				switch {
				case logits[a] > logits[b]:
					return -1
				case logits[a] < logits[b]:
					return 1
				}
				return 0
			})
			ids = ids[:min(k, vocab)]
			values := make([]float32, len(ids))
			for i, id := range ids {
				values[i] = logits[id]
			}
			want := pick(t, all, logits)
			got, err := top.SampleTop(ids, values)
			if err != nil || got != want {
				t.Fatalf("round %d step %d, %+v: got %d, %v from the %d largest, %d from all %d", round, step, p, got, err, k, want, vocab)
			}
			all.Accept(want)
			top.Accept(want)
		}
	}
}

func TestDeviceTopK(t *testing.T) {
	tests := []struct {
		p  Params
		k  int
		ok bool
	}{
		{Params{}, 1, true},
		{Params{RepeatPenalty: 1.1}, 1 + DefaultWindow, true},
		{Params{RepeatPenalty: 1.1, RepeatWindow: 8}, 9, true},
		{Params{RepeatPenalty: 0.9}, 0, false},
		{Params{RepeatPenalty: 1, RepeatWindow: 8}, 1, true},
		{Params{Temperature: 1, TopK: 40}, 40, true},
		{Params{Temperature: 1, TopK: 40, TopP: 0.9, MinP: 0.1}, 40, true},
		{Params{Temperature: 1, TopK: 40, RepeatPenalty: 1.1, RepeatWindow: 8}, 48, true},
		{Params{Temperature: 1}, 0, false},
		{Params{Temperature: 1, TopP: 0.9}, 0, false},
		{Params{Temperature: 1, MinP: 0.1}, 0, false},
	}
	for _, test := range tests {
		k, ok := must(t, test.p).DeviceTopK()
		if k != test.k || ok != test.ok {
			t.Errorf("%+v: got %d, %v, want %d, %v", test.p, k, ok, test.k, test.ok)
		}
	}
}

// TestSeed holds that a seed gives one sequence for good: these ids may not
// change between versions.
func TestSeed(t *testing.T) {
	logits := []float32{1, 2, 3, 4, 3, 2, 1, 0}
	draws := func(s *Sampler, n int) []int {
		var out []int
		for range n {
			id := pick(t, s, logits)
			s.Accept(id)
			out = append(out, id)
		}
		return out
	}
	p := Params{Temperature: 1, TopP: 0.95, RepeatPenalty: 1.2, RepeatWindow: 4, Seed: 7}
	got := draws(must(t, p), 16)
	if want := []int{5, 3, 0, 3, 2, 3, 4, 2, 0, 3, 4, 4, 2, 0, 3, 1}; !slices.Equal(got, want) {
		t.Errorf("seed 7: got %v, want %v", got, want)
	}
	if again := draws(must(t, p), 16); !slices.Equal(again, got) {
		t.Errorf("the same seed gave %v, then %v", got, again)
	}
	p.Seed = 8
	if other := draws(must(t, p), 16); slices.Equal(other, got) {
		t.Error("another seed gave the same ids")
	}
	s := must(t, p)
	draws(s, 5)
	c := s.Clone()
	if a, b := draws(s, 20), draws(c, 20); !slices.Equal(a, b) {
		t.Errorf("the clone went another way: %v, %v", a, b)
	}
}

// TestChoosingAgain: a choice that was not accepted is made again, and what it hangs on can be read off the sampler.
func TestChoosingAgain(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	s := must(t, Params{Temperature: 2, RepeatPenalty: 1.5, RepeatWindow: 3, Seed: 9})
	var all []int32
	for i := range 20 {
		if got, want := s.Recent(), all[max(0, len(all)-3):]; !slices.Equal(got, want) || s.Place() != uint64(i) {
			t.Fatalf("after %v: looks back on %v from place %d", all, got, s.Place())
		}
		logits := make([]float32, 100)
		for i := range logits {
			logits[i] = rng.Float32()
		}
		id := pick(t, s, logits)
		for range 3 {
			if again := pick(t, s, logits); again != id {
				t.Fatalf("chose %d, then %d", id, again)
			}
		}
		s.Accept(id)
		all = append(all, int32(id))
	}
	want := Rule{Scale: float32(math.Log2E / 2), Window: 3, Penalty: 1.5, Relief: 1 / float32(1.5), Seed: 9}
	if s.Rule() != want {
		t.Errorf("%+v, want %+v", s.Rule(), want)
	}
	for _, temperature := range []float32{math.SmallestNonzeroFloat32, math.MaxFloat32} {
		if scale := must(t, Params{Temperature: temperature}).Rule().Scale; !(scale >= 0x1p-126 && scale <= math.MaxFloat32) {
			t.Errorf("temperature %v scales by %v", temperature, scale)
		}
	}
}

func TestWatch(t *testing.T) {
	s := must(t, Params{})
	var seen []int
	s.Watch(func(id int) { seen = append(seen, id) })
	s.Accept(3)
	s.Clone().Accept(4)
	s.Accept(5)
	s.Watch(nil)
	s.Accept(6)
	if want := []int{3, 5}; !slices.Equal(seen, want) {
		t.Errorf("saw %v, want %v", seen, want)
	}
}

func BenchmarkSample(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	logits := make([]float32, 65024)
	for i := range logits {
		logits[i] = float32(rng.NormFloat64() * 2.5)
	}
	for _, p := range []Params{
		{},
		{Temperature: 0.8},
		{Temperature: 0.8, TopP: 0.9},
		{Temperature: 0.8, TopP: 0.99, MinP: 0.05, RepeatPenalty: 1.1},
		{Temperature: 0.8, TopK: 40, TopP: 0.9},
	} {
		b.Run(fmt.Sprintf("%+v", p), func(b *testing.B) {
			s := must(b, p)
			for b.Loop() {
				s.Accept(pick(b, s, logits))
			}
		})
	}
}
