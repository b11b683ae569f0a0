package ui

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"

	"kestrel/app/document"
	"kestrel/app/library"
	"kestrel/app/sensors"
	"kestrel/app/session"
	"kestrel/app/session/sessiontest"
	"kestrel/app/store"
	"kestrel/app/ui/look"
	"kestrel/app/ui/look/looktest"
	"kestrel/app/ui/markdown"
	"kestrel/app/ui/parts"
	"kestrel/app/ui/settings"
	"kestrel/engine"
	"kestrel/engine/vulkan"
	"kestrel/engine/weights"
)

// scene is a view of the window as a user has it before them.
type scene struct {
	name     string
	welcomed bool // the card of the first run is gone
	pictured bool
	play     func(b *bench)
}

// scenes are the main views. What they hold is as long as it gets.
var scenes = []scene{
	{"first-run", false, true, func(*bench) {}},
	{"chat", true, true, func(b *bench) { b.converse() }},
	{"find", true, false, func(b *bench) {
		b.converse()
		b.press(fyne.KeyF)
		b.find.entry.SetText("双翼")
	}},
	{"document", true, true, func(b *bench) { b.readBook() }},
	{"monitor", true, true, func(b *bench) {
		b.converse()
		b.press(fyne.KeyM)
		b.measure()
	}},
	{"monitor-software", true, false, func(b *bench) {
		b.press(fyne.KeyM)
		m := memoryUse(time.Now())
		m.Device.Type = vulkan.Software
		b.record(m)
	}},
	{"monitor-empty", true, false, func(b *bench) {
		b.f.Update(func(s *session.Snapshot) { s.Model = &session.Model{State: session.NoModel} })
		b.press(fyne.KeyM)
		b.record(&session.Memory{Time: time.Now(), TokensRead: 128_403})
	}},
	{"chooser", true, true, func(b *bench) { b.openChooser() }},
	{"chooser-small", true, false, func(b *bench) { b.openChooser(); b.pick(1) }},
	{"settings", true, true, func(b *bench) { b.openSettings() }},
	{"settings-answers", true, true, func(b *bench) { b.openSettings(); b.tab("settings.answers") }},
	{"settings-model", true, false, func(b *bench) { b.openSettings(); b.tab("settings.model") }},
	{"settings-data", true, true, func(b *bench) { b.openSettings(); b.tab("settings.data"); b.usualFolder() }},
	{"answering", true, false, func(b *bench) { b.converse(); b.openAnswering() }},
	{"help", true, true, func(b *bench) { b.openHelp() }},
	{"about", true, false, func(b *bench) { b.openAbout() }},
	{"trouble", true, true, func(b *bench) { b.trouble() }},
	{"loading", true, false, func(b *bench) { b.load() }},
	{"search", true, false, func(b *bench) {
		b.press(fyne.KeyK)
		test.Type(b.w.Canvas().Focused(), "kestrel")
		b.loop.(*parts.ManualLoop).Advance(time.Second)
	}},
}

// stage opens a window that shows a scene, in an app that others may have been in:
// each app and each theme reads all fonts anew.
func (s scene) stage(t *testing.T, a fyne.App, p settings.Preferences) *bench {
	p.Welcomed = s.welcomed
	f := sessiontest.New()
	f.ChoiceList, f.DeviceList, f.Estimates = choices(), []vulkan.DeviceInfo{radeon, oldCard, processor}, estimate
	f.Update(func(s *session.Snapshot) {
		m := *s.Model
		m.Device = radeon
		if p.Welcomed { // the card is for those who have the built-in model alone
			m.Name, m.Precision, m.Request.Model = "falcon-mamba-7b-instruct", "Q4_K", "tiiuae/falcon-mamba-7b-instruct"
		}
		s.Model = &m
	})
	b := openOn(t, a, p, f, sensors.New(sensors.Options{Root: radeonFiles()}), shelf)
	s.play(b)
	b.sidebar.Reload()
	b.settle()
	return b
}

// settle waits until code has its colours, takes the focus away, as a cursor
// blinks, and lays all out that asks for another size, as the driver of a real
// window does before each picture.
func (b *bench) settle() {
	c := b.w.Canvas()
	c.Focus(nil)
	for end := time.Now().Add(10 * time.Second); !b.chat.Coloured() && time.Now().Before(end); time.Sleep(time.Millisecond) {
		b.loop.Do(func() {})
	}
	b.loop.Do(func() {})
	for range 2 { // what is wider needs another height
		c.Content().Refresh()
		for _, o := range c.Overlays().List() {
			o.Refresh()
		}
	}
}

