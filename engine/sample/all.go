package sample

import (
	"math"
	"slices"
)

// Bins of weight, each spans a factor of e^(1/8); the last takes all below
// e^-40 of the largest.
const (
	bins      = 321
	perLogit  = 8
	allOfThem = -1
)

// chooseAll draws from all logits, after top-p and min-p. Nothing is sorted
// but the one bin of weights that top-p's border falls into.
func (s *Sampler) chooseAll(logits []float32, best candidate) int {
	s.weights = slices.Grow(s.weights[:0], len(logits))[:len(logits)]
	cutoff := candidate{id: allOfThem} // the first that top-p leaves out
	scale := 1 / float64(s.params.Temperature)
	total := 0.0
	if p := float64(s.params.TopP); p > 0 && p < 1 {
		var sums [bins]float64
		for i, v := range logits {
			x := (float64(best.logit) - float64(v)) * scale
			w := exp(-x)
			s.weights[i] = w
			sums[bin(x)] += w
			total += w
		}
		cutoff = s.border(logits, best, &sums, p*total)
	} else {
		for i, v := range logits {
			w := exp((float64(v) - float64(best.logit)) * scale)
			s.weights[i] = w
			total += w
		}
	}
	if least := float64(s.params.MinP); least > 0 || cutoff.id != allOfThem {
		if cutoff.id == allOfThem {
			cutoff.logit = float32(math.Inf(-1))
		}
		total = 0
		for i, v := range logits {
			w := s.weights[i]
			if w < least || v < cutoff.logit || v == cutoff.logit && int32(i) >= cutoff.id && cutoff.id != allOfThem {
				s.weights[i] = 0
				continue
			}
			total += w
		}
	}
	target, sum, chosen := s.draw()*total, 0.0, int(best.id)
	for i, w := range s.weights {
		if w == 0 {
			continue
		}
		chosen = i
		if sum += w; sum > target {
			break
		}
	}
	return chosen
}

func bin(x float64) int {
	if x < (bins-1)/perLogit {
		return int(x * perLogit)
	}
	return bins - 1
}

// border returns the first candidate, in order, before which the weights
// already sum to enough; id allOfThem where none does.
func (s *Sampler) border(logits []float32, best candidate, sums *[bins]float64, enough float64) candidate {
	sum, b := 0.0, 0
	for b < bins-1 && sum+sums[b] < enough {
		sum += sums[b]
		b++
	}
	s.kept = s.kept[:0]
	scale := 1 / float64(s.params.Temperature)
	for i, v := range logits {
		if bin((float64(best.logit)-float64(v))*scale) == b {
			s.kept = append(s.kept, candidate{id: int32(i), logit: v, weight: s.weights[i]})
		}
	}
	slices.SortFunc(s.kept, order)
	for _, c := range s.kept {
		if sum >= enough && c.id != best.id {
			return c
		}
		sum += c.weight
	}
	// the bin is wholly in: the border is the first of the next one
	next := candidate{id: allOfThem}
	for i, v := range logits {
		c := candidate{id: int32(i), logit: v}
		if bin((float64(best.logit)-float64(v))*scale) > b && (next.id == allOfThem || c.before(next)) {
			next = c
		}
	}
	return next
}
