package markdown

import (
	"strings"
	"time"

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
	held          bool // text is dragged over, until DragEnd
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
	s.moved, s.held = true, true
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

// DragEnd ends the selection. Where the button is released over something else,
// Fyne has taken the focus away, which copying needs.
func (v *View) DragEnd() {
	v.sel.dragging, v.sel.held = false, false
	if v.Selected() != "" {
		v.focus()
	}
}

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
		v.clicked = true
		c.Focus(v)
		v.clicked = false
	}
}

// FocusGained shows a frame where the keyboard brought the focus.
func (v *View) FocusGained() {
	if v.focused = !v.clicked; v.focused {
		v.sync()
		if v.OnFocused != nil {
			v.OnFocused()
		}
	}
}

// FocusLost takes the selection away, as elsewhere only one is to be seen.
func (v *View) FocusLost() {
	if v.focused {
		v.focused = false
		v.sync()
	}
	if !v.sel.held {
		v.ClearSelection()
	}
}

// TypedRune hands characters on.
func (v *View) TypedRune(r rune) {
	if v.OnRune != nil {
		v.OnRune(r)
	}
}

// TypedKey follows a link or opens the menu, and hands other keys on: to the
// canvas, unless OnKey is set.
func (v *View) TypedKey(e *fyne.KeyEvent) {
	switch links := v.links(); {
	case e.Name == fyne.KeyEscape && v.Selected() != "":
		v.ClearSelection()
	case (e.Name == fyne.KeyReturn || e.Name == fyne.KeyEnter) && len(links) == 1:
		v.follow(links[0])
	case (e.Name == fyne.KeyReturn || e.Name == fyne.KeyEnter) && len(links) > 1:
		v.chooseLink(links)
	case e.Name == desktop.KeyMenu:
		v.menu(v.corner())
	case v.OnKey != nil:
		v.OnKey(e)
	default:
		pass(v, e)
	}
}

// pass hands a key to the handler of the canvas that o is on.
func pass(o fyne.CanvasObject, e *fyne.KeyEvent) {
	if c := fyne.CurrentApp().Driver().CanvasForObject(o); c != nil && c.OnTypedKey() != nil {
		c.OnTypedKey()(e)
	}
}

// corner is where a menu opens that the keyboard asks for.
func (v *View) corner() fyne.Position {
	at := fyne.CurrentApp().Driver().AbsolutePositionForObject(v)
	return fyne.NewPos(at.X+8, max(at.Y, at.Y+v.from)+8)
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
