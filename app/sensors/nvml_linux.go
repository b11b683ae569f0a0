package sensors

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/ebitengine/purego"
)

// nvml holds the functions of libnvidia-ml.so.1 that are used, in the fixed
// binary interface that nvml.h documents; each returns 0 for success. One that
// an older driver lacks stays nil.
type nvml struct {
	handle uintptr

	init          func() int32
	shutdown      func() int32
	count         func(n *uint32) int32
	byIndex       func(i uint32, device *uintptr) int32
	uuid          func(device uintptr, text *byte, size uint32) int32
	pciInfo       func(device uintptr, info *nvmlPCI) int32
	memoryInfo    func(device uintptr, m *nvmlMemory) int32
	utilization   func(device uintptr, u *nvmlUtilization) int32
	temperature   func(device uintptr, sensor uint32, celsius *uint32) int32
	power         func(device uintptr, milliwatts *uint32) int32
	clock         func(device uintptr, kind uint32, megahertz *uint32) int32
	computeUsers  func(device uintptr, n *uint32, infos *nvmlProcess) int32
	graphicsUsers func(device uintptr, n *uint32, infos *nvmlProcess) int32
}

// nvmlPCI is nvmlPciInfo_t.
type nvmlPCI struct {
	_                   [16]byte // the address in an older form
	domain, bus, device uint32
	_                   [40]byte // ids and the address again
}

// nvmlMemory is nvmlMemory_t: bytes.
type nvmlMemory struct{ total, _, used uint64 }

// nvmlUtilization is nvmlUtilization_t: per cent.
type nvmlUtilization struct{ gpu, _ uint32 }

// nvmlProcess is nvmlProcessInfo_t as of the functions with the suffix _v3.
type nvmlProcess struct {
	pid        uint32
	usedMemory uint64 // all ones where it is not known
	_          [2]uint32
}

const (
	nvmlSensorGPU   = 0 // NVML_TEMPERATURE_GPU
	nvmlClockSM     = 1 // NVML_CLOCK_SM
	nvmlUnknownSize = ^uint64(0)
	nvmlMaxUsers    = 256
)

// loadNVML opens the library and starts it; nil where that is not possible. The
// library is looked for at run time only, so that a program built with this runs
// on machines without it. (Linking against its header's functions, as NVIDIA's
// own binding does, makes a program that a linker's -z now keeps from starting.)
func loadNVML(name string) nvmlLibrary {
	handle, err := purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil
	}
	n := &nvml{handle: handle}
	for _, f := range []struct {
		ptr    any
		symbol string
		needed bool
	}{
		{&n.init, "nvmlInit_v2", true},
		{&n.shutdown, "nvmlShutdown", true},
		{&n.count, "nvmlDeviceGetCount_v2", true},
		{&n.byIndex, "nvmlDeviceGetHandleByIndex_v2", true},
		{&n.uuid, "nvmlDeviceGetUUID", false},
		{&n.pciInfo, "nvmlDeviceGetPciInfo_v3", false},
		{&n.memoryInfo, "nvmlDeviceGetMemoryInfo", false},
		{&n.utilization, "nvmlDeviceGetUtilizationRates", false},
		{&n.temperature, "nvmlDeviceGetTemperature", false},
		{&n.power, "nvmlDeviceGetPowerUsage", false},
		{&n.clock, "nvmlDeviceGetClockInfo", false},
		{&n.computeUsers, "nvmlDeviceGetComputeRunningProcesses_v3", false},
		{&n.graphicsUsers, "nvmlDeviceGetGraphicsRunningProcesses_v3", false},
	} {
		symbol, err := purego.Dlsym(handle, f.symbol)
		switch {
		case err == nil:
			purego.RegisterFunc(f.ptr, symbol)
		case f.needed:
			_ = purego.Dlclose(handle)
			return nil
		}
	}
	if n.init() != 0 { // no NVIDIA kernel driver, or one of another version
		_ = purego.Dlclose(handle)
		return nil
	}
	return n
}

