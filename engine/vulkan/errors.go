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
	ErrDeviceLost        = errors.New("device lost")
	ErrClosed            = errors.New("already closed")
)

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
		kind = errors.New("out of memory")
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
		d.lost.Store(true)
		if why := d.fault(); why != "" {
			err = fmt.Errorf("%w (%s)", err, why)
		}
	}
	return err
}
