package mamba

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"kestrel/engine/kernel"
	"kestrel/engine/sample"
	"kestrel/engine/vulkan"
)

// Decoding ahead. A step that chooses its own id on the device needs nothing of the host, so several can be in flight, and
// the host reads the ids behind. Where it then stops (at a stop string, say), steps have run that were not asked for. They
// are taken back: every few steps the state is copied aside on the device, and the steps from the last copy to the stop are
// run again, with ids that are known by then. A step gives the same bits each time, so the sequence is where it would be
// had it gone step by step.
//
// The alternative, steps that do nothing once a stop id was drawn, would make every dispatch an indirect one and still need
// the copies for stops that the device cannot see. A copy of the state moves 0.5% of the bytes that a step of a 7B model in
// f16 moves, 2% in four bits, and there is one in four steps.

// ErrGrounded says that decoding ahead is not possible now, and why: go step by step, which gives the same text.
var ErrGrounded = errors.New("no decoding ahead")

// aheadTime bounds the work in flight beyond the step that is waited for: a stop has it to wait for, and again as much at
// most to go back.
const aheadTime = 50 * time.Millisecond

// flight is a sequence's decoding ahead.
type flight struct {
	mode  flightMode // of the recorded steps
	steps [maxAhead]*vulkan.Program
	keep  [2]*vulkan.Program // to deck.kept, and back
	back  [2]*vulkan.Program

	active    bool
	sampler   *sample.Sampler
	place     uint64    // of the sampler before the first step
	submitted int       // steps
	taken     int       // steps whose ids were given out
	at        [2]int    // steps before each copy was made; -1: none was
	ids       []int     // the last that were given out
	done      time.Time // when the last of them came
}

// flightMode is what the recorded steps depend on.
type flightMode struct {
	greedy bool // the largest logit, which each step finds anyway
	few    int  // of so many of the largest; 0: of all
}

// inFlight is how many steps may be in flight for now; below 2 there is nothing ahead.
func (m *Model) inFlight() int {
	switch {
	case m.ahead != 0:
		return m.ahead
	case m.stepTime == 0:
		return 1
	}
	return min(1+int(aheadTime/m.stepTime), maxAhead)
}

// timed takes note of how long a step took.
func (m *Model) timed(d time.Duration) {
	if m.stepTime == 0 {
		m.stepTime = d
	}
	m.stepTime += (d - m.stepTime) / 4
}

// SetAhead sets how many steps are in flight, up to 4; 0 leaves it to their measured time, -1 has none. No text depends
// on it.
func (m *Model) SetAhead(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ahead = min(n, maxAhead)
}

// Ahead chooses the next id as sampler would from the present logits, feeds it and gives it back; the caller accepts it.
// Of the `most` ids that the caller may yet want, this one included, more may be under way when it returns: any other
// method of the sequence, or Land, ends that first. Errors as Step, and ErrGrounded; either way nothing was fed.
//
// It takes off when steps are fast, so that several fit into 50 ms, the window of the repeat penalty is of 65,536 ids at
// most, and no other sequence of the model is ahead.
func (q *Sequence) Ahead(ctx context.Context, sampler *sample.Sampler, most int) (int, error) {
	if err := q.open("decode ahead"); err != nil {
		return 0, err
	}
	defer q.m.mu.Unlock()
	f := &q.flight
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("decode ahead: %w", err)
	}
	if f.active && (f.sampler != sampler || f.place+uint64(f.taken) != sampler.Place()) {
		if err := q.land(); err != nil {
			return 0, err
		}
	}
	if !f.active {
		if err := q.takeOff(ctx, sampler); err != nil {
			return 0, err
		}
	}
	for f.submitted == f.taken || f.submitted < f.taken+min(most, q.m.inFlight()) {
		if err := q.submit(ctx); err != nil {
			return 0, errors.Join(err, q.land())
		}
	}
	start := time.Now()
	if err := f.steps[f.taken%maxAhead].Wait(); err != nil {
		return 0, errors.Join(err, q.land())
	}
	now := time.Now()
	if took := now.Sub(f.done); f.taken > 0 && now.Sub(start) > took/2 { // the device was what was waited for
		q.m.timed(took)
	}
	f.done = now
	id, ok := f.chosen(q.m.deck.result(f.taken % maxAhead))
	if !ok {
		if err := q.land(); err != nil {
			return 0, err
		}
		return 0, fmt.Errorf("%w: the device finds no id to choose", ErrGrounded)
	}
	f.taken++
	f.ids = append(f.ids, id)
	if n := len(f.ids) - 2*maxAhead; n > 0 { // none is needed from before the older copy
		f.ids = append(f.ids[:0], f.ids[n:]...)
	}
	return id, nil
}

// chosen reads what a step chose.
func (f *flight) chosen(v vulkan.View) (id int, ok bool) {
	raw := v.Buffer.Bytes()[v.Offset:]
	word := binary.LittleEndian.Uint32(raw[4:])
	if f.mode.greedy { // it is the logit
		logit := float64(math.Float32frombits(word))
		return int(binary.LittleEndian.Uint32(raw)), !math.IsInf(logit, 0) && !math.IsNaN(logit)
	}
	return int(binary.LittleEndian.Uint32(raw)), word == 0
}

