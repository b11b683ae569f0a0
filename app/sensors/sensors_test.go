package sensors

import (
	"io/fs"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// recorded reads a tree of testdata: files under "-- path --", links as "-- path -> target --".
func recorded(t testing.TB, name string) fstest.MapFS {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	tree := fstest.MapFS{}
	for _, part := range strings.Split("\n"+string(text), "\n-- ")[1:] {
		head, body, ok := strings.Cut(part, " --")
		if !ok {
			t.Fatalf("%s: bad header in %q", name, part)
		}
		if file, target, isLink := strings.Cut(head, " -> "); isLink {
			tree[file] = &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink | 0o777}
		} else {
			tree[file] = &fstest.MapFile{Data: []byte(strings.TrimPrefix(body, "\n") + "\n"), Mode: 0o444}
		}
	}
	if len(tree) == 0 {
		t.Fatalf("%s holds no files", name)
	}
	return tree
}

const self = 4242

// clock is a time that tests move.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func newClock() *clock { return &clock{time.Unix(1_700_000_000, 0)} }

func near(r Reading, want float64) bool {
	return r.Known && math.Abs(r.Value-want) <= 1e-9*math.Max(1, math.Abs(want))
}

const kib = 1024.0

func TestAMDGPU(t *testing.T) {
	s := New(Options{Root: recorded(t, "amdgpu"), PID: self, Now: newClock().now})
	defer s.Close()
	for name, d := range map[string]Device{
		"by address": {VendorID: 0x1002, DeviceID: 0x747e, PCI: "0000:03:00.0"},
		"by ids":     {VendorID: 0x1002, DeviceID: 0x747e},
	} {
		snap := s.GPU(d).Read(0)
		for what, c := range map[string]struct {
			got  Reading
			want float64
		}{
			"busy": {snap.Busy, 0.87}, "temperature of the edge": {snap.Temperature, 61}, "power": {snap.Power, 212}, "clock": {snap.Clock, 2.43e9},
			"vram": {snap.Local.Total, 17163091968}, "vram used": {snap.Local.Used, 9126805504},
			"gtt": {snap.Shared.Total, 33554432000}, "gtt used": {snap.Shared.Used, 412090368},
			// the whole less what our two clients hold, each once
			"others":        {snap.Local.Others, 9126805504 - (7854080+65536)*kib},
			"gtt of others": {snap.Shared.Others, 412090368 - (24576+8192)*kib},
		} {
			if !near(c.got, c.want) {
				t.Errorf("%s: %s is %+v, want %v", name, what, c.got, c.want)
			}
		}
		if snap.Source != "amdgpu" || snap.BusyPartial || snap.Local.Partial {
			t.Errorf("%s: source %q, partial %v %v", name, snap.Source, snap.BusyPartial, snap.Local.Partial)
		}
		// firefox' client is open in a second process and counts once; its use of the other GPU does not count
		want := []Program{
			{1200, "gnome-shell", (524288 + 4096) * kib, 131072 * kib},
			{2300, "firefox", 262144 * kib, 65536 * kib},
		}
		if !reflect.DeepEqual(snap.Programs, want) {
			t.Errorf("%s: programs %+v, want %+v", name, snap.Programs, want)
		}
	}
	// what the engine says of itself counts where it is more than fdinfo tells
	snap := s.GPU(Device{VendorID: 0x1002, DeviceID: 0x747e}).Read(9e9)
	if !near(snap.Local.Others, 9126805504-9e9) {
		t.Errorf("others %+v beside an engine of 9 GB", snap.Local.Others)
	}
}

func TestAsleepIsLeftAsleep(t *testing.T) {
	tree := recorded(t, "amdgpu")
	tree["sys/bus/pci/devices/0000:03:00.0/power/runtime_status"] = &fstest.MapFile{Data: []byte("suspended\n")}
	g := New(Options{Root: tree, PID: self}).GPU(Device{VendorID: 0x1002, DeviceID: 0x747e})
	delete(tree, "sys/bus/pci/devices/0000:03:00.0/gpu_busy_percent")
	if snap := g.Read(0); snap.Busy.Known || snap.Busy.Why != Asleep || snap.Local.Used.Why != Asleep || snap.Source != "amdgpu" {
		t.Errorf("asleep: %+v", snap)
	}
}

