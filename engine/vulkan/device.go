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
	ForceStaging bool  // never write device memory directly, even where it is mapped
	BlockBytes   int64 // upper size of a block that buffers share; 0 is 128 MiB
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

	queueMu sync.Mutex // guards the queue
	lost    atomic.Bool

	mu        sync.Mutex // guards what follows
	programs  map[*Program]struct{}
	uploaders map[*Uploader]struct{}
	closed    bool
}

// Open opens a device that Devices or Choose returned.
// Errors: ErrNoDevice for an unusable one, with its reason; ErrUnsupported for Profile where it has no timestamps.
func (in *Instance) Open(info DeviceInfo, o DeviceOptions) (*Device, error) {
	if !info.Usable || info.raw == nil {
		return nil, fmt.Errorf("vulkan: open device %q: %w: %s", info.Name, ErrNoDevice, info.Reason)
	}
	if o.Profile && !info.Features.Timestamps {
		return nil, fmt.Errorf("vulkan: open device %q: %w: it has no timestamps, so nothing can be profiled", info.Name, ErrUnsupported)
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
	ci := C.kv_device_info(info.raw, C.uint32_t(info.family))
	defer C.kv_free(ci)
	var err error
	d.handle, err = create("open device", info.Name, func(h *vk.Device) vk.Result {
		return vk.CreateDevice(info.physical, vk.NewDeviceCreateInfoRef(ci), nil, h)
	})
	if err != nil {
		return nil, err
	}
	d.table = C.kv_device_new(in.table, C.uint64_t(handle(&d.handle)), info.raw.features)
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

// Close waits for the device, writes the pipeline cache and frees everything that came from the device. It may
// be called twice.
func (d *Device) Close() {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return
	}
	d.closed = true
	var programs []*Program
	for p := range d.programs {
		programs = append(programs, p)
	}
	var uploaders []*Uploader
	for u := range d.uploaders {
		uploaders = append(uploaders, u)
	}
	d.mu.Unlock()
	d.queueMu.Lock()
	vk.DeviceWaitIdle(d.handle)
	d.queueMu.Unlock()
	for _, p := range programs {
		p.Free()
	}
	for _, u := range uploaders {
		u.Close()
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

// Heaps are the device's memories with their budget and use at this moment.
func (d *Device) Heaps() []Heap {
	heaps := slices.Clone(d.info.Heaps)
	var budget, used [16]C.uint64_t
	physical := d.info.physical
	known := d.info.Features.MemoryBudget
	C.kv_heaps_query(d.in.table, C.uint64_t(handle(&physical)), C.int(btoi(known)), &budget[0], &used[0])
	for i := range heaps {
		if known {
			heaps[i].Budget, heaps[i].Used = int64(budget[i]), int64(used[i])
		} else {
			heaps[i].Used = d.memory.heapUse(uint32(i))
		}
	}
	return heaps
}

// usable is an error where the device can no longer run anything.
func (d *Device) usable(op, thing string) error {
	if d.lost.Load() {
		return fmt.Errorf("vulkan: %s %q: %w; open the model again", op, thing, ErrDeviceLost)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return fmt.Errorf("vulkan: %s %q: the device is %w", op, thing, ErrClosed)
	}
	return nil
}

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
