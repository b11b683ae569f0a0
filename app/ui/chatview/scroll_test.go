package chatview

import (
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"

	"kestrel/app/session"
	"kestrel/app/ui/look"
)

func TestScrolling(t *testing.T) {
	s := newStage(t, look.Options{}, look.English, nil)
	s.fake.UpdateConversation(talk(100))
	th := s.v.thread
	if d := th.distance(); d > 1 {
		t.Errorf("a conversation opens %v above its end", d)
	}
	if n := len(th.live); n > 20 {
		t.Errorf("%d of 200 rows exist", n)
	}
	if s.v.jump.Visible() {
		t.Error("the way to the end is shown at the end")
	}
	// reading further up, what is read stays while the answer grows
	test.Scroll(s.w.Canvas(), fyne.NewPos(300, 200), 0, 1500)
	if !s.v.jump.Visible() || th.follow {
		t.Error("the thread still follows its end")
	}
	before := s.texts()
	s.fake.Stream("new", strings.Repeat("More and more.\n\n", 40))
	if after := s.texts(); after != before && strings.ReplaceAll(after, "Stop (Esc)", "") == before {
		t.Error("what is read moved")
	}
	if th.distance() < 400 {
		t.Error("the thread jumped to its end")
	}
	s.tap("To the end")
	if th.distance() > 1 || s.v.jump.Visible() {
		t.Errorf("%v above the end", th.distance())
	}
	s.fake.Stream("new", strings.Repeat("Still more.\n\n", 10))
	s.v.body("new").Flush()
	if th.distance() > 1 {
		t.Errorf("%v above the end while it follows", th.distance())
	}
	// all the way up, by wheel
	for range 400 {
		test.Scroll(s.w.Canvas(), fyne.NewPos(300, 200), 0, 200)
	}
	if th.scroll.Offset.Y != 0 {
		t.Errorf("offset is %v at the top", th.scroll.Offset.Y)
	}
	s.shows("Question a:")
	e := s.v.composer.entry
	s.key(e, fyne.KeyPageDown)
	if th.scroll.Offset.Y < 300 {
		t.Errorf("PageDown goes to %v", th.scroll.Offset.Y)
	}
	s.v.typedKey(&fyne.KeyEvent{Name: fyne.KeyEnd})
	if th.distance() > 1 {
		t.Error("End does not go to the end")
	}
}

// TestScrollingUpStays: guessed heights must not move what is in sight.
func TestScrollingUpStays(t *testing.T) {
	s := newStage(t, look.Options{}, look.English, nil)
	s.fake.UpdateConversation(talk(60))
	th := s.v.thread
	if th.scroll.Offset.Y < 5000 {
		t.Fatalf("the end is at %v", th.scroll.Offset.Y)
	}
	for range 60 {
		// the first row in sight moves by what was scrolled
		i, into := th.anchor()
		if i >= len(th.entries) || th.scroll.Offset.Y < 100 {
			break
		}
		key := th.entries[i].key
		y := th.live[key].Position().Y - th.scroll.Offset.Y
		test.Scroll(s.w.Canvas(), fyne.NewPos(300, 200), 0, 90)
		r := th.live[key]
		if r == nil {
			t.Fatalf("row %s at %v is gone", key, into)
		}
		if now := r.Position().Y - th.scroll.Offset.Y; now-y < 85 || now-y > 95 {
			t.Fatalf("row %s moved by %v, scrolled by 90", key, now-y)
		}
	}
}

func TestRevealAndMark(t *testing.T) {
	s := newStage(t, look.Options{}, look.English, nil)
	s.fake.UpdateConversation(talk(100))
	s.v.Mark("voles")
	s.v.Reveal("mdxx")
	s.shows("Question dxx")
	if s.v.thread.follow || s.v.thread.distance() < 100 {
		t.Error("the thread stays at its end")
	}
	body := s.v.thread.live["mdxx"].(*turn).body
	if _, ok := body.FirstMark(); !ok {
		t.Error("what is sought is not marked")
	}
	// a message of a conversation that is yet to be opened, far down in a long answer
	s.v.Mark("needle")
	s.v.Reveal("far")
	s.fake.Update(func(s *session.Snapshot) {
		c := &session.Conversation{ID: "other", Phase: session.Idle}
		talk(20)(c)
		c.Messages[7] = answer("far", strings.Repeat("Straw.\n\n", 200)+"A needle.\n\n"+strings.Repeat("Straw.\n\n", 50), session.Complete)
		s.Conversation = c
	})
	s.shows("A needle.")
	y, ok := s.v.thread.live["far"].(*turn).body.FirstMark()
	at := y + s.v.thread.live["far"].Position().Y - s.v.thread.scroll.Offset.Y
	if !ok || at < 0 || at > s.v.thread.scroll.Size().Height {
		t.Errorf("the needle is at %v of %v", at, s.v.thread.scroll.Size().Height)
	}
}

// TestFocusIsSeen: what Tab and Shift+Tab go to is scrolled into sight, up to the
// first message and back.
func TestFocusIsSeen(t *testing.T) {
	s := newStage(t, look.Options{}, look.English, nil)
	s.fake.UpdateConversation(talk(12))
	s.drain()
	c, driver := s.w.Canvas(), fyne.CurrentApp().Driver()
	c.Focus(s.v.composer.entry)
	for _, previous := range []bool{true, false} {
		for step := range 400 {
			if previous {
				c.FocusPrevious()
			} else {
				c.FocusNext()
			}
			o := c.Focused().(fyne.CanvasObject)
			if o == s.v.composer.entry {
				break
			}
			if o == s.v.jump || o == s.v.composer.attach || o == s.v.composer.send {
				continue
			}
			top := driver.AbsolutePositionForObject(o).Y
			if top < -1 || top+min(o.Size().Height, 40) > s.v.thread.scroll.Size().Height+1 {
				t.Fatalf("step %d, back %v: %T has the focus at %g of %g", step, previous, o, top, s.v.thread.scroll.Size().Height)
			}
			if previous && s.v.thread.scroll.Offset.Y == 0 && top < 60 {
				break // the first message
			}
		}
		if previous && s.v.thread.scroll.Offset.Y > 60 {
			t.Fatalf("Shift+Tab ends at %g", s.v.thread.scroll.Offset.Y)
		}
	}
	if s.v.thread.distance() > 60 {
		t.Errorf("Tab ends %g above the end", s.v.thread.distance())
	}
}

// TestEndStaysInSight: who is at the end of a conversation stays there while the
// window changes.
func TestEndStaysInSight(t *testing.T) {
	s := newStage(t, look.Options{}, look.English, nil)
	s.fake.UpdateConversation(talk(8))
	for _, size := range []fyne.Size{{Width: 760, Height: 640}, {Width: 420, Height: 640}, {Width: 1100, Height: 400}, {Width: 330, Height: 300}, {Width: 760, Height: 640}} {
		s.w.Resize(size)
		s.drain()
		if d := s.v.thread.distance(); d > 1 || s.v.jump.Visible() {
			t.Errorf("at %v it is %g above the end, and the way there is shown: %v", size, d, s.v.jump.Visible())
		}
	}
	for _, text := range []float32{20, 24, 12} {
		fyne.CurrentApp().Settings().SetTheme(look.New(look.Options{Size: text}))
		s.drain()
		s.v.Refresh()
		if d := s.v.thread.distance(); d > 1 || s.v.jump.Visible() {
			t.Errorf("with text of size %g it is %g above the end, and the way there is shown: %v", text, d, s.v.jump.Visible())
		}
	}
}
