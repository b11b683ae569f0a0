package sidebar

import (
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"kestrel/app/ui/parts"
)

// list is a virtual list with the keys of a list of things: Enter opens, F2
// renames, Delete deletes.
type list struct {
	widget.List
	view   *View
	at     int  // where the keyboard is
	silent bool // a selection that is no choice of the user's
}

func newList(v *View) *list {
	l := &list{view: v}
	l.HideSeparators = true
	l.Length = func() int { return len(v.rows) }
	l.CreateItem = func() fyne.CanvasObject { return newItem(v) }
	l.UpdateItem = func(i int, o fyne.CanvasObject) {
		if i < len(v.rows) {
			r := v.rows[i]
			o.(*item).at = i
			o.(*item).fill(r, r.kind == conversationRow && r.id == v.current, time.Now())
		}
	}
	l.OnHighlighted = func(i int) { l.at = i }
	l.OnSelected = func(i int) {
		if l.silent {
			return
		}
		l.at = i
		if i < len(v.rows) && v.rows[i].kind != conversationRow {
			l.mark() // only a conversation stays selected
		}
		v.choose(i)
	}
	l.ExtendBaseWidget(l)
	return l
}

// update shows the view's rows. All are of the height that a new item asks for:
// heights of their own would make Fyne lay out the list once for each.
func (l *list) update() {
	l.at = min(l.at, max(len(l.view.rows)-1, 0))
	l.Refresh()
	l.mark()
}

// mark selects the open conversation, without opening it again.
func (l *list) mark() {
	l.silent = true
	defer func() { l.silent = false }()
	for i, r := range l.view.rows {
		if r.id == l.view.current && r.id != "" && r.kind == conversationRow {
			l.Select(i)
			return
		}
	}
	l.UnselectAll()
}

// TypedKey implements fyne.Focusable.
func (l *list) TypedKey(ev *fyne.KeyEvent) {
	v := l.view
	switch ev.Name {
	case fyne.KeyReturn, fyne.KeyEnter:
		v.choose(l.at)
	case fyne.KeyF2:
		if l.at < len(v.rows) {
			v.rename(v.rows[l.at])
		}
	case fyne.KeyDelete:
		if l.at < len(v.rows) {
			v.remove(v.rows[l.at])
		}
	case desktop.KeyMenu:
		if l.at < len(v.rows) {
			at := fyne.CurrentApp().Driver().AbsolutePositionForObject(l)
			row := l.MinSize().Height + theme.Padding()
			v.menu(v.rows[l.at], at.AddXY(row, max(0, min(row*float32(l.at+1)-l.GetScrollOffset(), l.Size().Height))))
		}
	case fyne.KeyUp, fyne.KeyDown, fyne.KeySpace:
		if ev.Name == fyne.KeyUp && l.at == 0 {
			v.o.Window.Canvas().Focus(v.search)
			return
		}
		l.List.TypedKey(ev)
	default:
		parts.Pass(l, ev)
	}
}
