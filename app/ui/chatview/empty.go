package chatview

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"kestrel/app/ui/look"
	"kestrel/app/ui/markdown"
	"kestrel/app/ui/parts"
)

// empty is what a conversation shows before its first turn.
type empty struct {
	widget.BaseWidget
	title  *markdown.View
	text   *markdown.View
	drop   *shade
	icon   *widget.Icon
	said   *markdown.View
	pick   *parts.Button
	asks   []*parts.Button
	asked  []string      // what they say where there is room
	scroll *parts.Scroll // where there is little room
	height float32
}

func newEmpty(v *View) *empty {
	e := &empty{
		title: v.newBody(), text: v.newBody(), said: v.newBody(),
		drop: newShade(look.ColorCard, 12), icon: widget.NewIcon(theme.NewThemedResource(theme.DocumentIcon())),
	}
	e.drop.border = theme.ColorNameInputBorder
	e.ExtendBaseWidget(e)
	e.title.SetText("## "+look.T("chat.emptyTitle"), false)
	e.text.SetPlain(look.T("chat.emptyText"), markdown.Plain{Muted: true})
	e.said.SetPlain(look.T("chat.emptyDrop"), markdown.Plain{})
	e.pick = parts.NewButton(look.T("chat.attach"), v.Attach)
	for _, key := range []string{look.K("chat.example1"), look.K("chat.example2"), look.K("chat.example3"), look.K("chat.example4")} {
		text := look.T(key)
		e.asked = append(e.asked, text)
		e.asks = append(e.asks, parts.NewButton(text, func() {
			v.composer.entry.SetText(text)
			v.Focus()
		}))
	}
	objects := []fyne.CanvasObject{e.title, e.text, e.drop, e.icon, e.said, e.pick}
	for _, b := range e.asks {
		objects = append(objects, b)
	}
	e.scroll = parts.NewScroll(container.New(placed{&e.height}, objects...))
	return e
}

// arrange lays it out within a size: in the middle, if there is room.
func (e *empty) arrange(size fyne.Size) {
	column := min(size.Width-2*sideRoom, 640)
	if column <= 0 {
		return
	}
	titleH, textH := e.title.HeightFor(column), e.text.HeightFor(column)
	inner := column - 76
	said := e.said.HeightFor(inner)
	pick := e.pick.MinSize()
	dropH := said + pick.Height + 38
	askH := pick.Height + 6
	half, columns := (column-8)/2, 2
	for i, b := range e.asks {
		if b.WidthFor(e.asked[i]) > half {
			half, columns = column, 1
		}
	}
	for i, b := range e.asks {
		b.Fit(e.asked[i], half)
	}
	rows := float32((len(e.asks) + columns - 1) / columns)
	total := titleH + 6 + textH + 20 + dropH + 20 + rows*(askH+8)
	x, y := (size.Width-column)/2, max(12, (size.Height-total)*0.42)
	y += put(e.title, x, y, column, titleH) + 6
	y += put(e.text, x, y, column, textH) + 20
	put(e.drop, x, y, column, dropH)
	put(e.icon, x+18, y+16, 34, 34)
	put(e.said, x+62, y+14, inner, said)
	put(e.pick, x+62, y+said+22, pick.Width, pick.Height)
	y += dropH + 20
	for i, b := range e.asks {
		put(b, x+float32(i%columns)*(half+8), y, half, askH)
		if i%columns == columns-1 {
			y += askH + 8
		}
	}
	e.height = y
}

// placed is the layout of objects that their owner puts in their places.
type placed struct{ height *float32 }

func (p placed) Layout([]fyne.CanvasObject, fyne.Size) {}

func (p placed) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSize(0, *p.height) }

func (e *empty) CreateRenderer() fyne.WidgetRenderer {
	return &emptyRenderer{fixed{objects: []fyne.CanvasObject{e.scroll}, height: new(float32)}, e}
}

type emptyRenderer struct {
	fixed
	e *empty
}

func (r *emptyRenderer) Layout(size fyne.Size) {
	r.e.arrange(size)
	r.e.scroll.Resize(size)
	r.e.scroll.Refresh() // what it needs may be other than it was
}
