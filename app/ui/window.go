package ui

import (
	"context"
	"sync/atomic"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"

	"kestrel/app/session"
	"kestrel/app/store"
	"kestrel/app/ui/chatview"
	"kestrel/app/ui/look"
	"kestrel/app/ui/models"
	"kestrel/app/ui/monitor"
	"kestrel/app/ui/parts"
	"kestrel/app/ui/place"
	"kestrel/app/ui/settings"
	"kestrel/app/ui/sidebar"
	"kestrel/app/ui/tell"
)

// Sizes of the window, in Fyne's units.
const (
	usualWidth, usualHeight = 1200, 760
	usualSidebar            = 0.22 // of the width
	leastSidebar            = 14   // of the size of text
	usualMonitor            = 0.58 // where the monitor begins, of what the sidebar leaves
)

// window is the one window of the program.
type window struct {
	app      fyne.App
	w        fyne.Window
	store    *store.Store
	session  session.Session
	loop     parts.Loop
	recorder *monitor.Recorder
	system   look.Language // the desktop's
	prefs    settings.Preferences

	// built anew with another language
	sidebar *sidebar.View
	chat    *chatview.View
	panel   *monitor.Panel
	model   *models.Button
	chooser *models.Chooser
	bar     *bar
	notices *notices
	drafts  *drafts
	find    *find
	moving  *models.Transfers // downloads and imports
	welcome *fyne.Container
	imports *fyne.Container // of conversations, under way
	body    *fyne.Container
	split   *container.Split // of the sidebar and the rest; nil without the sidebar

	shown       *session.Snapshot
	newest      atomic.Pointer[session.Snapshot] // on its way to Fyne's goroutine
	unsubscribe func()
}

// newWindow makes the window's content. Nothing of the session is shown before
// follow.
func newWindow(a fyne.App, s *store.Store, sess session.Session, r *monitor.Recorder, l parts.Loop, p settings.Preferences, system look.Language) *window {
	w := &window{app: a, w: a.NewWindow("Kestrel"), store: s, session: sess, recorder: r, loop: l, prefs: p, system: system}
	if theme := look.New(p.Look()); !theme.Is(a.Settings().Theme()) { // Fyne reads the fonts anew for each
		a.Settings().SetTheme(theme)
	}
	look.SetLanguage(p.SpeakIn(system))
	w.w.SetPadded(false)
	w.w.SetMaster()
	w.w.SetOnDropped(func(_ fyne.Position, uris []fyne.URI) { w.chat.Drop(uris) })
	w.notices = newNotices(w)
	w.imports = container.NewVBox()
	w.drafts = newDrafts(w)
	w.build()
	w.fit(0, 0)
	return w
}

// fit gives the window the size that is remembered, or the usual one, as far as
// a screen has room; 0 is one of unknown size.
func (w *window) fit(screenWidth, screenHeight float32) {
	width, height := w.prefs.Width, w.prefs.Height
	if width < 400 || height < 300 {
		width, height = usualWidth, usualHeight
	}
	if screenWidth > 0 && screenHeight > 0 {
		width, height = min(width, screenWidth), min(height, screenHeight)
	}
	w.w.Resize(fyne.NewSize(width, height))
}

// build makes all views in the present language.
func (w *window) build() {
	w.bar = newBar(w)
	w.sidebar = sidebar.New(sidebar.Options{
		Store: w.store, Window: w.w, Loop: w.loop, Hint: w.bar.tell, Problem: w.problem,
		Open:    w.openConversation,
		New:     w.newConversation,
		Abandon: w.abandon,
		Renamed: w.session.Reload,
		Imports: w.imports, Imported: func() { w.sidebar.Worked() },
	})
	drafts := w.drafts.first
	if w.chat != nil { // the views in the old language
		drafts = w.chat.Drafts()
		w.chat.Close()
		w.panel.Hide()
	}
	w.chat = chatview.New(w.session, chatview.Deps{Window: w.w, ChooseModel: w.openChooser, Escape: w.escapeIdle, Drafts: drafts,
		KeepDraft: w.drafts.keep, After: w.loop.After, Do: w.loop.Do})
	w.panel = monitor.NewPanel(w.recorder, w.loop)
	w.welcome = container.NewStack()
	w.notices.rebuild()
	w.find = newFind(w)
	w.moving = models.NewTransfers(w.session)
	w.body = container.NewStack()
	w.w.SetMainMenu(w.menu())
	w.w.Canvas().SetOnTypedKey(w.key)
	w.arrange()
	w.w.SetContent(container.NewBorder(w.bar.object, nil, nil, nil, w.body))
	w.shown = nil
	w.show(w.session.Snapshot())
}

// arrange puts the sidebar and the monitor beside the chat, as far as they are
// wanted.
func (w *window) arrange() {
	w.keepSplit()
	var center fyne.CanvasObject = container.NewBorder(
		container.NewVBox(w.find.object, w.moving.Object(), w.welcome), w.notices.object, nil, nil, w.chat)
	if w.prefs.ShowMonitor {
		split := container.NewHSplit(center, w.panel)
		split.SetOffset(usualMonitor)
		center = split
		w.panel.Show()
	} else {
		w.panel.Hide()
	}
	w.split = nil
	if !w.prefs.HideSidebar {
		w.split = container.NewHSplit(w.sidebar.Object(), center)
		w.split.SetOffset(w.sidebarShare())
		center = w.split
	}
	w.body.Objects = []fyne.CanvasObject{center}
	w.body.Refresh()
}

