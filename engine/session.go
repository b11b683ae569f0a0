package engine

import (
	"context"
	"errors"
	"fmt"

	"kestrel/engine/mamba"
	"kestrel/engine/sample"
	"kestrel/engine/vulkan"
)

// Session is a text's place in a model. It is for one goroutine at a time.
type Session struct {
	m      *Model
	seq    *mamba.Sequence
	tokens int
}

// NewSession starts an empty text. It takes device memory of constant size: the state, and the logits of one position.
func (m *Model) NewSession() (*Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, fmt.Errorf("new session of %s: %w", m.name, ErrClosed)
	}
	seq, err := m.model.NewSequence()
	if err != nil {
		return nil, err
	}
	s := &Session{m: m, seq: seq}
	m.sessions[s] = true
	return s, nil
}

// Close releases the session's memory.
func (s *Session) Close() error {
	s.m.mu.Lock()
	open := s.m.sessions[s]
	delete(s.m.sessions, s)
	s.m.mu.Unlock()
	if !open {
		return fmt.Errorf("session: %w", ErrClosed)
	}
	s.seq.Close()
	return nil
}

// Tokens is the number of tokens read and written.
func (s *Session) Tokens() int { return s.tokens }

// Stats counts the dispatches, barriers and submissions of the last step or chunk.
func (s *Session) Stats() vulkan.Stats { return s.seq.Stats() }

// Profile is the time of every kernel since the session began, where Options.Profile was set.
func (s *Session) Profile() []vulkan.KernelTime { return s.seq.Profile() }

func (s *Session) check(ids []int) error {
	if len(ids) == 0 {
		return fmt.Errorf("feed: %w", ErrEmptyPrompt)
	}
	for i, id := range ids {
		if id < 0 || id >= s.m.config.Vocab {
			return fmt.Errorf("token %d of %d is %d, the vocabulary has %d: %w", i, len(ids), id, s.m.config.Vocab, ErrBadToken)
		}
	}
	return nil
}

// Feed reads ids; the logits after the last stay on the device for Next and Logits. progress, which may be nil, is told
// after every chunk. When ctx ends midway, the chunks already read stay read, as Tokens tells, with the logits after them;
// of the chunk that was cut short nothing stays. Errors: ErrEmptyPrompt and ErrBadToken before anything is read, ctx's,
// ErrTooLong and ErrOutOfDeviceMemory where the prompt is read in one piece, ErrDeviceLost, ErrClosed.
func (s *Session) Feed(ctx context.Context, ids []int, progress func(done, total int)) error {
	if err := s.check(ids); err != nil {
		return err
	}
	if s.m.options.Prefill == Parallel {
		if err := s.turn(func() error { return s.seq.Parallel(ctx, ids) }); err != nil {
			return err
		}
		s.tokens += len(ids)
		if progress != nil {
			progress(len(ids), len(ids))
		}
		return nil
	}
	total := len(ids)
	for done := 0; done < total; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(s.m.model.Chunk(), total-done)
		err := s.turn(func() error {
			if n == 1 {
				return s.seq.Step(ctx, ids[done])
			}
			return s.seq.Chunk(ctx, ids[done:done+n])
		})
		if err != nil {
			return err
		}
		done += n
		s.tokens += n
		if progress != nil {
			progress(done, total)
		}
	}
	return nil
}

// FeedAll reads ids and calls each with the logits [vocabulary] after every position, counted from 0 within ids.
func (s *Session) FeedAll(ctx context.Context, ids []int, each func(pos int, logits []float32) error) error {
	if err := s.check(ids); err != nil {
		return err
	}
	for done := 0; done < len(ids); {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(s.m.model.AllTokens(), len(ids)-done)
		var all [][]float32
		err := s.turn(func() (err error) { all, err = s.seq.All(ctx, ids[done:done+n]); return err })
		if err != nil {
			return err
		}
		s.tokens += n
		for i, logits := range all {
			if err := each(done+i, logits); err != nil {
				return err
			}
		}
		done += n
	}
	return nil
}

// Logits after the last token: [vocabulary].
func (s *Session) Logits(ctx context.Context) ([]float32, error) {
	if s.tokens == 0 {
		return nil, fmt.Errorf("logits: %w", ErrEmptyPrompt)
	}
	return s.seq.Logits(ctx)
}

// Next chooses the next id from the present logits, feeds it and gives it back. Where the choice rests on a few of the
// largest logits, only these leave the device; greedy decoding takes one id.
func (s *Session) Next(ctx context.Context, sampler *sample.Sampler) (int, error) {
	id := 0
	if err := s.turn(func() (err error) { id, err = s.step(ctx, sampler); return err }); err != nil {
		return 0, err
	}
	s.tokens++
	sampler.Accept(id)
	return id, nil
}

// turn has f run on the device when it is the session's turn.
func (s *Session) turn(f func() error) error {
	s.m.turns.take()
	defer s.m.turns.give()
	return f()
}

// step chooses an id and feeds it.
func (s *Session) step(ctx context.Context, sampler *sample.Sampler) (int, error) {
	id, err := s.choose(ctx, sampler)
	if err != nil {
		return 0, err
	}
	return id, s.seq.Step(ctx, id)
}

// next is Next for one who wants up to so many tokens in a row: where it serves, the device chooses them itself, and those
// that follow may be under way when it returns. seq.Land puts the session after the last of those given out.
func (s *Session) next(ctx context.Context, sampler *sample.Sampler, most int) (int, error) {
	if s.tokens == 0 {
		return 0, fmt.Errorf("next token: %w", ErrEmptyPrompt)
	}
	id := 0
	if err := s.turn(func() (err error) {
		id, err = s.seq.Ahead(ctx, sampler, most)
		if errors.Is(err, mamba.ErrGrounded) {
			id, err = s.step(ctx, sampler)
		}
		return err
	}); err != nil {
		return 0, err
	}
	s.tokens++
	sampler.Accept(id)
	return id, nil
}

func (s *Session) choose(ctx context.Context, sampler *sample.Sampler) (int, error) {
	if s.tokens == 0 {
		return 0, fmt.Errorf("next token: %w", ErrEmptyPrompt)
	}
	rule := sampler.Rule()
	few := s.m.model.Kernels().Few(rule, s.m.config.Vocab)
	switch {
	case rule.Greedy && rule.Window == 0:
		return s.seq.Largest()
	case few > 0:
		ids, logits, err := s.seq.Top(ctx, few)
		if err != nil {
			return 0, err
		}
		return chosen(sampler.SampleTop(ids, logits))
	}
	logits, err := s.seq.Logits(ctx)
	if err != nil {
		return 0, err
	}
	return chosen(sampler.Sample(logits))
}

// chosen names logits from which nothing can be chosen by the engine's own error.
func chosen(id int, err error) (int, error) {
	if errors.Is(err, sample.ErrLogits) {
		err = fmt.Errorf("%w (%w)", ErrNotFinite, err)
	}
	return id, err
}

// Reset forgets the text.
func (s *Session) Reset() error {
	if err := s.seq.Reset(); err != nil {
		return err
	}
	s.tokens = 0
	return nil
}
