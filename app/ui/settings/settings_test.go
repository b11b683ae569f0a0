package settings

import (
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/layout"
	"fyne.io/fyne/v2/test"

	"kestrel/app/session"
	"kestrel/app/session/sessiontest"
	"kestrel/app/store"
	"kestrel/app/ui/look"
	"kestrel/app/ui/look/looktest"
	"kestrel/app/ui/markdown"
	"kestrel/app/ui/parts"
)

type bench struct {
	t        *testing.T
	f        *sessiontest.Fake
	s        *store.Store
	w        fyne.Window
	o        Options
	p        Preferences
	changes  int
	opened   []string
	problems []error
	erased   int
}

func newBench(t *testing.T, o look.Options, l look.Language) *bench {
	t.Helper()
	looktest.App(t, o, l)
	s, err := store.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	b := &bench{t: t, f: sessiontest.New(), s: s, w: test.NewWindow(container.NewStack(layout.NewSpacer()))}
	t.Cleanup(b.w.Close)
	b.w.Resize(fyne.NewSize(1024, 640))
	b.o = Options{Store: s, Session: b.f, Window: b.w, Loop: &parts.ManualLoop{},
		Problem: func(err error) { b.problems = append(b.problems, err) },
		OpenURL: func(u *url.URL) error { b.opened = append(b.opened, u.String()); return nil },
		Changed: func(p Preferences) { b.p = p; b.changes++ },
		Models:  func() { b.opened = append(b.opened, "models") },
		Erased:  func() { b.erased++ },
	}
	return b
}

// find gives the objects of a type that are shown.
func find[T fyne.CanvasObject](b *bench) []T {
	var out []T
	looktest.Walk(b.w.Canvas(), func(o fyne.CanvasObject) {
		if x, ok := o.(T); ok {
			out = append(out, x)
		}
	})
	return out
}

func (b *bench) tab(i int) {
	b.t.Helper()
	name := []string{"Look", "Answers", "Model", "Data"}[i]
	if look.Current() == look.Chinese {
		name = []string{"外观", "回答", "模型", "数据"}[i]
	}
	if !looktest.Press(b.w.Canvas(), name) {
		b.t.Fatalf("no page %q", name)
	}
}

func (b *bench) calls() []string {
	var out []string
	for _, c := range b.f.Calls() {
		out = append(out, fmt.Sprintf("%s%v", c.Name, c.Args))
	}
	return out
}

func TestLookPage(t *testing.T) {
	b := newBench(t, look.Options{}, look.English)
	b.o.Preferences = Preferences{Mode: look.Dark}
	Show(b.o)
	selects := find[*parts.Select](b)
	if len(selects) != 4 || selects[1].Selected != "Dark" {
		t.Fatalf("%d choices, of which the theme is %q", len(selects), selects[1].Selected)
	}
	if b.changes != 0 {
		t.Error("opening the settings changes them")
	}
	selects[0].SetSelected("简体中文")
	selects[1].SetSelected("Light")
	selects[2].SetSelected("Rust red")
	selects[3].SetSelected("18")
	want := Preferences{Language: look.Chinese, Mode: look.Light, Accent: look.Rust, Size: 18}
	if b.p != want || b.changes != 4 {
		t.Errorf("%+v after %d changes, want %+v after 4", b.p, b.changes, want)
	}
}

func TestAnswersPage(t *testing.T) {
	b := newBench(t, look.Options{}, look.English)
	Show(b.o)
	b.tab(1)
	entries := find[*parts.Entry](b)
	if len(entries) != 8 {
		t.Fatalf("%d fields, want 8", len(entries))
	}
	system, entries := entries[0], entries[1:]
	system.SetText("Answer in Chinese. 用中文回答。")
	for i, text := range []string{"0.25", "0.5", "40", "0.05", "1.1", "256", "7"} {
		entries[i].SetText(text)
	}
	s := *b.p.Sampling
	if s.Seed == nil || *s.Seed != 7 {
		t.Errorf("seed is %v", s.Seed)
	}
	s.Seed = nil
	want := session.Sampling{Temperature: 0.25, TopP: 0.5, TopK: 40, MinP: 0.05, RepeatPenalty: 1.1, RepeatWindow: session.DefaultSampling().RepeatWindow, MaxTokens: 256}
	if s != want || b.p.System != "Answer in Chinese. 用中文回答。" {
		t.Errorf("%+v and %q, want %+v", s, b.p.System, want)
	}
	for _, wrong := range []string{"hot", "-1", "9", "NaN", ""} {
		entries[0].SetText(wrong)
		if b.p.Sampling.Temperature != 0.25 || !looktest.Shows(b.w.Canvas(), "the value before it stays") {
			t.Errorf("temperature %q is taken: %v", wrong, b.p.Sampling.Temperature)
		}
	}
	ending := find[*parts.Check](b)
	if len(ending) != 1 || !ending[0].Checked {
		t.Fatal("answers that go in circles do not end by default")
	}
	ending[0].Tapped(nil)
	if !b.p.Sampling.Circles {
		t.Error("the box is not ticked, and the setting not stored")
	}
	ending[0].TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
	if b.p.Sampling.Circles || !ending[0].Checked {
		t.Error("Enter does not tick the box")
	}
	entries[0].SetText("1,5") // as one writes it in many places
	if b.p.Sampling.Temperature != 1.5 || looktest.Shows(b.w.Canvas(), "the value before it stays") {
		t.Errorf("temperature 1,5 is %v", b.p.Sampling.Temperature)
	}
}

