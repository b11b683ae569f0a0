package ui

import (
	"fmt"
	"testing"

	"kestrel/app/ui/look"
	"kestrel/app/ui/look/looktest"
	"kestrel/app/ui/settings"
)

// TestLayout: in each view, at sizes of text from the smallest to the largest and in both languages, no two
// texts overlap, none leaves what it stands in, and the window needs no more
// than the smallest screen has.
func TestLayout(t *testing.T) {
	for _, s := range scenes {
		for _, size := range []float32{look.Sizes[0], look.DefaultSize, 18, look.Sizes[len(look.Sizes)-1]} {
			for _, l := range look.Languages() {
				t.Run(fmt.Sprintf("%s-%g-%s", s.name, size, l.Code), func(t *testing.T) {
					b := s.stage(t, settings.Preferences{Mode: look.Light, Language: look.Language(l.Code), Size: size})
					for _, wrong := range looktest.Misplaced(b.w.Canvas()) {
						t.Error(wrong)
					}
					if least := b.w.Content().MinSize(); least.Width > 1024 || least.Height > 640 {
						t.Errorf("the window needs %v", least)
					}
				})
			}
		}
	}
}
