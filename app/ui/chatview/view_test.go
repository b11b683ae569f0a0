package chatview

import (
	"slices"
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/storage"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/widget"

	"kestrel/app/session"
	"kestrel/app/session/sessiontest"
	"kestrel/app/ui/look"
	"kestrel/app/ui/look/looktest"
	"kestrel/app/ui/parts"
)

func TestSend(t *testing.T) {
	s := newStage(t, look.Options{}, look.English, nil)
	s.shows("What shall we read?", "Drop files anywhere")
	e := s.v.composer.entry
	s.v.Focus()
	if s.w.Canvas().Focused() != e {
		t.Fatal("the entry has no focus")
	}
	if !s.v.composer.send.Disabled() {
		t.Error("nothing can be sent")
	}
	s.key(e, fyne.KeyReturn)
	s.expect("")
	test.Type(e, "Hello")
	e.KeyDown(&fyne.KeyEvent{Name: desktop.KeyShiftLeft})
	s.key(e, fyne.KeyReturn)
	e.KeyUp(&fyne.KeyEvent{Name: desktop.KeyShiftLeft})
	test.Type(e, "there")
	if e.Text != "Hello\nthere" {
		t.Errorf("text is %q", e.Text)
	}
	s.key(e, fyne.KeyReturn)
	s.expect(`Send("Hello\nthere")`)
	if e.Text != "" {
		t.Errorf("%q stays after it was sent", e.Text)
	}
	test.Type(e, "again")
	s.tap("Send (Enter; Shift+Enter begins a new line)")
	s.expect(`Send("again")`)
	test.Type(e, "more")
	e.TypedShortcut(&desktop.CustomShortcut{KeyName: fyne.KeyReturn, Modifier: fyne.KeyModifierShortcutDefault})
	s.expect(`Send("more")`)
}

func TestExamplesFillTheEntry(t *testing.T) {
	s := newStage(t, look.Options{}, look.English, nil)
	s.tap("What is Kestrel?")
	s.expect("")
	if s.v.composer.entry.Text != "What is Kestrel?" || s.w.Canvas().Focused() != s.v.composer.entry {
		t.Errorf("entry has %q", s.v.composer.entry.Text)
	}
}

func TestStreamAndStop(t *testing.T) {
	s := newStage(t, look.Options{}, look.English, nil)
	s.fake.UpdateConversation(func(c *session.Conversation) {
		c.Messages = append(c.Messages, sessiontest.Message("u", "user", "Tell me more", session.Complete),
			sessiontest.Message("m", "assistant", "", session.Streaming))
		c.Phase = session.Reading
		c.Reading = session.Progress{Done: 1200, Total: 5000, Rate: 800, ETA: 5 * time.Second}
	})
	s.hides("What shall we read?")
	s.shows("Tell me more", "Reading", "1,200 of 5,000 tokens", "800 tokens/s", "5.0 s left")
	s.fake.Stream("m", "Once upon ")
	s.fake.Stream("m", "a **time")
	s.v.body("m").Flush()
	s.shows("Once upon a", "time")
	if !strings.Contains(s.texts(), "time") || strings.Contains(s.texts(), "**") {
		t.Error("unfinished bold is not bold")
	}
	e := s.v.composer.entry
	test.Type(e, "not yet")
	s.key(e, fyne.KeyReturn)
	s.expect("")
	if e.Text != "not yet" {
		t.Error("the draft is lost while an answer runs")
	}
	s.key(e, fyne.KeyEscape)
	s.expect("Stop()")
	s.tap("Stop (Esc)")
	s.expect("Stop()")
	s.fake.UpdateConversation(func(c *session.Conversation) {
		c.Phase = session.Idle
		done := *c.Messages[1]
		done.Status = session.Stopped
		done.Stats = session.Stats{Tokens: 5, Rate: 31.4, FirstToken: 2 * time.Second}
		c.Messages[1] = &done
	})
	s.shows("Once upon a", "Stopped", "31.4 tokens/s", "5 tokens", "first after 2.0 s")
	if s.v.composer.stop.Visible() || !s.v.composer.send.Visible() {
		t.Error("the stop button stays")
	}
	s.key(s.v.body("m"), fyne.KeyEscape)
	s.expect("")
}