func TestPresets(t *testing.T) {
	b := newBench(t, look.Options{}, look.English)
	Show(b.o)
	b.tab(1)
	system, temperature := find[*parts.Entry](b)[0], find[*parts.Entry](b)[1]
	preset := find[*parts.Select](b)[0]
	button := func(hint string) {
		t.Helper()
		for _, p := range find[*parts.Button](b) {
			if p.Hint() == hint {
				p.Tapped(nil)
				return
			}
		}
		t.Fatalf("no button %q", hint)
	}
	save := func(name string) {
		t.Helper()
		button("Save as preset")
		e := b.w.Canvas().Focused().(*parts.Entry)
		e.SetText(name)
		e.TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
	}
	system.SetText("You are a poet.")
	temperature.SetText("1.2")
	save("Poet")
	system.SetText("You are a clerk.")
	temperature.SetText("0")
	save("Clerk")
	if want := []string{"Poet", "Clerk"}; !slices.Equal(preset.Options, want) || preset.Selected != "Clerk" {
		t.Fatalf("presets are %q with %q chosen, want %q", preset.Options, preset.Selected, want)
	}
	preset.SetSelected("Poet")
	if system.Text != "You are a poet." || temperature.Text != "1.2" || b.p.System != system.Text || b.p.Sampling.Temperature != 1.2 {
		t.Errorf("the preset gives %q and %s", system.Text, temperature.Text)
	}
	system.SetText("You are a great poet.")
	save("Poet") // in place of the old one
	list, err := b.s.Presets(t.Context())
	if err != nil || len(list) != 2 || list[0].System != "You are a great poet." {
		t.Errorf("%v: %+v", err, list)
	}
	preset.SetSelected("Clerk")
	button("Delete preset")
	looktest.Press(b.w.Canvas(), "Delete")
	if want := []string{"Poet"}; !slices.Equal(preset.Options, want) {
		t.Errorf("presets are %q, want %q", preset.Options, want)
	}
	looktest.Press(b.w.Canvas(), "Default")
	if temperature.Text != decimal(session.DefaultSampling().Temperature) {
		t.Errorf("the default temperature is %s", temperature.Text)
	}
	for _, err := range b.problems {
		t.Error(err)
	}
}

func TestConversation(t *testing.T) {
	b := newBench(t, look.Options{}, look.English)
	ShowConversation(b.o, &session.Conversation{ID: "c", System: "Be brief.", Sampling: session.Sampling{Temperature: 0.3}})
	if e := find[*parts.Entry](b)[1]; e.Text != "0.3" {
		t.Errorf("the temperature is %q", e.Text)
	}
	if got := b.calls(); len(got) > 0 {
		t.Errorf("opening it changes the conversation: %v", got)
	}
	find[*parts.Entry](b)[0].SetText("Be long.")
	calls := b.calls()
	if !slices.Contains(calls, "SetSystem[Be long.]") {
		t.Errorf("calls are %v", calls)
	}
	find[*parts.Entry](b)[1].SetText("0.9")
	if calls = b.calls(); len(calls) != 1 || !strings.HasPrefix(calls[0], "SetSampling[{0.9") {
		t.Errorf("calls are %v", calls)
	}
}

func TestModelPage(t *testing.T) {
	b := newBench(t, look.Options{}, look.English)
	Show(b.o)
	b.tab(2)
	if !looktest.Shows(b.w.Canvas(), "demo in F16 on fake device") {
		t.Error(looktest.Text(b.w.Canvas()))
	}
	looktest.Press(b.w.Canvas(), "Choose model, precision and device…")
	if !slices.Equal(b.opened, []string{"models"}) || b.w.Canvas().Overlays().Top() != nil {
		t.Errorf("opened %q", b.opened)
	}
}

// zeros is a state of so many bytes.
type zeros int

func (n zeros) WriteTo(w io.Writer) (int64, error) {
	k, err := w.Write(make([]byte, n))
	return int64(k), err
}

