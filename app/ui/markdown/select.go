package markdown

import (
	"sort"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/widget"

	"kestrel/app/ui/look"
)

// position is a place between two characters.
type position struct{ leaf, offset int }

func (p position) before(o position) bool {
	return p.leaf < o.leaf || p.leaf == o.leaf && p.offset < o.offset
}

// selection is the text between two positions.
type selection struct {
	anchor, caret position
	dragging      bool
	moved         bool // since the button went down
	clicks        int  // in a row, at one place
	last          time.Time
	where         fyne.Position
	unit          [2]position // the word or block that was clicked; the selection keeps it
}

func (s *selection) ordered() (low, high position) {
	if s.caret.before(s.anchor) {
		return s.caret, s.anchor
	}
	return s.anchor, s.caret
}

// Selected is the selected text, as it is copied.
func (v *View) Selected() string {
	low, high := v.sel.ordered()
	if low == high || low.leaf >= len(v.leaves) {
		return ""
	}
	var b strings.Builder
	for i := low.leaf; i <= high.leaf && i < len(v.leaves); i++ {
		l := v.leaves[i]
		from, to := 0, len(l.text)
		if i == low.leaf {
			from = min(low.offset, to)
		}
		if i == high.leaf {
			to = max(min(high.offset, to), from)
		}
		if i > low.leaf {
			b.WriteByte('\n')
			if l.gap >= 0.5 {
				b.WriteByte('\n')
			}
		}
		if from == 0 && l.marker != "" && low.leaf != high.leaf {
			b.WriteString(l.marker + " ")
		}
		if l.kind == leafCode && from == 0 && to == len(l.text) {
			b.WriteString(l.code)
			continue
		}
		b.WriteString(l.text[from:to])
	}
	return b.String()
}

// SelectAll selects the whole message.
func (v *View) SelectAll() {
	if len(v.leaves) == 0 {
		return
	}
	end := len(v.leaves) - 1
	v.sel.anchor = position{}
	v.sel.caret = position{end, len(v.leaves[end].text)}
	v.sync()
}

// ClearSelection selects nothing.
func (v *View) ClearSelection() {
	if v.sel.anchor != v.sel.caret {
		v.sel.anchor = v.sel.caret
		v.sync()
	}
}

// Copy puts the selection into the clipboard, if there is one.
func (v *View) Copy() {
	if text := v.Selected(); text != "" {
		fyne.CurrentApp().Clipboard().SetContent(text)
	}
}

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

// doubleClick is how fast the second of two clicks follows.
const doubleClick = 400 * time.Millisecond

// MouseDown begins a selection: of characters, words at the second click, of
// the block at the third. With Shift it moves the end of the present one.
func (v *View) MouseDown(e *desktop.MouseEvent) {
	v.focus()
	if e.Button != desktop.MouseButtonPrimary || len(v.leaves) == 0 {
		return
	}
	s := &v.sel
	at := v.at(e.Position)
	near := outside(e.Position.X, s.where.X-4, s.where.X+4)+outside(e.Position.Y, s.where.Y-4, s.where.Y+4) == 0
	if near && time.Since(s.last) < doubleClick {
		s.clicks = s.clicks%3 + 1
	} else {
		s.clicks = 1
	}
	s.where, s.last, s.moved, s.dragging = e.Position, time.Now(), false, true
	switch {
	case e.Modifier&fyne.KeyModifierShift != 0:
		s.caret, s.clicks = at, 1
		s.unit = [2]position{s.anchor, s.anchor}
	case s.clicks == 2:
		s.unit = v.word(at)
		s.anchor, s.caret = s.unit[0], s.unit[1]
	case s.clicks == 3:
		s.unit = [2]position{{at.leaf, 0}, {at.leaf, len(v.leaves[at.leaf].text)}}
		s.anchor, s.caret = s.unit[0], s.unit[1]
	default:
		s.unit = [2]position{at, at}
		s.anchor, s.caret = at, at
	}
	v.sync()
}

// Dragged moves the end of the selection.
func (v *View) Dragged(e *fyne.DragEvent) {
	s := &v.sel
	if !s.dragging || len(v.leaves) == 0 {
		return
	}
	s.moved = true
	at := v.at(e.Position)
	from, to := at, at
	switch s.clicks {
	case 2:
		w := v.word(at)
		from, to = w[0], w[1]
	case 3:
		from, to = position{at.leaf, 0}, position{at.leaf, len(v.leaves[at.leaf].text)}
	}
	if from.before(s.unit[0]) {
		s.anchor, s.caret = s.unit[1], from
	} else {
		s.anchor, s.caret = s.unit[0], to
	}
	v.sync()
	if v.OnDragged != nil {
		v.OnDragged(e.Position)
	}
}

// DragEnd ends the selection.
func (v *View) DragEnd() { v.sel.dragging = false }

// MouseUp follows a link that was clicked, and opens the menu.
func (v *View) MouseUp(e *desktop.MouseEvent) {
	if e.Button == desktop.MouseButtonSecondary {
		v.menu(e.AbsolutePosition)
		return
	}
	v.sel.dragging = false
	if e.Button != desktop.MouseButtonPrimary || v.sel.moved || v.sel.clicks != 1 {
		return
	}
	if to := v.linkAt(e.Position); to != "" && e.Modifier&fyne.KeyModifierShift == 0 {
		v.follow(to)
	}
}

func (v *View) menu(at fyne.Position) {
	c := fyne.CurrentApp().Driver().CanvasForObject(v)
	if c == nil {
		return
	}
	selected := fyne.NewMenuItem(look.T("markdown.copy"), v.Copy)
	selected.Disabled = v.Selected() == ""
	items := []*fyne.MenuItem{selected, fyne.NewMenuItem(look.T("markdown.selectAll"), v.SelectAll)}
	if len(v.More) > 0 {
		items = append(append(items, fyne.NewMenuItemSeparator()), v.More...)
	}
	widget.ShowPopUpMenuAtPosition(fyne.NewMenu("", items...), c, at)
}

func (v *View) focus() {
	if c := fyne.CurrentApp().Driver().CanvasForObject(v); c != nil {
		c.Focus(v)
	}
}

// FocusGained is Fyne's.
func (v *View) FocusGained() {}

// FocusLost takes the selection away, as elsewhere only one is to be seen.
func (v *View) FocusLost() { v.ClearSelection() }

// TypedRune is not for a view.
func (v *View) TypedRune(rune) {}

// TypedKey hands keys on.
func (v *View) TypedKey(e *fyne.KeyEvent) {
	if e.Name == fyne.KeyEscape && v.Selected() != "" {
		v.ClearSelection()
		return
	}
	if v.OnKey != nil {
		v.OnKey(e)
	}
}

// TypedShortcut copies and selects all.
func (v *View) TypedShortcut(s fyne.Shortcut) {
	switch s.(type) {
	case *fyne.ShortcutCopy:
		v.Copy()
	case *fyne.ShortcutSelectAll:
		v.SelectAll()
	default:
		if v.OnShortcut != nil {
			v.OnShortcut(s)
		}
	}
}

// MouseIn, MouseMoved and MouseOut keep where the mouse is, for the cursor.
func (v *View) MouseIn(e *desktop.MouseEvent)    { v.hovered = e.Position }
func (v *View) MouseMoved(e *desktop.MouseEvent) { v.hovered = e.Position }
func (v *View) MouseOut()                        {}

// Cursor is that of text, or of a link.
func (v *View) Cursor() desktop.Cursor {
	if v.linkAt(v.hovered) != "" {
		return desktop.PointerCursor
	}
	return desktop.TextCursor
}
