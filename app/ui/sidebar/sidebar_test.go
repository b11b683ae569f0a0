package sidebar

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"

	"kestrel/app/store"
	"kestrel/app/ui/look"
	"kestrel/app/ui/look/looktest"
	"kestrel/app/ui/parts"
)

// bench is a sidebar over a store of its own.
type bench struct {
	t testing.TB
	*View
	s         *store.Store
	w         fyne.Window
	loop      *parts.ManualLoop
	opened    []string
	sought    string
	news      []store.ID
	abandoned []store.ID
	renamed   int
	problems  []error
}

func open(t testing.TB, o look.Options, l look.Language, fill func(*store.Store)) *bench {
	t.Helper()
	looktest.App(t, o, l)
	s, err := store.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if fill != nil {
		fill(s)
	}
	b := &bench{t: t, s: s, w: test.NewWindow(nil), loop: &parts.ManualLoop{}}
	t.Cleanup(b.w.Close)
	b.View = New(Options{Store: s, Window: b.w, Loop: b.loop,
		Open: func(c, m store.ID, text string) {
			b.sought = text
			b.opened = append(b.opened, string(c)+"/"+string(m))
			b.SetCurrent(c)
		},
		New:     func(f store.ID) { b.news = append(b.news, f) },
		Renamed: func() { b.renamed++ },
		Abandon: func(c store.ID) { b.abandoned = append(b.abandoned, c) },
		Problem: func(err error) { b.problems = append(b.problems, err) },
	})
	b.w.SetContent(b.Object())
	b.w.Resize(fyne.NewSize(280, 520))
	return b
}

func add(t testing.TB, s *store.Store, title string, folder store.ID, messages ...string) store.Conversation {
	t.Helper()
	c, err := s.CreateConversation(context.Background(), store.Conversation{Title: title, Folder: folder})
	if err != nil {
		t.Fatal(err)
	}
	parent := store.ID("")
	for i, text := range messages {
		m, err := s.AddMessage(context.Background(), store.Message{Conversation: c.ID, Parent: parent, Content: text, Status: store.Done,
			Role: []store.Role{store.User, store.Assistant}[i%2]})
		if err != nil {
			t.Fatal(err)
		}
		parent = m.ID
	}
	return c
}

