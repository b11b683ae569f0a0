package chatview

import (
	"slices"

	"fyne.io/fyne/v2/theme"

	"kestrel/app/session"
)

// rows brings the thread in line with a snapshot.
func (v *View) rows(old, s *session.Snapshot) {
	c := s.Conversation
	if c == nil || len(c.Messages) == 0 && len(c.Documents) == 0 {
		if len(v.thread.entries) > 0 {
			v.thread.set(nil)
		}
		v.toggle(true)
		return
	}
	v.toggle(false)
	var was *session.Conversation
	if old != nil {
		was = old.Conversation
	}
	modelChanged := old != nil && old.Model.State != s.Model.State
	if was == c && len(v.thread.entries) > 0 && !modelChanged {
		return
	}
	if modelChanged { // faults offer what the model's state allows
		for _, r := range v.thread.live {
			switch r := r.(type) {
			case *turn:
				r.fault = nil
			case *cardRow:
				r.card.fault, r.card.doc = nil, nil
			}
		}
	}
	entries := make([]entry, 0, len(c.Messages)+len(c.Documents))
	for i, m := range c.Messages {
		last := i == len(c.Messages)-1
		if t, ok := v.thread.live[m.ID].(*turn); ok && (modelChanged || t.msg != m || t.last != last || was == nil || was.Phase != c.Phase || last) {
			t.show(m, c, last)
		} else if !ok {
			delete(v.thread.heights, m.ID)
		}
		entries = append(entries, entry{key: m.ID, guess: guessTurn(m), make: func() row { return newTurn(v, m) }})
	}
	for _, d := range c.Documents {
		if d.Message != "" && slices.ContainsFunc(c.Messages, func(m *session.Message) bool { return m.ID == d.Message }) {
			continue
		}
		key := "document:" + d.ID
		if r, ok := v.thread.live[key].(*cardRow); ok {
			r.card.show(d)
		}
		entries = append(entries, entry{key: key, guess: func(float32) float32 { return 130 }, make: func() row { return newCardRow(newCard(v, d)) }})
	}
	v.thread.set(entries)
	v.seek()
}

// guessTurn guesses a turn's height from the length of its text.
func guessTurn(m *session.Message) func(float32) float32 {
	size := float32(len(m.Text))
	lines := float32(0)
	for i := 0; i < len(m.Text); i++ {
		if m.Text[i] == '\n' {
			lines++
		}
	}
	card := float32(0)
	if m.Document != nil {
		card = 110
	}
	return func(width float32) float32 {
		em := theme.Size(theme.SizeNameText)
		column := max(min(width-2*sideRoom, columnWidth), 100)
		return card + barHeight() + (1+lines*0.75+size*0.45*em/column)*1.6*em
	}
}

// reflowSoon lays the thread out again after what is under way.
func (v *View) reflowSoon() {
	for _, r := range v.thread.live {
		switch r := r.(type) {
		case *turn:
			r.dirty = true
			if r.card != nil {
				r.card.dirty = true
			}
		case *cardRow:
			r.card.dirty = true
		}
	}
	v.thread.reflow()
	v.moved()
}
