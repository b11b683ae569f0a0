package vulkan

// #include "shim.h"
// #include <stdlib.h>
import "C"

import (
	"fmt"
	"runtime"
	"runtime/cgo"
	"sync"
	"unsafe"

	vk "github.com/vulkan-go/vulkan"
)

const (
	api11 = 1<<22 | 1<<12
	api13 = 1<<22 | 3<<12

	// The first headers with VK_KHR_cooperative_matrix and with VK_KHR_shader_bfloat16.
	apiCooperative = 1<<22 | 3<<12 | 255
	apiBFloat16    = 1<<22 | 4<<12 | 311

	validationLayer = "VK_LAYER_KHRONOS_validation"
)

// InstanceOptions says how to open Vulkan. The zero value is right for users.
type InstanceOptions struct {
	// Validation turns on the Khronos validation layer with synchronization validation and best practices.
	Validation bool
	// OnMessage receives the layer's messages ("warning" or "error", and the text), from any goroutine.
	// It is needed where Validation is set.
	OnMessage func(severity, text string)
}

// Instance is an open Vulkan: the list of devices, and the way to open one.
type Instance struct {
	handle   vk.Instance
	table    *C.kv_instance
	messages cgo.Handle // 0 without validation
	unknown  uint32     // features that the validation layer does not know

	mu      sync.Mutex
	devices map[*Device]struct{}
	closed  bool
}

// NewInstance opens the Vulkan loader and an instance of at least version 1.1.
// Errors: ErrNoLoader or ErrNoDevice (no driver) with what to install; ErrUnsupported where the loader is older than 1.1 or validation is
// asked for and its layer is not installed.
func NewInstance(o InstanceOptions) (*Instance, error) {
	get, err := loadBinding()
	if err != nil {
		return nil, err
	}
	version := uint32(C.kv_instance_version(get))
	if version < api11 {
		return nil, fmt.Errorf("vulkan: open instance: %w: the loader offers Vulkan %s and 1.1 is needed; %s",
			ErrUnsupported, versionString(version), loaderAdvice(runtime.GOOS))
	}
	in := &Instance{devices: map[*Device]struct{}{}}
	var validation C.uint32_t // version of the layer, 0 without
	if o.Validation {
		if o.OnMessage == nil {
			return nil, fmt.Errorf("vulkan: open instance: validation needs an OnMessage function")
		}
		layer := C.CString(validationLayer)
		defer C.free(unsafe.Pointer(layer))
		validation = C.kv_layer_version(get, layer)
		if validation == 0 {
			return nil, fmt.Errorf("vulkan: open instance: %w: the Khronos validation layer is not installed, "+
				"e.g. apt install vulkan-validationlayers", ErrUnsupported)
		}
		if !cCheck("VK_EXT_validation_features", func(s *C.char) C.int { return C.kv_has_instance_extension(get, layer, s) }) {
			return nil, fmt.Errorf("vulkan: open instance: %w: the Khronos validation layer lacks VK_EXT_validation_features", ErrUnsupported)
		}
		in.messages = cgo.NewHandle(o.OnMessage)
		in.unknown = unknownTo(uint32(validation))
	}
	portability := 0
	if cCheck("VK_KHR_portability_enumeration", func(s *C.char) C.int { return C.kv_has_instance_extension(get, nil, s) }) {
		portability = 1
	}
	info := C.kv_instance_info(C.uint32_t(min(version, api13)), C.int(portability), validation, C.uintptr_t(in.messages))
	defer C.kv_free(info)
	noDriver := false
	in.handle, err = create("open", "instance", func(h *vk.Instance) vk.Result {
		r := vk.CreateInstance(vk.NewInstanceCreateInfoRef(info), nil, h)
		noDriver = r == vk.ErrorIncompatibleDriver
		return r
	})
	if noDriver {
		err = &NoDeviceError{}
	}
	if err != nil {
		in.release()
		return nil, err
	}
	if err := loadInstanceFunctions(in.handle); err != nil {
		in.release()
		return nil, err
	}
	in.table = C.kv_instance_new(get, C.uint64_t(handle(&in.handle)), C.int(btoi(o.Validation)), C.uintptr_t(in.messages))
	if in.table == nil {
		vk.DestroyInstance(in.handle, nil)
		in.release()
		return nil, fmt.Errorf("vulkan: open instance: %w: functions of Vulkan 1.1 are missing", ErrUnsupported)
	}
	return in, nil
}

// Close closes the instance's devices and then the instance. It may be called twice.
func (in *Instance) Close() {
	in.mu.Lock()
	if in.closed {
		in.mu.Unlock()
		return
	}
	in.closed = true
	var open []*Device
	for d := range in.devices {
		open = append(open, d)
	}
	in.mu.Unlock()
	for _, d := range open {
		d.Close()
	}
	C.kv_instance_free(in.table)
	vk.DestroyInstance(in.handle, nil)
	in.release()
}

// unknownTo are the features that a validation layer written for that version takes for misuse: it looks at the rest only
// where they stay off.
func unknownTo(layer uint32) (features uint32) {
	if layer < apiCooperative {
		features |= C.KV_COOPERATIVE
	}
	if layer < apiBFloat16 {
		features |= C.KV_BFLOAT16
	}
	return features
}

// release gives back the Go handle that the message callback carries.
func (in *Instance) release() {
	if in.messages != 0 {
		in.messages.Delete()
		in.messages = 0
	}
}

// handle reads a Vulkan handle as a number without ever holding it as a Go pointer: drivers may use any bits.
func handle[T any](h *T) uint64 { return *(*uint64)(unsafe.Pointer(h)) }

// create calls f with a place for a new handle. The place is a variable of its own because the binding may be
// given no pointer into a structure that holds Go pointers.
func create[T any](op, thing string, f func(*T) vk.Result) (T, error) {
	var h T
	err := check(f(&h), op, thing)
	return h, err
}

// cCheck calls f with a C copy of s.
func cCheck(s string, f func(*C.char) C.int) bool {
	c := C.CString(s)
	defer C.free(unsafe.Pointer(c))
	return f(c) != 0
}

func versionString(v uint32) string {
	return fmt.Sprintf("%d.%d.%d", v>>22&0x7f, v>>12&0x3ff, v&0xfff)
}
