package settings

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/dialog"
	"fyne.io/fyne/v2/layout"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"kestrel/app/session"
	"kestrel/app/store"
	"kestrel/app/ui/look"
	"kestrel/app/ui/markdown"
	"kestrel/app/ui/parts"
)

// Options of the dialogs.
type Options struct {
	Store   *store.Store
	Session session.Session
	Window  fyne.Window
	Loop    parts.Loop
	Hint    func(string) // may be nil
	Problem func(error)
	OpenURL func(*url.URL) error

	// Of the program's settings:
	Preferences Preferences
	System      look.Language       // the desktop's
	Changed     func(p Preferences) // is told of each change, and shows it
	Models      func()              // opens the chooser
	Erased      func()              // all conversations are gone
}

// Show opens the settings of the program.
func Show(o Options) {
	p := o.Preferences
	change := func() { o.Changed(p) }
	a := newAnswers(o, p.System, sampling(p.Sampling), func(system string, s session.Sampling) {
		p.System, p.Sampling = system, &s
		change()
	})
	tabs := parts.NewTabs(
		parts.Tab{Name: look.T("settings.look"), Page: page(lookPage(o, &p, change))},
		parts.Tab{Name: look.T("settings.answers"), Page: page(parts.Column(parts.Muted(look.T("settings.answers.new")), a.object))},
		parts.Tab{Name: look.T("settings.model"), Page: page(modelPage(o))},
		parts.Tab{Name: look.T("settings.data"), Page: page(dataPage(o))},
	)
	var d *dialog.CustomDialog
	closer := parts.NewButton(look.T("parts.close"), func() { d.Hide() }).Primary()
	d = parts.Show(o.Window, look.T("settings.title"), fyne.NewSize(680, 560), tabs.Object, closer)
	o.Window.Canvas().Focus(closer)
}

// ShowConversation opens how the open conversation is answered.
func ShowConversation(o Options, c *session.Conversation) {
	system := c.System
	a := newAnswers(o, c.System, c.Sampling, func(text string, s session.Sampling) {
		if text != system {
			system = text
			o.Session.SetSystem(text)
		}
		o.Session.SetSampling(s)
	})
	var d *dialog.CustomDialog
	closer := parts.NewButton(look.T("parts.close"), func() { d.Hide() }).Primary()
	d = parts.Show(o.Window, look.T("settings.conversation"), fyne.NewSize(680, 560), page(a.object), closer)
	o.Window.Canvas().Focus(closer)
}

func sampling(s *session.Sampling) session.Sampling {
	if s == nil {
		return session.DefaultSampling()
	}
	return *s
}

func page(content fyne.CanvasObject) fyne.CanvasObject {
	// the bar of the scroll stands beside, not on it
	inner := container.New(layout.NewCustomPaddedLayout(theme.Padding(), theme.Padding(), theme.Padding(), theme.Size(theme.SizeNameScrollBar)+2*theme.Padding()), content)
	return container.NewPadded(parts.NewScroll(inner))
}

// choice is a Select over values with names, without telling of the first.
func choice[T comparable](names []string, values []T, now T, chosen func(T)) *parts.Select {
	s := parts.NewSelect(names, nil)
	s.SetSelectedIndex(max(slices.Index(values, now), 0))
	s.OnChanged = func(string) { chosen(values[s.SelectedIndex()]) }
	return s
}

func lookPage(o Options, p *Preferences, change func()) fyne.CanvasObject {
	languages, codes := []string{look.T("settings.language.system")}, []look.Language{""}
	for _, l := range look.Languages() {
		languages, codes = append(languages, l.Name), append(codes, look.Language(l.Code))
	}
	accents := map[look.Accent]string{look.Slate: look.T("settings.slate"), look.Rust: look.T("settings.rust"), look.Moss: look.T("settings.moss"), look.Plum: look.T("settings.plum")}
	var accentNames []string
	for _, a := range look.Accents() {
		accentNames = append(accentNames, accents[a])
	}
	var sizes []string
	for _, s := range look.Sizes {
		sizes = append(sizes, fmt.Sprintf("%.0f", s))
	}
	now := look.New(p.Look()).Options()
	return container.New(layout.NewFormLayout(),
		widget.NewLabel(look.T("settings.language")), choice(languages, codes, p.Language, func(l look.Language) { p.Language = l; change() }),
		widget.NewLabel(look.T("settings.theme")), choice([]string{look.T("settings.theme.system"), look.T("settings.theme.light"), look.T("settings.theme.dark")},
			[]look.Mode{look.System, look.Light, look.Dark}, now.Mode, func(m look.Mode) { p.Mode = m; change() }),
		widget.NewLabel(look.T("settings.accent")), choice(accentNames, look.Accents(), now.Accent, func(a look.Accent) { p.Accent = a; change() }),
		widget.NewLabel(look.T("settings.size")), choice(sizes, look.Sizes, now.Size, func(s float32) { p.Size = s; change() }),
	)
}

