package models

import (
	"strconv"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"kestrel/app/session"
	"kestrel/app/ui/look"
	"kestrel/app/ui/parts"
	"kestrel/app/ui/tell"
	"kestrel/engine/vulkan"
)

// modelList lists the choices; Enter does what the button does.
type modelList struct {
	widget.List
	c      *Chooser
	silent bool
}

func newModelList(c *Chooser) *modelList {
	l := &modelList{c: c}
	l.HideSeparators = true
	l.Length = func() int { return len(c.choices) }
	l.CreateItem = func() fyne.CanvasObject {
		name := widget.NewLabel("")
		name.Truncation = fyne.TextTruncateEllipsis
		note := parts.Muted("")
		note.Wrapping = fyne.TextWrapOff
		note.Truncation = fyne.TextTruncateEllipsis
		return container.New(&twoLines{}, container.NewBorder(nil, nil, widget.NewIcon(nil), nil, name), note)
	}
	l.UpdateItem = func(i int, o fyne.CanvasObject) {
		m, lines := c.choices[i], o.(*fyne.Container)
		line := lines.Objects[0].(*fyne.Container)
		line.Objects[1].(*widget.Icon).SetResource(icon(m))
		name := line.Objects[0].(*widget.Label)
		name.TextStyle.Bold = m.Selected
		name.SetText(title(m))
		parts.SetMuted(lines.Objects[1].(*widget.RichText), where(m))
	}
	l.OnSelected = func(i int) {
		if !l.silent {
			c.choose(i)
		}
	}
	l.OnHighlighted = func(i int) { l.Select(i) }
	l.ExtendBaseWidget(l)
	return l
}

func (l *modelList) update() {
	l.Refresh()
	if l.c.selected >= 0 {
		l.silent = true
		l.Select(l.c.selected)
		l.Highlight(l.c.selected) // where the arrow keys begin
		l.silent = false
	}
}

// TypedKey implements fyne.Focusable.
func (l *modelList) TypedKey(ev *fyne.KeyEvent) {
	switch ev.Name {
	case fyne.KeyReturn, fyne.KeyEnter:
		l.c.doIt()
	case fyne.KeyUp, fyne.KeyDown, fyne.KeySpace:
		l.List.TypedKey(ev)
	default:
		parts.Pass(l, ev)
	}
}

// twoLines puts a line of caption close below a label.
type twoLines struct{}

func (twoLines) height() float32 {
	return float32(int(theme.TextSize()*1.4+theme.CaptionTextSize()*1.4+2*theme.InnerPadding())) + 2
}

func (t twoLines) MinSize([]fyne.CanvasObject) fyne.Size { return fyne.NewSize(100, t.height()) }

func (t twoLines) Layout(o []fyne.CanvasObject, size fyne.Size) {
	line := theme.TextSize()*1.4 + 2*theme.InnerPadding()
	o[0].Resize(fyne.NewSize(size.Width, line))
	indent := theme.IconInlineSize() + theme.Padding()
	o[1].Resize(fyne.NewSize(size.Width-indent, size.Height-line+2*theme.InnerPadding()))
	o[1].Move(fyne.NewPos(indent, line-theme.InnerPadding()-theme.Padding()))
}

func icon(m session.Choice) fyne.Resource {
	switch {
	case m.Selected:
		return theme.ConfirmIcon()
	case m.Source == session.Published:
		return theme.DownloadIcon()
	case !m.Ready:
		return theme.WarningIcon()
	}
	return theme.StorageIcon()
}

// title is a model's name without what names its publisher.
func title(m session.Choice) string {
	if m.Source == session.Builtin {
		return look.T("models.demo")
	}
	name := strings.TrimSuffix(m.Name, ".gguf")
	if i := strings.LastIndexAny(name, "/:"); i >= 0 {
		name = name[i+1:]
	}
	return name
}

// where says in a line where a model is and how large.
func where(m session.Choice) string {
	switch {
	case m.Source == session.Builtin:
		return look.T("models.builtin", look.Bytes(m.Bytes))
	case m.Source == session.Published:
		return look.T("models.published", look.Bytes(m.Bytes))
	case m.Problem != nil:
		return tell.Brief(m.Problem)
	case !m.Ready && m.Have < m.Bytes:
		return look.T("models.partial", look.Bytes(m.Have), look.Bytes(m.Bytes))
	}
	return look.T("models.here", look.Bytes(m.Bytes))
}

// about says what a model is good for.
func about(m session.Choice) string {
	var pieces []string
	if m.Known != nil {
		pieces = append(pieces, look.T("models.known", float64(m.Known.Parameters)/1e9, m.Known.Precision))
	}
	switch {
	case m.Source == session.Builtin:
		pieces = append(pieces, look.T("models.demo.note"))
	case m.Source == session.Published && m.Chat:
		pieces = append(pieces, look.T("models.instruct"))
	case m.Source == session.Published:
		pieces = append(pieces, look.T("models.base"))
	case m.Problem != nil:
		pieces = append(pieces, tell.Problem(m.Problem))
	}
	if m.Entry != nil && m.Entry.Path != "" {
		pieces = append(pieces, m.Entry.Path)
	}
	return strings.Join(pieces, " ")
}

func deviceSelector(d vulkan.DeviceInfo) string { return strconv.Itoa(d.Index) }
