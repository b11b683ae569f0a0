package monitor

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/layout"
	"fyne.io/fyne/v2/theme"

	"kestrel/app/ui/look"
	"kestrel/app/ui/parts"
)

const (
	pageGap   = 10
	wideWidth = 820 // from here on two cards stand side by side
)

// page lays rows of one or two cards below each other. Its owner sets width
// before it asks for the size, since texts wrap and cards stack.
type page struct {
	rows   [][]fyne.CanvasObject
	width  float32
	height float32 // of the last layout
}

func (p *page) objects() []fyne.CanvasObject {
	var all []fyne.CanvasObject
	for _, row := range p.rows {
		all = append(all, row...)
	}
	return all
}

func (p *page) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSize(300, p.place(p.width)) }

func (p *page) Layout(_ []fyne.CanvasObject, size fyne.Size) { p.height = p.place(size.Width) }

// place puts the cards where they belong and returns the height they take.
func (p *page) place(width float32) float32 {
	y := float32(pageGap)
	inner := max(width-2*pageGap, 1)
	for _, row := range p.rows {
		var shown []fyne.CanvasObject
		for _, o := range row {
			if o.Visible() {
				shown = append(shown, o)
			}
		}
		if len(shown) == 2 && width >= wideWidth {
			half := (inner - pageGap) / 2
			h := max(heightAt(shown[0], half), heightAt(shown[1], half))
			for i, o := range shown {
				o.Resize(fyne.NewSize(half, h))
				o.Move(fyne.NewPos(pageGap+float32(i)*(half+pageGap), y))
			}
			y += h + pageGap
			continue
		}
		for _, o := range shown {
			h := heightAt(o, inner)
			o.Resize(fyne.NewSize(inner, h))
			o.Move(fyne.NewPos(pageGap, y))
			y += h + pageGap
		}
	}
	return y
}

// heightAt is the height that an object needs at a width.
func heightAt(o fyne.CanvasObject, width float32) float32 {
	if o.Size().Width != width {
		o.Resize(fyne.NewSize(width, o.MinSize().Height))
	}
	return o.MinSize().Height
}

// card is a titled box.
type card struct {
	box   *fyne.Container
	back  *canvas.Rectangle
	title *parts.Note
	body  *fyne.Container
}

// newCard makes a card; corner, which may be nil, stands at the right of the title.
func newCard(title string, corner fyne.CanvasObject, content ...fyne.CanvasObject) *card {
	c := &card{back: canvas.NewRectangle(color.Transparent)}
	c.back.CornerRadius = 8
	c.body = container.NewVBox()
	if title != "" {
		c.title = parts.NewNote(title, theme.ColorNameForeground, theme.SizeNameText).Bold()
		if corner == nil {
			c.body.Add(c.title)
		} else {
			c.body.Add(parts.Pair(c.title, corner))
		}
	}
	for _, o := range content {
		c.body.Add(o)
	}
	c.box = container.NewStack(c.back, container.New(layout.NewCustomPaddedLayout(10, 12, 14, 14), c.body))
	c.style()
	return c
}

// style takes the colours and sizes of the present theme.
func (c *card) style() {
	if fill := theme.Color(look.ColorCard); c.back.FillColor != fill {
		c.back.FillColor = fill
		c.back.Refresh()
	}
	if c.title != nil {
		c.title.Refresh()
	}
}

// tiles lays objects of the same size in as many columns as there is room for,
// such that the last line is full.
type tiles struct {
	least   float32 // width of a column, in sizes of the text
	columns int
}

func newTiles(least float32, objects ...fyne.CanvasObject) *fyne.Container {
	return container.New(&tiles{least, len(objects)}, objects...)
}

func (t *tiles) MinSize(objects []fyne.CanvasObject) fyne.Size {
	size := fyne.Size{}
	for _, o := range objects {
		size = size.Max(o.MinSize())
	}
	rows := (len(objects) + t.columns - 1) / t.columns
	return fyne.NewSize(size.Width, size.Height*float32(rows)+pageGap*float32(rows-1))
}

func (t *tiles) Layout(objects []fyne.CanvasObject, size fyne.Size) {
	width := func() float32 { return (size.Width - pageGap*float32(t.columns-1)) / float32(t.columns) }
	t.columns = len(objects)
	for t.columns > 1 && (width() < t.least*theme.TextSize() || len(objects)%t.columns != 0) {
		t.columns--
	}
	w, h := width(), float32(0)
	for _, o := range objects {
		h = max(h, heightAt(o, w))
	}
	for i, o := range objects {
		o.Resize(fyne.NewSize(w, h))
		o.Move(fyne.NewPos(float32(i%t.columns)*(w+pageGap), float32(i/t.columns)*(h+pageGap)))
	}
}