func folder(t testing.TB, s *store.Store, name string) store.Folder {
	t.Helper()
	f, err := s.CreateFolder(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// watching is a loop that looks before each piece of others' work.
type watching struct {
	*parts.ManualLoop
	look func()
}

func (w watching) Do(f func()) {
	w.ManualLoop.Do(f)
	w.look()
}

// TestImportIsShown: an import shows how far it is and can be ended, whole or not
// at all; one that goes on when the language changes is shown by the new view.
func TestImportIsShown(t *testing.T) {
	b := open(t, look.Options{}, look.Chinese, nil)
	var text strings.Builder
	text.WriteString(`{"format": "kestrel conversations", "version": 1, "conversations": [`)
	for i := range 400 {
		if i > 0 {
			text.WriteByte(',')
		}
		fmt.Fprintf(&text, `{"title": "c%d", "created": "2026-01-02T03:04:05Z", "updated": "2026-01-02T03:04:05Z", "messages": [
			{"id": "a", "role": "user", "status": "done", "content": %q, "created": "2026-01-02T03:04:05Z"}]}`, i, strings.Repeat(fmt.Sprint("word ", i), 500))
	}
	text.WriteString(`]}`)
	path := filepath.Join(t.TempDir(), "all.json")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	seen, ends := 0, true
	imported := 0
	b.o.Imported = func() { imported++ }
	b.o.Loop = watching{b.loop, func() {
		if len(b.work.Objects) == 0 {
			return
		}
		seen++
		if !looktest.Shows(b.w.Canvas(), "正在导入 all.json") {
			t.Error(looktest.Text(b.w.Canvas()))
		}
		other := test.NewWindow(New(Options{Store: b.s, Window: b.w, Loop: &parts.ManualLoop{}, Imports: b.work}).Object())
		other.Resize(fyne.NewSize(280, 520))
		if !looktest.Shows(other.Canvas(), "正在导入 all.json") {
			t.Error("a new view does not show the import")
		}
		other.Close()
		if ends {
			b.press("取消")
		}
	}}
	count := func() int {
		n, err := b.s.CountConversations(t.Context(), store.Listing{})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	b.importFrom(path)
	if n := count(); seen == 0 || n != 0 || len(b.problems) != 0 || len(b.work.Objects) != 0 || imported != 1 {
		t.Errorf("seen %d times; after the end %d conversations, problems %v, %d told", seen, n, b.problems, imported)
	}
	ends = false
	b.importFrom(path)
	if n := count(); n != 400 || len(b.problems) != 0 || len(b.work.Objects) != 0 {
		t.Errorf("%d conversations, problems %v", n, b.problems)
	}
}

// lines are what the list shows.
func (b *bench) lines() []string {
	var out []string
	for _, r := range b.rows {
		line := r.title
		switch {
		case r.kind == folderRow && r.closed:
			line = "> " + line
		case r.kind == folderRow:
			line = "v " + line
		case r.inside:
			line = "  " + line
		case r.kind == hitRow && r.hit.Message != "":
			line += ": " + strings.Join(snippet(r.hit), "|")
		}
		out = append(out, line)
	}
	return out
}

func (b *bench) want(lines ...string) {
	b.t.Helper()
	for _, err := range b.problems {
		b.t.Error(err)
	}
	if got := b.lines(); !slices.Equal(got, lines) {
		b.t.Errorf("the list is %q, want %q", got, lines)
	}
}

func (b *bench) row(title string) row {
	b.t.Helper()
	for _, r := range b.rows {
		if r.title == title {
			return r
		}
	}
	b.t.Fatalf("no row %q in %q", title, b.lines())
	return row{}
}

// press presses the button with this text in what is on top.
func (b *bench) press(text string) {
	b.t.Helper()
	if !looktest.Press(b.w.Canvas(), text) {
		b.t.Fatalf("no button %q", text)
	}
}

// answer types into the dialog's entry and takes it.
func (b *bench) answer(text string) {
	b.t.Helper()
	e, ok := b.w.Canvas().Focused().(*parts.Entry)
	if !ok {
		b.t.Fatalf("the focus is on %T, want an entry", b.w.Canvas().Focused())
	}
	e.SetText("")
	test.Type(e, text)
	e.TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
}

// choose takes an item of the menu that is open.
func (b *bench) choose(path ...string) {
	b.t.Helper()
	items := looktest.Menu(b.w.Canvas())
	for i, label := range path {
		at := slices.IndexFunc(items, func(m *fyne.MenuItem) bool { return m.Label == label })
		if at < 0 {
			b.t.Fatalf("no item %q", label)
		}
		if i == len(path)-1 {
			parts.CloseTop(b.w.Canvas())
			items[at].Action()
			return
		}
		items = items[at].ChildMenu.Items
	}
}

func TestGroups(t *testing.T) {
	var inFolder store.Conversation
	b := open(t, look.Options{}, look.English, func(s *store.Store) {
		f := folder(t, s, "Books")
		folder(t, s, "Work")
		inFolder = add(t, s, "A novel", f.ID, "hello")
		add(t, s, "Loose", "", "hi")
		add(t, s, "", "")
	})
	b.want("v Books", "  A novel", "v Work", "v In no folder", "", "Loose")
	b.list.Select(0)
	b.want("> Books", "v Work", "v In no folder", "", "Loose")
	b.list.Select(0)
	b.list.Select(1)
	if want := []string{string(inFolder.ID) + "/"}; !slices.Equal(b.opened, want) {
		t.Errorf("opened %q, want %q", b.opened, want)
	}
	b.Reload() // marks it again, and opens nothing
	if len(b.opened) != 1 {
		t.Errorf("opened %q after a reload", b.opened)
	}
}

func TestEmpty(t *testing.T) {
	b := open(t, look.Options{}, look.English, nil)
	b.want("No conversations yet")
	b.press("New chat")
	if len(b.news) != 1 {
		t.Errorf("%d new conversations, want 1", len(b.news))
	}
}

func TestSearch(t *testing.T) {
	var c store.Conversation
	b := open(t, look.Options{}, look.English, func(s *store.Store) {
		c = add(t, s, "Birds", "", "Which bird hovers in the wind over a field, looking for mice?", "The kestrel hovers; 红隼悬停在空中。")
		add(t, s, "Kestrel's shaders", "", "Nothing else here")
	})
	b.Focus()
	test.Type(b.w.Canvas().Focused(), "kestrel")
	if b.rows[0].kind == hitRow {
		t.Errorf("searched before the last letter was typed: %q", b.lines())
	}
	b.loop.Advance(time.Second)
	b.want("Kestrel's shaders", "Birds: The |kestrel| hovers; 红隼悬停在空中。")
	b.w.Canvas().Focused().(*parts.Entry).TypedKey(&fyne.KeyEvent{Name: fyne.KeyDown})
	l, ok := b.w.Canvas().Focused().(*list)
	if !ok {
		t.Fatalf("Down leads to %T, want the list", b.w.Canvas().Focused())
	}
	l.TypedKey(&fyne.KeyEvent{Name: fyne.KeyDown})
	l.TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
	if len(b.opened) != 1 || !strings.HasPrefix(b.opened[0], string(c.ID)+"/") || strings.HasSuffix(b.opened[0], "/") {
		t.Errorf("opened %q, want the message in %s", b.opened, c.ID)
	}
	if b.sought != "kestrel" {
		t.Errorf("opened for %q, want what was sought", b.sought)
	}
	b.search.SetText("红隼悬停")
	b.loop.Advance(time.Second)
	b.want("Birds: …strel hovers; |红隼悬停|在空中。")
	b.search.SetText("ostrich")
	b.loop.Advance(time.Second)
	b.want("Nothing found for “ostrich”")
	b.search.TypedKey(&fyne.KeyEvent{Name: fyne.KeyEscape})
	b.loop.Advance(time.Second)
	b.want("Kestrel's shaders", "Birds")
	if b.EndSearch() {
		t.Error("a search is still on")
	}
}

func TestRename(t *testing.T) {
	b := open(t, look.Options{}, look.English, func(s *store.Store) {
		add(t, s, "Old", folder(t, s, "F").ID)
	})
	b.menu(b.row("Old"), fyne.NewPos(10, 10))
	b.choose("Rename")
	b.answer("  New 名字 ")
	b.want("v F", "  New 名字")
	b.list.at = 0
	b.list.TypedKey(&fyne.KeyEvent{Name: fyne.KeyF2})
	b.answer("G")
	b.want("v G", "  New 名字")
	b.rename(b.row("G"))
	b.answer(" ")
	if parts.CloseTop(b.w.Canvas()); b.lines()[0] != "v G" {
		t.Errorf("an empty name was taken: %q", b.lines())
	}
	if b.renamed != 2 {
		t.Errorf("told of %d new names, want 2", b.renamed)
	}
}

func TestMove(t *testing.T) {
	b := open(t, look.Options{}, look.English, func(s *store.Store) {
		folder(t, s, "F")
		add(t, s, "C", "")
	})
	b.menu(b.row("C"), fyne.NewPos(10, 10))
	b.choose("Move to folder", "F")
	b.want("v F", "  C")
	b.menu(b.row("C"), fyne.NewPos(10, 10))
	b.choose("Move to folder", "Out of its folder")
	b.want("v F", "v In no folder", "C")
	b.menu(b.row("C"), fyne.NewPos(10, 10))
	b.choose("Move to folder", "New folder…")
	b.answer("Fresh")
	b.want("v F", "v Fresh", "  C")
}

func TestDeleteAndUndo(t *testing.T) {
	var c store.Conversation
	b := open(t, look.Options{}, look.English, func(s *store.Store) {
		c = add(t, s, "C", folder(t, s, "F").ID)
	})
	remove := func(title, button string) {
		t.Helper()
		b.list.at = slices.IndexFunc(b.rows, func(r row) bool { return r.title == title })
		b.list.TypedKey(&fyne.KeyEvent{Name: fyne.KeyDelete})
		b.press(button)
	}
	remove("C", "Cancel")
	b.want("v F", "  C")
	remove("C", "Delete")
	b.want("v F")
	if !slices.Equal(b.abandoned, []store.ID{c.ID}) {
		t.Errorf("abandoned %v, want %v: its work must end before it goes", b.abandoned, c.ID)
	}
	b.press("Undo")
	b.want("v F", "  C")
	if looktest.Press(b.w.Canvas(), "Undo") {
		t.Error("the offer to undo stays after it was taken")
	}
	remove("F", "Delete")
	b.want("C")
	b.press("Undo")
	b.want("v F", "  C")
	remove("C", "Delete")
	b.loop.Advance(undoFor + time.Second)
	if looktest.Press(b.w.Canvas(), "Undo") {
		t.Error("the offer to undo stays for ever")
	}
	b.want("v F")
}

func TestExportAndImport(t *testing.T) {
	b := open(t, look.Options{}, look.Chinese, func(s *store.Store) {
		add(t, s, "鸟", "", "你好", "我是红隼。")
	})
	dir := t.TempDir()
	md, js := filepath.Join(dir, "鸟.md"), filepath.Join(dir, "all.json")
	b.exportMarkdown(b.row("鸟"))
	b.answer(md)
	text, err := os.ReadFile(md)
	if err != nil || !strings.Contains(string(text), "## 你\n\n你好") || !strings.Contains(string(text), "我是红隼。") {
		t.Errorf("%v: %s", err, text)
	}
	b.exportJSON("all")
	b.answer(js)
	b.exportJSON("all")
	b.answer(js)
	b.press("替换")
	b.importJSON()
	b.answer(js)
	b.want("鸟", "鸟")
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 {
		t.Errorf("%v, %v in the folder, want two files", left, err)
	}
	if len(b.work.Objects) != 0 {
		t.Error("an import that has ended is shown still")
	}
	b.importJSON()
	b.answer(md)
	if len(b.problems) != 1 {
		t.Errorf("importing Markdown as JSON: %v, want one problem", b.problems)
	}
	b.exportMarkdown(b.row("鸟"))
	b.answer(filepath.Join(dir, "none", "x.md"))
	if len(b.problems) != 2 {
		t.Errorf("writing to no folder: %v, want another problem", b.problems)
	}
}

func TestFileName(t *testing.T) {
	for title, want := range map[string]string{"": "kestrel", "a/b: c?": "a-b-c", "红隼 是鸟": "红隼-是鸟", "../x": "x", strings.Repeat("长", 90): strings.Repeat("长", 60)} {
		if got := fileName(title); got != want {
			t.Errorf("%q: %q, want %q", title, got, want)
		}
	}
}

// TestManyConversations: the list draws only what is seen.
func TestManyConversations(t *testing.T) {
	b := open(t, look.Options{}, look.English, func(s *store.Store) {
		f := folder(t, s, "F")
		for i := range 1000 {
			add(t, s, fmt.Sprintf("Conversation %d", i), []store.ID{"", f.ID}[i%2])
		}
	})
	start := time.Now()
	b.Reload()
	took := time.Since(start)
	t.Logf("%v to read and show them", took)
	if took > time.Second {
		t.Errorf("%v to read and show 1,000 conversations", took)
	}
	if len(b.rows) != 1002 {
		t.Fatalf("%d rows, want 1002", len(b.rows))
	}
	start = time.Now()
	for i := range 100 {
		b.list.ScrollToOffset(float32(i * 300))
	}
	each := time.Since(start) / 100
	t.Logf("%v to scroll by a page", each)
	if each > 250*time.Millisecond { // a frame is 16; the bound is for a busy machine under the race detector
		t.Errorf("%v to scroll by a page", each)
	}
	drawn := 0
	looktest.Walk(b.w.Canvas(), func(o fyne.CanvasObject) {
		if _, ok := o.(*item); ok && o.Visible() {
			drawn++
		}
	})
	if drawn == 0 || drawn > 40 {
		t.Errorf("%d rows are drawn, want those that are seen", drawn)
	}
}

func TestPictures(t *testing.T) {
	for _, c := range []struct {
		name string
		mode look.Mode
		l    look.Language
	}{{"light-en", look.Light, look.English}, {"dark-zh", look.Dark, look.Chinese}} {
		t.Run(c.name, func(t *testing.T) {
			var open1 store.Conversation
			b := open(t, look.Options{Mode: c.mode}, c.l, func(s *store.Store) {
				f := folder(t, s, "Books 书")
				folder(t, s, "Work")
				add(t, s, "The Voyage of the Beagle", f.ID, "x")
				open1 = add(t, s, "红楼梦：第一回 甄士隐梦幻识通灵", f.ID, "x")
				add(t, s, "How does a state-space model keep its memory constant?", "", "x")
			})
			fixed := time.Date(2020, 3, 4, 0, 0, 0, 0, time.UTC)
			for i := range b.content.conversations {
				b.content.conversations[i].Updated = fixed
			}
			b.SetCurrent(open1.ID)
			b.offerUndo(look.T("sidebar.deleted", "An old chat"), func(context.Context) error { return nil })
			looktest.Picture(t, "sidebar-"+c.name, b.w.Canvas())
		})
	}
	t.Run("search", func(t *testing.T) {
		b := open(t, look.Options{Mode: look.Light}, look.English, func(s *store.Store) {
			add(t, s, "Memory", "", "A state of constant size is all the memory that a reader of a long text needs.")
			add(t, s, "Vulkan", "", "What does the memory budget say?")
		})
		b.search.SetText("memory")
		b.loop.Advance(time.Second)
		fixed := time.Date(2020, 3, 4, 0, 0, 0, 0, time.UTC)
		for i := range b.content.hits {
			b.content.hits[i].Created = fixed
		}
		b.show()
		looktest.Picture(t, "search", b.w.Canvas())
	})
}

// TestClickOpens taps what the window's driver taps: the front widget that takes
// taps of either button.
func TestClickOpens(t *testing.T) {
	var second store.Conversation
	b := open(t, look.Options{}, look.English, func(s *store.Store) {
		second = add(t, s, "Second", "", "hello")
		add(t, s, "First", "", "hello")
	})
	for _, o := range test.LaidOutObjects(b.w.Content()) {
		it, ok := o.(*item)
		if !ok || it.row.id != second.ID {
			continue
		}
		if _, ok := o.(fyne.SecondaryTappable); !ok {
			t.Fatal("the item has no menu: the test is pointless")
		}
		test.Tap(o.(fyne.Tappable))
	}
	if want := string(second.ID) + "/"; !slices.Equal(b.opened, []string{want}) {
		t.Errorf("opened %v, want %s", b.opened, want)
	}
}