// TestAskAmidReading: while documents are read a question can be sent; with
// nothing written the button stops the reading.
func TestAskAmidReading(t *testing.T) {
	for _, l := range []look.Language{look.English, look.Chinese} {
		s := newStage(t, look.Options{}, l, nil)
		s.showDocument(func(d *session.Document) {
			d.Stage, d.Message = session.ReadingText, "u"
			d.Notes = []session.Note{{Kind: session.NoteCharset, Names: []string{"GB18030"}, Text: "xyzzy"}}
		})
		s.fake.UpdateConversation(func(c *session.Conversation) { c.Phase = session.ReadingDocuments })
		c := s.v.composer
		if !c.stop.Visible() || c.send.Visible() {
			t.Error("the reading cannot be stopped")
		}
		s.shows(look.T("tell.charset", "GB18030"))
		s.hides("xyzzy")
		test.Type(c.entry, "Why?")
		if c.stop.Visible() || !c.send.Visible() || c.send.Disabled() {
			t.Error("nothing can be sent while a document is read")
		}
		s.key(c.entry, fyne.KeyReturn)
		s.expect(`Send("Why?")`)
		s.fake.UpdateConversation(func(c *session.Conversation) {
			m := answer("m", "Because.", session.Complete)
			m.Note = session.Note{Kind: session.NotePart, Counts: []int{37, 1000}, Names: []string{"war.epub"}, Text: "xyzzy"}
			c.Messages = append(c.Messages, sessiontest.Message("q", "user", "Why?", session.Complete), m)
		})
		s.shows("Because.", look.T("tell.part", 37, 1000, "war.epub"))
		s.hides("xyzzy")
		s.key(c.entry, fyne.KeyEscape)
		s.expect("Stop()")
	}
}

// body is the text of a live turn.
func (v *View) body(id string) interface {
	fyne.Focusable
	Flush()
} {
	return v.thread.live[id].(*turn).body
}

func TestDrafts(t *testing.T) {
	s := newStage(t, look.Options{}, look.English, nil)
	open := func(id string) {
		s.fake.Update(func(s *session.Snapshot) {
			c := &session.Conversation{ID: id, Phase: session.Idle}
			talk(2)(c)
			s.Conversation = c
		})
	}
	open("one")
	s.v.composer.entry.SetText("draft of one")
	open("two")
	if got := s.v.composer.entry.Text; got != "" {
		t.Errorf("the draft followed: %q", got)
	}
	s.v.composer.entry.SetText("draft of two")
	open("one")
	if got := s.v.composer.entry.Text; got != "draft of one" {
		t.Errorf("draft is %q", got)
	}
	open("two")
	if got := s.v.composer.entry.Text; got != "draft of two" {
		t.Errorf("draft is %q", got)
	}
}

// TestDraftIsKept: what is written is kept a moment later, at once when another
// conversation is opened, and is forgotten when it is sent.
func TestDraftIsKept(t *testing.T) {
	s := newStage(t, look.Options{}, look.English, nil)
	loop := &parts.ManualLoop{}
	kept := []string{}
	v := New(s.fake, Deps{Window: s.w, Do: s.do, After: loop.After, Drafts: map[string]string{"": "from the last run", "two": "of two"},
		KeepDraft: func(c, text string) { kept = append(kept, c+": "+text) }})
	defer v.Close()
	want := func(list ...string) {
		t.Helper()
		s.drain()
		if !slices.Equal(kept, list) {
			t.Errorf("kept %q, want %q", kept, list)
		}
		kept = []string{}
	}
	show := func(id string, phase session.Phase) {
		s.fake.Update(func(n *session.Snapshot) { n.Conversation = &session.Conversation{ID: id, Phase: phase} })
		s.drain()
	}
	show("", session.Idle)
	if v.composer.entry.Text != "from the last run" {
		t.Errorf("draft is %q", v.composer.entry.Text)
	}
	loop.Advance(time.Second)
	want()
	for _, text := range []string{"h", "ha", "half"} {
		v.composer.entry.SetText(text)
		loop.Advance(draftWait / 2)
	}
	want()
	loop.Advance(draftWait)
	want(": half")
	// a file that is dropped keeps the draft where it is
	v.Drop([]fyne.URI{storage.NewFileURI("/tmp/a.txt")})
	v.composer.entry.SetText("half a sentence")
	show("two", session.Idle)
	want(": half a sentence")
	if v.composer.entry.Text != "of two" {
		t.Errorf("draft is %q", v.composer.entry.Text)
	}
	v.composer.entry.SetText("of two and more")
	v.composer.submit()
	want("two: ")
	loop.Advance(time.Second)
	want()
	show("", session.Idle)
	if v.composer.entry.Text != "half a sentence" {
		t.Errorf("draft is %q", v.composer.entry.Text)
	}
	// the first turn of a new one
	v.composer.submit()
	want(": ")
	v.composer.entry.SetText("and then")
	show("three", session.Writing)
	loop.Advance(time.Second)
	want("three: and then")
	v.composer.entry.SetText("and then?")
	v.Close()
	want("three: and then?")
}

