package ui

import (
	"context"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/app"

	"kestrel/app/backend"
	"kestrel/app/library"
	"kestrel/app/sensors"
	"kestrel/app/session"
	"kestrel/app/store"
	"kestrel/app/ui/display"
	"kestrel/app/ui/journal"
	"kestrel/app/ui/look"
	"kestrel/app/ui/monitor"
	"kestrel/app/ui/parts"
	"kestrel/app/ui/place"
	"kestrel/app/ui/settings"
	"kestrel/app/ui/tell"
	"kestrel/assets"
)

// Options of Run.
type Options struct {
	Files  []string            // documents to open
	Model  session.LoadRequest // to load in place of the remembered one; Model "" for that
	Getenv func(string) string

	Terminal bool // what goes to standard error is seen

	Signals <-chan os.Signal // one closes the window; nil for none
}

// ErrNoDisplay is a machine on which no window can be opened.
var ErrNoDisplay = display.ErrNone

// identity of the program. FyneApp.toml says the same for Fyne's own tools.
var metadata = fyne.AppMetadata{
	ID: "org.kestrel.kestrel", Name: "Kestrel", Version: "0.1.0", Build: 1,
	Icon:       fyne.NewStaticResource("kestrel.svg", assets.Icon),
	Migrations: map[string]bool{"fyneDo": true},
}

// ending bounds how long the session may take to save what is under way.
const ending = 10 * time.Second

// Run opens the window and returns when it is closed. It must be called from the
// main goroutine. The error is ErrNoDisplay where no window can be opened, or
// what kept the data from being opened; it is in the journal as well where there
// is no terminal, for those who started the program from the desktop.
func Run(o Options) error {
	home, err := library.Home(o.Getenv)
	if err != nil { // what to do without is told below
		return run(o, "")
	}
	j := journal.In(home)
	log.SetOutput(j.Writer(os.Stderr))
	defer log.SetOutput(os.Stderr)
	if err = run(o, home); err != nil && !o.Terminal {
		if noted := j.Note(err.Error()); noted != nil {
			err = fmt.Errorf("%w (and %s cannot be written: %w)", err, j.Path(), noted)
		}
	}
	return err
}

func run(o Options, home string) error {
	screen, err := display.Check(o.Getenv)
	if err != nil {
		return err
	}
	system := look.SystemLanguage(o.Getenv)
	app.SetMetadata(metadata)
	a := app.NewWithID(metadata.ID)
	a.SetIcon(metadata.Icon)

	if home == "" {
		_, err := library.Home(o.Getenv)
		return refuse(a, system, err)
	}
	s, err := store.Open(context.Background(), home)
	if err != nil {
		return refuse(a, system, err)
	}
	defer s.Close()
	prefs, prefsErr := settings.Load(context.Background(), s)
	lib, libErr := library.Open(o.Getenv)
	if libErr != nil {
		lib = nil
	}
	engine := session.Start(session.Options{Engine: backend.Vulkan{}, Store: s, Library: lib})
	meter := sensors.New(sensors.Options{})
	defer meter.Close()
	w := newWindow(a, s, engine, monitor.NewRecorder(engine, meter), parts.Background{}, prefs, system)
	scale := userScale(a, o.Getenv)
	w.fit(screen.Width/scale, screen.Height/scale)
	if prefs.Place != nil {
		place.Restore(w.w, *prefs.Place)
	}
	for _, err := range []error{prefsErr, libErr} {
		if err != nil {
			w.problem(err)
		}
	}
	if d := s.Damage(); d != nil {
		w.notices.add(func() string { return look.T("ui.damage", d.Kept, d.Lost, d.File) })
	}
	w.w.SetOnClosed(w.remember)
	a.Lifecycle().SetOnStarted(func() { w.begin(o) })
	w.w.ShowAndRun()

	ctx, cancel := context.WithTimeout(context.Background(), ending)
	defer cancel()
	return w.close(ctx)
}

// userScale is the scale that the user wants of Fyne, beside the screen's own.
func userScale(a fyne.App, getenv func(string) string) float32 {
	if v, err := strconv.ParseFloat(getenv("FYNE_SCALE"), 32); err == nil && v > 0 {
		return float32(v)
	}
	if v := a.Settings().Scale(); v > 0 {
		return v
	}
	return 1
}

// begin starts what takes time, when the window is on the screen.
func (w *window) begin(o Options) {
	r := w.request()
	if o.Model.Model != "" {
		r.Model, r.Quant = o.Model.Model, o.Model.Quant
	}
	if o.Model.Device != "" {
		r.Device = o.Model.Device
	}
	if o.Model.Quant != "" {
		r.Quant = o.Model.Quant
	}
	w.session.Load(r)
	w.follow()
	w.newConversation("")
	w.openFiles(o.Files)
	go func() { // ends with the program
		for range o.Signals {
			fyne.Do(func() { w.remember(); w.app.Quit() })
		}
	}()
}

// refuse shows why the window cannot work, for those who started it from the
// desktop, and returns the error for the others.
func refuse(a fyne.App, system look.Language, err error) error {
	look.SetLanguage(system)
	a.Settings().SetTheme(look.New(look.Options{}))
	w := a.NewWindow("Kestrel")
	text := parts.Text(tell.Error(err))
	text.Selectable = true
	w.SetContent(parts.On(look.ColorPanel, 0, parts.Column(parts.Heading(look.T("ui.refused")), text,
		parts.NewButton(look.T("ui.menu.quit"), w.Close).Primary())))
	w.Resize(fyne.NewSize(560, 240))
	w.ShowAndRun()
	return fmt.Errorf("open the window: %w", err)
}
