package chatview

import (
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2/test"

	"kestrel/app/document"
	"kestrel/app/session"
	"kestrel/app/session/sessiontest"
	"kestrel/app/ui/look"
	"kestrel/app/ui/parts"
)

func book() session.Document {
	return session.Document{
		ID: "d", Path: "/tmp/war.epub", Name: "war.epub", Title: "War and Peace", Format: document.EPUB, Size: 3_400_000,
		Pages: 1225, Words: 562_000, Tokens: 760_000, Stage: session.Ready, Estimate: 14 * time.Minute, Wanted: 150, Beyond: 751_808, Trained: 2048,
	}
}

// showDocument puts a document, changed, into the conversation.
func (s *stage) showDocument(change func(*session.Document)) {
	d := book()
	change(&d)
	s.fake.UpdateConversation(func(c *session.Conversation) {
		c.Documents = []*session.Document{&d}
		if d.Message != "" {
			c.Messages = []*session.Message{sessiontest.Message(d.Message, "user", "", session.Complete)}
			c.Messages[0].Document = &d
		}
	})
}

func TestDocumentFromDropToSummary(t *testing.T) {
	s := newStage(t, look.Options{}, look.English, nil)
	s.showDocument(func(d *session.Document) { d.Stage = session.Inspecting })
	s.shows("War and Peace", "war.epub", "Looking into it")
	s.hides("What shall we read?")
	s.tap("Cancel")
	s.expect(`Cancel("d")`)

	s.showDocument(func(d *session.Document) {})
	s.shows("EPUB", "3.2 MiB", "1,225 pages", "562,000 words", "760,000 tokens", "About 14 min 0 s to read", "Longer than the 2,048 tokens")
	for _, o := range laidOut(s.w.Content()) {
		if sel, ok := o.(*parts.Select); ok {
			sel.SetSelected("300")
		}
	}
	s.tap("Start")
	s.expect(`Read("d", 300)`)

	s.showDocument(func(d *session.Document) { d.Stage, d.Message = session.Queued, "u" })
	s.shows("Waiting for its turn")

	s.showDocument(func(d *session.Document) {
		d.Stage, d.Message = session.ReadingText, "u"
		d.Progress = session.Progress{Done: 190_000, Total: 760_000, Rate: 900, ETA: 10*time.Minute + 33*time.Second}
		d.Partial = &session.Partial{Text: "The story **begins** in a salon.", Tokens: 180_000, Share: 0.24, Fresh: true}
	})
	s.shows("190,000 of 760,000 tokens", "900 tokens/s", "10 min 33 s left", "Summary of the first 24%", "begins", "in a salon.")
	s.tap("Pause")
	s.expect(`Pause("d")`)

	s.showDocument(func(d *session.Document) {
		d.Stage, d.Message = session.ReadingText, "u"
		d.Progress = session.Progress{Done: 380_000, Total: 760_000, Rate: 900, ETA: 5 * time.Minute}
		d.Partial = &session.Partial{Text: "The story **begins** in a salon. It goes on in the field.", Tokens: 370_000, Share: 0.49}
	})
	s.shows("Summary of the first 49%", "being renewed", "goes on in the field.")
	s.hides("Summary of the first 24%")

	s.showDocument(func(d *session.Document) {
		d.Stage, d.Message = session.Paused, "u"
		d.Progress = session.Progress{Done: 380_000, Total: 760_000, Rate: 900, ETA: 5 * time.Minute}
	})
	s.shows("Paused", "380,000 of 760,000 tokens")
	s.hides("left", "tokens/s")
	s.tap("Go on")
	s.expect(`Resume("d")`)
	s.tap("Cancel")
	s.expect(`Cancel("d")`)

	s.showDocument(func(d *session.Document) {
		d.Stage, d.Message = session.Summarizing, "u"
		d.Partial = &session.Partial{Text: "An old partial.", Share: 0.9, Fresh: true}
	})
	s.shows("Writing the summary")
	s.hides("An old partial.")
	s.fake.Stream("m", "It is a novel about Russia.")
	s.shows("It is a novel about Russia.")

	s.showDocument(func(d *session.Document) { d.Stage, d.Message = session.Done, "u" })
	s.shows("Read to the end")
	if s.hasButton("Cancel") || s.hasButton("Pause") {
		t.Error("a document that is read can be stopped")
	}

	s.showDocument(func(d *session.Document) {
		d.Stage, d.Message = session.Cancelled, "u"
		d.Progress = session.Progress{Done: 1000, Total: 760_000}
	})
	s.shows("Stopped after 1,000 tokens")
}

func TestSeveralDocuments(t *testing.T) {
	s := newStage(t, look.Options{}, look.English, nil)
	s.fake.UpdateConversation(func(c *session.Conversation) {
		for _, id := range []string{"one", "two", "three"} {
			d := book()
			d.ID, d.Title = id, "Book "+id
			c.Documents = append(c.Documents, &d)
		}
	})
	s.shows("Book two", "Book three")
	test.Tap(s.button("Start", 1))
	s.expect(`Read("two", 150)`)
}

func TestUnreadableDocuments(t *testing.T) {
	for _, l := range []look.Language{look.English, look.Chinese} {
		s := newStage(t, look.Options{}, l, nil)
		for kind, key := range map[error]string{
			document.ErrMissing: "missing", document.ErrFolder: "folder", document.ErrEmpty: "empty", document.ErrEncrypted: "encrypted",
			document.ErrBomb: "bomb", document.ErrNoText: "noText", document.ErrChanged: "changed", document.ErrFormat: "format",
			document.ErrEncoding: "encoding", document.ErrBroken: "broken",
		} {
			err := &document.Error{Name: "x", Kind: kind, What: "what", Way: "way"}
			s.showDocument(func(d *session.Document) {
				*d = session.Document{ID: "d", Name: "x.pdf", Stage: session.Unreadable,
					Problem: session.ProblemOf(err)}
			})
			row := s.v.thread.live["document:d"].(*cardRow)
			want := look.T("tell." + key)
			if got := row.card.fault.text.Text(); got != want || strings.HasPrefix(want, "tell.") {
				t.Errorf("%s %v: %q", l, kind, got)
			}
			s.tap(look.T("chat.remove"))
			s.expect(`Cancel("d")`)
		}
		other := &document.Error{Name: "x", Kind: document.ErrRead, What: "the disk does not answer"}
		s.showDocument(func(d *session.Document) {
			d.Stage, d.Problem = session.Interrupted, session.ProblemOf(other)
			d.Message = "u"
		})
		s.shows(look.T("tell.unreadable")[:40], "the disk does not answer")
		s.tap(look.T("chat.resume"))
		s.expect(`Resume("d")`)
	}
}

// TestLongPartialIsSeen: a summary in a card is drawn where it is in sight.
func TestLongPartialIsSeen(t *testing.T) {
	s := newStage(t, look.Options{}, look.English, nil)
	s.showDocument(func(d *session.Document) {
		d.Stage, d.Message = session.ReadingText, "u"
		d.Partial = &session.Partial{Text: strings.Repeat("A paragraph of the summary.\n\n", 200) + "The very end.", Share: 0.5, Fresh: true}
	})
	s.shows("The very end.")
	s.v.thread.moveTo(0)
	s.shows("War and Peace")
	s.hides("The very end.")
}
