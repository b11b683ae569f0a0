package mamba_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"kestrel/engine/checkpoint"
	"kestrel/engine/checkpoint/checkpointtest"
	"kestrel/engine/kernel"
	"kestrel/engine/mamba"
	"kestrel/engine/reference"
	"kestrel/engine/vulkan"
	"kestrel/engine/vulkan/vulkantest"
	"kestrel/engine/weights"
)

// Shapes in which no size is a multiple of what a kernel takes at a time, and one in which all are.
var shapes = map[string]checkpoint.Config{
	"odd falcon":     checkpointtest.Config(checkpoint.FalconMamba, 52, 3, 104, 16, 4, 5, 257),
	"state 8 conv 3": checkpointtest.Config(checkpoint.FalconMamba, 40, 2, 90, 8, 3, 7, 131),
	"odd state":      checkpointtest.Config(checkpoint.FalconMamba, 33, 2, 67, 5, 2, 3, 71),
	"blocks":         checkpointtest.Config(checkpoint.FalconMamba, 64, 2, 128, 16, 4, 32, 320),
	"mamba":          checkpointtest.Config(checkpoint.Mamba, 52, 2, 104, 16, 4, 4, 97),
}

// tunings that force each way of cutting work, whatever the device.
var tunings = map[string]func(*kernel.Tuning){
	"default": func(*kernel.Tuning) {},
	"gpu": func(t *kernel.Tuning) {
		*t = kernel.Tuning{Local: 64, Rows: 4, ThinRows: 4, ThinTokens: 4, TileFrom: 16,
			Norm: 128, Conv: 64, ConvSpan: 16, ScanChannels: 32, Scan: 64, ScanLanes: 4, ScanSpan: 8, Top: 128}
	},
	"fine": func(t *kernel.Tuning) { *t = kernel.DefaultTuning(vulkan.DeviceInfo{Type: vulkan.Discrete}) },
	"thin": func(t *kernel.Tuning) { t.LaneRows = 0 },
	"panels": func(t *kernel.Tuning) {
		if t.PanelsFrom > 0 {
			t.PanelsFrom = 2
		}
	},
	"lanes": func(t *kernel.Tuning) {
		*t = kernel.Tuning{Local: 16, Rows: 1, ThinRows: 2, ThinTokens: 2, TileFrom: 2,
			Norm: 32, Conv: 8, ConvSpan: 3, ScanChannels: 8, Scan: 32, ScanLanes: 2, ScanSpan: 3, Top: 32}
	},
}

