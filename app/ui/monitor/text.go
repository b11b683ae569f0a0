package monitor

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/layout"
	"fyne.io/fyne/v2/theme"

	"kestrel/app/ui/look"
)

// text is a line that changes often: drawn anew only when it differs.
type text struct {
	line  *canvas.Text
	color fyne.ThemeColorName
	size  fyne.ThemeSizeName
}

func newText(color fyne.ThemeColorName, size fyne.ThemeSizeName) *text {
	t := &text{canvas.NewText("", theme.Color(color)), color, size}
	t.line.TextSize = theme.Size(size)
	return t
}

func (t *text) bold() *text { t.line.TextStyle.Bold = true; return t }

func (t *text) trailing() *text { t.line.Alignment = fyne.TextAlignTrailing; return t }

// set shows s in the line's own colour of the present theme.
func (t *text) set(s string) { t.show(s, theme.Color(t.color)) }

func (t *text) show(s string, c color.Color) {
	size := theme.Size(t.size)
	if t.line.Text == s && t.line.Color == c && t.line.TextSize == size {
		return
	}
	t.line.Text, t.line.Color, t.line.TextSize = s, c, size
	t.line.Refresh()
}

// pair lays a text at the left and one at the right of a line; both get its
// whole width, so that a change of the text moves nothing.
type pair struct{}

func (pair) MinSize(objects []fyne.CanvasObject) fyne.Size {
	size := fyne.Size{}
	for _, o := range objects {
		m := o.MinSize()
		size = fyne.NewSize(size.Width+m.Width+8, max(size.Height, m.Height))
	}
	return size
}

func (pair) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	for _, o := range objects {
		o.Move(fyne.Position{})
		o.Resize(size)
	}
}

func newPair(left, right *text) *fyne.Container {
	return &fyne.Container{Layout: pair{}, Objects: []fyne.CanvasObject{left.line, right.trailing().line}}
}

// wrapState is whether the two texts of a wrapPair stand below each other.
type wrapState struct {
	width   float32
	wrapped bool
}

func (w *wrapState) wraps(left, right fyne.CanvasObject) bool {
	return w.width > 0 && left.MinSize().Width+right.MinSize().Width+12 > w.width
}

// wrapPair is as pair, and puts the right text below the left one where both do
// not fit beside each other.
type wrapPair struct{ state *wrapState }

func (p wrapPair) MinSize(o []fyne.CanvasObject) fyne.Size {
	a, b := o[0].MinSize(), o[1].MinSize()
	if p.state.wraps(o[0], o[1]) {
		return fyne.NewSize(max(a.Width, b.Width), a.Height+b.Height)
	}
	return fyne.NewSize(max(a.Width, b.Width), max(a.Height, b.Height))
}

func (p wrapPair) Layout(o []fyne.CanvasObject, size fyne.Size) {
	p.state.width = size.Width
	p.state.wrapped = p.state.wraps(o[0], o[1])
	h, y := o[0].MinSize().Height, float32(0)
	right := o[1].(*canvas.Text)
	right.Alignment = fyne.TextAlignTrailing
	if p.state.wrapped {
		right.Alignment = fyne.TextAlignLeading
		y = h
	}
	for i, at := range []float32{0, y} {
		o[i].Resize(fyne.NewSize(size.Width, h))
		o[i].Move(fyne.NewPos(0, at))
	}
}

// legendRow is a swatch, a name and a value.
type legendRow struct {
	swatch      *canvas.Rectangle
	name, value *text
	box         *fyne.Container
}

func newLegendRow() *legendRow {
	r := &legendRow{swatch: canvas.NewRectangle(color.Transparent),
		name:  newText(theme.ColorNameForeground, theme.SizeNameText),
		value: newText(theme.ColorNameForeground, theme.SizeNameText)}
	r.swatch.CornerRadius = 2
	r.swatch.SetMinSize(fyne.NewSize(10, 10))
	r.box = container2(r.swatch, newPair(r.name, r.value))
	return r
}

func (r *legendRow) set(c color.Color, name, value string) {
	if r.swatch.FillColor != c {
		r.swatch.FillColor = c
		r.swatch.Refresh()
	}
	r.name.set(name)
	r.value.set(value)
}

// container2 puts a small object, centred in height, before one that takes the rest.
func container2(small, rest fyne.CanvasObject) *fyne.Container {
	left := &fyne.Container{Layout: layout.NewCenterLayout(), Objects: []fyne.CanvasObject{small}}
	return &fyne.Container{Layout: beside{}, Objects: []fyne.CanvasObject{left, rest}}
}

// beside lays the first object at the left in its own width, the second in the rest.
type beside struct{}

const besideGap = 8

func (beside) MinSize(o []fyne.CanvasObject) fyne.Size {
	a, b := o[0].MinSize(), o[1].MinSize()
	return fyne.NewSize(a.Width+besideGap+b.Width, max(a.Height, b.Height))
}

func (beside) Layout(o []fyne.CanvasObject, size fyne.Size) {
	w := o[0].MinSize().Width
	o[0].Move(fyne.Position{})
	o[0].Resize(fyne.NewSize(w, size.Height))
	o[1].Move(fyne.NewPos(w+besideGap, 0))
	o[1].Resize(fyne.NewSize(max(0, size.Width-w-besideGap), size.Height))
}

// legendEntry is a swatch with its meaning, in a row of such.
type legendEntry struct {
	swatch *canvas.Rectangle
	label  *text
	name   string
	box    *fyne.Container
}

func newLegendEntry(width float32, name string) *legendEntry {
	e := &legendEntry{swatch: canvas.NewRectangle(color.Transparent), label: newText(look.ColorMuted, theme.SizeNameCaptionText), name: name}
	e.swatch.CornerRadius = 2
	e.swatch.SetMinSize(fyne.NewSize(width, 10))
	e.label.set(name)
	e.box = container2(e.swatch, e.label.line)
	return e
}

func (e *legendEntry) set(c color.Color) {
	if e.swatch.FillColor != c {
		e.swatch.FillColor = c
		e.swatch.Refresh()
	}
	e.label.set(e.name)
}

// spacer is empty height.
func spacer(height float32) fyne.CanvasObject {
	r := canvas.NewRectangle(color.Transparent)
	r.SetMinSize(fyne.NewSize(0, height))
	return r
}
