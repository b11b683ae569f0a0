package cli

import (
	"context"
	"fmt"

	"kestrel/app/backend"
	"kestrel/engine"
	"kestrel/engine/sample"
)

// batchTokens is what each text of a measured batch writes.
const batchTokens = 32

// together measures how fast several texts are written side by side.
func (b *bench) together(ctx context.Context, m backend.Model, s backend.Session) (err error) {
	sessions := []backend.Session{s}
	defer func() {
		for _, s := range sessions[1:] {
			if closed := s.Close(); err == nil {
				err = closed
			}
		}
	}()
	for _, n := range b.batch {
		for len(sessions) < n {
			s, err := m.NewSession()
			if err != nil {
				return fmt.Errorf("batch of %d texts: %w", n, err)
			}
			sessions = append(sessions, s)
		}
		seconds, watts, err := b.median(ctx, sessions[0], 16, func() error { return writeTogether(ctx, m, sessions[:n]) })
		if err != nil {
			return fmt.Errorf("batch of %d texts: %w", n, err)
		}
		r := benchResult{Kind: "batch", Tokens: batchTokens, Texts: n, TPS: float64(n*batchTokens) / seconds}
		r.GBps = float64(m.DecodeBytes()) * batchTokens / seconds / 1e9
		r.JoulesPerToken = joules(watts, r.TPS)
		b.out.Results = append(b.out.Results, r)
	}
	return nil
}

// writeTogether has every session write the likeliest tokens.
func writeTogether(ctx context.Context, m backend.Model, sessions []backend.Session) error {
	var turns []backend.Turn
	for _, s := range sessions {
		if s.Tokens() == 0 {
			if err := s.Feed(ctx, make([]int, 16), nil); err != nil {
				return err
			}
		}
		sampler, err := sample.New(sample.Params{})
		if err != nil {
			return err
		}
		turns = append(turns, backend.Turn{Session: s, Sampler: sampler, Options: engine.GenerateOptions{Max: batchTokens, IgnoreEOS: true}})
	}
	out, err := m.GenerateTogether(ctx, turns)
	for _, o := range out {
		if err == nil {
			err = o.Err
		}
	}
	return err
}
