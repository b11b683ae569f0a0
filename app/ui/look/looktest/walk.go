package looktest

import (
	"reflect"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/test"
)

// Walk calls f with every object that is shown, on the overlay on top or, where
// there is none, in the content.
func Walk(c fyne.Canvas, f func(fyne.CanvasObject)) {
	top := c.Overlays().Top()
	if top == nil {
		top = c.Content()
	}
	walk(top, f)
}

func walk(o fyne.CanvasObject, f func(fyne.CanvasObject)) {
	if o == nil || !o.Visible() {
		return
	}
	f(o)
	switch o := o.(type) {
	case *fyne.Container:
		for _, child := range o.Objects {
			walk(child, f)
		}
	case *container.Scroll:
		walk(o.Content, f)
	case fyne.Widget:
		for _, child := range test.WidgetRenderer(o).Objects() {
			walk(child, f)
		}
	}
}

// Press taps the first button with this text that is shown, and reports
// whether there is one that can be pressed.
func Press(c fyne.Canvas, text string) bool {
	var found fyne.Tappable
	Walk(c, func(o fyne.CanvasObject) {
		b, ok := o.(interface {
			fyne.Tappable
			fyne.Disableable
		})
		if !ok || found != nil || b.Disabled() {
			return
		}
		if labelled, ok := o.(interface{ AccessibilityLabel() string }); ok && labelled.AccessibilityLabel() == text {
			found = b
		}
	})
	if found == nil {
		return false
	}
	found.Tapped(&fyne.PointEvent{})
	return true
}

// Menu gives the items of the menu that is open.
func Menu(c fyne.Canvas) []*fyne.MenuItem {
	var items []*fyne.MenuItem
	Walk(c, func(o fyne.CanvasObject) {
		// Fyne's widget of an item is not exported, but its field is.
		v := reflect.ValueOf(o)
		if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
			return
		}
		if f := v.Elem().FieldByName("Item"); f.IsValid() {
			if item, ok := f.Interface().(*fyne.MenuItem); ok {
				items = append(items, item)
			}
		}
	})
	return items
}

// Text is all text that is shown, a line a piece.
func Text(c fyne.Canvas) string {
	var b strings.Builder
	Walk(c, func(o fyne.CanvasObject) {
		if t, ok := o.(*canvas.Text); ok {
			b.WriteString(t.Text + "\n")
		}
	})
	return b.String()
}

// Shows reports whether a piece of text is shown, however it is wrapped.
func Shows(c fyne.Canvas, piece string) bool {
	bare := func(s string) string { return strings.Join(strings.Fields(s), "") }
	return strings.Contains(bare(Text(c)), bare(piece))
}
