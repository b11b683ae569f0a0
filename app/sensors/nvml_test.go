//go:build linux

package sensors

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// buildNVML compiles the library of testdata; cgo needs a C compiler as well.
func buildNVML(t *testing.T, flags ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "libnvidia-ml.so.1")
	args := append([]string{"-shared", "-fPIC", "-o", out, "testdata/nvml/nvml.c"}, flags...)
	if text, err := exec.Command("cc", args...).CombinedOutput(); err != nil {
		t.Skipf("no C compiler that works: %v\n%s", err, text)
	}
	return out
}

func TestNVML(t *testing.T) {
	uuid := [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	library := buildNVML(t)
	for name, d := range map[string]Device{
		"by UUID":    {VendorID: 0x10de, UUID: uuid},
		"by address": {VendorID: 0x10de, PCI: "0000:41:00.0"},
	} {
		s := New(Options{Root: recorded(t, "nvidia-open"), PID: self, NVML: library})
		snap := s.GPU(d).Read(1 << 30)
		for what, c := range map[string]struct {
			got  Reading
			want float64
		}{
			"busy": {snap.Busy, 0.93}, "temperature": {snap.Temperature, 66}, "power": {snap.Power, 311.5}, "clock": {snap.Clock, 2.52e9},
			"memory": {snap.Local.Total, 24 << 30}, "used": {snap.Local.Used, 9 << 30}, "others": {snap.Local.Others, 2 << 30},
		} {
			if !near(c.got, c.want) {
				t.Errorf("%s: %s is %+v, want %v", name, what, c.got, c.want)
			}
		}
		if len(snap.Programs) != 1 || snap.Programs[0].PID != 77 || snap.Programs[0].Local != 512<<20 || snap.Source != "NVML" {
			t.Errorf("%s: programs %+v of %q", name, snap.Programs, snap.Source)
		}
		s.Close()
	}
	// a GPU whose memory the library does not tell
	s := New(Options{Root: recorded(t, "nvidia-open"), PID: self, NVML: library})
	defer s.Close()
	snap := s.GPU(Device{VendorID: 0x10de, PCI: "0000:01:00.0"}).Read(1 << 30)
	if snap.Local.Total.Known || snap.Local.Others.Known || !near(snap.Busy, 0.93) {
		t.Errorf("%+v", snap)
	}
	// and one that is not among the library's
	other := s.GPU(Device{VendorID: 0x10de, DeviceID: 0x9999, PCI: "0000:99:00.0"}).Read(0)
	if other.Busy.Known || other.Busy.Why != NotAvailable {
		t.Errorf("unlisted GPU: %+v", other.Busy)
	}
}

func TestNVMLWithoutDriver(t *testing.T) {
	s := New(Options{Root: recorded(t, "nvidia-open"), PID: self, NVML: buildNVML(t, "-DNO_DRIVER")})
	defer s.Close()
	if snap := s.GPU(Device{VendorID: 0x10de, DeviceID: 0x2684, PCI: "0000:01:00.0"}).Read(0); snap.Busy.Why != NoLibrary {
		t.Errorf("%+v", snap.Busy)
	}
}

func TestNVMLOfOtherSymbols(t *testing.T) {
	out := filepath.Join(t.TempDir(), "libempty.so")
	if text, err := exec.Command("cc", "-shared", "-fPIC", "-o", out, "-x", "c", "/dev/null").CombinedOutput(); err != nil {
		t.Skipf("no C compiler that works: %v\n%s", err, text)
	}
	if l := loadNVML(out); l != nil {
		t.Error("a library without NVML's functions was taken for it")
	}
}
