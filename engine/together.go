package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"kestrel/engine/mamba"
	"kestrel/engine/sample"
)

// Turn is one session's part in GenerateTogether; the fields are Generate's parameters.
type Turn struct {
	Session *Session
	Sampler *sample.Sampler
	Options GenerateOptions
	Emit    func(string) error // may be nil
}

// Outcome is what Generate would have given for one turn.
type Outcome struct {
	Result
	Err error
}

// GenerateTogether is Generate for several sessions of the model side by side: every token of all of them costs one
// reading of the weights, where each session alone would read them again. It needs device memory for a state of each turn.
// Turns end apart; one that fails does not end the others. The sessions are not to be used meanwhile, and go on from their
// own texts afterwards. A text may differ from Generate's where two tokens are almost equally likely, since products are
// summed in another order; it does not depend on the other turns. For sessions that come and go see
// GenerateOptions.Together.
//
// The error is of what all turns share: then no turn has begun.
func (m *Model) GenerateTogether(ctx context.Context, turns []Turn) ([]Outcome, error) {
	if len(turns) == 0 {
		return nil, nil
	}
	for i, turn := range turns {
		switch {
		case turn.Session.m != m:
			return nil, fmt.Errorf("turn %d of %d is of another model: %w", i+1, len(turns), ErrStateMismatch)
		case slices.ContainsFunc(turns[:i], func(other Turn) bool { return other.Session == turn.Session }):
			return nil, fmt.Errorf("turn %d of %d is of a session that has a turn already: %w", i+1, len(turns), ErrStateMismatch)
		case turn.Session.tokens == 0:
			return nil, fmt.Errorf("turn %d of %d: %w", i+1, len(turns), ErrEmptyPrompt)
		}
	}
	out := make([]Outcome, len(turns))
	at := map[*writer]int{}
	t := &together{m: m, left: func(w *writer, err error) {
		o := &out[at[w]]
		o.Result, o.Err = w.out.finish(ctx, err)
	}}
	var err error
	if t.group, err = m.model.NewGroup(len(turns)); err != nil {
		return nil, err
	}
	defer t.group.Close()
	for i, turn := range turns {
		w := m.newWriter(ctx, turn)
		if err := t.join(w); err != nil {
			return nil, fmt.Errorf("turn %d of %d: %w", i+1, len(turns), err)
		}
		at[w] = i
	}
	for len(t.live) > 0 {
		if err := t.step(); err != nil {
			t.endAll(err)
		}
	}
	return out, nil
}

// writer is a text that is being written.
type writer struct {
	Turn
	ctx    context.Context
	out    *output
	id     int        // chosen last
	landed error      // of the way back from decoding ahead
	apart  bool       // there is no room for it in the group; see chorus
	back   chan error // gives the session back; see chorus
}

func (m *Model) newWriter(ctx context.Context, turn Turn) *writer {
	return &writer{Turn: turn, ctx: ctx, out: m.newOutput(turn.Options, turn.Emit), back: make(chan error, 1)}
}

// together is the writers in a group. That in live[i] has slot i.
type together struct {
	m     *Model
	group *mamba.Group
	live  []*writer
	gone  []func()                   // tell left
	left  func(w *writer, err error) // is told of each that has left; err is why it ended before it was to
}

// join takes a writer in, where there is a slot.
func (t *together) join(w *writer) error {
	if err := t.group.Join(w.ctx, len(t.live), w.Session.seq); err != nil {
		return err
	}
	t.live = append(t.live, w)
	return nil
}

// step chooses a token for every writer, and feeds all of them. An error is of all; then none was fed.
func (t *together) step() error {
	err := t.turn()
	t.tell()
	if err != nil {
		return err
	}
	// What ends a text is fed before the text ends, as Next does it.
	for slot := 0; slot < len(t.live); {
		w := t.live[slot]
		w.Sampler.Accept(w.id)
		w.Session.tokens++
		w.out.take(w.id)
		if w.out.ended() {
			t.end(slot, nil)
			continue
		}
		slot++
	}
	return nil
}

// turn is what step does on the device.
func (t *together) turn() error {
	t.m.turns.take()
	defer t.m.turns.give()
	if err := t.chooseOnDevice(); err != nil {
		return err
	}
	for slot := 0; slot < len(t.live); {
		w := t.live[slot]
		if err := t.choose(slot, w); err != nil {
			t.drop(slot, err) // another has this slot now
			continue
		}
		slot++
	}
	if len(t.live) == 0 {
		return nil
	}
	ids := make([]int, len(t.live))
	for slot, w := range t.live {
		ids[slot] = w.id
	}
	return t.group.Step(context.Background(), ids) // a stop is heard by choose
}

// chooseOnDevice chooses for all that draw, where the device can: the rest is left to choose.
func (t *together) chooseOnDevice() error {
	var samplers []*sample.Sampler
	draws := false
	for _, w := range t.live {
		w.id = mamba.NoChoice
		samplers = append(samplers, w.Sampler)
		rule := w.Sampler.Rule()
		draws = draws || !rule.Greedy || rule.Window > 0
	}
	if !draws {
		return nil
	}
	ids, err := t.group.Choose(context.Background(), samplers)
	for slot, id := range ids {
		t.live[slot].id = id
	}
	return err
}

// choose is Session.choose for a slot, unless the device has chosen.
func (t *together) choose(slot int, w *writer) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if w.id != mamba.NoChoice {
		return nil
	}
	var err error
	if w.Sampler.Greedy() {
		if k, few := w.Sampler.DeviceTopK(); few && k == 1 {
			w.id, err = t.group.Largest(slot)
			return err
		}
	}
	logits, err := t.group.Logits(w.ctx, slot)
	if err != nil {
		return err
	}
	w.id, err = chosen(w.Sampler.Sample(logits))
	return err
}

// drop has a writer leave: its session gets its place, and the last of the live its slot.
func (t *together) drop(slot int, err error) {
	w := t.live[slot]
	err = errors.Join(err, t.group.Leave(context.Background(), slot, w.Session.seq))
	t.gone = append(t.gone, func() { t.left(w, err) })
	for last := len(t.live) - 1; slot < last; last-- {
		moved := t.group.Move(context.Background(), slot, last)
		if moved == nil {
			t.live[slot] = t.live[last]
			break
		}
		t.drop(last, moved) // the device is lost, or out of memory
	}
	t.live = t.live[:len(t.live)-1]
}

// tell tells of those that have left, in no turn of the device: who is told may ask for one.
func (t *together) tell() {
	for len(t.gone) > 0 {
		f := t.gone[0]
		t.gone = t.gone[1:]
		f()
	}
}

// end is drop for one who has no turn of the device.
func (t *together) end(slot int, err error) {
	t.drop(slot, err)
	t.tell()
}

// endAll ends every writer with an error; the last first, as then none has to move.
func (t *together) endAll(err error) {
	for len(t.live) > 0 {
		t.drop(len(t.live)-1, err)
	}
	t.tell()
}
