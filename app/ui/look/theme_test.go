package look

import (
	"bytes"
	"image/color"
	"math"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"
	"github.com/go-text/typesetting/font"
)

// luminance is that of WCAG 2.
func luminance(c color.Color) float64 {
	r, g, b, _ := c.RGBA()
	linear := func(v uint32) float64 {
		x := float64(v) / 0xFFFF
		if x <= 0.03928 {
			return x / 12.92
		}
		return math.Pow((x+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(r) + 0.7152*linear(g) + 0.0722*linear(b)
}

func contrast(a, b color.Color) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// TestContrast: every text can be read on every background it stands on, by the
// bound of WCAG 2 AA.
func TestContrast(t *testing.T) {
	backgrounds := []fyne.ThemeColorName{theme.ColorNameBackground, ColorPanel, ColorCard, ColorBubble,
		theme.ColorNameOverlayBackground, theme.ColorNameMenuBackground, theme.ColorNameInputBackground}
	texts := []fyne.ThemeColorName{theme.ColorNameForeground, ColorMuted, theme.ColorNamePrimary, theme.ColorNameError,
		theme.ColorNameWarning, theme.ColorNameSuccess}
	for _, mode := range []Mode{Light, Dark} {
		for _, accent := range Accents() {
			th := New(Options{Mode: mode, Accent: accent})
			of := func(n fyne.ThemeColorName) color.Color { return th.Color(n, theme.VariantLight) }
			for _, bg := range backgrounds {
				for _, text := range texts {
					if c := contrast(of(text), of(bg)); c < 4.5 {
						t.Errorf("%s %s: %s on %s has a contrast of %.2f, want 4.5", mode, accent, text, bg, c)
					}
				}
			}
			for fg, bg := range map[fyne.ThemeColorName]fyne.ThemeColorName{
				theme.ColorNameForegroundOnPrimary: theme.ColorNamePrimary, theme.ColorNameForegroundOnError: theme.ColorNameError,
				theme.ColorNameForegroundOnWarning: theme.ColorNameWarning, theme.ColorNameForegroundOnSuccess: theme.ColorNameSuccess,
				theme.ColorNameForeground: ColorMark, theme.ColorNamePlaceHolder: theme.ColorNameInputBackground,
			} {
				if c := contrast(of(fg), of(bg)); c < 4.5 {
					t.Errorf("%s %s: %s on %s has a contrast of %.2f, want 4.5", mode, accent, fg, bg, c)
				}
			}
		}
	}
}

func TestModes(t *testing.T) {
	background := func(m Mode, v fyne.ThemeVariant) bool {
		return luminance(New(Options{Mode: m}).Color(theme.ColorNameBackground, v)) > 0.5
	}
	for _, c := range []struct {
		mode  Mode
		v     fyne.ThemeVariant
		light bool
	}{
		{System, theme.VariantLight, true}, {System, theme.VariantDark, false},
		{Light, theme.VariantDark, true}, {Dark, theme.VariantLight, false}, {"?", theme.VariantLight, true},
	} {
		if got := background(c.mode, c.v); got != c.light {
			t.Errorf("%s in variant %d: light is %v", c.mode, c.v, got)
		}
	}
	for _, size := range []float32{0, -1, 5, 100} {
		if got := New(Options{Size: size}).Size(theme.SizeNameText); got != DefaultSize {
			t.Errorf("size %g: %g, want the default", size, got)
		}
	}
	if got := New(Options{Size: 20}).Size(theme.SizeNameText); got != 20 {
		t.Errorf("size 20: %g", got)
	}
}

// TestFonts: each face has the same Latin and Chinese characters, so that no
// text falls back to another font in part; in the monospaced one a Chinese
// character is two columns wide.
func TestFonts(t *testing.T) {
	const sample = "Aaz09 Äéß αΩ Жя “”‘’—…•→≤×€ 的一是不了人我在有他这为之大来以个中上们鹰红隼龘齉，。！？：；「」《》（）、１Ａあア"
	for name, r := range map[string]fyne.Resource{"regular": regular(), "bold": bold(), "italic": italic(), "monospace": monospace()} {
		face, err := font.ParseTTF(bytes.NewReader(r.Content()))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, c := range sample {
			g, ok := face.NominalGlyph(c)
			if !ok && c != '龘' && c != '齉' { // beyond GB 2312
				t.Errorf("%s has no %q", name, c)
			}
			if outline, isOutline := face.GlyphData(g).(font.GlyphOutline); ok && c != ' ' && (!isOutline || len(outline.Segments) == 0) {
				t.Errorf("%s draws nothing for %q", name, c)
			}
		}
		if name == "monospace" {
			width := func(c rune) float32 { g, _ := face.NominalGlyph(c); return face.HorizontalAdvance(g) }
			if width('i') != width('W') || width('的') != 2*width('W') {
				t.Errorf("monospace: widths of i, W and 的 are %g, %g and %g", width('i'), width('W'), width('的'))
			}
		}
	}
	if _, ok := mustFace(t, regular()).NominalGlyph('體'); !ok {
		t.Error("regular has no traditional characters")
	}
}

func mustFace(t *testing.T, r fyne.Resource) *font.Face {
	t.Helper()
	face, err := font.ParseTTF(bytes.NewReader(r.Content()))
	if err != nil {
		t.Fatal(err)
	}
	return face
}

func TestNumbers(t *testing.T) {
	SetLanguage(English)
	for _, c := range []struct{ got, want string }{
		{Bytes(0), "0 B"}, {Bytes(1023), "1023 B"}, {Bytes(1024), "1.0 KiB"}, {Bytes(38 << 20), "38.0 MiB"},
		{Bytes(14_603_000_000), "13.6 GiB"}, {Bytes(1 << 40), "1.0 TiB"}, {Bytes(250 << 20), "250 MiB"}, {Bytes(-2048), "-2.0 KiB"},
		{Count(7), "7"}, {Count(1234), "1,234"}, {Count(1234567), "1,234,567"}, {Count(-1000), "-1,000"},
		{Rate(3.14159), "3.1 tokens/s"}, {Rate(1234.5), "1,235 tokens/s"},
		{Duration(-1), "unknown"}, {Duration(30 * time.Millisecond), "30 ms"}, {Duration(2500 * time.Millisecond), "2.5 s"},
		{Duration(59 * time.Second), "59 s"}, {Duration(59600 * time.Millisecond), "1 min 0 s"},
		{Duration(90 * time.Second), "1 min 30 s"}, {Duration(2 * time.Hour), "2 h 0 min"},
		{When(time.Date(2026, 5, 1, 9, 5, 0, 0, time.UTC), time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)), "09:05"},
		{When(time.Date(2026, 4, 30, 9, 5, 0, 0, time.UTC), time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)), "Apr 30"},
		{When(time.Date(2025, 4, 30, 9, 5, 0, 0, time.UTC), time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)), "2025-04-30"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

// TestQuotesAreNarrow: in most Chinese fonts ’ is as wide as a character, which
// tears English words apart.
func TestQuotesAreNarrow(t *testing.T) {
	for _, r := range []fyne.Resource{regular(), bold(), italic(), monospace()} {
		face := mustFace(t, r)
		em, _ := face.NominalGlyph('的')
		for _, c := range "‘’“”·" {
			if g, ok := face.NominalGlyph(c); !ok || face.HorizontalAdvance(g) > face.HorizontalAdvance(em)*0.95 {
				t.Errorf("%s: %q is %g wide, 的 %g", r.Name(), c, face.HorizontalAdvance(g), face.HorizontalAdvance(em))
			}
		}
	}
}
