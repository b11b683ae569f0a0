package monitor

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2"

	"kestrel/app/sensors"
	"kestrel/app/session"
	"kestrel/app/ui/look"
	"kestrel/app/ui/look/looktest"
	"kestrel/engine/vulkan"
)

func lacks(t *testing.T, p *Panel, unwanted ...string) {
	t.Helper()
	all := texts(t, p.content)
	for _, w := range unwanted {
		if slices.ContainsFunc(all, func(s string) bool { return strings.Contains(s, w) }) {
			t.Errorf("%q is shown: %q", w, all)
		}
	}
}

func unknownAll(r sensors.Reason) sensors.Snapshot {
	u := sensors.Reading{Why: r}
	m := sensors.Memory{Total: u, Used: u, Others: u}
	return sensors.Snapshot{Busy: u, Temperature: u, Power: u, Clock: u, Local: m, Shared: m}
}

func TestStates(t *testing.T) {
	size := fyne.NewSize(900, 1200)
	t.Run("all known", func(t *testing.T) {
		looktest.App(t, look.Options{Mode: look.Light}, look.English)
		p, _, _ := shownPanel(t, size, &Sample{loaded(), allKnown()})
		wants(t, p, "AMD Radeon RX 7800 XT", "at work", "93 %", "61 °C", "212 W", "2430 MHz", "sensors of amdgpu",
			"Weights", "7,379.7 MiB", "Staging, in main memory", "7,597.7 MiB", "76.0 MiB in main memory, 1.2 GiB on disk",
			"7.4 GiB of 16.0 GiB", "Budget 14.2 GiB, 6.7 GiB free", "Other programs 1.5 GiB", "Programs you may see: 300 MiB",
			"gnome-shell", "1020 MiB", "Process 77", "Tokens read: 128,403", "8 GiB", "200k", "5 min ago",
			"NVIDIA GeForce 210", "Cannot be used: it offers Vulkan 1.0.2 and 1.1 is needed", "llvmpipe", "In use")
		lacks(t, p, "not available", "unknown", "are left")
	})
	t.Run("nothing known", func(t *testing.T) {
		looktest.App(t, look.Options{Mode: look.Light}, look.English)
		m := loaded()
		for i := range m.Heaps {
			m.Heaps[i].BudgetKnown, m.Heaps[i].Budget = false, m.Heaps[i].Size
		}
		p, _, _ := shownPanel(t, size, &Sample{m, unknownAll(sensors.NotAvailable)})
		wants(t, p, "Load, temperature, power and clock: not available here.", "Budget unknown", "Other programs: not available here")
		lacks(t, p, "Budget 1", "free", "%", "°C", "Other programs on the device")
		some := unknownAll(sensors.NotAvailable)
		some.Clock = reading(1.15e9)
		p.draw(&Sample{m, some})
		wants(t, p, "1150 MHz")
		lacks(t, p, "Load, temperature")
		for _, g := range []*gauge{p.gauges.busy, p.gauges.temperature, p.gauges.power} {
			if g.value.Text() != "not available here" {
				t.Errorf("%s: %q", g.name, g.value.Text())
			}
		}
	})
	t.Run("reasons", func(t *testing.T) {
		looktest.App(t, look.Options{Mode: look.Light}, look.English)
		p, _, _ := shownPanel(t, size, &Sample{loaded(), unknownAll(sensors.Software)})
		for reason, want := range map[sensors.Reason]string{sensors.Software: "runs on the processor", sensors.Asleep: "asleep",
			sensors.NoLibrary: "libnvidia-ml.so.1", sensors.Ambiguous: "alike", sensors.Counting: "counting"} {
			p.draw(&Sample{loaded(), unknownAll(reason)})
			wants(t, p, want)
			mixed := allKnown()
			mixed.Power = sensors.Reading{Why: reason}
			p.draw(&Sample{loaded(), mixed})
			if got := p.gauges.power.value.Text(); !strings.Contains(got, want) {
				t.Errorf("%s: %q", reason, got)
			}
		}
		part := allKnown()
		part.BusyPartial = true
		p.draw(&Sample{loaded(), part})
		wants(t, p, "Load, of programs you may see")
	})
	t.Run("no model", func(t *testing.T) {
		looktest.App(t, look.Options{Mode: look.Dark}, look.Chinese)
		p, _, _ := shownPanel(t, size, &Sample{loaded(), allKnown()})
		wants(t, p, "权重", "显存", "已读词元：128,403", "无法使用：")
		p.draw(&Sample{&session.Memory{Time: moment, TokensRead: 128_403}, sensors.Snapshot{}})
		wants(t, p, "未加载模型", "没有占用内存", "0.0 MiB")
		lacks(t, p, "权重", "显存", "负载", "gnome-shell")
	})
}

