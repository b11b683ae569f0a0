package parts

import (
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/dialog"
	"fyne.io/fyne/v2/layout"
	"fyne.io/fyne/v2/storage"
	"fyne.io/fyne/v2/widget"

	"kestrel/app/ui/look"
)

// Show opens a dialog with content and a row of buttons below it. size is cut to
// what the window has room for.
func Show(w fyne.Window, title string, size fyne.Size, content fyne.CanvasObject, buttons ...fyne.CanvasObject) *dialog.CustomDialog {
	d := dialog.NewCustomWithoutButtons(title, container.NewPadded(content), w)
	row := container.NewHBox(append([]fyne.CanvasObject{layout.NewSpacer()}, buttons...)...)
	d.SetButtons([]fyne.CanvasObject{row})
	room := w.Canvas().Size().SubtractWidthHeight(32, 24)
	d.Resize(fyne.NewSize(min(size.Width, room.Width), min(size.Height, room.Height)))
	d.Show()
	return d
}

// CloseTop closes the dialog or menu on top and reports whether there was one.
func CloseTop(c fyne.Canvas) bool {
	top := c.Overlays().Top()
	if top == nil {
		return false
	}
	top.Hide()
	if c.Overlays().Top() == top {
		c.Overlays().Remove(top)
	}
	return true
}

// Confirm asks before something is done that is not easily undone.
func Confirm(w fyne.Window, title, text, yes string, do func()) {
	var d *dialog.CustomDialog
	no := NewButton(look.T("parts.cancel"), func() { d.Hide() })
	ok := NewButton(yes, func() { d.Hide(); do() }).Danger()
	d = Show(w, title, fyne.NewSize(420, 0), Text(text), no, ok)
	w.Canvas().Focus(ok)
}

// Ask asks for a line of text. It is trimmed; an empty one is not taken.
func Ask(w fyne.Window, title, value, yes string, do func(text string)) {
	var d *dialog.CustomDialog
	e := NewEntry()
	e.SetText(value)
	take := func() {
		if text := strings.TrimSpace(e.Text); text != "" {
			d.Hide()
			do(text)
		}
	}
	e.OnSubmitted = func(string) { take() }
	d = Show(w, title, fyne.NewSize(420, 0), e, NewButton(look.T("parts.cancel"), func() { d.Hide() }), NewButton(yes, take).Primary())
	w.Canvas().Focus(e)
	e.TypedShortcut(&fyne.ShortcutSelectAll{})
}

// PathKind says what AskPath is about.
type PathKind int

// What a path leads to.
const (
	OpenFiles  PathKind = iota // files that are there, one a line
	OpenFile                   // a file that is there
	OpenFolder                 // a folder that is there
	OpenEither                 // a file or a folder that is there
	SaveFile                   // a file to write
)

// AskPath asks for a path: typed or pasted, or found with the button. Where
// kind is OpenFiles several may be given, one a line; else it is one.
func AskPath(w fyne.Window, kind PathKind, title, value, yes string, do func(paths []string)) {
	var d *dialog.CustomDialog
	e := NewEntry()
	if kind == OpenFiles {
		e.MultiLine = true
		e.Wrapping = fyne.TextWrapOff
		e.Scroll = fyne.ScrollBoth
		e.SetMinRowsVisible(3)
	}
	e.SetText(value)
	e.SetPlaceHolder(look.T("parts.path"))
	take := func() {
		var paths []string
		for line := range strings.SplitSeq(e.Text, "\n") {
			if line = strings.Trim(strings.TrimSpace(line), `"'`); line != "" {
				paths = append(paths, line)
			}
		}
		if len(paths) > 0 {
			d.Hide()
			do(paths)
		}
	}
	e.OnSubmitted = func(string) { take() }
	if kind == OpenFiles { // Enter takes it; more lines come by pasting or with the button
		e.OnKey = func(ev *fyne.KeyEvent) bool {
			if ev.Name != fyne.KeyReturn && ev.Name != fyne.KeyEnter {
				return false
			}
			take()
			return true
		}
	}
	add := func(path string) {
		if kind == OpenFiles && strings.TrimSpace(e.Text) != "" {
			path = strings.TrimRight(e.Text, "\n") + "\n" + path
		}
		e.SetText(path)
		w.Canvas().Focus(e)
	}
	browse := container.NewHBox(NewButton(look.T("parts.browse"), func() { pick(w, kind, value, add) }))
	if kind == OpenEither {
		browse = container.NewHBox(
			NewButton(look.T("parts.file"), func() { pick(w, OpenFile, value, add) }),
			NewButton(look.T("parts.folder"), func() { pick(w, OpenFolder, value, add) }))
	}
	d = Show(w, title, fyne.NewSize(600, 0), container.NewBorder(nil, nil, nil, container.NewVBox(browse), e),
		NewButton(look.T("parts.cancel"), func() { d.Hide() }), NewButton(yes, take).Primary())
	w.Canvas().Focus(e)
}

// pick opens Fyne's own browser of files.
func pick(w fyne.Window, kind PathKind, name string, do func(path string)) {
	switch kind {
	case OpenFolder:
		dialog.ShowFolderOpen(func(u fyne.ListableURI, err error) {
			if err == nil && u != nil {
				do(u.Path())
			}
		}, w)
	case SaveFile:
		d := dialog.NewFileSave(func(f fyne.URIWriteCloser, err error) {
			if err != nil || f == nil {
				return
			}
			path := f.URI().Path()
			f.Close() // it is written anew, by its path
			do(path)
		}, w)
		d.SetFileName(storage.NewFileURI(name).Name())
		d.Show()
	default:
		dialog.ShowFileOpen(func(f fyne.URIReadCloser, err error) {
			if err != nil || f == nil {
				return
			}
			path := f.URI().Path()
			f.Close()
			do(path)
		}, w)
	}
}

// Text is a label that wraps.
func Text(text string) *widget.Label {
	l := widget.NewLabel(text)
	l.Wrapping = fyne.TextWrapWord
	return l
}
