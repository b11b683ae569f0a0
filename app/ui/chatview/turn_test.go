package chatview

import (
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/test"

	"kestrel/app/session"
	"kestrel/app/ui/look"
)

func TestEdit(t *testing.T) {
	s := newStage(t, look.Options{}, look.English, nil)
	s.fake.UpdateConversation(talk(1))
	s.tap("Edit and send again")
	turn := s.v.thread.live["ua"].(*turn)
	if turn.edit == nil || s.w.Canvas().Focused() != turn.edit.entry {
		t.Fatal("the question is not edited")
	}
	s.shows("What follows is kept as another version.")
	s.key(turn.edit.entry, fyne.KeyEscape)
	if turn.edit != nil {
		t.Error("Escape does not end the edit")
	}
	s.expect("")
	s.tap("Edit and send again")
	turn.edit.entry.SetText("  a better question ")
	s.key(turn.edit.entry, fyne.KeyReturn)
	s.expect(`Edit("ua", "a better question")`)
	if turn.edit != nil {
		t.Error("the edit stays")
	}
	s.tap("Edit and send again")
	turn.edit.entry.SetText("by button")
	s.tap("Send again")
	s.expect(`Edit("ua", "by button")`)
	s.tap("Edit and send again")
	s.tap("Cancel")
	if turn.edit != nil {
		t.Error("Cancel does not end the edit")
	}
	s.shows("Question a")
}

func TestVersionsForkRegenerateCopy(t *testing.T) {
	s := newStage(t, look.Options{}, look.English, nil)
	s.fake.UpdateConversation(func(c *session.Conversation) {
		talk(1)(c)
		m := *c.Messages[1]
		m.Versions, m.Version = []string{"m0", "ma", "m2"}, 1
		c.Messages[1] = &m
	})
	s.shows("2/3", "42.5 tokens/s", "first after 310 ms", "57 tokens", "demo")
	s.tap("Older version")
	s.tap("Newer version")
	s.expect(`Choose("m0"); Choose("m2")`)
	s.tap("Answer again")
	s.expect(`Regenerate("ma")`)
	test.Tap(s.button("Go on from here in a new conversation", 0))
	test.Tap(s.button("Go on from here in a new conversation", 1))
	s.expect(`Fork("ua"); Fork("ma")`)
	test.Tap(s.button("Copy", 1))
	if got := fyne.CurrentApp().Clipboard().Content(); !strings.HasPrefix(got, "Answer **a**. A falcon eats:\n\n- birds") {
		t.Errorf("clipboard has %q", got)
	}
	s.fake.UpdateConversation(func(c *session.Conversation) {
		m := *c.Messages[1]
		m.ID, m.Version, m.Text = "m2", 2, "The third answer"
		c.Messages[1] = &m
	})
	s.shows("3/3", "The third answer")
	s.hides("birds, above all")
	if !s.button("Newer version", 0).Disabled() {
		t.Error("there is a version after the last")
	}
	s.fake.UpdateConversation(func(c *session.Conversation) { c.Phase = session.Writing })
	if s.hasButton("Answer again") || s.hasButton("Edit and send again") {
		t.Error("answers can be changed while one is written")
	}
}

// TestCircled holds that an answer that ended in a circle says so in both languages, and can be answered anew.
func TestCircled(t *testing.T) {
	for l, want := range map[look.Language]string{look.English: "Ended because it began to repeat itself", look.Chinese: "开始重复自己，因此结束"} {
		s := newStage(t, look.Options{}, l, nil)
		s.fake.UpdateConversation(talk(1))
		s.hides(want)
		s.fake.UpdateConversation(func(c *session.Conversation) {
			m := *c.Messages[1]
			m.Status = session.Circled
			c.Messages[1] = &m
		})
		s.shows(want)
		s.tap(look.T("chat.regenerate"))
		s.expect(`Regenerate("ma")`)
	}
}

func TestHints(t *testing.T) {
	s := newStage(t, look.Options{}, look.English, nil)
	s.fake.UpdateConversation(talk(1))
	b := s.button("Answer again", 0)
	b.MouseIn(&desktop.MouseEvent{})
	s.shows("Answer again")
	s.hides("42.5 tokens/s")
	b.MouseOut()
	s.shows("42.5 tokens/s")
	s.hides("Answer again")
	turn := s.v.thread.live["ua"].(*turn)
	turn.change.MouseIn(&desktop.MouseEvent{})
	if end := turn.bar.hint.Position().X + turn.bar.hint.Size().Width; end > turn.copy.Position().X || turn.bar.hint.Size().Width < 20 {
		t.Errorf("the hint ends at %v, below the buttons from %v", end, turn.copy.Position().X)
	}
}

func TestFaultInPlace(t *testing.T) {
	s := newStage(t, look.Options{}, look.English, nil)
	s.fake.UpdateConversation(func(c *session.Conversation) {
		talk(1)(c)
		m := answer("mb", "Part of an answ", session.Failed)
		m.Problem = &session.Problem{Kind: session.KindDeviceLost, Text: "The graphics device was lost."}
		c.Messages = append(c.Messages, m)
	})
	s.fake.Update(func(s *session.Snapshot) {
		m := *s.Model
		m.State = session.Broken
		s.Model = &m
	})
	s.shows("Part of an answ", "The graphics device stopped answering.", "Details: The graphics device was lost.")
	s.hides("birdsxx")
	f := s.v.thread.live["mb"].(*turn).fault
	s.fake.UpdateConversation(func(c *session.Conversation) { m := *c.Messages[2]; c.Messages[2] = &m })
	if s.v.thread.live["mb"].(*turn).fault != f {
		t.Error("the fault is made anew with each snapshot")
	}
	s.tap("Try again")
	s.expect(`Regenerate("mb")`)
}
