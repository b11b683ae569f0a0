package chatview

import (
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
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

// stage is a view in a window, over a session that the test plays.
type stage struct {
	t    testing.TB
	v    *View
	fake *sessiontest.Fake
	w    fyne.Window

	self  string
	mu    sync.Mutex
	queue []func()
}

func newStage(t testing.TB, o look.Options, l look.Language, setup func(*sessiontest.Fake)) *stage {
	t.Helper()
	looktest.App(t, o, l)
	fake := sessiontest.New()
	if setup != nil {
		setup(fake)
	}
	w := test.NewTempWindow(t, widget.NewLabel(""))
	s := &stage{t: t, fake: fake, w: w, self: goroutine()}
	v := New(fake, Deps{Window: w, ChooseModel: func() { fake.Pull("chosen") }, Do: s.do})
	s.v = v
	t.Cleanup(v.Close)
	w.SetPadded(false)
	w.SetContent(v)
	w.Resize(fyne.NewSize(760, 640))
	fake.Calls()
	return s
}

// do stands in for Fyne's goroutine, which is the test's: what comes from
// others waits until the test has a look.
func (s *stage) do(f func()) {
	if goroutine() == s.self {
		f()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, f)
}

func (s *stage) drain() {
	s.mu.Lock()
	queue := s.queue
	s.queue = nil
	s.mu.Unlock()
	for _, f := range queue {
		f()
	}
}

// goroutine names the one that calls: "goroutine 7 [running]:".
func goroutine() string {
	buf := make([]byte, 32)
	name, _, _ := strings.Cut(string(buf[:runtime.Stack(buf, false)]), " [")
	return name
}

// calls are the commands since the last call.
func (s *stage) calls() string {
	var out []string
	for _, c := range s.fake.Calls() {
		out = append(out, c.String())
	}
	return strings.Join(out, "; ")
}

func (s *stage) expect(want string) {
	s.t.Helper()
	if got := s.calls(); got != want {
		s.t.Errorf("commands are %q, want %q", got, want)
	}
}

// texts are all texts that are drawn.
func (s *stage) texts() string {
	s.drain()
	var b strings.Builder
	for _, o := range laidOut(s.w.Content()) {
		if c, ok := o.(*canvas.Text); ok && c.Text != "" {
			b.WriteString(c.Text + "\n")
		}
	}
	return b.String()
}

func (s *stage) shows(want ...string) {
	s.t.Helper()
	texts := s.texts()
	for _, w := range want {
		if !strings.Contains(texts, w) {
			s.t.Errorf("%q is not shown, but\n%s", w, texts)
		}
	}
}

func (s *stage) hides(not ...string) {
	s.t.Helper()
	texts := s.texts()
	for _, n := range not {
		if strings.Contains(texts, n) {
			s.t.Errorf("%q is shown:\n%s", n, texts)
		}
	}
}

// laidOut lists what is visible within o.
func laidOut(o fyne.CanvasObject) []fyne.CanvasObject {
	if !o.Visible() {
		return nil
	}
	out := []fyne.CanvasObject{o}
	switch o := o.(type) {
	case *fyne.Container:
		for _, c := range o.Objects {
			out = append(out, laidOut(c)...)
		}
	case fyne.Widget:
		for _, c := range test.WidgetRenderer(o).Objects() {
			out = append(out, laidOut(c)...)
		}
	}
	return out
}

// button is the nth visible button with that text or hint.
func (s *stage) button(text string, n int) *parts.Button {
	s.t.Helper()
	for _, o := range laidOut(s.w.Content()) {
		if b, ok := o.(*parts.Button); ok && (b.Text == text || b.Hint() == text) {
			if n == 0 {
				return b
			}
			n--
		}
	}
	s.t.Fatalf("there is no button %q", text)
	return nil
}

func (s *stage) hasButton(text string) bool {
	for _, o := range laidOut(s.w.Content()) {
		if b, ok := o.(*parts.Button); ok && (b.Text == text || b.Hint() == text) {
			return !b.Disabled()
		}
	}
	return false
}

func (s *stage) tap(text string) { s.t.Helper(); test.Tap(s.button(text, 0)) }

func (s *stage) key(o fyne.Focusable, name fyne.KeyName) { o.TypedKey(&fyne.KeyEvent{Name: name}) }

// talk is a conversation with n turns of each side.
func talk(n int) func(*session.Conversation) {
	return func(c *session.Conversation) {
		for i := range n {
			id := string(rune('a'+i%26)) + strings.Repeat("x", i/26)
			c.Messages = append(c.Messages,
				sessiontest.Message("u"+id, "user", "Question "+id+": what does a falcon eat?", session.Complete),
				answer("m"+id, "Answer **"+id+"**. A falcon eats:\n\n- birds, above all\n- mice and voles\n\nIt hunts from the air.", session.Complete))
		}
	}
}

func answer(id, text string, status session.Status) *session.Message {
	m := sessiontest.Message(id, "assistant", text, status)
	m.Model = "demo"
	m.Stats = session.Stats{Tokens: 57, Rate: 42.5, FirstToken: 310 * time.Millisecond}
	return m
}

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

// body is the text of a live turn.
func (v *View) body(id string) interface {
	fyne.Focusable
	Flush()
} {
	return v.thread.live[id].(*turn).body
}

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
	s.shows("The graphics device was lost.")
	s.tap("Load the model again")
	if got := s.calls(); !strings.HasPrefix(got, "Load(") || !strings.Contains(got, "falcon-mamba-7b") {
		t.Errorf("commands are %s", got)
	}
	if e.Text != "kept" || !s.v.composer.send.Disabled() {
		t.Error("the draft was sent or lost without a model")
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
	s.shows("Part of an answ", "The graphics device was lost.")
	s.hides("birdsxx")
	f := s.v.thread.live["mb"].(*turn).fault
	s.fake.UpdateConversation(func(c *session.Conversation) { m := *c.Messages[2]; c.Messages[2] = &m })
	if s.v.thread.live["mb"].(*turn).fault != f {
		t.Error("the fault is made anew with each snapshot")
	}
	s.tap("Try again")
	s.expect(`Regenerate("mb")`)
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
