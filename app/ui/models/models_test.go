package models

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/layout"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/widget"

	"kestrel/app/library"
	"kestrel/app/session"
	"kestrel/app/session/sessiontest"
	"kestrel/app/ui/look"
	"kestrel/app/ui/look/looktest"
	"kestrel/app/ui/parts"
	"kestrel/engine"
	"kestrel/engine/checkpoint"
	"kestrel/engine/vulkan"
	"kestrel/engine/weights"
)

func fake() *sessiontest.Fake {
	f := sessiontest.New()
	known := func(name, precision string, bytes int64, chat bool) session.Choice {
		ref, err := library.ParseRef(name)
		if err != nil {
			panic(err)
		}
		return session.Choice{Name: name, Source: session.Published, Bytes: bytes, Chat: chat,
			Known: &library.Known{Ref: ref, Precision: precision, Parameters: 7_270_000_000, Bytes: bytes, Chat: chat}}
	}
	f.ChoiceList = []session.Choice{
		{Name: "demo", Source: session.Builtin, Ready: true, Bytes: 7_400_000, Selected: true, Chat: true},
		{Name: "mamba-130m-hf", Source: session.Library, Ready: true, Bytes: 516 << 20, Have: 516 << 20, Entry: &library.Entry{Path: "models/mamba-130m-hf"}},
		{Name: "torn", Source: session.Library, Bytes: 1 << 30, Have: 1 << 30, Problem: &session.Problem{Kind: session.KindBadModel, Text: "its manifest is damaged"}, Entry: &library.Entry{Err: errors.New("damaged")}},
		known("tiiuae/falcon-mamba-7b-instruct", "BF16", 14_500_000_000, true),
		known("tiiuae/falcon-mamba-7b-instruct-Q4_K_M-GGUF", "Q4_K_M", 4_200_000_000, true),
		known("tiiuae/falcon-mamba-7b", "BF16", 14_500_000_000, false),
	}
	f.DeviceList = []vulkan.DeviceInfo{
		{Index: 0, Name: "Old Card", Type: vulkan.Discrete, Reason: "its driver offers Vulkan 1.0 only, and 1.1 is needed"},
		{Index: 1, Name: "llvmpipe (LLVM 15.0.6, 256 bits)", Type: vulkan.Software, Usable: true},
		{Index: 2, Name: "Radeon RX 7800 XT", Type: vulkan.Discrete, Usable: true},
	}
	f.Estimates = func(r session.LoadRequest) (session.Estimate, error) {
		e := session.Estimate{Weights: 7 << 20, State: 240 << 10, Scratch: 3 << 20, Staging: 4 << 20, Total: 14 << 20, OnDevice: 14 << 20, Reader: 8 << 20, Budget: 8 << 30, Fits: true, Device: "llvmpipe (LLVM)"}
		switch {
		case strings.Contains(r.Model, "/") && !strings.HasPrefix(r.Model, "tiiuae/falcon-mamba-7b-instruct"):
			return e, errors.New("no such model")
		case strings.HasSuffix(r.Model, "random:falcon-mamba-7b:q4_k"):
			e.Weights, e.Total = 4<<30, 4<<30
		case strings.Contains(r.Model, "7b") && r.Quant == "":
			e.Weights, e.Total, e.OnDevice, e.Fits = 14<<30, 15<<30, 14<<30, false
			e.Smaller = []engine.Alternative{{Quant: weights.Q4_K, Device: 4 << 30}, {Quant: weights.Q3_K, Device: 3 << 30}}
		}
		if r.Device == "2" {
			e.Device, e.Budget = "Radeon RX 7800 XT", 16<<30
			e.Fits = e.Total < e.Budget
		}
		return e, nil
	}
	return f
}

type bench struct {
	t *testing.T
	*Chooser
	f      *sessiontest.Fake
	w      fyne.Window
	loaded []session.LoadRequest
}

