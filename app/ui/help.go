package ui

import (
	"runtime"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/dialog"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/layout"
	"fyne.io/fyne/v2/widget"

	"kestrel/app/ui/look"
	"kestrel/app/ui/parts"
)

// command is something that the menu offers and a shortcut does.
type command struct {
	text string
	key  fyne.KeyName // with Ctrl, or Command on a Mac; "" for none
	do   func()
}

// commands are the menus, in order.
func (w *window) commands() map[string][]command {
	return map[string][]command{
		"file": {
			{look.T("ui.menu.new"), fyne.KeyN, func() { w.newConversation("") }},
			{look.T("ui.menu.open"), fyne.KeyO, w.chat.Attach},
		},
		"view": {
			{look.T("ui.menu.search"), fyne.KeyK, w.search},
			{look.T("ui.menu.find"), fyne.KeyF, w.find.open},
			{look.T("ui.menu.sidebar"), fyne.KeyB, w.toggleSidebar},
			{look.T("ui.menu.monitor"), fyne.KeyM, w.toggleMonitor},
		},
		"model": {
			{look.T("ui.menu.choose"), "", w.openChooser},
			{look.T("ui.menu.answering"), "", w.openAnswering},
			{look.T("ui.menu.settings"), fyne.KeyComma, w.openSettings},
		},
		"help": {
			{look.T("ui.menu.shortcuts"), "", w.openHelp},
			{look.T("ui.menu.about"), "", w.openAbout},
		},
	}
}

// menu is the menu of the window. Its shortcuts work wherever the focus is,
// unlike those of a canvas, which an entry keeps to itself.
func (w *window) menu() *fyne.MainMenu {
	all := w.commands()
	item := func(c command) *fyne.MenuItem {
		i := fyne.NewMenuItem(c.text, func() { w.unlessBusy(c.do) })
		if c.key != "" {
			i.Shortcut = &desktop.CustomShortcut{KeyName: c.key, Modifier: fyne.KeyModifierShortcutDefault}
		}
		return i
	}
	menu := func(title, name string) *fyne.Menu {
		m := fyne.NewMenu(title)
		for _, c := range all[name] {
			m.Items = append(m.Items, item(c))
		}
		return m
	}
	file := menu(look.T("ui.menu.file"), "file")
	quit := fyne.NewMenuItem(look.T("ui.menu.quit"), w.w.Close)
	quit.IsQuit = true
	quit.Shortcut = &desktop.CustomShortcut{KeyName: fyne.KeyQ, Modifier: fyne.KeyModifierShortcutDefault}
	file.Items = append(file.Items, fyne.NewMenuItemSeparator(), quit)
	return fyne.NewMainMenu(file, menu(look.T("ui.menu.view"), "view"), menu(look.T("ui.menu.model"), "model"), menu(look.T("ui.menu.help"), "help"))
}

// shortcut is one line of the help.
type shortcut struct{ keys, what string }

// shortcuts lists all keys, those of the menu first.
func (w *window) shortcuts() []shortcut {
	var out []shortcut
	all := w.commands()
	for _, name := range []string{"file", "view", "model"} {
		for _, c := range all[name] {
			if c.key != "" {
				out = append(out, shortcut{ctrl(string(c.key)), strings.TrimSuffix(c.text, "…")})
			}
		}
	}
	return append(out,
		shortcut{ctrl("Q"), look.T("ui.menu.quit")},
		shortcut{look.T("ui.key.enter"), look.T("ui.help.send")},
		shortcut{look.T("ui.key.shift.enter"), look.T("ui.help.line")},
		shortcut{"Esc", look.T("ui.help.escape")},
		shortcut{"F1", look.T("ui.help.help")},
		shortcut{"F2", look.T("ui.help.rename")},
		shortcut{look.T("ui.key.delete"), look.T("ui.help.delete")},
		shortcut{look.T("ui.key.scroll"), look.T("ui.help.scroll")},
		shortcut{look.T("ui.key.menu"), look.T("ui.help.context")},
		shortcut{"Tab", look.T("ui.help.tab")},
		shortcut{"Alt", look.T("ui.help.menu")},
	)
}

func ctrl(key string) string {
	if runtime.GOOS == "darwin" {
		return "⌘" + key
	}
	return "Ctrl+" + key
}

func (w *window) openHelp() {
	grid := container.New(layout.NewFormLayout())
	for _, s := range w.shortcuts() {
		keys := widget.NewLabelWithStyle(s.keys, fyne.TextAlignLeading, fyne.TextStyle{Monospace: true})
		grid.Add(tight(keys))
		grid.Add(tight(parts.Text(s.what)))
	}
	content := parts.Column(grid, parts.Muted(look.T("ui.help.drop")))
	w.tell(look.T("ui.help.title"), parts.NewScroll(content))
}

// tight takes away the space above and below a label.
func tight(l *widget.Label) fyne.CanvasObject {
	return container.New(layout.NewCustomPaddedLayout(-5, -5, 0, 0), l)
}

func (w *window) openAbout() {
	m := w.app.Metadata()
	icon := widget.NewIcon(m.Icon)
	w.tell(look.T("ui.menu.about"), container.NewBorder(nil, nil, container.NewGridWrap(fyne.NewSize(96, 96), icon), nil,
		parts.Column(parts.Heading("Kestrel "+m.Version), parts.Text(look.T("ui.about")))))
}

// tell shows content with a button to close it.
func (w *window) tell(title string, content fyne.CanvasObject) {
	var d *dialog.CustomDialog
	closer := parts.NewButton(look.T("parts.close"), func() { d.Hide() }).Primary()
	d = parts.Show(w.w, title, fyne.NewSize(560, 616), content, closer)
	w.w.Canvas().Focus(closer)
}
