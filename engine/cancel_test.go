package engine_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"kestrel/engine"
)

// countdown is a context that ends after it was asked a number of times: the engine asks before each submission.
type countdown struct {
	context.Context
	left atomic.Int64
}

func after(n int) *countdown {
	c := &countdown{Context: context.Background()}
	c.left.Store(int64(n))
	return c
}

func (c *countdown) Err() error {
	if c.left.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

// TestCancelPrefill: a stop takes effect before the next submission; whole chunks stay read, with the logits after them,
// and the rest can be fed later.
func TestCancelPrefill(t *testing.T) {
	m := demo(t) // chunks of 64
	ids := prose(m, 64*4+10)
	want := state(t, read(t, m, ids))
	var partial []*engine.State
	for k := range 4 {
		partial = append(partial, state(t, read(t, m, ids[:64*(k+1)])))
	}
	for k := range 4 {
		ctx, cancel := context.WithCancel(context.Background())
		s := newSession(t, m)
		chunks := 0
		err := s.Feed(ctx, ids, func(done, total int) {
			chunks++
			if done != min(64*chunks, len(ids)) || total != len(ids) {
				t.Errorf("progress %d of %d after %d chunks", done, total, chunks)
			}
			if chunks == k+1 {
				cancel()
			}
		})
		if !errors.Is(err, context.Canceled) || chunks != k+1 || s.Tokens() != 64*(k+1) {
			t.Fatalf("stopped after %d chunks: %v, %d chunks and %d tokens read", k+1, err, chunks, s.Tokens())
		}
		equal(t, "after a stop", state(t, s), partial[k])
		feed(t, s, ids[s.Tokens():])
		equal(t, "fed to the end", state(t, s), want)
	}

	ctx, cancel := context.WithCancel(context.Background())
	s := newSession(t, m)
	rows := 0
	err := s.FeedAll(ctx, ids, func(pos int, _ []float32) error {
		if rows++; rows == 40 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || rows != s.Tokens() || rows >= len(ids) {
		t.Errorf("FeedAll stopped after %d rows with %d tokens read: %v", rows, s.Tokens(), err)
	}
	cancelled, stop := context.WithCancel(context.Background())
	stop()
	before := state(t, s)
	if err := s.Feed(cancelled, ids, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("fed under a context that has ended: %v", err)
	}
	if err := s.SetState(cancelled, want); !errors.Is(err, context.Canceled) {
		t.Errorf("state put under a context that has ended: %v", err)
	}
	equal(t, "after calls under a context that has ended", state(t, s), before)
}

// TestCancelBetweenSubmissions: a chunk so large that it is several submissions is stopped between each two. Some layers
// have then moved on and others not; the session is where it was before, and can go on.
func TestCancelBetweenSubmissions(t *testing.T) {
	if testing.Short() {
		t.Skip("long prompts, several times")
	}
	for _, c := range []struct {
		name   string
		mode   engine.PrefillMode
		chunk  int
		tokens int
	}{
		{"in one piece", engine.Parallel, 64, 1650},
		{"in a large chunk", engine.Chunked, 900, 900},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := options(t)
			o.Prefill, o.Chunk = c.mode, c.chunk
			m := openFS(t, demoFloats, ".", o)
			ids := prose(m, c.tokens)
			s := read(t, m, ids[:50])
			before := state(t, s)
			feed(t, s, ids)
			parts := s.Stats().Submissions
			if parts < 2 {
				t.Skipf("%s takes %d tokens in one submission", m.Device().Name, c.tokens)
			}
			want := state(t, s)
			setState(t, s, before)
			stopped := 0
			for k := range 50 {
				ctx := after(k)
				err := s.Feed(ctx, ids, nil)
				if err == nil {
					break
				}
				if !errors.Is(err, context.Canceled) || s.Tokens() != before.Tokens() {
					t.Fatalf("stopped at %d: %v, %d tokens read", k, err, s.Tokens())
				}
				if ctx.left.Load() < -3 {
					t.Errorf("stopped at %d, it asked %d times more", k, -ctx.left.Load()-1)
				}
				equal(t, "after a stop", state(t, s), before)
				stopped++
			}
			if stopped < parts || stopped == 50 {
				t.Errorf("it was stopped in %d places, with %d submissions", stopped, parts)
			}
			equal(t, "read at last", state(t, s), want)
		})
	}
}
