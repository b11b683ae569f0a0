package chatview

import (
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
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
