package session

import (
	"sync"
	"time"
)

// memoryEvery is how often those who watch memory are told.
const memoryEvery = 500 * time.Millisecond

// memoryWatch looks at memory while anybody watches.
type memoryWatch struct {
	a *Actor

	mu     sync.Mutex
	subs   map[int]func(*Memory)
	next   int
	quit   chan struct{} // of the goroutine that runs; nil for none
	group  sync.WaitGroup
	closed bool
}

func newMemoryWatch(a *Actor) *memoryWatch {
	return &memoryWatch{a: a, subs: map[int]func(*Memory){}}
}

// WatchMemory calls f with the use of memory.
func (a *Actor) WatchMemory(f func(*Memory)) (cancel func()) {
	w := a.memory
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return func() {}
	}
	id := w.next
	w.next++
	w.subs[id] = f
	if w.quit == nil {
		w.quit = make(chan struct{})
		quit := w.quit
		w.group.Go(func() { w.run(quit) })
	}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.subs, id)
		if len(w.subs) == 0 && w.quit != nil {
			close(w.quit)
			w.quit = nil
		}
	}
}

func (w *memoryWatch) run(quit chan struct{}) {
	tick := time.NewTicker(memoryEvery)
	defer tick.Stop()
	for {
		m := w.look()
		w.mu.Lock()
		var subs []func(*Memory)
		for _, f := range w.subs {
			subs = append(subs, f)
		}
		w.mu.Unlock()
		for _, f := range subs {
			f(m)
		}
		select {
		case <-tick.C:
		case <-quit:
			return
		}
	}
}

// look is the use of memory now.
func (w *memoryWatch) look() *Memory {
	a := w.a
	m := &Memory{Time: time.Now(), SavedRAM: a.worker.inRAM.Load(), TokensRead: a.worker.tokens.Load(), Working: a.worker.busy.Load() > 0}
	if usage, err := a.o.Store.StateUsage(a.ctx); err == nil { // else the next time
		m.SavedDisk = usage.Bytes
	}
	a.worker.guard.RLock()
	defer a.worker.guard.RUnlock()
	if model := a.worker.model; model != nil {
		m.Loaded, m.Device, m.Report, m.Heaps = true, model.Device(), model.Memory(), model.Heaps()
	}
	return m
}

func (w *memoryWatch) close() {
	w.mu.Lock()
	w.closed = true
	w.subs = map[int]func(*Memory){}
	if w.quit != nil {
		close(w.quit)
		w.quit = nil
	}
	w.mu.Unlock()
	w.group.Wait()
}
