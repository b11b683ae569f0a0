package sample

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// exact returns the probabilities that the package promises, by the book.
func exact(logits []float32, p Params, recent []int32) []float64 {
	v := make([]float64, len(logits))
	for i, l := range logits {
		v[i] = float64(l)
	}
	if p.RepeatPenalty != 0 {
		for _, id := range slices.Compact(slices.Sorted(slices.Values(recent))) {
			if v[id] < 0 {
				v[id] *= float64(p.RepeatPenalty)
			} else {
				v[id] /= float64(p.RepeatPenalty)
			}
		}
	}
	ids := make([]int, len(v))
	for i := range ids {
		ids[i] = i
	}
	slices.SortStableFunc(ids, func(a, b int) int {
		if v[a] > v[b] {
			return -1
		} else if v[a] < v[b] {
			return 1
		}
		return 0
	})
	if p.TopK > 0 {
		ids = ids[:min(p.TopK, len(ids))]
	}
	probability := func() []float64 {
		out, sum := make([]float64, len(ids)), 0.0
		for i, id := range ids {
			out[i] = math.Exp((v[id] - v[ids[0]]) / float64(p.Temperature))
			sum += out[i]
		}
		for i := range out {
			out[i] /= sum
		}
		return out
	}
	if p.TopP > 0 && p.TopP < 1 {
		q, sum, n := probability(), 0.0, 0
		for n < len(q) && (n == 0 || sum < float64(p.TopP)) {
			sum += q[n]
			n++
		}
		ids = ids[:n]
	}
	if p.MinP > 0 {
		q, n := probability(), 0
		for n < len(q) && q[n] >= float64(p.MinP)*q[0] {
			n++
		}
		ids = ids[:n]
	}
	out := make([]float64, len(v))
	for i, q := range probability() {
		out[ids[i]] = q
	}
	return out
}

// TestDistribution compares 60,000 draws with the exact probabilities: nothing
// outside the kept set, and Pearson's chi-square within the mean and 5 standard
// deviations of its distribution.
func TestDistribution(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	logits := make([]float32, 40)
	for i := range logits {
		logits[i] = float32(rng.NormFloat64() * 2)
	}
	logits[7], logits[9], logits[11] = logits[5], logits[5], inf(-1)
	for _, p := range []Params{
		{Temperature: 1},
		{Temperature: 0.6},
		{Temperature: 1.7},
		{Temperature: 1, TopK: 5},
		{Temperature: 1, TopK: 1000},
		{Temperature: 1, TopP: 0.8},
		{Temperature: 2, TopP: 0.5},
		{Temperature: 1, TopP: 1e-6},
		{Temperature: 1, MinP: 0.1},
		{Temperature: 1.3, TopK: 20, TopP: 0.9, MinP: 0.05},
		{Temperature: 1.3, TopP: 0.9, MinP: 0.05, RepeatPenalty: 1.5},
		{Temperature: 1.3, TopK: 10, RepeatPenalty: 0.7},
		{Temperature: 1e-4},
	} {
		t.Run(fmt.Sprintf("%+v", p), func(t *testing.T) {
			p.Seed = 42
			s := must(t, p)
			recent := []int32{3, 5, 3, 30}
			for _, id := range recent {
				s.Accept(int(id))
			}
			want := exact(logits, p, recent)
			const n = 60_000
			seen := make([]int, len(logits))
			for range n {
				seen[pick(t, s, logits)]++
				s.accepted++ // draw anew, with the same ids to look back on
			}
			chi, degrees := 0.0, -1.0
			rest, restWant := 0.0, 0.0 // cells too small to count on their own
			for id, q := range want {
				switch {
				case q == 0:
					if seen[id] > 0 {
						t.Errorf("id %d chosen %d times, never expected", id, seen[id])
					}
				case n*q < 10:
					rest += float64(seen[id])
					restWant += n * q
				default:
					chi += math.Pow(float64(seen[id])-n*q, 2) / (n * q)
					degrees++
				}
			}
			if restWant > 0 {
				chi += math.Pow(rest-restWant, 2) / max(restWant, 1)
				degrees++
			}
			if limit := degrees + 5*math.Sqrt(2*max(degrees, 1)); chi > limit {
				t.Errorf("chi-square %.1f for %v degrees of freedom, at most %.1f expected", chi, degrees, limit)
			}
		})
	}
}

// TestLargeVocabulary compares top-p over a real vocabulary with the book.
func TestLargeVocabulary(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	for _, spread := range []float64{0, 0.01, 1, 3, 30} {
		logits := make([]float32, 5000)
		for i := range logits {
			logits[i] = float32(rng.NormFloat64() * spread)
		}
		for _, topP := range []float32{0.001, 0.3, 0.9, 0.999} {
			p := Params{Temperature: 0.8, TopP: topP, Seed: 1}
			s := must(t, p)
			want := exact(logits, p, nil)
			pick(t, s, logits)
			var kept, expected int
			for i, d := range s.depths {
				if d < none {
					kept++
				}
				if want[i] > 0 {
					expected++
				}
				if (d < none) != (want[i] > 0) && spread > 0 {
					t.Errorf("spread %v, top-p %v: id %d kept %v, want %v", spread, topP, i, d < none, want[i] > 0)
				}
			}
			if d := kept - expected; d < -1 || d > 1 {
				t.Errorf("spread %v, top-p %v: %d kept, want %d", spread, topP, kept, expected)
			}
		}
	}
}