// shelf fills the store with what a sidebar lists, of days that stay.
func shelf(s *store.Store) {
	var all []string
	for i, title := range []string{"Which bird hovers? 哪种鸟会悬停？", "A rather long title of a conversation about falcons and mambas", "War and Peace", "红隼"} {
		folder := ""
		if i < 2 {
			folder = `"folder": "Ornithology 鸟类学", `
		}
		day := fmt.Sprintf("2025-03-%02dT10:00:00Z", 20-i)
		all = append(all, fmt.Sprintf(`{"title": %q, %s"created": %q, "updated": %q, "leaf": "0", "messages": [`+
			`{"id": "0", "role": "user", "status": "done", "content": "Does the kestrel hover, and why does it do so?", "created": %q}]}`, title, folder, day, day, day))
	}
	_, err := s.Import(context.Background(), strings.NewReader(
		`{"format": "kestrel conversations", "version": 1, "exported": "2025-03-21T10:00:00Z", "conversations": [`+strings.Join(all, ",")+`]}`), nil)
	must(err)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// tab opens a page of the settings.
func (b *bench) tab(key string) {
	b.t.Helper()
	if !looktest.Press(b.w.Canvas(), look.T(key)) {
		b.t.Fatalf("the settings have no page %q", look.T(key))
	}
}

// usualFolder has the settings show the folder that users have rather than the
// test's, which is another each time.
func (b *bench) usualFolder() {
	looktest.Walk(b.w.Canvas(), func(o fyne.CanvasObject) {
		if v, ok := o.(*markdown.View); ok && v.Text() == b.s.Dir() {
			v.SetPlain("~/.local/share/kestrel", markdown.Plain{})
		}
	})
}

// pick chooses a model in the chooser, from the one that is chosen.
func (b *bench) pick(steps int) {
	for range steps {
		b.w.Canvas().Focused().TypedKey(&fyne.KeyEvent{Name: fyne.KeyDown})
	}
}

// converse is a conversation of which the last answer is being written.
func (b *bench) converse() {
	b.talk("Which bird hovers? 哪种鸟会悬停？",
		"Which bird **hovers**? 哪种鸟会悬停？",
		"The *kestrel* hovers in the wind. 红隼在风中悬停。\n\n- wings spread\n- tail fanned\n\n```go\nfmt.Println(\"红隼\") // a comment\n```\n\n"+
			"| bird | hovers |\n|---|---|\n| kestrel | always |\n| buzzard | now and then |",
		"And in Chinese?", "红隼迎风悬停，双翼展开，尾羽张成扇形，")
	b.f.UpdateConversation(func(c *session.Conversation) {
		done := *c.Messages[1]
		done.Versions, done.Version, done.Stats = []string{"m1", "x"}, 0, session.Stats{Tokens: 57, Rate: 42.5, FirstToken: 310 * time.Millisecond}
		c.Messages[1] = &done
		last := *c.Messages[3]
		last.Status, last.Stats = session.Streaming, session.Stats{Tokens: 18, Rate: 41.7, FirstToken: 120 * time.Millisecond}
		c.Messages[3] = &last
		c.Phase, c.Tokens = session.Writing, 1234
	})
}

// readBook is a document that is being read, one that waits and one that cannot be.
func (b *bench) readBook() {
	book := session.Document{ID: "d", Path: "/tmp/war.epub", Name: "war.epub", Title: "War and Peace", Format: document.EPUB, Size: 3_400_000,
		Pages: 1225, Words: 562_000, Tokens: 760_000, Stage: session.Ready, Estimate: 14 * time.Minute, Wanted: 150, Beyond: 751_808, Trained: 8192}
	reading, bad := book, session.Document{ID: "f", Name: "secret.pdf", Stage: session.Unreadable,
		Problem: &session.Problem{Kind: session.KindEncrypted, Text: "This file is locked with a password. Save a copy without one, then drop that here."}}
	reading.Stage, reading.Message = session.ReadingText, "m0"
	reading.Progress = session.Progress{Done: 190_000, Total: 760_000, Rate: 900, ETA: 10*time.Minute + 33*time.Second}
	reading.Partial = &session.Partial{Text: "The story begins in a salon in Petersburg in 1805, where **Anna Pavlovna** receives her guests.", Share: 0.24}
	book.ID, book.Title, book.Name, book.Beyond = "e", "", "a-rather-long-name-of-a-file-that-is-still-to-be-read-2024-final-version-3.pdf", 0
	b.f.UpdateConversation(func(c *session.Conversation) {
		c.ID, c.Title, c.Phase = "c1", "War and Peace", session.Reading
		m := sessiontest.Message("m0", "user", "", session.Complete)
		m.Document = &reading
		c.Messages = []*session.Message{m}
		c.Documents = []*session.Document{&reading, &book, &bad}
	})
}

// trouble is a lost device, told where it happened and above the place to write.
func (b *bench) trouble() {
	b.converse()
	lost := &session.Problem{Kind: session.KindDeviceLost, Text: "run step: the graphics device was lost; load the model again"}
	b.f.UpdateConversation(func(c *session.Conversation) {
		m := *c.Messages[3]
		m.Status, m.Problem = session.Failed, lost
		c.Messages[3], c.Phase = &m, session.Idle
	})
	b.f.Update(func(s *session.Snapshot) {
		m := *s.Model
		m.State, m.Problem = session.Broken, lost
		s.Model = &m
		s.Notices = []session.Notice{{ID: 1, Problem: session.Problem{Kind: session.KindNoSpace, Text: "save state: the saved state of a document could not be written."}}}
	})
}

// load is a model on its way to the device beside a download.
func (b *bench) load() {
	b.f.Update(func(s *session.Snapshot) {
		s.Model = &session.Model{State: session.Loading, Request: session.LoadRequest{Model: "tiiuae/falcon-mamba-7b-instruct"},
			Progress: session.Progress{Done: 30, Total: 100, ETA: 9 * time.Second}}
		s.Transfers = []*session.Transfer{{Name: "tiiuae/falcon-mamba-7b", Progress: library.Progress{Done: 1 << 30, Total: 14 << 30, Rate: 11 << 20, ETA: 20 * time.Minute}}}
	})
}

var (
	radeon = vulkan.DeviceInfo{Index: 0, Name: "AMD Radeon RX 7800 XT", Type: vulkan.Discrete, Driver: "radv", DriverVersion: "Mesa 26.2.6", API: "1.4.318",
		VendorID: 0x1002, DeviceID: 0x747e, PCI: "0000:03:00.0", Usable: true}
	oldCard = vulkan.DeviceInfo{Index: 1, Name: "NVIDIA GeForce 210", Type: vulkan.Discrete, Driver: "nouveau", API: "1.0.2",
		Refusal: vulkan.Refusal{Kind: vulkan.RefusedVersion, Name: "1.0.2"}, Reason: "it offers Vulkan 1.0.2 and 1.1 is needed: a newer driver may help"}
	processor = vulkan.DeviceInfo{Index: 2, Name: "llvmpipe (LLVM 22.1, 256 bits)", Type: vulkan.Software, Driver: "llvmpipe", DriverVersion: "Mesa 26.2.6", API: "1.4.318", Usable: true}
)

// radeonFiles is what the system tells of the Radeon.
func radeonFiles() fs.FS {
	tree := fstest.MapFS{}
	for name, text := range map[string]string{
		"vendor": "0x1002", "device": "0x747e", "class": "0x030000", "power/runtime_status": "active", "gpu_busy_percent": "87",
		"mem_info_vram_total": "17163091968", "mem_info_vram_used": "9126805504", "mem_info_gtt_total": "33554432000", "mem_info_gtt_used": "412090368",
		"hwmon/hwmon3/name": "amdgpu", "hwmon/hwmon3/temp1_input": "61000", "hwmon/hwmon3/temp1_label": "edge",
		"hwmon/hwmon3/power1_average": "212000000", "hwmon/hwmon3/freq1_input": "2430000000", "hwmon/hwmon3/freq1_label": "sclk",
	} {
		tree["sys/bus/pci/devices/0000:03:00.0/"+name] = &fstest.MapFile{Data: []byte(text + "\n")}
	}
	for pid, name := range map[int]string{1200: "gnome-shell", 2300: "firefox"} {
		dir := fmt.Sprintf("proc/%d/", pid)
		tree[dir+"comm"] = &fstest.MapFile{Data: []byte(name + "\n")}
		tree[dir+"fdinfo/9"] = &fstest.MapFile{Data: []byte(fmt.Sprintf(
			"drm-driver:\tamdgpu\ndrm-pdev:\t0000:03:00.0\ndrm-client-id:\t%d\ndrm-memory-vram:\t%d KiB\n", pid, pid*300))}
	}
	return tree
}

// memoryUse is falcon-mamba-7b in Q8_0 on the Radeon.
func memoryUse(at time.Time) *session.Memory {
	m := &session.Memory{Time: at, Loaded: true, Device: radeon, SavedRAM: 76 << 20, SavedDisk: 1200 << 20, TokensRead: 128_403, Working: true}
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
		{DeviceLocal: true, Size: 16 << 30, Budget: 7_800 << 20, Used: 7_600 << 20, BudgetKnown: true},
		{HostVisible: true, Size: 31 << 30, Budget: 30 << 30, Used: 64 << 20, BudgetKnown: true},
		{DeviceLocal: true, HostVisible: true, Size: 256 << 20, Budget: 256 << 20, BudgetKnown: true},
	}
	return m
}