func open(t *testing.T, o look.Options, l look.Language, f *sessiontest.Fake) *bench {
	t.Helper()
	looktest.App(t, o, l)
	b := &bench{t: t, f: f, w: test.NewWindow(container.NewStack(layout.NewSpacer()))}
	t.Cleanup(b.w.Close)
	b.w.Resize(fyne.NewSize(1024, 640))
	b.Chooser = Open(Options{Session: f, Window: b.w, Loop: &parts.ManualLoop{}, Loaded: func(r session.LoadRequest) { b.loaded = append(b.loaded, r) }})
	return b
}

// text is all that the dialog shows.
func (b *bench) text() string { return looktest.Text(b.w.Canvas()) }

func (b *bench) shows(pieces ...string) {
	b.t.Helper()
	for _, p := range pieces {
		if !looktest.Shows(b.w.Canvas(), p) {
			b.t.Errorf("the chooser does not show %q:\n%s", p, b.text())
		}
	}
}

func calls(f *sessiontest.Fake) []string {
	var out []string
	for _, c := range f.Calls() {
		out = append(out, fmt.Sprintf("%s%v", c.Name, c.Args))
	}
	return out
}

func TestLoad(t *testing.T) {
	b := open(t, look.Options{}, look.English, fake())
	b.shows("Built-in demo", "Not usable: Old Card", "Vulkan 1.0 only", "It fits", "14.0 MiB", "8.0 MiB", "Free on llvmpipe", "On this computer · 516 MiB")
	if want := []string{"1: llvmpipe (processor)", "2: Radeon RX 7800 XT (graphics card)"}; !slices.Equal(b.device.Options, want) {
		t.Errorf("devices to choose from are %q, want the usable ones, %q", b.device.Options, want)
	}
	b.list.TypedKey(&fyne.KeyEvent{Name: fyne.KeyDown})
	b.device.SetSelectedIndex(1)
	b.precision.SetSelected("Q4_K")
	b.shows("mamba-130m-hf", "Free on Radeon RX 7800 XT")
	b.list.TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
	want := session.LoadRequest{Model: "mamba-130m-hf", Device: "2", Quant: "q4_k"}
	if got := calls(b.f); !slices.Equal(got, []string{fmt.Sprintf("Load[%v]", want)}) {
		t.Errorf("calls are %v, want one to load %v", got, want)
	}
	if len(b.loaded) != 1 || b.loaded[0] != want {
		t.Errorf("remembered %v, want %v", b.loaded, want)
	}
	if b.w.Canvas().Overlays().Top() != nil {
		t.Error("the chooser stays open")
	}
}

// TestPrecisionIsAModels: a precision chosen for one model is not taken for another.
func TestPrecisionIsAModels(t *testing.T) {
	b := open(t, look.Options{}, look.English, fake())
	b.precision.SetSelected("F32")
	b.list.TypedKey(&fyne.KeyEvent{Name: fyne.KeyDown})
	b.list.TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
	want := session.LoadRequest{Model: "mamba-130m-hf", Device: "1"}
	if got := calls(b.f); !slices.Equal(got, []string{fmt.Sprintf("Load[%v]", want)}) {
		t.Errorf("calls are %v, want one to load %v", got, want)
	}
}

// TestBeginsAtTheLoaded: the arrow keys go on from the model that is loaded.
func TestBeginsAtTheLoaded(t *testing.T) {
	f := fake()
	f.ChoiceList[0].Selected, f.ChoiceList[3].Selected = false, true
	b := open(t, look.Options{}, look.English, f)
	for _, step := range []struct {
		key  fyne.KeyName
		want int
	}{{fyne.KeyEscape, 3}, {fyne.KeyDown, 4}, {fyne.KeyUp, 3}} {
		if step.key != fyne.KeyEscape {
			b.list.TypedKey(&fyne.KeyEvent{Name: step.key})
		}
		if b.selected != step.want {
			t.Errorf("after %s model %d is chosen, want %d", step.key, b.selected, step.want)
		}
	}
	b.w.Canvas().Focus(b.act)
	b.w.Canvas().Focus(b.list)
	if b.selected != 3 {
		t.Errorf("the focus alone chooses model %d", b.selected)
	}
}