// takeOff puts what the sampler's choices hang on where the device finds it.
func (q *Sequence) takeOff(ctx context.Context, sampler *sample.Sampler) error {
	d, f, rule, vocab := q.m.deck, &q.flight, sampler.Rule(), q.m.Config.Vocab
	few := q.m.kernels.Few(rule, vocab)
	switch {
	case q.m.inFlight() < 2 && q.m.ahead <= 0:
		return fmt.Errorf("%w: steps are slow, or not yet timed", ErrGrounded)
	case d.owner != nil:
		return fmt.Errorf("%w: another session is ahead", ErrGrounded)
	}
	mode := flightMode{greedy: rule.Greedy && rule.Window == 0, few: few}
	if mode != f.mode {
		f.freeSteps()
		f.mode = mode
	}
	if p, err := q.aheadStep(ctx, 0); err != nil {
		return err
	} else if p.Stats().Submissions > 1 { // its parts could not be stopped between
		return fmt.Errorf("%w: a step takes several submissions", ErrGrounded)
	}
	if !mode.greedy {
		raw, err := d.parts.follow(sampler, few > 0, vocab)
		if err != nil {
			return err
		}
		if err := q.m.dev.Upload(ctx, d.draw.View(0, int64(len(raw))), raw); err != nil {
			return fmt.Errorf("upload of the sampler: %w", err)
		}
	}
	d.owner = q
	f.active, f.sampler, f.place = true, sampler, sampler.Place()
	f.submitted, f.taken, f.at, f.ids = 0, 0, [2]int{-1, -1}, f.ids[:0]
	return nil
}

// aheadStep gives the program of step i, modulo maxAhead.
func (q *Sequence) aheadStep(ctx context.Context, i int) (*vulkan.Program, error) {
	f, d, vocab := &q.flight, q.m.deck, q.m.Config.Vocab
	i %= maxAhead
	if f.steps[i] != nil {
		return f.steps[i], nil
	}
	var err error
	f.steps[i], err = q.m.kernels.Record(ctx, "step ahead", func(e *kernel.Encoder) {
		choice := d.choice(i, vocab)
		ids := choice.Control.Buffer.View(0, 4)
		switch {
		case f.mode.greedy:
			ids = q.result.View(0, 4)
			e.Copy(d.result(i), q.result.Whole())
		case f.mode.few > 0:
			pairs := d.top[2].View(0, int64(f.mode.few)*8)
			e.TopK(q.place.logits, pairs, vocab, f.mode.few, [2]vulkan.View{d.top[0].Whole(), d.top[1].Whole()})
			e.DrawFew(pairs, f.mode.few, choice)
		default:
			e.DrawAll(q.place.logits, vocab, choice)
		}
		q.m.step(e, q.m.scratch, q.place, ids)
	})
	return f.steps[i], err
}

// submit starts the next step, and before it now and then a copy of the state.
func (q *Sequence) submit(ctx context.Context) error {
	f := &q.flight
	p, err := q.aheadStep(ctx, f.submitted)
	if err != nil {
		return err
	}
	// One of the two copies must be of a place not after what was taken. The younger is, when it is as many steps back as may
	// be in flight: then the older makes room.
	younger := 0
	if f.at[1] > f.at[0] {
		younger = 1
	}
	if b := f.at[younger]; b < 0 || f.submitted-b >= q.m.inFlight() {
		slot := 1 - younger
		keep, err := q.copies(ctx, slot)
		if err != nil {
			return err
		}
		if err := keep.Submit(); err != nil {
			return err
		}
		f.at[slot] = f.submitted
	}
	if err := p.Submit(); err != nil {
		return err
	}
	q.stats = p.Stats()
	f.submitted++
	return nil
}

// copies gives the program that copies the state aside, and makes the one that brings it back.
func (q *Sequence) copies(ctx context.Context, slot int) (*vulkan.Program, error) {
	f := &q.flight
	record := func(at **vulkan.Program, name string, to, from int) error {
		if *at != nil {
			return nil
		}
		var err error
		*at, err = q.m.kernels.Record(ctx, name, func(e *kernel.Encoder) {
			for _, p := range q.m.deck.pairs(slot, q) {
				e.Copy(p[to], p[from])
			}
		})
		return err
	}
	if err := record(&f.back[slot], "state back", 1, 0); err != nil {
		return nil, err
	}
	return f.keep[slot], record(&f.keep[slot], "state ahead", 0, 1)
}

// Land ends decoding ahead: the sequence is then after the ids that Ahead gave. Where nothing is ahead it does nothing.
func (q *Sequence) Land() error {
	q.m.mu.Lock()
	defer q.m.mu.Unlock()
	return q.land()
}

// land is Land with the model locked.
func (q *Sequence) land() error {
	f := &q.flight
	if !f.active {
		return nil
	}
	f.active, f.sampler, q.m.deck.owner = false, nil, nil
	for i := f.taken; i < f.submitted; i++ {
		if err := f.steps[i%maxAhead].Wait(); err != nil {
			return fmt.Errorf("end of decoding ahead: %w", err)
		}
	}
	if f.submitted == f.taken {
		return nil
	}
	from := -1
	for i, at := range f.at {
		if at <= f.taken && at >= 0 && (from < 0 || at > f.at[from]) {
			from = i
		}
	}
	ctx := context.Background() // what was not asked for is taken back whatever else ends
	if err := f.back[from].Run(ctx); err != nil {
		return fmt.Errorf("way back from decoding ahead: %w", err)
	}
	for _, id := range f.ids[len(f.ids)-(f.taken-f.at[from]):] {
		if err := q.stepLocked(ctx, id); err != nil {
			return fmt.Errorf("way back from decoding ahead: %w", err)
		}
	}
	return nil
}

func (f *flight) freeSteps() {
	for i, p := range f.steps {
		p.Free()
		f.steps[i] = nil
	}
}

func (f *flight) free() {
	f.freeSteps()
	for i := range f.keep {
		f.keep[i].Free()
		f.back[i].Free()
	}
}

// programs are all that were recorded.
func (f *flight) programs() []*vulkan.Program {
	list := append(append(f.keep[:len(f.keep):len(f.keep)], f.back[:]...), f.steps[:]...)
	return list
}
