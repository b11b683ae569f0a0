package ui

import (
	"os"
	"path/filepath"

	"fyne.io/fyne/v2"

	"kestrel/app/session"
	"kestrel/app/store"
	"kestrel/app/ui/models"
	"kestrel/app/ui/parts"
	"kestrel/app/ui/settings"
)

// key is for keys that no focused widget has a use for.
func (w *window) key(ev *fyne.KeyEvent) {
	switch ev.Name {
	case fyne.KeyEscape:
		w.escape()
	case fyne.KeyF1:
		w.unlessBusy(w.openHelp)
	}
}

// escape closes what is on top, else stops the answer, else ends a search.
func (w *window) escape() {
	if !parts.CloseTop(w.w.Canvas()) && !w.chat.Escape() {
		w.escapeIdle()
	}
}

// escapeIdle is Escape where no answer runs; true if it was of use.
func (w *window) escapeIdle() bool { return w.find.close() || w.sidebar.EndSearch() }

// unlessBusy does f unless a dialog or a menu waits for the user.
func (w *window) unlessBusy(f func()) {
	if w.w.Canvas().Overlays().Top() == nil {
		f()
	}
}

func (w *window) newConversation(folder store.ID) {
	w.session.New(w.prefs.NewConversation(folder))
	w.chat.Focus()
}

// openConversation opens a conversation, at a message that a search for text
// found or, for "", at its end.
func (w *window) openConversation(id, message store.ID, text string) {
	w.chat.Mark(text)
	w.session.Open(string(id))
	if message != "" {
		w.chat.Reveal(string(message))
	}
	w.chat.Focus()
}

// abandon ends what is done for a conversation that is about to be deleted; a
// new one takes its place.
func (w *window) abandon(id store.ID) {
	c := w.session.Snapshot().Conversation
	w.session.Abandon(string(id))
	if c != nil && c.ID == string(id) {
		w.newConversation("")
	}
}

func (w *window) search() {
	if w.prefs.HideSidebar {
		w.toggleSidebar()
	}
	w.sidebar.Focus()
}

func (w *window) toggleSidebar() {
	w.keepSplit()
	w.prefs.HideSidebar = !w.prefs.HideSidebar
	w.arrange()
	w.save()
}

func (w *window) toggleMonitor() {
	w.prefs.ShowMonitor = !w.prefs.ShowMonitor
	w.arrange()
	w.save()
}

// openFiles gives documents to the open conversation. Paths that are not
// absolute are below the present folder.
func (w *window) openFiles(paths []string) {
	for i, p := range paths {
		if rest, ok := cutHome(p); ok {
			if home, err := os.UserHomeDir(); err == nil {
				p = filepath.Join(home, rest)
			}
		}
		if abs, err := filepath.Abs(p); err == nil {
			p = abs
		}
		paths[i] = p
	}
	if len(paths) > 0 {
		w.session.AddFiles(paths)
	}
}

// cutHome cuts "~/" off a path, as shells have it.
func cutHome(path string) (rest string, ok bool) {
	if len(path) > 1 && path[0] == '~' && (path[1] == '/' || path[1] == filepath.Separator) {
		return path[2:], true
	}
	return path, false
}

func (w *window) modelOptions() models.Options {
	return models.Options{Session: w.session, Window: w.w, Loop: w.loop, Loaded: func(r session.LoadRequest) {
		w.prefs.Model = r
		w.save()
	}}
}

func (w *window) openChooser() { w.chooser = models.Open(w.modelOptions()) }

func (w *window) settingsOptions() settings.Options {
	return settings.Options{
		Store: w.store, Session: w.session, Window: w.w, Loop: w.loop, Hint: w.bar.tell, Problem: w.problem, OpenURL: w.app.OpenURL,
		Preferences: w.prefs, System: w.system, Changed: w.prefer, Models: w.openChooser,
		Erased: func() { w.newConversation(""); w.sidebar.Reload() },
	}
}

func (w *window) openSettings() { settings.Show(w.settingsOptions()) }

func (w *window) openAnswering() {
	if w.shown.Conversation == nil {
		w.newConversation("")
	}
	if c := w.session.Snapshot().Conversation; c != nil {
		settings.ShowConversation(w.settingsOptions(), c)
	}
}

// request is the model to load: the remembered one, else the built-in.
func (w *window) request() session.LoadRequest {
	r := w.prefs.Model
	if r.Model == "" {
		r.Model = "demo"
	}
	return r
}
