package vulkan

// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	vk "github.com/vulkan-go/vulkan"
)

// DeviceOptions says how to open a device. The zero value is right for most.
type DeviceOptions struct {
	CacheDir string       // folder of the pipeline cache file; "" keeps no file
	Warn     func(string) // told of trouble that does not stop the work, e.g. an unwritable CacheDir; may be nil

	Profile      bool  // time every dispatch (Program.Profile)
	Statistics   bool  // keep what the driver's compiler tells of each pipeline (Device.Compiled)
	ForceStaging bool  // never write device memory directly, even where it is mapped
	BlockBytes   int64 // upper size of a block that buffers share; 0 is 128 MiB
	MemoryLimit  int64 // most bytes to allocate in the heap of device memory; 0 is what the device has
}

// Device is an open device with one compute queue.
type Device struct {
	in       *Instance
	info     DeviceInfo
	o        DeviceOptions
	handle   vk.Device
	table    *C.kv_device
	queue    vk.Queue
	memory   *memory
	pipes    *pipelines
	transfer transfer

	life   sync.RWMutex // read-held by every call that uses the device, so that Close can wait for them
	closed bool         // guarded by life
	lost   atomic.Bool

	queueMu sync.Mutex // guards the queue

	mu        sync.Mutex // guards what follows
	programs  map[*Program]struct{}
	uploaders map[*Uploader]struct{}
}

// Open opens a device that Devices or Choose returned.
// Errors: ErrNoDevice for an unusable one, with its reason; ErrUnsupported for Profile where it has no timestamps, and
// for Statistics where its driver keeps none.
func (in *Instance) Open(info DeviceInfo, o DeviceOptions) (*Device, error) {
	if !info.Usable || info.raw == nil {
		return nil, fmt.Errorf("vulkan: open device %q: %w: %s", info.Name, ErrNoDevice, info.Reason)
	}
	if o.Profile && !info.Features.Timestamps {
		return nil, fmt.Errorf("vulkan: open device %q: %w: it has no timestamps, so nothing can be profiled", info.Name, ErrUnsupported)
	}
	features := info.raw.features
	if !o.Statistics {
		features &^= C.KV_STATISTICS
	} else if !info.Features.Statistics {
		return nil, fmt.Errorf("vulkan: open device %q: %w: its driver tells nothing of what it compiles", info.Name, ErrUnsupported)
	}
	if o.BlockBytes <= 0 {
		o.BlockBytes = defaultBlock
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed {
		return nil, fmt.Errorf("vulkan: open device %q: the instance is %w", info.Name, ErrClosed)
	}
	d := &Device{in: in, info: info, o: o, programs: map[*Program]struct{}{}, uploaders: map[*Uploader]struct{}{}}
	ci := C.kv_device_info(info.raw, C.uint32_t(info.family), features)
	defer C.kv_free(ci)
	var err error
	d.handle, err = create("open device", info.Name, func(h *vk.Device) vk.Result {
		return vk.CreateDevice(info.physical, vk.NewDeviceCreateInfoRef(ci), nil, h)
	})
	if err != nil {
		return nil, err
	}
	d.table = C.kv_device_new(in.table, C.uint64_t(handle(&d.handle)), features)
	if d.table == nil {
		vk.DestroyDevice(d.handle, nil)
		return nil, fmt.Errorf("vulkan: open device %q: %w: its driver lacks functions of Vulkan 1.1", info.Name, ErrUnsupported)
	}
	var queue vk.Queue
	vk.GetDeviceQueue(d.handle, info.family, 0, &queue)
	d.queue = queue
	if d.memory, err = newMemory(d); err == nil {
		d.pipes, err = newPipelines(d)
	}
	if err != nil {
		d.destroy()
		return nil, err
	}
	in.devices[d] = struct{}{}
	return d, nil
}

// Close waits for calls under way and for the device, writes the pipeline cache and frees everything that came
// from the device; calls after it are ErrClosed. It may be called twice.
func (d *Device) Close() {
	d.life.Lock()
	closed := d.closed
	d.closed = true
	d.life.Unlock()
	if closed {
		return
	}
	// From here on no other call touches the device.
	vk.DeviceWaitIdle(d.handle)
	for p := range d.programs {
		p.free()
	}
	for u := range d.uploaders {
		u.free()
	}
	d.destroy()
	d.in.mu.Lock()
	delete(d.in.devices, d)
	d.in.mu.Unlock()
}

// destroy frees what the device owns itself; programs and uploaders are gone.
func (d *Device) destroy() {
	d.transfer.free(d)
	if d.pipes != nil {
		d.pipes.free()
	}
	if d.memory != nil {
		d.memory.free()
	}
	C.kv_device_free(d.table)
	vk.DestroyDevice(d.handle, nil)
}

// Info describes the device as it was when it was listed.
func (d *Device) Info() DeviceInfo { return d.info }

// Limits are the sizes a kernel has to keep to.
func (d *Device) Limits() Limits { return d.info.Limits }

// Features are the optional abilities that are enabled.
func (d *Device) Features() Features { return d.info.Features }

// Heaps are the device's memories with their budget and use at this moment. Without VK_EXT_memory_budget, Used
// is what this device has allocated.
func (d *Device) Heaps() []Heap {
	if d.enter("read", "heaps") != nil {
		return slices.Clone(d.info.Heaps)
	}
	defer d.leave()
	d.memory.mu.Lock()
	defer d.memory.mu.Unlock()
	return d.memory.heaps()
}

// enter begins a call that uses the device; leave ends it unless enter gives an error. Calls do not nest: a
// waiting Close would lock them out.
func (d *Device) enter(op, thing string) error {
	d.life.RLock()
	switch {
	case d.closed:
		d.life.RUnlock()
		return fmt.Errorf("vulkan: %s %q: the device is %w", op, thing, ErrClosed)
	case d.lost.Load():
		d.life.RUnlock()
		return fmt.Errorf("vulkan: %s %q: %w; open the model again", op, thing, ErrDeviceLost)
	}
	return nil
}

func (d *Device) leave() { d.life.RUnlock() }

// fault is what VK_EXT_device_fault knows about the loss of the device, "" where it knows nothing.
func (d *Device) fault() string {
	var text [1024]C.char
	if C.kv_fault(d.table, &text[0], C.uint32_t(len(text))) == 0 {
		return ""
	}
	return strings.TrimSpace(C.GoString(&text[0]))
}

// setName names an object in the validation layer's messages; it does nothing without validation.
func (d *Device) setName(objectType uint32, h uint64, name string) {
	if d.in.messages == 0 {
		return
	}
	cCheck(name, func(s *C.char) C.int { C.kv_set_name(d.table, C.uint32_t(objectType), C.uint64_t(h), s); return 0 })
}

func (d *Device) warn(format string, args ...any) {
	if d.o.Warn != nil {
		d.o.Warn(fmt.Sprintf(format, args...))
	}
}

var errNoMemory = errors.New("out of memory")

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