// TestTooLarge: a load that cannot fit is warned of, and done only when asked
// for again.
func TestTooLarge(t *testing.T) {
	f := fake()
	f.ChoiceList[3].Source, f.ChoiceList[3].Ready = session.Library, true
	b := open(t, look.Options{}, look.English, f)
	b.list.Select(3)
	b.shows("It does not fit: 6.0 GiB are missing. These precisions would fit: Q4_K (4.0 GiB), Q3_K (3.0 GiB).")
	looktest.Press(b.w.Canvas(), "Load")
	if got := calls(f); len(got) > 0 {
		t.Errorf("it was loaded without a warning: %v", got)
	}
	b.shows("does not fit into the device's free memory")
	looktest.Press(b.w.Canvas(), "Cancel")
	b.precision.SetSelected("Q4_K")
	b.shows("It fits")
	b.precision.SetSelectedIndex(0)
	looktest.Press(b.w.Canvas(), "Load")
	looktest.Press(b.w.Canvas(), "Load anyway")
	if got := calls(f); len(got) != 1 {
		t.Errorf("calls are %v, want one to load", got)
	}
}

func TestDamaged(t *testing.T) {
	b := open(t, look.Options{}, look.English, fake())
	b.list.Select(2)
	b.shows("its manifest is damaged")
	if !b.act.Disabled() {
		t.Error("a damaged model can be loaded")
	}
}

func TestDownload(t *testing.T) {
	f := fake()
	b := open(t, look.Options{}, look.English, f)
	b.list.Select(4)
	b.shows("Follows instructions", "From the published sizes", "4.0 GiB", "It fits")
	if !looktest.Press(b.w.Canvas(), "Download (3.9 GiB)") {
		t.Fatalf("no button to download in\n%s", b.text())
	}
	name := f.ChoiceList[4].Name
	if got := calls(f); !slices.Equal(got, []string{"Pull[" + name + "]"}) {
		t.Errorf("calls are %v", got)
	}
	progress := func(x session.Transfer) {
		f.Update(func(s *session.Snapshot) { s.Transfers = []*session.Transfer{&x} })
		b.Show(f.Snapshot())
	}
	progress(session.Transfer{Name: name, Progress: library.Progress{Done: 1 << 30, Total: 4 << 30, Rate: 10 << 20, ETA: 300e9}})
	b.shows("1.0 GiB of 4.0 GiB", "10.0 MiB/s", "5 min 0 s left")
	for _, c := range []struct {
		waits  library.Wait
		en, zh string
	}{
		{library.Wait{Checks: "model.safetensors"}, "checking model.safetensors", "正在检查 model.safetensors"},
		{library.Wait{Err: fmt.Errorf("%w: 429", library.ErrHub), Pause: 30 * time.Second}, "does not answer as it should. Next try in 30 s", "没有正常响应。30 秒后重试"},
		{library.Wait{Err: &library.Error{Kind: library.ErrBusy, Problem: "process 7 is writing"}}, "Another program is writing this model.", "另一个程序正在写入这个模型。"},
		{library.Wait{}, "", ""},
	} {
		before := look.Current()
		for l, want := range map[look.Language]string{look.English: c.en, look.Chinese: c.zh} {
			look.SetLanguage(l)
			if got := waiting(c.waits); !strings.HasSuffix(got, want) || want == "" && got != "" {
				t.Errorf("%s, %+v: %q, want %q", l, c.waits, got, want)
			}
		}
		look.SetLanguage(before)
	}
	progress(session.Transfer{Name: name, Problem: &session.Problem{Kind: session.KindNetwork, Text: "the hub does not answer; try again later"}})
	b.shows("the hub does not answer")
	looktest.Press(b.w.Canvas(), "Go on")
	if got := calls(f); !slices.Equal(got, []string{"CancelTransfer[" + name + "]", "Pull[" + name + "]"}) {
		t.Errorf("calls are %v", got)
	}
	f.ChoiceList[4].Source, f.ChoiceList[4].Ready = session.Library, true
	progress(session.Transfer{Name: name, Done: true})
	b.shows("is in the library", "On this computer · 3.9 GiB")
}

