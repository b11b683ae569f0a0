package markdown

import (
	"sort"
	"strings"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"
)

// View shows one message of Markdown; see the package's comment.
type View struct {
	widget.BaseWidget

	// OnKey is given the keys that the view itself has no use for while it has
	// the focus, such as Escape.
	OnKey func(*fyne.KeyEvent)
	// OnFocused is told that the keyboard brought the focus.
	OnFocused func()
	// OnRune is given the characters that are typed meanwhile.
	OnRune func(rune)
	// OnShortcut is the same for shortcuts.
	OnShortcut func(fyne.Shortcut)
	// OnResized is called when the height changed for another reason than
	// SetText or Resize, such as the theme.
	OnResized func()
	// OnDragged, if set, is told while text is being selected where the mouse
	// is, in the view's coordinates, so that the surroundings may scroll.
	OnDragged func(fyne.Position)
	// Do runs a function on Fyne's goroutine; New sets fyne.Do.
	Do func(func())
	// More are entries for the end of the menu of the second mouse button.
	More []*fyne.MenuItem

	flow
	growing bool
	plain   bool
	width   float32
	look    appearance
	tops    []float32 // of the leaves
	height  float32
	told    float32 // the height that HeightFor returned last
	from    float32 // the part of the view that can be seen
	to      float32
	rows    *renderer

	next     string // text that waits for the next update
	waiting  bool
	earliest time.Time // of the next update

	mark    string // what is searched for, in small letters
	sel     selection
	hovered fyne.Position
	focused bool // by the keyboard, so that it must be seen
	clicked bool // the focus comes with a click
}

var (
	_ fyne.Widget        = (*View)(nil)
	_ fyne.Focusable     = (*View)(nil)
	_ fyne.Shortcutable  = (*View)(nil)
	_ fyne.Draggable     = (*View)(nil)
	_ desktop.Mouseable  = (*View)(nil)
	_ desktop.Hoverable  = (*View)(nil)
	_ desktop.Cursorable = (*View)(nil)
)

// unbounded is a viewport that shows all.
const unbounded = 1e9

// updates are at most 30 a second, and take at most a quarter of the time.
const (
	updateInterval = time.Second / 30
	updateShare    = 4
)

// New returns an empty view, all of which is visible.
func New() *View {
	v := &View{to: unbounded, Do: fyne.Do}
	v.ExtendBaseWidget(v)
	return v
}

// Text is the whole text, also what is not shown yet.
func (v *View) Text() string {
	if v.waiting {
		return v.next
	}
	return v.source
}

// SetText shows the text so far. While it is growing it may wait for a moment,
// so that updates stay below 30 a second; what ends it is shown at once.
func (v *View) SetText(source string, growing bool) {
	if source == v.Text() && growing == v.growing && !v.plain {
		return
	}
	v.plain = false
	if v.growing && growing {
		if wait := time.Until(v.earliest); wait > 0 {
			v.next = source
			if !v.waiting {
				v.waiting = true
				time.AfterFunc(wait, func() { v.Do(v.Flush) })
			}
			return
		}
	}
	v.waiting, v.next = false, ""
	v.growing = growing
	v.update(source)
}

// Plain is how text without markup is set.
type Plain struct {
	Bold, Muted, Small bool
}

// small is the size of a caption, in em.
const small = 0.86

// SetPlain shows text as it is: markup is not read, spaces and lines stay.
func (v *View) SetPlain(source string, p Plain) {
	s := span{}
	scale := float32(0)
	if p.Bold {
		s.style = bold
	}
	if p.Muted {
		s.role = roleMuted
	}
	if p.Small {
		scale = small
	}
	if source == v.source && v.plain && len(v.leaves) > 0 && v.leaves[0].scale == scale && v.leaves[0].spans[0].role == s.role {
		return
	}
	v.waiting, v.next, v.growing, v.plain = false, "", false, true
	v.flow = flow{source: source}
	for text := range strings.SplitSeq(source, "\n") {
		l := &leaf{kind: leafText, scale: scale}
		if text = clean(expandTabs(text)); text == "" {
			text = " "
		}
		s.end = len(text)
		l.text, l.spans = text, []span{s}
		v.leaves = append(v.leaves, l)
	}
	v.place(0)
	v.sync()
}

// TextWidth is the width of the longest line as it is laid out.
func (v *View) TextWidth() float32 {
	w := float32(0)
	for _, l := range v.leaves {
		if l.kind != leafText {
			return v.width
		}
		for _, ln := range l.box.lines {
			w = max(w, ln.x+ln.w)
		}
	}
	return w
}

// Flush shows text that waits.
func (v *View) Flush() {
	if !v.waiting {
		return
	}
	source := v.next
	v.waiting, v.next = false, ""
	v.update(source)
	if v.OnResized != nil {
		v.OnResized()
	}
}

func (v *View) update(source string) {
	started := time.Now()
	first := v.flow.set(source, v.growing)
	v.place(first)
	v.sync()
	spent := time.Since(started)
	v.earliest = started.Add(max(updateInterval, updateShare*spent))
}

// place lays out the leaves from first on and stacks them.
func (v *View) place(first int) {
	if v.width <= 0 {
		return
	}
	v.look = fonts.current()
	em := v.look.size
	v.tops = v.tops[:min(first, len(v.tops))]
	y := float32(0)
	if n := len(v.tops); n > 0 {
		y = v.tops[n-1] + v.leaves[n-1].box.height
	}
	for _, l := range v.leaves[len(v.tops):] {
		l.layOut(v.width)
		y += l.gap * em
		v.tops = append(v.tops, y)
		y += l.box.height
	}
	v.height = y
}

// HeightFor lays the message out for a width and returns its height.
func (v *View) HeightFor(width float32) float32 {
	v.fit(width)
	v.told = v.height
	return v.height
}

func (v *View) fit(width float32) {
	if width != v.width || v.look != fonts.current() {
		v.width = width
		v.place(0)
		v.sync()
	}
}

// SetViewport tells which part of the view can be seen, in its own coordinates.
// Until it is called, all of it is taken for visible.
func (v *View) SetViewport(from, to float32) {
	v.from, v.to = from, to
	if v.rows != nil && !v.rows.covers(from, to) {
		v.sync()
	}
}

// sync brings the canvas objects in line with what is to be seen.
func (v *View) sync() {
	if v.rows != nil {
		v.rows.sync()
	}
}

// leafAt is the index of the leaf at y, or the nearest.
func (v *View) leafAt(y float32) int {
	i := sort.Search(len(v.tops), func(i int) bool { return v.tops[i] > y }) - 1
	return max(i, 0)
}

// MinSize is the height for the present width; any width does.
func (v *View) MinSize() fyne.Size {
	v.ExtendBaseWidget(v)
	if v.look != fonts.current() {
		v.place(0)
	}
	return fyne.NewSize(40, v.height)
}

// Resize lays the message out for the new width.
func (v *View) Resize(size fyne.Size) {
	v.fit(size.Width)
	v.BaseWidget.Resize(size)
}

// Refresh redraws all, by the present theme.
func (v *View) Refresh() {
	if v.look != fonts.current() {
		v.place(0)
	}
	if v.height != v.told && v.OnResized != nil {
		v.OnResized()
	}
	if v.rows != nil {
		v.rows.recolor = true
	}
	v.sync()
	v.BaseWidget.Refresh()
}

// CreateRenderer is Fyne's.
func (v *View) CreateRenderer() fyne.WidgetRenderer {
	v.ExtendBaseWidget(v)
	v.rows = &renderer{view: v}
	v.rows.sync()
	return v.rows
}
