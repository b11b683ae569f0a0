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
// Equal logits are ordered by id, the lowest first, so that the order is total
// and top-k keeps exactly k (transformers keeps all that equal the k-th). The
// draw comes from a PCG generator, one number a token, taken along the kept
// ids in order of id: the same seed gives the same text.
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
