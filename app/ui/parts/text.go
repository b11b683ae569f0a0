package parts

import (
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"kestrel/app/ui/look"
)

// Muted is secondary text: of the caption's size, in the muted colour.
func Muted(text string) *widget.RichText {
	r := widget.NewRichText(MutedSegment(text))
	r.Wrapping = fyne.TextWrapWord
	return r
}

// MutedSegment is a piece of such text.
func MutedSegment(text string) *widget.TextSegment {
	return &widget.TextSegment{Text: text, Style: widget.RichTextStyle{ColorName: look.ColorMuted, SizeName: theme.SizeNameCaptionText, Inline: true}}
}

// SetMuted changes the text of a Muted.
func SetMuted(r *widget.RichText, text string) {
	r.Segments = []widget.RichTextSegment{MutedSegment(text)}
	r.Refresh()
}

// Apart stands between the pieces of a line.
const Apart = " · "

// Shorten leaves out pieces from the end of a line, and then letters, until it
// fits.
func Shorten(text string, fits func(string) bool) string {
	for !fits(text) {
		i := strings.LastIndex(text, Apart)
		if i < 0 {
			break
		}
		text = text[:i]
	}
	if fits(text) {
		return text
	}
	letters := []rune(text)
	for len(letters) > 1 && !fits(string(letters)+"…") {
		letters = letters[:len(letters)-1]
	}
	return string(letters) + "…"
}

// Heading is the heading of a part of a view.
func Heading(text string) *widget.Label {
	l := widget.NewLabel(text)
	l.TextStyle.Bold = true
	l.SizeName = theme.SizeNameSubHeadingText
	l.Truncation = fyne.TextTruncateEllipsis
	return l
}

// On puts content on a background of the theme's colour, which follows the
// theme. radius rounds its corners.
func On(color fyne.ThemeColorName, radius float32, content fyne.CanvasObject) fyne.CanvasObject {
	b := &background{color: color, radius: radius}
	b.ExtendBaseWidget(b)
	return container.NewStack(b, content)
}

// Card is content on a card.
func Card(content fyne.CanvasObject) fyne.CanvasObject {
	return On(look.ColorCard, 8, container.NewPadded(container.NewPadded(content)))
}

type background struct {
	widget.BaseWidget
	color  fyne.ThemeColorName
	radius float32
}

func (b *background) CreateRenderer() fyne.WidgetRenderer {
	r := canvas.NewRectangle(theme.Color(b.color))
	r.CornerRadius = b.radius
	return &backgroundRenderer{WidgetRenderer: widget.NewSimpleRenderer(r), b: b, r: r}
}

type backgroundRenderer struct {
	fyne.WidgetRenderer
	b *background
	r *canvas.Rectangle
}

func (r *backgroundRenderer) Refresh() {
	r.r.FillColor = theme.Color(r.b.color)
	r.r.Refresh()
}
