package ui

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/test"

	"kestrel/app/library"
	"kestrel/app/sensors"
	"kestrel/app/session"
	"kestrel/app/session/sessiontest"
	"kestrel/app/store"
	"kestrel/app/ui/look"
	"kestrel/app/ui/look/looktest"
	"kestrel/app/ui/monitor"
	"kestrel/app/ui/parts"
	"kestrel/app/ui/settings"
)

// bench is a window over a scripted session and a store of its own.
type bench struct {
	t *testing.T
	*window
	f *sessiontest.Fake
	s *store.Store
}

func open(t *testing.T, p settings.Preferences, fill func(*store.Store)) *bench {
	t.Helper()
	return openOn(t, looktest.App(t, p.Look(), look.English), p, sessiontest.New(), sensors.New(sensors.Options{}), fill)
}

// openOn is open in an app, over a session, on a system with such sensors.
func openOn(t *testing.T, a fyne.App, p settings.Preferences, f *sessiontest.Fake, system *sensors.Sensors, fill func(*store.Store)) *bench {
	t.Helper()
	s, err := store.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if fill != nil {
		fill(s)
	}
	b := &bench{t: t, f: f, s: s}
	b.window = newWindow(a, s, f, monitor.NewRecorder(f, system), &parts.ManualLoop{}, p, look.English)
	t.Cleanup(func() {
		if err := b.close(context.Background()); err != nil {
			t.Error(err)
		}
		b.w.Close()
	})
	b.w.Resize(fyne.NewSize(1024, 640))
	b.w.Show()
	b.follow()
	return b
}

func (b *bench) calls() []string {
	var out []string
	for _, c := range b.f.Calls() {
		out = append(out, fmt.Sprintf("%s%v", c.Name, c.Args))
	}
	return out
}

// press does what the menu's shortcut with this key does.
func (b *bench) press(key fyne.KeyName) {
	b.t.Helper()
	want := (&desktop.CustomShortcut{KeyName: key, Modifier: fyne.KeyModifierShortcutDefault}).ShortcutName()
	for _, m := range b.w.MainMenu().Items {
		for _, i := range m.Items {
			if i.Shortcut != nil && i.Shortcut.ShortcutName() == want {
				i.Action()
				return
			}
		}
	}
	b.t.Fatalf("no menu has a shortcut with %s", key)
}

func (b *bench) shows(pieces ...string) {
	b.t.Helper()
	for _, p := range pieces {
		if !looktest.Shows(b.w.Canvas(), p) {
			b.t.Errorf("the window does not show %q:\n%s", p, looktest.Text(b.w.Canvas()))
		}
	}
}

func (b *bench) hides(pieces ...string) {
	b.t.Helper()
	for _, p := range pieces {
		if looktest.Shows(b.w.Canvas(), p) {
			b.t.Errorf("the window shows %q", p)
		}
	}
}

func (b *bench) overlay() bool { return b.w.Canvas().Overlays().Top() != nil }

// talk shows a conversation of an exchange.
func (b *bench) talk(title string, texts ...string) {
	b.f.UpdateConversation(func(c *session.Conversation) {
		c.ID, c.Title = "c1", title
		c.Messages = nil
		for i, text := range texts {
			c.Messages = append(c.Messages, sessiontest.Message(fmt.Sprintf("m%d", i), []string{"user", "assistant"}[i%2], text, session.Complete))
		}
	})
}

