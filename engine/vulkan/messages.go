package vulkan

// #include "shim.h"
import "C"

import (
	"runtime/cgo"
	"strings"
)

// kestrelVulkanMessage receives the validation layer's warnings and errors; user is the handle of the
// instance's OnMessage function. The layer may call it from any thread.
//
//export kestrelVulkanMessage
func kestrelVulkanMessage(user C.uintptr_t, severity C.uint32_t, id, text *C.char) {
	level := "warning"
	if severity&C.VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT != 0 {
		level = "error"
	}
	line := C.GoString(text)
	if name := C.GoString(id); !strings.Contains(line, name) {
		line = name + ": " + line
	}
	cgo.Handle(user).Value().(func(severity, text string))(level, line)
}
