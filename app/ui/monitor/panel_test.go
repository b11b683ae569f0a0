package monitor

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/widget"

	"kestrel/app/sensors"
	"kestrel/app/session"
	"kestrel/app/ui/look"
	"kestrel/app/ui/look/looktest"
	"kestrel/engine/vulkan"
)

const (
	mib1 = int64(1) << 20
	gib1 = int64(1) << 30
)

var moment = time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)

var radeon = vulkan.DeviceInfo{Index: 0, Name: "AMD Radeon RX 7800 XT", Type: vulkan.Discrete, Driver: "radv", DriverVersion: "Mesa 26.2.6", API: "1.4.318",
	VendorID: 0x1002, DeviceID: 0x747e, PCI: "0000:03:00.0", Usable: true}

// loaded is falcon-mamba-7b in Q8_0 on a graphics card.
func loaded() *session.Memory {
	m := &session.Memory{Time: moment, Loaded: true, Device: radeon, SavedRAM: 76 * mib1, SavedDisk: 1200 * mib1, TokensRead: 128_403, Working: true}
	for _, p := range []struct {
		purpose vulkan.Purpose
		host    bool
		bytes   int64
	}{
		{vulkan.Weights, false, 7_738_163_200}, {vulkan.State, false, 79_691_776}, {vulkan.Scratch, false, 41_943_040},
		{vulkan.Staging, true, 67_108_864}, {vulkan.Saved, false, 39_845_888},
	} {
		m.Report.Purposes = append(m.Report.Purposes, vulkan.PurposeUse{Purpose: p.purpose, Host: p.host, Buffers: p.bytes, Allocated: p.bytes, Blocks: 1})
		m.Report.Total += p.bytes
	}
	m.Heaps = []vulkan.Heap{
		{DeviceLocal: true, Size: 16 * gib1, Budget: 14_500 * mib1, Used: 7_600 * mib1, BudgetKnown: true},
		{HostVisible: true, Size: 31 * gib1, Budget: 30 * gib1, Used: 64 * mib1, BudgetKnown: true},
		{DeviceLocal: true, HostVisible: true, Size: 256 * mib1, Budget: 256 * mib1, Used: 0, BudgetKnown: true},
	}
	return m
}

func reading(v float64) sensors.Reading { return sensors.Reading{Value: v, Known: true} }

func allKnown() sensors.Snapshot {
	return sensors.Snapshot{Source: "amdgpu", Busy: reading(0.93), Temperature: reading(61), Power: reading(212), Clock: reading(2.43e9),
		Local:  sensors.Memory{Total: reading(16e9), Used: reading(10e9), Others: reading(float64(1500 * mib1))},
		Shared: sensors.Memory{Others: reading(float64(300 * mib1)), Partial: true},
		Programs: []sensors.Program{{PID: 1200, Name: "gnome-shell", Local: 900 * mib1, Shared: 120 * mib1}, {PID: 2300, Name: "firefox", Local: 400 * mib1},
			{PID: 77, Local: 12 * mib1}}}
}

// source is a session as far as the panel knows it.
type source struct {
	watch   func(*session.Memory)
	devices []vulkan.DeviceInfo
	err     error
	jobs    chan func() // for the test's goroutine, which is Fyne's
}

func newSource() *source {
	return &source{jobs: make(chan func(), 100), devices: []vulkan.DeviceInfo{radeon,
		{Index: 1, Name: "NVIDIA GeForce 210", Type: vulkan.Discrete, Driver: "nouveau", API: "1.0.2", Reason: "it offers Vulkan 1.0.2 and 1.1 is needed: a newer driver may help"},
		{Index: 2, Name: "llvmpipe (LLVM 22.1, 256 bits)", Type: vulkan.Software, Driver: "llvmpipe", DriverVersion: "Mesa 26.2.6", API: "1.4.318", Usable: true}}}
}

// source is the panel's loop as well.

func (s *source) Work(f func() func())                      { s.jobs <- f() }
func (s *source) Do(f func())                               { s.jobs <- f }
func (s *source) After(time.Duration, func()) (stop func()) { panic("the panel waits for nothing") }

// job does the next work that is handed to Fyne's goroutine.
func (s *source) job(t testing.TB) {
	t.Helper()
	select {
	case f := <-s.jobs:
		f()
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was handed to Fyne's goroutine")
	}
}

func (s *source) WatchMemory(f func(*session.Memory)) func() { s.watch = f; return func() {} }

func (s *source) Devices(context.Context) ([]vulkan.DeviceInfo, error) {
	return s.devices, s.err
}

