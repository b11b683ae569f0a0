package parts

import (
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"kestrel/app/ui/look"
	"kestrel/app/ui/look/looktest"
)

// TestRows: what has no room on one line gets more of them, at any width that
// its widest piece allows.
func TestRows(t *testing.T) {
	looktest.App(t, look.Options{}, look.English)
	line := func(text string) fyne.CanvasObject {
		c := canvas.NewText(text, theme.Color(theme.ColorNameForeground))
		c.TextSize = theme.TextSize()
		return c
	}
	note := func(text string) *Note { return NewNote(text, theme.ColorNameForeground, theme.SizeNameText) }
	for name, make := range map[string]func() fyne.CanvasObject{
		"lines":  func() fyne.CanvasObject { return Pair(line("Main memory"), line("64.0 MiB of 31.0 GiB")) },
		"notes":  func() fyne.CanvasObject { return Pair(note("Main memory the device sees"), line("64.0 MiB")) },
		"choice": func() fyne.CanvasObject { return Pair(line("Memory"), widget.NewButton("5 minutes", nil)) },
		"flow": func() fyne.CanvasObject {
			return Flow(8, widget.NewButton("one", nil), widget.NewButton("two", nil), widget.NewButton("three", nil))
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, width := range []float32{600, 200, 600} {
				column := Column(make(), widget.NewLabel("below"))
				w := test.NewWindow(column)
				w.SetPadded(false)
				w.Resize(fyne.NewSize(width, 300))
				column.Refresh()
				if wrong := looktest.Misplaced(w.Canvas()); len(wrong) > 0 {
					t.Errorf("at a width of %g: %s", width, strings.Join(wrong, "\n"))
				}
				w.Close()
			}
			one := make()
			one.Resize(fyne.NewSize(600, 40))
			wide := one.MinSize().Height
			one.Resize(fyne.NewSize(110, 40))
			if narrow := one.MinSize().Height; narrow <= wide {
				t.Errorf("height is %g where it is narrow and %g where it is wide", narrow, wide)
			}
		})
	}
}

func TestShorten(t *testing.T) {
	fits := func(n int) func(string) bool {
		return func(s string) bool { return len([]rune(s)) <= n }
	}
	for _, c := range []struct {
		text string
		room int
		want string
	}{
		{"a · b · c", 9, "a · b · c"}, {"a · b · c", 8, "a · b"}, {"model · b", 5, "model"}, {"model · b", 4, "mod…"}, {"红隼模型", 3, "红隼…"}, {"", 0, ""},
	} {
		if got := Shorten(c.text, fits(c.room)); got != c.want {
			t.Errorf("%q in %d: %q, want %q", c.text, c.room, got, c.want)
		}
	}
}

// TestScroll: the keyboard scrolls, what gains the focus is scrolled into sight,
// and where all is seen the scroll itself takes no focus.
func TestScroll(t *testing.T) {
	looktest.App(t, look.Options{}, look.English)
	column := container.NewVBox()
	for range 20 {
		column.Add(NewButton("a button", nil))
	}
	s := NewScroll(column)
	w := test.NewWindow(s)
	defer w.Close()
	w.Resize(fyne.NewSize(200, 200))
	if s.Disabled() {
		t.Fatal("there is much to scroll to, and no focus to do it with")
	}
	key := func(k fyne.KeyName) float32 { s.TypedKey(&fyne.KeyEvent{Name: k}); return s.Offset() }
	end := column.MinSize().Height - s.Size().Height
	for _, step := range []struct {
		key  fyne.KeyName
		want float32
	}{
		{fyne.KeyUp, 0}, {fyne.KeyDown, 40}, {fyne.KeyUp, 0}, {fyne.KeySpace, page * s.Size().Height}, {fyne.KeyPageUp, 0}, {fyne.KeyEnd, end}, {fyne.KeyPageDown, end}, {fyne.KeyHome, 0},
	} {
		if got := key(step.key); got < step.want-1 || got > step.want+1 {
			t.Errorf("after %s it is at %g, want %g", step.key, got, step.want)
		}
	}
	for _, i := range []int{19, 10, 0} {
		b := column.Objects[i].(*Button)
		w.Canvas().Focus(b)
		if top := b.Position().Y - s.Offset(); top < -1 || top+b.Size().Height > s.Size().Height+1 {
			t.Errorf("button %d has the focus at %g of %g", i, top, s.Size().Height)
		}
	}
	w.Resize(fyne.NewSize(200, 2000))
	if !s.Disabled() {
		t.Error("all is seen, and it takes the focus")
	}
}