func modelPage(o Options) fyne.CanvasObject {
	m := o.Session.Snapshot().Model
	text := look.T("settings.model.none")
	if m.State == session.Loaded {
		text = look.T("settings.model.now", m.Name, m.Precision, m.Device.Name)
	}
	return parts.Column(parts.Text(text), parts.Muted(look.T("settings.model.hint")),
		container.NewHBox(parts.NewButton(look.T("settings.model.choose"), func() {
			parts.CloseTop(o.Window.Canvas())
			o.Models()
		})))
}

// budgets to choose from, for files of saved states.
var budgets = []int64{256 << 20, 512 << 20, 1 << 30, 2 << 30, 4 << 30, 8 << 30, 16 << 30, 32 << 30}

func dataPage(o Options) fyne.CanvasObject {
	usage := parts.Text("")
	var names []string
	for _, b := range budgets {
		names = append(names, look.Bytes(b))
	}
	budget := parts.NewSelect(names, nil)
	do := func(f func(ctx context.Context) error, then func()) {
		o.Loop.Work(func() func() {
			err := f(context.Background())
			return func() {
				if err != nil {
					o.Problem(err)
				} else if then != nil {
					then()
				}
			}
		})
	}
	var show func()
	show = func() {
		o.Loop.Work(func() func() {
			u, err := o.Store.StateUsage(context.Background())
			return func() {
				if err != nil {
					o.Problem(err)
					return
				}
				text := look.T("settings.states.usage", u.Files, look.Bytes(u.Bytes), look.Bytes(u.Budget))
				if u.Bytes > u.Budget {
					text += "\n" + look.T("settings.states.over", look.Bytes(u.Bytes-u.Budget))
				}
				usage.SetText(text)
				budget.OnChanged = nil
				if i := slices.Index(budgets, u.Budget); i >= 0 {
					budget.SetSelectedIndex(i)
				}
				budget.OnChanged = func(string) {
					b := budgets[budget.SelectedIndex()]
					do(func(ctx context.Context) error { return o.Store.SetStateBudget(ctx, b) }, show)
				}
			}
		})
	}
	show()
	dir := o.Store.Dir()
	path := markdown.New() // to be selected and copied
	path.SetPlain(dir, markdown.Plain{})
	forget := parts.NewButton(look.T("settings.states.forget"), func() { do(o.Store.DropStates, show) })
	erase := parts.NewButton(look.T("settings.erase"), func() {
		parts.Confirm(o.Window, look.T("settings.erase"), look.T("settings.erase.text"), look.T("settings.erase.yes"), func() {
			do(func(ctx context.Context) error { return eraseAll(ctx, o) }, func() { show(); o.Erased() })
		})
	}).Danger()
	return parts.Column(
		parts.Text(look.T("settings.where")), inset(path),
		container.NewHBox(parts.NewButton(look.T("settings.open"), func() {
			if err := o.OpenURL(folderURL(dir)); err != nil {
				o.Problem(err)
			}
		})),
		parts.Muted(look.T("settings.private")),
		widget.NewSeparator(),
		usage,
		container.NewBorder(nil, nil, widget.NewLabel(look.T("settings.states.budget")), forget, budget),
		parts.Muted(look.T("settings.states.hint")),
		widget.NewSeparator(),
		container.NewHBox(erase),
	)
}

// inset gives text the space around it that a label has.
func inset(text fyne.CanvasObject) fyne.CanvasObject {
	return container.New(layout.NewCustomPaddedLayout(0, theme.Padding(), theme.InnerPadding(), theme.InnerPadding()), text)
}

// folderURL is the address of a folder, for the desktop to open.
func folderURL(dir string) *url.URL {
	path := filepath.ToSlash(dir)
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return &url.URL{Scheme: "file", Path: path}
}

// eraseAll deletes all conversations for good, with documents and saved states.
func eraseAll(ctx context.Context, o Options) error {
	list, err := o.Store.Conversations(ctx, store.Listing{})
	if err != nil {
		return err
	}
	ids := make([]store.ID, len(list))
	for i, c := range list {
		ids[i] = c.ID
		o.Session.Abandon(string(c.ID))
	}
	o.Session.Abandon("")
	if err := o.Store.SetDraftText(ctx, "", ""); err != nil {
		return err
	}
	if err := o.Store.DeleteConversations(ctx, ids...); err != nil {
		return err
	}
	if _, err := o.Store.Purge(ctx, time.Now().Add(time.Hour)); err != nil { // an hour: clocks that differ
		return err
	}
	return o.Store.DropStates(ctx)
}
