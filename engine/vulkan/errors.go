package vulkan

import (
	"errors"
	"fmt"

	vk "github.com/vulkan-go/vulkan"
)

// Kinds of failure, for errors.Is.
var (
	ErrNoLoader          = errors.New("no Vulkan loader")
	ErrNoDevice          = errors.New("no usable Vulkan device")
	ErrUnsupported       = errors.New("not supported by this device")
	ErrOutOfDeviceMemory = errors.New("out of device memory")
	ErrOutOfHostMemory   = errors.New("out of memory")
	ErrDeviceLost        = errors.New("device lost")
	ErrClosed            = errors.New("already closed")
)

// MemoryError is an ErrOutOfDeviceMemory with its figures, in bytes.
type MemoryError struct {
	Thing      string // what was to be allocated
	Need, Free int64
}

func (e *MemoryError) Error() string {
	return fmt.Sprintf("vulkan: allocate %q: %v: %d bytes (%.1f MiB) are needed and %d (%.1f MiB) are free; "+
		"close other programs that use the device, or take a model of smaller precision",
		e.Thing, ErrOutOfDeviceMemory, e.Need, float64(e.Need)/(1<<20), e.Free, float64(e.Free)/(1<<20))
}

func (e *MemoryError) Unwrap() error { return ErrOutOfDeviceMemory }

// NoDeviceError is an ErrNoDevice: nothing on this machine is what was asked for and can be used.
type NoDeviceError struct {
	Selector string       // what was asked for; "" for the best device
	Like     []DeviceInfo // those that the selector fits, none of them usable
	All      []DeviceInfo // empty where no driver is installed
}

func (e *NoDeviceError) Error() string {
	if len(e.All) == 0 {
		return fmt.Sprintf("vulkan: choose device: %v: no Vulkan driver is installed; install the graphics card's, "+
			"or Mesa's software driver, e.g. apt install mesa-vulkan-drivers", ErrNoDevice)
	}
	what := "none is usable"
	switch {
	case e.Selector != "" && len(e.Like) == 0:
		what = fmt.Sprintf("no device is called %q", e.Selector)
	case e.Selector != "":
		what = fmt.Sprintf("device %q cannot be used", e.Selector)
	}
	return fmt.Sprintf("vulkan: choose device: %v: %s; there are: %s", ErrNoDevice, what, listing(e.All))
}

func (e *NoDeviceError) Unwrap() error { return ErrNoDevice }

// check turns a Vulkan result into an error that names the operation and the thing; nil for success.
func check(r vk.Result, op, thing string) error {
	if r >= 0 {
		return nil
	}
	var kind error
	switch r {
	case vk.ErrorDeviceLost:
		kind = ErrDeviceLost
	case vk.ErrorOutOfDeviceMemory:
		kind = ErrOutOfDeviceMemory
	case vk.ErrorFeatureNotPresent, vk.ErrorExtensionNotPresent, vk.ErrorIncompatibleDriver:
		kind = ErrUnsupported
	case vk.ErrorOutOfHostMemory:
		kind = ErrOutOfHostMemory
	default:
		kind = fmt.Errorf("result %d of Vulkan", int32(r))
	}
	return fmt.Errorf("vulkan: %s %q: %w", op, thing, kind)
}

// deviceError is check for calls that may find the device lost: it remembers the loss and adds what the
// driver can say about its cause.
func (d *Device) deviceError(r vk.Result, op, thing string) error {
	err := check(r, op, thing)
	if r == vk.ErrorDeviceLost {
		return d.lose(err, d.fault())
	}
	return err
}

func (d *Device) lose(err error, why string) error {
	d.lost.Store(true)
	if why != "" {
		err = fmt.Errorf("%w (%s)", err, why)
	}
	return err
}
