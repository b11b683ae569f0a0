package sensors

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// pciDevice is a GPU's folder in sysfs.
type pciDevice struct {
	root    fs.FS
	address string // "0000:03:00.0"
	dir     string // sys/bus/pci/devices/ADDRESS
	driver  string
	hwmon   hwmon
	clock   source
}

// source is a file with a number, and what to multiply it with.
type source struct {
	file  string // "" for none
	scale float64
}

const pciDevices = "sys/bus/pci/devices"

// findPCI finds the device by its address, or by its vendor and device id where
// only one GPU has them.
func findPCI(root fs.FS, d Device) (*pciDevice, Reason) {
	if d.PCI != "" {
		if p := newPCI(root, d.PCI); p.is(d) {
			return p, ""
		}
		return nil, NotAvailable
	}
	entries, err := fs.ReadDir(root, pciDevices)
	if err != nil {
		return nil, NotAvailable
	}
	var found []*pciDevice
	for _, e := range entries {
		p := &pciDevice{root: root, address: e.Name(), dir: path.Join(pciDevices, e.Name())}
		// base class 3 is a display controller
		if class, ok := readHex(root, path.Join(p.dir, "class")); ok && class>>16 == 3 && p.is(d) {
			found = append(found, p)
		}
	}
	switch len(found) {
	case 0:
		return nil, NotAvailable
	case 1:
		return newPCI(root, found[0].address), ""
	}
	return nil, Ambiguous
}

// is compares the ids, so that a foreign address space (a container, a remote
// device) does not give another device's readings.
func (p *pciDevice) is(d Device) bool {
	vendor, ok1 := readHex(p.root, path.Join(p.dir, "vendor"))
	device, ok2 := readHex(p.root, path.Join(p.dir, "device"))
	return ok1 && ok2 && uint32(vendor) == d.VendorID && uint32(device) == d.DeviceID
}

func newPCI(root fs.FS, address string) *pciDevice {
	p := &pciDevice{root: root, address: address, dir: path.Join(pciDevices, address)}
	if link, err := fs.ReadLink(root, path.Join(p.dir, "driver")); err == nil {
		p.driver = path.Base(link)
	}
	p.hwmon = findHwmon(root, path.Join(p.dir, "hwmon"))
	p.clock = p.findClock()
	return p
}

func (p *pciDevice) findClock() source {
	if p.hwmon.clock.file != "" {
		return p.hwmon.clock
	}
	candidates := []string{path.Join(p.dir, "tile0/gt0/freq0/act_freq")} // xe
	cards, _ := fs.Glob(p.root, path.Join(p.dir, "drm/card*"))
	for _, card := range cards { // i915
		candidates = append(candidates, path.Join(card, "gt/gt0/rps_act_freq_mhz"), path.Join(card, "gt_act_freq_mhz"))
	}
	for _, file := range candidates {
		if _, ok := readNumber(p.root, file); ok {
			return source{file, 1e6}
		}
	}
	return source{}
}

// asleep tells whether the GPU is suspended; reading its sensors would wake it.
func (p *pciDevice) asleep() bool {
	b, err := fs.ReadFile(p.root, path.Join(p.dir, "power/runtime_status"))
	return err == nil && strings.TrimSpace(string(b)) == "suspended"
}

// read reads what sysfs has; the files of memory and load are amdgpu's.
func (p *pciDevice) read(energy *meter, now time.Time) Snapshot {
	snap := nothing(NotAvailable)
	snap.Source = p.driver
	snap.Busy = p.value(source{path.Join(p.dir, "gpu_busy_percent"), 0.01})
	snap.Local.Total = p.value(source{path.Join(p.dir, "mem_info_vram_total"), 1})
	snap.Local.Used = p.value(source{path.Join(p.dir, "mem_info_vram_used"), 1})
	snap.Shared.Total = p.value(source{path.Join(p.dir, "mem_info_gtt_total"), 1})
	snap.Shared.Used = p.value(source{path.Join(p.dir, "mem_info_gtt_used"), 1})
	snap.Clock = p.value(p.clock)
	snap.Temperature = p.value(p.hwmon.temperature)
	snap.Power = p.value(p.hwmon.power)
	if p.hwmon.power.file == "" {
		if joules := p.value(p.hwmon.energy); joules.Known {
			snap.Power = energy.rate(joules.Value, now)
		}
	}
	return snap
}

func (p *pciDevice) value(s source) Reading {
	if s.file == "" {
		return unknown(NotAvailable)
	}
	v, ok := readNumber(p.root, s.file)
	if !ok {
		return unknown(NotAvailable)
	}
	return known(v * s.scale)
}

// hwmon is what a GPU's hardware monitor measures.
type hwmon struct {
	temperature, power, energy, clock source
}

// findHwmon picks of each kind the sensor of the whole chip. Units:
// millidegrees, microwatts, microjoules, hertz.
func findHwmon(root fs.FS, dir string) hwmon {
	var h hwmon
	monitors, _ := fs.Glob(root, path.Join(dir, "hwmon*"))
	if len(monitors) == 0 {
		return h
	}
	dir = monitors[0]
	h.temperature = pick(root, dir, "temp", []string{"input"}, []string{"edge", "pkg", "gpu"}, 1e-3)
	h.power = pick(root, dir, "power", []string{"average", "input"}, []string{"card", "PPT", "pkg"}, 1e-6)
	h.energy = pick(root, dir, "energy", []string{"input"}, []string{"card", "pkg"}, 1e-6)
	h.clock = pick(root, dir, "freq", []string{"input"}, []string{"sclk"}, 1)
	return h
}

// pick returns the readable sensor whose label comes first in labels, else the first.
func pick(root fs.FS, dir, kind string, suffixes, labels []string, scale float64) source {
	best, bestRank := source{}, len(labels)+1
	for i := range 8 {
		for _, suffix := range suffixes {
			file := path.Join(dir, fmt.Sprintf("%s%d_%s", kind, i, suffix))
			if _, ok := readNumber(root, file); !ok {
				continue
			}
			rank := len(labels)
			if b, err := fs.ReadFile(root, path.Join(dir, fmt.Sprintf("%s%d_label", kind, i))); err == nil {
				if at := slices.Index(labels, strings.TrimSpace(string(b))); at >= 0 {
					rank = at
				}
			}
			if rank < bestRank {
				best, bestRank = source{file, scale}, rank
			}
			break
		}
	}
	return best
}

// meter turns a counter that only grows into a rate per second.
type meter struct {
	last     float64
	at       time.Time
	lastRate Reading
}

// rate is the counter's growth since the last reading at least a tenth of a second ago.
func (m *meter) rate(v float64, now time.Time) Reading {
	switch elapsed := now.Sub(m.at).Seconds(); {
	case m.at.IsZero() || v < m.last: // the first reading, or the counter has wrapped
		m.lastRate = unknown(Counting)
	case elapsed < 0.1:
		return m.lastRate
	default:
		m.lastRate = known((v - m.last) / elapsed)
	}
	m.last, m.at = v, now
	return m.lastRate
}

func readNumber(root fs.FS, file string) (float64, bool) {
	b, err := fs.ReadFile(root, file)
	if err != nil {
		return 0, false
	}
	v, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 63)
	return float64(v), err == nil
}

func readHex(root fs.FS, file string) (uint64, bool) {
	b, err := fs.ReadFile(root, file)
	if err != nil {
		return 0, false
	}
	v, err := strconv.ParseUint(strings.TrimPrefix(strings.TrimSpace(string(b)), "0x"), 16, 32)
	return v, err == nil
}
