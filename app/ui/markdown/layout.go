package markdown

// placed is a leaf laid out for a width. Its coordinates start at the leaf's
// left upper corner; the leaf is as wide as the view.
type placed struct {
	width  float32 // it was laid out for; 0 if it was not
	look   appearance
	height float32
	lines  []line
	frags  []fragment
	shapes []shape
	size   float32 // of the text

	table            tableBox
	markerX, markerW float32
	buttonX, buttonY float32 // of a block of code, where its copy button stands
}

// shape is a rectangle behind the text.
type shape struct {
	x, y, w, h float32
	fill       fill
	radius     float32
}

type fill uint8

const (
	fillBar  fill = iota // of a quote
	fillRule             // a line across, or between rows
	fillCode
	fillHead // of a table
)

const (
	leading     = 1.14
	leadingCode = 1.08
	barWidth    = 3
	codePad     = 0.75 // em
	cellPad     = 0.6  // em
	boxSide     = 0.95 // em, of a task's box
)

// buttonSize is that of the button that copies code, in a text of a size.
func buttonSize(em float32) float32 { return max(26, whole(1.3*em+8)) }

// headings are the sizes of headings of level 1, 2, 3 and more, in em.
var headings = [...]float32{1.55, 1.3, 1.12, 1}

func (l *leaf) fontSize(base float32) float32 {
	switch {
	case l.level > 0:
		return whole(base * headings[min(l.level, len(headings))-1])
	case l.kind == leafCode:
		return fragmentSize(boxed, base)
	case l.scale > 0:
		return whole(base * l.scale)
	}
	return base
}

// whole is a size at which letters stand evenly: the renderer rounds the widths
// of others.
func whole(size float32) float32 { return float32(int(size + 0.5)) }

// layOut sets the leaf for a view of the given width, unless it is so set.
func (l *leaf) layOut(width float32) {
	look := fonts.current()
	if l.box.width == width && l.box.look == look {
		return
	}
	em := look.size
	p := &placed{
		width: width, look: look, size: l.fontSize(em),
		lines: l.box.lines[:0], frags: l.box.frags[:0], shapes: l.box.shapes[:0],
	}
	left := l.indent * em
	switch l.kind {
	case leafText:
		p.height = p.wrap(l, 0, len(l.text), p.size, leading, width-left, 0)
		p.shift(0, left, 0)
	case leafRule:
		p.height = em
		p.shapes = append(p.shapes, shape{x: left, y: em / 2, w: width - left, h: 1, fill: fillRule})
	case leafCode:
		p.layOutCode(l, left, em)
	case leafTable:
		p.table = l.box.table
		p.layOutTable(l, left, em)
	}
	if l.marker != "" {
		f := fonts.face(0, p.size)
		p.markerW = f.width(l.marker)
		if l.marker == checked || l.marker == unchecked {
			p.markerW = boxSide * p.size
		}
		p.markerX = max(0, left-p.markerW-0.45*em)
	}
	gap := l.gap * em
	for i, at := range l.bars {
		bar := shape{x: at * em, w: barWidth, h: p.height, fill: fillBar, radius: barWidth / 2}
		if i < l.joined {
			bar.y, bar.h = -gap, bar.h+gap
		}
		p.shapes = append(p.shapes, bar)
	}
	l.box = *p
}

// shift moves the lines from first on.
func (p *placed) shift(first int, dx, dy float32) {
	for i := first; i < len(p.lines); i++ {
		p.lines[i].x += dx
		p.lines[i].y += dy
	}
}

func (p *placed) layOutCode(l *leaf, left, em float32) {
	pad := codePad * em
	head := buttonSize(em) + 6
	inner := p.width - left - 2*pad
	if l.lang == "" { // the button stands beside the text
		head = pad
		inner -= buttonSize(em) - 4
	}
	bottom := p.wrapCode(l, max(inner, em), head)
	p.shift(0, left+pad, 0)
	p.height = bottom + pad
	back := shape{x: left, w: p.width - left, h: p.height, fill: fillCode, radius: 6}
	p.shapes = append(p.shapes, back)
	p.buttonX, p.buttonY = p.width-buttonSize(em)-4, 4
}

// wrapCode sets code within width: line by line, broken where the width ends,
// spaces kept.
func (p *placed) wrapCode(l *leaf, width, y float32) float32 {
	f := fonts.face(mono, p.size)
	h := f.height * leadingCode
	columns := max(int(width/f.column), 1)
	span := 0
	place := func(from, to int) {
		ln := line{
			y: y, h: h, baseline: f.baseline + (h-f.height)/2,
			start: from, end: to, first: len(p.frags),
		}
		for span < len(l.spans)-1 && l.spans[span].end <= from {
			span++
		}
		for i, at := span, from; at < to; i++ {
			end := to
			if i < len(l.spans)-1 {
				end = min(to, l.spans[i].end)
			}
			w := f.width(l.text[at:end])
			p.frags = append(p.frags, fragment{x: ln.w, w: w, start: at, end: end, span: i})
			ln.w += w
			at = end
		}
		ln.last = len(p.frags)
		p.lines = append(p.lines, ln)
		y += h
	}
	text := l.text
	for at := 0; ; {
		end, plain := at, true
		for end < len(text) && text[end] != '\n' {
			plain = plain && text[end] < 0x80
			end++
		}
		if plain {
			for end-at > columns {
				place(at, at+columns)
				at += columns
			}
		} else {
			w := float32(0)
			for i := at; i < end; {
				n := clusterLen(text[i:end])
				cw := f.width(text[i : i+n])
				if w+cw > width && i > at {
					place(at, i)
					at, w = i, 0
				}
				w += cw
				i += n
			}
		}
		place(at, end)
		if end == len(text) {
			return y
		}
		at = end + 1
	}
}
