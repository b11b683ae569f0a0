package dialog

import "sync"

// marks are the states that Readers keep in memory, the oldest use first. They
// are safe for concurrent use, as several Readers may share them.
type marks struct {
	keep int

	mu   sync.Mutex
	list []Mark
}

// find returns the mark of a text and counts that as a use.
func (k *marks) find(key string) (Mark, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.use(key)
}

func (k *marks) use(key string) (Mark, bool) {
	for i, m := range k.list {
		if m.Key == key {
			k.list = append(append(k.list[:i:i], k.list[i+1:]...), m)
			return m, true
		}
	}
	return Mark{}, false
}

// add keeps a mark in the place of the one that was not used for longest.
func (k *marks) add(m Mark) {
	if m.State == nil || k.keep == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, known := k.use(m.Key); known {
		return
	}
	k.list = append(k.list, m)
	if n := len(k.list) - k.keep; n > 0 {
		k.list = append([]Mark(nil), k.list[n:]...)
	}
}

// all are the marks there are now.
func (k *marks) all() []Mark {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]Mark(nil), k.list...)
}
