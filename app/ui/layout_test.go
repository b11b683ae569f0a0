package ui

import (
	"fmt"
	"testing"

	"kestrel/app/ui/look"
	"kestrel/app/ui/look/looktest"
	"kestrel/app/ui/settings"
)

// TestLayout: in each view, at sizes of text from the first to the last, each
// second one for the sake of time, and in both languages, no two
// texts overlap, none leaves what it stands in, and the window needs no more
// than the smallest screen has.
func TestLayout(t *testing.T) {
	for i, size := range look.Sizes {
		if i%2 == 1 {
			continue
		}
		p := settings.Preferences{Mode: look.Light, Size: size}
		a := looktest.App(t, p.Look(), look.English)
		for _, s := range scenes {
			for _, l := range look.Languages() {
				t.Run(fmt.Sprintf("%s-%g-%s", s.name, size, l.Code), func(t *testing.T) {
					p.Language = look.Language(l.Code)
					s.stage(t, a, p).isTidy()
				})
			}
		}
	}
}

// TestSizeChanges: the same while a view is open, as in the settings.
func TestSizeChanges(t *testing.T) {
	for _, s := range scenes {
		if s.name != "settings-answers" && s.name != "monitor" {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			p := settings.Preferences{Mode: look.Light}
			b := s.stage(t, looktest.App(t, p.Look(), look.English), p)
			for _, size := range []float32{18, 10, 24, 14} {
				p = b.prefs
				p.Size = size
				b.prefer(p)
				b.settle()
				b.isTidy()
			}
		})
	}
}

// isTidy checks that all texts have their places.
func (b *bench) isTidy() {
	b.t.Helper()
	for _, wrong := range looktest.Misplaced(b.w.Canvas()) {
		b.t.Error(wrong)
	}
	if least := b.w.Content().MinSize(); least.Width > 1024 || least.Height > 640 {
		b.t.Errorf("the window needs %v", least)
	}
}
