package parts

import (
	"slices"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/test"

	"kestrel/app/ui/look"
	"kestrel/app/ui/look/looktest"
)

// TestKeysPass: Escape reaches the canvas wherever the focus is, and Enter
// presses what is focused.
func TestKeysPass(t *testing.T) {
	looktest.App(t, look.Options{}, look.English)
	var keys []fyne.KeyName
	pressed := 0
	several := NewEntry()
	several.MultiLine = true
	button, choice := NewButton("b", func() { pressed++ }), NewSelect([]string{"a", "b"}, nil)
	w := test.NewWindow(container.NewVBox(button, NewEntry(), several, choice))
	defer w.Close()
	w.Canvas().SetOnTypedKey(func(ev *fyne.KeyEvent) { keys = append(keys, ev.Name) })
	for _, o := range w.Content().(*fyne.Container).Objects {
		o.(fyne.Focusable).TypedKey(&fyne.KeyEvent{Name: fyne.KeyEscape})
	}
	if want := []fyne.KeyName{fyne.KeyEscape, fyne.KeyEscape, fyne.KeyEscape, fyne.KeyEscape}; !slices.Equal(keys, want) {
		t.Errorf("the canvas got %v, want %v", keys, want)
	}
	button.TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
	if pressed != 1 {
		t.Error("Enter does not press a button")
	}
	choice.TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
	if w.Canvas().Overlays().Top() == nil {
		t.Error("Enter does not open a choice")
	}
}

func TestHint(t *testing.T) {
	looktest.App(t, look.Options{}, look.English)
	said := ""
	b := NewIconButton("", nil, "Opens it", func(s string) { said = s }, nil)
	w := test.NewWindow(b)
	defer w.Close()
	if b.MouseIn(nil); said != "Opens it" {
		t.Errorf("it says %q", said)
	}
	if b.MouseOut(); said != "" {
		t.Errorf("it still says %q", said)
	}
	if b.FocusGained(); said != "Opens it" {
		t.Errorf("for the keyboard it says %q", said)
	}
}

func TestAskPath(t *testing.T) {
	looktest.App(t, look.Options{}, look.English)
	w := test.NewWindow(container.NewVBox())
	defer w.Close()
	w.Resize(fyne.NewSize(700, 500))
	var got []string
	AskPath(w, OpenFiles, "Open", "", "Open", func(paths []string) { got = paths })
	e := w.Canvas().Focused().(*Entry)
	e.SetText("a.txt\n \n \"b c.pdf\" \n")
	e.TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
	if !slices.Equal(got, []string{"a.txt", "b c.pdf"}) || w.Canvas().Overlays().Top() != nil {
		t.Errorf("%q", got)
	}
	got = nil
	AskPath(w, OpenFile, "Open", "", "Open", func(paths []string) { got = paths })
	w.Canvas().Focused().(*Entry).TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
	if got != nil || w.Canvas().Overlays().Top() == nil {
		t.Errorf("no path is taken: %q", got)
	}
	if !CloseTop(w.Canvas()) || CloseTop(w.Canvas()) {
		t.Error("CloseTop does not close exactly what is open")
	}
}

// TestColumn: text that wraps has the height that its width asks for.
func TestColumn(t *testing.T) {
	looktest.App(t, look.Options{}, look.English)
	long, below := Text("A sentence that is long enough to stand on several lines in a narrow column."), Text("below")
	c := Column(long, below)
	w := test.NewWindow(container.NewVScroll(c))
	defer w.Close()
	w.Resize(fyne.NewSize(200, 300))
	narrow := long.Size().Height
	if below.Position().Y < narrow || narrow < 2*below.Size().Height {
		t.Errorf("heights %g and %g, the second at %g", narrow, below.Size().Height, below.Position().Y)
	}
	if c.Size().Height < below.Position().Y+below.Size().Height {
		t.Errorf("the column is %g high and ends at %g", c.Size().Height, below.Position().Y+below.Size().Height)
	}
	w.Resize(fyne.NewSize(900, 300))
	if long.Size().Height >= narrow {
		t.Errorf("it is %g high in a wide column", long.Size().Height)
	}
}

func TestManualLoop(t *testing.T) {
	l := &ManualLoop{}
	var did []string
	l.After(10, func() { did = append(did, "ten") })
	stop := l.After(10, func() { did = append(did, "stopped") })
	l.After(20, func() { did = append(did, "twenty") })
	stop()
	l.Work(func() func() { return func() { did = append(did, "work") } })
	l.Advance(15)
	l.Advance(15)
	done := make(chan bool)
	go func() { l.Do(func() { did = append(did, "other") }); close(done) }()
	<-done
	if len(did) != 3 {
		t.Errorf("%q: another goroutine's work is done on it", did)
	}
	l.Advance(0)
	if want := []string{"work", "ten", "twenty", "other"}; !slices.Equal(did, want) {
		t.Errorf("%q, want %q", did, want)
	}
}
