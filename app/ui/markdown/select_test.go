package markdown

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/widget"

	"kestrel/app/ui/look"
	"kestrel/app/ui/look/looktest"
)

// shown is a view in a window.
func shown(t *testing.T, text string, width, height float32) (*View, fyne.Window) {
	looktest.App(t, look.Options{}, look.English)
	v, _ := newView(t)
	v.SetText(text, false)
	w := test.NewTempWindow(t, container.NewWithoutLayout(v))
	w.SetPadded(false)
	w.Resize(fyne.NewSize(width, height))
	v.Resize(fyne.NewSize(width, height))
	return v, w
}

// find is the middle of the first or last character of the first place where
// text stands.
func find(t *testing.T, v *View, text string, end bool) fyne.Position {
	t.Helper()
	for i, l := range v.leaves {
		at := strings.Index(l.text, text)
		if at < 0 {
			continue
		}
		offset, shift := at, float32(1)
		if end {
			offset, shift = at+len(text), -1
		}
		for n := range l.box.lines {
			if ln := &l.box.lines[n]; offset >= ln.start && offset <= ln.end {
				return fyne.NewPos(ln.x+l.xOf(ln, offset)+shift, v.tops[i]+ln.y+ln.h/2)
			}
		}
	}
	t.Fatalf("%q is not there", text)
	return fyne.Position{}
}

func (v *View) press(p fyne.Position, mod fyne.KeyModifier) {
	e := &desktop.MouseEvent{Button: desktop.MouseButtonPrimary, Modifier: mod}
	e.Position = p
	v.MouseDown(e)
}

func (v *View) release(p fyne.Position) {
	e := &desktop.MouseEvent{Button: desktop.MouseButtonPrimary}
	e.Position = p
	v.MouseUp(e)
}

func (v *View) drag(p fyne.Position) {
	e := &fyne.DragEvent{}
	e.Position = p
	v.Dragged(e)
}

func TestSelectByMouse(t *testing.T) {
	v, w := shown(t, "First **bold** words that wrap over several lines of this narrow view.\n\n- item one\n- item two\n\n```go\nx :=\t1\n```\n\n中文的文本", 150, 600)
	for _, c := range []struct{ from, to, want string }{
		{"First", "First", "First"},
		{"bold", "words", "bold words"},
		{"words", "several", "words that wrap over several"},
		{"several", "bold", "bold words that wrap over several"}, // backwards
		{"view.", "item one", "view.\n\n• item one"},
		{"item one", "item two", "• item one\n• item two"},
		{"one", "two", "one\n• item two"},
		{"item two", "x :=", "• item two\n\nx :="},
		{"的", "文本", "的文本"},
	} {
		from, to := find(t, v, c.from, false), find(t, v, c.to, true)
		if c.from == "several" {
			from, to = find(t, v, "several", true), find(t, v, "bold", false)
		}
		v.sel.last = time.Time{}
		v.press(from, 0)
		v.drag(to)
		v.release(to)
		v.DragEnd()
		if got := v.Selected(); got != c.want {
			t.Errorf("from %q to %q: %q, want %q", c.from, c.to, got, c.want)
		}
	}
	if w.Canvas().Focused() != v {
		t.Error("the view has no focus")
	}
	fyne.CurrentApp().Clipboard().SetContent("")
	v.TypedShortcut(&fyne.ShortcutCopy{})
	if got := fyne.CurrentApp().Clipboard().Content(); got != "的文本" {
		t.Errorf("clipboard has %q", got)
	}
	v.TypedShortcut(&fyne.ShortcutSelectAll{})
	v.TypedShortcut(&fyne.ShortcutCopy{})
	want := "First bold words that wrap over several lines of this narrow view.\n\n• item one\n• item two\n\nx :=\t1\n\n中文的文本"
	if got := fyne.CurrentApp().Clipboard().Content(); got != want {
		t.Errorf("clipboard has %q, want %q", got, want)
	}
	keys := 0
	v.OnKey = func(*fyne.KeyEvent) { keys++ }
	v.TypedKey(&fyne.KeyEvent{Name: fyne.KeyEscape})
	if v.Selected() != "" || keys != 0 {
		t.Error("Escape does not clear the selection first")
	}
	v.TypedKey(&fyne.KeyEvent{Name: fyne.KeyEscape})
	if keys != 1 {
		t.Error("Escape is not handed on")
	}
}

