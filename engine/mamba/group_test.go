package mamba_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"kestrel/engine/checkpoint/checkpointtest"
	"kestrel/engine/mamba"
	"kestrel/engine/reference"
	"kestrel/engine/vulkan"
	"kestrel/engine/weights"
)

func group(t testing.TB, m *mamba.Model, size int) *mamba.Group {
	t.Helper()
	g, err := m.NewGroup(size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

// TestGroup: sequences that read apart and go on side by side end where each ends alone, in every shape and way of cutting
// the work; so do those that go on after others have left, and after a move to another slot.
func TestGroup(t *testing.T) {
	ctx := context.Background()
	for shape, cfg := range shapes {
		for tuning, change := range tunings {
			if tuning != "default" && shape != "blocks" && shape != "odd falcon" {
				continue
			}
			t.Run(shape+" "+tuning, func(t *testing.T) {
				m := load(t, checkpointtest.Random(21, cfg).Open(t, checkpointtest.Mixed), change, 24)
				const size, steps = 5, 6
				g := group(t, m, size)
				alone, together := make([]*mamba.Sequence, size), make([]*mamba.Sequence, size)
				ids := make([][]int, size)
				for i := range size {
					alone[i], together[i] = sequence(t, m), sequence(t, m)
					ids[i] = randomIDs(uint64(i), 3+2*i+2*steps, cfg.Vocab)
					for _, q := range []*mamba.Sequence{alone[i], together[i]} {
						if err := q.Chunk(ctx, ids[i][:3+2*i]); err != nil {
							t.Fatal(err)
						}
					}
					ids[i] = ids[i][3+2*i:]
					if err := g.Join(ctx, i, together[i]); err != nil {
						t.Fatal(err)
					}
				}
				slot := []int{0, 1, 2, 3, 4} // of each sequence
				for step := range 2 * steps {
					n := size
					if step >= steps { // the second has left, the last has its slot
						n = size - 1
					}
					if step == steps {
						if err := g.Leave(ctx, 1, together[1]); err != nil {
							t.Fatal(err)
						}
						if err := g.Move(ctx, 1, 4); err != nil {
							t.Fatal(err)
						}
						slot[1], slot[4] = -1, 1
					}
					feed := make([]int, n)
					for i, at := range slot {
						if at < 0 {
							continue
						}
						feed[at] = ids[i][step]
						if err := alone[i].Step(ctx, ids[i][step]); err != nil {
							t.Fatal(err)
						}
					}
					if err := g.Step(ctx, feed); err != nil {
						t.Fatal(err)
					}
				}
				for i, at := range slot {
					if at >= 0 {
						logits, err := g.Logits(ctx, at)
						if err != nil {
							t.Fatal(err)
						}
						order := reference.TopK(reference.Float64s(logits), 1)
						if id, err := g.Largest(at); err != nil || id != order[0] {
							t.Errorf("sequence %d: largest is %d (%v), want %d", i, id, err, order[0])
						}
						if err := g.Leave(ctx, at, together[i]); err != nil {
							t.Fatal(err)
						}
						if id, err := together[i].Largest(); err != nil || id != order[0] {
							t.Errorf("sequence %d, back: largest is %d (%v), want %d", i, id, err, order[0])
						}
					}
					got, want := carried(t, together[i]), carried(t, alone[i])
					for name, pair := range map[string][2][]float32{
						"S": {got.S, want.S}, "columns": {got.Columns, want.Columns}, "logits": {got.Logits, want.Logits},
					} {
						if f := far(pair[0], reference.Float64s(pair[1])); !(f < 1e-4) {
							t.Errorf("sequence %d: %s differ by %.2g of their RMS", i, name, f)
						}
					}
				}
			})
		}
	}
}

// TestGroupNeighbours: a slot's bits do not depend on what the others hold, nor on which slot it is.
func TestGroupNeighbours(t *testing.T) {
	cfg := shapes["odd falcon"]
	m := load(t, checkpointtest.Random(22, cfg).Open(t, checkpointtest.Mixed), tunings["default"], 24)
	ctx := context.Background()
	text := randomIDs(1, 9, cfg.Vocab)
	var first *mamba.Carried
	for seed := range 3 {
		g := group(t, m, 3)
		for slot := range 3 {
			q := sequence(t, m)
			if slot != seed {
				if err := q.Chunk(ctx, randomIDs(uint64(10*seed+slot), 5, cfg.Vocab)); err != nil {
					t.Fatal(err)
				}
			}
			if err := g.Join(ctx, slot, q); err != nil {
				t.Fatal(err)
			}
		}
		for i, id := range text {
			ids := randomIDs(uint64(100*seed+i), 3, cfg.Vocab)
			ids[seed] = id
			if err := g.Step(ctx, ids); err != nil {
				t.Fatal(err)
			}
		}
		q := sequence(t, m)
		if err := g.Leave(ctx, seed, q); err != nil {
			t.Fatal(err)
		}
		got := carried(t, q)
		if first == nil {
			first = got
		} else if !slices.Equal(got.S, first.S) || !slices.Equal(got.Columns, first.Columns) || !slices.Equal(got.Logits, first.Logits) {
			t.Errorf("in slot %d with other neighbours the bits differ", seed)
		}
	}
}

// TestGroupRefuses: what a group cannot do it says, and nothing moves.
func TestGroupRefuses(t *testing.T) {
	cfg := shapes["odd falcon"]
	m := load(t, checkpointtest.Random(23, cfg).Open(t, checkpointtest.All(weights.F16)), tunings["default"], 24)
	other := load(t, checkpointtest.Random(23, cfg).Open(t, checkpointtest.All(weights.F16)), tunings["default"], 24)
	ctx := context.Background()
	for _, size := range []int{0, -1, 25} {
		if g, err := m.NewGroup(size); !errors.Is(err, vulkan.ErrUnsupported) {
			t.Errorf("a group of %d: %v, %v", size, g, err)
		}
	}
	g, q, stranger := group(t, m, 2), sequence(t, m), sequence(t, other)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	for what, err := range map[string]error{
		"no slot":          g.Join(ctx, 2, q),
		"a slot below 0":   g.Leave(ctx, -1, q),
		"another model":    g.Join(ctx, 0, stranger),
		"no ids":           g.Step(ctx, nil),
		"too many ids":     g.Step(ctx, []int{1, 2, 3}),
		"a move to itself": g.Move(ctx, 1, 1),
		"cancelled":        g.Step(cancelled, []int{1}),
	} {
		if err == nil {
			t.Errorf("%s: taken", what)
		}
	}
	closed := sequence(t, m)
	closed.Close()
	if err := g.Join(ctx, 0, closed); !errors.Is(err, vulkan.ErrClosed) {
		t.Errorf("a closed sequence joins: %v", err)
	}
	g.Close()
	if err := g.Step(ctx, []int{1}); !errors.Is(err, vulkan.ErrClosed) {
		t.Errorf("a closed group steps: %v", err)
	}
	g.Close()
}

// BenchmarkGroup is what a step of a group takes, a sequence.
func BenchmarkGroup(b *testing.B) {
	cfg := checkpointtest.Config("mamba", 768, 24, 1536, 16, 4, 64, 8192)
	m := load(b, checkpointtest.Random(1, cfg).Open(b, checkpointtest.All(weights.Q8_0)), tunings["default"], 64)
	for _, n := range []int{1, 2, 3, 4, 6, 8, 16, 32} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			g := group(b, m, n)
			ids := make([]int, n)
			for b.Loop() {
				if err := g.Step(b.Context(), ids); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
}
