package ui

import (
	"fmt"
	"testing"

	"kestrel/app/ui/look"
	"kestrel/app/ui/look/looktest"
	"kestrel/app/ui/settings"
)

// TestLayout: in each view, at each size of text and in both languages, no two
// texts overlap, none leaves what it stands in, and the window needs no more
// than the smallest screen has. The sizes change while the view is open, as in
// the settings; the first and the last are those that it was opened with.
func TestLayout(t *testing.T) {
	last := look.Sizes[len(look.Sizes)-1]
	for _, s := range scenes {
		for _, l := range look.Languages() {
			t.Run(s.name+"-"+l.Code, func(t *testing.T) {
				p := settings.Preferences{Mode: look.Light, Language: look.Language(l.Code), Size: look.Sizes[0]}
				b := s.stage(t, p)
				for i, size := range look.Sizes {
					if i%2 == 1 { // each second one shows it, in half the time
						continue
					}
					p = b.prefs
					p.Size = size
					b.prefer(p)
					b.settle()
					b.isTidy(fmt.Sprintf("size %g", size))
				}
				p.Size = last
				s.stage(t, p).isTidy("opened with the last size")
			})
		}
	}
}

// isTidy checks that all texts have their places.
func (b *bench) isTidy(when string) {
	b.t.Helper()
	for _, wrong := range looktest.Misplaced(b.w.Canvas()) {
		b.t.Errorf("%s: %s", when, wrong)
	}
	if least := b.w.Content().MinSize(); least.Width > 1024 || least.Height > 640 {
		b.t.Errorf("%s: the window needs %v", when, least)
	}
}