func (n *nvml) close() {
	n.shutdown()
	_ = purego.Dlclose(n.handle)
}

func (n *nvml) device(uuid [16]byte, pci string) nvmlDevice {
	var count uint32
	if n.count(&count) != 0 {
		return nil
	}
	want := fmt.Sprintf("GPU-%x-%x-%x-%x-%x", uuid[:4], uuid[4:6], uuid[6:8], uuid[8:10], uuid[10:])
	for i := range min(count, 64) {
		var device uintptr
		if n.byIndex(i, &device) != 0 {
			continue
		}
		if n.uuidOf(device) == want || pci != "" && n.pciOf(device) == pci {
			return &nvmlGPU{n, device}
		}
	}
	return nil
}

func (n *nvml) uuidOf(device uintptr) string {
	var text [96]byte
	if n.uuid == nil || n.uuid(device, &text[0], uint32(len(text))) != 0 {
		return ""
	}
	s, _, _ := bytes.Cut(text[:], []byte{0})
	return strings.TrimSpace(string(s))
}

func (n *nvml) pciOf(device uintptr) string {
	var info nvmlPCI
	if n.pciInfo == nil || n.pciInfo(device, &info) != 0 {
		return ""
	}
	return fmt.Sprintf("%04x:%02x:%02x.0", info.domain, info.bus, info.device)
}

type nvmlGPU struct {
	n      *nvml
	device uintptr
}

func (g *nvmlGPU) read(pid int, engineLocal int64) Snapshot {
	n := g.n
	snap := nothing(NotAvailable)
	snap.Source = "NVML"
	var u nvmlUtilization
	if n.utilization != nil && n.utilization(g.device, &u) == 0 {
		snap.Busy = known(float64(u.gpu) / 100)
	}
	var v uint32
	if n.temperature != nil && n.temperature(g.device, nvmlSensorGPU, &v) == 0 {
		snap.Temperature = known(float64(v))
	}
	if n.power != nil && n.power(g.device, &v) == 0 {
		snap.Power = known(float64(v) / 1e3)
	}
	if n.clock != nil && n.clock(g.device, nvmlClockSM, &v) == 0 {
		snap.Clock = known(float64(v) * 1e6)
	}
	own, listed, others := g.users(pid)
	snap.Programs = others
	own = max(own, engineLocal)
	var m nvmlMemory
	if n.memoryInfo == nil || n.memoryInfo(g.device, &m) != 0 {
		return snap
	}
	snap.Local.Total, snap.Local.Used = known(float64(m.total)), known(float64(m.used))
	if listed || engineLocal > 0 {
		snap.Local.Others = known(max(0, float64(m.used)-float64(own)))
	}
	return snap
}

// users asks who uses the GPU; listed tells whether this process is among them
// with its memory.
func (g *nvmlGPU) users(pid int) (own int64, listed bool, others []Program) {
	sizes := map[int]int64{}
	for _, ask := range []func(uintptr, *uint32, *nvmlProcess) int32{g.n.computeUsers, g.n.graphicsUsers} {
		if ask == nil {
			continue
		}
		infos := make([]nvmlProcess, nvmlMaxUsers)
		count := uint32(len(infos))
		if ask(g.device, &count, &infos[0]) != 0 {
			continue
		}
		for _, info := range infos[:min(count, uint32(len(infos)))] {
			if info.usedMemory != nvmlUnknownSize {
				// a process may be in both lists, with the same memory
				sizes[int(info.pid)] = max(sizes[int(info.pid)], int64(min(info.usedMemory, 1<<50)))
			}
		}
	}
	for user, size := range sizes {
		if user == pid {
			own, listed = size, true
			continue
		}
		name, _ := os.ReadFile("/proc/" + strconv.Itoa(user) + "/comm")
		others = append(others, Program{PID: user, Name: strings.TrimSpace(string(name)), Local: size})
	}
	slices.SortFunc(others, func(a, b Program) int {
		return cmp.Or(cmp.Compare(b.Local, a.Local), cmp.Compare(a.PID, b.PID))
	})
	return own, listed, others
}
