package chatview

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/widget"
)

// row is one entry of a thread, as it exists while it can be seen or nearly.
type row interface {
	fyne.CanvasObject
	// arrange lays the row out for a width and returns its height.
	arrange(width float32) float32
	// viewport tells which part of the row can be seen.
	viewport(from, to float32)
}

// entry is a row in the thread's order.
type entry struct {
	key   string
	guess func(width float32) float32 // its height before it exists
	make  func() row
}

// thread is a scrolled column of rows of which only those near the viewport
// exist. Heights of the others are guessed; where a guess turns out wrong above
// the viewport, what is seen stays where it is.
type thread struct {
	scroll  *container.Scroll
	content *threadContent

	entries []entry
	live    map[string]row
	heights map[string]float32 // measured, for width
	width   float32

	follow  bool // the end stays in sight
	inside  bool // the thread itself moves the offset
	flowing bool // rows are being laid out
	again   bool // and will have to be once more
	onMoved func()
}

const (
	threadPad = 16 // above the first row and below the last
	rowGap    = 12
	nearby    = 0.5 // heights of the viewport around it whose rows exist
	atEnd     = 12  // this near to the end counts as there
)

func newThread(onMoved func()) *thread {
	t := &thread{live: map[string]row{}, heights: map[string]float32{}, follow: true, onMoved: onMoved}
	t.content = &threadContent{thread: t}
	t.content.ExtendBaseWidget(t.content)
	t.scroll = container.NewVScroll(t.content)
	t.scroll.OnScrolled = func(fyne.Position) {
		if t.inside {
			return
		}
		t.follow = t.distance() < atEnd
		t.reflow()
		t.onMoved()
	}
	return t
}

// set shows entries. Rows whose keys stay are kept.
func (t *thread) set(entries []entry) {
	t.entries = entries
	keep := make(map[string]bool, len(entries))
	for _, e := range entries {
		keep[e.key] = true
	}
	for key := range t.live {
		if !keep[key] {
			delete(t.live, key)
		}
	}
	for key := range t.heights {
		if !keep[key] {
			delete(t.heights, key)
		}
	}
	t.reflow()
}

// reset forgets all rows and stands at the end.
func (t *thread) reset() {
	clear(t.live)
	clear(t.heights)
	t.entries = nil
	t.follow = true
}

// toEnd goes to the end and stays there.
func (t *thread) toEnd() {
	t.follow = true
	t.reflow()
	t.onMoved()
}

// by scrolls by a part of the viewport's height.
func (t *thread) by(pages float32) {
	t.moveTo(t.scroll.Offset.Y + pages*t.scroll.Size().Height)
}

// moveTo scrolls so that y is at the top.
func (t *thread) moveTo(y float32) {
	t.scroll.Offset.Y = max(0, min(y, t.total()-t.scroll.Size().Height))
	t.follow = t.distance() < atEnd
	t.reflow()
	t.onMoved()
}

// reveal scrolls to a row and reports whether it is there.
func (t *thread) reveal(key string) bool {
	y := float32(threadPad)
	for _, e := range t.entries {
		if e.key == key {
			t.moveTo(y - threadPad)
			return true
		}
		y += t.height(e) + rowGap
	}
	return false
}

// show scrolls as far as it takes to see an object of a row, or its beginning
// where it is higher than the viewport.
func (t *thread) show(o fyne.CanvasObject) {
	if !t.scroll.Visible() || t.flowing {
		return
	}
	driver := fyne.CurrentApp().Driver()
	top := driver.AbsolutePositionForObject(o).Y - driver.AbsolutePositionForObject(t.scroll).Y
	below := top + o.Size().Height - t.scroll.Size().Height
	switch {
	case top < 0 && below <= 0:
		t.moveTo(t.scroll.Offset.Y + top - rowGap)
	case below > 0 && top > 0:
		t.moveTo(t.scroll.Offset.Y + min(below, top) + rowGap)
	}
}

func (t *thread) height(e entry) float32 {
	if h, ok := t.heights[e.key]; ok {
		return h
	}
	return e.guess(t.width)
}

func (t *thread) total() float32 {
	y := float32(threadPad)
	for _, e := range t.entries {
		y += t.height(e) + rowGap
	}
	return y - rowGap + threadPad
}

// distance is how far the viewport's end is above the thread's.
func (t *thread) distance() float32 {
	return t.total() - t.scroll.Offset.Y - t.scroll.Size().Height
}

