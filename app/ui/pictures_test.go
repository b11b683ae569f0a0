package ui

import (
	"testing"

	"kestrel/app/ui/look"
	"kestrel/app/ui/look/looktest"
	"kestrel/app/ui/settings"
)

// TestPictures: each main view in both themes and both languages.
func TestPictures(t *testing.T) {
	for _, mode := range []look.Mode{look.Light, look.Dark} {
		p := settings.Preferences{Mode: mode}
		a := looktest.App(t, p.Look(), look.English)
		for _, s := range scenes {
			if !s.pictured {
				continue
			}
			for _, l := range look.Languages() {
				name := s.name + "-" + string(mode) + "-" + l.Code
				t.Run(name, func(t *testing.T) {
					p.Language = look.Language(l.Code)
					looktest.Picture(t, name, s.stage(t, a, p).w.Canvas())
				})
			}
		}
	}
}
