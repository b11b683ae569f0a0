package ui

import (
	"testing"

	"kestrel/app/ui/look"
	"kestrel/app/ui/look/looktest"
	"kestrel/app/ui/settings"
)

// TestPictures: each main view in both themes and both languages.
func TestPictures(t *testing.T) {
	for _, s := range scenes {
		if !s.pictured {
			continue
		}
		for _, mode := range []look.Mode{look.Light, look.Dark} {
			for _, l := range look.Languages() {
				name := s.name + "-" + string(mode) + "-" + l.Code
				t.Run(name, func(t *testing.T) {
					b := s.stage(t, settings.Preferences{Mode: mode, Language: look.Language(l.Code)})
					looktest.Picture(t, name, b.w.Canvas())
				})
			}
		}
	}
}
