package chatview

import (
	"maps"
	"sync/atomic"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"kestrel/app/session"
	"kestrel/app/ui/look"
	"kestrel/app/ui/parts"
)

// Deps is what a View needs of the window around it.
type Deps struct {
	Window fyne.Window
	// ChooseModel opens the list of models; nil if there is none.
	ChooseModel func()
	// Escape is called for Escape where no answer runs; true if it was of use.
	Escape func() bool
	// Drafts are texts that are written and not sent, by conversation, as another
	// view of the session held them or the last run of the program did.
	Drafts map[string]string
	// KeepDraft is told of a draft that has changed, a moment after; nil for nobody.
	KeepDraft func(conversation, text string)
	// After runs a function on Fyne's goroutine after a time; nil is never.
	After func(d time.Duration, f func()) (stop func())
	// Do runs a function on Fyne's goroutine; nil is fyne.Do.
	Do func(func())
}

// View shows the open conversation of a session.
type View struct {
	widget.BaseWidget
	session session.Session
	deps    Deps

	thread   *thread
	empty    *empty
	composer *composer
	jump     *parts.Button

	latest  atomic.Pointer[session.Snapshot] // not shown yet
	queued  atomic.Bool
	shown   *session.Snapshot
	drafts  map[string]string // by conversation
	keeping func()            // stops the wait after which the draft is kept; nil for none
	begun   bool              // a first turn went to a conversation that has no id yet
	sought  string            // message to scroll to when it is there
	marked  string
	unwatch func()
}

// New returns a view of s, which shows it until Close.
func New(s session.Session, d Deps) *View {
	if d.Do == nil {
		d.Do = fyne.Do
	}
	v := &View{session: s, deps: d, drafts: maps.Clone(d.Drafts)}
	if v.drafts == nil {
		v.drafts = map[string]string{}
	}
	v.ExtendBaseWidget(v)
	v.thread = newThread(v.moved)
	v.composer = newComposer(v)
	v.empty = newEmpty(v)
	v.jump = parts.NewButton(look.T("chat.jump"), func() { v.thread.toEnd(); v.Focus() })
	v.jump.SetIcon(theme.MoveDownIcon())
	v.jump.Hide()
	v.apply(s.Snapshot())
	v.unwatch = s.Subscribe(v.receive)
	return v
}

// Close ends the subscription.
func (v *View) Close() {
	v.keepDraft()
	v.unwatch()
}

// receive is called by the session, on its goroutine.
func (v *View) receive(s *session.Snapshot) {
	v.latest.Store(s)
	if v.queued.CompareAndSwap(false, true) {
		v.deps.Do(func() {
			v.queued.Store(false)
			if s := v.latest.Load(); s != v.shown {
				v.apply(s)
			}
		})
	}
}

// conversation is the open one as it is shown, or nil.
func (v *View) conversation() *session.Conversation {
	if v.shown == nil {
		return nil
	}
	return v.shown.Conversation
}

func conversationID(s *session.Snapshot) string {
	if s == nil || s.Conversation == nil {
		return ""
	}
	return s.Conversation.ID
}

// apply shows a snapshot.
func (v *View) apply(s *session.Snapshot) {
	old := v.shown
	v.shown = s
	before, now := conversationID(old), conversationID(s)
	if old == nil || before != now {
		v.switchTo(old, before, now)
	}
	v.rows(old, s)
	v.composer.update(s)
	v.moved()
}

// switchTo shows another conversation: at its end, with its draft.
func (v *View) switchTo(old *session.Snapshot, before, now string) {
	born := before == "" && v.begun
	v.begun = false
	switch {
	case born: // it was given its id with its first turn, and is what is shown
		v.setDraft(before, "") // what was written since is the new one's
		v.draftChanged()
		return
	case old != nil:
		v.setDraft(before, v.composer.entry.Text)
	}
	v.composer.entry.SetText(v.drafts[now])
	v.thread.reset()
}

func (v *View) toggle(empty bool) {
	show(v.empty, empty)
	show(v.thread.scroll, !empty)
}

// moved shows or hides the way to the end.
func (v *View) moved() {
	far := v.thread.scroll.Visible() && v.thread.distance() > v.thread.scroll.Size().Height*0.3
	show(v.jump, far && !v.thread.follow)
}

