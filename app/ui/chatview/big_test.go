package chatview

import (
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"

	"kestrel/app/ui/look"
)

// TestLargeTextInSmallWindow: at any size of text and window, what is written
// stays within the window, and nothing lies over the place to write.
func TestLargeTextInSmallWindow(t *testing.T) {
	for name, play := range scenes {
		for _, l := range []look.Language{look.English, look.Chinese} {
			for _, size := range []fyne.Size{{Width: 560, Height: 640}, {Width: 480, Height: 400}} {
				s := newStage(t, look.Options{Size: 24}, l, nil)
				play(s)
				s.w.Resize(size)
				s.drain()
				top := s.v.composer.Position().Y
				for _, o := range laidOut(s.w.Content()) {
					c, ok := o.(*canvas.Text)
					if !ok || c.Text == "" {
						continue
					}
					at := fyne.CurrentApp().Driver().AbsolutePositionForObject(o)
					if right := at.X + c.MinSize().Width; at.X < 0 || right > size.Width+1 {
						t.Errorf("%s %s at %v: %q goes from %v to %v", name, l, size, c.Text, at.X, right)
					}
				}
				for _, b := range s.v.empty.asks {
					if bottom := b.Position().Y + b.Size().Height; s.v.empty.Visible() && b.Visible() && bottom > top {
						t.Errorf("%s %s at %v: %q ends at %v, below %v", name, l, size, b.Text, bottom, top)
					}
				}
			}
		}
	}
}
