package ui

import (
	"context"
	"sync"

	"kestrel/app/store"
)

// drafts keeps in the store what is written and not sent. What changes while
// something is written goes with the next, so that the last always wins.
type drafts struct {
	w     *window
	first map[string]string // what the last run of the program left

	writing sync.Mutex // one writer at a time, in order
	mu      sync.Mutex
	changed map[string]string // by conversation; not written yet
}

func newDrafts(w *window) *drafts {
	d := &drafts{w: w, first: map[string]string{}, changed: map[string]string{}}
	list, err := w.store.Drafts(context.Background())
	if err != nil {
		w.problem(err)
	}
	for _, draft := range list {
		d.first[string(draft.Conversation)] = draft.Text
	}
	return d
}

// keep has a draft written.
func (d *drafts) keep(conversation, text string) {
	d.mu.Lock()
	d.changed[conversation] = text
	d.mu.Unlock()
	d.w.loop.Work(func() func() {
		if err := d.write(); err != nil {
			return func() { d.w.problem(err) }
		}
		return nil
	})
}

// write writes what has changed.
func (d *drafts) write() error {
	d.writing.Lock()
	defer d.writing.Unlock()
	d.mu.Lock()
	changed := d.changed
	d.changed = map[string]string{}
	d.mu.Unlock()
	var failed error
	for conversation, text := range changed {
		if err := d.w.store.SetDraftText(context.Background(), store.ID(conversation), text); err != nil {
			failed = err
		}
	}
	return failed
}
