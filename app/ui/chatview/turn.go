package chatview

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"kestrel/app/session"
	"kestrel/app/ui/look"
	"kestrel/app/ui/markdown"
	"kestrel/app/ui/parts"
	"kestrel/app/ui/tell"
)

// Measures of a turn.
const (
	columnWidth = 800 // text wider than this is hard to read
	sideRoom    = 20
	bubblePad   = 12
	userShare   = 0.85 // of the column, at most, for what the user wrote
)

// turn is the row of a message.
type turn struct {
	widget.BaseWidget
	chat *View
	msg  *session.Message
	user bool
	last bool

	bubble *shade
	body   *markdown.View
	state  *caption
	note   *markdown.View // what to know of the answer
	fault  *faultBox
	card   *card
	edit   *editor
	bar    *bar

	copy, change, again, fork *parts.Button
	older, newer              *parts.Button
	version                   *caption

	objects []fyne.CanvasObject
	width   float32
	height  float32
	dirty   bool
	bodyAt  float32
	cardAt  float32
}

func newTurn(c *View, m *session.Message) *turn {
	t := &turn{chat: c, user: m.Role == "user"}
	t.ExtendBaseWidget(t)
	t.body = c.newBody()
	t.state = newCaption("")
	t.note = c.newBody()
	t.bar = newBar(func(b *parts.Button) { c.thread.show(b) })
	if t.user {
		t.bubble = newShade(look.ColorBubble, 12)
	}
	b := t.bar
	t.older = b.button(theme.NavigateBackIcon(), look.T("chat.older"), func() { t.choose(-1) })
	t.version = newCaption("")
	b.objects = append(b.objects, t.version)
	t.newer = b.button(theme.NavigateNextIcon(), look.T("chat.newer"), func() { t.choose(1) })
	t.copy = b.button(theme.ContentCopyIcon(), look.T("chat.copy"), func() { c.copyText(t.msg) })
	if t.user {
		t.change = b.button(theme.DocumentCreateIcon(), look.T("chat.edit"), t.beginEdit)
	} else {
		t.again = b.button(theme.ViewRefreshIcon(), look.T("chat.regenerate"), func() { c.session.Regenerate(t.msg.ID) })
	}
	t.fork = b.button(forkIcon, look.T("chat.fork"), func() { c.session.Fork(t.msg.ID) })
	t.body.More = t.menu()
	t.body.Mark(c.marked)
	t.show(m, c.conversation(), false)
	return t
}

// newBody is a view of text that hands keys to the conversation.
func (v *View) newBody() *markdown.View {
	m := markdown.New()
	m.Do = v.deps.Do
	m.OnKey = v.typedKey
	m.OnRune = v.typedRune
	m.OnResized = v.reflowSoon
	m.OnFocused = func() { v.thread.show(m) }
	m.OnShortcut = v.passShortcut
	m.OnDragged = func(p fyne.Position) { v.dragged(m, p) }
	return m
}

func (t *turn) menu() []*fyne.MenuItem {
	items := []*fyne.MenuItem{fyne.NewMenuItem(look.T("chat.copyMessage"), func() { t.chat.copyText(t.msg) })}
	if t.user {
		items = append(items, fyne.NewMenuItem(look.T("chat.edit"), t.beginEdit))
	} else {
		items = append(items, fyne.NewMenuItem(look.T("chat.regenerate"), func() { t.chat.session.Regenerate(t.msg.ID) }))
	}
	return append(items, fyne.NewMenuItem(look.T("chat.fork"), func() { t.chat.session.Fork(t.msg.ID) }))
}

func (t *turn) choose(step int) {
	if i := t.msg.Version + step; i >= 0 && i < len(t.msg.Versions) {
		t.chat.session.Choose(t.msg.Versions[i])
	}
}

// show brings the turn in line with its message.
func (t *turn) show(m *session.Message, c *session.Conversation, last bool) {
	t.msg, t.last, t.dirty = m, last, true
	streaming := m.Status == session.Streaming
	if t.user {
		t.body.SetPlain(m.Text, markdown.Plain{})
	} else {
		t.body.SetText(m.Text, streaming)
	}
	t.state.set(t.stateText(c))
	t.note.SetPlain(tell.Note(m.Note), markdown.Plain{Muted: true, Small: true})

	if t.fault = reuse(t.fault, m.Problem); t.fault == nil && m.Problem != nil {
		t.fault = t.chat.newFault(m.Problem, t.retry())
	}
	if m.Document == nil {
		t.card = nil
	} else if t.card == nil {
		t.card = newCard(t.chat, m.Document)
	} else {
		t.card.show(m.Document)
	}

	many := len(m.Versions) > 1
	show(t.older, many)
	show(t.newer, many)
	show(t.version, many)
	if many {
		t.version.set(look.T("chat.version", m.Version+1, len(m.Versions)))
		enable(t.older, m.Version > 0)
		enable(t.newer, m.Version < len(m.Versions)-1)
	}
	idle := c == nil || !c.Phase.Answering()
	show(t.copy, m.Text != "")
	if t.change != nil {
		show(t.change, m.Document == nil)
		enable(t.change, idle)
	}
	if t.again != nil {
		show(t.again, !streaming)
		enable(t.again, idle)
	}
	show(t.fork, !streaming)
	about := ""
	if !t.user {
		about = statsText(m)
	}
	t.bar.about.set(about)
	t.collect()
}

// retry is what tries the message again.
func (t *turn) retry() func() {
	if t.user {
		return nil
	}
	return func() { t.chat.session.Regenerate(t.msg.ID) }
}