func TestAsPublished(t *testing.T) {
	f := fake()
	for i, want := range map[int]session.LoadRequest{
		0: {Model: "demo", Quant: "q8_0", Device: "1"},
		3: {Model: "random:falcon-mamba-7b:q8_0", Device: "1"},
		5: {Model: "random:falcon-mamba-7b:q8_0", Device: "1"},
	} {
		c := f.ChoiceList[i]
		if got, ok := asPublished(c, session.LoadRequest{Model: c.Name, Quant: "q8_0", Device: "1"}); !ok || got != want {
			t.Errorf("%s: %v, %v, want %v", c.Name, got, ok, want)
		}
	}
	if got, ok := asPublished(f.ChoiceList[4], session.LoadRequest{}); !ok || got.Model != "random:falcon-mamba-7b:q4_k" {
		t.Errorf("a GGUF file: %v", got)
	}
	// every published model that is listed has sizes that the engine knows
	for _, k := range library.KnownModels() {
		r, ok := asPublished(session.Choice{Source: session.Published, Known: &k}, session.LoadRequest{})
		if pieces := strings.Split(r.Model, ":"); !ok || len(pieces) != 3 {
			t.Errorf("%s: %v", k.Ref.Repo, r)
		} else if _, err := checkpoint.Shape(pieces[1]); err != nil {
			t.Errorf("%s: %v", k.Ref.Repo, err)
		} else if _, err := checkpoint.ParsePrecision(pieces[2]); err != nil {
			t.Errorf("%s: %v", k.Ref.Repo, err)
		}
	}
}

func TestImport(t *testing.T) {
	f := fake()
	b := open(t, look.Options{}, look.English, f)
	looktest.Press(b.w.Canvas(), "Import…")
	b.shows("File…", "Folder…")
	e := b.w.Canvas().Focused().(*parts.Entry)
	test.Type(e, "models/falcon.gguf")
	e.TypedKey(&fyne.KeyEvent{Name: fyne.KeyReturn})
	if got := calls(f); !slices.Equal(got, []string{"Import[models/falcon.gguf]"}) {
		t.Errorf("calls are %v", got)
	}
}

func TestNothingToChoose(t *testing.T) {
	f := fake()
	f.ChoiceList, f.DeviceList, f.QueryErr = nil, nil, errors.New("no Vulkan loader: install libvulkan1")
	b := open(t, look.Options{}, look.English, f)
	b.shows("install libvulkan1", "No Vulkan device can be used")
	if !b.act.Disabled() {
		t.Error("nothing can be loaded")
	}
}

