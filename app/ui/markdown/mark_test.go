package markdown

import (
	"image/color"
	"testing"

	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/theme"

	"kestrel/app/ui/look"
)

func TestMark(t *testing.T) {
	v, _ := shown(t, "# The Falcon\n\nA falcon hunts; no FALCON sleeps. 猎鹰飞翔\n\nThe end.", 500, 300)
	marks := func() (n int) {
		for _, o := range test.WidgetRenderer(v).Objects() {
			r, ok := o.(*canvas.Rectangle)
			if ok && r.Visible() && r.FillColor == color.Color(theme.Color(look.ColorMark)) {
				n++
			}
		}
		return n
	}
	for _, c := range []struct {
		text string
		want int
		y    float32 // at least
	}{{"falcon", 3, 0}, {"FALCON", 3, 0}, {"猎鹰", 1, 20}, {"end", 1, 40}, {"nothing", 0, 0}, {"", 0, 0}} {
		v.Mark(c.text)
		if got := marks(); got != c.want {
			t.Errorf("%q: %d marks, want %d", c.text, got, c.want)
		}
		if y, ok := v.FirstMark(); ok != (c.want > 0) || y < c.y {
			t.Errorf("%q: first at %v, %v", c.text, y, ok)
		}
	}
}

// TestMarkAcrossLines: a match that is broken is marked on both lines.
func TestMarkAcrossLines(t *testing.T) {
	v, _ := shown(t, "aaaa bbbb cccc dddd", 85, 300)
	if len(v.leaves[0].box.lines) < 2 {
		t.Fatal("the text does not wrap")
	}
	ln := v.leaves[0].box.lines[0]
	v.Mark(v.leaves[0].text[ln.end-2 : ln.end+3])
	n := 0
	for _, o := range test.WidgetRenderer(v).Objects() {
		if r, ok := o.(*canvas.Rectangle); ok && r.FillColor == color.Color(theme.Color(look.ColorMark)) {
			n++
		}
	}
	if n != 2 {
		t.Errorf("%d marks", n)
	}
}