func TestShortcuts(t *testing.T) {
	b := open(t, settings.Preferences{}, nil)
	b.calls()
	b.press(fyne.KeyN)
	if got := b.calls(); len(got) != 1 || !strings.HasPrefix(got[0], "New[") {
		t.Errorf("Ctrl+N: %v", got)
	}
	b.press(fyne.KeyK)
	if e, ok := b.w.Canvas().Focused().(*parts.Entry); !ok || e.PlaceHolder != look.T("sidebar.search") {
		t.Errorf("Ctrl+K focuses %T", b.w.Canvas().Focused())
	}
	b.press(fyne.KeyO)
	e, ok := b.w.Canvas().Focused().(*parts.Entry)
	if !ok || !b.overlay() {
		t.Fatalf("Ctrl+O focuses %T", b.w.Canvas().Focused())
	}
	b.press(fyne.KeyN) // not while a dialog waits
	if got := b.calls(); len(got) > 0 {
		t.Errorf("Ctrl+N behind a dialog: %v", got)
	}
	path := filepath.Join(t.TempDir(), "book.txt")
	test.Type(e, path)
	e.TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
	if got, want := b.calls(), fmt.Sprintf("AddFiles[[%s]]", path); !slices.Equal(got, []string{want}) {
		t.Errorf("calls are %v, want %s", got, want)
	}
	b.press(fyne.KeyComma)
	b.shows("Settings", "Text size")
	b.key(&fyne.KeyEvent{Name: fyne.KeyEscape})
	if b.overlay() {
		t.Error("Escape does not close the settings")
	}
	b.key(&fyne.KeyEvent{Name: fyne.KeyF1})
	b.shows("Ctrl+N", "New chat", "Ctrl+K", "Ctrl+F", "Ctrl+O", "Ctrl+B", "Ctrl+M", "Ctrl+,", "Ctrl+Q", "Stop the answer")
	b.key(&fyne.KeyEvent{Name: fyne.KeyEscape})
}

func TestEscape(t *testing.T) {
	b := open(t, settings.Preferences{}, nil)
	b.talk("T", "Hello")
	b.f.UpdateConversation(func(c *session.Conversation) { c.Phase = session.Writing })
	b.press(fyne.KeyF)
	b.press(fyne.KeyComma)
	b.calls()
	for _, step := range []struct {
		what string
		done func() bool
	}{
		{"close the dialog", func() bool { return !b.overlay() }},
		{"stop the answer", func() bool { return slices.Contains(b.calls(), "Stop[]") }},
	} {
		b.key(&fyne.KeyEvent{Name: fyne.KeyEscape})
		if !step.done() {
			t.Errorf("Escape does not %s", step.what)
		}
	}
	b.f.UpdateConversation(func(c *session.Conversation) { c.Phase = session.Idle })
	b.key(&fyne.KeyEvent{Name: fyne.KeyEscape})
	if b.find.object.Visible() {
		t.Error("Escape does not end the search in the conversation")
	}
}

func TestLanguageAndTheme(t *testing.T) {
	b := open(t, settings.Preferences{Mode: look.Light, Welcomed: true}, nil)
	b.talk("About birds", "Hello", "Hi there")
	b.press(fyne.KeyComma)
	p := b.prefs
	p.Language = look.Chinese
	b.prefer(p)
	b.shows("设置", "字号") // the dialog comes back in the new language
	b.key(&fyne.KeyEvent{Name: fyne.KeyEscape})
	b.shows("新对话", "Hello", "Hi there")
	if title := b.w.MainMenu().Items[0].Label; title != "文件" {
		t.Errorf("the menu is %q", title)
	}
	b.talk("About birds", "Hello", "Hi there", "More?") // the views follow the session still
	b.shows("More?")
	p = b.prefs
	p.Mode, p.Size = look.Dark, 20
	b.prefer(p)
	if got := b.app.Settings().Theme().(*look.Theme).Options(); got.Mode != look.Dark || got.Size != 20 {
		t.Errorf("the theme is %+v", got)
	}
	if width := b.w.Canvas().Size().Width * float32(b.split.Offset); width < 270 {
		t.Errorf("the sidebar is %g wide for text of size 20", width)
	}
	kept, err := settings.Load(t.Context(), b.s)
	if err != nil || kept.Language != look.Chinese || kept.Mode != look.Dark || kept.Size != 20 {
		t.Errorf("%v: kept %+v", err, kept)
	}
}

func TestWelcome(t *testing.T) {
	b := open(t, settings.Preferences{}, nil)
	b.shows("Get a model for real work")
	b.talk("T", "Hello")
	b.hides("Get a model for real work")
	b.f.Update(func(s *session.Snapshot) { s.Conversation = nil })
	b.shows("Get a model for real work")
	looktest.Press(b.w.Canvas(), "Choose a model…")
	b.shows("Model and device")
	b.key(&fyne.KeyEvent{Name: fyne.KeyEscape})
	looktest.Press(b.w.Canvas(), "Not now")
	b.hides("Get a model for real work")
	if kept, err := settings.Load(t.Context(), b.s); err != nil || !kept.Welcomed {
		t.Errorf("%v: it will come again: %+v", err, kept)
	}
}