func TestButton(t *testing.T) {
	looktest.App(t, look.Options{}, look.English)
	f, opened := fake(), 0
	b := NewButton(f, nil, func() { opened++ })
	w := test.NewWindow(b.Object())
	defer w.Close()
	w.Resize(fyne.NewSize(600, 40))
	show := func(m session.Model) string {
		f.Update(func(s *session.Snapshot) { s.Model = &m })
		b.Show(f.Snapshot().Model)
		return looktest.Text(w.Canvas())
	}
	if got := looktest.Text(w.Canvas()); !strings.Contains(got, "demo · F16 · fake device") {
		t.Errorf("loaded: %q", got)
	}
	if got := show(session.Model{State: session.Loading, Request: session.LoadRequest{Model: "x"}, Progress: session.Progress{Done: 30, Total: 100}}); !strings.Contains(got, "Loading x") {
		t.Errorf("loading: %q", got)
	}
	if !b.progress.Visible() || b.progress.Value != 0.3 {
		t.Errorf("progress is %v, visible %v", b.progress.Value, b.progress.Visible())
	}
	test.Tap(b.cancel)
	if got := calls(f); !slices.Equal(got, []string{"CancelLoad[]"}) {
		t.Errorf("calls are %v", got)
	}
	if got := show(session.Model{State: session.Broken}); !strings.Contains(got, "Model not loaded") || b.progress.Visible() {
		t.Errorf("broken: %q", got)
	}
	if test.Tap(b.button); opened != 1 {
		t.Error("the button opens nothing")
	}
	f.Update(func(s *session.Snapshot) {
		s.Model = &session.Model{State: session.Loaded, Name: "falcon-mamba-7b-instruct", Precision: "Q4_K", Device: vulkan.DeviceInfo{Name: "AMD Radeon RX 7800 XT"}}
	})
	b.Show(f.Snapshot().Model)
	for width, want := range map[float32]string{600: "falcon-mamba-7b-instruct · Q4_K · AMD Radeon RX 7800 XT", 300: "falcon-mamba-7b-instruct · Q4_K", 140: "falcon-ma…"} {
		w.Resize(fyne.NewSize(width, 40))
		if b.button.Text != want || b.button.MinSize().Width > width {
			t.Errorf("in a width of %g: %q, want %q", width, b.button.Text, want)
		}
	}
}

func TestFirstRun(t *testing.T) {
	for name, c := range map[string]struct {
		budget int64
		want   string
	}{
		"fits":  {20 << 30, "falcon-mamba-7b-instruct (13.5 GiB) fits"},
		"small": {2 << 30, "too little for the 7B models, of which falcon-mamba-7b-instruct-Q4_K_M-GGUF (3.9 GiB) is the smallest"},
	} {
		t.Run(name, func(t *testing.T) {
			looktest.App(t, look.Options{}, look.English)
			f := fake()
			f.Estimates = func(session.LoadRequest) (session.Estimate, error) {
				return session.Estimate{Total: 14 << 30, Budget: c.budget, Fits: c.budget > 14<<30}, nil
			}
			got, gone := 0, 0
			w := test.NewWindow(nil)
			defer w.Close()
			w.SetContent(FirstRun(Options{Session: f, Window: w, Loop: &parts.ManualLoop{}}, func() { got++ }, func() { gone++ }))
			w.Resize(fyne.NewSize(700, 300))
			if !looktest.Shows(w.Canvas(), c.want) {
				t.Errorf("%q is not in %q", c.want, looktest.Text(w.Canvas()))
			}
			looktest.Press(w.Canvas(), "Choose a model…")
			looktest.Press(w.Canvas(), "Not now")
			if got != 1 || gone != 1 {
				t.Errorf("got %d, dismissed %d, want one each", got, gone)
			}
		})
	}
}

func TestPictures(t *testing.T) {
	for name, o := range map[string]look.Options{"chooser-light": {Mode: look.Light}, "chooser-dark": {Mode: look.Dark}} {
		t.Run(name, func(t *testing.T) {
			l := look.English
			if o.Mode == look.Dark {
				l = look.Chinese
			}
			f := fake()
			f.ChoiceList[3].Source, f.ChoiceList[3].Ready = session.Library, true
			b := open(t, o, l, f)
			b.list.Select(3)
			looktest.Picture(t, name, b.w.Canvas())
		})
	}
	t.Run("first-run", func(t *testing.T) {
		looktest.App(t, look.Options{Mode: look.Light}, look.Chinese)
		w := test.NewWindow(nil)
		defer w.Close()
		w.SetContent(container.NewVBox(FirstRun(Options{Session: fake(), Window: w, Loop: &parts.ManualLoop{}}, func() {}, func() {}), NewButton(fake(), nil, nil).Object(), widget.NewSeparator()))
		w.Resize(fyne.NewSize(700, 300))
		looktest.Picture(t, "first-run", w.Canvas())
	})
}
