package chatview

import (
	"strings"
	"unicode/utf8"

	"fyne.io/fyne/v2"

	"kestrel/app/ui/look"
	"kestrel/app/ui/parts"
)

// editor takes the place of a user's message while it is changed.
type editor struct {
	ground *shade
	entry  *textEntry
	note   *caption
	send   *parts.Button
	cancel *parts.Button
}

func newEditor(text string, send func(string), cancel, resized func()) *editor {
	e := &editor{ground: newShade(look.ColorBubble, 12), entry: newTextEntry(), note: newCaption(look.T("chat.editNote"))}
	take := func() {
		if text := strings.TrimSpace(e.entry.Text); text != "" {
			send(text)
		}
	}
	e.send = parts.NewButton(look.T("chat.sendAgain"), take).Primary()
	e.cancel = parts.NewButton(look.T("chat.cancel"), cancel)
	e.entry.onSend = take
	e.entry.onEscape = func() bool { cancel(); return true }
	e.entry.onResized = resized
	e.entry.SetText(text)
	e.entry.CursorRow = strings.Count(text, "\n")
	e.entry.CursorColumn = utf8.RuneCountInString(text[strings.LastIndexByte(text, '\n')+1:])
	return e
}

func (e *editor) objects() []fyne.CanvasObject {
	return []fyne.CanvasObject{e.ground, e.entry, e.note, e.send, e.cancel}
}

func (e *editor) arrange(x, width float32) float32 {
	const pad = 10
	e.entry.fit(width - 2*pad)
	y := float32(pad)
	y += put(e.entry, x+pad, y, width-2*pad, e.entry.MinSize().Height) + 8
	right := x + width - pad
	h := float32(0)
	for _, b := range []*parts.Button{e.send, e.cancel} {
		size := b.MinSize()
		right -= size.Width
		put(b, right, y, size.Width, size.Height)
		right -= 8
		h = max(h, size.Height)
	}
	note := e.note.MinSize()
	show(e.note, note.Width < right-x-pad)
	put(e.note, x+pad+2, y+(h-note.Height)/2, note.Width, note.Height)
	y += h + pad
	put(e.ground, x, 0, width, y)
	return y
}
