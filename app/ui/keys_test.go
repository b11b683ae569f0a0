package ui

import (
	"fmt"
	"slices"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/widget"

	"kestrel/app/ui/look"
	"kestrel/app/ui/look/looktest"
	"kestrel/app/ui/parts"
	"kestrel/app/ui/settings"
)

// tab is the key as the driver of a real window takes it.
func tab(c fyne.Canvas, previous bool) {
	if t, ok := c.Focused().(fyne.Tabbable); ok && t.AcceptsTab() {
		c.Focused().TypedKey(&fyne.KeyEvent{Name: fyne.KeyTab})
		return
	}
	if previous {
		c.FocusPrevious()
	} else {
		c.FocusNext()
	}
}

// round presses Tab until it comes by what it began with again, and gives all
// that had the focus.
func round(t *testing.T, c fyne.Canvas, previous bool) []fyne.Focusable {
	t.Helper()
	c.Focus(nil)
	var all []fyne.Focusable
	for range 300 {
		tab(c, previous)
		f := c.Focused()
		if f == nil {
			t.Fatalf("Tab leads nowhere after %v", names(all))
		}
		if len(all) > 0 && f == all[0] {
			return all
		}
		if slices.Contains(all, f) {
			t.Fatalf("Tab goes in a circle that %s is no part of: %v", name(all[0]), names(all))
		}
		all = append(all, f)
	}
	t.Fatalf("Tab does not come round: %v", names(all[:20]))
	return nil
}

func name(o any) string {
	switch o := o.(type) {
	case interface{ Hint() string }:
		if o.Hint() != "" {
			return o.Hint()
		}
		return fmt.Sprint(o.(interface{ AccessibilityLabel() string }).AccessibilityLabel())
	case interface{ AccessibilityLabel() string }:
		return fmt.Sprintf("%T %s", o, o.AccessibilityLabel())
	}
	return fmt.Sprintf("%T", o)
}

func names(all []fyne.Focusable) (out []string) {
	for _, f := range all {
		out = append(out, name(f))
	}
	return out
}

// controls are what a mouse can press, each with what it lies in.
func controls(c fyne.Canvas) map[fyne.CanvasObject][]fyne.CanvasObject {
	found := map[fyne.CanvasObject][]fyne.CanvasObject{}
	var walk func(o fyne.CanvasObject, in []fyne.CanvasObject)
	walk = func(o fyne.CanvasObject, in []fyne.CanvasObject) {
		if o == nil || !o.Visible() {
			return
		}
		if d, ok := o.(fyne.Disableable); ok && d.Disabled() {
			if _, container := o.(interface{ Offset() float32 }); !container { // a scroll with nothing to scroll to
				return
			}
		} else if _, ok := o.(fyne.Tappable); ok {
			found[o] = slices.Clone(in)
		}
		in = append(in, o)
		if _, scrolls := o.(*container.Scroll); scrolls { // the keys that scroll do what its bar does
			walk(o.(*container.Scroll).Content, in)
			return
		}
		switch o := o.(type) {
		case *fyne.Container:
			for _, child := range o.Objects {
				walk(child, in)
			}
		case fyne.Widget:
			for _, child := range test.WidgetRenderer(o).Objects() {
				walk(child, in)
			}
		}
	}
	top := c.Overlays().Top()
	if top == nil {
		top = c.Content()
	}
	walk(top, nil)
	return found
}

// TestKeyboardReaches: in each view Tab and Shift+Tab reach all that a mouse can
// press, or the list that it is a row of.
func TestKeyboardReaches(t *testing.T) {
	p := settings.Preferences{Mode: look.Light}
	a := looktest.App(t, p.Look(), look.English)
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) {
			b := s.stage(t, a, p)
			c := b.w.Canvas()
			forth := round(t, c, false)
			back := round(t, c, true)
			if len(back) != len(forth) {
				t.Errorf("Tab reaches %v, Shift+Tab %v", names(forth), names(back))
			}
			reached := map[fyne.CanvasObject]bool{}
			for _, f := range forth {
				reached[f.(fyne.CanvasObject)] = true
			}
			for o, in := range controls(c) {
				_, focusable := o.(fyne.Focusable)
				if reached[o] || !focusable && slices.ContainsFunc(in, func(p fyne.CanvasObject) bool { return reached[p] }) {
					continue
				}
				if _, dialog := o.(*widget.PopUp); dialog || len(in) == 0 { // and what lies behind it
					continue
				}
				if name(o) == look.T("chat.jump") { // comes and goes as one scrolls; the End key does the same
					continue
				}
				t.Errorf("no key reaches %s; Tab goes by %v", name(o), names(forth))
			}
		})
	}
}

// TestKeysPress: what has the focus obeys Enter as it does a mouse, and lets
// Escape pass.
func TestKeysPress(t *testing.T) {
	p := settings.Preferences{Mode: look.Light}
	a := looktest.App(t, p.Look(), look.English)
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) {
			b := s.stage(t, a, p)
			c := b.w.Canvas()
			for _, f := range round(t, c, false) {
				if button, ok := f.(*parts.Button); ok {
					pressed := 0
					tapped := button.OnTapped
					button.OnTapped = func() { pressed++ }
					f.TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
					f.TypedKey(&fyne.KeyEvent{Name: fyne.KeySpace})
					if button.OnTapped = tapped; pressed != 2 {
						t.Errorf("Enter and Space press %s %d times", name(f), pressed)
					}
				}
				c.Focus(f)
				passed := false
				c.SetOnTypedKey(func(ev *fyne.KeyEvent) { passed = passed || ev.Name == fyne.KeyEscape })
				b.f.Calls()
				f.TypedKey(&fyne.KeyEvent{Name: fyne.KeyEscape}) // may end a search
				f.TypedKey(&fyne.KeyEvent{Name: fyne.KeyEscape})
				if used := len(b.f.Calls()) > 0 || c.Focused() != f; !passed && !used {
					t.Errorf("%s keeps Escape to itself", name(f))
				}
			}
		})
	}
}

// TestMenuKey: the menu of a row of the sidebar opens by the key for menus.
func TestMenuKey(t *testing.T) {
	b := open(t, settings.Preferences{Welcomed: true}, shelf)
	b.press(fyne.KeyK)
	c := b.w.Canvas()
	c.Focused().TypedKey(&fyne.KeyEvent{Name: fyne.KeyDown}) // to the list
	c.Focused().TypedKey(&fyne.KeyEvent{Name: fyne.KeyDown}) // to the first conversation
	c.Focused().TypedKey(&fyne.KeyEvent{Name: desktop.KeyMenu})
	var labels []string
	for _, i := range looktest.Menu(c) {
		labels = append(labels, i.Label)
	}
	if !slices.Contains(labels, look.T("sidebar.rename")) || !slices.Contains(labels, look.T("sidebar.markdown")) {
		t.Fatalf("the menu has %q", labels)
	}
	c.Focused().TypedKey(&fyne.KeyEvent{Name: fyne.KeyEscape})
	if b.overlay() {
		t.Error("Escape does not close the menu")
	}
}
