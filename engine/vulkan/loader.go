package vulkan

// #cgo linux freebsd LDFLAGS: -ldl
// #include "shim.h"
// #include <stdlib.h>
import "C"

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	vk "github.com/vulkan-go/vulkan"
)

// loaderNames are the libraries tried, in order. On macOS the Vulkan loader comes first, since only it knows
// the validation layer; MoltenVK alone is a complete driver too.
func loaderNames(goos string) []string {
	switch goos {
	case "windows":
		return []string{"vulkan-1.dll"}
	case "darwin":
		names := []string{"libvulkan.1.dylib", "/opt/homebrew/lib/libvulkan.1.dylib", "/usr/local/lib/libvulkan.1.dylib",
			"libMoltenVK.dylib", "/opt/homebrew/lib/libMoltenVK.dylib", "/usr/local/lib/libMoltenVK.dylib"}
		if exe, err := os.Executable(); err == nil { // an app bundle brings its own
			names = append(names, filepath.Join(filepath.Dir(exe), "..", "Frameworks", "libMoltenVK.dylib"))
		}
		return names
	default:
		return []string{"libvulkan.so.1", "libvulkan.so"}
	}
}

// loaderAdvice says what to install where no loader is found.
func loaderAdvice(goos string) string {
	switch goos {
	case "windows":
		return "install a current graphics driver, which brings vulkan-1.dll"
	case "darwin":
		return "install MoltenVK, e.g. brew install molten-vk vulkan-loader"
	default:
		return "install the Vulkan loader and a driver, e.g. apt install libvulkan1 mesa-vulkan-drivers, " +
			"dnf install vulkan-loader mesa-vulkan-drivers or pacman -S vulkan-icd-loader"
	}
}

// openLoader opens the first library that loads and returns its vkGetInstanceProcAddr.
func openLoader(names []string) (unsafe.Pointer, error) {
	var why []string
	for _, name := range names {
		cname := C.CString(name)
		var text [256]C.char
		f := C.kv_open_library(cname, &text[0], C.uint32_t(len(text)))
		C.free(unsafe.Pointer(cname))
		if f != nil {
			return f, nil
		}
		why = append(why, C.GoString(&text[0]))
	}
	return nil, fmt.Errorf("vulkan: open loader: %w: %s (%s)", ErrNoLoader, loaderAdvice(runtime.GOOS), strings.Join(why, "; "))
}

// The binding keeps its function pointers in globals. They are the loader's trampolines, the same for every
// instance, so they are set once: before the first instance and, for functions of an instance, after it.
var binding struct {
	sync.Mutex
	getInstanceProcAddr unsafe.Pointer
	instanceLoaded      bool
}

// loadBinding opens the loader on first use and hands it to the binding.
func loadBinding() (unsafe.Pointer, error) {
	binding.Lock()
	defer binding.Unlock()
	if binding.getInstanceProcAddr != nil {
		return binding.getInstanceProcAddr, nil
	}
	f, err := openLoader(loaderNames(runtime.GOOS))
	if err != nil {
		return nil, err
	}
	vk.SetGetInstanceProcAddr(f)
	if err := vk.Init(); err != nil {
		return nil, fmt.Errorf("vulkan: %w: %v", ErrNoLoader, err)
	}
	binding.getInstanceProcAddr = f
	return f, nil
}

// loadInstanceFunctions lets the binding load the functions that need an instance.
func loadInstanceFunctions(in vk.Instance) error {
	binding.Lock()
	defer binding.Unlock()
	if binding.instanceLoaded {
		return nil
	}
	if err := vk.InitInstance(in); err != nil {
		return fmt.Errorf("vulkan: load instance functions: %v", err)
	}
	binding.instanceLoaded = true
	return nil
}
