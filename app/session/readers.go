package session

import (
	"context"
	"errors"
	"sync"

	"kestrel/app/backend"
	"kestrel/app/dialog"
	"kestrel/engine"
)

// readers are the engine sessions that answers are written in: one that stays,
// and more while several answers are written. They keep their marks in common,
// so that any of them goes on where another was.
type readers struct {
	model backend.Model
	base  *dialog.Reader // the first: that it is closed does not matter

	mu      sync.Mutex
	free    []*dialog.Reader
	lent    int
	waiting []chan struct{}
}

func newReaders(m backend.Model, f *dialog.Format, keep int) (*readers, error) {
	s, err := m.NewSession()
	if err != nil {
		return nil, err
	}
	base := dialog.NewReader(m, s, f, keep)
	return &readers{model: m, base: base, free: []*dialog.Reader{base}}, nil
}

// take lends a reader, the one that has read most of p if there is a choice.
// Where the device has no memory for another, it waits until one is put back.
func (l *readers) take(ctx context.Context, p dialog.Prompt) (*dialog.Reader, error) {
	for {
		r, wait, err := l.try(p)
		if r != nil || err != nil {
			return r, err
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (l *readers) try(p dialog.Prompt) (r *dialog.Reader, wait chan struct{}, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.free); n > 0 {
		best := n - 1
		for i, r := range l.free {
			if r.Knows(p) > l.free[best].Knows(p) {
				best = i
			}
		}
		r = l.free[best]
		l.free = append(l.free[:best], l.free[best+1:]...)
		l.lent++
		return r, nil, nil
	}
	s, err := l.model.NewSession()
	switch {
	case err == nil:
		l.lent++
		return l.base.Beside(s), nil, nil
	case errors.Is(err, engine.ErrOutOfDeviceMemory) && l.lent > 0:
		wait = make(chan struct{})
		l.waiting = append(l.waiting, wait)
		return nil, wait, nil
	}
	return nil, nil, err
}

// put takes a reader back. One stays open; the places of the others are marked.
func (l *readers) put(r *dialog.Reader) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lent--
	l.free = append(l.free, r)
	for _, wait := range l.waiting { // who comes too late waits again
		close(wait)
	}
	if len(l.waiting) == 0 && len(l.free) > 1 {
		_ = l.free[0].Close() // of a lost device there is nothing to hear
		l.free = l.free[1:]
	}
	l.waiting = nil
}

// close closes all; none is lent.
func (l *readers) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.free {
		_ = r.Close()
	}
	l.free = nil
}