func TestWarning(t *testing.T) {
	looktest.App(t, look.Options{Mode: look.Light}, look.English)
	p, _, _ := shownPanel(t, fyne.NewSize(900, 1200), &Sample{loaded(), allKnown()})
	for _, tt := range []struct {
		name string
		heap vulkan.Heap
		want string
	}{
		{"room", vulkan.Heap{DeviceLocal: true, Size: 8 * gib1, Budget: 8 * gib1, Used: 4 * gib1, BudgetKnown: true}, ""},
		{"little", vulkan.Heap{DeviceLocal: true, Size: 8 * gib1, Budget: 7 * gib1, Used: 7*gib1 - 210*mib1, BudgetKnown: true}, "Only 210 MiB of the device's 8.0 GiB are left"},
		{"over", vulkan.Heap{DeviceLocal: true, Size: 8 * gib1, Budget: 5 * gib1, Used: 6 * gib1, BudgetKnown: true}, "6.0 GiB of device memory are in use and the driver grants 5.0 GiB"},
		{"unknown budget", vulkan.Heap{DeviceLocal: true, Size: 8 * gib1, Budget: 8 * gib1, Used: 8 * gib1}, ""},
		{"budget beyond the heap", vulkan.Heap{DeviceLocal: true, Size: 8 * gib1, Budget: 12 * gib1, Used: 8 * gib1, BudgetKnown: true}, ""},
	} {
		m := loaded()
		m.Heaps = []vulkan.Heap{tt.heap, {HostVisible: true, Size: gib1, Budget: gib1, Used: gib1, BudgetKnown: true}}
		p.draw(&Sample{m, allKnown()})
		if visible := p.warningCard.box.Visible(); visible != (tt.want != "") || !strings.Contains(p.warning.Text, tt.want) {
			t.Errorf("%s: visible %v, %q", tt.name, visible, p.warning.Text)
		}
		if mark := p.heaps.rows[0].bar.mark; tt.heap.BudgetKnown != (mark >= 0) || mark > 1 {
			t.Errorf("%s: the budget's mark is at %v", tt.name, mark)
		}
	}
}

func TestOthersOf(t *testing.T) {
	gpu := vulkan.Heap{DeviceLocal: true, Size: 16 * gib1}
	bar := vulkan.Heap{DeviceLocal: true, HostVisible: true, Size: 256 * mib1}
	host := vulkan.Heap{HostVisible: true, Size: 31 * gib1}
	s := sensors.Snapshot{Local: sensors.Memory{Others: reading(1)}, Shared: sensors.Memory{Others: reading(2)}}
	integrated := sensors.Snapshot{Shared: sensors.Memory{Others: reading(2)}}
	for _, tt := range []struct {
		name  string
		heaps []vulkan.Heap
		s     sensors.Snapshot
		want  []float64 // 0 for nothing
	}{
		{"card", []vulkan.Heap{gpu, host, bar}, s, []float64{1, 2, 0}},
		{"integrated, one heap", []vulkan.Heap{{DeviceLocal: true, HostVisible: true, Size: 12 * gib1}}, integrated, []float64{2}},
	} {
		for i, want := range tt.want {
			got := 0.0
			if m := othersOf(tt.heaps, i, tt.s); m != nil {
				got = m.Others.Value
			}
			if got != want {
				t.Errorf("%s: heap %d has %v of others, want %v", tt.name, i, got, want)
			}
		}
	}
}

