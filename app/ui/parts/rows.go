package parts

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"
)

// pairGap is the least space between the two sides of a Pair.
const pairGap = 12

// Pair puts one object at the left and one at the right of a line, and the right
// one below the left one where both do not fit beside each other. A line of text
// gets the whole width, so that a change of it moves nothing.
func Pair(left, right fyne.CanvasObject) *fyne.Container {
	return &fyne.Container{Layout: &pair{}, Objects: []fyne.CanvasObject{left, right}}
}

type pair struct{ width float32 } // of the last layout; 0 before it

func (p *pair) wraps(o []fyne.CanvasObject) bool {
	return p.width > 0 && o[1].Visible() && wantedWidth(o[0])+wantedWidth(o[1])+pairGap > p.width
}

// MinSize asks for the width of the wider side alone: there is a way to do with it.
func (p *pair) MinSize(o []fyne.CanvasObject) fyne.Size {
	a, b := o[0].MinSize(), o[1].MinSize()
	if !o[1].Visible() {
		return a
	}
	if p.wraps(o) {
		return fyne.NewSize(max(a.Width, b.Width), a.Height+b.Height)
	}
	return a.Max(b)
}

func (p *pair) Layout(o []fyne.CanvasObject, size fyne.Size) {
	p.width = size.Width
	if p.wraps(o) {
		p.stack(o, size.Width)
		return
	}
	height := max(o[0].MinSize().Height, o[1].MinSize().Height)
	left, right := size.Width, size.Width
	if line, ok := o[1].(*canvas.Text); ok {
		line.Alignment = fyne.TextAlignTrailing
	} else {
		right = wantedWidth(o[1])
	}
	if _, ok := o[0].(*canvas.Text); !ok && o[1].Visible() {
		left = max(0, size.Width-wantedWidth(o[1])-pairGap)
	}
	o[0].Resize(fyne.NewSize(left, height))
	o[0].Move(fyne.Position{})
	o[1].Resize(fyne.NewSize(right, height))
	o[1].Move(fyne.NewPos(size.Width-right, 0))
}

// stack puts the right object below the left one.
func (p *pair) stack(o []fyne.CanvasObject, width float32) {
	y := float32(0)
	for _, side := range o {
		if line, ok := side.(*canvas.Text); ok {
			line.Alignment = fyne.TextAlignLeading
		}
		w := min(width, wantedWidth(side))
		if side.Size().Width != w { // a note wraps anew, and has another height then
			side.Resize(fyne.NewSize(w, side.MinSize().Height))
		}
		h := side.MinSize().Height
		side.Resize(fyne.NewSize(w, h))
		side.Move(fyne.NewPos(0, y))
		y += h
	}
}

// Flow puts objects beside each other, and on further lines where they do not
// fit on one. gap is the space between them.
func Flow(gap float32, objects ...fyne.CanvasObject) *fyne.Container {
	return &fyne.Container{Layout: &flow{gap: gap}, Objects: objects}
}

type flow struct{ gap, width float32 }

func (f *flow) MinSize(objects []fyne.CanvasObject) fyne.Size {
	size := fyne.Size{}
	for _, o := range objects {
		if o.Visible() {
			size.Width = max(size.Width, o.MinSize().Width)
		}
	}
	size.Height = f.place(objects, f.width, false)
	return size
}

func (f *flow) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	f.width = size.Width
	f.place(objects, size.Width, true)
}

// place gives the height that the objects take at a width, 0 for one that is not
// known yet, and puts them in their places if move is set.
func (f *flow) place(objects []fyne.CanvasObject, width float32, move bool) float32 {
	x, y, line := float32(0), float32(0), float32(0)
	for _, o := range objects {
		if !o.Visible() {
			continue
		}
		size := o.MinSize()
		if width > 0 && x > 0 && x+size.Width > width {
			x, y, line = 0, y+line+theme.Padding(), 0
		}
		if move {
			o.Resize(size)
			o.Move(fyne.NewPos(x, y))
		}
		x += size.Width + f.gap
		line = max(line, size.Height)
	}
	return y + line
}

// Bare takes away the space that labels and rich text keep around themselves, so
// that they stand in line with what has none.
func Bare(text fyne.CanvasObject) *fyne.Container {
	return &fyne.Container{Layout: bare{}, Objects: []fyne.CanvasObject{text}}
}

