// Package vulkan is Kestrel's face of a compute device: it finds Vulkan, chooses a device, hands out memory
// and pipelines, and records programs that are replayed many times.
//
// A program is recorded once: each dispatch names the byte ranges it reads and writes, and the recorder puts
// a memory barrier exactly where a range would otherwise be read or written too early. Running a recorded
// program costs one call to submit and one to wait, for each part between two calls of Split.
//
// Concurrency. An Instance, a Device and a Buffer may be used from several goroutines; the device's one queue
// is guarded. A Recorder belongs to one goroutine. A Program, an Uploader and each transfer guard themselves:
// a second Run of the same program waits for the first. What the package cannot know is the order in which
// different goroutines touch the same buffer: programs submitted one after the other see each other's writes,
// but a buffer may be written by the host (Bytes, Upload, Uploader) only while no submitted program uses it.
//
// Ownership. Device.Close frees all that the device handed out and Instance.Close closes its devices; a
// Buffer that a Program names stays alive until that Program is freed as well.
//
// Errors name the operation and the thing; their kinds are ErrNoLoader, ErrNoDevice, ErrUnsupported,
// ErrOutOfDeviceMemory, ErrDeviceLost and ErrClosed. After ErrDeviceLost only Close is of use.
//
// Building needs cgo, a C compiler and the Vulkan headers (libvulkan-dev, vulkan-headers), no Vulkan library: that
// is opened at run time, libvulkan.so.1 on Linux, vulkan-1.dll on Windows, the loader or MoltenVK on macOS. Where
// the headers lie in a folder of their own, name it by CGO_CFLAGS="-O2 -idirafter FOLDER" and not by -I, which
// would hide the older headers that the binding brings. On macOS the binding links MoltenVK itself:
// CGO_LDFLAGS="-L$(brew --prefix)/lib".
//
// The calls go through github.com/vulkan-go/vulkan wherever that binding is safe: instance, device, queue,
// memory, buffers, layouts, pools, shader modules, caches, fences. It has no function younger than Vulkan 1.0,
// and its calls that take slices of structures free them by a finalizer that may run during the call; those
// go through the C files beside this one (shim.h), which take flat arrays without pointers.
package vulkan
