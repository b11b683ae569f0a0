package mamba

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"kestrel/engine/checkpoint"
	"kestrel/engine/kernel"
	"kestrel/engine/vulkan"
)

// ErrNotFinite says that the logits hold no number: damaged weights, or a fault of the device.
var ErrNotFinite = errors.New("the model's logits are not numbers: damaged weights, or a fault of the device")

// Sequence is one text's place in the model: what it carries from token to token, of constant size, and the programs
// recorded for it. Methods of one Sequence must not run at the same time; different sequences do not touch each other.
type Sequence struct {
	m        *Model
	state    *vulkan.Buffer // all S, then all columns
	result   *vulkan.Buffer // { id, logit } of the largest; on the host
	logits   *vulkan.Buffer
	all      *vulkan.Buffer // [allTokens][padded vocabulary], made when first asked for
	top      *topk
	place    place
	programs map[programKey]*vulkan.Program
	step     *vulkan.Program
	stats    vulkan.Stats
	keep     *vulkan.Program // state to Model.deck, and back: made when first needed
	putBack  *vulkan.Program
	flight   flight
	closed   bool // guarded by the model's mutex
}

type programKey struct {
	tokens int
	all    bool // logits of every token
}

// stateLayout gives the place of each layer's S and columns in the state buffer, aligned for binding, and its size.
func stateLayout(c checkpoint.Config, lim vulkan.Limits) (s, columns []int64, total int64) {
	align := max(lim.StorageAlign, 16)
	up := func(n int64) int64 { return (n + align - 1) / align * align }
	for range c.Layers {
		s = append(s, total)
		total += up(int64(c.Inner*c.State) * 4)
	}
	for range c.Layers {
		columns = append(columns, total)
		total += up(max(4, int64(c.Inner*(c.Conv-1))*4)) // a convolution of width 1 carries nothing, but binds something
	}
	return s, columns, total
}

func logitsBytes(c checkpoint.Config) int64 { return int64(kernel.Padded(c.Vocab)) * 4 }

const resultBytes = 8 // id and logit

// NewSequence makes an empty sequence.
func (m *Model) NewSequence() (*Sequence, error) {
	q := &Sequence{m: m, programs: map[programKey]*vulkan.Program{}}
	ss, cs, total := stateLayout(m.Config, m.dev.Limits())
	var err error
	if q.state, err = m.dev.NewBuffer("state", vulkan.State, total); err != nil {
		return nil, fmt.Errorf("state of a session: %w", err)
	}
	if q.logits, err = m.dev.NewBuffer("logits", vulkan.State, logitsBytes(m.Config)); err != nil {
		q.Close()
		return nil, fmt.Errorf("logits of a session: %w", err)
	}
	if q.result, err = m.dev.NewHostBuffer("result", vulkan.State, resultBytes); err != nil {
		q.Close()
		return nil, fmt.Errorf("result of a session: %w", err)
	}
	c := m.Config
	for i := range c.Layers {
		q.place.s = append(q.place.s, q.state.View(ss[i], int64(c.Inner*c.State)*4))
		q.place.columns = append(q.place.columns, q.state.View(cs[i], max(4, int64(c.Inner*(c.Conv-1))*4)))
	}
	q.place.logits, q.place.result = q.logits.Whole(), q.result.Whole()
	return q, nil
}

// open takes the model for one operation on the sequence; the caller unlocks q.m.mu.
func (q *Sequence) open(op string) error {
	q.m.mu.Lock()
	if q.closed {
		q.m.mu.Unlock()
		return fmt.Errorf("%s: the session is %w", op, vulkan.ErrClosed)
	}
	return nil
}

// lock is open for an operation that wants the sequence where its caller believes it to be, with nothing under way.
func (q *Sequence) lock(op string) error {
	if err := q.open(op); err != nil {
		return err
	}
	if err := q.land(); err != nil {
		q.m.mu.Unlock()
		return fmt.Errorf("%s: %w", op, err)
	}
	return nil
}

// Close releases the sequence's memory; other calls then give vulkan.ErrClosed. It waits for one that is under way, and
// may be called twice.
func (q *Sequence) Close() {
	if q.open("close") != nil {
		return
	}
	defer q.m.mu.Unlock()
	q.closed = true
	if q.flight.active {
		q.flight.active, q.m.deck.owner = false, nil
	}
	q.flight.free() // waits for what is under way
	for _, p := range q.programs {
		p.Free()
	}
	for _, p := range []*vulkan.Program{q.step, q.keep, q.putBack} {
		p.Free()
	}
	if q.top != nil {
		q.top.free()
	}
	for _, b := range []*vulkan.Buffer{q.state, q.logits, q.result, q.all} {
		b.Free()
	}
}