func TestDataPage(t *testing.T) {
	b := newBench(t, look.Options{}, look.English)
	c, err := b.s.CreateConversation(t.Context(), store.Conversation{Title: "T"})
	if err != nil {
		t.Fatal(err)
	}
	Show(b.o)
	b.tab(3)
	if !looktest.Shows(b.w.Canvas(), b.s.Dir()) || !looktest.Shows(b.w.Canvas(), "0 saved states take 0 B of 2.0 GiB") {
		t.Error(looktest.Text(b.w.Canvas()))
	}
	find[*parts.Select](b)[0].SetSelected("512 MiB")
	if u, err := b.s.StateUsage(t.Context()); err != nil || u.Budget != 512<<20 {
		t.Errorf("%v: the budget is %v", err, u.Budget)
	}
	// what is always kept may take more than is allowed: that is said
	if err := b.s.SetStateBudget(t.Context(), 1<<20); err != nil {
		t.Fatal(err)
	}
	m, err := b.s.AddMessage(t.Context(), store.Message{Conversation: c.ID, Role: store.User, Status: store.Done})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.s.SaveState(t.Context(), store.State{Message: m.ID}, zeros(2<<20)); err != nil {
		t.Fatal(err)
	}
	for l, want := range map[look.Language]string{look.English: "1.0 MiB more: the newest state of each conversation", look.Chinese: "超出 1.0 MiB：每个对话的最新状态"} {
		looktest.Press(b.w.Canvas(), look.T("parts.close"))
		look.SetLanguage(l)
		Show(b.o)
		b.tab(3)
		if !looktest.Shows(b.w.Canvas(), want) {
			t.Error(looktest.Text(b.w.Canvas()))
		}
	}
	looktest.Press(b.w.Canvas(), look.T("parts.close"))
	look.SetLanguage(look.English)
	Show(b.o)
	b.tab(3)
	looktest.Press(b.w.Canvas(), "Open the folder")
	if len(b.opened) != 1 || !strings.HasPrefix(b.opened[0], "file:///") {
		t.Errorf("opened %q", b.opened)
	}
	looktest.Press(b.w.Canvas(), "Erase all conversations…")
	looktest.Press(b.w.Canvas(), "Cancel")
	if n, err := b.s.CountConversations(t.Context(), store.Listing{}); err != nil || n != 1 {
		t.Errorf("%v: %d conversations after Cancel", err, n)
	}
	looktest.Press(b.w.Canvas(), "Erase all conversations…")
	looktest.Press(b.w.Canvas(), "Erase")
	if _, err := b.s.Conversation(t.Context(), c.ID); err == nil {
		t.Error("the conversation is still there")
	}
	if got := b.calls(); !slices.Equal(got, []string{"Abandon[" + string(c.ID) + "]", "Abandon[]"}) || b.erased != 1 {
		t.Errorf("calls are %v, erased %d", got, b.erased)
	}
	for _, err := range b.problems {
		t.Error(err)
	}
}

func TestPreferences(t *testing.T) {
	b := newBench(t, look.Options{}, look.English)
	p, err := Load(t.Context(), b.s)
	if err != nil || p != (Preferences{}) {
		t.Errorf("%v: %+v, want the defaults", err, p)
	}
	want := Preferences{Language: look.Chinese, Size: 20, Model: session.LoadRequest{Model: "m", Quant: "q8_0"}, Width: 1024, Welcomed: true}
	if err := want.Save(t.Context(), b.s); err != nil {
		t.Fatal(err)
	}
	if p, err = Load(t.Context(), b.s); err != nil || p != want {
		t.Errorf("%v: %+v, want %+v", err, p, want)
	}
	if want.SpeakIn(look.English) != look.Chinese || (Preferences{}).SpeakIn(look.Chinese) != look.Chinese {
		t.Error("the language is not the chosen one, or else the desktop's")
	}
}

func TestFolderURL(t *testing.T) {
	for dir, want := range map[string]string{"/srv/a b/红": "file:///srv/a%20b/%E7%BA%A2", "C:/Users": "file:///C:/Users"} {
		if got := folderURL(dir).String(); got != want {
			t.Errorf("%s: %s, want %s", dir, got, want)
		}
	}
}

func TestPictures(t *testing.T) {
	for i, name := range []string{"look", "answers", "model", "data"} {
		t.Run(name, func(t *testing.T) {
			mode, l := look.Light, look.English
			if i%2 == 1 {
				mode, l = look.Dark, look.Chinese
			}
			b := newBench(t, look.Options{Mode: mode}, l)
			Show(b.o)
			b.tab(i)
			if name == "data" { // the folder is another each time
				looktest.Walk(b.w.Canvas(), func(o fyne.CanvasObject) {
					if v, ok := o.(*markdown.View); ok && v.Text() == b.s.Dir() {
						v.SetPlain("~/.local/share/kestrel", markdown.Plain{})
					}
				})
			}
			looktest.Picture(t, name, b.w.Canvas())
		})
	}
}