// Focus puts the cursor where one writes.
func (v *View) Focus() { v.focusOn(v.composer.entry) }

func (v *View) focusOn(f fyne.Focusable) {
	if v.deps.Window != nil {
		v.deps.Window.Canvas().Focus(f)
	}
}

// ShowConversation opens a stored conversation; "" begins a new one.
func (v *View) ShowConversation(id string) {
	if id == "" {
		v.session.New(session.NewOptions{})
	} else {
		v.session.Open(id)
	}
	v.Focus()
}

// Reveal scrolls to a message of the open conversation, or of the one that is
// about to be opened.
func (v *View) Reveal(message string) {
	v.sought = message
	v.seek()
}

// seek goes to the message that is sought, if it is there.
func (v *View) seek() {
	if v.sought == "" || !v.thread.reveal(v.sought) {
		return
	}
	if t, ok := v.thread.live[v.sought].(*turn); ok {
		if y, ok := t.body.FirstMark(); ok {
			view := v.thread.scroll.Size().Height
			if y += t.Position().Y + t.bodyAt; y > v.thread.scroll.Offset.Y+0.7*view {
				v.thread.moveTo(y - view/3)
			}
		}
	}
	v.sought = ""
}

// Mark marks a text wherever it stands in the conversation; "" ends that.
func (v *View) Mark(text string) {
	v.marked = text
	for _, r := range v.thread.live {
		if t, ok := r.(*turn); ok {
			t.body.Mark(text)
		}
	}
}

// Coloured reports whether code in sight has its colours, which come a moment
// after it.
func (v *View) Coloured() bool {
	for _, r := range v.thread.live {
		if t, ok := r.(*turn); ok && !t.body.Coloured() {
			return false
		}
	}
	return true
}

// Drop takes what was dropped on the window.
func (v *View) Drop(uris []fyne.URI) {
	var paths []string
	for _, u := range uris {
		if u != nil && u.Scheme() == "file" {
			paths = append(paths, u.Path())
		}
	}
	if len(paths) == 0 {
		return
	}
	v.thread.follow = true
	v.session.AddFiles(paths)
}

// Attach asks for files to read.
func (v *View) Attach() {
	parts.AskPath(v.deps.Window, parts.OpenFiles, look.T("chat.attachTitle"), "", look.T("chat.add"), func(paths []string) {
		v.thread.follow = true
		v.session.AddFiles(paths)
		v.Focus()
	})
}

// begin readies the thread for what comes at its end.
func (v *View) begin() {
	v.thread.follow = true
	v.begun = conversationID(v.shown) == ""
}

func (v *View) send(text string) {
	v.begin()
	v.keepDraft() // nothing is left of it
	v.session.Send(text)
}

func (v *View) stop() { v.session.Stop() }

func (v *View) copyText(m *session.Message) {
	fyne.CurrentApp().Clipboard().SetContent(m.Text)
}

// CreateRenderer is Fyne's.
func (v *View) CreateRenderer() fyne.WidgetRenderer { return &viewRenderer{v} }

type viewRenderer struct{ v *View }

func (r *viewRenderer) Destroy() {}

func (r *viewRenderer) Layout(size fyne.Size) {
	v := r.v
	below := v.composer.arrange(size.Width)
	above := max(size.Height-below, 40)
	put(v.composer, 0, above, size.Width, below)
	put(v.empty, 0, 0, size.Width, above)
	put(v.thread.scroll, 0, 0, size.Width, above)
	v.thread.reflow()
	jump := v.jump.MinSize()
	put(v.jump, (size.Width-jump.Width)/2, above-jump.Height-8, jump.Width, jump.Height)
	v.moved()
}

func (r *viewRenderer) MinSize() fyne.Size {
	return fyne.NewSize(320, 100+r.v.composer.height)
}

func (r *viewRenderer) Objects() []fyne.CanvasObject {
	v := r.v
	return []fyne.CanvasObject{v.thread.scroll, v.empty, v.jump, v.composer}
}

func (r *viewRenderer) Refresh() {
	r.Layout(r.v.Size())
	for _, o := range r.Objects() {
		o.Refresh()
	}
}
