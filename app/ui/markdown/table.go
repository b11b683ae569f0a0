package markdown

import (
	"math"
	"slices"
)

// tableBox is what a table that grows keeps of its layout, row by row.
type tableBox struct {
	width  float32 // it was laid out for
	look   appearance
	needs  []need    // of each cell, row by row
	widths []float32 // of the columns
	rows   []rowEnd
	kept   int // rows at the beginning that are as they were then
}

// need is the width that a cell asks for, and that below which a word breaks.
type need struct{ asked, least float32 }

// rowEnd is what was placed up to the end of a row.
type rowEnd struct {
	needs, lines, frags, shapes int
	y                           float32
}

// keepRows has l, which takes the place of the table was, keep the layout of the
// rows that both begin with.
func (l *leaf) keepRows(was *leaf) {
	kept := 0
	for kept < min(len(l.rows), len(was.rows)) && slices.Equal(l.rows[kept], was.rows[kept]) {
		kept++
	}
	for ; kept > 0; kept-- {
		if row := l.rows[kept-1]; len(row) > 0 {
			if end := row[len(row)-1].end; end <= len(was.text) && l.text[:end] == was.text[:end] && sameSpans(l.spans, was.spans, end) {
				break
			}
		}
	}
	if !slices.Equal(l.aligns, was.aligns) {
		kept = 0
	}
	kept = min(kept, len(was.box.table.rows))
	if was.box.width == 0 { // it was never laid out itself
		kept = min(kept, was.box.table.kept)
	}
	l.box = was.box
	l.box.width = 0 // it is to be laid out
	l.box.table.kept = kept
}

// sameSpans reports whether the text before end is set alike.
func sameSpans(a, b []span, end int) bool {
	for i := 0; ; i++ {
		more := i < len(a) && a[i].start < end
		if more != (i < len(b) && b[i].start < end) {
			return false
		}
		if !more {
			return true
		}
		x, y := a[i], b[i]
		x.end, y.end = min(x.end, end), min(y.end, end)
		if x != y {
			return false
		}
	}
}

// layOutTable gives each column what it asks for, if there is room; else the
// wide ones share what the narrow ones leave, by what they ask for. Rows that
// stay as they were are not set again, unless the columns are other ones.
func (p *placed) layOutTable(l *leaf, left, em float32) {
	columns := len(l.aligns)
	for _, row := range l.rows {
		columns = max(columns, len(row))
	}
	if columns == 0 {
		return
	}
	t := &p.table
	kept := t.kept
	if t.width != p.width || t.look != p.look {
		kept = 0
	}
	pad := cellPad * em
	room := p.width - left - float32(columns)*2*pad
	widths := columnWidths(p.columnNeeds(l, kept, columns), max(room, float32(columns)*em))
	if !slices.Equal(widths, t.widths) {
		kept = 0
	}
	total := float32(0)
	for _, w := range widths {
		total += w + 2*pad
	}
	y := float32(0)
	if kept > 0 {
		end := t.rows[kept-1]
		y = end.y
		p.lines, p.frags, p.shapes = p.lines[:end.lines], p.frags[:end.frags], p.shapes[:end.shapes]
	}
	needs := 0
	for r, row := range l.rows {
		needs += len(row)
		if r < kept {
			continue
		}
		x, bottom := left, y
		for i, c := range row {
			first := len(p.lines)
			end := p.wrap(l, c.start, c.end, p.size, leading, widths[i], y+pad/2)
			for j := first; j < len(p.lines); j++ {
				spare := widths[i] - p.lines[j].w
				dx := x + pad
				switch {
				case i >= len(l.aligns):
				case l.aligns[i] == alignRight:
					dx += max(0, spare)
				case l.aligns[i] == alignCenter:
					dx += max(0, spare/2)
				}
				p.lines[j].x += dx
			}
			bottom = max(bottom, end+pad/2)
			x += widths[i] + 2*pad
		}
		if r == 0 {
			p.shapes = append(p.shapes, shape{x: left, y: y, w: total, h: bottom - y, fill: fillHead, radius: 4})
		} else {
			p.shapes = append(p.shapes, shape{x: left, y: y, w: total, h: 1, fill: fillRule})
		}
		y = bottom
		t.rows = append(t.rows[:r], rowEnd{needs, len(p.lines), len(p.frags), len(p.shapes), y})
	}
	t.width, t.look, t.widths = p.width, p.look, widths
	p.shapes = append(p.shapes, shape{x: left, y: y, w: total, h: 1, fill: fillRule})
	p.height = y + 1
}

// columnNeeds is what the columns need: known of the first rows, measured of the
// others.
func (p *placed) columnNeeds(l *leaf, known, columns int) []need {
	t := &p.table
	at := 0
	if known > 0 {
		at = t.rows[known-1].needs
	}
	t.needs = t.needs[:at]
	for _, row := range l.rows[known:] {
		for _, c := range row {
			var probe placed
			probe.wrap(l, c.start, c.end, p.size, leading, math.MaxInt32, 0)
			n := need{least: longestWord(l, c, p.size)}
			for _, ln := range probe.lines {
				n.asked = max(n.asked, ln.w+1)
			}
			n.least = min(n.least, n.asked)
			t.needs = append(t.needs, n)
		}
	}
	all := make([]need, columns)
	at = 0
	for _, row := range l.rows {
		for i := range row {
			n := t.needs[at]
			all[i] = need{max(all[i].asked, n.asked), max(all[i].least, n.least)}
			at++
		}
	}
	return all
}

// longestWord is the width below which c would be broken within a word.
func longestWord(l *leaf, c cell, size float32) float32 {
	var probe placed
	probe.wrap(l, c.start, c.end, size, leading, 6*size, 0)
	w := float32(0)
	for _, ln := range probe.lines {
		w = max(w, ln.w+1)
	}
	return w
}

// columnWidths shares room among columns.
func columnWidths(needs []need, room float32) []float32 {
	sum, floor, spare := float32(0), float32(0), float32(0)
	for _, n := range needs {
		sum += n.asked
		floor += n.least
		spare += n.asked - n.least
	}
	widths := make([]float32, len(needs))
	for i, n := range needs {
		switch {
		case sum <= room:
			widths[i] = n.asked
		case floor >= room || spare == 0:
			widths[i] = room * n.least / max(floor, 1)
		default:
			widths[i] = n.least + (room-floor)*(n.asked-n.least)/spare
		}
	}
	return widths
}