// Stats counts the work of the last Step, Chunk or Parallel.
func (q *Sequence) Stats() vulkan.Stats { return q.stats }

// play runs a program that moves the state on. Where ctx ends between the parts of one that is cut in several, some
// layers have moved on and others not: the state is then put back as it was before.
func (q *Sequence) play(ctx context.Context, p *vulkan.Program) error {
	q.stats = p.Stats()
	if q.stats.Submissions == 1 {
		return p.Run(ctx)
	}
	if ahead := q.m.deck.owner; ahead != nil { // what it keeps makes room
		if err := ahead.land(); err != nil {
			return err
		}
	}
	kept := q.m.deck.kept[0].View(0, q.state.Size())
	if q.keep == nil {
		copying := func(name string, dst, src vulkan.View) (*vulkan.Program, error) {
			return q.m.kernels.Record(ctx, name, func(e *kernel.Encoder) { e.Copy(dst, src) })
		}
		var err error
		if q.putBack, err = copying("put state back", q.state.Whole(), kept); err != nil {
			return err
		}
		if q.keep, err = copying("keep state", kept, q.state.Whole()); err != nil {
			return err
		}
	}
	if err := q.keep.Run(ctx); err != nil {
		return err
	}
	err := p.Run(ctx)
	if err != nil && !errors.Is(err, vulkan.ErrDeviceLost) {
		err = errors.Join(err, q.putBack.Run(context.WithoutCancel(ctx)))
	}
	return err
}

// Step feeds one token; the logits after it stay on the device. The id must be in the vocabulary. After an error the
// sequence is where it was, unless the device was lost.
func (q *Sequence) Step(ctx context.Context, id int) error {
	if err := q.lock("step"); err != nil {
		return err
	}
	defer q.m.mu.Unlock()
	return q.stepLocked(ctx, id)
}

func (q *Sequence) stepLocked(ctx context.Context, id int) error {
	if q.step == nil {
		var err error
		q.step, err = q.m.kernels.Record(ctx, "step", func(e *kernel.Encoder) {
			q.m.step(e, q.m.scratch, q.place, q.m.scratch.ids.Whole())
		})
		if err != nil {
			return err
		}
	}
	putIDs(q.m.scratch, []int{id})
	start := time.Now()
	err := q.play(ctx, q.step)
	if err == nil {
		q.m.timed(time.Since(start))
	}
	return err
}

// keptPrograms bounds the recorded chunk lengths a sequence keeps: whole chunks repeat, remainders seldom.
const keptPrograms = 6

// Chunk feeds up to Model.Chunk tokens side by side; the logits after the last stay on the device. Errors as Step.
func (q *Sequence) Chunk(ctx context.Context, ids []int) error {
	if err := q.lock("prefill"); err != nil {
		return err
	}
	defer q.m.mu.Unlock()
	return q.run(ctx, ids, false)
}

func (q *Sequence) run(ctx context.Context, ids []int, all bool) error {
	p, err := q.program(ctx, programKey{len(ids), all})
	if err != nil {
		return err
	}
	putIDs(q.m.scratch, ids)
	return q.play(ctx, p)
}

func (q *Sequence) program(ctx context.Context, key programKey) (*vulkan.Program, error) {
	if p := q.programs[key]; p != nil {
		return p, nil
	}
	if len(q.programs) >= keptPrograms {
		for k, p := range q.programs {
			if k.tokens != q.m.chunk {
				p.Free()
				delete(q.programs, k)
			}
		}
	}
	p, err := q.m.kernels.Record(ctx, fmt.Sprintf("chunk of %d", key.tokens), func(e *kernel.Encoder) {
		q.m.chunkPlan(e, q.m.scratch, q.place, key.tokens, key.all)
	})
	if err != nil {
		return nil, err
	}
	q.programs[key] = p
	return p, nil
}

// Parallel feeds all ids side by side, whatever their number, in scratch memory of its own that grows with it. Errors as
// Step, and ErrTooLong.
func (q *Sequence) Parallel(ctx context.Context, ids []int) error {
	if err := q.lock("parallel prefill"); err != nil {
		return err
	}
	defer q.m.mu.Unlock()
	if len(ids) <= q.m.chunk {
		return q.run(ctx, ids, false)
	}
	if most := mostTokens(q.m.Config, q.m.dev.Limits()); len(ids) > most {
		return fmt.Errorf("%w: %d tokens, %s takes %d at a time; use chunked prefill", ErrTooLong, len(ids), q.m.dev.Info().Name, most)
	}
	sc, err := q.m.newScratch(len(ids))
	if err != nil {
		return fmt.Errorf("parallel prefill of %d tokens: %w; chunked prefill takes no more memory than it has", len(ids), err)
	}
	defer sc.free()
	p, err := q.m.kernels.Record(ctx, "parallel prefill", func(e *kernel.Encoder) {
		q.m.chunkPlan(e, sc, q.place, len(ids), false)
	})
	if err != nil {
		return err
	}
	defer p.Free()
	putIDs(sc, ids)
	return q.play(ctx, p)
}

