package sample

import (
	"maps"
	"slices"
)

// window counts the last n ids.
type window struct {
	size  int
	ids   []int32 // a ring, once full
	next  int
	count map[int32]int
}

func newWindow(n int) *window { return &window{size: n, count: map[int32]int{}} }

func (w *window) len() int { return len(w.ids) }

func (w *window) push(id int32) {
	if w.size == 0 {
		return
	}
	if len(w.ids) < w.size {
		w.ids = append(w.ids, id)
	} else {
		old := w.ids[w.next]
		if w.count[old]--; w.count[old] == 0 {
			delete(w.count, old)
		}
		w.ids[w.next] = id
		w.next = (w.next + 1) % w.size
	}
	w.count[id]++
}

func (w *window) clone() *window {
	return &window{size: w.size, ids: slices.Clone(w.ids), next: w.next, count: maps.Clone(w.count)}
}