// remember is a quarter of an hour of reading with a model that was loaded within it.
func remember(r *Recorder) {
	for i := range 1800 {
		t := moment.Add(time.Duration(i-1799) * 500 * time.Millisecond)
		p := Point{Time: t}
		if i > 1400 {
			p.Bytes = loaded().Report.Total
		} else if i > 1340 {
			p.Bytes = loaded().Report.Total / 60 * int64(i-1340)
		}
		if i > 1450 {
			p.Tokens = int64(i-1450) * 368
		}
		r.history.Add(p)
	}
}

// shownPanel is a panel in a window that shows a sample.
func shownPanel(t testing.TB, size fyne.Size, s *Sample) (*Panel, fyne.Window, *source) {
	t.Helper()
	src := newSource()
	r := NewRecorder(src, sensors.New(sensors.Options{}))
	t.Cleanup(r.Close)
	remember(r)
	p := NewPanel(r, src)
	p.now = func() time.Time { return moment }
	w := test.NewTempWindow(t, p)
	w.SetPadded(false)
	w.Resize(size)
	p.Show()
	src.job(t)
	p.draw(s)
	src.job(t)
	return p, w, src
}

// texts are all texts that can be seen, from the top.
func texts(t *testing.T, o fyne.CanvasObject) []string {
	if !o.Visible() {
		return nil
	}
	var all []string
	switch o := o.(type) {
	case *canvas.Text:
		return []string{o.Text}
	case *widget.RichText:
		return []string{o.String()}
	case *widget.Label:
		return []string{o.Text}
	case *fyne.Container:
		for _, child := range o.Objects {
			all = append(all, texts(t, child)...)
		}
	case fyne.Widget:
		for _, child := range test.TempWidgetRenderer(t, o).Objects() {
			all = append(all, texts(t, child)...)
		}
	}
	return all
}

func wants(t *testing.T, p *Panel, want ...string) {
	t.Helper()
	all := texts(t, p.content)
	for _, w := range want {
		if !slices.ContainsFunc(all, func(s string) bool { return strings.Contains(s, w) }) {
			t.Errorf("%q is not shown; there is %q", w, all)
		}
	}
}

func TestPictures(t *testing.T) {
	for _, tt := range []struct {
		name string
		o    look.Options
		l    look.Language
		size fyne.Size
		s    *Sample
	}{
		{"light-en", look.Options{Mode: look.Light}, look.English, fyne.NewSize(1100, 900), &Sample{loaded(), allKnown()}},
		{"dark-zh", look.Options{Mode: look.Dark}, look.Chinese, fyne.NewSize(1100, 900), &Sample{loaded(), allKnown()}},
		{"narrow-dark-en", look.Options{Mode: look.Dark}, look.English, fyne.NewSize(400, 1330), &Sample{loaded(), sensors.Snapshot{}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			looktest.App(t, tt.o, tt.l)
			_, w, _ := shownPanel(t, tt.size, tt.s)
			looktest.Picture(t, tt.name, w.Canvas())
		})
	}
}

// TestLayout: at each size of text and in panels of any width, no two texts
// overlap and none leaves its card, also where the samples change.
func TestLayout(t *testing.T) {
	over := loaded()
	over.Heaps[0].Budget = 7 * gib1 // less than is in use: a warning
	names := loaded()
	names.Device.Name = "NVIDIA GeForce RTX 4090 Laptop GPU with a long name"
	partial := allKnown()
	partial.BusyPartial, partial.Local.Partial = true, true
	samples := []*Sample{
		{loaded(), allKnown()}, {over, partial}, {names, unknownAll(sensors.NoLibrary)}, {loaded(), sensors.Snapshot{}},
		{&session.Memory{Time: moment, TokensRead: 1_284_030_000}, sensors.Snapshot{}},
	}
	mixed := allKnown()
	mixed.Power = sensors.Reading{Why: sensors.Ambiguous}
	samples = append(samples, &Sample{loaded(), mixed})
	for _, l := range look.Languages() {
		for _, size := range look.Sizes {
			looktest.App(t, look.Options{Mode: look.Light, Size: size}, look.Language(l.Code))
			p, w, _ := shownPanel(t, fyne.NewSize(320, 640), samples[0])
			for _, width := range []float32{320, 400, 640, 830, 1100} {
				w.Resize(fyne.NewSize(width, 640))
				for i, s := range samples {
					p.draw(s)
					for _, wrong := range looktest.Misplaced(w.Canvas()) {
						t.Errorf("%s, size %g, %g wide, sample %d: %s", l.Code, size, width, i, wrong)
					}
				}
			}
		}
	}
}
