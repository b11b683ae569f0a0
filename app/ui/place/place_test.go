package place

import (
	"image"
	"testing"

	"fyne.io/fyne/v2/test"
)

func TestWithin(t *testing.T) {
	one := []image.Rectangle{image.Rect(0, 0, 1920, 1080)}
	two := append(one, image.Rect(1920, -200, 1920+2560, -200+1440))
	left := append(one, image.Rect(-1280, 0, 0, 1024))
	bar := []image.Rectangle{image.Rect(0, 28, 1920, 1080)} // below a bar of the desktop
	for _, c := range []struct {
		name    string
		place   Place
		screens []image.Rectangle
		want    image.Point
		ok      bool
	}{
		{"in the middle", Place{300, 200, 1200, 760}, one, image.Pt(300, 200), true},
		{"the whole screen", Place{0, 28, 1920, 1052}, bar, image.Pt(0, 28), true},
		{"over the right edge, as it was left", Place{1700, 200, 1200, 760}, one, image.Pt(1700, 200), true},
		{"over the left edge, as it was left", Place{-1000, 200, 1200, 760}, one, image.Pt(-1000, 200), true},
		{"over the lower edge, as it was left", Place{300, 1000, 1200, 760}, one, image.Pt(300, 1000), true},
		{"too far right to take hold of", Place{1900, 200, 1200, 760}, one, image.Pt(720, 200), true},
		{"too far left to take hold of", Place{-1150, 200, 1200, 760}, one, image.Pt(0, 200), true},
		{"title above the screen", Place{300, -100, 1200, 760}, one, image.Pt(300, titleBar), true},
		{"title below the desktop's bar", Place{300, 10, 1200, 760}, bar, image.Pt(300, 28+titleBar), true},
		{"larger than the screen", Place{-200, -200, 2500, 1500}, one, image.Pt(0, titleBar), true},
		{"on the second screen", Place{2500, -150, 1200, 760}, two, image.Pt(2500, -150), true},
		{"the second screen is gone", Place{2500, -150, 1200, 760}, one, image.Pt(2500, -150), false},
		{"on both", Place{1500, 100, 1200, 760}, two, image.Pt(1500, 100), true},
		{"on both, the second is gone", Place{1500, 100, 1200, 760}, one, image.Pt(1500, 100), true},
		{"on both, a little of it left", Place{1860, 100, 1200, 760}, one, image.Pt(720, 100), true},
		{"left of the first", Place{-1200, 100, 1100, 760}, left, image.Pt(-1200, 100), true},
		{"minimized on Windows", Place{-32000, -32000, 1200, 760}, two, image.Pt(-32000, -32000), false},
		{"the origin, which Fyne takes for none", Place{0, 0, 1200, 760}, one, image.Pt(0, 1), true},
		{"smaller than what one takes hold of", Place{10, 10, 60, 40}, one, image.Pt(10, 10), true},
		{"none", Place{}, one, image.Point{}, false},
		{"no screen", Place{300, 200, 1200, 760}, nil, image.Pt(300, 200), false},
	} {
		got, ok := within(c.place, c.screens)
		if got != c.want || ok != c.ok {
			t.Errorf("%s: %v, %v, want %v, %v", c.name, got, ok, c.want, c.ok)
		}
	}
}

// TestWithout: a window of no screen has no place and keeps working.
func TestWithout(t *testing.T) {
	w := test.NewTempWindow(t, nil)
	if p, ok := Of(w); ok {
		t.Errorf("a window in memory is at %v", p)
	}
	Restore(w, Place{1, 2, 3, 4})
}
