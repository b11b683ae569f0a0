package sidebar

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"kestrel/app/store"
	"kestrel/app/ui/look"
	"kestrel/app/ui/parts"
	"kestrel/app/ui/tell"
)

// undoFor is how long what was deleted can be taken back by a button.
const undoFor = 12 * time.Second

// menu shows what can be done with a row.
func (v *View) menu(r row, at fyne.Position) {
	var items []*fyne.MenuItem
	switch r.kind {
	case conversationRow, hitRow:
		move := fyne.NewMenuItem(look.T("sidebar.move"), nil)
		move.ChildMenu = fyne.NewMenu("", v.moves(r.id)...)
		items = []*fyne.MenuItem{
			fyne.NewMenuItem(look.T("sidebar.rename"), func() { v.rename(r) }),
			move,
			fyne.NewMenuItemSeparator(),
			fyne.NewMenuItem(look.T("sidebar.markdown"), func() { v.exportMarkdown(r) }),
			fyne.NewMenuItem(look.T("sidebar.json"), func() { v.exportJSON(r.title, r.id) }),
			fyne.NewMenuItemSeparator(),
			fyne.NewMenuItem(look.T("sidebar.delete"), func() { v.remove(r) }),
		}
	case folderRow:
		if r.id == "" {
			return
		}
		items = []*fyne.MenuItem{
			fyne.NewMenuItem(look.T("sidebar.new.here"), func() { v.o.New(r.id) }),
			fyne.NewMenuItem(look.T("sidebar.rename"), func() { v.rename(r) }),
			fyne.NewMenuItemSeparator(),
			fyne.NewMenuItem(look.T("sidebar.folder.delete"), func() { v.remove(r) }),
		}
	default:
		return
	}
	widget.ShowPopUpMenuAtPosition(fyne.NewMenu("", items...), v.o.Window.Canvas(), at)
}

// mainMenu shows what can be done with all.
func (v *View) mainMenu(at fyne.Position) {
	widget.ShowPopUpMenuAtPosition(fyne.NewMenu("",
		fyne.NewMenuItem(look.T("sidebar.folder.new"), func() { v.newFolder(nil) }),
		fyne.NewMenuItemSeparator(),
		fyne.NewMenuItem(look.T("sidebar.import"), v.importJSON),
		fyne.NewMenuItem(look.T("sidebar.export.all"), func() { v.exportJSON(look.T("sidebar.all.name")) }),
	), v.o.Window.Canvas(), at)
}

// moves are the folders that a conversation can be moved to.
func (v *View) moves(id store.ID) []*fyne.MenuItem {
	to := func(folder store.ID) func() {
		return func() {
			v.do(look.T("sidebar.move"), func(ctx context.Context) error { return v.o.Store.MoveConversation(ctx, id, folder) }, nil)
		}
	}
	var items []*fyne.MenuItem
	for _, f := range v.content.folders {
		items = append(items, fyne.NewMenuItem(f.Name, to(f.ID)))
	}
	if len(items) > 0 {
		items = append(items, fyne.NewMenuItem(look.T("sidebar.move.out"), to("")), fyne.NewMenuItemSeparator())
	}
	return append(items, fyne.NewMenuItem(look.T("sidebar.folder.new"), func() {
		v.newFolder(func(f store.Folder) { to(f.ID)() })
	}))
}

func (v *View) newFolder(then func(store.Folder)) {
	parts.Ask(v.o.Window, look.T("sidebar.folder.new"), "", look.T("sidebar.create"), func(name string) {
		var f store.Folder
		v.do(look.T("sidebar.folder.new"), func(ctx context.Context) (err error) {
			f, err = v.o.Store.CreateFolder(ctx, name)
			return err
		}, func() {
			if then != nil {
				then(f)
			}
		})
	})
}

func (v *View) rename(r row) {
	if r.kind == noteRow || r.kind == folderRow && r.id == "" {
		return
	}
	title := look.T("sidebar.rename")
	parts.Ask(v.o.Window, title, r.title, title, func(name string) {
		v.do(title, func(ctx context.Context) error {
			if r.kind == folderRow {
				return v.o.Store.RenameFolder(ctx, r.id, name)
			}
			return v.o.Store.RenameConversation(ctx, r.id, name)
		}, v.o.Renamed)
	})
}

// remove asks and deletes, and offers to take it back.
func (v *View) remove(r row) {
	switch {
	case r.kind == conversationRow || r.kind == hitRow:
		parts.Confirm(v.o.Window, look.T("sidebar.delete.title"), look.T("sidebar.delete.text", named(r.title)), look.T("sidebar.delete"), func() {
			v.o.Abandon(r.id)
			v.do(look.T("sidebar.delete"), func(ctx context.Context) error { return v.o.Store.DeleteConversations(ctx, r.id) }, func() {
				v.offerUndo(look.T("sidebar.deleted", named(r.title)), func(ctx context.Context) error {
					return v.o.Store.RestoreConversations(ctx, r.id)
				})
			})
		})
	case r.kind == folderRow && r.id != "":
		parts.Confirm(v.o.Window, look.T("sidebar.folder.delete"), look.T("sidebar.folder.delete.text", named(r.title)), look.T("sidebar.delete"), func() {
			v.do(look.T("sidebar.delete"), func(ctx context.Context) error { return v.o.Store.DeleteFolder(ctx, r.id) }, func() {
				v.offerUndo(look.T("sidebar.deleted", named(r.title)), func(ctx context.Context) error { return v.o.Store.RestoreFolder(ctx, r.id) })
			})
		})
	}
}

