// Package sensors reads what the system tells of a GPU beside Vulkan: how busy
// it is, its temperature, power and clock, the memory that is used on it by
// whom. It reads Linux's sysfs (amdgpu, i915, xe, nouveau), the DRM entries of
// /proc/*/fdinfo, and NVIDIA's management library (NVML) where that is there.
//
// Nothing here is needed to run a model. A value that cannot be had says why;
// on systems other than Linux none can be had.
//
// A Sensors is safe for concurrent use. Reading costs well under a millisecond:
// of /proc only a part is searched at each reading, and a GPU that is asleep is
// left asleep.
package sensors

import (
	"io/fs"
	"os"
	"runtime"
	"sync"
	"time"
)

// Reason says why a value is not known.
type Reason string

// The reasons.
const (
	NotAvailable Reason = "not available" // this system or driver does not tell
	Software     Reason = "software"      // the device is a processor's, not a GPU
	Asleep       Reason = "asleep"        // the GPU is suspended and a reading would wake it
	NoLibrary    Reason = "no library"    // NVIDIA's management library is not installed
	Ambiguous    Reason = "ambiguous"     // several GPUs are alike and Vulkan does not tell which one it is
	Counting     Reason = "counting"      // two readings are needed, or the programs are still being looked through
)

// Reading is one value, or why there is none.
type Reading struct {
	Value float64
	Known bool
	Why   Reason // where it is not known
}

func known(v float64) Reading  { return Reading{Value: v, Known: true} }
func unknown(r Reason) Reading { return Reading{Why: r} }

// Memory is one kind of the GPU's memory as all programs together use it, in bytes.
type Memory struct {
	Total, Used Reading
	// Others is what other programs than this one use.
	Others Reading
	// Partial tells that Others holds only the programs that this user may look at.
	Partial bool
}

// Program is another program that uses the GPU.
type Program struct {
	PID           int
	Name          string
	Local, Shared int64 // bytes of the GPU's own memory, and of main memory
}

// Snapshot is what is known of a GPU at one moment.
type Snapshot struct {
	Source      string  // "amdgpu", "i915", "xe", "nouveau", "NVML"; "" where nothing tells anything
	Busy        Reading // share of the time, 0 to 1
	BusyPartial bool    // Busy counts only the programs that this user may look at
	Temperature Reading // °C
	Power       Reading // W
	Clock       Reading // Hz
	Local       Memory  // the GPU's own
	Shared      Memory  // main memory that the GPU uses
	Programs    []Program
}

// nothing is the snapshot of a GPU of which nothing is known.
func nothing(r Reason) Snapshot {
	u := unknown(r)
	return Snapshot{Busy: u, Temperature: u, Power: u, Clock: u,
		Local: Memory{Total: u, Used: u, Others: u}, Shared: Memory{Total: u, Used: u, Others: u}}
}

// Device names a GPU by what Vulkan says of it.
type Device struct {
	VendorID, DeviceID uint32
	UUID               [16]byte
	PCI                string // "0000:03:00.0"; "" where unknown
	Software           bool
}

// Options say where to look. The zero value is right for users.
type Options struct {
	Root fs.FS            // holds sys and proc; nil for the system's own
	PID  int              // this process; 0 for the caller's own
	Now  func() time.Time // nil for time.Now
	NVML string           // NVIDIA's management library; "" for libnvidia-ml.so.1 where the loader finds it
}

// Sensors reads the GPUs of one system.
type Sensors struct {
	root fs.FS
	pid  int
	now  func() time.Time
	nvml string

	mu       sync.Mutex
	programs *programs
	library  nvmlLibrary // opened by the first NVIDIA device
	tried    bool
}

// New returns the sensors of a system. It reads nothing yet.
func New(o Options) *Sensors {
	s := &Sensors{root: o.Root, pid: o.PID, now: o.Now, nvml: o.NVML}
	if s.root == nil && runtime.GOOS == "linux" {
		s.root = os.DirFS("/")
	}
	if s.pid == 0 {
		s.pid = os.Getpid()
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.nvml == "" {
		s.nvml = "libnvidia-ml.so.1"
	}
	s.programs = newPrograms(s.root, s.pid)
	return s
}

// Close gives back NVIDIA's library. Readings after it are unknown.
func (s *Sensors) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.library != nil {
		s.library.close()
		s.library = nil
	}
	s.tried, s.root = true, nil
}

const vendorNVIDIA = 0x10de

// GPU is one device's sensors.
type GPU struct {
	s       *Sensors
	why     Reason // where there is nothing to read
	pci     *pciDevice
	nvidia  nvmlDevice
	energy  meter
	engines engineMeter
}

// GPU finds the sensors of a device. It never fails: where there are none, the
// readings say why.
func (s *Sensors) GPU(d Device) *GPU {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := &GPU{s: s}
	if d.Software {
		g.why = Software
		return g
	}
	if s.root == nil {
		g.why = NotAvailable
		return g
	}
	g.pci, g.why = findPCI(s.root, d)
	if d.VendorID == vendorNVIDIA {
		if library := s.openNVML(); library != nil {
			if g.nvidia = library.device(d.UUID, d.PCI); g.nvidia != nil {
				g.why = ""
			}
		} else if g.why == "" && g.pci.driver == "nvidia" {
			g.why = NoLibrary
		}
	}
	return g
}

func (s *Sensors) openNVML() nvmlLibrary {
	if !s.tried {
		s.tried = true
		s.library = loadNVML(s.nvml)
	}
	return s.library
}

// Read reads the sensors. engineLocal is what this program is known to have
// allocated of the GPU's own memory; it is taken off the whole where the system
// does not tell this program's share itself.
func (g *GPU) Read(engineLocal int64) Snapshot {
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	if g.s.root == nil {
		return nothing(NotAvailable)
	}
	if g.nvidia != nil && g.s.library != nil {
		return g.nvidia.read(g.s.pid, engineLocal)
	}
	if g.why != "" {
		return nothing(g.why)
	}
	if g.pci.asleep() {
		g.energy, g.engines = meter{}, engineMeter{}
		snap := nothing(Asleep)
		snap.Source = g.pci.driver
		return snap
	}
	return g.readSystem(engineLocal)
}

// readSystem reads sysfs and fdinfo.
func (g *GPU) readSystem(engineLocal int64) Snapshot {
	now := g.s.now()
	snap := g.pci.read(&g.energy, now)
	use := g.s.programs.read(g.pci.address, now)
	if !snap.Busy.Known {
		if busy := g.engines.busy(use.clients, now); busy.Known || busy.Why == Counting {
			snap.Busy, snap.BusyPartial = busy, true
		}
	}
	snap.Programs = use.others
	others := func(m *Memory, own int64, ownKnown bool, readable int64) {
		if m.Used.Known && ownKnown {
			m.Others = known(max(0, m.Used.Value-float64(own)))
			return
		}
		m.Partial = true
		switch {
		case !use.tells:
			m.Others = unknown(NotAvailable)
		case !use.complete:
			m.Others = unknown(Counting)
		default:
			m.Others = known(float64(readable))
		}
	}
	// The larger of the two: fdinfo also counts what the window's drawing takes.
	others(&snap.Local, max(use.ownLocal, engineLocal), use.ownKnown || engineLocal > 0, use.othersLocal)
	others(&snap.Shared, use.ownShared, use.ownKnown, use.othersShared)
	return snap
}
