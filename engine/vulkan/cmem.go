package vulkan

// #include <stdlib.h>
import "C"

import "unsafe"

// cBytes copies b into C memory; free it with cFree.
func cBytes(b []byte) unsafe.Pointer { return C.CBytes(b) }

func cFree(p unsafe.Pointer) { C.free(p) }