// sidebarShare is how much of the width the sidebar takes: what the user gave it,
// but enough to read titles in the present size of text.
func (w *window) sidebarShare() float64 {
	share := w.prefs.Sidebar
	if share <= 0.05 || share >= 0.6 {
		share = usualSidebar
	}
	width := w.w.Canvas().Size().Width
	if width < 400 {
		width = usualWidth
	}
	return max(share, min(float64(leastSidebar*theme.TextSize()/width), 0.4))
}

// keepSplit remembers how wide the sidebar is.
func (w *window) keepSplit() {
	if w.split != nil {
		w.prefs.Sidebar = w.split.Offset
	}
}

// follow shows the session's snapshots from now on.
func (w *window) follow() {
	w.unsubscribe = w.session.Subscribe(func(s *session.Snapshot) {
		if w.newest.Swap(s) == nil { // else one is on its way already and takes this
			w.loop.Do(w.take)
		}
	})
}

func (w *window) take() {
	if s := w.newest.Swap(nil); s != nil {
		w.show(s)
	}
}

// show gives a snapshot to the views.
func (w *window) show(s *session.Snapshot) {
	before := w.shown
	w.shown = s
	if before == nil || before.Model != s.Model {
		w.model.Show(s.Model)
		w.bar.refit()
	}
	if w.chooser != nil {
		w.chooser.Show(s)
	}
	w.showTransfers(before, s)
	if before == nil || before.Model != s.Model {
		for _, text := range s.Model.Warnings {
			w.notices.once(func() string { return tell.Warning(text) })
		}
	}
	w.notices.show(s.Notices)
	id := store.ID("")
	if s.Conversation != nil {
		id = store.ID(s.Conversation.ID)
	}
	w.sidebar.SetCurrent(id)
	if before != nil && before.Changes != s.Changes {
		w.sidebar.Reload()
	}
	w.showWelcome(s)
	w.w.SetTitle(windowTitle(s))
}

func windowTitle(s *session.Snapshot) string {
	if s.Conversation == nil || s.Conversation.Title == "" {
		return "Kestrel"
	}
	return s.Conversation.Title + " – Kestrel"
}

// showTransfers shows downloads and imports, which go on when the chooser is
// closed.
func (w *window) showTransfers(before, s *session.Snapshot) {
	w.moving.Show(s.Transfers)
	if before == nil || len(before.Transfers) != len(s.Transfers) {
		w.body.Refresh()
	}
}

// showWelcome shows the card of the first run above an empty conversation.
func (w *window) showWelcome(s *session.Snapshot) {
	builtin := s.Model.Request.Model == "" || s.Model.Request.Model == "demo"
	empty := s.Conversation == nil || len(s.Conversation.Messages) == 0 && len(s.Conversation.Documents) == 0
	wanted := !w.prefs.Welcomed && builtin && empty && s.Model.State == session.Loaded
	if wanted == (len(w.welcome.Objects) > 0) {
		return
	}
	w.welcome.Objects = nil
	if wanted {
		card := models.FirstRun(w.modelOptions(), w.openChooser, func() {
			w.prefs.Welcomed = true
			w.save()
			w.showWelcome(w.shown)
		})
		w.welcome.Objects = []fyne.CanvasObject{container.NewPadded(card)}
	}
	w.body.Refresh()
}

// save keeps the preferences.
func (w *window) save() {
	p := w.prefs
	w.loop.Work(func() func() {
		if err := p.Save(context.Background(), w.store); err != nil {
			return func() { w.problem(err) }
		}
		return nil
	})
}

// prefer takes over changed preferences and shows them.
func (w *window) prefer(p settings.Preferences) {
	old := w.prefs
	w.prefs = p
	w.save()
	if old.Look() != p.Look() {
		// Each change keeps 8 MiB for good: Fyne parses the fonts anew (painter.ClearFontCache), and its one
		// shaper holds the old ones in go-text's harfbuzz.Buffer.planCache, which nothing empties.
		w.app.Settings().SetTheme(look.New(p.Look()))
		w.arrange()
	}
	if old.SpeakIn(w.system) != p.SpeakIn(w.system) {
		look.SetLanguage(p.SpeakIn(w.system))
		parts.CloseTop(w.w.Canvas())
		w.build()
		w.openSettings()
	}
}

// problem tells the user of an error of the window's own work.
func (w *window) problem(err error) { w.notices.add(func() string { return tell.Error(err) }) }

// close keeps what is remembered of the window and ends the session. It is called once,
// when the window is gone.
func (w *window) close(ctx context.Context) error {
	if w.unsubscribe != nil {
		w.unsubscribe()
	}
	w.chat.Close()
	w.panel.Hide()
	w.recorder.Close()
	err := w.session.Close(ctx)
	if draftErr := w.drafts.write(); err == nil {
		err = draftErr
	}
	if saveErr := w.prefs.Save(context.Background(), w.store); err == nil {
		err = saveErr
	}
	return err
}

// remember takes the window's size and place while it is still there.
func (w *window) remember() {
	w.keepSplit()
	size := w.w.Canvas().Size()
	w.prefs.Width, w.prefs.Height = size.Width, size.Height
	if p, ok := place.Of(w.w); ok { // else the last that was known
		w.prefs.Place = &p
	}
}
