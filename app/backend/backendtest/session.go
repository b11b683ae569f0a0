package backendtest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"kestrel/app/backend"
	"kestrel/engine"
	"kestrel/engine/sample"
	"kestrel/engine/vulkan"
)

type session struct {
	m      *model
	ids    []int
	busy   sync.Mutex // a session is for one goroutine at a time
	closed bool
}

// enter panics where two goroutines use a session at once.
func (s *session) enter() func() {
	if !s.busy.TryLock() {
		panic("backendtest: two goroutines use one session")
	}
	return s.busy.Unlock
}

type state struct {
	Model [32]byte
	IDs   []int
}

func (s *state) Tokens() int  { return len(s.IDs) }
func (s *state) Bytes() int64 { return StateBytes }
func (s *state) WriteTo(w io.Writer) (int64, error) {
	data, err := json.Marshal(s)
	if err != nil {
		return 0, err
	}
	n, err := w.Write(data)
	return int64(n), err
}

func (s *state) Save(path string) error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o600)
}

func (s *session) check(ids []int) error {
	if s.closed || s.m.gone() {
		return engine.ErrClosed
	}
	for _, id := range ids {
		if id < 0 || id >= s.m.tok.VocabSize() {
			return fmt.Errorf("token %d: %w", id, engine.ErrBadToken)
		}
	}
	if len(ids) == 0 {
		return engine.ErrEmptyPrompt
	}
	return nil
}

func (s *session) Feed(ctx context.Context, ids []int, progress func(done, total int)) error {
	defer s.enter()()
	return s.feed(ctx, ids, progress)
}

func (s *session) feed(ctx context.Context, ids []int, progress func(done, total int)) error {
	if err := s.check(ids); err != nil {
		return err
	}
	done := 0
	defer func() {
		if done == 0 {
			return
		}
		s.m.e.mu.Lock()
		s.m.e.fed = append(s.m.e.fed, s.m.tok.Decode(ids[:done]))
		s.m.e.tokens += done
		s.m.e.mu.Unlock()
	}()
	for done < len(ids) {
		if err := s.m.e.before(ctx, "feed"); err != nil {
			return err
		}
		n := min(ChunkTokens, len(ids)-done)
		s.ids = append(s.ids, ids[done:done+n]...)
		done += n
		if progress != nil {
			progress(done, len(ids))
		}
	}
	return nil
}

// logits are high for the id that follows the last one.
func (s *session) logits(last int) []float32 {
	logits := make([]float32, s.m.tok.VocabSize())
	logits[(last+1)%len(logits)] = 5
	return logits
}

func (s *session) FeedAll(ctx context.Context, ids []int, each func(int, []float32) error) error {
	defer s.enter()()
	if err := s.feed(ctx, ids, nil); err != nil {
		return err
	}
	for i, id := range ids {
		if err := each(i, s.logits(id)); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) Logits(context.Context) ([]float32, error) {
	defer s.enter()()
	return s.logits(s.ids[len(s.ids)-1]), nil
}

func (s *session) Next(_ context.Context, sampler *sample.Sampler) (int, error) {
	defer s.enter()()
	id, err := sampler.Sample(s.logits(s.ids[len(s.ids)-1]))
	if err != nil {
		return 0, err
	}
	sampler.Accept(id)
	s.ids = append(s.ids, id)
	return id, nil
}

func (s *session) Generate(ctx context.Context, sampler *sample.Sampler, o engine.GenerateOptions, emit func(string) error) (engine.Result, error) {
	defer s.enter()()
	if !o.Together {
		s.m.e.mu.Lock()
		s.m.e.apart++
		s.m.e.mu.Unlock()
	}
	r := engine.Result{FirstToken: time.Millisecond, Duration: time.Second}
	if s.closed || s.m.gone() {
		return r, engine.ErrClosed
	}
	ids := append(s.m.tok.Encode(s.m.e.Reply(s.m.tok.Decode(s.ids)), false), s.m.end())
	for i := 0; ; i++ {
		id := ids[i%len(ids)] // again and again where its end does not count
		if s.m.e.Wait > 0 && r.Tokens >= s.m.e.Wait {
			s.m.e.Waiting <- struct{}{}
			<-ctx.Done()
		}
		if o.Max > 0 && r.Tokens == o.Max {
			r.Reason = engine.ReasonLength
			return r, nil
		}
		if err := s.m.e.before(ctx, "token"); err != nil {
			if ctx.Err() != nil {
				r.Reason = engine.ReasonCancelled
			}
			return r, err
		}
		sampler.Accept(id)
		s.ids = append(s.ids, id)
		r.Tokens++
		if id == s.m.end() {
			if o.IgnoreEOS {
				continue
			}
			r.Reason = engine.ReasonStop
			return r, nil
		}
		piece := s.m.tok.Decode([]int{id})
		if len(o.StopStrings) > 0 && slices.Contains(o.StopStrings, piece) {
			r.Reason = engine.ReasonStopString
			return r, nil
		}
		r.Text += piece
		if emit != nil {
			if err := emit(piece); err != nil {
				return r, err
			}
		}
		if o.Enough != nil && o.Enough(id) {
			r.Reason = engine.ReasonEnough
			return r, nil
		}
	}
}

func (s *session) Tokens() int { return len(s.ids) }

// IDs are the tokens read and written.
func (s *session) IDs() []int { return slices.Clone(s.ids) }

func (s *session) Reset() error {
	defer s.enter()()
	s.ids = nil
	return nil
}

func (s *session) State(ctx context.Context) (backend.State, error) {
	defer s.enter()()
	if err := s.m.e.before(ctx, "state"); err != nil {
		return nil, err
	}
	return &state{s.m.hash, slices.Clone(s.ids)}, nil
}

func (s *session) SetState(ctx context.Context, t backend.State) error {
	defer s.enter()()
	if err := s.m.e.before(ctx, "state"); err != nil {
		return err
	}
	from := t.(*state)
	if from.Model != s.m.hash {
		return engine.ErrStateMismatch
	}
	s.ids = slices.Clone(from.IDs)
	return nil
}

func (s *session) Stats() vulkan.Stats { return vulkan.Stats{Dispatches: 27} }
func (s *session) Profile() []vulkan.KernelTime {
	return []vulkan.KernelTime{{Name: "gemv", Count: 2, Total: time.Millisecond}, {Name: "scan", Count: 1, Total: 3 * time.Millisecond}}
}

func (s *session) Close() error {
	defer s.enter()()
	if s.closed {
		return engine.ErrClosed
	}
	s.closed = true
	s.m.e.mu.Lock()
	s.m.e.sessions--
	s.m.e.mu.Unlock()
	return nil
}
