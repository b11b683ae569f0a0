package sidebar

import (
	"context"
	"strings"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"kestrel/app/store"
	"kestrel/app/ui/look"
	"kestrel/app/ui/parts"
	"kestrel/app/ui/tell"
)

// Options of a View: what it reads and whom it tells.
type Options struct {
	Store  *store.Store
	Window fyne.Window
	Loop   parts.Loop

	// Open opens a conversation, at a message that a search for text found; both
	// are "" without a search.
	Open    func(conversation, message store.ID, text string)
	New     func(folder store.ID)       // begin a conversation
	Abandon func(conversation store.ID) // it is about to be deleted
	Renamed func()                      // a conversation or folder has another name; may be nil
	Problem func(error)                 // tell the user

	// Imports shows those under way, in this view and in such as take its place;
	// Imported is told when one has ended, which Worked should follow. Both may be
	// nil.
	Imports  *fyne.Container
	Imported func()

	Hint func(string) // what the widget under the mouse does; may be nil
}

// wait is how long after the last letter a search begins.
const wait = 120 * time.Millisecond

// mostHits is how many titles, and how many messages, a search lists.
const mostHits = 100

// View is the sidebar.
type View struct {
	o      Options
	object fyne.CanvasObject
	frame  *fyne.Container // of all but the background
	list   *list
	search *parts.Entry
	clear  *parts.Button
	undo   *fyne.Container
	work   *fyne.Container // imports under way

	content content
	closed  map[store.ID]bool
	rows    []row
	current store.ID // the open conversation

	stopSearch func() // the timers that run, or nil
	stopUndo   func()
	generation int // of the newest reading; older ones are dropped
}

// New makes the sidebar and begins to read the store.
func New(o Options) *View {
	v := &View{o: o, closed: map[store.ID]bool{}, search: parts.NewEntry(), undo: container.NewStack(), work: o.Imports}
	if v.work == nil {
		v.work = container.NewVBox()
	}
	v.list = newList(v)
	v.search.SetPlaceHolder(look.T("sidebar.search"))
	v.search.OnChanged = func(string) { v.searchSoon() }
	v.search.OnSubmitted = func(string) { v.openFirst() }
	v.search.OnKey = v.searchKey
	v.clear = parts.NewIconButton("", theme.CancelIcon(), look.T("sidebar.clear"), o.Hint, func() { v.EndSearch() })
	v.clear.Refresh() // a button that is hidden before it is drawn has no width
	v.clear.Hide()
	v.search.ActionItem = v.clear
	add := parts.NewIconButton(look.T("sidebar.new"), theme.ContentAddIcon(), look.T("sidebar.new.hint"), o.Hint, func() { o.New("") })
	add.Importance = widget.MediumImportance
	add.Alignment = widget.ButtonAlignLeading
	var more *parts.Button
	more = parts.NewIconButton("", theme.MoreVerticalIcon(), look.T("sidebar.all"), o.Hint, func() {
		v.mainMenu(fyne.CurrentApp().Driver().AbsolutePositionForObject(more).AddXY(0, more.Size().Height))
	})
	top := container.NewPadded(container.NewVBox(container.NewBorder(nil, nil, nil, more, add), v.search))
	v.undo.Hide()
	v.frame = container.NewBorder(top, container.NewVBox(v.work, v.undo), nil, nil, v.list)
	v.object = parts.On(look.ColorPanel, 0, v.frame)
	v.Reload()
	return v
}

// Worked shows what has changed in the store, and what is done there.
func (v *View) Worked() {
	v.frame.Refresh()
	v.Reload()
}

// Object is what to show.
func (v *View) Object() fyne.CanvasObject { return v.object }

// SetCurrent marks the open conversation; "" for one that is not stored.
func (v *View) SetCurrent(id store.ID) {
	if id == v.current {
		return
	}
	v.current = id
	v.show()
}

// Reload reads the store again, after something changed in it.
func (v *View) Reload() {
	v.generation++
	generation, query := v.generation, v.search.Text
	v.o.Loop.Work(func() func() {
		c, err := read(context.Background(), v.o.Store, query)
		return func() {
			if generation != v.generation {
				return // a newer one is under way
			}
			if err != nil {
				v.o.Problem(err)
				return
			}
			v.content = *c
			v.show()
		}
	})
}

func read(ctx context.Context, s *store.Store, query string) (*content, error) {
	c := &content{query: query}
	var err error
	if strings.TrimSpace(query) != "" {
		if c.hits, err = s.Search(ctx, query, mostHits); err != nil {
			return nil, err
		}
	}
	if c.folders, err = s.Folders(ctx); err != nil {
		return nil, err
	}
	c.conversations, err = s.Conversations(ctx, store.Listing{})
	return c, err
}

// searching says whether the list shows what a search found.
func (v *View) searching() bool { return strings.TrimSpace(v.content.query) != "" }

// show makes the rows anew.
func (v *View) show() {
	nothing := ""
	if v.searching() {
		nothing = look.T("sidebar.nothing", v.content.query)
	}
	v.rows = v.content.rows(v.closed, notes{empty: look.T("sidebar.empty"), nothing: nothing, unfiled: look.T("sidebar.unfiled")})
	v.list.update()
}

// Focus puts the cursor into the search, with what is there selected.
func (v *View) Focus() {
	v.o.Window.Canvas().Focus(v.search)
	v.search.TypedShortcut(&fyne.ShortcutSelectAll{})
}

func (v *View) searchSoon() {
	show(v.clear, v.search.Text != "")
	if v.stopSearch != nil {
		v.stopSearch()
	}
	v.stopSearch = v.o.Loop.After(wait, v.Reload)
}

// EndSearch shows all conversations again and reports whether a search was on.
func (v *View) EndSearch() bool {
	if v.search.Text == "" {
		return false
	}
	v.search.SetText("")
	return true
}

func (v *View) searchKey(ev *fyne.KeyEvent) bool {
	switch ev.Name {
	case fyne.KeyEscape:
		return v.EndSearch()
	case fyne.KeyDown:
		v.o.Window.Canvas().Focus(v.list)
		return true
	}
	return false
}

func (v *View) openFirst() {
	for i := range v.rows {
		if v.rows[i].kind == hitRow {
			v.choose(i)
			return
		}
	}
}

// choose opens a row.
func (v *View) choose(i int) {
	if i < 0 || i >= len(v.rows) {
		return
	}
	switch r := v.rows[i]; r.kind {
	case folderRow:
		v.closed[r.id] = !v.closed[r.id]
		v.show()
	case conversationRow:
		v.o.Open(r.id, "", "")
	case hitRow:
		v.o.Open(r.id, r.hit.Message, strings.TrimSpace(v.content.query))
	}
}

// do runs work off Fyne's goroutine, tells its error and reads the store again.
func (v *View) do(what string, work func(ctx context.Context) error, then func()) {
	failed := false
	v.doUntil(context.Background(), what, func(ctx context.Context) error {
		err := work(ctx)
		failed = err != nil
		return err
	}, func() {
		if !failed && then != nil {
			then()
		}
	})
}

// doUntil is do within a context; after is called however the work ends.
func (v *View) doUntil(ctx context.Context, what string, work func(ctx context.Context) error, after func()) {
	v.o.Loop.Work(func() func() {
		err := work(ctx)
		return func() {
			if err != nil {
				v.o.Problem(tell.Doing(what, err))
			}
			after()
			v.Reload()
		}
	})
}
