package parts

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"
)

// Column stacks objects as a VBox does, but gives text that wraps the width
// before it asks for the height.
func Column(objects ...fyne.CanvasObject) *fyne.Container {
	c := &fyne.Container{Objects: objects}
	c.Layout = &column{c: c}
	return c
}

type column struct {
	c     *fyne.Container
	width float32 // of the last layout; 0 before it
}

// measure gives the height of an object at the column's width.
func (l *column) measure(o fyne.CanvasObject) float32 {
	h := o.MinSize().Height
	if l.width <= 0 {
		return h
	}
	if o.Size().Width != l.width {
		o.Resize(fyne.NewSize(l.width, h))
		h = o.MinSize().Height // wrapped anew
	}
	return h
}

func (l *column) MinSize(objects []fyne.CanvasObject) fyne.Size {
	size, first := fyne.Size{}, true
	for _, o := range objects {
		if !o.Visible() {
			continue
		}
		if !first {
			size.Height += theme.Padding()
		}
		first = false
		size.Height += l.measure(o)
		size.Width = max(size.Width, o.MinSize().Width)
	}
	return size
}

func (l *column) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	l.width = size.Width
	y := float32(0)
	for _, o := range objects {
		if !o.Visible() {
			continue
		}
		h := l.measure(o)
		o.Resize(fyne.NewSize(size.Width, h))
		o.Move(fyne.NewPos(0, y))
		y += h + theme.Padding()
	}
	// a parent that asked before the width was known gave too little
	if y -= theme.Padding(); y > size.Height+0.5 {
		l.c.Resize(fyne.NewSize(size.Width, y))
	}
}
