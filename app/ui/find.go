package ui

import (
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"kestrel/app/ui/look"
	"kestrel/app/ui/parts"
)

// find is the bar that finds messages of the open conversation by their text.
type find struct {
	w      *window
	object *fyne.Container
	entry  *parts.Entry
	count  *widget.Label
	at     string // id of the message it is at
}

func newFind(w *window) *find {
	f := &find{w: w, entry: parts.NewEntry(), count: widget.NewLabel("")}
	f.entry.SetPlaceHolder(look.T("ui.find.hint"))
	f.entry.OnChanged = func(string) { f.at = ""; f.step(1) }
	f.entry.OnSubmitted = func(string) { f.step(1) }
	buttons := container.NewHBox(f.count,
		parts.NewIconButton("", theme.MoveUpIcon(), look.T("ui.find.previous"), w.bar.tell, func() { f.step(-1) }),
		parts.NewIconButton("", theme.MoveDownIcon(), look.T("ui.find.next"), w.bar.tell, func() { f.step(1) }),
		parts.NewIconButton("", theme.CancelIcon(), look.T("parts.close"), w.bar.tell, func() { f.close() }))
	f.object = container.NewStack(parts.On(look.ColorCard, 0, container.NewBorder(nil, nil, nil, buttons, container.NewPadded(f.entry))))
	f.object.Hide()
	return f
}

func (f *find) open() {
	f.object.Show()
	f.w.chat.Mark(strings.ToLower(strings.TrimSpace(f.entry.Text)))
	f.w.body.Refresh()
	f.w.w.Canvas().Focus(f.entry)
	f.entry.TypedShortcut(&fyne.ShortcutSelectAll{})
}

// close hides the bar and reports whether it was there.
func (f *find) close() bool {
	if !f.object.Visible() {
		return false
	}
	f.object.Hide()
	f.w.chat.Mark("")
	f.w.body.Refresh()
	f.w.chat.Focus()
	return true
}

// step goes to the next message that has the text, or the one before it, and
// at the end to the other end.
func (f *find) step(by int) {
	text := strings.ToLower(strings.TrimSpace(f.entry.Text))
	f.w.chat.Mark(text)
	if text == "" {
		f.count.SetText("")
		return
	}
	var found []string
	now := -1
	if c := f.w.session.Snapshot().Conversation; c != nil {
		for _, m := range c.Messages {
			if strings.Contains(strings.ToLower(m.Text), text) {
				if m.ID == f.at {
					now = len(found)
				}
				found = append(found, m.ID)
			}
		}
	}
	if len(found) == 0 {
		f.at = ""
		f.count.SetText(look.T("ui.find.none"))
		return
	}
	if now < 0 && by < 0 {
		now = 0
	}
	now = (now + by + len(found)) % len(found)
	f.at = found[now]
	f.count.SetText(look.T("ui.find.count", now+1, len(found)))
	f.w.chat.Reveal(f.at)
}