func TestClicks(t *testing.T) {
	v, _ := shown(t, "Some words, don't they?\n\n中文 text here", 400, 200)
	click := func(p fyne.Position, n int) string {
		v.sel.last = time.Time{}
		for range n {
			v.press(p, 0)
			v.release(p)
		}
		return v.Selected()
	}
	for _, c := range []struct {
		at   string
		n    int
		want string
	}{
		{"words", 1, ""},
		{"words", 2, "words"},
		{"don't", 2, "don't"},
		{"words", 3, "Some words, don't they?"},
		{"words", 4, ""},
		{"文", 2, "文"},
		{"here", 2, "here"},
	} {
		if got := click(find(t, v, c.at, false), c.n); got != c.want {
			t.Errorf("%d clicks at %q: %q, want %q", c.n, c.at, got, c.want)
		}
	}
	// words stay whole when a double click is dragged
	v.sel.last = time.Time{}
	v.press(find(t, v, "words", false), 0)
	v.release(find(t, v, "words", false))
	v.press(find(t, v, "words", false), 0)
	v.drag(find(t, v, "they", false))
	if got := v.Selected(); got != "words, don't they" {
		t.Errorf("dragged words: %q", got)
	}
	// Shift moves the end
	v.sel.last = time.Time{}
	v.press(find(t, v, "Some", false), 0)
	v.release(find(t, v, "Some", false))
	v.press(find(t, v, "words", true), fyne.KeyModifierShift)
	if got := v.Selected(); got != "Some words" {
		t.Errorf("with Shift: %q", got)
	}
}

func TestSelectionIsSeenAndStaysWhileTextGrows(t *testing.T) {
	v, _ := shown(t, "One two three.", 300, 200)
	v.SetText("One two three.", true)
	v.press(find(t, v, "two", false), 0)
	v.drag(find(t, v, "two", true))
	v.DragEnd()
	v.earliest = time.Time{}
	v.SetText("One two three. And more **words", true)
	if got := v.Selected(); got != "two" {
		t.Errorf("selected is %q", got)
	}
	seen := false
	for _, o := range test.WidgetRenderer(v).Objects() {
		if r, ok := o.(*canvas.Rectangle); ok && r.Size().Width > 10 && r.Size().Width < 40 {
			seen = true
		}
	}
	if !seen {
		t.Error("the selection is not drawn")
	}
}

func TestCopyCode(t *testing.T) {
	v, _ := shown(t, "```\nif x {\n\ty()\n}\n```", 300, 200)
	for _, o := range test.WidgetRenderer(v).Objects() {
		if b, ok := o.(*copyButton); ok {
			test.Tap(b)
			if got := fyne.CurrentApp().Clipboard().Content(); got != "if x {\n\ty()\n}" {
				t.Errorf("clipboard has %q", got)
			}
			return
		}
	}
	t.Error("code has no copy button")
}

func TestReadLink(t *testing.T) {
	for _, c := range []struct {
		to, shown string
		open      bool
	}{
		{"https://example.org/a?b#c", "https://example.org/a?b#c", true},
		{"HTTP://example.org", "http://example.org", true},
		{"mailto:me@example.org", "mailto:me@example.org", true},
		{"https://раураl.com/x", "https://xn--l-7sba6dbr.com/x", true},
		{"file:///etc/passwd", "file:///etc/passwd", false},
		{"javascript:alert(1)", "javascript:alert(1)", false},
		{"relative/path", "relative/path", false},
		{"https:///nohost", "https:///nohost", false},
		{"https://user@example.org:8080/", "https://user@example.org:8080/", true},
		{"https://例子.cn:81/", "https://xn--fsqu00a.cn:81/", true},
		{"http://[::1", "http://[::1", false},
		{"https://a\u202eb.org", "https://xn--ab-g4t.org", true},
	} {
		l := readLink(c.to)
		if l.shown != c.shown || l.open != c.open {
			t.Errorf("%q: %q %v, want %q %v", c.to, l.shown, l.open, c.shown, c.open)
		}
	}
}

// openedApp records what is opened.
type openedApp struct {
	fyne.App
	opened []string
}

func (a *openedApp) OpenURL(u *url.URL) error {
	a.opened = append(a.opened, u.String())
	return nil
}

func TestLinkIsOpenedAfterItsAddressWasShown(t *testing.T) {
	v, w := shown(t, "See [this page](https://example.org/page), not [that](file:///etc/passwd).", 400, 300)
	app := &openedApp{App: fyne.CurrentApp()}
	fyne.SetCurrentApp(app)
	click := func(text string) {
		v.sel.last = time.Time{}
		p := find(t, v, text, false).Add(fyne.NewPos(4, 0))
		v.press(p, 0)
		v.release(p)
	}
	click("See")
	if w.Canvas().Overlays().Top() != nil {
		t.Fatal("plain text opens a dialog")
	}
	click("this page")
	texts, buttons := overlay(w)
	if !strings.Contains(texts, "https://example.org/page") || len(app.opened) > 0 {
		t.Fatalf("dialog says %q, opened %v", texts, app.opened)
	}
	test.Tap(buttons["Open"])
	if len(app.opened) != 1 || app.opened[0] != "https://example.org/page" {
		t.Errorf("opened %v", app.opened)
	}
	click("that")
	texts, buttons = overlay(w)
	if !strings.Contains(texts, "file:///etc/passwd") || buttons["Open"] != nil {
		t.Errorf("a file may be opened: %q", texts)
	}
	test.Tap(buttons["Copy address"])
	if got := app.Clipboard().Content(); got != "file:///etc/passwd" {
		t.Errorf("clipboard has %q", got)
	}
	// the end of a selection is no click
	v.sel.last = time.Time{}
	v.press(find(t, v, "See", false), 0)
	v.drag(find(t, v, "page", false))
	v.release(find(t, v, "page", false))
	if w.Canvas().Overlays().Top() != nil {
		t.Error("dragging over a link opens it")
	}
}

