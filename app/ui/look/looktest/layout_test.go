package looktest

import (
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/widget"

	"kestrel/app/ui/look"
)

// TestMisplaced: what a reader would call overlapping or cut off is found, and
// what can be scrolled to is not.
func TestMisplaced(t *testing.T) {
	App(t, look.Options{}, look.English)
	label := func(text string, x, y float32) fyne.CanvasObject {
		l := widget.NewLabel(text)
		l.Resize(l.MinSize())
		l.Move(fyne.NewPos(x, y))
		return l
	}
	long := strings.Repeat("word ", 60)
	narrow := widget.NewButton("A button that is too narrow", nil)
	narrow.Resize(fyne.NewSize(40, 30))
	for name, c := range map[string]struct {
		content fyne.CanvasObject
		want    string // of what is wrong; "" for nothing
	}{
		"apart":        {container.NewVBox(widget.NewLabel("one"), widget.NewLabel("two")), ""},
		"overlapping":  {container.NewWithoutLayout(label("one", 10, 10), label("two", 20, 14)), "overlaps"},
		"out of sight": {container.NewWithoutLayout(label("one", 280, 10)), "wider"},
		"below":        {container.NewWithoutLayout(label("one", 10, 185)), "higher"},
		"button":       {container.NewWithoutLayout(narrow), "wider"},
		"hidden":       {container.NewWithoutLayout(label("one", 10, 10), hidden(label("two", 20, 14))), ""},
		"scrolled":     {container.NewVScroll(container.NewVBox(tall(), tall(), tall(), tall(), tall(), tall(), tall(), tall(), tall())), ""},
		"cut off":      {container.NewVScroll(widget.NewLabel("short")), ""},
		"too wide":     {container.NewVScroll(container.NewWithoutLayout(label(long, 0, 0))), "wider"},
		"sideways":     {container.NewHScroll(widget.NewLabel(long)), ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := test.NewWindow(c.content)
			defer w.Close()
			w.SetPadded(false)
			w.Resize(fyne.NewSize(300, 200))
			got := strings.Join(Misplaced(w.Canvas()), "\n")
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("%q, want %q in it", got, c.want)
			}
		})
	}
}

func hidden(o fyne.CanvasObject) fyne.CanvasObject { o.Hide(); return o }

func tall() fyne.CanvasObject { return widget.NewLabel("a line") }
