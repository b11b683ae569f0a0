package look

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"
)

// Colours beyond Fyne's own, for theme.Color.
const (
	ColorPanel   fyne.ThemeColorName = "kestrelPanel"   // behind side bars and the bar at the top
	ColorCard    fyne.ThemeColorName = "kestrelCard"    // behind cards on the background
	ColorBubble  fyne.ThemeColorName = "kestrelBubble"  // behind what the user wrote
	ColorCode    fyne.ThemeColorName = "kestrelCode"    // behind code
	ColorMuted   fyne.ThemeColorName = "kestrelMuted"   // of text that is secondary but must be read
	ColorMark    fyne.ThemeColorName = "kestrelMark"    // behind the place that a search found
	ColorPlotOne fyne.ThemeColorName = "kestrelPlotOne" // of a plot's first line: memory
	ColorPlotTwo fyne.ThemeColorName = "kestrelPlotTwo" // of a plot's second line: tokens
	ColorGrid    fyne.ThemeColorName = "kestrelGrid"    // of a plot's grid
)

// Accent is the colour of what can be pressed and of what is chosen.
type Accent string

// Accents, the default first.
const (
	Slate Accent = "slate"
	Rust  Accent = "rust"
	Moss  Accent = "moss"
	Plum  Accent = "plum"
)

// Accents lists them all.
func Accents() []Accent { return []Accent{Slate, Rust, Moss, Plum} }

// accents are the colours on a light and on a dark background.
var accents = map[Accent][2]color.NRGBA{
	Slate: {rgb(0x2D6A9F), rgb(0x7DB2E3)},
	Rust:  {rgb(0xA94A25), rgb(0xE59B78)},
	Moss:  {rgb(0x2E7050), rgb(0x7FC3A0)},
	Plum:  {rgb(0x74509C), rgb(0xBFA2E0)},
}

type palette map[fyne.ThemeColorName]color.NRGBA

var light = palette{
	theme.ColorNameBackground:                rgb(0xFFFFFF),
	ColorPanel:                               rgb(0xF4F5F7),
	ColorCard:                                rgb(0xF7F8FA),
	ColorCode:                                rgb(0xF3F4F6),
	theme.ColorNameHeaderBackground:          rgb(0xF4F5F7),
	theme.ColorNameMenuBackground:            rgb(0xFFFFFF),
	theme.ColorNameOverlayBackground:         rgb(0xFFFFFF),
	theme.ColorNameInputBackground:           rgb(0xEFF1F4),
	theme.ColorNameInputBorder:               rgb(0xC6CCD3),
	theme.ColorNameInnerWindowBorder:         rgb(0xD5DAE0),
	theme.ColorNameInnerWindowBorderInactive: rgb(0xE3E6EA),
	theme.ColorNameSeparator:                 rgb(0xE3E6EA),
	ColorGrid:                                rgb(0xE8EBEF),
	theme.ColorNameButton:                    rgb(0xECEEF1),
	theme.ColorNameDisabledButton:            rgb(0xF1F3F5),
	theme.ColorNameForeground:                rgb(0x1C2228),
	ColorMuted:                               rgb(0x5F6A75),
	theme.ColorNamePlaceHolder:               rgb(0x626C77),
	theme.ColorNameDisabled:                  rgb(0x9AA3AD),
	theme.ColorNameHover:                     rgba(0x000000, 0x0E),
	theme.ColorNamePressed:                   rgba(0x000000, 0x1C),
	theme.ColorNameScrollBar:                 rgba(0x000000, 0x55),
	theme.ColorNameScrollBarBackground:       rgba(0x000000, 0x08),
	theme.ColorNameShadow:                    rgba(0x000000, 0x26),
	theme.ColorNameError:                     rgb(0xB3261E),
	theme.ColorNameWarning:                   rgb(0x8F5B00),
	theme.ColorNameSuccess:                   rgb(0x1E7347),
	theme.ColorNameForegroundOnError:         rgb(0xFFFFFF),
	theme.ColorNameForegroundOnWarning:       rgb(0xFFFFFF),
	theme.ColorNameForegroundOnSuccess:       rgb(0xFFFFFF),
	theme.ColorNameForegroundOnPrimary:       rgb(0xFFFFFF),
	ColorMark:                                rgb(0xFFE9A8),
	ColorPlotTwo:                             rgb(0xC2622D),
}

var dark = palette{
	theme.ColorNameBackground:                rgb(0x16191D),
	ColorPanel:                               rgb(0x1C2025),
	ColorCard:                                rgb(0x1F242A),
	ColorCode:                                rgb(0x101316),
	theme.ColorNameHeaderBackground:          rgb(0x1C2025),
	theme.ColorNameMenuBackground:            rgb(0x242A31),
	theme.ColorNameOverlayBackground:         rgb(0x20252B),
	theme.ColorNameInputBackground:           rgb(0x272D34),
	theme.ColorNameInputBorder:               rgb(0x424B55),
	theme.ColorNameInnerWindowBorder:         rgb(0x39424B),
	theme.ColorNameInnerWindowBorderInactive: rgb(0x2D343B),
	theme.ColorNameSeparator:                 rgb(0x2D343B),
	ColorGrid:                                rgb(0x262C33),
	theme.ColorNameButton:                    rgb(0x2B323A),
	theme.ColorNameDisabledButton:            rgb(0x23282E),
	theme.ColorNameForeground:                rgb(0xE5E8EB),
	ColorMuted:                               rgb(0xA1ABB5),
	theme.ColorNamePlaceHolder:               rgb(0x939DA8),
	theme.ColorNameDisabled:                  rgb(0x66707A),
	theme.ColorNameHover:                     rgba(0xFFFFFF, 0x10),
	theme.ColorNamePressed:                   rgba(0xFFFFFF, 0x20),
	theme.ColorNameScrollBar:                 rgba(0xFFFFFF, 0x55),
	theme.ColorNameScrollBarBackground:       rgba(0xFFFFFF, 0x08),
	theme.ColorNameShadow:                    rgba(0x000000, 0x70),
	theme.ColorNameError:                     rgb(0xF08A80),
	theme.ColorNameWarning:                   rgb(0xE3B05B),
	theme.ColorNameSuccess:                   rgb(0x6CC496),
	theme.ColorNameForegroundOnError:         rgb(0x2A0A07),
	theme.ColorNameForegroundOnWarning:       rgb(0x2A1D03),
	theme.ColorNameForegroundOnSuccess:       rgb(0x06210F),
	theme.ColorNameForegroundOnPrimary:       rgb(0x0C1620),
	ColorMark:                                rgb(0x5C4A12),
	ColorPlotTwo:                             rgb(0xE89A66),
}

func rgb(v uint32) color.NRGBA { return rgba(v, 0xFF) }

func rgba(v uint32, alpha uint8) color.NRGBA {
	return color.NRGBA{R: uint8(v >> 16), G: uint8(v >> 8), B: uint8(v), A: alpha}
}

// mix returns a with a share of b in it.
func mix(a, b color.NRGBA, share float64) color.NRGBA {
	m := func(a, b uint8) uint8 { return uint8(float64(a)*(1-share) + float64(b)*share + 0.5) }
	return color.NRGBA{R: m(a.R, b.R), G: m(a.G, b.G), B: m(a.B, b.B), A: 0xFF}
}
