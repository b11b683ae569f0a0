package markdown

import "strings"

// Mark draws a ground behind each place where text stands, whatever the case of
// its letters; "" marks nothing.
func (v *View) Mark(text string) {
	text = strings.ToLower(text)
	if text == v.mark {
		return
	}
	v.mark = text
	v.sync()
}

// FirstMark is how far below the view's top the first marked place stands.
func (v *View) FirstMark() (y float32, ok bool) {
	if v.mark == "" || len(v.tops) != len(v.leaves) {
		return 0, false
	}
	for i, l := range v.leaves {
		at := l.find(v.mark, 0)
		if at < 0 {
			continue
		}
		for n := range l.box.lines {
			if ln := &l.box.lines[n]; at < ln.end {
				return v.tops[i] + ln.y, true
			}
		}
	}
	return 0, false
}

// find is where small stands in the leaf's text from a place on, or -1. Case
// counts in the few texts whose small letters take other room than the capitals.
func (l *leaf) find(small string, from int) int {
	if !l.lowered {
		l.lowered, l.low = true, l.text
		if low := strings.ToLower(l.text); len(low) == len(l.text) {
			l.low = low
		}
	}
	if from > len(l.low) {
		return -1
	}
	if i := strings.Index(l.low[from:], small); i >= 0 {
		return from + i
	}
	return -1
}