func TestModelTrouble(t *testing.T) {
	b := open(t, settings.Preferences{Model: session.LoadRequest{Model: "m"}}, nil)
	b.f.Update(func(s *session.Snapshot) {
		s.Model = &session.Model{State: session.Broken, Request: session.LoadRequest{Model: "m"}, Problem: &session.Problem{Kind: session.KindDeviceLost, Text: "The device was lost; load the model again."}}
	})
	b.shows("The graphics device stopped answering.")
	b.calls()
	looktest.Press(b.w.Canvas(), "Load the model again")
	if got := b.calls(); !slices.Equal(got, []string{"Load[{m  }]"}) {
		t.Errorf("calls are %v", got)
	}
	b.f.Update(func(s *session.Snapshot) { s.Model = &session.Model{State: session.Loaded, Name: "m"} })
	b.hides("The device was lost")
	b.f.Update(func(s *session.Snapshot) { s.Model = &session.Model{State: session.NoModel} })
	b.shows("No model is loaded", "Choose a model")
	looktest.Press(b.w.Canvas(), "Choose a model")
	b.shows("Model and device")
}

// TestDraftLasts: what was written is there in the next run, with its
// conversation.
func TestDraftLasts(t *testing.T) {
	b := open(t, settings.Preferences{}, nil)
	c, err := b.s.CreateConversation(t.Context(), store.Conversation{Title: "T"})
	if err != nil {
		t.Fatal(err)
	}
	show := func(b *bench, id string) {
		b.f.Update(func(n *session.Snapshot) { n.Conversation = &session.Conversation{ID: id, Phase: session.Idle} })
	}
	show(b, "")
	b.chat.Focus()
	test.Type(b.w.Canvas().Focused(), "of a new one")
	b.loop.(*parts.ManualLoop).Advance(time.Second)
	show(b, string(c.ID))
	test.Type(b.w.Canvas().Focused(), "of an old one")
	b.chat.Close() // as the window does when it is closed
	if err := b.drafts.write(); err != nil {
		t.Fatal(err)
	}
	next := newWindow(b.app, b.s, b.f, b.recorder, &parts.ManualLoop{}, settings.Preferences{}, look.English)
	defer next.w.Close()
	next.w.Show()
	again := &bench{t: t, f: b.f, s: b.s, window: next}
	next.follow()
	again.shows("of an old one")
	show(again, "")
	again.shows("of a new one")
	again.hides("of an old one")
}

func TestNotices(t *testing.T) {
	b := open(t, settings.Preferences{}, nil)
	notice := func(id uint64, text string) session.Notice {
		return session.Notice{ID: id, Problem: session.Problem{Text: text}}
	}
	b.f.Update(func(s *session.Snapshot) { s.Notices = []session.Notice{notice(1, "The disk is full.")} })
	b.f.Update(func(s *session.Snapshot) {
		s.Notices = []session.Notice{notice(1, "The disk is full."), notice(2, "The file went away.")}
	})
	if n := strings.Count(looktest.Text(b.w.Canvas()), "The disk is full."); n != 1 {
		t.Errorf("a notice is shown %d times", n)
	}
	b.shows("The file went away.")
	closed := false
	looktest.Walk(b.notices.w.w.Canvas(), func(o fyne.CanvasObject) {
		if x, ok := o.(*parts.Button); ok && x.Hint() == look.T("ui.notice.close") && !closed {
			closed = true
			x.Tapped(nil)
		}
	})
	b.hides("The disk is full.")
	b.shows("The file went away.")
	// what has a kind is said in the language of the day
	b.f.Update(func(s *session.Snapshot) {
		s.Notices = []session.Notice{{ID: 3, Problem: session.Problem{Kind: session.KindBusy, Text: "xyzzy"}}}
	})
	for _, l := range []look.Language{look.English, look.Chinese, look.English} {
		p := b.prefs
		p.Language = l
		b.prefer(p)
		parts.CloseTop(b.w.Canvas())
		b.shows(look.T("tell.busy"))
		b.hides("xyzzy")
	}
}

