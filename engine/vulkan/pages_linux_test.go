package vulkan_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"unsafe"

	"kestrel/engine/vulkan"
	"kestrel/engine/vulkan/vulkantest"
)

// mapping is the line of /proc/self/maps that an address is in; "" for none.
func mapping(t *testing.T, at uintptr) string {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(maps)) {
		var from, to uintptr
		if _, err := fmt.Sscanf(line, "%x-%x", &from, &to); err == nil && from <= at && at < to {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

// A device on the CPU computes in pages of this process, which go back when their buffer is freed.
func TestOwnPages(t *testing.T) {
	const size = 9<<20 + 4
	d := vulkantest.OpenWith(t, vulkan.DeviceOptions{BlockBytes: 16 << 20})
	if !d.Info().Features.HostMemory {
		t.Skip("this device does not take memory of the program for its own")
	}
	b, err := d.NewHostBuffer("own", vulkan.Saved, size) // over a quarter of a block: one of its own
	if err != nil {
		t.Fatal(err)
	}
	at := uintptr(unsafe.Pointer(unsafe.SliceData(b.Bytes())))
	if line := mapping(t, at); len(strings.Fields(line)) != 5 {
		t.Errorf("the buffer is in %q, want memory without a file", line)
	}
	want := bytes.Repeat([]byte("0123456789ab"), size/12+1)[:size]
	if err := d.Upload(context.Background(), b.Whole(), want); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, size)
	if err := d.Download(context.Background(), got, b.Whole()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("what was written is not what is read")
	}
	b.Free()
	if line := mapping(t, at); line != "" {
		t.Errorf("the buffer was freed and its pages were not: %s", line)
	}
}
