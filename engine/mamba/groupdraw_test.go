package mamba_test

import (
	"context"
	"math"
	"testing"

	"kestrel/engine/checkpoint/checkpointtest"
	"kestrel/engine/mamba"
	"kestrel/engine/sample"
)

// TestGroupChoose: each slot chooses what its sampler chooses from the slot's logits, over texts; also after slots have
// changed places, after a choice that was not taken, and beside slots that cannot choose.
func TestGroupChoose(t *testing.T) {
	ctx := context.Background()
	for shape, cfg := range shapes {
		t.Run(shape, func(t *testing.T) {
			m := load(t, checkpointtest.Random(41, cfg).Open(t, checkpointtest.Mixed), tunings["default"], 16)
			params := []sample.Params{
				{Temperature: 1.5, TopP: 0.9, Seed: 1},
				{},
				{Temperature: 2, TopK: 9, RepeatPenalty: 1.3, RepeatWindow: 4, Seed: 2},
				{RepeatPenalty: 1.5, RepeatWindow: 1<<16 + 1}, // more than the device looks back over
				{RepeatPenalty: 1.5},
				{Temperature: 1, Seed: 3},
			}
			const spoiled = 5 // this one's logits are no numbers
			g := group(t, m, len(params))
			var samplers []*sample.Sampler
			for slot, p := range params {
				s, err := sample.New(p)
				if err != nil {
					t.Fatal(err)
				}
				q := sequence(t, m)
				ids := randomIDs(uint64(slot), 5, cfg.Vocab)
				if err := q.Chunk(ctx, ids); err != nil {
					t.Fatal(err)
				}
				if slot == spoiled {
					c := carried(t, q)
					c.Logits[cfg.Vocab/2] = float32(math.NaN())
					if err := q.SetCarry(ctx, c); err != nil {
						t.Fatal(err)
					}
				}
				if err := g.Join(ctx, slot, q); err != nil {
					t.Fatal(err)
				}
				for _, id := range ids {
					s.Accept(id)
				}
				samplers = append(samplers, s)
			}
			chosen := 0
			for step := range 14 {
				switch step {
				case 5: // the first has left
					last := len(samplers) - 1
					if err := g.Move(ctx, 0, last); err != nil {
						t.Fatal(err)
					}
					samplers[0] = samplers[last]
					samplers = samplers[:last]
				case 9:
					samplers[1] = samplers[1].Clone()
				}
				ids, err := g.Choose(ctx, samplers)
				if err != nil || len(ids) != len(samplers) {
					t.Fatalf("%v, %v", ids, err)
				}
				for slot, s := range samplers {
					logits, err := g.Logits(ctx, slot)
					if err != nil {
						t.Fatal(err)
					}
					want, err := s.Sample(logits)
					switch {
					case err != nil || s.Rule().Window > 1<<16:
						if ids[slot] != mamba.NoChoice {
							t.Errorf("step %d, slot %d: %d, want none", step, slot, ids[slot])
						}
						if ids[slot] = want; err != nil {
							ids[slot] = 0
						}
					case ids[slot] != want:
						t.Fatalf("step %d, slot %d, %+v: %d, want %d", step, slot, s.Params(), ids[slot], want)
					default:
						chosen++
					}
				}
				if step == 3 { // not taken: chosen again
					continue
				}
				for slot, id := range ids {
					samplers[slot].Accept(id)
				}
				if err := g.Step(ctx, ids); err != nil {
					t.Fatal(err)
				}
			}
			if chosen < 40 {
				t.Errorf("the device chose %d ids", chosen)
			}
		})
	}
}
