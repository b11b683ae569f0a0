package mamba_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"kestrel/engine/checkpoint/checkpointtest"
	"kestrel/engine/kernel"
	"kestrel/engine/mamba"
	"kestrel/engine/sample"
)

// TestAheadSteps: in every shape the ids that the device chooses and feeds are those of choosing from the logits and
// stepping; and wherever reading behind ends, by whatever asks for the sequence, it is after the ids that were read.
func TestAheadSteps(t *testing.T) {
	ctx := context.Background()
	for shape, cfg := range shapes {
		few := len(shape)%2 == 0 || shape == "odd falcon"
		t.Run(fmt.Sprintf("%s, few %v", shape, few), func(t *testing.T) {
			m := load(t, checkpointtest.Random(31, cfg).Open(t, checkpointtest.Mixed), func(t *kernel.Tuning) { t.Few = few }, 16)
			ahead, steps, third := sequence(t, m), sequence(t, m), sequence(t, m)
			g := group(t, m, 2)
			prompt := randomIDs(1, 9, cfg.Vocab)
			for _, q := range []*mamba.Sequence{ahead, steps} {
				if err := q.Chunk(ctx, prompt); err != nil {
					t.Fatal(err)
				}
			}
			// what asks for the sequence where others believe it to be
			asks := map[string]func() error{
				"Land":  ahead.Land,
				"Carry": func() error { _, err := ahead.Carry(ctx); return err },
				"Join": func() error {
					err := errors.Join(g.Join(ctx, 1, ahead), g.Leave(ctx, 1, third))
					equalCarried(t, "joined", carried(t, third), carried(t, steps))
					return err
				},
				"Leave": func() error { return errors.Join(g.Join(ctx, 0, steps), g.Leave(ctx, 0, ahead)) },
				"Largest": func() error {
					id, err := ahead.Largest()
					if want, _ := steps.Largest(); id != want {
						return fmt.Errorf("the largest is %d, want %d", id, want)
					}
					return err
				},
			}
			for i, p := range []sample.Params{{}, {Temperature: 1.5, Seed: 1}, {Temperature: 1.5, TopK: 12, TopP: 0.9, RepeatPenalty: 1.2, RepeatWindow: 5, Seed: 2}} {
				sampler, err := sample.New(p)
				if err != nil {
					t.Fatal(err)
				}
				for name, ask := range asks {
					m.SetAhead(1 + (i+len(name))%4)
					for range 1 + len(name)%5 {
						logits, err := steps.Logits(ctx)
						if err != nil {
							t.Fatal(err)
						}
						want, err := sampler.Sample(logits)
						if err != nil {
							t.Fatal(err)
						}
						if k := m.Kernels().Few(sampler.Rule(), cfg.Vocab); k > 0 {
							ids, largest, err := steps.Top(ctx, k)
							if err != nil {
								t.Fatal(err)
							}
							if id, err := sampler.SampleTop(ids, largest); err != nil || id != want {
								t.Fatalf("%+v from the %d largest: %d, %v; want %d", p, k, id, err, want)
							}
						}
						if err := steps.Step(ctx, want); err != nil {
							t.Fatal(err)
						}
						if id, err := ahead.Ahead(ctx, sampler, 9); err != nil || id != want {
							t.Fatalf("%+v before %s: %d, %v; want %d", p, name, id, err, want)
						}
						sampler.Accept(want)
					}
					if err := ask(); err != nil {
						t.Fatalf("%+v: %s: %v", p, name, err)
					}
					equalCarried(t, fmt.Sprintf("%+v, after %s", p, name), carried(t, ahead), carried(t, steps))
				}
			}
		})
	}
}

// TestAheadGrounded: where decoding ahead is not for a sequence it says so, and nothing was fed.
func TestAheadGrounded(t *testing.T) {
	ctx := context.Background()
	cfg := shapes["odd falcon"]
	m := load(t, checkpointtest.Random(3, cfg).Open(t, checkpointtest.Mixed), tunings["default"], 16)
	q, other := sequence(t, m), sequence(t, m)
	for _, q := range []*mamba.Sequence{q, other} {
		if err := q.Chunk(ctx, randomIDs(1, 9, cfg.Vocab)); err != nil {
			t.Fatal(err)
		}
	}
	sampler := func(p sample.Params, accepted ...int) *sample.Sampler {
		s, err := sample.New(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range accepted {
			s.Accept(id)
		}
		return s
	}
	before := carried(t, q)
	grounded := func(what string, s *sample.Sampler) {
		t.Helper()
		if id, err := q.Ahead(ctx, s, 5); !errors.Is(err, mamba.ErrGrounded) {
			t.Errorf("%s: %d, %v", what, id, err)
		}
		equalCarried(t, what, carried(t, q), before)
	}
	grounded("no step was timed", sampler(sample.Params{}))
	m.SetAhead(-1)
	grounded("none is wanted", sampler(sample.Params{}))
	m.SetAhead(4)
	grounded("a window too large", sampler(sample.Params{RepeatPenalty: 1.5, RepeatWindow: 1<<16 + 1}))
	grounded("no token", sampler(sample.Params{RepeatPenalty: 1.5}, 1, cfg.Vocab))
	grounded("no token", sampler(sample.Params{RepeatPenalty: 1.5}, -1))

	if _, err := other.Ahead(ctx, sampler(sample.Params{}), 5); err != nil {
		t.Fatal(err)
	}
	grounded("another is ahead", sampler(sample.Params{}))
	if err := other.Land(); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Ahead(ctx, sampler(sample.Params{}), 5); err != nil {
		t.Error(err)
	}
	q.Close() // makes room, too
	if err := q.Land(); err != nil {
		t.Error(err)
	}
	if _, err := other.Ahead(ctx, sampler(sample.Params{}), 1); err != nil {
		t.Error(err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := other.Ahead(cancelled, sampler(sample.Params{}), 5); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if s := other.Stats(); s.Submissions != 1 || s.Dispatches < 4*cfg.Layers {
		t.Errorf("%+v for a step", s)
	}
}
