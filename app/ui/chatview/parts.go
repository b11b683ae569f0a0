package chatview

import (
	"image/color"
	"strings"
	"unicode/utf8"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"kestrel/app/ui/look"
	"kestrel/app/ui/parts"
)

func canvasRefresh(o fyne.CanvasObject) { canvas.Refresh(o) }

// muted is an icon in the colour of secondary text.
func muted(icon fyne.Resource) fyne.Resource { return theme.NewColoredResource(icon, look.ColorMuted) }

// frameless is the theme without what entries draw around themselves.
type frameless struct{}

func (f frameless) Color(name fyne.ThemeColorName, v fyne.ThemeVariant) color.Color {
	switch name {
	case theme.ColorNameInputBackground, theme.ColorNameInputBorder:
		return color.Transparent
	case theme.ColorNamePrimary: // the border with the focus
		return color.Transparent
	}
	return f.current().Color(name, v)
}

func (f frameless) current() fyne.Theme { return fyne.CurrentApp().Settings().Theme() }

func (f frameless) Font(s fyne.TextStyle) fyne.Resource     { return f.current().Font(s) }
func (f frameless) Icon(n fyne.ThemeIconName) fyne.Resource { return f.current().Icon(n) }
func (f frameless) Size(n fyne.ThemeSizeName) float32       { return f.current().Size(n) }

// caption is a line of secondary text.
type caption struct {
	widget.BaseWidget
	color fyne.ThemeColorName
	whole string
	text  *canvas.Text // as much of it as there is room for
}

func newCaption(text string) *caption {
	c := &caption{color: look.ColorMuted, whole: text, text: &canvas.Text{Text: text}}
	c.ExtendBaseWidget(c)
	c.style()
	return c
}

func (c *caption) style() {
	c.text.Color = theme.Color(c.color)
	c.text.TextSize = theme.Size(theme.SizeNameCaptionText)
}

func (c *caption) set(text string) {
	if c.whole != text {
		c.whole = text
		c.draw(text)
	}
}

func (c *caption) draw(text string) {
	if c.text.Text != text {
		c.text.Text = text
		c.text.Refresh()
	}
}

// fit cuts the text so that it has room, part by part or else with an ellipsis,
// and returns its size.
func (c *caption) fit(width float32) fyne.Size {
	c.draw(c.whole)
	text := c.whole
	for c.MinSize().Width > width && text != "" {
		if i := strings.LastIndex(text, separator); i >= 0 {
			text = text[:i]
		} else {
			_, n := utf8.DecodeLastRuneInString(text)
			text = text[:len(text)-n]
		}
		c.draw(strings.TrimRight(text, " ") + "…")
	}
	return c.MinSize()
}

func (c *caption) MinSize() fyne.Size { c.style(); return c.text.MinSize() }

// Refresh follows the theme.
func (c *caption) Refresh() { c.style(); c.text.Refresh() }

func (c *caption) CreateRenderer() fyne.WidgetRenderer { return widget.NewSimpleRenderer(c.text) }

// shade is a rounded ground in a colour of the theme.
type shade struct {
	widget.BaseWidget
	color, border fyne.ThemeColorName // border "" is none
	rect          *canvas.Rectangle
}

func newShade(color fyne.ThemeColorName, radius float32) *shade {
	s := &shade{color: color, rect: &canvas.Rectangle{CornerRadius: radius}}
	s.ExtendBaseWidget(s)
	s.Refresh()
	return s
}

// Refresh follows the theme.
func (s *shade) Refresh() {
	s.rect.FillColor = theme.Color(s.color)
	if s.border != "" {
		s.rect.StrokeColor, s.rect.StrokeWidth = theme.Color(s.border), 1
	}
	s.rect.Refresh()
}

func (s *shade) CreateRenderer() fyne.WidgetRenderer { return widget.NewSimpleRenderer(s.rect) }

// bar is a line of small buttons and captions below a turn. What the button
// under the mouse does stands at its end.
type bar struct {
	objects []fyne.CanvasObject
	hint    *caption
	about   *caption              // what stands there otherwise
	focused func(b *parts.Button) // the keyboard is at a button

	at, y float32 // where it stands
	right bool    // captions end there; else they begin there
	room  float32 // for captions
}

func newBar(focused func(*parts.Button)) *bar {
	return &bar{hint: newCaption(""), about: newCaption(""), focused: focused}
}

func (b *bar) button(icon fyne.Resource, hint string, tapped func()) *parts.Button {
	button := parts.NewIconButton("", muted(icon), hint, b.tell, tapped)
	button.OnFocused = func() { b.focused(button) }
	b.objects = append(b.objects, button)
	return button
}

func (b *bar) tell(hint string) {
	b.hint.set(hint)
	if hint == "" {
		b.about.Show()
	} else {
		b.about.Hide()
	}
	b.label()
}

// barHeight is the height of a bar, which the size of text decides.
func barHeight() float32 { return max(28, theme.Size(theme.SizeNameInlineIcon)+10) }

// arrange places the bar in a row of the given width, from the left or from the
// right.
func (b *bar) arrange(x, y, width float32, right bool) {
	shown := make([]fyne.CanvasObject, 0, len(b.objects))
	total := float32(0)
	for _, o := range b.objects {
		if o.Visible() {
			shown = append(shown, o)
			total += barWidth(o)
		}
	}
	at := x
	if right {
		at = x + width - total
	}
	for _, o := range shown {
		w := barWidth(o)
		h := min(o.MinSize().Height, barHeight())
		if _, ok := o.(*parts.Button); ok {
			h = barHeight()
		}
		o.Resize(fyne.NewSize(w, h))
		o.Move(fyne.NewPos(at, y+(barHeight()-h)/2))
		at += w
	}
	b.at, b.y, b.right = at+8, y, right
	if right {
		b.at = x + width - total - 8
	}
	b.room = max(width-total-8, 0)
	b.label()
}

// label puts the captions in their places.
func (b *bar) label() {
	for _, c := range []*caption{b.about, b.hint} {
		size := c.fit(b.room)
		at := b.at
		if b.right {
			at -= size.Width
		}
		put(c, at, b.y+(barHeight()-size.Height)/2, size.Width, size.Height)
	}
}

func barWidth(o fyne.CanvasObject) float32 {
	if b, ok := o.(*parts.Button); ok && b.Text == "" {
		return barHeight() + 2
	}
	return o.MinSize().Width
}

func (b *bar) all() []fyne.CanvasObject {
	return append(append([]fyne.CanvasObject(nil), b.objects...), b.about, b.hint)
}
