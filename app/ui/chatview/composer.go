package chatview

import (
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"kestrel/app/session"
	"kestrel/app/ui/look"
	"kestrel/app/ui/markdown"
	"kestrel/app/ui/parts"
	"kestrel/app/ui/tell"
)

// maxRows is how far an entry grows before it scrolls.
const maxRows = 8

// textEntry is an entry of several lines: Enter sends, Shift+Enter begins a new
// line, and it is as high as its text, up to maxRows.
type textEntry struct {
	widget.Entry
	onSend    func()
	onEscape  func() bool // false passes Escape on
	onPage    func(pages float32)
	onResized func()
	shift     bool
	rows      int
	width     float32
}

func newTextEntry() *textEntry {
	e := &textEntry{rows: 1}
	e.MultiLine = true
	e.Wrapping = fyne.TextWrapWord
	e.Scroll = fyne.ScrollVerticalOnly
	e.ExtendBaseWidget(e)
	e.SetMinRowsVisible(1)
	e.OnChanged = func(string) { e.grow() }
	return e
}

// AcceptsTab is false: Tab goes to the next widget, as everywhere.
func (e *textEntry) AcceptsTab() bool { return false }

// KeyDown keeps whether Shift is held.
func (e *textEntry) KeyDown(k *fyne.KeyEvent) {
	if k.Name == desktop.KeyShiftLeft || k.Name == desktop.KeyShiftRight {
		e.shift = true
	}
	e.Entry.KeyDown(k)
}

// KeyUp keeps whether Shift is held.
func (e *textEntry) KeyUp(k *fyne.KeyEvent) {
	if k.Name == desktop.KeyShiftLeft || k.Name == desktop.KeyShiftRight {
		e.shift = false
	}
	e.Entry.KeyUp(k)
}

// FocusLost forgets Shift, whose release goes elsewhere.
func (e *textEntry) FocusLost() {
	e.shift = false
	e.Entry.FocusLost()
}

// TypedKey sends on Enter.
func (e *textEntry) TypedKey(k *fyne.KeyEvent) {
	switch k.Name {
	case fyne.KeyReturn, fyne.KeyEnter:
		if !e.shift {
			e.onSend()
			return
		}
		e.Entry.KeyUp(&fyne.KeyEvent{Name: desktop.KeyShiftLeft}) // or it would be no new line
		e.Entry.TypedKey(k)
		e.Entry.KeyDown(&fyne.KeyEvent{Name: desktop.KeyShiftLeft})
	case fyne.KeyEscape:
		if e.onEscape == nil || !e.onEscape() {
			parts.Pass(e, k)
		}
	case fyne.KeyF1:
		parts.Pass(e, k)
	case fyne.KeyPageUp:
		e.page(-0.9)
	case fyne.KeyPageDown:
		e.page(0.9)
	default:
		e.Entry.TypedKey(k)
	}
}

// TypedShortcut sends on Ctrl+Enter as well.
func (e *textEntry) TypedShortcut(s fyne.Shortcut) {
	if c, ok := s.(*desktop.CustomShortcut); ok && (c.KeyName == fyne.KeyReturn || c.KeyName == fyne.KeyEnter) && c.Modifier == fyne.KeyModifierShortcutDefault {
		e.onSend()
		return
	}
	e.Entry.TypedShortcut(s)
}

func (e *textEntry) page(pages float32) {
	if e.onPage != nil {
		e.onPage(pages)
	}
}

// fit tells the entry its width, on which the number of its rows depends.
func (e *textEntry) fit(width float32) {
	if width != e.width {
		e.width = width
		e.grow()
	}
}

// grow fits the height to the text.
func (e *textEntry) grow() {
	rows := textRows(e.Text, e.width-2*theme.InnerPadding()-theme.Size(theme.SizeNameScrollBar))
	if rows == e.rows {
		return
	}
	e.rows = rows
	e.SetMinRowsVisible(rows)
	if e.onResized != nil {
		e.onResized()
	}
}

