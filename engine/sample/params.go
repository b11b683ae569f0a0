// Package sample chooses the next token from a model's logits: greedily, or at
// random after temperature, top-k, top-p, min-p and a penalty on repetition.
//
// The steps follow transformers' generate in this order:
//
//  1. repeat penalty: the logit of each id accepted within the window is
//     divided by the penalty where it is positive and multiplied by it where
//     it is negative (Keskar et al. 2019, "CTRL"; once an id, however often
//     it occurred; llama.cpp's penalty_repeat is the same)
//  2. temperature: logits / T; T = 0 stops here and takes the largest
//  3. top-k: the k largest logits stay
//  4. top-p: ids in falling order of probability stay while those before them
//     sum to less than p (Holtzman et al. 2019)
//  5. min-p: ids stay whose probability is at least min-p times the largest
//     (Nguyen et al. 2024)
//  6. one draw from what stayed, by probability
//
// Equals are ordered by id, the lowest first, so that the order is total and
// top-k keeps exactly k (transformers keeps all that equal the k-th).
//
// Probabilities are integers, to 2^-31 of the largest one, and the draw is a
// hash of the seed and of the number of ids accepted, taken along the kept ids
// in order of id. So a choice depends on nothing but the logits, the ids
// accepted and the seed: it can be made again, and a device that follows the
// sampler's Rule makes the same.
package sample

import (
	"errors"
	"fmt"
	"math"
)

var (
	// ErrParams marks parameters out of their range.
	ErrParams = errors.New("sampling parameters")
	// ErrLogits marks logits from which nothing can be chosen: none at all,
	// a NaN, +Inf, or nothing but -Inf.
	ErrLogits = errors.New("logits")
)

// Params say how to choose. The zero value is greedy.
type Params struct {
	Temperature   float32 // 0: greedy; the others but RepeatPenalty then have no effect
	TopK          int     // 0: off
	TopP          float32 // 0 or 1: off
	MinP          float32 // 0: off
	RepeatPenalty float32 // 0 or 1: off; above 1 discourages, below 1 encourages
	RepeatWindow  int     // how many of the last ids count; 0: DefaultWindow
	Seed          uint64
}

const (
	// DefaultWindow is the number of ids that the repeat penalty looks back
	// over unless it is told, llama.cpp's figure.
	DefaultWindow = 64
	maxWindow     = 1 << 20
)

// Validate checks the ranges. The error is an ErrParams that names the first
// parameter out of its range, and the range.
func (p Params) Validate() error {
	switch {
	case !(p.Temperature >= 0) || math.IsInf(float64(p.Temperature), 0):
		return fmt.Errorf("%w: temperature %v: want 0 (greedy) or more, such as 0.7", ErrParams, p.Temperature)
	case p.TopK < 0:
		return fmt.Errorf("%w: top-k %d: want 1 or more, or 0 for off", ErrParams, p.TopK)
	case !(p.TopP >= 0 && p.TopP <= 1):
		return fmt.Errorf("%w: top-p %v: want from 0 to 1; 0 and 1 are off", ErrParams, p.TopP)
	case !(p.MinP >= 0 && p.MinP <= 1):
		return fmt.Errorf("%w: min-p %v: want from 0 to 1; 0 is off", ErrParams, p.MinP)
	case !(p.RepeatPenalty >= 0) || math.IsInf(float64(p.RepeatPenalty), 0):
		return fmt.Errorf("%w: repeat penalty %v: want more than 0, such as 1.1; 0 and 1 are off", ErrParams, p.RepeatPenalty)
	case p.RepeatWindow < 0 || p.RepeatWindow > maxWindow:
		return fmt.Errorf("%w: repeat window %d: want from 1 to %d ids, or 0 for %d", ErrParams, p.RepeatWindow, maxWindow, DefaultWindow)
	}
	return nil
}

func (p Params) greedy() bool    { return p.Temperature == 0 }
func (p Params) penalizes() bool { return p.RepeatPenalty != 0 && p.RepeatPenalty != 1 }

// window is how many ids the penalty looks back over, 0 where it is off.
func (p Params) window() int {
	switch {
	case !p.penalizes():
		return 0
	case p.RepeatWindow == 0:
		return DefaultWindow
	}
	return p.RepeatWindow
}

// Rule is how a sampler chooses, in the numbers that choosing takes.
type Rule struct {
	Greedy  bool
	Few     int     // so many of the largest logits suffice for a choice; 0: all are needed
	TopK    int     // 0: off
	Scale   float32 // octaves of probability for a difference of logits
	TopP    uint32  // the share of probability, of 2^32; 0: off
	MinP    uint32  // the least probability, of 2^31
	Window  int     // ids that the penalty looks back over; 0: it is off
	Penalty float32 // factor of penalized logits below 0
	Relief  float32 // factor of the others
	Seed    uint64
}

// rule gives the numbers of p.
func (p Params) rule() Rule {
	r := Rule{Greedy: p.greedy(), Window: p.window(), Penalty: 1, Relief: 1, Seed: p.Seed}
	if p.penalizes() {
		r.Penalty, r.Relief = p.RepeatPenalty, 1/p.RepeatPenalty
	}
	// A penalty of 1 or more pushes at most its window out of the first places; one below 1 pulls ids up from anywhere.
	suffice := !p.penalizes() || p.RepeatPenalty >= 1
	if r.Greedy {
		if suffice {
			r.Few = 1 + r.Window
		}
		return r
	}
	// held to what devices take for a number that is neither infinite nor zero
	r.Scale = float32(min(max(math.Log2E/float64(p.Temperature), 0x1p-126), math.MaxFloat32))
	r.TopK = p.TopK
	if r.TopK > 0 && suffice {
		r.Few = r.TopK + r.Window
	}
	if p.TopP > 0 && p.TopP < 1 {
		r.TopP = max(1, uint32(float64(p.TopP)*(1<<32)))
	}
	r.MinP = uint32(math.Ceil(float64(p.MinP) * (1 << 31)))
	return r
}
