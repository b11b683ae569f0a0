package parts

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"
)

// Check is a check box: a flat button that ticks, so that the keyboard and a
// scrolled page have it as they have buttons.
type Check struct {
	Button
	Checked bool // set by SetChecked
	changed func(bool)
}

// NewCheck returns a box that is not ticked; changed is told of each change.
func NewCheck(text string, changed func(bool)) *Check {
	c := &Check{changed: changed}
	c.Text, c.Icon, c.Importance = text, theme.CheckButtonIcon(), widget.LowImportance
	c.OnTapped = func() { c.SetChecked(!c.Checked) }
	c.ExtendBaseWidget(c)
	return c
}

// SetChecked ticks the box or unticks it.
func (c *Check) SetChecked(on bool) {
	if c.Checked == on {
		return
	}
	c.Checked = on
	icon := theme.CheckButtonIcon()
	if on {
		icon = theme.CheckButtonCheckedIcon()
	}
	c.SetIcon(icon)
	c.changed(on)
}

// TypedKey ticks on Enter as on Space.
func (c *Check) TypedKey(ev *fyne.KeyEvent) {
	switch ev.Name {
	case fyne.KeyReturn, fyne.KeyEnter, fyne.KeySpace:
		c.Tapped(nil)
	default:
		Pass(c, ev)
	}
}

// FocusGained scrolls the box into sight.
func (c *Check) FocusGained() {
	c.Button.FocusGained()
	reveal(c)
}
