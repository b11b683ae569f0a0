package chatview

import (
	"testing"

	"fyne.io/fyne/v2"

	"kestrel/app/ui/look"
	"kestrel/app/ui/look/looktest"
)

// TestLargeTextInSmallWindow: at any size of text and window, what is written
// stays within its place, and nothing lies over anything else.
func TestLargeTextInSmallWindow(t *testing.T) {
	for name, play := range scenes {
		for _, l := range []look.Language{look.English, look.Chinese} {
			for _, size := range []fyne.Size{{Width: 560, Height: 640}, {Width: 480, Height: 400}} {
				s := newStage(t, look.Options{Size: 24}, l, nil)
				play(s)
				s.w.Resize(size)
				s.drain()
				for _, wrong := range looktest.Misplaced(s.w.Canvas()) {
					t.Errorf("%s %s at %v: %s", name, l, size, wrong)
				}
			}
		}
	}
}
