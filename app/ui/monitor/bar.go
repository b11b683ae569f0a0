package monitor

import (
	"image/color"
	"math"
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"
)

// segment is a part of a bar, as a share of its length.
type segment struct {
	share float64
	color color.Color
}

// bar is a stacked bar on a track, with a mark where a limit is.
type bar struct {
	widget.BaseWidget
	height   float32
	segments []segment
	mark     float64 // place of the mark; outside 0 to 1 there is none

	track, tick *canvas.Rectangle
	parts       []*canvas.Rectangle
}

const gap = 1 // between two segments

func newBar(height float32) *bar {
	b := &bar{height: height, mark: -1, track: canvas.NewRectangle(color.Transparent), tick: canvas.NewRectangle(color.Transparent)}
	b.track.CornerRadius = 3
	b.ExtendBaseWidget(b)
	return b
}

// set shows segments; a part that there is has at least two pixels.
func (b *bar) set(segments []segment, mark float64) {
	if b.looksLike(segments, mark) { // a window is drawn anew as a whole: spare it
		return
	}
	b.segments, b.mark = segments, mark
	for len(b.parts) < len(segments) {
		r := canvas.NewRectangle(color.Transparent)
		b.parts = append(b.parts, r)
	}
	b.Refresh()
}

// looksLike tells whether a change would hardly show: a pixel is about a 500th.
func (b *bar) looksLike(segments []segment, mark float64) bool {
	near := func(x, y float64) bool { return math.Abs(x-y) < 1.0/1000 }
	return near(b.mark, mark) && slices.EqualFunc(b.segments, segments, func(x, y segment) bool { return near(x.share, y.share) && x.color == y.color })
}

func (b *bar) CreateRenderer() fyne.WidgetRenderer { return &barRenderer{b} }

type barRenderer struct{ b *bar }

func (r *barRenderer) Destroy()           {}
func (r *barRenderer) MinSize() fyne.Size { return fyne.NewSize(60, r.b.height+4) }

func (r *barRenderer) Objects() []fyne.CanvasObject {
	objects := []fyne.CanvasObject{r.b.track}
	for _, p := range r.b.parts {
		objects = append(objects, p)
	}
	return append(objects, r.b.tick)
}

func (r *barRenderer) Layout(size fyne.Size) {
	b := r.b
	b.track.Resize(fyne.NewSize(size.Width, b.height))
	b.track.Move(fyne.NewPos(0, 2))
	x := float32(0)
	for i, p := range b.parts {
		if i >= len(b.segments) || b.segments[i].share <= 0 {
			p.Hide()
			continue
		}
		w := min(max(float32(b.segments[i].share)*size.Width, 2), size.Width-x)
		p.Show()
		p.Move(fyne.NewPos(x, 2))
		p.Resize(fyne.NewSize(max(w-gap, 1), b.height))
		p.CornerRadius = 0
		if i == 0 {
			p.TopLeftCornerRadius, p.BottomLeftCornerRadius = 3, 3
		}
		x += w
	}
	if b.mark < 0 || b.mark > 1 {
		b.tick.Hide()
		return
	}
	b.tick.Show()
	b.tick.Resize(fyne.NewSize(2, b.height+4))
	b.tick.Move(fyne.NewPos(min(float32(b.mark)*size.Width, size.Width-2), 0))
}

func (r *barRenderer) Refresh() {
	b := r.b
	b.track.FillColor = themed(theme.ColorNameButton)
	b.tick.FillColor = themed(theme.ColorNameForeground)
	for i, s := range b.segments {
		b.parts[i].FillColor = s.color
	}
	r.Layout(b.Size())
	canvas.Refresh(b)
}
