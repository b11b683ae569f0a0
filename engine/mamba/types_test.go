package mamba_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"kestrel/engine/checkpoint"
	"kestrel/engine/checkpoint/checkpointtest"
	"kestrel/engine/kernel"
	"kestrel/engine/mamba"
	"kestrel/engine/reference"
	"kestrel/engine/weights"
)

// superblocks is a shape in which every row is whole blocks of 256.
var superblocks = checkpointtest.Config(checkpoint.FalconMamba, 256, 2, 256, 16, 4, 256, 301)

// quantizations are all types of blocks.
func quantizations() []weights.DType {
	return append(checkpointtest.Quantizations(), weights.NF4, weights.FP4)
}

// in is the random model with its matrices in type d.
func in(t *testing.T, r *checkpointtest.Model, d weights.DType) *checkpoint.Checkpoint {
	t.Helper()
	if slices.Contains(checkpointtest.Quantizations(), d) {
		return r.Open(t, checkpointtest.All(d))
	}
	ck, err := r.Open(t, checkpointtest.All(weights.F32)).As(d, false) // GGUF has no place for it
	if err != nil {
		t.Fatal(err)
	}
	return ck
}

// families are quantizations of every kind of layout: with a minimum, with eight bits, with blocks of 256, with a codebook.
// Package kernel's tests have every type in every tuning.
var families = []weights.DType{weights.Q5_1, weights.Q8_0, weights.Q3_K, weights.Q4_K, weights.IQ4_XS}

// TestEveryQuantization: models in every type of blocks, and one with all of them mixed, against the float64 model and
// against themselves, however the prompt is cut: steps, chunks and one piece. With a GPU's tuning, one type of a family.
func TestEveryQuantization(t *testing.T) {
	r := checkpointtest.Random(17, superblocks)
	for tuning, change := range map[string]func(*kernel.Tuning){"default": tunings["default"], "gpu": tunings["gpu"]} {
		for _, d := range quantizations() {
			// Each type has its own shaders to compile, on the CPU for up to half a minute.
			if testing.Short() && (tuning != "default" || d != weights.Q4_K && d != weights.Q6_K) ||
				tuning != "default" && !slices.Contains(families, d) {
				continue
			}
			t.Run(fmt.Sprint(d, " ", tuning), func(t *testing.T) { checkModel(t, in(t, r, d), change, map[weights.DType]int{d: 10}) })
		}
	}
	t.Run("mixed", func(t *testing.T) {
		list, next, want := checkpointtest.Quantizations(), 0, map[weights.DType]int{}
		types := map[string]weights.DType{}
		for _, w := range r.Tensors {
			d := checkpointtest.All(list[next])(w.Name)
			if types[w.Name] = d; d.Quantized() {
				next = (next + 1) % len(list)
				want[d]++
			}
		}
		checkModel(t, r.Open(t, func(name string) weights.DType { return types[name] }), tunings["default"], want)
	})
}

// checkModel has many tokens of ck read in each way, with the matrices in the types that they should be in.
func checkModel(t *testing.T, ck *checkpoint.Checkpoint, change func(*kernel.Tuning), types map[weights.DType]int) {
	t.Helper()
	const tokens = 37
	m := load(t, ck, change, 16)
	if got := m.Matrices(); fmt.Sprint(got) != fmt.Sprint(types) {
		t.Errorf("matrices in %v, want %v", got, types)
	}
	ids := randomIDs(7, tokens, ck.Vocab)
	ref, err := reference.New(ck)
	if err != nil {
		t.Fatal(err)
	}
	state := ref.NewState()
	truth, err := ref.Forward(state, ids)
	if err != nil {
		t.Fatal(err)
	}
	truth = truth[len(truth)-ck.Vocab:]
	ctx := context.Background()
	var first *mamba.Carried
	for _, split := range [][]int{{tokens}, slices.Repeat([]int{1}, tokens), {16, 16, 5}, {1, 2, 3, 4, 5, 6, 7, 8, 1}, {1, 36}} {
		q := sequence(t, m)
		at := 0
		for _, n := range split {
			piece := ids[at : at+n]
			switch {
			case n == 1:
				err = q.Step(ctx, piece[0])
			case n > m.Chunk():
				err = q.Parallel(ctx, piece)
			default:
				err = q.Chunk(ctx, piece)
			}
			if err != nil {
				t.Fatal(err)
			}
			at += n
		}
		got := carried(t, q)
		if f := far(got.Logits, truth); !(f < 1e-3) {
			t.Errorf("split %v: logits differ from the reference's by %.2g of their RMS", split, f)
		}
		if first == nil {
			first = got
		}
		for name, pair := range map[string][2][]float32{
			"S": {got.S, first.S}, "columns": {got.Columns, first.Columns}, "logits": {got.Logits, first.Logits},
		} {
			if f := far(pair[0], reference.Float64s(pair[1])); !(f < 1e-4) {
				t.Errorf("split %v: %s differ by %.2g of their RMS", split, name, f)
			}
		}
	}
}

// TestNeedOfQuantizations: what is foretold is what is taken, to the byte, in every type of blocks.
func TestNeedOfQuantizations(t *testing.T) {
	r := checkpointtest.Random(18, superblocks)
	for _, d := range quantizations() {
		t.Run(strings.ToLower(d.String()), func(t *testing.T) { checkNeed(t, in(t, r, d)) })
	}
}
