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
// summed in another order; it does not depend on the other turns.
//
// The error is of what all turns share: then no turn has begun.
func (m *Model) GenerateTogether(ctx context.Context, turns []Turn) ([]Outcome, error) {
	if len(turns) == 0 {
		return nil, nil
	}
	t := &together{m: m, ctx: ctx, out: make([]Outcome, len(turns))}
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
	var err error
	if t.group, err = m.model.NewGroup(len(turns)); err != nil {
		return nil, err
	}
	defer t.group.Close()
	for i, turn := range turns {
		if err := t.group.Join(ctx, i, turn.Session.seq); err != nil {
			return nil, fmt.Errorf("turn %d of %d: %w", i+1, len(turns), err)
		}
		t.live = append(t.live, &writer{Turn: turn, at: i, out: m.newOutput(turn.Options, turn.Emit)})
	}
	for len(t.live) > 0 {
		t.step()
	}
	return t.out, nil
}

// together is a run of GenerateTogether. The writer in live[i] has slot i.
type together struct {
	m     *Model
	ctx   context.Context
	group *mamba.Group
	live  []*writer
	out   []Outcome
}

// writer is a turn that has not ended.
type writer struct {
	Turn
	at  int // in the turns
	out *output
	id  int // chosen last
}

// step chooses a token for every turn, and feeds all of them.
func (t *together) step() {
	if err := t.chooseOnDevice(); err != nil {
		t.endAll(err)
		return
	}
	for slot := 0; slot < len(t.live); {
		w := t.live[slot]
		if err := t.choose(slot, w); err != nil {
			t.end(slot, err) // another has this slot now
			continue
		}
		slot++
	}
	if len(t.live) == 0 {
		return
	}
	ids := make([]int, len(t.live))
	for slot, w := range t.live {
		ids[slot] = w.id
	}
	if err := t.group.Step(t.ctx, ids); err != nil {
		t.endAll(err) // none was fed
		return
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
}

// chooseOnDevice chooses for all turns that draw, where the device can: the rest is left to choose.
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
	ids, err := t.group.Choose(t.ctx, samplers)
	for slot, id := range ids {
		t.live[slot].id = id
	}
	return err
}

// choose is Session.choose for a slot, unless the device has chosen.
func (t *together) choose(slot int, w *writer) error {
	if err := t.ctx.Err(); err != nil {
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
	logits, err := t.group.Logits(t.ctx, slot)
	if err != nil {
		return err
	}
	w.id, err = chosen(w.Sampler.Sample(logits))
	return err
}

// end gives a turn its outcome and its session its place, and the slot to the last of the live.
func (t *together) end(slot int, err error) {
	w, last := t.live[slot], len(t.live)-1
	ctx := context.WithoutCancel(t.ctx)
	err = errors.Join(err, t.group.Leave(ctx, slot, w.Session.seq))
	o := &t.out[w.at]
	o.Result, o.Err = w.out.finish(t.ctx, err)
	var moved error
	if slot != last {
		moved = t.group.Move(ctx, slot, last)
		t.live[slot] = t.live[last]
	}
	t.live = t.live[:last]
	if moved != nil { // the device is lost, or out of memory
		t.endAll(moved)
	}
}

// endAll ends every turn with an error; the last first, as then none has to move.
func (t *together) endAll(err error) {
	for len(t.live) > 0 {
		t.end(len(t.live)-1, err)
	}
}
