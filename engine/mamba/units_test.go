package mamba_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"kestrel/engine/checkpoint/checkpointtest"
	"kestrel/engine/kernel"
	"kestrel/engine/mamba"
	"kestrel/engine/reference"
	"kestrel/engine/vulkan"
	"kestrel/engine/vulkan/vulkantest"
	"kestrel/engine/weights"
)

// TestOnMatrixUnits: read on cooperative matrices, in chunks of any length or in one piece, a text ends in the reference's
// logits as near as binary16 comes, and the same prompt in the same bits. That the units were at work shows in that they
// are not nearer.
func TestOnMatrixUnits(t *testing.T) {
	info := vulkantest.Open(t).Info()
	tune, err := kernel.MatrixUnits("on").Tuning(info)
	if errors.Is(err, vulkan.ErrUnsupported) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	cfg := shapes["odd falcon"]
	for _, d := range []weights.DType{weights.F16, weights.BF16, weights.F32} {
		t.Run(d.String(), func(t *testing.T) {
			ck := checkpointtest.Random(11, cfg).Open(t, checkpointtest.All(d))
			m, err := mamba.Load(context.Background(), vulkantest.Open(t), ck, mamba.Options{Chunk: 40, Tuning: &tune})
			if err != nil {
				t.Fatal(err)
			}
			const tokens = 99
			ids := randomIDs(5, tokens, cfg.Vocab)
			ref, err := reference.New(ck)
			if err != nil {
				t.Fatal(err)
			}
			truth, err := ref.Forward(ref.NewState(), ids)
			if err != nil {
				t.Fatal(err)
			}
			truth = truth[(tokens-1)*cfg.Vocab:]
			for _, split := range [][]int{{tokens}, {40, 40, 19}, {17, 1, 40, 40, 1}} {
				var first []float32
				for range 2 {
					q := sequence(t, m)
					at := 0
					for _, n := range split {
						feed := q.Chunk
						if n > m.Chunk() {
							feed = q.Parallel
						}
						if err := feed(context.Background(), ids[at:at+n]); err != nil {
							t.Fatal(err)
						}
						at += n
					}
					got := carried(t, q).Logits
					f := far(got, truth)
					if f > 1e-2 {
						t.Errorf("split %v: logits differ from the reference's by %.2g of their RMS", split, f)
					}
					if onUnits := d != weights.F32; onUnits && f < 2e-5 || !onUnits && f > 1e-3 {
						t.Errorf("split %v: logits differ from the reference's by %.2g of their RMS: on matrix units %v?", split, f, onUnits)
					}
					if first == nil {
						first = got
					} else if !slices.Equal(got, first) {
						t.Errorf("split %v: a second run differs", split)
					}
				}
			}
		})
	}
}

// TestNeedOnMatrixUnits: what they need is foretold to the byte.
func TestNeedOnMatrixUnits(t *testing.T) {
	dev := vulkantest.Open(t)
	tune, err := kernel.MatrixUnits("on").Tuning(dev.Info())
	if errors.Is(err, vulkan.ErrUnsupported) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	ck := checkpointtest.Random(1, shapes["blocks"]).Open(t, checkpointtest.All(weights.Q8_0))
	for _, chunk := range []int{0, 24, 333} {
		checkNeedWith(t, ck, mamba.Options{Chunk: chunk, Tuning: &tune})
	}
}
