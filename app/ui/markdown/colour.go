package markdown

import (
	"image/color"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"
	"github.com/alecthomas/chroma/v2"
	"github.com/alecthomas/chroma/v2/lexers"

	"kestrel/app/ui/look"
)

// role is what a span's colour stands for.
type role uint8

const (
	roleText role = iota
	roleMuted
	roleLink
	roleKeyword
	roleName // of a function, type or attribute
	roleString
	roleNumber
	roleComment
	roleOperator
	roleAdded
	roleRemoved
)

// palettes of code on light and on dark ground, with a contrast of 4.5 and more.
var palettes = map[bool]map[role]color.NRGBA{
	false: {
		roleKeyword: {0xCF, 0x22, 0x2E, 0xFF}, roleName: {0x82, 0x50, 0xDF, 0xFF},
		roleString: {0x0A, 0x30, 0x69, 0xFF}, roleNumber: {0x05, 0x50, 0xAE, 0xFF},
		roleComment: {0x59, 0x63, 0x6E, 0xFF}, roleOperator: {0x4C, 0x56, 0x60, 0xFF},
		roleAdded: {0x11, 0x63, 0x29, 0xFF}, roleRemoved: {0x82, 0x07, 0x1E, 0xFF},
	},
	true: {
		roleKeyword: {0xFF, 0x7B, 0x72, 0xFF}, roleName: {0xD2, 0xA8, 0xFF, 0xFF},
		roleString: {0xA5, 0xD6, 0xFF, 0xFF}, roleNumber: {0x79, 0xC0, 0xFF, 0xFF},
		roleComment: {0x9A, 0xA4, 0xAE, 0xFF}, roleOperator: {0xB4, 0xBE, 0xC8, 0xFF},
		roleAdded: {0x7E, 0xE7, 0x87, 0xFF}, roleRemoved: {0xFF, 0xA1, 0x98, 0xFF},
	},
}

// dark reports whether the theme's ground is dark, whatever the theme calls itself.
func dark() bool {
	r, g, b, _ := theme.Color(theme.ColorNameBackground).RGBA()
	return 299*r+587*g+114*b < 1000*0x8000
}

func (r role) color(dark bool) color.Color {
	switch r {
	case roleText:
		return theme.Color(theme.ColorNameForeground)
	case roleMuted:
		return theme.Color(look.ColorMuted)
	case roleLink:
		return theme.Color(theme.ColorNameHyperlink)
	}
	return palettes[dark][r]
}

func roleOf(t chroma.TokenType) role {
	switch {
	case t.InCategory(chroma.Keyword), t == chroma.NameTag, t == chroma.OperatorWord:
		return roleKeyword
	case t == chroma.NameFunction, t == chroma.NameFunctionMagic, t == chroma.NameClass, t == chroma.NameBuiltin,
		t == chroma.NameBuiltinPseudo, t == chroma.NameDecorator, t == chroma.NameAttribute, t == chroma.NameException:
		return roleName
	case t.InSubCategory(chroma.LiteralString):
		return roleString
	case t.InSubCategory(chroma.LiteralNumber):
		return roleNumber
	case t.InCategory(chroma.Comment):
		return roleComment
	case t.InCategory(chroma.Operator):
		return roleOperator
	case t == chroma.GenericInserted:
		return roleAdded
	case t == chroma.GenericDeleted:
		return roleRemoved
	case t == chroma.GenericHeading, t == chroma.GenericSubheading:
		return roleKeyword
	}
	return roleText
}

// colouring is what is known of a block of code's colours. It outlives the leaf
// while the block grows.
type colouring struct {
	spans   []span
	length  int // bytes of text that spans cover
	running bool
	again   time.Time // not to start before
}

const (
	maxColoured    = 128 << 10              // bytes; longer code stays plain
	colouringLimit = 300 * time.Millisecond // the rest stays plain
)

// colourise returns the spans of text by the lexer of lang, or nil if it knows
// none. It is slow: a millisecond for some kB.
func colourise(lang, text string) []span {
	if lang == "" || len(text) > maxColoured {
		return nil
	}
	lexer := lexers.Get(lang)
	if lexer == nil {
		return nil
	}
	tokens, err := chroma.Coalesce(lexer).Tokenise(&chroma.TokeniseOptions{State: "root"}, text)
	if err != nil {
		return nil
	}
	deadline := time.Now().Add(colouringLimit)
	var spans []span
	at := 0
	for t := tokens(); t != chroma.EOF; t = tokens() {
		end := min(at+len(t.Value), len(text))
		if end > at {
			r := roleOf(t.Type)
			if n := len(spans); n > 0 && spans[n-1].role == r {
				spans[n-1].end = end
			} else {
				spans = append(spans, span{start: at, end: end, style: mono, role: r})
			}
		}
		at = end
		if time.Now().After(deadline) {
			break
		}
	}
	return spans
}

// colourSpans covers text with what is known of its colours; what was written
// since is plain.
func (l *leaf) colourSpans() {
	l.spans = nil
	if l.colour != nil {
		l.spans = append(l.spans, l.colour.spans...)
	}
	at := 0
	if n := len(l.spans); n > 0 {
		at = l.spans[n-1].end
	}
	if at < len(l.text) {
		l.spans = append(l.spans, span{start: at, end: len(l.text), style: mono})
	}
}

// colourSoon has the colours of code computed on another goroutine if it grew
// since they last were, as often as an eighth of a core allows.
func (v *View) colourSoon(l *leaf) {
	c := l.colour
	if c == nil || c.running || c.length == len(l.text) || l.lang == "" {
		return
	}
	if wait := time.Until(c.again); wait > 0 {
		c.running = true
		time.AfterFunc(wait, func() {
			v.Do(func() {
				c.running = false
				v.recolour(c)
			})
		})
		return
	}
	c.running = true
	lang, text := l.lang, l.text
	go func() {
		started := time.Now()
		spans := colourise(lang, text)
		took := time.Since(started)
		v.Do(func() {
			c.running = false
			c.spans, c.length = spans, len(text)
			c.again = time.Now().Add(max(8*took, 100*time.Millisecond))
			v.recolour(c)
		})
	}()
}

// Coloured reports whether the code in sight has its colours.
func (v *View) Coloured() bool {
	for i := v.leafAt(v.from); i < len(v.tops) && v.tops[i] < v.to; i++ {
		if l := v.leaves[i]; l.colour != nil && l.lang != "" && l.colour.length != len(l.text) {
			return false
		}
	}
	return true
}

// recolour shows new colours of a block of code, and has them renewed if the
// block has grown.
func (v *View) recolour(c *colouring) {
	for _, l := range v.leaves {
		if l.colour == c {
			l.colourSpans()
			l.box.width = 0
			l.layOut(v.width)
			v.sync()
			v.colourSoon(l)
			return
		}
	}
}

func colorOf(f fill) color.Color {
	var name fyne.ThemeColorName
	switch f {
	case fillBar:
		name = theme.ColorNameInputBorder
	case fillRule:
		name = theme.ColorNameSeparator
	default:
		name = look.ColorCode
	}
	return theme.Color(name)
}
