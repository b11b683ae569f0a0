package sample

import (
	"fmt"
	"math"
	"slices"
)

// Sampler chooses one token after another. It holds the last ids accepted and
// their number; it is not safe for concurrent use.
type Sampler struct {
	params   Params
	rule     Rule
	recent   *window
	accepted uint64 // how many ids, the place of the next draw
	watch    func(id int)

	logits []float32   // scratch: a copy of the logits, penalized
	kept   []candidate // scratch
	depths []uint32    // scratch
}

// candidate is a token that may be chosen.
type candidate struct {
	id    int32
	logit float32
	depth uint32 // below the largest
}

// before is the total order: the larger logit first, then the lower id.
func (c candidate) before(d candidate) bool {
	return c.logit > d.logit || c.logit == d.logit && c.id < d.id
}

func order(c, d candidate) int {
	switch {
	case c.before(d):
		return -1
	case d.before(c):
		return 1
	}
	return 0
}

// likelier orders by probability, equals by id.
func likelier(c, d candidate) int {
	if c.depth != d.depth {
		return int(c.depth) - int(d.depth)
	}
	return byID(c, d)
}

func byID(c, d candidate) int { return int(c.id) - int(d.id) }

// New returns a sampler, or an ErrParams.
func New(p Params) (*Sampler, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	return &Sampler{params: p, rule: p.rule(), recent: newWindow(p.window())}, nil
}

// Params returns what the sampler was made with.
func (s *Sampler) Params() Params { return s.params }

// Rule is how the sampler chooses; it does not change over a sampler's life.
// The other things that a choice depends on are Place and Recent.
func (s *Sampler) Rule() Rule { return s.rule }

// Place is the number of ids accepted, which the next draw hangs on.
func (s *Sampler) Place() uint64 { return s.accepted }

// Recent are the ids that the repeat penalty looks back on, the oldest first.
func (s *Sampler) Recent() []int32 {
	return append(slices.Clone(s.recent.ids[s.recent.next:]), s.recent.ids[:s.recent.next]...)
}

// Greedy says that nothing is drawn: the largest logit wins, after the repeat
// penalty if there is one.
func (s *Sampler) Greedy() bool { return s.rule.Greedy }

// DeviceTopK says whether SampleTop, given the k largest logits (all of them
// where there are fewer), makes the choice that Sample makes from all. k does
// not change over a sampler's life.
//
// It holds for greedy and top-k sampling. The repeat penalty adds its window:
// it can push as many ids out of the first places. A penalty below 1 pulls ids
// up from anywhere, and temperature, top-p and min-p without top-k look at
// every logit.
func (s *Sampler) DeviceTopK() (k int, ok bool) { return s.rule.Few, s.rule.Few > 0 }

// Accept tells the sampler that id is now part of the text, of the prompt or
// chosen. The repeat penalty looks back over these, and the next choice is
// drawn anew.
func (s *Sampler) Accept(id int) {
	s.recent.push(int32(id))
	s.accepted++
	if s.watch != nil {
		s.watch(id)
	}
}

// Watch has f called with each id that is accepted from now on: a caller that
// is handed text learns which ids it came from, the one that ended it
// included. nil ends it. A clone is not watched.
func (s *Sampler) Watch(f func(id int)) { s.watch = f }

// Clone returns a sampler in the same state; the two then go on apart.
func (s *Sampler) Clone() *Sampler {
	return &Sampler{params: s.params, rule: s.rule, recent: s.recent.clone(), accepted: s.accepted}
}

// Sample chooses an id, given the logits of all of them [V]. It does not
// accept it: asked again it chooses the same. The error is an ErrLogits.
func (s *Sampler) Sample(logits []float32) (int, error) {
	if s.recent.len() > 0 {
		s.logits = append(s.logits[:0], logits...)
		logits = s.logits
		for id := range s.recent.count {
			if int(id) < len(logits) && id >= 0 {
				logits[id] = s.penalize(logits[id])
			}
		}
	}
	best, err := largest(logits)
	if err != nil {
		return 0, err
	}
	if s.rule.Greedy {
		return int(best.id), nil
	}
	if k := s.rule.TopK; k > 0 {
		s.kept = top(s.kept[:0], logits, min(k, len(logits)))
		return s.choose(), nil
	}
	return s.chooseAll(logits, best), nil
}

