package monitor

import (
	"image"
	"image/color"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"kestrel/app/ui/look"
	"kestrel/app/ui/parts"
)

// plot shows memory, by the axis at the left, and tokens, by the one at the
// right, over time.
type plot struct {
	widget.BaseWidget
	curve  curve
	raster *canvas.Raster
	left   [intervals + 1]*canvas.Text // from the top
	right  [intervals + 1]*canvas.Text
	below  [intervals + 1]*canvas.Text // from the left
	empty  *parts.Note
}

const plotHeight = 170

// idleShift is by how many pixels a plot moves on at once while its values stay:
// each time, Fyne draws the whole window.
const idleShift = 3

func newPlot() *plot {
	p := &plot{empty: newNote("")}
	p.raster = canvas.NewRaster(p.paint)
	for i := range p.left {
		p.left[i], p.right[i], p.below[i] = canvas.NewText("", color.Transparent), canvas.NewText("", color.Transparent), canvas.NewText("", color.Transparent)
		p.left[i].Alignment = fyne.TextAlignTrailing
		p.below[i].Alignment = fyne.TextAlignCenter
	}
	p.below[0].Alignment, p.below[intervals].Alignment = fyne.TextAlignLeading, fyne.TextAlignTrailing
	p.ExtendBaseWidget(p)
	return p
}

// set shows the points of the time up to now; span 0 is all of it.
func (p *plot) set(points []Point, span time.Duration, now time.Time) {
	if span == 0 {
		span = time.Minute
		if len(points) > 0 {
			span = max(span, now.Sub(points[0].Time))
		}
	}
	c := curve{from: now.Add(-span), to: now}
	c.points = since(points, c.from)
	bytes, tokens := int64(0), int64(0)
	for _, point := range c.points {
		bytes, tokens = max(bytes, point.Bytes), max(tokens, point.Tokens)
	}
	byteStep, tokenStep := byteStep(bytes), countStep(max(tokens, 100))
	c.mostBytes, c.mostCount = byteStep*intervals, tokenStep*intervals
	if width := p.raster.Size().Width; width > 0 && c.looksLike(p.curve, idleShift*span/time.Duration(width)) {
		return
	}
	p.curve = c
	for i := range p.left {
		n := int64(intervals - i)
		p.left[i].Text, p.right[i].Text = bytesTick(n*byteStep), countTick(n*tokenStep)
		p.below[i].Text = ago(span * time.Duration(n) / intervals)
	}
	empty := ""
	if len(c.points) < 2 {
		empty = look.T("monitor.history_begins")
	}
	p.empty.Set(empty)
	p.Refresh()
}

func (p *plot) paint(w, h int) image.Image {
	scale := float32(1)
	if width := p.raster.Size().Width; width > 0 {
		scale = max(1, float32(w)/width)
	}
	return p.curve.draw(w, h, 2*scale, inks{themed(look.ColorPlotOne), themed(look.ColorPlotTwo), themed(look.ColorGrid)})
}

func (p *plot) CreateRenderer() fyne.WidgetRenderer { return &plotRenderer{p} }

type plotRenderer struct{ p *plot }

func (r *plotRenderer) Destroy() {}

// gutters are the widths of the labels at both sides: of the widest there are
// usually, so that the plot does not jump, or of wider ones.
func (r *plotRenderer) gutters() (left, right, text float32) {
	usual := r.measure("768 MiB")
	left, right = usual.Width, r.measure("7.5M").Width
	for i := range r.p.left {
		left = max(left, r.measure(r.p.left[i].Text).Width)
		right = max(right, r.measure(r.p.right[i].Text).Width)
	}
	return left + 6, right + 8, usual.Height
}

func (r *plotRenderer) measure(text string) fyne.Size {
	return fyne.MeasureText(text, theme.Size(theme.SizeNameCaptionText), fyne.TextStyle{})
}

func (r *plotRenderer) MinSize() fyne.Size {
	left, right, text := r.gutters()
	return fyne.NewSize(left+right+80, plotHeight+1.5*text+4)
}

func (r *plotRenderer) Layout(size fyne.Size) {
	left, right, text := r.gutters()
	w, h := max(size.Width-left-right, 1), max(size.Height-1.5*text-4, 1)
	top := text / 2
	p := r.p
	p.raster.Move(fyne.NewPos(left, top))
	p.raster.Resize(fyne.NewSize(w, h))
	p.empty.Resize(fyne.NewSize(min(p.empty.WantedWidth()+1, w-2*emptyRoom), text))
	p.empty.Resize(p.empty.Size().Max(p.empty.MinSize()))
	p.empty.Move(fyne.NewPos(left+(w-p.empty.Size().Width)/2, top+(h-p.empty.Size().Height)/2))
	for i := range p.left {
		y := top + h*float32(i)/intervals - text/2
		p.left[i].Move(fyne.NewPos(0, y))
		p.left[i].Resize(fyne.NewSize(left-6, text))
		p.right[i].Move(fyne.NewPos(left+w+6, y))
		p.right[i].Resize(fyne.NewSize(right-6, text))
	}
	r.layoutTimes(left, top+h+4, w, text)
}

// emptyRoom is the space beside what stands in an empty plot.
const emptyRoom = 8

// layoutTimes puts the labels of the time below the plot: all, every second, or
// those at the ends, so that none runs into the next.
func (r *plotRenderer) layoutTimes(left, y, w, height float32) {
	widest := float32(0)
	for _, t := range r.p.below {
		widest = max(widest, r.measure(t.Text).Width)
	}
	every := 1
	for need := widest * 1.5; every <= intervals && need+8 > w*float32(every)/intervals; every *= 2 {
		if every*2 == intervals { // those at the ends are not centred
			need = 2 * widest
		}
	}
	for i, t := range r.p.below {
		t.Hidden = i%every != 0
		x := left + w*float32(i)/intervals
		switch i {
		case 0:
		case intervals:
			x -= widest
		default:
			x -= widest / 2
		}
		t.Move(fyne.NewPos(x, y))
		t.Resize(fyne.NewSize(widest, height))
	}
}

func (r *plotRenderer) Objects() []fyne.CanvasObject {
	objects := []fyne.CanvasObject{r.p.raster, r.p.empty}
	for i := range r.p.left {
		objects = append(objects, r.p.left[i], r.p.right[i], r.p.below[i])
	}
	return objects
}

func (r *plotRenderer) Refresh() {
	p := r.p
	size := theme.Size(theme.SizeNameCaptionText)
	style := func(t *canvas.Text, c color.Color) { t.Color, t.TextSize = c, size }
	for i := range p.left {
		style(p.left[i], themed(look.ColorPlotOne))
		style(p.right[i], themed(look.ColorPlotTwo))
		style(p.below[i], themed(look.ColorMuted))
	}
	r.Layout(p.Size())
	for _, o := range r.Objects() {
		o.Refresh()
	}
}
