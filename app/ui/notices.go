package ui

import (
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"kestrel/app/session"
	"kestrel/app/ui/look"
	"kestrel/app/ui/markdown"
	"kestrel/app/ui/parts"
	"kestrel/app/ui/tell"
)

// mostNotices is how many notices are shown at once; older ones go.
const mostNotices = 3

// notices is the list of what the user is told once, below the chat, until it
// is closed.
type notices struct {
	w      *window
	object *fyne.Container
	texts  []func() string // in the language of the day
	last   uint64          // id of the session's newest that was shown
}

func newNotices(w *window) *notices { return &notices{w: w, object: parts.Column()} }

// show shows notices of the session that are new.
func (n *notices) show(list []session.Notice) {
	for _, x := range list {
		if x.ID > n.last {
			n.last = x.ID
			n.add(func() string { return tell.Problem(&x.Problem) })
		}
	}
}

// once shows a text that is not shown already.
func (n *notices) once(text func() string) {
	if !slices.ContainsFunc(n.texts, func(t func() string) bool { return t() == text() }) {
		n.add(text)
	}
}

// add shows a text.
func (n *notices) add(text func() string) {
	n.texts = append(n.texts, text)
	n.texts = n.texts[max(0, len(n.texts)-mostNotices):]
	n.rebuild()
}

func (n *notices) rebuild() {
	n.object.Objects = nil
	for i, text := range n.texts {
		said := markdown.New() // to be selected and copied
		said.SetPlain(text(), markdown.Plain{})
		closer := parts.NewIconButton("", theme.CancelIcon(), look.T("ui.notice.close"), n.w.bar.tell, func() {
			n.texts = append(n.texts[:i:i], n.texts[i+1:]...)
			n.rebuild()
		})
		icon := container.NewCenter(widget.NewIcon(theme.NewWarningThemedResource(theme.WarningIcon())))
		n.object.Add(parts.On(look.ColorCard, 0, container.NewBorder(nil, nil, container.NewPadded(icon), container.NewCenter(closer), container.NewPadded(container.NewPadded(said)))))
	}
	if n.w.body != nil {
		n.w.body.Refresh()
	}
}
