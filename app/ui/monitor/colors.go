package monitor

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"

	"kestrel/app/ui/look"
	"kestrel/engine/vulkan"
)

// hue is a colour on a light and on a dark background.
type hue struct{ light, dark color.NRGBA }

// hues tell the purposes apart, also for eyes that see red and green alike:
// they differ in lightness as well.
var hues = map[vulkan.Purpose]hue{
	vulkan.State:   {color.NRGBA{0x1B, 0x8A, 0x7A, 0xFF}, color.NRGBA{0x5C, 0xC8, 0xB6, 0xFF}},
	vulkan.Scratch: {color.NRGBA{0xD9, 0x9A, 0x2B, 0xFF}, color.NRGBA{0xF0, 0xC2, 0x6A, 0xFF}},
	vulkan.Staging: {color.NRGBA{0x7A, 0x4F, 0xA3, 0xFF}, color.NRGBA{0xB0, 0x8A, 0xD6, 0xFF}},
	vulkan.Saved:   {color.NRGBA{0xC2, 0x4D, 0x6B, 0xFF}, color.NRGBA{0xEC, 0x8B, 0xA4, 0xFF}},
	"":             {color.NRGBA{0x3C, 0x44, 0x4D, 0xFF}, color.NRGBA{0xC9, 0xCF, 0xD6, 0xFF}},
}

// othersHue is of other programs' memory.
var othersHue = hue{color.NRGBA{0x9A, 0xA5, 0xB1, 0xFF}, color.NRGBA{0x6B, 0x76, 0x82, 0xFF}}

// isDark says whether the theme in use has a dark background.
func isDark() bool {
	r, g, b, _ := theme.Color(theme.ColorNameBackground).RGBA()
	return r+g+b < 3*0x8000
}

func (h hue) color() color.Color {
	if isDark() {
		return h.dark
	}
	return h.light
}

// colorOf is a part's: of main memory the same, thinner.
func colorOf(s share) color.Color {
	c := theme.Color(look.ColorPlotOne)
	if h, ok := hues[s.purpose]; ok {
		c = h.color()
	}
	if s.host {
		return withAlpha(c, 0xA0)
	}
	return c
}

func withAlpha(c color.Color, alpha uint8) color.Color {
	n := color.NRGBAModel.Convert(c).(color.NRGBA)
	n.A = alpha
	return n
}

func themed(name fyne.ThemeColorName) color.Color { return theme.Color(name) }