// named is a title, or what stands for none, short enough for a sentence.
func named(title string) string {
	if title == "" {
		return look.T("sidebar.untitled")
	}
	if runes := []rune(title); len(runes) > 48 {
		return string(runes[:47]) + "…"
	}
	return title
}

// offerUndo shows the bar that takes a deletion back, for a while.
func (v *View) offerUndo(text string, undo func(ctx context.Context) error) {
	hide := func() {
		v.undo.Objects = nil
		v.undo.Hide()
		v.frame.Refresh()
	}
	button := parts.NewButton(look.T("sidebar.undo"), func() {
		hide()
		v.do(look.T("sidebar.undo"), undo, nil)
	})
	v.undo.Objects = []fyne.CanvasObject{parts.On(theme.ColorNameButton, 0, container.NewBorder(nil, nil, nil, button, ellipsis(text)))}
	v.undo.Show()
	v.frame.Refresh()
	if v.stopUndo != nil {
		v.stopUndo()
	}
	v.stopUndo = v.o.Loop.After(undoFor, hide)
}

func (v *View) exportMarkdown(r row) {
	labels := store.Labels{User: look.T("sidebar.md.you"), Assistant: look.T("sidebar.md.kestrel"), System: look.T("sidebar.md.note"),
		Stopped: look.T("sidebar.md.stopped"), Failed: look.T("sidebar.md.failed"), Problem: tell.Stored}
	v.save(look.T("sidebar.markdown"), r.title, ".md", func(ctx context.Context, w io.Writer) error {
		return v.o.Store.ExportMarkdown(ctx, w, r.id, labels)
	})
}

func (v *View) exportJSON(name string, ids ...store.ID) {
	v.save(look.T("sidebar.json"), name, ".json", func(ctx context.Context, w io.Writer) error { return v.o.Store.Export(ctx, w, ids...) })
}

// save asks where to, and writes there, whole or not at all.
func (v *View) save(title, name, ext string, write func(context.Context, io.Writer) error) {
	dir, err := os.UserHomeDir()
	if err != nil {
		dir = os.TempDir()
	}
	parts.AskPath(v.o.Window, parts.SaveFile, title, filepath.Join(dir, fileName(name)+ext), look.T("sidebar.save"), func(paths []string) {
		path := paths[0]
		do := func() {
			v.do(title, func(ctx context.Context) error {
				return writeFile(path, func(w io.Writer) error { return write(ctx, w) })
			}, nil)
		}
		if _, err := os.Stat(path); err == nil {
			parts.Confirm(v.o.Window, title, look.T("sidebar.overwrite", path), look.T("sidebar.replace"), do)
			return
		}
		do()
	})
}

// writeFile writes a file under another name first, so that a failure leaves
// what was there.
func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".kestrel-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already if all went well
	if err := write(f); err != nil {
		f.Close()
		return err
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// fileName makes the name of a file out of a title.
func fileName(title string) string {
	name := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_' {
			return r
		}
		return ' '
	}, title)
	name = strings.Join(strings.Fields(name), "-")
	if runes := []rune(name); len(runes) > 60 {
		name = string(runes[:60])
	}
	if name == "" {
		return "kestrel"
	}
	return name
}

func (v *View) importJSON() {
	title := look.T("sidebar.import")
	parts.AskPath(v.o.Window, parts.OpenFile, title, "", title, func(paths []string) { v.importFrom(paths[0]) })
}

// importFrom imports a file, and shows how far that is, with a button that ends
// it.
func (v *View) importFrom(path string) {
	ctx, cancel := context.WithCancel(context.Background())
	bar := widget.NewProgressBar()
	row := parts.On(theme.ColorNameButton, 0, parts.Column(ellipsis(look.T("sidebar.importing", filepath.Base(path))),
		container.NewBorder(nil, nil, nil, parts.NewButton(look.T("parts.cancel"), cancel), bar)))
	v.work.Add(row)
	v.frame.Refresh()
	v.doUntil(ctx, look.T("sidebar.import"), func(ctx context.Context) error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		list, err := v.o.Store.Import(ctx, f, func(done, total int64) {
			v.o.Loop.Do(func() { bar.SetValue(float64(done) / float64(total)) })
		})
		if err == nil && len(list) == 0 {
			err = tell.Said(look.T("sidebar.import.none"))
		}
		if ctx.Err() != nil { // as the user wanted it
			err = nil
		}
		return err
	}, func() {
		cancel()
		v.work.Remove(row)
		v.frame.Refresh()
		if v.o.Imported != nil {
			v.o.Imported()
		}
	})
}

// ellipsis is a line that is cut where there is no room.
func ellipsis(text string) *widget.Label {
	label := widget.NewLabel(text)
	label.Truncation = fyne.TextTruncateEllipsis
	return label
}
