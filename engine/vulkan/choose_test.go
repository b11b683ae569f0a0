package vulkan

import (
	"errors"
	"math/bits"
	"runtime"
	"strings"
	"testing"

	vk "github.com/vulkan-go/vulkan"
)

func TestChoose(t *testing.T) {
	device := func(name string, kind DeviceType, reason string) DeviceInfo {
		return DeviceInfo{Name: name, Type: kind, Usable: reason == "", Reason: reason}
	}
	machine := []DeviceInfo{
		device("llvmpipe (LLVM 15)", Software, ""),
		device("Intel UHD 620", Integrated, ""),
		device("GeForce GT 610", Discrete, "it offers Vulkan 1.0.5 and 1.1 is needed"),
		device("Radeon RX 7600", Discrete, ""),
		device("Venus", Virtual, ""),
	}
	for i := range machine {
		machine[i].Index = i
	}
	for _, c := range []struct {
		name     string
		all      []DeviceInfo
		selector string
		want     int
		errors   []string // parts of the error instead
	}{
		{"best", machine, "", 3, nil},
		{"best without discrete", machine[:3], "", 1, nil},
		{"virtual before software", []DeviceInfo{machine[0], machine[4]}, "", 4, nil},
		{"by index", machine, "0", 0, nil},
		{"by index with spaces", machine, " 1 ", 1, nil},
		{"by name", machine, "uhd", 1, nil},
		{"best of those with the name", machine, "e", 3, nil},
		{"unusable index", machine, "2", 0, []string{`device "2" cannot be used`, "it offers Vulkan 1.0.5", "3: Radeon RX 7600 (discrete)"}},
		{"unusable name", machine, "geforce", 0, []string{`device "geforce" cannot be used`, "not usable: it offers"}},
		{"unknown index", machine, "9", 0, []string{`no device is called "9"`, "0: llvmpipe"}},
		{"negative index", machine, "-1", 0, []string{`no device is called "-1"`}},
		{"unknown name", machine, "Voodoo", 0, []string{`no device is called "Voodoo"`, "4: Venus (virtual)"}},
		{"none usable", machine[2:3], "", 0, []string{"none is usable", "it offers Vulkan 1.0.5"}},
		{"none at all", nil, "", 0, []string{"no Vulkan driver is installed", "mesa-vulkan-drivers"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := choose(c.all, c.selector)
			if c.errors == nil {
				if err != nil || got.Index != c.want {
					t.Fatalf("chose %d, %v; want %d", got.Index, err, c.want)
				}
				return
			}
			if !errors.Is(err, ErrNoDevice) {
				t.Fatalf("error %v is not ErrNoDevice", err)
			}
			for _, part := range c.errors {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not say %q", err, part)
				}
			}
		})
	}
}

func TestRefusal(t *testing.T) {
	good := func() facts {
		return facts{api: api11, families: []family{{flags: 1}, {flags: 3, timestampBits: 64}}, stages: 0x20, operations: 0x01 | 0x04 | 0x10,
			limits: Limits{SubgroupSize: 32, MaxSharedBytes: 16 << 10, MaxInvocations: 128, MaxPushBytes: 128}}
	}
	for _, c := range []struct {
		name   string
		spoil  func(*facts)
		reason string
	}{
		{"good", func(*facts) {}, ""},
		{"old", func(f *facts) { f.api = 1 << 22 }, "Vulkan 1.0.0 and 1.1 is needed"},
		{"graphics only", func(f *facts) { f.families = f.families[:1] }, "no compute queue"},
		{"no queue", func(f *facts) { f.families = nil }, "no compute queue"},
		{"subgroups in fragment shaders only", func(f *facts) { f.stages = 0x10 }, "no subgroup operations in compute"},
		{"no basic", func(f *facts) { f.operations &^= 1 }, "no subgroup basic"},
		{"no arithmetic", func(f *facts) { f.operations &^= 4 }, "no subgroup arithmetic"},
		{"no shuffle", func(f *facts) { f.operations &^= 0x10 }, "no subgroup shuffle"},
		{"one lane", func(f *facts) { f.limits.SubgroupSize = 1 }, "1 lanes"},
		{"little shared memory", func(f *facts) { f.limits.MaxSharedBytes = 8 << 10 }, "8192 bytes of shared memory"},
		{"small workgroups", func(f *facts) { f.limits.MaxInvocations = 64 }, "64 invocations"},
		{"few push constants", func(f *facts) { f.limits.MaxPushBytes = 64 }, "64 bytes of push constants"},
	} {
		f := good()
		c.spoil(&f)
		if got := f.refusal().String(); (c.reason == "") != (got == "") || !strings.Contains(got, c.reason) {
			t.Errorf("%s: reason %q, want %q", c.name, got, c.reason)
		}
	}
}

// TestOldLayer: what a validation layer is too old for stays off while it looks.
func TestOldLayer(t *testing.T) {
	old, middle := unknownTo(1<<22|3<<12|239), unknownTo(apiCooperative) // that of Debian 12, and one without bfloat16
	if bits.OnesCount32(old) != 2 || bits.OnesCount32(middle) != 1 || old&middle != middle {
		t.Errorf("unknown are %b to 1.3.239 and %b to 1.3.255", old, middle)
	}
	if f := unknownTo(apiBFloat16); f != 0 {
		t.Errorf("unknown are %b to 1.4.311", f)
	}
}

