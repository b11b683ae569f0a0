package chatview

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/widget"

	"kestrel/app/session"
)

// arrange places what the card has in this width and gives its height.
func (c *card) arrange(width float32) float32 {
	if width == c.width && !c.dirty {
		return c.height
	}
	c.width, c.dirty = width, false
	const pad, indent = 14, 34
	x, room := float32(pad+indent), width-2*pad-indent
	y := float32(pad)
	put(c.icon, pad, y, 24, 24)
	y += put(c.name, x, y+1, room, c.name.HeightFor(room)) + 2
	if c.facts.Text() != "" {
		y += put(c.facts, x, y, room, c.facts.HeightFor(room)) + 2
	}
	if c.notes.Text() != "" {
		y += put(c.notes, x, y, room, c.notes.HeightFor(room)) + 2
	}
	if c.fault != nil {
		y += put(c.fault, x, y+6, room, c.fault.arrange(room)) + 10
	}
	if c.reads() {
		y += put(c.progress, x, y+8, room, 8) + 14
	}
	y = c.arrangeActions(x, y, room)
	if c.hasPartial() {
		put(c.line, pad, y+10, width-2*pad, 1)
		y += 18
		h := c.title.fit(room).Height
		y += put(c.title, x, y, room, h) + 6
		c.partAt = y
		y += put(c.partial, x, y, room, c.partial.HeightFor(room))
	}
	c.height = y + pad
	put(c.ground, 0, 0, width, c.height)
	return c.height
}

// arrangeActions places the status at the left and the buttons at the right, or
// below it where there is no room beside.
func (c *card) arrangeActions(x, y, room float32) float32 {
	status := c.status.fit(room)
	if c.status.whole == "" {
		status = fyne.Size{}
	}
	buttons := c.buttons()
	total, h := float32(0), float32(0)
	for _, b := range buttons {
		size := b.MinSize()
		total += size.Width + 8
		h = max(h, size.Height)
	}
	if c.doc.Stage == session.Ready {
		total += c.words.MinSize().Width + c.wordsOf.MinSize().Width + 14
		h = max(h, c.words.MinSize().Height)
	}
	if h == 0 {
		if status.Height > 0 {
			put(c.status, x, y+4, status.Width, status.Height)
			return y + status.Height + 4
		}
		return y
	}
	y += 6
	if status.Width > 0 && status.Width+total > room {
		put(c.status, x, y, status.Width, status.Height)
		y += status.Height + 6
	} else {
		put(c.status, x, y+(h-status.Height)/2, status.Width, status.Height)
	}
	ready := c.doc.Stage == session.Ready
	if ready && total > room { // the length on a line of its own
		of, w := c.wordsOf.MinSize(), c.words.MinSize()
		put(c.words, x, y, w.Width, h)
		put(c.wordsOf, x+w.Width+8, y+(h-of.Height)/2, of.Width, of.Height)
		y += h + 6
		ready = false
	}
	at := x + room
	for i := len(buttons) - 1; i >= 0; i-- {
		size := buttons[i].MinSize()
		at -= size.Width
		put(buttons[i], at, y, size.Width, h)
		at -= 8
	}
	if ready {
		of, w := c.wordsOf.MinSize(), c.words.MinSize()
		at -= of.Width + 6
		put(c.wordsOf, at, y+(h-of.Height)/2, of.Width, of.Height)
		at -= w.Width + 8
		put(c.words, at, y, w.Width, h)
	}
	return y + h
}

func (c *card) viewport(from, to float32) {
	c.partial.SetViewport(from-c.partAt, to-c.partAt)
}

func (c *card) CreateRenderer() fyne.WidgetRenderer { return &cardRenderer{c} }

type cardRenderer struct{ card *card }

func (r *cardRenderer) Destroy()                     {}
func (r *cardRenderer) Layout(fyne.Size)             {}
func (r *cardRenderer) MinSize() fyne.Size           { return fyne.NewSize(0, r.card.height) }
func (r *cardRenderer) Objects() []fyne.CanvasObject { return r.card.objects }

func (r *cardRenderer) Refresh() {
	for _, o := range r.card.objects {
		o.Refresh()
	}
}

// cardRow is the row of a document that is no turn yet.
type cardRow struct {
	widget.BaseWidget
	card   *card
	height float32
}

func newCardRow(c *card) *cardRow {
	r := &cardRow{card: c}
	r.ExtendBaseWidget(r)
	return r
}

func (r *cardRow) arrange(width float32) float32 {
	column := min(width-2*sideRoom, columnWidth)
	r.height = put(r.card, (width-column)/2, 0, column, r.card.arrange(column))
	return r.height
}

func (r *cardRow) viewport(from, to float32) { r.card.viewport(from, to) }

func (r *cardRow) CreateRenderer() fyne.WidgetRenderer {
	return &fixed{objects: []fyne.CanvasObject{r.card}, height: &r.height}
}