// stateText says what the message waits for, or how it ended.
func (t *turn) stateText(c *session.Conversation) string {
	switch t.msg.Status {
	case session.Streaming:
		if t.msg.Text != "" || c == nil {
			return ""
		}
		switch c.Phase {
		case session.Waiting:
			return look.T("chat.waiting")
		case session.Reading:
			return dotted(look.T("chat.reading"), progressText(c.Reading))
		}
		return look.T("chat.thinking")
	case session.Stopped:
		if t.user {
			return ""
		}
		return look.T("chat.stopped")
	case session.Cut:
		return look.T("chat.cut")
	case session.Circled:
		return look.T("chat.circled")
	}
	return ""
}

func (t *turn) beginEdit() {
	if t.edit != nil || t.msg.Document != nil {
		return
	}
	t.edit = newEditor(t.msg.Text, func(text string) {
		t.endEdit()
		t.chat.session.Edit(t.msg.ID, text)
		t.chat.thread.toEnd()
	}, t.endEdit, func() { t.dirty = true; t.chat.reflowSoon() })
	t.dirty = true
	t.collect()
	t.chat.thread.reflow()
	t.chat.focusOn(t.edit.entry)
}

func (t *turn) endEdit() {
	t.edit, t.dirty = nil, true
	t.collect()
	t.chat.thread.reflow()
	t.chat.Focus()
}

// keep has the thread keep a turn that is out of sight while it is edited.
func (t *turn) keep() bool { return t.edit != nil }

// collect lists what the turn is made of now.
func (t *turn) collect() {
	t.objects = t.objects[:0]
	if t.edit != nil {
		t.objects = append(t.objects, t.edit.objects()...)
		return
	}
	if t.card != nil {
		t.objects = append(t.objects, t.card)
	}
	if t.msg.Text != "" {
		if t.bubble != nil {
			t.objects = append(t.objects, t.bubble)
		}
		t.objects = append(t.objects, t.body)
	}
	if t.state.whole != "" {
		t.objects = append(t.objects, t.state)
	}
	if t.note.Text() != "" {
		t.objects = append(t.objects, t.note)
	}
	if t.fault != nil {
		t.objects = append(t.objects, t.fault)
	}
	t.objects = append(t.objects, t.bar.all()...)
}

// arrange lays the turn out for a width.
func (t *turn) arrange(width float32) float32 {
	if width == t.width && !t.dirty {
		if t.card == nil || !t.card.dirty {
			return t.height
		}
	}
	t.width, t.dirty = width, false
	column := min(width-2*sideRoom, columnWidth)
	x, y := (width-column)/2, float32(0)
	if t.edit != nil {
		t.height = t.edit.arrange(x, column)
		return t.height
	}
	if t.card != nil {
		t.cardAt = y
		y += put(t.card, x, y, column, t.card.arrange(column)) + 4
	}
	if t.msg.Text != "" {
		if t.user {
			y = t.arrangeBubble(x, y, column)
		} else {
			t.bodyAt = y
			y += put(t.body, x, y, column, t.body.HeightFor(column)) + 4
		}
	}
	if t.state.whole != "" {
		h := t.state.fit(column).Height
		y += put(t.state, x, y+4, column, h) + 8
	}
	if t.note.Text() != "" {
		y += put(t.note, x, y+2, column, t.note.HeightFor(column)) + 6
	}
	if t.fault != nil {
		y += put(t.fault, x, y+4, column, t.fault.arrange(column)) + 8
	}
	t.bar.arrange(x-6, y, column+12, t.user)
	t.height = y + barHeight()
	return t.height
}

func (t *turn) arrangeBubble(x, y, column float32) float32 {
	room := column*userShare - 2*bubblePad
	h := t.body.HeightFor(room)
	w := min(t.body.TextWidth()+1, room)
	left := x + column - w - 2*bubblePad
	put(t.bubble, left, y, w+2*bubblePad, h+bubblePad*1.5)
	t.bodyAt = y + bubblePad*0.75
	put(t.body, left+bubblePad, t.bodyAt, room, h)
	return y + h + bubblePad*1.5 + 2
}

// put gives an object its place and returns its height.
func put(o fyne.CanvasObject, x, y, w, h float32) float32 {
	if at := fyne.NewPos(x, y); o.Position() != at {
		o.Move(at)
	}
	if size := fyne.NewSize(w, h); o.Size() != size {
		o.Resize(size)
	}
	return h
}

func (t *turn) viewport(from, to float32) {
	t.body.SetViewport(from-t.bodyAt, to-t.bodyAt)
	if t.card != nil {
		t.card.viewport(from-t.cardAt, to-t.cardAt)
	}
}

func (t *turn) CreateRenderer() fyne.WidgetRenderer { return &turnRenderer{t} }

type turnRenderer struct{ turn *turn }

func (r *turnRenderer) Destroy()                     {}
func (r *turnRenderer) Layout(fyne.Size)             {}
func (r *turnRenderer) MinSize() fyne.Size           { return fyne.NewSize(0, r.turn.height) }
func (r *turnRenderer) Objects() []fyne.CanvasObject { return r.turn.objects }

func (r *turnRenderer) Refresh() {
	for _, o := range r.turn.objects {
		o.Refresh()
	}
}

func show(o fyne.CanvasObject, on bool) {
	if on != o.Visible() {
		if on {
			o.Show()
		} else {
			o.Hide()
		}
	}
}

func enable(b *parts.Button, on bool) {
	if on == b.Disabled() {
		if on {
			b.Enable()
		} else {
			b.Disable()
		}
	}
}