type bare struct{}

func (bare) MinSize(o []fyne.CanvasObject) fyne.Size {
	return o[0].MinSize().SubtractWidthHeight(2*theme.InnerPadding(), 2*theme.InnerPadding())
}

func (bare) Layout(o []fyne.CanvasObject, size fyne.Size) {
	o[0].Resize(size.AddWidthHeight(2*theme.InnerPadding(), 2*theme.InnerPadding()))
	o[0].Move(fyne.NewPos(-theme.InnerPadding(), -theme.InnerPadding()))
}

// Wide is an object with a width in sizes of the text.
func Wide(ems float32, o fyne.CanvasObject) *fyne.Container {
	return &fyne.Container{Layout: wide(ems), Objects: []fyne.CanvasObject{o}}
}

type wide float32

func (w wide) MinSize(o []fyne.CanvasObject) fyne.Size {
	return fyne.NewSize(float32(w)*theme.TextSize(), o[0].MinSize().Height)
}

func (w wide) Layout(o []fyne.CanvasObject, size fyne.Size) {
	o[0].Resize(size)
	o[0].Move(fyne.Position{})
}

// First gives the first object what it asks for, or else all there is, and the
// second what is left of the line.
func First(first, rest fyne.CanvasObject) *fyne.Container {
	return &fyne.Container{Layout: firstLayout{}, Objects: []fyne.CanvasObject{first, rest}}
}

type firstLayout struct{}

// Wanter is an object that can do with less width than it wants.
type Wanter interface{ WantedWidth() float32 }

func wantedWidth(o fyne.CanvasObject) float32 {
	if w, ok := o.(Wanter); ok {
		return w.WantedWidth()
	}
	return o.MinSize().Width
}

func (firstLayout) MinSize(o []fyne.CanvasObject) fyne.Size {
	return fyne.NewSize(o[0].MinSize().Width, max(o[0].MinSize().Height, o[1].MinSize().Height))
}

func (firstLayout) Layout(o []fyne.CanvasObject, size fyne.Size) {
	w := min(wantedWidth(o[0]), size.Width)
	o[0].Resize(fyne.NewSize(w, size.Height))
	o[0].Move(fyne.Position{})
	o[1].Resize(fyne.NewSize(max(0, size.Width-w-theme.Padding()), size.Height))
	o[1].Move(fyne.NewPos(w+theme.Padding(), 0))
}

// Note is text that wraps where it does not fit on a line, without space around
// it.
type Note struct {
	widget.BaseWidget
	text  string
	style widget.RichTextStyle
	rich  *widget.RichText
}

// NewNote returns a note of a colour and size of the theme.
func NewNote(text string, color fyne.ThemeColorName, size fyne.ThemeSizeName) *Note {
	n := &Note{rich: widget.NewRichText(), style: widget.RichTextStyle{ColorName: color, SizeName: size, Inline: true}}
	n.rich.Wrapping = fyne.TextWrapWord
	n.ExtendBaseWidget(n)
	n.Set(text)
	return n
}

// Bold makes it so and returns it.
func (n *Note) Bold() *Note {
	text := n.text
	n.style.TextStyle.Bold, n.text = true, ""
	n.Set(text)
	return n
}

// Text is what it says.
func (n *Note) Text() string { return n.text }

// Set changes the text.
func (n *Note) Set(text string) { n.Restyle(text, n.style.ColorName, n.style.SizeName) }

// Restyle changes the text, its colour and its size.
func (n *Note) Restyle(text string, color fyne.ThemeColorName, size fyne.ThemeSizeName) {
	style := n.style
	style.ColorName, style.SizeName = color, size
	if n.text == text && n.style == style && len(n.rich.Segments) > 0 {
		return
	}
	n.text, n.style = text, style
	n.rich.Segments = []widget.RichTextSegment{&widget.TextSegment{Text: text, Style: style}}
	n.rich.Refresh()
}

// WantedWidth is the width of the text on one line.
func (n *Note) WantedWidth() float32 {
	return fyne.MeasureText(n.text, theme.Size(n.style.SizeName), n.style.TextStyle).Width
}

// CreateRenderer implements fyne.Widget.
func (n *Note) CreateRenderer() fyne.WidgetRenderer { return widget.NewSimpleRenderer(Bare(n.rich)) }