// measure records minutes of reading with a model that was loaded within them.
func (b *bench) measure() {
	now := time.Now()
	for i := range 40 {
		m := memoryUse(now.Add(time.Duration(i-39) * 7 * time.Second))
		m.TokensRead = int64(max(0, i-10)) * 4400
		if i < 8 {
			m.Report.Total = 0
		}
		b.record(m)
	}
}

// record has the recorder take a moment, which it does on a goroutine of its own.
func (b *bench) record(m *session.Memory) {
	b.t.Helper()
	b.f.UpdateMemory(m)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Microsecond) {
		b.loop.Do(func() {})
		if last := b.recorder.Last(); last != nil && last.Memory == m {
			break
		}
		if time.Now().After(end) {
			b.t.Fatal("the recorder did not take the moment")
		}
	}
	time.Sleep(time.Millisecond) // it tells the panel next
	b.loop.Do(func() {})
}

func choices() []session.Choice {
	known := func(name, precision string, bytes int64, chat bool) session.Choice {
		ref, err := library.ParseRef(name)
		must(err)
		return session.Choice{Name: name, Source: session.Published, Bytes: bytes, Chat: chat,
			Known: &library.Known{Ref: ref, Precision: precision, Parameters: 7_270_000_000, Bytes: bytes, Chat: chat}}
	}
	list := []session.Choice{
		{Name: "demo", Source: session.Builtin, Ready: true, Bytes: 7_400_000, Chat: true},
		{Name: "mamba-130m-hf", Source: session.Library, Ready: true, Bytes: 516 << 20, Have: 516 << 20, Entry: &library.Entry{Path: "~/.local/share/kestrel/models/mamba-130m-hf"}},
		known("tiiuae/falcon-mamba-7b-instruct", "BF16", 14_500_000_000, true),
		known("tiiuae/falcon-mamba-7b-instruct-Q4_K_M-GGUF", "Q4_K_M", 4_200_000_000, true),
		known("tiiuae/falcon-mamba-7b", "BF16", 14_500_000_000, false),
	}
	list[2].Source, list[2].Ready, list[2].Selected = session.Library, true, true
	return list
}

func estimate(r session.LoadRequest) (session.Estimate, error) {
	e := session.Estimate{Weights: 4 << 30, State: 78 << 20, Scratch: 40 << 20, Staging: 64 << 20, Total: 4<<30 + 182<<20, OnDevice: 4<<30 + 118<<20,
		Reader: 78 << 20, Budget: 8 << 30, Fits: true, Device: radeon.Name}
	if r.Quant == "" && !strings.Contains(r.Model, "q4_k") {
		e.Weights, e.Total, e.OnDevice, e.Fits = 14<<30, 15<<30, 14<<30, false
		e.Smaller = []engine.Alternative{{Quant: weights.Q4_K, Device: 4 << 30}, {Quant: weights.Q3_K, Device: 3 << 30}}
	}
	return e, nil
}
