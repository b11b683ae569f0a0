package session

import (
	"cmp"
	"fmt"
	"slices"

	"kestrel/app/dialog"
	"kestrel/app/store"
	"kestrel/engine/chat"
)

// prompt is what the model is to read up to a message. What is known to be
// unread of a document is left out: nobody waits for it. So is a document that
// is being read, unless it is amid, of which the part that was read so far is to
// be shown.
//
// A document is followed by its summary, wherever that stands in the
// conversation: so the state after both serves all that was asked meanwhile.
func (a *Actor) prompt(c *conversation, to store.ID, amid *docState) []dialog.Message {
	var list []dialog.Message
	say := func(role, text string, s *dialog.Source) {
		list = append(list, dialog.Message{Role: role, Content: text, Source: s})
	}
	if c.row.System != "" {
		say(chat.System, c.row.System, nil)
	}
	path := c.tree.PathTo(to)
	for i, m := range path {
		switch d := c.document(m.ID); {
		case m.Role == store.System, m.Answers != "":
		case m.Role == store.Assistant:
			say(chat.Assistant, c.said(m), nil)
		case d == nil:
			say(chat.User, m.Content, nil)
		case d.stage == Done || d.stage == Summarizing || m.ID == to || d == amid:
			say(chat.User, dialog.SummaryRequest(dialog.Place, d.row.SummaryWords), a.source(d))
			if i+1 < len(path) && (path[i+1].Role != store.Assistant || path[i+1].Answers != "") {
				say(chat.Assistant, c.knownOf(d, d == amid), nil)
			}
		}
	}
	return list
}

// said is what an answer says so far.
func (c *conversation) said(m store.Message) string {
	if live := c.answers[m.ID]; live != nil {
		return live.text.String()
	}
	return m.Content
}

// knownOf is what the assistant has said of a document, or of the part of it
// that was read.
func (c *conversation) knownOf(d *docState, part bool) string {
	if part {
		if d.partial != nil {
			return cmp.Or(d.partial.Text, dialog.HasReadSoFar)
		}
		return dialog.HasReadSoFar
	}
	s, _ := c.summary(d.row.Message)
	return cmp.Or(c.said(s), dialog.HasRead)
}

// summary is the last answer to a document's turn: of those that are shown, else
// of all.
func (c *conversation) summary(turn store.ID) (s store.Message, found bool) {
	find := func(list []store.Message) bool {
		for _, m := range list {
			if m.Role == store.Assistant && cmp.Or(m.Answers, m.Parent) == turn {
				s, found = m, true
			}
		}
		return found
	}
	if !find(c.tree.Path()) {
		find(c.tree.All())
	}
	return s, found
}

// amid is the document of which a part was read before a message, and that is to
// be read on: the one that is being read now, or else the last.
func (c *conversation) amid(to store.ID) (amid *docState) {
	for _, m := range c.tree.PathTo(to) {
		d := c.document(m.ID)
		if d == nil || m.ID == to {
			continue
		}
		switch d.stage {
		case ReadingText:
			return d
		case Queued, Paused, Interrupted:
			amid = d
		}
	}
	return amid
}

// askAmid readies an answer that is asked for while a document is being read, or
// its reading is paused.
func (a *Actor) askAmid(ans *answer, work *answering) {
	c := ans.conv
	d := c.amid(ans.user)
	if d == nil {
		if at := slices.IndexFunc(c.docs, func(d *docState) bool { return d.stage == Queued && d.row.Message == "" }); at >= 0 {
			ans.note = amidNote(c.docs[at], 0)
		}
		return
	}
	work.without = work.messages
	work.messages = a.prompt(c, ans.user, d)
	at := slices.IndexFunc(work.messages, func(m dialog.Message) bool { return m.Source != nil && m.Source.Key == a.source(d).Key })
	work.amid = work.messages[at].Source
	work.mark = nil // reading goes on from its own state; one after this answer is soon of no use
	work.from = func(tokens int) { a.do(func() { ans.note = amidNote(d, tokens) }) }
}

// amidNote says from how much of a document an answer is.
func amidNote(d *docState, tokens int) Note {
	name := d.row.Name
	whole := max(d.row.Tokens, int(d.progress.Total))
	switch {
	case tokens == 0:
		return Note{Kind: NoteUnread, Names: []string{name}, Text: fmt.Sprintf("answered before any of %s was read", name)}
	case whole == 0:
		return Note{Kind: NoteBeginning, Names: []string{name}, Text: fmt.Sprintf("answered from what was read of %s so far", name)}
	}
	percent := min(max(int(100*share(tokens, whole)), 1), 99)
	return Note{Kind: NotePart, Counts: []int{percent, tokens}, Names: []string{name},
		Text: fmt.Sprintf("answered from the first %d %% of %s: %d tokens were read by then", percent, name, tokens)}
}

// sumUp has a document that was read summed up, at the end of what is shown, or
// of the version that the document is in.
func (a *Actor) sumUp(d *docState) {
	c, turn := d.conv, d.row.Message
	shown := c.tree.Leaf()
	below := shown
	away := !slices.ContainsFunc(c.tree.Path(), func(m store.Message) bool { return m.ID == turn })
	if away {
		below = c.tree.Newest(turn)
	}
	a.respond(c, turn, below, d)
	if away && a.stored(a.o.Store.SetLeaf(a.ctx, c.row.ID, shown)) { // the user looks elsewhere
		a.reread(c)
	}
}
