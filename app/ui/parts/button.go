package parts

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"
)

// Pass hands a key to the handler of the canvas that o is on.
func Pass(o fyne.CanvasObject, ev *fyne.KeyEvent) {
	c := fyne.CurrentApp().Driver().CanvasForObject(o)
	if c == nil {
		return
	}
	if f := c.OnTypedKey(); f != nil {
		f(ev)
	}
}

// Button is a button that Enter presses too, and that tells what it does while
// the mouse is on it or it has the focus.
type Button struct {
	widget.Button
	// OnFocused, if set, is told that it has the focus.
	OnFocused func()

	hint string
	tell func(hint string) // "" when it is over
}

// NewButton returns a button with a text.
func NewButton(text string, tapped func()) *Button {
	b := &Button{}
	b.Text, b.OnTapped = text, tapped
	b.ExtendBaseWidget(b)
	return b
}

// NewIconButton returns a flat button with an icon, a text that may be "", and
// a hint that goes to tell, which may be nil.
func NewIconButton(text string, icon fyne.Resource, hint string, tell func(string), tapped func()) *Button {
	b := NewButton(text, tapped)
	b.Icon, b.Importance, b.hint, b.tell = icon, widget.LowImportance, hint, tell
	return b
}

// Primary makes it the button to press and returns it.
func (b *Button) Primary() *Button {
	b.Importance = widget.HighImportance
	return b
}

// Danger makes it one that destroys something and returns it.
func (b *Button) Danger() *Button {
	b.Importance = widget.DangerImportance
	return b
}

// WidthFor is the width that the button wants with a text.
func (b *Button) WidthFor(text string) float32 {
	return b.MinSize().Width - buttonText(b.Text) + buttonText(text)
}

func buttonText(text string) float32 {
	return fyne.MeasureText(text, theme.TextSize(), fyne.TextStyle{Bold: true}).Width
}

// Fit gives the button a text, or as much of it as a width has room for.
func (b *Button) Fit(text string, width float32) {
	if text = Shorten(text, func(text string) bool { return b.WidthFor(text) <= width }); b.Text != text {
		b.SetText(text)
	}
}

// Hint is what the button does, in words.
func (b *Button) Hint() string { return b.hint }

func (b *Button) say(hint string) {
	if b.tell != nil && b.hint != "" {
		b.tell(hint)
	}
}

// TypedKey presses the button on Enter as on Space.
func (b *Button) TypedKey(ev *fyne.KeyEvent) {
	switch ev.Name {
	case fyne.KeyReturn, fyne.KeyEnter:
		b.Tapped(nil)
	case fyne.KeySpace:
		b.Button.TypedKey(ev)
	default:
		Pass(b, ev)
	}
}

// MouseIn tells the hint.
func (b *Button) MouseIn(ev *desktop.MouseEvent) { b.Button.MouseIn(ev); b.say(b.hint) }

// MouseOut ends the hint.
func (b *Button) MouseOut() { b.Button.MouseOut(); b.say("") }

// FocusGained tells the hint, and scrolls the button into sight.
func (b *Button) FocusGained() {
	b.Button.FocusGained()
	reveal(b)
	if b.OnFocused != nil {
		b.OnFocused()
	}
	b.say(b.hint)
}

// FocusLost ends the hint.
func (b *Button) FocusLost() { b.Button.FocusLost(); b.say("") }

// Entry is an entry of one line that passes on keys it has no use for.
type Entry struct {
	widget.Entry
	// OnKey, if set, is asked first; true means that the key was used.
	OnKey func(*fyne.KeyEvent) bool
}

// NewEntry returns an entry.
func NewEntry() *Entry {
	e := &Entry{}
	e.Wrapping = fyne.TextWrapOff
	e.Scroll = fyne.ScrollHorizontalOnly
	e.ExtendBaseWidget(e)
	return e
}

// AcceptsTab is false: Tab goes to the next widget, also from an entry of several
// lines.
func (e *Entry) AcceptsTab() bool { return false }

// FocusGained scrolls the entry into sight.
func (e *Entry) FocusGained() { e.Entry.FocusGained(); reveal(e) }

// TypedKey passes Escape on.
func (e *Entry) TypedKey(ev *fyne.KeyEvent) {
	switch {
	case e.OnKey != nil && e.OnKey(ev):
	case ev.Name == fyne.KeyEscape:
		Pass(e, ev)
	default:
		e.Entry.TypedKey(ev)
	}
}

// Select is a choice out of a list that passes on keys it has no use for.
type Select struct {
	widget.Select
	// OnFocused, if set, is told that it has the focus.
	OnFocused func()
}

// NewSelect returns a choice.
func NewSelect(options []string, changed func(string)) *Select {
	s := &Select{}
	s.Options, s.OnChanged = options, changed
	s.PlaceHolder = "–"
	s.ExtendBaseWidget(s)
	return s
}

// FocusGained scrolls the choice into sight.
func (s *Select) FocusGained() {
	s.Select.FocusGained()
	reveal(s)
	if s.OnFocused != nil {
		s.OnFocused()
	}
}

// TypedKey opens the list on Enter as on Space.
func (s *Select) TypedKey(ev *fyne.KeyEvent) {
	switch ev.Name {
	case fyne.KeySpace, fyne.KeyUp, fyne.KeyDown, fyne.KeyLeft, fyne.KeyRight:
		s.Select.TypedKey(ev)
	case fyne.KeyReturn, fyne.KeyEnter:
		s.Select.TypedKey(&fyne.KeyEvent{Name: fyne.KeySpace})
	default:
		Pass(s, ev)
	}
}
