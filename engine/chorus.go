package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// chorus is the sessions of a model that write side by side as they come and go. One that is alone writes as Generate does
// without Together, which is the fastest for one. When another comes, both join a group at their next token, and a
// goroutine steps it; the last to stay goes on alone, and the group's memory is given back.
//
// Who finds no room in the group, for lack of device memory, writes on its own, in turns with the others.
type chorus struct {
	m       *Model
	writing atomic.Int32 // texts

	mu       sync.Mutex
	joining  []*writer
	stepping bool // a goroutine runs
	closed   bool
	running  sync.WaitGroup
}

// write writes a text to its end.
func (c *chorus) write(w *writer) error {
	c.writing.Add(1)
	defer c.writing.Add(-1)
	alone := func() bool { return w.apart || c.writing.Load() == 1 }
	w.apart = w.Session.tokens == 0 // it cannot write at all, and says so
	for !w.out.ended() {
		var err error
		if alone() {
			err = w.alone(alone)
		} else {
			err = c.beside(w)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// alone writes while the session is to write on its own.
func (w *writer) alone(still func() bool) (err error) {
	for !w.out.ended() && still() {
		var id int
		if id, err = w.Session.next(w.ctx, w.Sampler, w.out.wanted()); err != nil {
			break
		}
		w.out.take(id)
	}
	w.landed = w.Session.seq.Land()
	return err
}

// beside writes in the group, until the text ends or is to go on alone.
func (c *chorus) beside(w *writer) error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return c.gone()
	}
	c.joining = append(c.joining, w)
	if !c.stepping {
		c.stepping = true
		c.running.Add(1)
		go c.run()
	}
	c.mu.Unlock()
	return <-w.back
}

func (c *chorus) gone() error { return fmt.Errorf("model %s: %w", c.m.name, ErrClosed) }

// run steps the group for as long as there is one.
func (c *chorus) run() {
	defer c.running.Done()
	t := &together{m: c.m, left: func(w *writer, err error) { w.back <- err }}
	for {
		c.mu.Lock()
		joining, closed := c.joining, c.closed
		c.joining = nil
		c.mu.Unlock()
		c.admitAll(t, joining)
		switch {
		case closed:
			t.endAll(c.gone())
			fallthrough
		case len(t.live) == 0:
			if t.group != nil {
				t.group.Close()
				t.group = nil
			}
			c.mu.Lock()
			if len(c.joining) == 0 {
				c.stepping = false
				c.mu.Unlock()
				return
			}
			c.mu.Unlock()
		case len(t.live) == 1 && c.writing.Load() == 1:
			t.end(0, nil)
		default:
			if err := t.step(); errors.Is(err, ErrDeviceLost) {
				t.endAll(err)
			} else if err != nil { // of the group: each may yet go on by itself
				for _, w := range t.live {
					w.apart = true
				}
				t.endAll(nil)
			}
		}
	}
}

// admitAll takes writers into the group, in one turn of the device: what is moved would otherwise wait for a chunk each
// time, where somebody reads, and so would those that write.
func (c *chorus) admitAll(t *together, joining []*writer) {
	if len(joining) == 0 {
		return
	}
	c.m.turns.take()
	defer c.m.turns.give()
	for _, w := range joining {
		c.admit(t, w)
	}
}

// admit takes a writer into the group.
func (c *chorus) admit(t *together, w *writer) {
	if t.group == nil || len(t.live) == t.group.Size() {
		if t.grow() != nil {
			w.apart = true
			w.back <- nil
			return
		}
	}
	if err := t.join(w); err != nil {
		w.back <- err
	}
}

// grow makes room in the group. On an error all stay where they are.
func (t *together) grow() error {
	g, err := t.m.model.NewGroup(max(2, 2*len(t.live)))
	if err != nil {
		return err
	}
	for slot, w := range t.live { // by way of the session, which has room for a place
		err := t.group.Leave(context.Background(), slot, w.Session.seq)
		if err == nil {
			err = g.Join(context.Background(), slot, w.Session.seq)
		}
		if err != nil {
			g.Close()
			return err
		}
	}
	if t.group != nil {
		t.group.Close()
	}
	t.group = g
	return nil
}

// close ends all that write in the group. None joins afterwards.
func (c *chorus) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.running.Wait()
}
