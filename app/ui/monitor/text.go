package monitor

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/layout"
	"fyne.io/fyne/v2/theme"

	"kestrel/app/ui/look"
	"kestrel/app/ui/parts"
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

// legendRow is a swatch, a name and a value.
type legendRow struct {
	swatch *canvas.Rectangle
	name   *parts.Note
	value  *text
	box    *fyne.Container
}

func newLegendRow() *legendRow {
	r := &legendRow{swatch: canvas.NewRectangle(color.Transparent),
		name:  parts.NewNote("", theme.ColorNameForeground, theme.SizeNameText),
		value: newText(theme.ColorNameForeground, theme.SizeNameText)}
	r.swatch.CornerRadius = 2
	r.swatch.SetMinSize(fyne.NewSize(10, 10))
	r.box = container2(r.swatch, parts.Pair(r.name, r.value.line))
	return r
}

func (r *legendRow) set(c color.Color, name, value string) {
	if r.swatch.FillColor != c {
		r.swatch.FillColor = c
		r.swatch.Refresh()
	}
	r.name.Set(name)
	r.value.set(value)
}

// newNote is secondary text, which wraps.
func newNote(text string) *parts.Note {
	return parts.NewNote(text, look.ColorMuted, theme.SizeNameCaptionText)
}

// noteRow is a swatch before a text that wraps.
type noteRow struct {
	swatch *canvas.Rectangle
	note   *parts.Note
	box    *fyne.Container
}

func newNoteRow() *noteRow {
	r := &noteRow{swatch: canvas.NewRectangle(color.Transparent), note: parts.NewNote("", theme.ColorNameForeground, theme.SizeNameText)}
	r.swatch.CornerRadius = 2
	r.swatch.SetMinSize(fyne.NewSize(10, 10))
	r.box = container2(r.swatch, r.note)
	return r
}

func (r *noteRow) set(c color.Color, text string) {
	if r.swatch.FillColor != c {
		r.swatch.FillColor = c
		r.swatch.Refresh()
	}
	r.note.Set(text)
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
