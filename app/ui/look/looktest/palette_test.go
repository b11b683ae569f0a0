package looktest

import (
	"image"
	"image/color"
	"testing"

	"kestrel/app/ui/look"
)

// TestReduced: a picture with a palette is as good as the whole one to compare
// with, and grounds keep their colours.
func TestReduced(t *testing.T) {
	const text = "The quick brown fox 敏捷的棕色狐狸"
	for _, mode := range []look.Mode{look.Light, look.Dark} {
		whole := picture(t, look.Options{Mode: mode}, look.English, 0, text)
		few := reduced(whole)
		if n := len(few.Palette); n > mostColours {
			t.Errorf("%s: %d colours", mode, n)
		}
		if err := Compare(few, whole); err != nil {
			t.Errorf("%s: %v", mode, err)
		}
	}
	// as many shades as there can be around two grounds that are near to each other
	m := image.NewNRGBA(image.Rect(0, 0, 256, 256))
	for y := range 256 {
		for x := range 256 {
			c := color.NRGBA{0x1C, 0x20, 0x25, 0xFF}
			switch {
			case y > 200:
				c = color.NRGBA{0x1F, 0x24, 0x2A, 0xFF}
			case y < 64:
				c = color.NRGBA{uint8(x), uint8(x), uint8(255 - x), 0xFF}
			}
			m.SetNRGBA(x, y, c)
		}
	}
	few := reduced(m)
	for _, y := range []int{100, 250} {
		if got, want := color.NRGBAModel.Convert(few.At(5, y)), m.NRGBAAt(5, y); got != want {
			t.Errorf("at %d: %v, want %v", y, got, want)
		}
	}
}