func TestDevicesThatCannotBeListed(t *testing.T) {
	looktest.App(t, look.Options{Mode: look.Light}, look.English)
	p, _, src := shownPanel(t, fyne.NewSize(900, 1200), &Sample{loaded(), allKnown()})
	src.devices, src.err = nil, fmt.Errorf("open: %w", vulkan.ErrNoLoader)
	p.listDevices()
	src.job(t)
	wants(t, p, "The devices could not be listed: Vulkan is not installed on this computer. Install your graphics card's driver and the Vulkan loader.\nDetails: open: no Vulkan loader")
	src.err = nil
	p.listDevices()
	src.job(t)
	wants(t, p, "There is no Vulkan device")
}

// TestPaused holds a hidden panel to doing nothing while the history goes on.
func TestPaused(t *testing.T) {
	looktest.App(t, look.Options{Mode: look.Light}, look.English)
	src := newSource()
	r := NewRecorder(src, sensors.New(sensors.Options{}))
	defer r.Close()
	p := NewPanel(r, src)
	at := moment
	tick := func(tokens int64) {
		m := loaded()
		m.Device.Type = vulkan.Software // so that a reading of the sensors shows by its reason
		at = at.Add(500 * time.Millisecond)
		m.Time, m.TokensRead = at, tokens
		src.watch(m)
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			if s := r.Last(); s != nil && s.Memory == m {
				return
			}
			if time.Now().After(deadline) {
				t.Fatal("the recorder did not take the sample")
			}
		}
	}
	tick(1)
	tick(2)
	if len(src.jobs) != 0 || p.shown != nil {
		t.Fatal("a panel that was never shown was drawn")
	}
	if why := r.Last().Sensors.Busy.Why; why != "" {
		t.Errorf("sensors were read for a hidden panel: %q", why)
	}
	p.Show()
	if p.shown == nil || p.shown.Memory.TokensRead != 2 {
		t.Fatal("a panel that is shown draws the newest sample at once")
	}
	src.job(t) // the list of devices
	tick(3)
	src.job(t)
	if p.shown.Memory.TokensRead != 3 || p.shown.Sensors.Busy.Why != sensors.Software {
		t.Errorf("shown %d tokens, sensors %q", p.shown.Memory.TokensRead, p.shown.Sensors.Busy.Why)
	}
	tick(4) // on its way when the panel is hidden
	p.Hide()
	for len(src.jobs) > 0 {
		src.job(t)
	}
	tick(5)
	if len(src.jobs) != 0 || p.shown.Memory.TokensRead != 3 {
		t.Errorf("a hidden panel was drawn: %d tokens", p.shown.Memory.TokensRead)
	}
	if n := len(r.points()); n != 5 {
		t.Errorf("the history has %d points, want 5", n)
	}
	p.Show()
	if p.shown.Memory.TokensRead != 5 {
		t.Errorf("shown again: %d tokens", p.shown.Memory.TokensRead)
	}
}

// TestThemeChanges holds the colours to follow the theme without a new sample.
func TestThemeChanges(t *testing.T) {
	a := looktest.App(t, look.Options{Mode: look.Light}, look.English)
	p, w, _ := shownPanel(t, fyne.NewSize(1100, 900), &Sample{loaded(), allKnown()})
	before := p.memoryRow.swatch.FillColor
	a.Settings().SetTheme(look.New(look.Options{Mode: look.Dark}))
	p.Refresh()
	if p.memoryRow.swatch.FillColor == before || p.breakdown.card.back.FillColor == nil {
		t.Error("the swatch kept its colour")
	}
	dark := w.Canvas().Capture()
	r, g, b, _ := dark.At(20, 200).RGBA()
	if r+g+b > 3*0x6000 {
		t.Errorf("the card is still light: %x %x %x", r, g, b)
	}
}