// textRows is in how many rows text stands, up to maxRows.
func textRows(text string, width float32) int {
	rows := 0
	size := theme.Size(theme.SizeNameText)
	for line := range strings.SplitSeq(text, "\n") {
		rows++
		if rows >= maxRows {
			break
		}
		if width <= size || len(line) < int(width/size) {
			continue
		}
		// cut where it is certainly full: measuring is by the whole text
		line = line[:min(len(line), 4*maxRows*int(width/size*3))]
		if w := fyne.MeasureText(line, size, fyne.TextStyle{}).Width; w > width {
			rows += int(w * 1.02 / width) // words leave some of a row empty
		}
	}
	return min(rows, maxRows)
}

// composer is the place to write, with what can be added and done.
type composer struct {
	widget.BaseWidget
	chat   *View
	ground *shade
	entry  *textEntry
	framed *container.ThemeOverride // the entry, without a frame of its own
	attach *parts.Button
	send   *parts.Button
	stop   *parts.Button
	reason *markdown.View // why nothing can be sent: all of why, or its first sentence
	why    string
	load   *parts.Button
	hint   *caption // drop files anywhere
	length *caption // of the conversation
	told   *caption // what the button under the mouse does

	width  float32
	height float32
	wanted float32 // the height that the parent last gave room for
}

func newComposer(v *View) *composer {
	c := &composer{
		chat: v, ground: newShade(theme.ColorNameInputBackground, 12), entry: newTextEntry(),
		reason: v.newBody(), hint: newCaption(look.T("chat.dropHint")), length: newCaption(""), told: newCaption(""),
	}
	c.ground.border = theme.ColorNameInputBorder
	c.framed = container.NewThemeOverride(c.entry, frameless{})
	c.ExtendBaseWidget(c)
	c.attach = parts.NewIconButton("", muted(theme.MailAttachmentIcon()), look.T("chat.attach"), c.tell, v.Attach)
	c.send = parts.NewIconButton("", theme.MailSendIcon(), look.T("chat.send"), c.tell, c.submit).Primary()
	c.stop = parts.NewIconButton("", theme.MediaStopIcon(), look.T("chat.stop"), c.tell, v.stop)
	c.stop.Importance = widget.WarningImportance
	c.load = parts.NewButton("", nil)
	c.load.Hide()
	c.stop.Hide()
	c.entry.onSend = c.submit
	c.entry.onEscape = v.escape
	c.entry.onPage = func(pages float32) { v.thread.by(pages) }
	c.entry.onResized = func() { v.Refresh() }
	grow := c.entry.OnChanged
	c.entry.OnChanged = func(text string) {
		grow(text)
		v.draftChanged()
		c.update(v.shown)
	}
	c.entry.SetPlaceHolder(look.T("chat.placeholder"))
	return c
}

func (c *composer) tell(hint string) {
	c.told.set(hint)
	show(c.hint, hint == "")
	c.arrange(c.width)
}

// submit sends what is written, if that is possible now.
func (c *composer) submit() {
	text := strings.TrimSpace(c.entry.Text)
	if text == "" || !c.canSend(c.chat.session.Snapshot()) {
		return
	}
	c.entry.SetText("")
	c.chat.send(text)
}

func busy(s *session.Snapshot) bool {
	return s.Conversation != nil && s.Conversation.Phase != session.Idle && s.Conversation.Phase != ""
}

func (c *composer) canSend(s *session.Snapshot) bool {
	return s.Model.State == session.Loaded && !answering(s)
}

// answering says whether an answer is written or waited for. While documents are
// read, questions can be asked.
func answering(s *session.Snapshot) bool {
	return s.Conversation != nil && s.Conversation.Phase.Answering()
}

// update brings the composer in line with a snapshot.
func (c *composer) update(s *session.Snapshot) {
	if s == nil {
		return
	}
	stop := answering(s) || busy(s) && strings.TrimSpace(c.entry.Text) == "" // what is read can be stopped until something is written
	show(c.stop, stop)
	show(c.send, !stop)
	enable(c.send, c.canSend(s) && strings.TrimSpace(c.entry.Text) != "")
	c.why = c.reasonText(s)
	c.reason.SetPlain(c.why, markdown.Plain{})
	c.offer(s)
	length := ""
	if conv := s.Conversation; conv != nil && conv.Tokens > 0 {
		length = look.T("chat.tokens", conv.Tokens, look.Count(conv.Tokens))
		if most := s.Model.MaxTrained; most > 0 && conv.Tokens > most {
			length = look.T("chat.beyond", look.Count(conv.Tokens), look.Count(most))
		}
	}
	c.length.set(length)
	c.arrange(c.width)
}

