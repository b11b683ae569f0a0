package session

import (
	"context"
	"errors"
	"sync"

	"kestrel/app/backend"
	"kestrel/app/dialog"
	"kestrel/app/store"
	"kestrel/engine"
)

// saver writes states to the store, one after another, beside the worker. A few
// wait; then the work that made them does.
type saver struct {
	a     *Actor
	queue chan saving
	done  chan struct{}

	order   sync.Mutex // of waiting and queue, which is one
	mu      sync.Mutex
	waiting []saving // in queue, or being saved
}

type saving struct {
	row   store.State
	state backend.State
}

// savesWaiting is how many states wait for the disk at most.
const savesWaiting = 2

func newSaver(a *Actor) *saver {
	s := &saver{a: a, queue: make(chan saving, savesWaiting), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		for it := range s.queue {
			_, err := a.o.Store.SaveState(a.ctx, it.row, it.state)
			s.mu.Lock()
			s.waiting = s.waiting[1:]
			s.mu.Unlock()
			// its owner may be deleted by now, and the end of the program is told already
			if err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, context.Canceled) {
				a.do(func() { a.stored(err) })
			}
		}
	}()
	return s
}

// save may wait for the disk.
func (s *saver) save(row store.State, state backend.State) {
	s.order.Lock()
	defer s.order.Unlock()
	it := saving{row, state}
	s.mu.Lock()
	s.waiting = append(s.waiting, it)
	s.mu.Unlock()
	s.queue <- it
}

// close waits for what is being saved. The worker has ended.
func (s *saver) close(ctx context.Context) error {
	close(s.queue)
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		s.a.stop()
		return ErrNotStopped
	}
}

// saved lists the states of a conversation that the open model can use.
func (a *Actor) saved(c *conversation, model string) []dialog.Saved {
	var list []dialog.Saved
	a.saver.mu.Lock()
	for _, it := range a.saver.waiting { // the text tells whose they are
		if it.row.Model == model {
			list = append(list, dialog.Saved{Key: it.row.TextHash, Tokens: it.row.Tokens, Load: func() (backend.State, error) { return it.state, nil }})
		}
	}
	a.saver.mu.Unlock()
	rows, err := a.o.Store.States(a.ctx, c.row.ID)
	if !a.stored(err) {
		return list
	}
	for _, row := range rows {
		if row.Model != model {
			continue
		}
		list = append(list, dialog.Saved{Key: row.TextHash, Tokens: row.Tokens, Load: func() (backend.State, error) {
			f, err := a.o.Store.OpenState(a.ctx, row.ID)
			if err != nil {
				return nil, err
			}
			defer f.Close()
			state, err := a.o.Engine.ReadState(f)
			if errors.Is(err, engine.ErrBadState) {
				err = errors.Join(err, a.o.Store.DropState(a.ctx, row.ID))
			}
			return state, err
		}})
	}
	return list
}