func TestComputeFamily(t *testing.T) {
	const graphics, compute, transfer = 1, 2, 4
	for _, c := range []struct {
		name     string
		families []family
		want     int
	}{
		{"one for all", []family{{graphics | compute | transfer, 64}}, 0},
		{"compute alone is preferred", []family{{graphics | compute, 64}, {transfer, 64}, {compute | transfer, 64}}, 2},
		{"but not without timestamps", []family{{graphics | compute, 64}, {compute, 0}}, 0},
		{"none", []family{{graphics, 64}}, -1},
	} {
		if got := (facts{families: c.families}).computeFamily(); got != c.want {
			t.Errorf("%s: family %d, want %d", c.name, got, c.want)
		}
	}
}

func TestMemoryTypes(t *testing.T) {
	const protected = 0x20
	big, small := Heap{Size: 8 << 30}, Heap{Size: 256 << 20}
	discrete := []memoryType{{memLocal, 0}, {memVisible | memCoherent, 1}, {memVisible | memCoherent | memCached, 1}, {memLocal | memVisible | memCoherent, 2}}
	resizable := []memoryType{{memLocal, 0}, {memVisible | memCoherent | memCached, 1}, {memLocal | memVisible | memCoherent, 0}}
	unified := []memoryType{{memLocal, 0}, {memLocal | memVisible | memCoherent, 0}, {memLocal | memVisible | memCoherent | memCached, 0}}
	one := []memoryType{{memLocal | memVisible | memCoherent | memCached, 0}}
	for _, c := range []struct {
		name    string
		types   []memoryType
		heaps   []Heap
		allowed uint32
		direct  bool
		device  uint32
		mapped  bool
		host    uint32
	}{
		{"discrete", discrete, []Heap{big, big, small}, 0xf, false, 0, false, 2},
		{"discrete, small window is not used", discrete, []Heap{big, big, small}, 0xf, true, 0, false, 2},
		{"discrete without cached", discrete, []Heap{big, big, small}, 0xb, false, 0, false, 1},
		{"resizable window, staging", resizable, []Heap{big, big}, 0x7, false, 0, false, 1},
		{"resizable window, direct", resizable, []Heap{big, big}, 0x7, true, 2, true, 1},
		{"unified, direct", unified, []Heap{big}, 0x7, true, 2, true, 2},
		{"unified, staging", unified, []Heap{big}, 0x7, false, 0, false, 2},
		{"one type, direct", one, []Heap{big}, 0x1, true, 0, true, 0},
		{"one type, staging", one, []Heap{big}, 0x1, false, 0, false, 0},
		{"protected first", append([]memoryType{{memLocal | protected, 0}}, one...), []Heap{big}, 0x3, true, 1, true, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			device, mapped, ok := chooseDeviceType(c.types, c.heaps, c.allowed, c.direct)
			if !ok || device != c.device || mapped != c.mapped {
				t.Errorf("device memory: type %d, mapped %v, %v; want %d, %v", device, mapped, ok, c.device, c.mapped)
			}
			if host, ok := chooseHostType(c.types, c.allowed); !ok || host != c.host {
				t.Errorf("host memory: type %d, %v; want %d", host, ok, c.host)
			}
		})
	}
	if _, _, ok := chooseDeviceType(discrete, []Heap{big, big, small}, 0, true); ok {
		t.Error("a memory type is chosen where none is allowed")
	}
	if _, ok := chooseHostType(discrete, 1); ok {
		t.Error("host memory is chosen where none is visible")
	}
}

func TestNoLoader(t *testing.T) {
	_, err := openLoader([]string{"libvulkan-that-is-not-there.so.1", "/nowhere/libMoltenVK.dylib"})
	if !errors.Is(err, ErrNoLoader) {
		t.Fatalf("error %v is not ErrNoLoader", err)
	}
	for _, part := range []string{"libvulkan-that-is-not-there.so.1", "/nowhere/libMoltenVK.dylib", "install"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
	// A library that is no Vulkan loader is refused, not called.
	if _, err := openLoader([]string{"libc.so.6"}); runtime.GOOS == "linux" && (!errors.Is(err, ErrNoLoader) || !strings.Contains(err.Error(), "vkGetInstanceProcAddr")) {
		t.Errorf("a library without vkGetInstanceProcAddr gives %v", err)
	}
	for goos, name := range map[string]string{"linux": "libvulkan.so.1", "windows": "vulkan-1.dll", "darwin": "MoltenVK"} {
		if !strings.Contains(strings.Join(loaderNames(goos), " "), name) || loaderAdvice(goos) == "" {
			t.Errorf("on %s the libraries are %v", goos, loaderNames(goos))
		}
	}
}

func TestResultErrors(t *testing.T) {
	for r, kind := range map[vk.Result]error{
		vk.ErrorDeviceLost: ErrDeviceLost, vk.ErrorOutOfDeviceMemory: ErrOutOfDeviceMemory, vk.ErrorFeatureNotPresent: ErrUnsupported,
	} {
		err := check(r, "submit", "decode step")
		if !errors.Is(err, kind) || !strings.Contains(err.Error(), `submit "decode step"`) {
			t.Errorf("result %d gives %v", r, err)
		}
	}
	for _, r := range []vk.Result{vk.Success, vk.Incomplete, vk.Timeout} {
		if err := check(r, "a", "b"); err != nil {
			t.Errorf("result %d gives %v", r, err)
		}
	}
	if err := check(-1000, "a", "b"); err == nil || !strings.Contains(err.Error(), "-1000") {
		t.Errorf("an unknown result gives %v", err)
	}
}
