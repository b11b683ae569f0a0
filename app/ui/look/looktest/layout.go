package looktest

import (
	"fmt"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/test"
)

// slack is how far, in Fyne's units, text may reach over an edge: sizes of text
// are rounded, and the ends of italic letters lean.
const slack = 2

// mark is something that is read: a line of text, or an icon.
type mark struct {
	what   string
	at     area              // where it is drawn
	seen   area              // what of it is not cut off
	scroll *container.Scroll // that it lies in; nil for none
}

// area is a rectangle on the canvas.
type area struct{ left, top, right, bottom float32 }

func (a area) and(b area) area {
	return area{max(a.left, b.left), max(a.top, b.top), min(a.right, b.right), min(a.bottom, b.bottom)}
}

// deep reports whether an area has room in both directions.
func (a area) deep(least float32) bool { return a.right-a.left > least && a.bottom-a.top > least }

// Misplaced lists texts and icons that overlap one another, or that leave what
// they stand in: the panel, card or button around them. What a scroll hides may
// be reached by scrolling, so it counts only across the scroll's direction.
func Misplaced(c fyne.Canvas) []string {
	top := c.Overlays().Top()
	if top == nil {
		top = c.Content()
	}
	size := c.Size()
	w := placeWalk{}
	everything := area{0, 0, size.Width, size.Height}
	w.walk(top, fyne.Position{}, nil, everything, everything)
	for i, a := range w.marks {
		for _, b := range w.marks[:i] {
			common := a.seen.and(b.seen)
			if a.scroll == b.scroll { // as it will be when one has scrolled there
				common = a.at.and(b.at)
			}
			if common.deep(slack) {
				w.wrong = append(w.wrong, fmt.Sprintf("%s at %v overlaps %s at %v", a.what, a.at, b.what, b.at))
			}
		}
	}
	return w.wrong
}

type placeWalk struct {
	marks []mark
	wrong []string
}

// walk visits an object and what is in it. bounds is what the marks in it must
// stay within, seen what of them is to be seen.
func (w *placeWalk) walk(o fyne.CanvasObject, offset fyne.Position, scroll *container.Scroll, bounds, seen area) {
	if o == nil || !o.Visible() {
		return
	}
	at := o.Position().Add(offset)
	size := o.Size()
	own := area{at.X, at.Y, at.X + size.Width, at.Y + size.Height}
	within := bounds.and(own)
	if size.IsZero() { // it was never laid out, and cuts nothing off
		within = bounds
	}
	switch o := o.(type) {
	case *canvas.Text:
		w.text(o, own, bounds, seen, scroll)
	case *canvas.Image:
		w.add(mark{what: "an icon", at: own, scroll: scroll}, bounds, seen)
	case *fyne.Container:
		for _, child := range o.Objects {
			w.walk(child, at, scroll, within, seen)
		}
	case *container.Scroll:
		inner := bounds.and(own)
		if o.Direction != container.ScrollHorizontalOnly { // what is above or below can be scrolled to
			inner.top, inner.bottom = -unlimited, unlimited
		}
		if o.Direction != container.ScrollVerticalOnly {
			inner.left, inner.right = -unlimited, unlimited
		}
		w.walk(o.Content, at, o, inner, seen.and(own))
	case fyne.Widget:
		r := test.WidgetRenderer(o)
		if _, clips := r.(interface{ IsClip() }); clips {
			seen = seen.and(own)
		}
		for _, child := range r.Objects() {
			w.walk(child, at, scroll, within, seen)
		}
	}
}

const unlimited = 1e9

// text takes a line as it is drawn: beyond its own size where that is small.
func (w *placeWalk) text(t *canvas.Text, own, bounds, seen area, scroll *container.Scroll) {
	if t.Text == "" {
		return
	}
	need := fyne.MeasureText(t.Text, t.TextSize, t.TextStyle)
	at := own
	switch spare := own.right - own.left - need.Width; t.Alignment {
	case fyne.TextAlignTrailing:
		at.left += spare
	case fyne.TextAlignCenter:
		at.left += spare / 2
	}
	at.right = at.left + need.Width
	// a line is higher than its letters
	middle := (own.top + own.bottom) / 2
	at.top, at.bottom = middle-t.TextSize*0.45, middle+t.TextSize*0.45
	w.add(mark{what: fmt.Sprintf("%q", t.Text), at: at, scroll: scroll}, bounds, seen)
}

func (w *placeWalk) add(m mark, bounds, seen area) {
	m.seen = m.at.and(seen)
	if m.scroll == nil && !m.seen.deep(0) {
		w.wrong = append(w.wrong, fmt.Sprintf("%s at %v is out of sight", m.what, m.at))
		return
	}
	switch {
	case m.at.left < bounds.left-slack, m.at.right > bounds.right+slack:
		w.wrong = append(w.wrong, fmt.Sprintf("%s at %v is wider than its place, %v", m.what, m.at, bounds))
	case m.at.top < bounds.top-slack, m.at.bottom > bounds.bottom+slack:
		w.wrong = append(w.wrong, fmt.Sprintf("%s at %v is higher than its place, %v", m.what, m.at, bounds))
	}
	w.marks = append(w.marks, m)
}
