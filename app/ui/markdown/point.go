package markdown

import (
	"sort"
	"unicode"
	"unicode/utf8"

	"fyne.io/fyne/v2"
)

// at is the position nearest to a point.
func (v *View) at(p fyne.Position) position {
	if len(v.tops) == 0 {
		return position{}
	}
	i := v.leafAt(p.Y)
	l := v.leaves[i]
	y := p.Y - v.tops[i]
	if len(l.box.lines) == 0 {
		if y > l.box.height/2 {
			return position{i, len(l.text)}
		}
		return position{i, 0}
	}
	best, far := 0, float32(unbounded)
	for n := range l.box.lines {
		ln := &l.box.lines[n]
		d := outside(y, ln.y, ln.y+ln.h)*1000 + outside(p.X, ln.x, ln.x+ln.w)
		if d < far {
			best, far = n, d
		}
	}
	ln := &l.box.lines[best]
	switch {
	case y < ln.y-l.box.size && l.kind != leafTable:
		return position{i, ln.start}
	case y > ln.y+ln.h+l.box.size && l.kind != leafTable:
		return position{i, ln.end}
	}
	return position{i, l.offsetAt(ln, p.X-ln.x)}
}

// outside is how far x lies outside of a stretch.
func outside(x, from, to float32) float32 {
	return max(from-x, x-to, 0)
}

// offsetAt is the place between characters nearest to x, of the line's own.
func (l *leaf) offsetAt(ln *line, x float32) int {
	for _, f := range l.box.frags[ln.first:ln.last] {
		if x > f.x+f.w {
			continue
		}
		if x <= f.x {
			return f.start
		}
		face := l.faceOf(f)
		cuts := clusters(l.text[f.start:f.end])
		n := sort.Search(len(cuts), func(n int) bool {
			return face.measure(l.text[f.start:f.start+cuts[n]]) >= x-f.x
		})
		if n == len(cuts) {
			return f.end
		}
		left, before := 0, float32(0)
		if n > 0 {
			left = cuts[n-1]
			before = face.measure(l.text[f.start : f.start+left])
		}
		after := face.measure(l.text[f.start : f.start+cuts[n]])
		if x-f.x < (before+after)/2 {
			return f.start + left
		}
		return f.start + cuts[n]
	}
	return ln.end
}

// clusters are the ends of the characters of s.
func clusters(s string) []int {
	var ends []int
	for at := 0; at < len(s); {
		at += clusterLen(s[at:])
		ends = append(ends, at)
	}
	return ends
}

// xOf is where the character at an offset begins in its line.
func (l *leaf) xOf(ln *line, offset int) float32 {
	for _, f := range l.box.frags[ln.first:ln.last] {
		if offset <= f.start {
			return f.x
		}
		if offset < f.end {
			return f.x + l.faceOf(f).measure(l.text[f.start:offset])
		}
	}
	return ln.w
}

func (l *leaf) faceOf(f fragment) *face {
	s := l.spans[f.span].style
	return fonts.face(s, fragmentSize(s, l.box.size))
}

// linkAt is where a link under the point leads, or "".
func (v *View) linkAt(p fyne.Position) string {
	if len(v.tops) == 0 {
		return ""
	}
	i := v.leafAt(p.Y)
	l := v.leaves[i]
	for n := range l.box.lines {
		ln := &l.box.lines[n]
		y, x := p.Y-v.tops[i]-ln.y, p.X-ln.x
		if y < 0 || y >= ln.h {
			continue
		}
		for _, f := range l.box.frags[ln.first:ln.last] {
			if x >= f.x && x < f.x+f.w {
				return l.spans[f.span].link
			}
		}
	}
	return ""
}

// word is the word around a position.
func (v *View) word(p position) [2]position {
	text := v.leaves[p.leaf].text
	from, to := p.offset, p.offset
	r, n := utf8.DecodeRuneInString(text[to:])
	kind := kindOf(r)
	if n == 0 || kind == other {
		if before, _ := utf8.DecodeLastRuneInString(text[:from]); kindOf(before) != other && from > 0 {
			kind = kindOf(before)
		}
	}
	if kind == ideograph { // without a dictionary every character is a word
		return [2]position{{p.leaf, from}, {p.leaf, from + n}}
	}
	for from > 0 {
		r, n := utf8.DecodeLastRuneInString(text[:from])
		if kindOf(r) != kind {
			break
		}
		from -= n
	}
	for to < len(text) {
		r, n := utf8.DecodeRuneInString(text[to:])
		if kindOf(r) != kind {
			break
		}
		to += n
	}
	return [2]position{{p.leaf, from}, {p.leaf, to}}
}

type runeKind int

const (
	other runeKind = iota
	wordRune
	ideograph
)

func kindOf(r rune) runeKind {
	switch {
	case spaceless(r) && unicode.IsLetter(r):
		return ideograph
	case unicode.IsLetter(r), unicode.IsDigit(r), r == '_', r == '\'', r == '’', unicode.IsMark(r):
		return wordRune
	}
	return other
}