// TestLinksByKeyboard: Enter follows the link of a text, or lets one choose among
// several, and the key for menus opens the text's.
func TestLinksByKeyboard(t *testing.T) {
	for text, menu := range map[string][]string{
		"See [this](https://example.org/page), and [this](https://example.org/page) again.": nil,
		"See [this](https://example.org/a) or [that](https://example.org/b).":               {"https://example.org/a", "https://example.org/b"},
	} {
		v, w := shown(t, text, 400, 300)
		w.Canvas().Focus(v)
		v.TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
		if menu != nil {
			var labels []string
			for _, i := range looktest.Menu(w.Canvas()) {
				labels = append(labels, i.Label)
			}
			if !slices.Equal(labels, menu) {
				t.Fatalf("%s: the menu has %q, want %q", text, labels, menu)
			}
			w.Canvas().Focused().TypedKey(&fyne.KeyEvent{Name: fyne.KeyDown})
			w.Canvas().Focused().TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
		}
		texts, _ := overlay(w)
		if !strings.Contains(texts, "https://example.org/") {
			t.Fatalf("%s: Enter shows %q", text, texts)
		}
		app := &openedApp{App: fyne.CurrentApp()}
		fyne.SetCurrentApp(app)
		w.Canvas().Focused().TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
		if len(app.opened) != 1 {
			t.Errorf("%s: opened %v", text, app.opened)
		}
		w.Canvas().Focus(v)
		v.TypedKey(&fyne.KeyEvent{Name: desktop.KeyMenu})
		if len(looktest.Menu(w.Canvas())) == 0 {
			t.Errorf("%s: no menu", text)
		}
	}
}

func overlay(w fyne.Window) (texts string, buttons map[string]*keyButton) {
	buttons = map[string]*keyButton{}
	top := w.Canvas().Overlays().Top()
	if top == nil {
		return "", buttons
	}
	for _, o := range test.LaidOutObjects(top) {
		switch o := o.(type) {
		case *widget.Label:
			texts += o.Text + "\n"
		case *View:
			texts += o.Text() + "\n"
		case *keyButton:
			buttons[o.Text] = o
		}
	}
	return texts, buttons
}

func TestCursorOverLink(t *testing.T) {
	v, _ := shown(t, "See [this page](https://example.org/page).", 400, 300)
	move := func(text string) desktop.Cursor {
		e := &desktop.MouseEvent{}
		e.Position = find(t, v, text, false).Add(fyne.NewPos(3, 0))
		v.MouseMoved(e)
		return v.Cursor()
	}
	if move("See") != desktop.TextCursor || move("this") != desktop.PointerCursor {
		t.Error("the cursor does not tell links from text")
	}
}

func TestFocusIsSeen(t *testing.T) {
	v, w := shown(t, "Some text", 300, 100)
	frame := func() bool {
		for _, o := range test.WidgetRenderer(v).Objects() {
			if r, ok := o.(*canvas.Rectangle); ok && r.StrokeWidth > 0 {
				return true
			}
		}
		return false
	}
	w.Canvas().Focus(v)
	if !frame() {
		t.Error("the focus is not seen")
	}
	w.Canvas().Unfocus()
	if frame() {
		t.Error("the frame stays without the focus")
	}
	v.press(find(t, v, "text", false), 0)
	if frame() {
		t.Error("a click draws a frame")
	}
	typed := ""
	v.OnRune = func(r rune) { typed += string(r) }
	v.TypedRune('字')
	if typed != "字" {
		t.Errorf("typed %q", typed)
	}
}

// TestReleaseElsewhere: Fyne takes the focus away before it tells the end.
func TestReleaseElsewhere(t *testing.T) {
	v, w := shown(t, "Some text", 300, 100)
	v.press(find(t, v, "Some", false), 0)
	v.drag(fyne.NewPos(400, 300))
	v.release(fyne.NewPos(400, 300))
	w.Canvas().Unfocus()
	v.DragEnd()
	if got := v.Selected(); got != "Some text" || w.Canvas().Focused() != v {
		t.Errorf("%q is selected, the focus is at %v", got, w.Canvas().Focused())
	}
	w.Canvas().Unfocus()
	if got := v.Selected(); got != "" {
		t.Errorf("%q stays selected without the focus", got)
	}
}