// TestDraftOfNewStaysThere: a draft does not follow from a new conversation to
// a stored one, and another view of the session takes drafts over.
func TestDraftOfNewStaysThere(t *testing.T) {
	s := newStage(t, look.Options{}, look.English, nil)
	test.Type(s.v.composer.entry, "unsent")
	s.fake.UpdateConversation(talk(1))
	if got := s.v.composer.entry.Text; got != "" {
		t.Errorf("the draft followed: %q", got)
	}
	test.Type(s.v.composer.entry, "for c1")
	other := New(s.fake, Deps{Window: s.w, Do: s.do, Drafts: s.v.Drafts()})
	defer other.Close()
	if got := other.composer.entry.Text; got != "for c1" {
		t.Errorf("the other view has %q", got)
	}
	s.fake.Update(func(s *session.Snapshot) { s.Conversation = nil })
	if got := s.v.composer.entry.Text; got != "unsent" {
		t.Errorf("the new conversation has %q", got)
	}
	if got := other.composer.entry.Text; got != "unsent" {
		t.Errorf("the new conversation has %q in the other view", got)
	}
}

func TestNewConversationKeepsItsTurns(t *testing.T) {
	s := newStage(t, look.Options{}, look.English, nil)
	s.fake.Update(func(s *session.Snapshot) {
		s.Conversation = &session.Conversation{Phase: session.Idle}
	})
	test.Type(s.v.composer.entry, "first")
	s.key(s.v.composer.entry, fyne.KeyReturn)
	s.fake.UpdateConversation(func(c *session.Conversation) {
		c.ID = "given"
		c.Messages = append(c.Messages, sessiontest.Message("u", "user", "first", session.Complete))
	})
	test.Type(s.v.composer.entry, "typed meanwhile")
	s.fake.Stream("m", "An answer")
	if got := s.v.composer.entry.Text; got != "typed meanwhile" {
		t.Errorf("entry has %q", got)
	}
	s.shows("first", "An answer")
}

func TestModelStates(t *testing.T) {
	s := newStage(t, look.Options{}, look.English, nil)
	set := func(state session.ModelState, p *session.Problem) {
		s.fake.Update(func(s *session.Snapshot) {
			s.Model = &session.Model{State: state, Request: session.LoadRequest{Model: "falcon-mamba-7b"}, Problem: p,
				Progress: session.Progress{Done: 30, Total: 120, ETA: 12 * time.Second}}
		})
	}
	e := s.v.composer.entry
	test.Type(e, "kept")
	set(session.Loading, nil)
	s.shows("Loading falcon-mamba-7b", "25%", "12 s left")
	s.key(e, fyne.KeyReturn)
	s.tap("Cancel")
	s.expect("CancelLoad()")
	set(session.NoModel, nil)
	s.shows("No model is loaded.")
	s.tap("Choose a model")
	s.expect(`Pull("chosen")`)
	set(session.Broken, &session.Problem{Kind: session.KindDeviceLost, Text: "The graphics device was lost."})
	s.shows("The graphics device stopped answering.")
	s.tap("Load the model again")
	if got := s.calls(); !strings.HasPrefix(got, "Load(") || !strings.Contains(got, "falcon-mamba-7b") {
		t.Errorf("commands are %s", got)
	}
	if e.Text != "kept" || !s.v.composer.send.Disabled() {
		t.Error("the draft was sent or lost without a model")
	}
}

