package session

import (
	"slices"
	"testing"

	"kestrel/app/backend/backendtest"
)

// cards are the paths of the documents that were not read, when all of them are
// inspected.
func (w *world) cards(what string, want ...string) {
	w.t.Helper()
	w.wait(what, func(s *Snapshot) bool {
		if s.Conversation == nil {
			return false
		}
		var got []string
		for _, d := range s.Conversation.Documents {
			if d.Stage == Ready || d.Stage == Unreadable {
				got = append(got, d.Path)
			}
		}
		return slices.Equal(got, want) && !slices.ContainsFunc(s.Conversation.Documents, func(d *Document) bool { return d.Stage == Inspecting })
	})
}

// TestFilesStay gives files to a new and to a stored conversation: they come back
// with it, in this run and the next, until they are read or taken away.
func TestFilesStay(t *testing.T) {
	w := start(t, summarizing(), Options{PartialShare: -1})
	w.load("demo")
	w.say("Hello")
	id := w.Snapshot().Conversation.ID
	a, b, c := w.file("a.md", book(10)), w.file("b.md", book(20)), w.file("c.md", "")
	w.AddFiles([]string{a, c, a})
	w.cards("files of a stored conversation", a, c)
	w.New(NewOptions{})
	w.cards("none in a new one")
	w.AddFiles([]string{b})
	w.cards("files of a new conversation", b)
	w.New(NewOptions{System: "Be brief."})
	w.cards("the next new one has them", b)
	w.Open(id)
	w.cards("the stored one's again", a, c)
	w.New(NewOptions{})
	w.cards("the new one's again", b)
	w.restart()
	w.load("demo")
	w.New(NewOptions{})
	w.cards("the new one's after a restart", b)
	w.Open(id)
	w.cards("the stored one's after a restart", a, c)
	for _, d := range w.Snapshot().Conversation.Documents {
		if d.Path == c {
			w.Cancel(d.ID)
		} else {
			w.Read(d.ID, 10)
		}
	}
	if m := w.idle(4).Messages[3]; m.Text != "A book of 10 lines." {
		t.Errorf("%+v", m)
	}
	w.New(NewOptions{})
	w.cards("the new one's", b)
	w.Send("Hello") // it is stored now, and has them
	w.idle(2)
	w.cards("those of the one that was new", b)
	second := w.Snapshot().Conversation.ID
	w.restart()
	w.New(NewOptions{})
	w.cards("nothing is left for a new one")
	w.Open(id)
	w.cards("nothing is left of what was read and taken away")
	w.Open(second)
	w.cards("those of the one that was new, after a restart", b)
	w.New(NewOptions{})
	w.cards("none")
	w.AddFiles([]string{a})
	w.cards("one", a)
	w.Abandon("") // all is erased
	w.wait("no conversation", func(s *Snapshot) bool { return s.Conversation == nil })
	w.New(NewOptions{})
	w.cards("none after all was erased")
}

// TestFilesManyTimes opens conversations one after the other faster than their
// files are inspected.
func TestFilesManyTimes(t *testing.T) {
	w := start(t, backendtest.New("Fine."), Options{PartialShare: -1})
	w.load("demo")
	w.say("Hello")
	id := w.Snapshot().Conversation.ID
	a, b := w.file("a.md", book(3000)), w.file("b.md", book(3000))
	w.AddFiles([]string{a})
	w.New(NewOptions{})
	w.AddFiles([]string{b})
	for range 30 {
		w.Open(id)
		w.New(NewOptions{})
		w.New(NewOptions{})
	}
	w.cards("a new one's", b)
	w.Open(id)
	w.cards("the stored one's", a)
}
