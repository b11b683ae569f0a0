package engine

import "sync"

// turns is a lock that is given in the order in which it was asked for. Who works chunk after chunk, or token after token,
// and gives it back in between, lets everybody who waits go first: so a long prompt holds up a text that is being written
// for one chunk a token, and no longer. (A sync.Mutex would often go to the one who has just given it back.)
type turns struct {
	mu      sync.Mutex
	taken   bool
	waiting []chan struct{}
}

func (t *turns) take() {
	t.mu.Lock()
	if !t.taken {
		t.taken = true
		t.mu.Unlock()
		return
	}
	mine := make(chan struct{})
	t.waiting = append(t.waiting, mine)
	t.mu.Unlock()
	<-mine
}

func (t *turns) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) == 0 {
		t.taken = false
		return
	}
	close(t.waiting[0])
	t.waiting = t.waiting[1:]
}