// reflow makes the rows that are to be seen, measures them and puts them in
// their places.
func (t *thread) reflow() {
	size := t.scroll.Size()
	if size.Width <= 0 || size.Height <= 0 {
		return
	}
	if t.flowing { // a row that is measured found that it needs another height
		t.again = true
		return
	}
	t.flowing = true
	for range maxFlows {
		t.again = false
		if t.flow(size); !t.again {
			break
		}
	}
	t.flowing = false
	canvasRefresh(t.content)
}

// maxFlows bounds how often rows may change their minds.
const maxFlows = 4

func (t *thread) flow(size fyne.Size) {
	if size.Width != t.width {
		anchor, into := t.anchor()
		t.width = size.Width
		clear(t.heights)
		t.settle(anchor, into)
	} else {
		t.settle(t.anchor())
	}
}

// anchor is the entry at the top of the viewport, and how far the top is into it.
func (t *thread) anchor() (index int, into float32) {
	y := float32(threadPad)
	for i, e := range t.entries {
		h := t.height(e)
		if y+h+rowGap > t.scroll.Offset.Y {
			return i, t.scroll.Offset.Y - y
		}
		y += h + rowGap
	}
	return len(t.entries), 0
}

// settle measures rows until those in sight have their places: with the end at
// the viewport's end, or into of the anchor above its top.
func (t *thread) settle(anchor int, into float32) {
	view := t.scroll.Size().Height
	var tops []float32
	var from, to int
	for range 4 { // each pass measures what the last brought into sight
		y := float32(threadPad)
		tops = tops[:0]
		for _, e := range t.entries {
			tops = append(tops, y)
			y += t.height(e) + rowGap
		}
		total := y - rowGap + threadPad
		offset := total - view
		if !t.follow && anchor < len(tops) {
			offset = min(tops[anchor]+into, offset)
		}
		offset = max(offset, 0)
		t.scroll.Offset.Y = offset

		low, high := offset-nearby*view, offset+(1+nearby)*view
		from, to = len(t.entries), 0
		wrong := false
		for i, e := range t.entries {
			if h := t.height(e); tops[i]+h < low || tops[i] > high {
				continue
			}
			from, to = min(from, i), max(to, i+1)
			r := t.live[e.key]
			if r == nil {
				r = e.make()
				t.live[e.key] = r
			}
			h := r.arrange(t.width)
			if known, ok := t.heights[e.key]; !ok || known != h {
				wrong = wrong || h != t.height(e)
				t.heights[e.key] = h
			}
		}
		if !wrong {
			break
		}
	}
	t.place(tops, from, to)
}

func (t *thread) place(tops []float32, from, to int) {
	view, offset := t.scroll.Size().Height, t.scroll.Offset.Y
	objects := make([]fyne.CanvasObject, 0, max(to-from, 0))
	seen := map[string]bool{}
	for i := from; i < to; i++ {
		e := t.entries[i]
		r := t.live[e.key]
		if r == nil {
			continue
		}
		seen[e.key] = true
		r.viewport(offset-tops[i], offset+view-tops[i])
		if at := fyne.NewPos(0, tops[i]); r.Position() != at {
			r.Move(at)
		}
		if s := fyne.NewSize(t.width, t.heights[e.key]); r.Size() != s {
			r.Resize(s)
		}
		objects = append(objects, r)
	}
	for key, r := range t.live {
		if keeper, ok := r.(interface{ keep() bool }); !seen[key] && !(ok && keeper.keep()) {
			delete(t.live, key)
		}
	}
	t.content.objects = objects
	size := fyne.NewSize(t.width, t.total())
	t.inside = true
	if t.content.size != size {
		t.content.size = size
		// the scroll cuts its offset to the size that the content has
		t.content.Resize(fyne.NewSize(t.width, max(size.Height, view)))
		t.scroll.Refresh()
	}
	t.content.Move(fyne.NewPos(0, -t.scroll.Offset.Y))
	t.inside = false
}

// threadContent is what the thread scrolls.
type threadContent struct {
	widget.BaseWidget
	thread  *thread
	objects []fyne.CanvasObject
	size    fyne.Size
}

func (c *threadContent) MinSize() fyne.Size { return fyne.NewSize(0, c.size.Height) }

func (c *threadContent) CreateRenderer() fyne.WidgetRenderer { return &threadRenderer{c} }

type threadRenderer struct{ content *threadContent }

func (r *threadRenderer) Destroy()                     {}
func (r *threadRenderer) Layout(fyne.Size)             {}
func (r *threadRenderer) MinSize() fyne.Size           { return r.content.MinSize() }
func (r *threadRenderer) Objects() []fyne.CanvasObject { return r.content.objects }

func (r *threadRenderer) Refresh() {
	for _, o := range r.content.objects {
		o.Refresh()
	}
}
