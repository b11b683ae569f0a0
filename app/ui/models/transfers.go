package models

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"kestrel/app/library"
	"kestrel/app/session"
	"kestrel/app/ui/look"
	"kestrel/app/ui/parts"
	"kestrel/app/ui/tell"
)

// Transfers lists downloads and imports with their progress.
type Transfers struct {
	s     session.Session
	box   *fyne.Container
	lines map[string]*transferLine
}

type transferLine struct {
	shown  *session.Transfer
	text   *widget.Label
	bar    *widget.ProgressBar
	again  *parts.Button
	object fyne.CanvasObject
}

// NewTransfers makes an empty list.
func NewTransfers(s session.Session) *Transfers {
	t := &Transfers{s: s, box: parts.Column(), lines: map[string]*transferLine{}}
	t.box.Hide()
	return t
}

// Object is what to show.
func (t *Transfers) Object() fyne.CanvasObject { return t.box }

// Show brings the list up to date and reports whether one more has ended.
func (t *Transfers) Show(list []*session.Transfer) (ended bool) {
	lines := map[string]*transferLine{}
	var objects []fyne.CanvasObject
	for _, x := range list {
		l := t.lines[x.Name]
		if l == nil {
			l = t.line(x.Name)
		}
		if l.shown != x {
			ended = ended || x.Done && (l.shown == nil || !l.shown.Done)
			l.fill(x)
		}
		lines[x.Name] = l
		objects = append(objects, l.object)
	}
	show(t.box, len(list) > 0)
	if len(objects) != len(t.box.Objects) || len(lines) != len(t.lines) {
		t.box.Objects = objects
		t.box.Refresh()
	}
	t.lines = lines
	return ended
}

func (t *Transfers) line(name string) *transferLine {
	l := &transferLine{text: parts.Text(""), bar: widget.NewProgressBar()}
	stop := parts.NewIconButton("", theme.CancelIcon(), look.T("models.cancel"), nil, func() { t.s.CancelTransfer(name) })
	l.again = parts.NewButton(look.T("models.again"), func() {
		t.s.CancelTransfer(name)
		t.s.Pull(name)
	})
	buttons := container.NewHBox(l.again, stop)
	l.object = container.NewBorder(nil, nil, nil, container.NewCenter(buttons), parts.Column(l.text, l.bar))
	return l
}

// waiting says what is being waited for, "" for nothing.
func waiting(w library.Wait) string {
	switch {
	case w.Checks != "":
		return look.T("models.checking", w.Checks)
	case w.Err == nil:
		return ""
	case w.Pause == 0:
		return tell.Sentence(tell.Error(w.Err))
	}
	return look.T("models.retry", tell.Sentence(tell.Error(w.Err)), look.Duration(w.Pause))
}

func (l *transferLine) fill(x *session.Transfer) {
	l.shown = x
	show(l.bar, x.Problem == nil && !x.Done)
	_, err := library.ParseRef(x.Name)
	show(l.again, x.Problem != nil && err == nil) // only a download has such a name
	l.text.Importance = widget.MediumImportance
	switch {
	case x.Problem != nil:
		l.text.Importance = widget.DangerImportance
		l.text.SetText(x.Name + ": " + tell.Problem(x.Problem))
	case x.Done:
		l.text.SetText(look.T("models.done", x.Name))
	default:
		p := x.Progress
		text := look.T("models.progress", x.Name, look.Bytes(p.Done), look.Bytes(p.Total))
		if p.Rate > 0 {
			text += " · " + look.T("models.speed", look.Bytes(int64(p.Rate)))
		}
		if p.ETA >= 0 && p.Rate > 0 {
			text += " · " + look.T("models.left", look.Duration(p.ETA))
		}
		if waits := waiting(p.Waits); waits != "" {
			text += " · " + waits
		}
		l.text.SetText(text)
		if p.Total > 0 {
			l.bar.SetValue(float64(p.Done) / float64(p.Total))
		}
	}
}

func show(o fyne.CanvasObject, visible bool) {
	if visible {
		o.Show()
	} else {
		o.Hide()
	}
}
