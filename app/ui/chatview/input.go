package chatview

import (
	"fyne.io/fyne/v2"

	"kestrel/app/ui/markdown"
)

// Escape stops the answer that runs; false if none does.
func (v *View) Escape() bool {
	if !busy(v.session.Snapshot()) {
		return false
	}
	v.stop()
	return true
}

// escape is Escape, or what else the window does with it.
func (v *View) escape() bool {
	return v.Escape() || v.deps.Escape != nil && v.deps.Escape()
}

// typedKey is given keys that text in the thread has no use for.
func (v *View) typedKey(k *fyne.KeyEvent) {
	page := v.thread.scroll.Size().Height
	switch k.Name {
	case fyne.KeyEscape:
		if !v.escape() {
			v.Focus()
		}
	case fyne.KeyPageUp:
		v.thread.by(-0.9)
	case fyne.KeyPageDown, fyne.KeySpace:
		v.thread.by(0.9)
	case fyne.KeyUp:
		v.thread.by(-40 / page)
	case fyne.KeyDown:
		v.thread.by(40 / page)
	case fyne.KeyHome:
		v.thread.moveTo(0)
	case fyne.KeyEnd:
		v.thread.toEnd()
	}
}

// typedRune writes what is typed while text in the thread has the focus.
func (v *View) typedRune(r rune) {
	if r == ' ' { // pages down
		return
	}
	v.Focus()
	v.composer.entry.TypedRune(r)
}

// passShortcut hands shortcuts of the window on that text holds the focus before.
func (v *View) passShortcut(s fyne.Shortcut) {
	if v.deps.Window == nil {
		return
	}
	if h, ok := v.deps.Window.Canvas().(fyne.Shortcutable); ok {
		h.TypedShortcut(s)
	}
}

// dragged scrolls while text is selected beyond the edge of the thread.
func (v *View) dragged(m *markdown.View, p fyne.Position) {
	driver := fyne.CurrentApp().Driver()
	y := driver.AbsolutePositionForObject(m).Y + p.Y - driver.AbsolutePositionForObject(v.thread.scroll).Y
	switch h := v.thread.scroll.Size().Height; {
	case y < 0:
		v.thread.moveTo(v.thread.scroll.Offset.Y + max(y, -60))
	case y > h:
		v.thread.moveTo(v.thread.scroll.Offset.Y + min(y-h, 60))
	}
}
