package engine

import (
	"context"
	"fmt"
	"slices"

	"kestrel/engine/mamba"
)

// State is what a session remembers of its text: a value of constant size (38 MiB for falcon-mamba-7b), whatever the
// length of the text, with the logits of the last position. It is immutable and safe for concurrent use.
type State struct {
	model, tokenizer [32]byte
	tokens           int
	shape            stateShape
	carried          *mamba.Carried
}

// stateShape is the sizes that give the sizes of a state's parts.
type stateShape struct{ Layers, Inner, State, Conv, Vocab uint32 }

func (g stateShape) parts() (s, columns, logits int64) {
	per := int64(g.Layers) * int64(g.Inner)
	return per * int64(g.State), per * int64(g.Conv-1), int64(g.Vocab)
}

func (m *Model) stateShape() stateShape {
	c := m.config
	return stateShape{uint32(c.Layers), uint32(c.Inner), uint32(c.State), uint32(c.Conv), uint32(c.Vocab)}
}

// Tokens is the length of the text that the state remembers.
func (t *State) Tokens() int { return t.tokens }

// Bytes is the size of the state in memory.
func (t *State) Bytes() int64 {
	s, c, l := t.shape.parts()
	return 4 * (s + c + l)
}

// Clone gives a state of its own memory.
func (t *State) Clone() *State {
	c := *t
	c.carried = &mamba.Carried{
		S: slices.Clone(t.carried.S), Columns: slices.Clone(t.carried.Columns), Logits: slices.Clone(t.carried.Logits),
	}
	return &c
}

// State takes what the session remembers from the device.
func (s *Session) State(ctx context.Context) (*State, error) {
	c, err := s.seq.Carry(ctx)
	if err != nil {
		return nil, err
	}
	return &State{model: s.m.hash, tokenizer: s.m.tokenizer.Hash(), tokens: s.tokens, shape: s.m.stateShape(), carried: c}, nil
}

// SetState puts the session where another was, or where it was before. A state of another model or tokenizer is refused
// with ErrStateMismatch.
func (s *Session) SetState(ctx context.Context, t *State) error {
	switch {
	case t.shape != s.m.stateShape():
		return fmt.Errorf("%w: the state is of a model of other sizes (%+v) than %s (%+v)", ErrStateMismatch, t.shape, s.m.name, s.m.stateShape())
	case t.model != s.m.hash:
		return fmt.Errorf("%w: the state was made with other weights than those of %s; read the text again", ErrStateMismatch, s.m.name)
	case t.tokenizer != s.m.tokenizer.Hash():
		return fmt.Errorf("%w: the state was made with another tokenizer than that of %s; read the text again", ErrStateMismatch, s.m.name)
	}
	if err := s.seq.SetCarry(ctx, t.carried); err != nil {
		return err
	}
	s.tokens = t.tokens
	return nil
}