// TestSoftwareHeap holds Mesa's software driver, which counts the whole system's
// use as this program's, to be read as what it says.
func TestSoftwareHeap(t *testing.T) {
	looktest.App(t, look.Options{Mode: look.Light}, look.English)
	m := loaded()
	m.Device.Type = vulkan.Software
	m.Heaps = []vulkan.Heap{{DeviceLocal: true, HostVisible: true, Size: 24 * gib1, Budget: 24 * gib1, Used: m.Report.Total + 3*gib1, BudgetKnown: true}}
	p, _, _ := shownPanel(t, fyne.NewSize(400, 1200), &Sample{m, unknownAll(sensors.Software)})
	wants(t, p, "Other programs 3.0 GiB", "the model runs on the processor")
	own, others := p.heaps.rows[0].bar.segments[0].share, p.heaps.rows[0].bar.segments[1].share
	if want := float64(m.Report.Total) / float64(24*gib1); own != want || others != 0.125 {
		t.Errorf("shares %v and %v, want %v and 0.125", own, others, want)
	}
}

// TestNarrow holds texts that do not fit beside each other to stand below each other.
func TestNarrow(t *testing.T) {
	looktest.App(t, look.Options{Mode: look.Light}, look.English)
	p, w, _ := shownPanel(t, fyne.NewSize(340, 1200), &Sample{loaded(), allKnown()})
	row := p.heaps.rows[1]
	below := func() bool { return row.others.Position().Y > row.budget.Position().Y }
	if !below() {
		t.Error("narrow: budget and others stand over each other")
	}
	w.Resize(fyne.NewSize(1100, 900))
	if below() {
		t.Error("wide: budget and others stand below each other")
	}
}

// TestDrawnOnlyWhenItShows holds an idle panel to leave the window alone.
func TestDrawnOnlyWhenItShows(t *testing.T) {
	looktest.App(t, look.Options{Mode: look.Light}, look.English)
	p, _, _ := shownPanel(t, fyne.NewSize(400, 1200), &Sample{loaded(), allKnown()})
	now := moment
	p.now = func() time.Time { return now }
	before := p.plot.curve.to
	now = moment.Add(100 * time.Millisecond)
	p.draw(&Sample{loaded(), allKnown()})
	if p.plot.curve.to != before {
		t.Error("the plot was drawn for less than a step")
	}
	now = moment.Add(6 * time.Second)
	p.draw(&Sample{loaded(), allKnown()})
	if p.plot.curve.to != now {
		t.Error("the plot did not move on")
	}
	b := p.heaps.rows[0].bar
	if b.looksLike([]segment{{b.segments[0].share + 0.01, b.segments[0].color}, b.segments[1]}, b.mark) || !b.looksLike(b.segments, b.mark) {
		t.Error("the bar does not know what shows")
	}
}

// TestRests holds a panel to be drawn rarely while nothing happens, and at once
// when something does.
func TestRests(t *testing.T) {
	at := func(ms int, working bool, tokens int64) *session.Memory {
		m := loaded()
		m.Time, m.Working, m.TokensRead = moment.Add(time.Duration(ms)*time.Millisecond), working, tokens
		return m
	}
	unloaded := at(500, false, 5)
	unloaded.Loaded = false
	for _, tt := range []struct {
		name    string
		last, m *session.Memory
		want    bool
	}{
		{"idle", at(0, false, 5), at(500, false, 5), true},
		{"idle for long", at(0, false, 5), at(2000, false, 5), false},
		{"at work", at(0, true, 5), at(500, true, 5), false},
		{"work begins", at(0, false, 5), at(500, true, 5), false},
		{"work ended", at(0, true, 5), at(500, false, 5), false},
		{"tokens were read", at(0, false, 5), at(500, false, 6), false},
		{"unloaded", at(0, false, 5), unloaded, false},
	} {
		if got := rests(tt.last, tt.m); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
