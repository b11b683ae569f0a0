package mamba_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"kestrel/engine/checkpoint"
	"kestrel/engine/checkpoint/checkpointtest"
	"kestrel/engine/mamba"
	"kestrel/engine/vulkan"
	"kestrel/engine/vulkan/vulkantest"
	"kestrel/engine/weights"
)

// TestNeed: what Need and Requests foretell is what the buffers of a model and one session take and allocate, to the
// byte, in every shape and storage type; and asking for another storage type foretells that of the same model stored so.
func TestNeed(t *testing.T) {
	for name, cfg := range shapes {
		for _, d := range []weights.DType{weights.F32, weights.BF16, weights.Q8_0} {
			if d == weights.Q8_0 && name != "blocks" {
				continue // rows of other shapes are not whole blocks
			}
			for _, tied := range []bool{false, true} {
				cfg.Tied = tied
				t.Run(name+" "+d.String(), func(t *testing.T) {
					random := checkpointtest.Random(1, cfg)
					ck := random.Open(t, checkpointtest.All(d))
					checkNeed(t, ck)
					checkNeedWith(t, ck, mamba.Options{Chunk: 80}) // panels serve where a device has them
					info, o := vulkantest.Open(t).Info(), mamba.Options{Chunk: 24}
					for _, as := range []weights.DType{weights.F32, weights.F16, weights.Q8_0} {
						if as == weights.Q8_0 && name != "blocks" {
							continue
						}
						stored := random.Open(t, checkpointtest.All(as))
						asked, err := ck.As(as, true)
						if err != nil {
							t.Fatal(err)
						}
						if got, want := mamba.Need(asked, info, o), mamba.Need(stored, info, o); got != want {
							t.Errorf("as %v: Need foretells %d bytes, the model stored so takes %d", as, got, want)
						}
					}
				})
			}
		}
	}
}

// checkNeed loads ck and opens a sequence, and compares what they take with what was foretold.
func checkNeed(t *testing.T, ck *checkpoint.Checkpoint) {
	t.Helper()
	checkNeedWith(t, ck, mamba.Options{Chunk: 24})
}

func checkNeedWith(t *testing.T, ck *checkpoint.Checkpoint, o mamba.Options) {
	t.Helper()
	dev := vulkantest.Open(t)
	plan, err := dev.PlanAllocation(mamba.Requests(ck, dev.Info(), o))
	if err != nil {
		t.Fatal(err)
	}
	m, err := mamba.Load(context.Background(), dev, ck, o)
	if err != nil {
		t.Fatal(err)
	}
	sequence(t, m)
	var used int64
	for _, b := range dev.Memory().Buffers {
		if b.Purpose != vulkan.Staging {
			used += b.Bytes
		}
	}
	if total := dev.Memory().Total; total != plan.Allocated {
		t.Errorf("the plan allocates %d bytes, the model %d", plan.Allocated, total)
	}
	if need := mamba.Need(ck, dev.Info(), o); need != used {
		t.Errorf("Need foretells %d bytes, the buffers take %d", need, used)
	}
}

// TestReset: nothing of the text is left.
func TestReset(t *testing.T) {
	cfg := shapes["odd falcon"]
	m := load(t, checkpointtest.Random(3, cfg).Open(t, checkpointtest.Mixed), tunings["default"], 16)
	ctx := context.Background()
	q := sequence(t, m)
	ids := randomIDs(4, 12, cfg.Vocab)
	if err := q.Chunk(ctx, ids); err != nil {
		t.Fatal(err)
	}
	first := carried(t, q)
	if err := q.Reset(); err != nil {
		t.Fatal(err)
	}
	empty := carried(t, q)
	for name, part := range map[string][]float32{"S": empty.S, "columns": empty.Columns, "logits": empty.Logits} {
		if slices.ContainsFunc(part, func(f float32) bool { return f != 0 }) {
			t.Errorf("%s are left after a reset", name)
		}
	}
	if err := q.Chunk(ctx, ids); err != nil {
		t.Fatal(err)
	}
	equalCarried(t, "read again after a reset", carried(t, q), first)
}

// TestClosed: every call on a closed sequence is refused, and closing twice does no harm.
func TestClosed(t *testing.T) {
	cfg := shapes["odd falcon"]
	m := load(t, checkpointtest.Random(3, cfg).Open(t, checkpointtest.Mixed), tunings["default"], 16)
	ctx := context.Background()
	q, err := m.NewSequence()
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Step(ctx, 1); err != nil {
		t.Fatal(err)
	}
	state := carried(t, q)
	q.Close()
	q.Close()
	for name, call := range map[string]func() error{
		"Step":     func() error { return q.Step(ctx, 1) },
		"Chunk":    func() error { return q.Chunk(ctx, []int{1, 2}) },
		"Parallel": func() error { return q.Parallel(ctx, randomIDs(1, 40, cfg.Vocab)) },
		"All":      func() error { _, err := q.All(ctx, []int{1, 2}); return err },
		"Largest":  func() error { _, err := q.Largest(); return err },
		"Logits":   func() error { _, err := q.Logits(ctx); return err },
		"Top":      func() error { _, _, err := q.Top(ctx, 3); return err },
		"Carry":    func() error { _, err := q.Carry(ctx); return err },
		"SetCarry": func() error { return q.SetCarry(ctx, state) },
		"Reset":    func() error { return q.Reset() },
	} {
		if err := call(); !errors.Is(err, vulkan.ErrClosed) {
			t.Errorf("%s on a closed sequence: %v", name, err)
		}
	}
	if times := q.Profile(); times != nil {
		t.Errorf("a closed sequence has times: %v", times)
	}
}

func carried(t *testing.T, q *mamba.Sequence) *mamba.Carried {
	t.Helper()
	c, err := q.Carry(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func equalCarried(t *testing.T, what string, got, want *mamba.Carried) {
	t.Helper()
	for name, pair := range map[string][2][]float32{
		"S": {got.S, want.S}, "columns": {got.Columns, want.Columns}, "logits": {got.Logits, want.Logits},
	} {
		if !slices.Equal(pair[0], pair[1]) {
			t.Errorf("%s: %s differ", what, name)
		}
	}
}

// TestStaging: weights and states that pass through staging memory, as on a card with memory of its own, arrive as those
// that are written in place.
func TestStaging(t *testing.T) {
	ctx := context.Background()
	cfg := shapes["odd falcon"]
	ck := checkpointtest.Random(3, cfg).Open(t, checkpointtest.Mixed)
	ids := randomIDs(4, 12, cfg.Vocab)
	var states []*mamba.Carried
	for _, staged := range []bool{false, true} {
		dev := vulkantest.OpenWith(t, vulkan.DeviceOptions{ForceStaging: staged})
		m, err := mamba.Load(ctx, dev, ck, mamba.Options{Chunk: 16})
		if err != nil {
			t.Fatal(err)
		}
		q := sequence(t, m)
		if err := q.Chunk(ctx, ids); err != nil {
			t.Fatal(err)
		}
		kept := carried(t, q)
		if err := q.Reset(); err != nil {
			t.Fatal(err)
		}
		if err := q.SetCarry(ctx, kept); err != nil {
			t.Fatal(err)
		}
		equalCarried(t, "put back", carried(t, q), kept)
		if err := q.Step(ctx, 5); err != nil {
			t.Fatal(err)
		}
		states = append(states, carried(t, q))
	}
	equalCarried(t, "through staging memory", states[1], states[0])
}
