package parts

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"
)

// Scroll scrolls content up and down, with the mouse or, while it has the focus,
// with the keyboard. It takes the focus only where there is something to scroll
// to. A button, entry or choice in its containers that gains the focus is
// scrolled into sight.
type Scroll struct {
	widget.BaseWidget
	scroll  *container.Scroll
	ring    *canvas.Rectangle
	focused bool
}

var _ fyne.Disableable = (*Scroll)(nil)

// NewScroll returns a scroll of content.
func NewScroll(content fyne.CanvasObject) *Scroll {
	s := &Scroll{scroll: container.NewVScroll(content), ring: canvas.NewRectangle(color.Transparent)}
	s.ring.CornerRadius, s.ring.StrokeWidth = 4, 2
	s.ring.Hide()
	s.ExtendBaseWidget(s)
	return s
}

// step is how far an arrow key scrolls.
const step = 40

// page is the share of what is seen that a page is.
const page = 0.9

// By scrolls down by a distance, up by one below 0.
func (s *Scroll) By(distance float32) {
	most := max(0, s.scroll.Content.Size().Height-s.scroll.Size().Height)
	s.scroll.ScrollToOffset(fyne.NewPos(0, max(0, min(s.scroll.Offset.Y+distance, most))))
}

// Offset is how far it is scrolled down.
func (s *Scroll) Offset() float32 { return s.scroll.Offset.Y }

// TypedKey implements fyne.Focusable.
func (s *Scroll) TypedKey(ev *fyne.KeyEvent) {
	height := s.scroll.Size().Height
	switch ev.Name {
	case fyne.KeyUp:
		s.By(-step)
	case fyne.KeyDown:
		s.By(step)
	case fyne.KeyPageUp:
		s.By(-page * height)
	case fyne.KeyPageDown, fyne.KeySpace:
		s.By(page * height)
	case fyne.KeyHome:
		s.scroll.ScrollToTop()
	case fyne.KeyEnd:
		s.scroll.ScrollToBottom()
	default:
		Pass(s, ev)
	}
}

// TypedRune implements fyne.Focusable.
func (s *Scroll) TypedRune(rune) {}

// FocusGained implements fyne.Focusable.
func (s *Scroll) FocusGained() { s.focused = true; s.Refresh() }

// FocusLost implements fyne.Focusable.
func (s *Scroll) FocusLost() { s.focused = false; s.Refresh() }

// Disabled is whether all is to be seen: then it takes no focus.
func (s *Scroll) Disabled() bool {
	return s.scroll.Content.MinSize().Height <= s.scroll.Size().Height
}

// Enable implements fyne.Disableable; what the content needs decides.
func (s *Scroll) Enable() {}

// Disable implements fyne.Disableable; what the content needs decides.
func (s *Scroll) Disable() {}

// scrolls are those that are drawn. They belong to Fyne's goroutine.
var scrolls = map[*Scroll]bool{}

// reveal scrolls what holds o so that it is seen.
func reveal(o fyne.CanvasObject) {
	for s := range scrolls {
		if !holds(s.scroll.Content, o) {
			continue
		}
		driver := fyne.CurrentApp().Driver()
		top := driver.AbsolutePositionForObject(o).Y - driver.AbsolutePositionForObject(s.scroll).Y
		below := top + o.Size().Height - s.scroll.Size().Height
		switch {
		case top < 0:
			s.By(top - theme.Padding())
		case below > 0:
			s.By(min(below+theme.Padding(), top))
		}
	}
}

func holds(in, o fyne.CanvasObject) bool {
	if in == o {
		return true
	}
	if c, ok := in.(*fyne.Container); ok {
		for _, child := range c.Objects {
			if holds(child, o) {
				return true
			}
		}
	}
	return false
}

// CreateRenderer implements fyne.Widget.
func (s *Scroll) CreateRenderer() fyne.WidgetRenderer {
	scrolls[s] = true
	return &scrollRenderer{s}
}

type scrollRenderer struct{ s *Scroll }

func (r *scrollRenderer) Destroy()           { delete(scrolls, r.s) }
func (r *scrollRenderer) MinSize() fyne.Size { return r.s.scroll.MinSize() }

func (r *scrollRenderer) Layout(size fyne.Size) {
	r.s.scroll.Resize(size)
	r.s.ring.Resize(size)
}

func (r *scrollRenderer) Objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{r.s.scroll, r.s.ring}
}

func (r *scrollRenderer) Refresh() {
	r.s.ring.StrokeColor = theme.Color(theme.ColorNameFocus)
	r.s.ring.Hidden = !r.s.focused
	r.s.ring.Refresh()
	r.s.scroll.Refresh()
	canvas.Refresh(r.s)
}