func TestDropAndAttach(t *testing.T) {
	s := newStage(t, look.Options{}, look.English, nil)
	web, err := storage.ParseURI("https://example.org/x")
	if err != nil {
		t.Fatal(err)
	}
	s.v.Drop([]fyne.URI{storage.NewFileURI("/tmp/a b.pdf"), web, nil, storage.NewFileURI("/tmp/书.txt")})
	s.expect(`AddFiles([]string{"/tmp/a b.pdf", "/tmp/书.txt"})`)
	s.v.Drop(nil)
	s.expect("")
	test.Tap(s.v.composer.attach)
	if s.w.Canvas().Overlays().Top() == nil {
		t.Error("the button opens no dialog")
	}
}

func TestEntryGrows(t *testing.T) {
	s := newStage(t, look.Options{}, look.English, nil)
	e := s.v.composer.entry
	one := e.MinSize().Height
	e.SetText("1\n2\n3")
	three := e.MinSize().Height
	e.SetText(strings.Repeat("line\n", 30))
	eight := e.MinSize().Height
	e.SetText(strings.Repeat("中文没有空格", 30))
	chinese := e.MinSize().Height
	e.SetText("")
	if one >= three || three >= eight || eight > one+8*24 || chinese < three || e.MinSize().Height != one {
		t.Errorf("heights are %v, %v, %v, %v, %v", one, three, eight, chinese, e.MinSize().Height)
	}
	e.SetText(strings.Repeat("line\n", 30))
	if bottom := s.v.composer.Position().Y + s.v.composer.Size().Height; bottom > s.v.Size().Height+0.5 {
		t.Errorf("the composer ends at %v of %v", bottom, s.v.Size().Height)
	}
	if s.v.composer.Size().Height < eight {
		t.Error("the composer did not grow with its entry")
	}
}

func TestOtherThreads(t *testing.T) {
	looktest.App(t, look.Options{}, look.English)
	fake := sessiontest.New()
	queue := make(chan func(), 100)
	w := test.NewTempWindow(t, widget.NewLabel(""))
	v := New(fake, Deps{Window: w, Do: func(f func()) { queue <- f }})
	w.SetContent(v)
	w.Resize(fyne.NewSize(700, 500))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 500 {
			fake.Stream("m", "word ")
		}
	}()
	for running := true; running; {
		select {
		case f := <-queue:
			f()
		case <-done:
			running = false
		}
	}
	for len(queue) > 0 {
		(<-queue)()
	}
	if got := len(v.conversation().Messages[0].Text); got != 2500 {
		t.Errorf("%d bytes are shown in the end", got)
	}
	v.Close()
	fake.Stream("m", "after")
	if len(queue) > 0 {
		t.Error("a closed view is called")
	}
}

func TestTypingAnywhereWrites(t *testing.T) {
	s := newStage(t, look.Options{}, look.English, nil)
	s.fake.UpdateConversation(talk(1))
	body := s.v.body("ma")
	s.w.Canvas().Focus(body)
	body.TypedRune('h')
	if s.w.Canvas().Focused() != s.v.composer.entry || s.v.composer.entry.Text != "h" {
		t.Errorf("entry has %q", s.v.composer.entry.Text)
	}
}

func TestTabLeavesTheEntry(t *testing.T) {
	s := newStage(t, look.Options{}, look.English, nil)
	s.fake.UpdateConversation(talk(2))
	s.v.Focus()
	seen := map[fyne.Focusable]bool{}
	for range 60 {
		s.w.Canvas().FocusNext()
		f := s.w.Canvas().Focused()
		if seen[f] {
			break
		}
		seen[f] = true
	}
	if !seen[s.v.composer.entry] || !seen[s.v.composer.attach] || !seen[s.v.thread.live["mb"].(*turn).fork] {
		t.Errorf("Tab reaches only %d widgets", len(seen))
	}
	if s.v.composer.entry.AcceptsTab() {
		t.Error("Tab writes into the entry")
	}
}