// SampleTop chooses an id, given the largest logits and their ids, the largest
// first and equal ones by id, as many as DeviceTopK says. The choice is that
// of Sample in the same state. The error is an ErrLogits.
func (s *Sampler) SampleTop(ids []int32, logits []float32) (int, error) {
	if _, ok := s.DeviceTopK(); !ok {
		return 0, fmt.Errorf("%w: these sampling parameters need all of them, not the largest", ErrLogits)
	}
	if len(ids) != len(logits) {
		return 0, fmt.Errorf("%w: %d of them for %d ids", ErrLogits, len(logits), len(ids))
	}
	if _, err := largest(logits); err != nil {
		return 0, err
	}
	s.kept = s.kept[:0]
	for i, id := range ids {
		c := candidate{id: id, logit: logits[i]}
		if i > 0 && !(candidate{id: ids[i-1], logit: logits[i-1]}).before(c) {
			return 0, fmt.Errorf("%w: place %d (id %d) is out of order", ErrLogits, i, id)
		}
		s.kept = append(s.kept, c)
	}
	if s.recent.len() > 0 {
		for i, c := range s.kept {
			if s.recent.count[c.id] > 0 {
				s.kept[i].logit = s.penalize(c.logit)
			}
		}
		slices.SortFunc(s.kept, order)
	}
	if s.rule.Greedy {
		return int(s.kept[0].id), nil
	}
	s.kept = s.kept[:min(len(s.kept), s.rule.TopK)]
	return s.choose(), nil
}

func (s *Sampler) penalize(logit float32) float32 {
	// rounded, not fused with what follows, as on the device
	if logit < 0 {
		return float32(logit * s.rule.Penalty)
	}
	return float32(logit * s.rule.Relief)
}

// largest returns the first of the largest, and checks them all.
func largest(logits []float32) (candidate, error) {
	if len(logits) == 0 {
		return candidate{}, fmt.Errorf("%w: there are none", ErrLogits)
	}
	best := candidate{logit: float32(math.Inf(-1))}
	for i, v := range logits {
		if v > best.logit {
			best = candidate{id: int32(i), logit: v}
		} else if v != v {
			return best, fmt.Errorf("%w: number %d is NaN; the model's weights or its arithmetic are damaged", ErrLogits, i)
		}
	}
	if math.IsInf(float64(best.logit), 0) {
		return best, fmt.Errorf("%w: the largest is %v; the model's weights or its arithmetic are damaged", ErrLogits, best.logit)
	}
	return best, nil
}

// top appends the k first candidates of all logits, in order.
func top(kept []candidate, logits []float32, k int) []candidate {
	// a heap whose root is the last of those kept
	for i, v := range logits {
		c := candidate{id: int32(i), logit: v}
		if len(kept) < k {
			kept = append(kept, c)
			if len(kept) == k {
				for j := k/2 - 1; j >= 0; j-- {
					sink(kept, j)
				}
			}
		} else if v > kept[0].logit { // an equal one has a higher id
			kept[0] = c
			sink(kept, 0)
		}
	}
	slices.SortFunc(kept, order)
	return kept
}

func sink(heap []candidate, i int) {
	for {
		last := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(heap); child++ {
			if heap[last].before(heap[child]) {
				last = child
			}
		}
		if last == i {
			return
		}
		heap[i], heap[last] = heap[last], heap[i]
		i = last
	}
}

// choose draws from s.kept, the largest first, after top-p and min-p.
func (s *Sampler) choose() int {
	kept, total := s.kept, uint64(0)
	for i, c := range kept {
		kept[i].depth = depth(c.logit, kept[0].logit, s.rule.Scale)
		total += uint64(weight(kept[i].depth))
	}
	slices.SortFunc(kept, likelier)
	if s.rule.TopP > 0 {
		kept = kept[:border(kept, share(s.rule.TopP, total))]
	}
	slices.SortFunc(kept, byID)
	total = 0
	for _, c := range kept {
		total += s.weigh(c.depth)
	}
	target, sum := draw(s.rule.Seed, s.accepted, total), uint64(0)
	for _, c := range kept {
		if sum += s.weigh(c.depth); sum > target {
			return int(c.id)
		}
	}
	panic("sample: a draw beyond the sum of what it is drawn from")
}

// weigh is the weight of what min-p leaves.
func (s *Sampler) weigh(depth uint32) uint64 {
	if w := weight(depth); w >= s.rule.MinP {
		return uint64(w)
	}
	return 0
}

// border is how many of kept, the likeliest first, it takes to reach enough.
func border(kept []candidate, enough uint64) int {
	sum := uint64(0)
	for i, c := range kept {
		if sum += uint64(weight(c.depth)); sum >= enough {
			return i + 1
		}
	}
	return len(kept)
}