func TestIntel(t *testing.T) {
	for _, tt := range []struct {
		tree               string
		d                  Device
		busy, clock        float64
		temperature, power Reading
		others             func(Snapshot) Memory
		bytes              float64
	}{
		{"i915", Device{VendorID: 0x8086, DeviceID: 0x9a49, PCI: "0000:00:02.0"}, 0.8, 1.15e9,
			unknown(NotAvailable), unknown(NotAvailable), func(s Snapshot) Memory { return s.Shared }, 180000 * kib},
		{"xe", Device{VendorID: 0x8086, DeviceID: 0xe20b}, 0.5, 2.85e9,
			known(58), known(140), func(s Snapshot) Memory { return s.Local }, 262144 * kib},
	} {
		t.Run(tt.tree, func(t *testing.T) {
			c := newClock()
			tree := recorded(t, tt.tree+"-0")
			s := New(Options{Root: tree, PID: self, Now: c.now})
			g := s.GPU(tt.d)
			if snap := g.Read(0); snap.Busy.Why != Counting || !snap.BusyPartial {
				t.Errorf("first reading: busy %+v", snap.Busy)
			}
			for name, file := range recorded(t, tt.tree+"-1") {
				tree[name] = file
			}
			c.t = c.t.Add(500 * time.Millisecond)
			snap := g.Read(0)
			if !near(snap.Busy, tt.busy) || !snap.BusyPartial || !near(snap.Clock, tt.clock) || snap.Source != tt.tree {
				t.Errorf("busy %+v, clock %+v, source %q", snap.Busy, snap.Clock, snap.Source)
			}
			if snap.Temperature != tt.temperature || snap.Power != tt.power {
				t.Errorf("temperature %+v, power %+v", snap.Temperature, snap.Power)
			}
			if m := tt.others(snap); !near(m.Others, tt.bytes) || !m.Partial || m.Used.Known {
				t.Errorf("others' memory %+v, want %v", m, tt.bytes)
			}
			// at once again: the same rates, not a division by nothing
			if again := g.Read(0); again.Busy != snap.Busy || again.Power != snap.Power {
				t.Errorf("at the same moment: %+v %+v", again.Busy, again.Power)
			}
		})
	}
}

func TestNothingIsKnown(t *testing.T) {
	amd, nvidia := recorded(t, "amdgpu"), recorded(t, "nvidia-open")
	twins := recorded(t, "amdgpu")
	for _, file := range []string{"vendor", "device", "class"} {
		twins["sys/bus/pci/devices/0000:23:00.0/"+file] = twins["sys/bus/pci/devices/0000:03:00.0/"+file]
	}
	radeon := Device{VendorID: 0x1002, DeviceID: 0x747e}
	for name, tt := range map[string]struct {
		root fs.FS
		d    Device
		want Reason
	}{
		"software":                   {amd, Device{Software: true}, Software},
		"no sysfs":                   {recorded(t, "none"), radeon, NotAvailable},
		"another GPU":                {amd, Device{VendorID: 0x8086, DeviceID: 0x9a49}, NotAvailable},
		"foreign address":            {amd, Device{VendorID: 0x8086, DeviceID: 0x9a49, PCI: "0000:03:00.0"}, NotAvailable},
		"wrong address":              {amd, Device{VendorID: 0x1002, DeviceID: 0x747e, PCI: "0000:99:00.0"}, NotAvailable},
		"two alike":                  {twins, radeon, Ambiguous},
		"NVIDIA without its library": {nvidia, Device{VendorID: 0x10de, DeviceID: 0x2684, PCI: "0000:01:00.0"}, NoLibrary},
	} {
		s := New(Options{Root: tt.root, PID: self, NVML: "libkestrel-has-no-such-library.so.1"})
		snap := s.GPU(tt.d).Read(1 << 30)
		for _, r := range []Reading{snap.Busy, snap.Temperature, snap.Power, snap.Clock, snap.Local.Total, snap.Local.Used, snap.Local.Others} {
			if r.Known || r.Why != tt.want {
				t.Errorf("%s: %+v, want %q", name, r, tt.want)
			}
		}
	}
	if g := New(Options{Root: twins, PID: self}).GPU(Device{VendorID: 0x1002, DeviceID: 0x747e, PCI: "0000:03:00.0"}); !g.Read(0).Busy.Known {
		t.Error("an address tells twins apart")
	}
	s := New(Options{Root: amd, PID: self})
	g := s.GPU(radeon)
	s.Close()
	if snap := g.Read(0); snap.Busy.Known {
		t.Errorf("after Close: %+v", snap)
	}
}

// TestThisMachine reads the real system, whatever it has: nothing may fail.
func TestThisMachine(t *testing.T) {
	s := New(Options{})
	defer s.Close()
	for _, d := range []Device{{VendorID: 0x10de, DeviceID: 0x2684}, {VendorID: 0x1002, DeviceID: 0x747e}, {VendorID: 0x8086, DeviceID: 0x9a49}} {
		g := s.GPU(d)
		for range 3 {
			snap := g.Read(0)
			for _, r := range []Reading{snap.Busy, snap.Temperature, snap.Power, snap.Clock, snap.Local.Others} {
				if !r.Known && r.Why == "" {
					t.Errorf("%x: unknown without a reason: %+v", d.VendorID, snap)
				}
			}
		}
	}
}
