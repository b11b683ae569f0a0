// Package look is how the window looks and which language it speaks: the
// theme with its fonts, the sizes of text, the catalogues of translations and
// the way numbers are written.
//
// The theme is a value: to change it, make another and hand it to Fyne. The
// language is one for the whole program; after SetLanguage the views are built
// anew.
package look

import (
	"image/color"
	"sync"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"

	"kestrel/assets"
)

// Mode says whether the theme is light or dark.
type Mode string

// Modes; System follows the desktop's own.
const (
	System Mode = "system"
	Light  Mode = "light"
	Dark   Mode = "dark"
)

// Sizes of text to choose from, and the default, in Fyne's units.
var Sizes = []float32{10, 12, 13, 14, 15, 16, 18, 20, 24}

// DefaultSize is the size of text unless the user wants another.
const DefaultSize = 14

// Options of a theme. The zero value is the default.
type Options struct {
	Mode   Mode
	Accent Accent
	Size   float32 // of text
}

// Theme is Kestrel's. It is immutable.
type Theme struct{ o Options }

var _ fyne.Theme = (*Theme)(nil)

// New makes a theme. What the options leave out, or get wrong, is the default.
func New(o Options) *Theme {
	if o.Mode != Light && o.Mode != Dark {
		o.Mode = System
	}
	if _, ok := accents[o.Accent]; !ok {
		o.Accent = Slate
	}
	if o.Size < Sizes[0] || o.Size > Sizes[len(Sizes)-1] {
		o.Size = DefaultSize
	}
	return &Theme{o}
}

// Options are those that the theme was made of, with the defaults filled in.
func (t *Theme) Options() Options { return t.o }

// Is reports whether another theme is the same.
func (t *Theme) Is(other fyne.Theme) bool {
	o, ok := other.(*Theme)
	return ok && o.o == t.o
}

// Color implements fyne.Theme.
func (t *Theme) Color(name fyne.ThemeColorName, v fyne.ThemeVariant) color.Color {
	isDark := t.o.Mode == Dark || t.o.Mode == System && v == theme.VariantDark
	p, accent := light, accents[t.o.Accent][0]
	if isDark {
		p, accent = dark, accents[t.o.Accent][1]
	}
	switch name {
	case theme.ColorNamePrimary, theme.ColorNameHyperlink, ColorPlotOne:
		return accent
	case theme.ColorNameFocus:
		return withAlpha(accent, 0x60)
	case theme.ColorNameSelection:
		return withAlpha(accent, 0x40)
	case ColorBubble:
		return mix(p[theme.ColorNameBackground], accent, 0.13)
	}
	if c, ok := p[name]; ok {
		return c
	}
	if isDark {
		v = theme.VariantDark
	} else {
		v = theme.VariantLight
	}
	return theme.DefaultTheme().Color(name, v)
}

func withAlpha(c color.NRGBA, alpha uint8) color.NRGBA {
	c.A = alpha
	return c
}

// fonts of the window, read when they are first needed: the command line has no
// use for them. Bold italic text is bold: Chinese has no italics, and in Latin
// the weight says enough.
var (
	regular   = typeface("KestrelSans-Regular.otf")
	bold      = typeface("KestrelSans-Bold.otf")
	italic    = typeface("KestrelSans-Italic.otf")
	monospace = typeface("KestrelMono-Regular.otf")
)

func typeface(name string) func() fyne.Resource {
	return sync.OnceValue(func() fyne.Resource {
		data, err := assets.Fonts.ReadFile("fonts/" + name)
		if err != nil { // only for a name that is not built in
			panic(err)
		}
		return fyne.NewStaticResource(name, data)
	})
}

// Font implements fyne.Theme.
func (t *Theme) Font(style fyne.TextStyle) fyne.Resource {
	switch {
	case style.Symbol:
		return theme.DefaultTheme().Font(style)
	case style.Monospace:
		return monospace()
	case style.Bold:
		return bold()
	case style.Italic:
		return italic()
	}
	return regular()
}

// Icon implements fyne.Theme.
func (t *Theme) Icon(name fyne.ThemeIconName) fyne.Resource { return theme.DefaultTheme().Icon(name) }

// Size implements fyne.Theme: all that holds text grows with it.
func (t *Theme) Size(name fyne.ThemeSizeName) float32 {
	text := t.o.Size
	switch name {
	case theme.SizeNameText:
		return text
	case theme.SizeNameCaptionText:
		return round(text * 0.86)
	case theme.SizeNameSubHeadingText:
		return round(text * 1.18)
	case theme.SizeNameHeadingText:
		return round(text * 1.45)
	case theme.SizeNameInlineIcon:
		return round(text * 1.3)
	case theme.SizeNameLineSpacing:
		return round(text * 0.3)
	case theme.SizeNamePadding:
		return 4
	case theme.SizeNameInnerPadding:
		return round(text * 0.5)
	case theme.SizeNameSplitThickness:
		return 5
	case theme.SizeNameScrollBar:
		return 10
	case theme.SizeNameInputRadius, theme.SizeNameButtonRadius, theme.SizeNameSelectionRadius, theme.SizeNameMenuRadius:
		return 6
	case theme.SizeNameCardRadius, theme.SizeNamePopupRadius:
		return 8
	}
	return theme.DefaultTheme().Size(name)
}

// round keeps sizes whole, so that lines of text stay on whole pixels.
func round(x float32) float32 { return float32(int(x + 0.5)) }