// reasonText says why nothing can be sent, or "".
func (c *composer) reasonText(s *session.Snapshot) string {
	m := s.Model
	switch m.State {
	case session.Loading:
		text := look.T("chat.loading", modelName(m))
		if p := m.Progress; p.Total > 0 {
			return dotted(text, share(float64(p.Done)/float64(p.Total)), leftText(p.ETA))
		}
		return text
	case session.NoModel:
		return look.T("chat.noModel")
	case session.Broken:
		if m.Problem != nil {
			return tell.Brief(m.Problem)
		}
		return look.T("chat.brokenModel")
	}
	return ""
}

func modelName(m *session.Model) string {
	if m.Name != "" {
		return m.Name
	}
	return m.Request.Model
}

// offer shows the button that helps where no model is ready.
func (c *composer) offer(s *session.Snapshot) {
	text, do := "", func() {}
	switch s.Model.State {
	case session.NoModel:
		text, do = look.T("chat.chooseModel"), c.chat.deps.ChooseModel
	case session.Broken:
		text, do = look.T("chat.reload"), func() { c.chat.session.Load(c.chat.session.Snapshot().Model.Request) }
	case session.Loading:
		text, do = look.T("chat.cancel"), c.chat.session.CancelLoad
	}
	show(c.load, text != "" && do != nil)
	c.load.OnTapped = do
	if c.load.Text != text {
		c.load.SetText(text)
	}
}

// arrange lays the composer out for a width and returns its height.
func (c *composer) arrange(width float32) float32 {
	if width <= 0 {
		return c.height
	}
	c.width = width
	side := max(38, theme.Size(theme.SizeNameInlineIcon)+20)
	column := min(width-2*sideRoom, columnWidth+24)
	x, y := (width-column)/2, float32(4)
	if show(c.reason, c.reason.Text() != ""); c.reason.Visible() {
		room, h := column-12, float32(0)
		var b fyne.Size
		if c.load.Visible() {
			b = c.load.MinSize()
			room -= b.Width + 12
		}
		c.reason.SetPlain(c.why, markdown.Plain{})
		text := c.reason.HeightFor(room)
		if whole := c.chat.Size().Height; whole > 0 && text > whole/6 { // the thread is to be seen as well
			c.reason.SetPlain(tell.Sentence(c.why), markdown.Plain{})
			text = c.reason.HeightFor(room)
		}
		h = max(text, b.Height)
		put(c.load, x+column-b.Width, y+(h-b.Height)/2, b.Width, b.Height)
		put(c.reason, x+6, y+(h-text)/2, room, text)
		y += h + 6
	}
	c.entry.fit(column - 2*side - 12)
	h := c.entry.MinSize().Height
	ground := h + 8
	put(c.ground, x, y, column, ground)
	put(c.attach, x+4, y+ground-side, side-4, side-4)
	put(c.framed, x+side+4, y+4, column-2*side-12, h)
	for _, b := range []*parts.Button{c.send, c.stop} {
		put(b, x+column-side, y+ground-side, side-4, side-4)
	}
	y += ground + 5
	line := c.hint.MinSize().Height
	length := c.length.fit(column - 16)
	said := c.hint
	if c.told.whole != "" {
		said = c.told
	}
	// the length of the conversation matters more than what is always there
	put(c.length, x+column-8-length.Width, y, length.Width, line)
	put(said, x+8, y, said.fit(column-length.Width-40).Width, line)
	c.height = y + line + 8
	if c.wanted != c.height {
		c.wanted = c.height
		c.chat.Refresh()
	}
	return c.height
}

// MinSize is the height for the present width.
func (c *composer) MinSize() fyne.Size { return fyne.NewSize(200, c.height) }

func (c *composer) CreateRenderer() fyne.WidgetRenderer {
	return &fixed{objects: []fyne.CanvasObject{
		c.ground, c.framed, c.attach, c.send, c.stop, c.reason, c.load, c.hint, c.told, c.length,
	}, height: &c.height}
}
