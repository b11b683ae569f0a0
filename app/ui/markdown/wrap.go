package markdown

import (
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// line is one line of a leaf's text as it stands in the leaf's box.
type line struct {
	x, y, w, h float32
	baseline   float32 // below y
	start, end int     // of the leaf's text, without the space the line was broken at
	first      int     // its fragments are placed.frags[first:last]
	last       int
}

// fragment is a stretch of a line in one style.
type fragment struct {
	x, w       float32 // x from the line's start
	start, end int
	span       int // index into the leaf's spans
}

// wrapper breaks a stretch of a leaf's text into lines.
type wrapper struct {
	leaf    *leaf
	size    float32
	leading float32
	width   float32
	out     *placed

	span  int // that holds the text at hand
	line  line
	x     float32 // where the next piece goes
	gap   int     // where the spaces before it begin; they count once it is placed
	empty bool    // nothing is on the line
	y     float32
}

// wrap sets text[from:to] within width below y, appends its lines to out and
// returns where it ends. It is given the spans that cover it.
func (p *placed) wrap(l *leaf, from, to int, size, leading, width, y float32) float32 {
	w := wrapper{leaf: l, size: size, leading: leading, width: max(width, size), out: p, y: y}
	w.span = sort.Search(len(l.spans), func(i int) bool { return l.spans[i].end > from })
	w.span = max(0, min(w.span, len(l.spans)-1))
	w.open(from)
	text := l.text
	for at := from; at < to; {
		switch text[at] {
		case '\n':
			w.close(at)
			at++
			w.open(at)
		case ' ':
			at++
		default:
			end := at
			plain := true
			for end < to && text[end] != ' ' && text[end] != '\n' {
				plain = plain && text[end] < utf8.RuneSelf
				end++
			}
			if plain {
				w.word(at, end)
			} else {
				w.script(at, end)
			}
			at = end
		}
	}
	w.close(to)
	return w.y
}

func (w *wrapper) open(at int) {
	w.line = line{start: at, first: len(w.out.frags)}
	w.x, w.gap, w.empty = 0, at, true
}

// close ends the line before at.
func (w *wrapper) close(at int) {
	end := w.gap
	if w.empty {
		end = at
	}
	w.finish(end)
}

func (w *wrapper) finish(end int) {
	l := &w.line
	l.end, l.last, l.w, l.y = end, len(w.out.frags), w.x, w.y
	above, below := float32(0), float32(0)
	measure := func(f *face) {
		above = max(above, f.baseline)
		below = max(below, f.height-f.baseline)
	}
	base := style(0)
	if len(w.leaf.spans) > 0 {
		base = w.leaf.spans[min(w.span, len(w.leaf.spans)-1)].style
	}
	if l.first == l.last {
		measure(fonts.face(base, w.sizeOf(base)))
	}
	for _, f := range w.out.frags[l.first:l.last] {
		s := w.leaf.spans[f.span].style
		measure(fonts.face(s, w.sizeOf(s)))
	}
	natural := above + below
	l.h = natural * w.leading
	l.baseline = above + (l.h-natural)/2
	w.y += l.h
	w.out.lines = append(w.out.lines, *l)
}

func (w *wrapper) sizeOf(s style) float32 { return fragmentSize(s, w.size) }

// fragmentSize is the size of text in style s among text of the given size.
func fragmentSize(s style, size float32) float32 {
	if s&boxed != 0 {
		return whole(size * 0.93)
	}
	return size
}

// word places a word of ASCII, broken after its hyphens if it must be.
func (w *wrapper) word(from, to int) {
	text := w.leaf.text
	for start := from; start < to; {
		end := to
		for i := start + 1; i < to-1; i++ {
			if text[i] == '-' && letter(text[i-1]) && letter(text[i+1]) {
				end = i + 1
				break
			}
		}
		w.piece(start, end)
		start = end
	}
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// script places a word that is not all ASCII, broken where Unicode allows it.
func (w *wrapper) script(from, to int) {
	rest, state := w.leaf.text[from:to], -1
	at := from
	for rest != "" {
		var piece string
		piece, rest, _, state = uniseg.FirstLineSegmentInString(rest, state)
		w.piece(at, at+len(piece))
		at += len(piece)
	}
}

// piece places text that is not broken, unless it is longer than a line.
func (w *wrapper) piece(from, to int) {
	space := float32(0)
	if !w.empty && w.gap < from {
		space = w.spaces(w.gap, from)
	}
	width := w.measure(from, to)
	if w.x+space+width > w.width && !w.empty {
		w.finish(w.gap)
		w.open(from)
		space = 0
	}
	switch {
	case w.empty && width > w.width:
		w.crush(from, to)
	case w.empty && w.gap < from: // spaces that begin a line stand
		w.put(w.gap, from, w.spaces(w.gap, from))
		w.put(from, to, width)
	default:
		if space > 0 {
			w.put(w.gap, from, space)
		}
		w.put(from, to, width)
	}
	w.gap = to
}

// crush places what no line can hold, character by character.
func (w *wrapper) crush(from, to int) {
	rest := w.leaf.text[from:to]
	w.gap = from
	for at := from; rest != ""; {
		end := at + clusterLen(rest)
		rest = rest[end-at:]
		width := w.measure(at, end)
		if w.x+width > w.width && !w.empty {
			w.finish(at)
			w.open(at)
		}
		w.put(at, end, width)
		at = end
		w.gap = end
	}
}

func (w *wrapper) spaces(from, to int) float32 {
	return w.faceAt(from).width(" ") * float32(to-from)
}

// seek moves to the span that holds the text at from.
func (w *wrapper) seek(from int) {
	spans := w.leaf.spans
	for w.span > 0 && spans[w.span].start > from {
		w.span--
	}
	for w.span < len(spans)-1 && spans[w.span].end <= from {
		w.span++
	}
}

func (w *wrapper) faceAt(from int) *face {
	w.seek(from)
	s := w.leaf.spans[w.span].style
	return fonts.face(s, w.sizeOf(s))
}

// measure returns the width of text that may stand in several spans.
func (w *wrapper) measure(from, to int) float32 {
	width := float32(0)
	for from < to {
		face := w.faceAt(from)
		end := min(to, w.leaf.spans[w.span].end)
		if end <= from {
			end = to
		}
		width += face.width(w.leaf.text[from:end])
		from = end
	}
	return width
}

// put places text whose width is known at the end of the line.
func (w *wrapper) put(from, to int, width float32) {
	w.empty = false
	w.seek(from)
	for from < to {
		end := min(to, w.leaf.spans[w.span].end)
		if end <= from {
			end = to
		}
		part := width
		if end < to {
			part = w.measure(from, end)
			w.seek(from)
		}
		frags := w.out.frags
		if n := len(frags); n > w.line.first && frags[n-1].span == w.span && frags[n-1].end == from {
			frags[n-1].end = end
			frags[n-1].w += part
		} else {
			w.out.frags = append(frags, fragment{x: w.x, w: part, start: from, end: end, span: w.span})
		}
		w.x += part
		width -= part
		from = end
		if from < to {
			w.seek(from)
		}
	}
}

// visible reports whether text has anything to draw.
func visible(text string) bool { return strings.Trim(text, " ") != "" }

// clusterLen is the length in bytes of the character, as a reader sees it, that
// begins s.
func clusterLen(s string) int {
	if s[0] < utf8.RuneSelf && (len(s) == 1 || s[1] < utf8.RuneSelf) {
		return 1
	}
	cluster, _, _, _ := uniseg.FirstGraphemeClusterInString(s, -1)
	return len(cluster)
}
