package sample

import "slices"

// Bins of weight, each spans an eighth of an octave; the last takes all that
// weighs nothing.
const (
	binShift = 21
	bins     = none>>binShift + 1
)

// chooseAll draws from all logits, after top-p and min-p. Nothing is sorted
// but the one bin of weights that top-p's border falls into.
func (s *Sampler) chooseAll(logits []float32, best candidate) int {
	s.depths = slices.Grow(s.depths[:0], len(logits))[:len(logits)]
	last := candidate{depth: none, id: int32(len(logits))} // the last that top-p leaves in
	if s.rule.TopP > 0 {
		var sums [bins]uint64
		total := uint64(0)
		for i, v := range logits {
			d := depth(v, best.logit, s.rule.Scale)
			s.depths[i] = d
			w := uint64(weight(d))
			sums[d>>binShift] += w
			total += w
		}
		last = s.last(&sums, share(s.rule.TopP, total))
	} else {
		for i, v := range logits {
			s.depths[i] = depth(v, best.logit, s.rule.Scale)
		}
	}
	total := uint64(0)
	for i, d := range s.depths {
		if d > last.depth || d == last.depth && int32(i) > last.id {
			s.depths[i] = none
			continue
		}
		total += s.weigh(d)
	}
	target, sum := draw(s.rule.Seed, s.accepted, total), uint64(0)
	for i, d := range s.depths {
		if sum += s.weigh(d); sum > target {
			return i
		}
	}
	panic("sample: a draw beyond the sum of what it is drawn from")
}

// last returns the last candidate, the likeliest first, that it takes to reach
// enough, which is less than the sum of all.
func (s *Sampler) last(sums *[bins]uint64, enough uint64) candidate {
	bin, sum := 0, uint64(0)
	for sum+sums[bin] < enough {
		sum += sums[bin]
		bin++
	}
	s.kept = s.kept[:0]
	for i, d := range s.depths {
		if int(d>>binShift) == bin {
			s.kept = append(s.kept, candidate{id: int32(i), depth: d})
		}
	}
	slices.SortFunc(s.kept, likelier)
	// the most likely stays, however little is enough
	return s.kept[border(s.kept, max(enough, 1)-sum)-1]
}