func TestOpenAndReload(t *testing.T) {
	var c store.Conversation
	b := open(t, settings.Preferences{}, func(s *store.Store) {
		var err error
		if c, err = s.CreateConversation(context.Background(), store.Conversation{Title: "Old talk"}); err != nil {
			t.Fatal(err)
		}
	})
	b.shows("Old talk")
	b.calls()
	b.openConversation(c.ID, "", "")
	if got := b.calls(); !slices.Equal(got, []string{"Open[" + string(c.ID) + "]"}) {
		t.Errorf("calls are %v", got)
	}
	if err := b.s.RenameConversation(t.Context(), c.ID, "New name"); err != nil {
		t.Fatal(err)
	}
	b.f.Update(func(s *session.Snapshot) { s.Changes++ })
	b.shows("New name")
	b.talk("Title of it", "x")
	if b.w.Title() != "Title of it – Kestrel" {
		t.Errorf("the title is %q", b.w.Title())
	}
}

func TestAbandon(t *testing.T) {
	b := open(t, settings.Preferences{System: "Be brief."}, nil)
	b.talk("T", "Hello")
	b.calls()
	b.abandon("other")
	if got := b.calls(); !slices.Equal(got, []string{"Abandon[other]"}) {
		t.Errorf("calls are %v", got)
	}
	b.abandon("c1")
	if got := b.calls(); len(got) != 2 || got[0] != "Abandon[c1]" || !strings.Contains(got[1], "Be brief.") {
		t.Errorf("calls are %v, want a new conversation in the place of the open one", got)
	}
}

// TestTransfers: a download can be seen and stopped without the chooser.
func TestTransfers(t *testing.T) {
	b := open(t, settings.Preferences{}, nil)
	b.f.Update(func(s *session.Snapshot) {
		s.Transfers = []*session.Transfer{{Name: "owner/model", Progress: library.Progress{Done: 1 << 30, Total: 4 << 30}}}
	})
	b.shows("owner/model: 1.0 GiB of 4.0 GiB")
	b.f.Update(func(s *session.Snapshot) { s.Transfers = nil })
	b.hides("owner/model")
}

func TestWarnings(t *testing.T) {
	b := open(t, settings.Preferences{}, nil)
	for range 2 { // it is loaded again, and told once
		b.f.Update(func(s *session.Snapshot) {
			s.Model = &session.Model{State: session.Loaded, Name: "m", Warnings: []string{"The chat template is missing."}}
		})
	}
	if n := strings.Count(looktest.Text(b.w.Canvas()), "The chat template is missing."); n != 1 {
		t.Errorf("a warning is shown %d times", n)
	}
}

func TestFind(t *testing.T) {
	b := open(t, settings.Preferences{}, nil)
	b.talk("T", "Which birds hover?", "Kestrels do. 红隼会悬停。", "And owls?", "Hardly ever; but kestrels always.")
	b.press(fyne.KeyF)
	test.Type(b.w.Canvas().Focused(), "KESTRELS")
	b.shows("1 of 2")
	if b.find.at != "m1" {
		t.Errorf("at %s, want m1", b.find.at)
	}
	b.find.step(1)
	b.find.step(1)
	b.find.step(-1)
	b.shows("2 of 2")
	if b.find.at != "m3" {
		t.Errorf("at %s, want m3", b.find.at)
	}
	b.find.entry.SetText("悬停")
	b.shows("1 of 1")
	b.find.entry.SetText("ostrich")
	b.shows("Nothing found")
}

func TestRemembers(t *testing.T) {
	b := open(t, settings.Preferences{}, nil)
	b.press(fyne.KeyB)
	b.press(fyne.KeyM)
	b.hides(look.T("sidebar.new"))
	if !b.panel.Visible() || !b.f.Watched() {
		t.Error("Ctrl+M shows no monitor")
	}
	b.w.Resize(fyne.NewSize(900, 700))
	b.remember()
	if err := b.prefs.Save(t.Context(), b.s); err != nil {
		t.Fatal(err)
	}
	kept, err := settings.Load(t.Context(), b.s)
	if err != nil || !kept.HideSidebar || !kept.ShowMonitor || kept.Width != 900 || kept.Height != 700 {
		t.Errorf("%v: kept %+v", err, kept)
	}
	b.prefs = kept
	b.fit(800, 600) // a screen that is smaller
	if size := b.w.Canvas().Size(); size.Width > 800 || size.Height > 600 {
		t.Errorf("the window is %v on a screen of 800 by 600", size)
	}
	b.press(fyne.KeyM)
	if b.panel.Visible() {
		t.Error("Ctrl+M does not hide the monitor")
	}
	b.press(fyne.KeyK) // a search wants the sidebar
	b.shows(look.T("sidebar.new"))
}
