package markdown

import (
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"
)

// face is a font at a size, with the widths of the words it has set.
type face struct {
	style    fyne.TextStyle
	size     float32
	height   float32
	baseline float32
	column   float32 // of a monospaced face, the width of an ASCII character; else 0
	words    map[string]float32
}

// faces holds every face in use. All of them are dropped when the theme's fonts
// or text size change.
type faces struct {
	look  appearance
	known [8][]*face // by style: there are few sizes of each
}

// appearance is what of a theme decides how text is laid out.
type appearance struct {
	size    float32
	regular fyne.Resource
	mono    fyne.Resource
}

func currentLook() appearance {
	return appearance{theme.Size(theme.SizeNameText), theme.Font(fyne.TextStyle{}), theme.Font(fyne.TextStyle{Monospace: true})}
}

// fonts is shared by all views: they set the same words. Like the views it
// belongs to Fyne's goroutine.
var fonts faces

func (f *faces) current() appearance {
	if now := currentLook(); now != f.look {
		*f = faces{look: now}
	}
	return f.look
}

// maxWords bounds what a face remembers.
const maxWords = 100_000

func (f *faces) face(s style, size float32) *face {
	s &= bold | italic | mono
	for _, found := range f.known[s] {
		if found.size == size {
			return found
		}
	}
	made := &face{style: textStyle(s), size: size, words: map[string]float32{}}
	box, baseline := fyne.CurrentApp().Driver().RenderedTextSize("Mg", size, made.style, nil)
	made.height, made.baseline = box.Height, baseline
	if made.style.Monospace {
		made.column = made.measure("0")
	}
	f.known[s] = append(f.known[s], made)
	return made
}

func (f *face) measure(text string) float32 {
	size, _ := fyne.CurrentApp().Driver().RenderedTextSize(text, f.size, f.style, nil)
	return size.Width
}

// width of a word. text outlives the call only as a copy.
func (f *face) width(text string) float32 {
	if f.column > 0 && ascii(text) {
		return f.column * float32(len(text))
	}
	if w, ok := f.words[text]; ok {
		return w
	}
	w := f.measure(text)
	if len(text) <= 64 {
		if len(f.words) >= maxWords {
			clear(f.words)
		}
		f.words[strings.Clone(text)] = w
	}
	return w
}

func ascii(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// textStyle is how Fyne calls s. Themes rarely have a slanted or bold
// monospaced font, and Fyne's own test theme has none.
func textStyle(s style) fyne.TextStyle {
	if s&mono != 0 {
		return fyne.TextStyle{Monospace: true}
	}
	return fyne.TextStyle{Bold: s&bold != 0, Italic: s&italic != 0}
}
