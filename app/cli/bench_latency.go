package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"kestrel/app/backend"
	"kestrel/engine/sample"
	"kestrel/engine/vulkan"
)

// loaded notes how long opening the model took.
func (b *bench) loaded(m backend.Model, d time.Duration) {
	b.out.LoadSeconds = d.Seconds()
	for _, p := range m.Memory().Purposes {
		if p.Purpose == vulkan.Weights {
			b.out.LoadGBps += float64(p.Buffers) / d.Seconds() / 1e9
		}
	}
}

// latencies measures what a user waits for: the first token after the shortest prompt, and a state saved and put back.
func (b *bench) latencies(ctx context.Context, m backend.Model, s backend.Session) error {
	if len(b.prefill) > 0 {
		prompt := somePrompt(m, slices.Min(b.prefill))
		sampler, err := sample.New(sample.Params{})
		if err != nil {
			return err
		}
		seconds, _, err := b.median(ctx, s, 0, func() error {
			if err := s.Feed(ctx, prompt, nil); err != nil {
				return err
			}
			_, err := s.Next(ctx, sampler)
			return err
		})
		if err != nil {
			return fmt.Errorf("first token: %w", err)
		}
		wait := 1000 * seconds
		b.out.FirstTokenMS = &wait
	}
	dir, err := os.MkdirTemp("", "kestrel-bench")
	if err != nil {
		return fmt.Errorf("folder for a state: %w", err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "bench.state")
	save, _, err := b.median(ctx, s, 16, func() error {
		state, err := s.State(ctx)
		if err != nil {
			return err
		}
		b.out.StateBytes = state.Bytes()
		return state.Save(path)
	})
	if err != nil {
		return fmt.Errorf("save a state: %w", err)
	}
	restore, _, err := b.median(ctx, s, 16, func() error {
		state, err := b.Engine.LoadState(path)
		if err != nil {
			return err
		}
		return s.SetState(ctx, state)
	})
	if err != nil {
		return fmt.Errorf("restore a state: %w", err)
	}
	b.out.StateSaveMS, b.out.StateRestoreMS = 1000*save, 1000*restore
	return nil
}