func load(t testing.TB, ck *checkpoint.Checkpoint, change func(*kernel.Tuning), chunk int) *mamba.Model {
	t.Helper()
	dev := vulkantest.Open(t)
	tune := kernel.DefaultTuning(dev.Info())
	tune.Fragment = kernel.Fragment{} // they round to binary16: see TestOnMatrixUnits
	change(&tune)
	m, err := mamba.Load(context.Background(), dev, ck, mamba.Options{Chunk: chunk, Tuning: &tune})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func randomIDs(seed uint64, n, vocab int) []int {
	rng := rand.New(rand.NewPCG(seed, 1))
	ids := make([]int, n)
	for i := range ids {
		ids[i] = rng.IntN(vocab)
	}
	return ids
}

// far is the largest difference as a share of the reference's RMS.
func far(got []float32, want []float64) float64 {
	var square, most float64
	for _, w := range want {
		square += w * w
	}
	rms := math.Sqrt(square / float64(len(want)))
	for i, w := range want {
		d := math.Abs(float64(got[i]) - w)
		if !(d <= most) { // NaN counts as far
			most = d
		}
	}
	return most / rms
}

// TestModelAgainstReference compares the logits of every position and the final state with the float64 model, in every
// storage type, shape and way of cutting the work.
func TestModelAgainstReference(t *testing.T) {
	const tokens = 45
	for shape, cfg := range shapes {
		for _, d := range []weights.DType{weights.F32, weights.F16, weights.BF16, weights.Q8_0} {
			if d == weights.Q8_0 && shape != "blocks" {
				continue // rows of other shapes are not whole blocks
			}
			for tuning, change := range tunings {
				// Every shape and type as the device would cut it; the other ways once each, as each compiles its own shaders.
				if tuning != "default" && shape != "blocks" && !(shape == "odd falcon" && d == weights.F16) {
					continue
				}
				t.Run(fmt.Sprint(shape, " ", d, " ", tuning), func(t *testing.T) {
					ck := checkpointtest.Random(7, cfg).Open(t, checkpointtest.All(d))
					m := load(t, ck, change, 32)
					ids := randomIDs(3, tokens, cfg.Vocab)
					ref, err := reference.New(ck)
					if err != nil {
						t.Fatal(err)
					}
					want, err := ref.Forward(ref.NewState(), ids)
					if err != nil {
						t.Fatal(err)
					}
					q := sequence(t, m)
					ctx := context.Background()
					var got [][]float32
					for from := 0; from < tokens; from += m.AllTokens() {
						part, err := q.All(ctx, ids[from:min(tokens, from+m.AllTokens())])
						if err != nil {
							t.Fatal(err)
						}
						got = append(got, part...)
					}
					for i, g := range got {
						w := want[i*cfg.Vocab : (i+1)*cfg.Vocab]
						if f := far(g, w); !(f < 1e-3) {
							t.Fatalf("position %d: logits differ by %.2g of their RMS", i, f)
						}
					}
					last := want[(tokens-1)*cfg.Vocab:]
					checkLargest(t, q, last)
				})
			}
		}
	}
}

func sequence(t testing.TB, m *mamba.Model) *mamba.Sequence {
	t.Helper()
	q, err := m.NewSequence()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	return q
}

// checkLargest compares arg-max and top-k, both of the device, with the logits that it downloads.
func checkLargest(t *testing.T, q *mamba.Sequence, want []float64) {
	t.Helper()
	logits, err := q.Logits(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if f := far(logits, want); !(f < 1e-3) {
		t.Errorf("last logits differ by %.2g of their RMS", f)
	}
	order := reference.TopK(reference.Float64s(logits), min(40, len(logits)))
	id, err := q.Largest()
	if err != nil || id != order[0] {
		t.Errorf("largest is %d (%v), want %d", id, err, order[0])
	}
	ids, values, err := q.Top(context.Background(), len(order))
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range order {
		if int(ids[i]) != o || values[i] != logits[o] {
			t.Errorf("place %d: id %d logit %v, want %d %v", i, ids[i], values[i], o, logits[o])
		}
	}
}

// TestAnySplitAgrees: steps, chunks of any length and prefill in one piece end in the same logits and state.
func TestAnySplitAgrees(t *testing.T) {
	cfg := shapes["odd falcon"]
	ck := checkpointtest.Random(11, cfg).Open(t, checkpointtest.Mixed)
	for tuning, change := range tunings {
		t.Run(tuning, func(t *testing.T) {
			m := load(t, ck, change, 16)
			ids := randomIDs(5, 39, cfg.Vocab)
			ctx := context.Background()
			feed := func(split []int) *mamba.Carried {
				q := sequence(t, m)
				at := 0
				for _, n := range split {
					var err error
					switch {
					case n == 1:
						err = q.Step(ctx, ids[at])
					case n > m.Chunk():
						err = q.Parallel(ctx, ids[at:at+n])
					default:
						err = q.Chunk(ctx, ids[at:at+n])
					}
					if err != nil {
						t.Fatal(err)
					}
					at += n
				}
				c, err := q.Carry(ctx)
				if err != nil {
					t.Fatal(err)
				}
				return c
			}
			want := feed([]int{39})
			ones := slices.Repeat([]int{1}, 39)
			for _, split := range [][]int{ones, {16, 16, 7}, {1, 2, 3, 4, 5, 6, 7, 8, 3}, {2, 2, 2, 1, 16, 16}, {38, 1}, {1, 38}} {
				got := feed(split)
				for name, pair := range map[string][2][]float32{
					"S": {got.S, want.S}, "columns": {got.Columns, want.Columns}, "logits": {got.Logits, want.Logits},
				} {
					if f := far(pair[0], reference.Float64s(pair[1])); !(f < 1e-4) {
						t.Errorf("split %v: %s differ by %.2g of their RMS", split, name, f)
					}
				}
			}
		})
	}
}

// TestSequencesApart: what one sequence reads does not touch another, and a state put back goes on as before.
func TestSequencesApart(t *testing.T) {
	cfg := shapes["blocks"]
	m := load(t, checkpointtest.Random(13, cfg).Open(t, checkpointtest.All(weights.Q8_0)), tunings["default"], 16)
	ctx := context.Background()
	a, b := sequence(t, m), sequence(t, m)
	idsA, idsB := randomIDs(1, 20, cfg.Vocab), randomIDs(2, 20, cfg.Vocab)
	alone := sequence(t, m)
	for _, id := range idsA {
		if err := alone.Step(ctx, id); err != nil {
			t.Fatal(err)
		}
	}
	want, err := alone.Carry(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i := range idsA {
		if err := a.Step(ctx, idsA[i]); err != nil {
			t.Fatal(err)
		}
		if err := b.Step(ctx, idsB[i]); err != nil {
			t.Fatal(err)
		}
		if i == 9 { // a moves to fresh memory midway
			c, err := a.Carry(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if err := a.Reset(); err != nil {
				t.Fatal(err)
			}
			a = sequence(t, m)
			if err := a.SetCarry(ctx, c); err != nil {
				t.Fatal(err)
			}
		}
	}
	got, err := a.Carry(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.S, want.S) || !slices.Equal(got.Columns, want.Columns) || !slices.Equal(got.Logits, want.Logits) {
		t.Error("a sequence that shared the model, and moved midway, differs from one that had it alone")
	}
}

// TestCost: what a program says of its work is what the model's sizes say.
func TestCost(t *testing.T) {
	cfg := shapes["blocks"]
	m := load(t, checkpointtest.Random(13, cfg).Open(t, checkpointtest.All(weights.F16)), tunings["default"], 16)
	q := sequence(t, m)
	if err := q.Step(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	step := q.Stats().Cost
	if least := float64(m.DecodeBytes()); step.Bytes < least || step.Bytes > 1.3*least {
		t.Errorf("a step moves %g bytes, the weights and the state are %g", step.Bytes, least)
	}
	if err := q.Chunk(t.Context(), randomIDs(1, 16, cfg.Vocab)); err != nil {
		t.Fatal(err)
	}
	chunk := q.Stats().Cost
	scan := 6 * 16 * float64(cfg.Layers*cfg.Inner*cfg.State)
	if least := m.PrefillFLOP(16, 1) + scan; chunk.FLOP < least || chunk.FLOP > 1.1*least {
		t.Errorf("a chunk computes %g operations, its matrices and scans are %g", chunk.FLOP, least)
	}
}