// AllTokens is how many tokens All takes at most.
func (m *Model) AllTokens() int { return min(m.chunk, 32) }

// All feeds up to AllTokens ids and gives the logits after each: [len(ids)][vocabulary], f32. Errors as Step.
func (q *Sequence) All(ctx context.Context, ids []int) ([][]float32, error) {
	if err := q.lock("logits of all positions"); err != nil {
		return nil, err
	}
	defer q.m.mu.Unlock()
	stride := kernel.Padded(q.m.Config.Vocab)
	if q.all == nil {
		b, err := q.m.dev.NewBuffer("all logits", vulkan.Scratch, int64(q.m.AllTokens()*stride)*4)
		if err != nil {
			return nil, fmt.Errorf("logits of %d positions: %w", q.m.AllTokens(), err)
		}
		q.all, q.place.all = b, b.Whole()
	}
	if err := q.run(ctx, ids, true); err != nil {
		return nil, err
	}
	raw := make([]byte, len(ids)*stride*4)
	// The ids are read: a stop now would lose their logits and save nothing.
	if err := q.m.dev.Download(context.WithoutCancel(ctx), raw, q.all.View(0, int64(len(raw)))); err != nil {
		return nil, err
	}
	out := make([][]float32, len(ids))
	for i := range out {
		out[i] = floats(raw[i*stride*4:][:q.m.Config.Vocab*4])
	}
	return out, nil
}

// Largest is the id of the largest of the present logits, chosen on the device. ErrNotFinite where none is a number.
func (q *Sequence) Largest() (int, error) {
	if err := q.lock("largest logit"); err != nil {
		return 0, err
	}
	defer q.m.mu.Unlock()
	return largest(q.result.Bytes())
}

// Logits downloads the present logits [vocabulary].
func (q *Sequence) Logits(ctx context.Context) ([]float32, error) {
	if err := q.lock("logits"); err != nil {
		return nil, err
	}
	defer q.m.mu.Unlock()
	return q.logitsLocked(ctx)
}

func (q *Sequence) logitsLocked(ctx context.Context) ([]float32, error) {
	raw := make([]byte, q.m.Config.Vocab*4)
	if err := q.m.dev.Download(ctx, raw, q.logits.View(0, int64(len(raw)))); err != nil {
		return nil, err
	}
	return floats(raw), nil
}

func putIDs(sc *scratch, ids []int) {
	raw := sc.ids.Bytes()
	for i, id := range ids {
		binary.LittleEndian.PutUint32(raw[4*i:], uint32(id))
	}
}

func floats(raw []byte) []float32 {
	out := make([]float32, len(raw)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return out
}

// Reset empties the sequence: nothing of its text stays, not in the logits either.
func (q *Sequence) Reset() error {
	if err := q.lock("reset"); err != nil {
		return err
	}
	defer q.m.mu.Unlock()
	p, err := q.m.kernels.Record(context.Background(), "reset", func(e *kernel.Encoder) {
		e.Fill(q.state.Whole(), 0)
		e.Fill(q.logits.Whole(), 0)
		e.Fill(q.result.Whole(), 0)
	})
	if err != nil {
		return err
	}
	defer p.Free()
	return p.Run(context.Background())
}

// Profile sums the kernel times of the programs this sequence holds, where the device measures them.
func (q *Sequence) Profile() []vulkan.KernelTime {
	if q.open("profile") != nil {
		return nil
	}
	defer q.m.mu.Unlock()
	at := map[string]int{}
	var out []vulkan.KernelTime
	add := func(p *vulkan.Program) {
		if p == nil {
			return
		}
		for _, k := range p.Profile() {
			if _, ok := at[k.Name]; !ok {
				at[k.Name] = len(out)
				out = append(out, vulkan.KernelTime{Name: k.Name})
			}
			out[at[k.Name]].Count += k.Count
			out[at[k.Name]].Total += k.Total
			out[at[k.Name]].Cost.FLOP += k.Cost.FLOP
			out[at[k.Name]].Cost.Bytes += k.Cost.Bytes
		}
	}
	add(q.step)
	for _, p := range q.programs {
		add(p)
	}
	for _, p := range q.flight.programs() {
		add(p)
	}
	return out
}
