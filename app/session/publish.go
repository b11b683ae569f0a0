package session

import (
	"sync"
	"sync/atomic"
)

// publisher calls subscribers with the latest snapshot from its own goroutine.
// Snapshots that come while it calls are skipped, but for the last.
type publisher struct {
	latest atomic.Pointer[Snapshot]
	wake   chan struct{}
	quit   chan struct{}
	ended  chan struct{}

	mu   sync.Mutex
	subs []*subscriber
}

type subscriber struct {
	f    func(*Snapshot)
	seen *Snapshot
	gone atomic.Bool
}

func newPublisher() *publisher {
	p := &publisher{wake: make(chan struct{}, 1), quit: make(chan struct{}), ended: make(chan struct{})}
	go p.run()
	return p
}

func (p *publisher) show(s *Snapshot) {
	p.latest.Store(s)
	p.poke()
}

func (p *publisher) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *publisher) subscribe(f func(*Snapshot)) (cancel func()) {
	s := &subscriber{f: f}
	p.mu.Lock()
	p.subs = append(p.subs, s)
	p.mu.Unlock()
	p.poke()
	return func() {
		s.gone.Store(true)
		p.mu.Lock()
		defer p.mu.Unlock()
		for i, other := range p.subs {
			if other == s {
				p.subs = append(p.subs[:i:i], p.subs[i+1:]...)
				return
			}
		}
	}
}

func (p *publisher) run() {
	defer close(p.ended)
	for {
		select {
		case <-p.wake:
			p.call()
		case <-p.quit:
			p.call() // the last is never lost
			return
		}
	}
}

func (p *publisher) call() {
	p.mu.Lock()
	subs := p.subs
	p.mu.Unlock()
	for _, s := range subs {
		if now := p.latest.Load(); s.seen != now && !s.gone.Load() {
			s.seen = now
			s.f(now)
		}
	}
}

func (p *publisher) close() {
	close(p.quit)
	<-p.ended
}
