package vulkan

// #include "shim.h"
import "C"

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	vk "github.com/vulkan-go/vulkan"
)

// DeviceType is what kind of hardware a device is.
type DeviceType string

// The kinds of device, in the order in which Choose prefers them.
const (
	Discrete   DeviceType = "discrete"
	Integrated DeviceType = "integrated"
	Virtual    DeviceType = "virtual"
	Software   DeviceType = "software"
	Other      DeviceType = "other"
)

// DeviceInfo describes a Vulkan device, usable or not.
type DeviceInfo struct {
	Index         int // its place in Devices, and a selector
	Name          string
	Type          DeviceType
	Driver        string // e.g. "NVIDIA", "radv", "llvmpipe"
	DriverVersion string
	API           string // highest Vulkan version, e.g. "1.3.296"
	VendorID      uint32
	DeviceID      uint32
	UUID          [16]byte
	PCI           string // address as Linux writes it, "0000:03:00.0"; "" where VK_EXT_pci_bus_info is missing
	Usable        bool
	Reason        string // why it is not usable, as Refusal says it; "" where it is
	Refusal       Refusal
	Heaps         []Heap
	Limits        Limits
	Features      Features

	physical vk.PhysicalDevice
	raw      *C.kv_physical
	family   uint32 // queue family used
}

// Heap is one of a device's memories, in bytes.
type Heap struct {
	DeviceLocal bool
	HostVisible bool  // some memory of it can be mapped
	Size        int64 // whole
	Budget      int64 // what this process may use before allocations fail or slow down; Size where unknown
	Used        int64 // what this process uses; 0 where unknown
	BudgetKnown bool  // VK_EXT_memory_budget is there
}

// Free is the budget less what is used, at least 0.
func (h Heap) Free() int64 { return max(0, h.Budget-h.Used) }

// Limits are the sizes a kernel has to keep to; bytes where the name says nothing else.
type Limits struct {
	MaxStorageBufferRange int64 // most bytes one binding may span
	MaxAllocation         int64 // most bytes of one allocation, and so of one Buffer
	SubgroupSize          int   // lanes of a subgroup where a pipeline does not choose
	MinSubgroup           int   // least and most lanes a pipeline may choose
	MaxSubgroup           int
	MaxSubgroups          int // in a workgroup whose pipeline chooses; 0 where none can
	MaxInvocations        int // invocations in a workgroup
	MaxGroupSize          [3]int
	MaxSharedBytes        int // shared memory of a workgroup
	MaxGroups             [3]int
	MaxPushBytes          int
	MaxBindings           int   // storage buffers of one pipeline
	StorageAlign          int64 // alignment of a View that is bound
	TimestampNanos        float64
}

// Features are the optional abilities Kestrel's shaders have variants for. All that a device has are enabled.
type Features struct {
	Storage16, Storage8         bool // 16- and 8-bit values in storage buffers
	Float16, Int8, Int16, Int64 bool // arithmetic
	BFloat16                    bool // VK_KHR_shader_bfloat16
	IntDot                      bool // integer dot product
	SubgroupSizeControl         bool // PipelineSpec.SubgroupSize may differ from Limits.SubgroupSize
	FullSubgroups               bool // with SubgroupSizeControl: PipelineSpec.FullSubgroups is kept
	SubgroupClustered           bool
	SubgroupExtendedTypes       bool
	MemoryModel                 bool
	Timestamps                  bool // DeviceOptions.Profile is possible
	MemoryBudget                bool
	Address                     bool // buffers have addresses, and shaders on the CPU are faster through them
	HostMemory                  bool // it runs on the CPU and takes memory of ours for its own
	DeviceFault                 bool
	Statistics                  bool                // DeviceOptions.Statistics is possible
	CooperativeMatrix           []CooperativeMatrix // shapes; empty where there are none
}

// CooperativeMatrix is one shape that VK_KHR_cooperative_matrix offers: C(MxN) += A(MxK) B(KxN).
type CooperativeMatrix struct {
	M, N, K         int
	A, B, C, Result string // component types: "f16", "f32", "i8", …
	Saturating      bool
	Scope           string // "subgroup" or "workgroup"
}

// Devices lists every Vulkan device in the loader's order, each unusable one with its reason.
func (in *Instance) Devices() ([]DeviceInfo, error) {
	var n uint32
	if err := check(vk.EnumeratePhysicalDevices(in.handle, &n, nil), "list", "devices"); err != nil {
		return nil, err
	}
	physical := make([]vk.PhysicalDevice, n)
	if n > 0 {
		if err := check(vk.EnumeratePhysicalDevices(in.handle, &n, physical), "list", "devices"); err != nil {
			return nil, err
		}
	}
	infos := make([]DeviceInfo, n)
	for i := range infos {
		infos[i] = in.describe(physical[i])
		infos[i].Index = i
	}
	return infos, nil
}

func (in *Instance) describe(pd vk.PhysicalDevice) DeviceInfo {
	d := DeviceInfo{physical: pd, raw: new(C.kv_physical)}
	C.kv_physical_query(in.table, C.uint64_t(handle(&pd)), d.raw)
	r := d.raw
	r.features &^= C.uint32_t(in.unknown)
	d.Name = C.GoString(&r.name[0])
	d.Driver = C.GoString(&r.driver[0])
	d.DriverVersion = C.GoString(&r.driver_info[0])
	if d.DriverVersion == "" {
		d.DriverVersion = versionString(uint32(r.driver_version))
	}
	d.API = versionString(uint32(r.api))
	d.VendorID, d.DeviceID = uint32(r.vendor_id), uint32(r.device_id)
	for i := range d.UUID {
		d.UUID[i] = byte(r.uuid[i])
	}
	if r.pci_known != 0 {
		d.PCI = fmt.Sprintf("%04x:%02x:%02x.%x", uint32(r.pci[0]), uint32(r.pci[1]), uint32(r.pci[2]), uint32(r.pci[3]))
	}
	d.Type = deviceType(uint32(r._type))
	d.Heaps = heapsOf(r)
	d.Limits = limitsOf(r)
	d.Features = in.featuresOf(pd, r)
	f := facts{api: uint32(r.api), limits: d.Limits, stages: uint32(r.subgroup_stages), operations: uint32(r.subgroup_ops)}
	for i := range min(int(r.families), len(r.family_flags)) {
		f.families = append(f.families, family{uint32(r.family_flags[i]), uint32(r.family_timestamp_bits[i])})
	}
	d.Refusal = f.refusal()
	d.Reason = d.Refusal.String()
	d.Usable = d.Refusal == Refusal{}
	if d.Usable {
		d.family = uint32(f.computeFamily())
		d.Features.Timestamps = f.families[d.family].timestampBits > 0 && r.timestamp_period > 0
	}
	return d
}

func deviceType(t uint32) DeviceType {
	switch t {
	case C.VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
		return Discrete
	case C.VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
		return Integrated
	case C.VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
		return Virtual
	case C.VK_PHYSICAL_DEVICE_TYPE_CPU:
		return Software
	}
	return Other
}

func heapsOf(r *C.kv_physical) []Heap {
	known := r.features&C.KV_MEMORY_BUDGET != 0
	heaps := make([]Heap, r.heaps)
	for i := range heaps {
		h := Heap{DeviceLocal: r.heap_flags[i]&C.VK_MEMORY_HEAP_DEVICE_LOCAL_BIT != 0, Size: int64(r.heap_size[i]),
			Budget: int64(r.heap_size[i]), BudgetKnown: known}
		if known {
			h.Budget, h.Used = int64(r.heap_budget[i]), int64(r.heap_used[i])
		}
		for t := range int(r.types) {
			if int(r.type_heap[t]) == i && r.type_flags[t]&C.VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT != 0 {
				h.HostVisible = true
			}
		}
		heaps[i] = h
	}
	return heaps
}

func limitsOf(r *C.kv_physical) Limits {
	l := Limits{
		MaxStorageBufferRange: int64(r.max_storage_range), MaxAllocation: int64(min(r.max_allocation, 1<<62)),
		SubgroupSize: int(r.subgroup), MinSubgroup: int(r.min_subgroup), MaxSubgroup: int(r.max_subgroup),
		MaxSubgroups:   int(r.max_subgroups),
		MaxInvocations: int(r.max_invocations), MaxSharedBytes: int(r.max_shared), MaxPushBytes: int(r.max_push),
		MaxBindings: int(r.max_stage_storage), StorageAlign: int64(r.storage_align), TimestampNanos: float64(r.timestamp_period),
	}
	for i := range 3 {
		l.MaxGroups[i], l.MaxGroupSize[i] = int(r.max_groups[i]), int(r.max_group_size[i])
	}
	return l
}

func (in *Instance) featuresOf(pd vk.PhysicalDevice, r *C.kv_physical) Features {
	has := func(bit uint32) bool { return uint32(r.features)&bit != 0 }
	f := Features{
		Storage16: has(C.KV_STORAGE16), Storage8: has(C.KV_STORAGE8),
		Float16: has(C.KV_FLOAT16), Int8: has(C.KV_INT8), Int16: has(C.KV_INT16), Int64: has(C.KV_INT64),
		BFloat16: has(C.KV_BFLOAT16), IntDot: has(C.KV_INT_DOT),
		SubgroupSizeControl:   has(C.KV_SUBGROUP_CONTROL) && r.subgroup_required_stages&C.VK_SHADER_STAGE_COMPUTE_BIT != 0,
		FullSubgroups:         has(C.KV_FULL_SUBGROUPS),
		SubgroupClustered:     r.subgroup_ops&C.VK_SUBGROUP_FEATURE_CLUSTERED_BIT != 0,
		SubgroupExtendedTypes: has(C.KV_EXTENDED_TYPES), MemoryModel: has(C.KV_MEMORY_MODEL),
		MemoryBudget: has(C.KV_MEMORY_BUDGET), DeviceFault: has(C.KV_DEVICE_FAULT), Address: has(C.KV_ADDRESS),
		HostMemory: has(C.KV_HOST_MEMORY), Statistics: has(C.KV_STATISTICS),
	}
	if has(C.KV_COOPERATIVE) {
		var shapes [64]C.kv_cooperative
		n := int(C.kv_cooperative_query(in.table, C.uint64_t(handle(&pd)), &shapes[0], C.uint32_t(len(shapes))))
		for _, s := range shapes[:n] {
			m := CooperativeMatrix{M: int(s.m), N: int(s.n), K: int(s.k), A: component(s.a), B: component(s.b), C: component(s.c),
				Result: component(s.result), Saturating: s.saturating != 0, Scope: "workgroup"}
			if s.scope == 3 { // VK_SCOPE_SUBGROUP_KHR
				m.Scope = "subgroup"
			}
			f.CooperativeMatrix = append(f.CooperativeMatrix, m)
		}
	}
	return f
}

// component names a VkComponentTypeKHR.
func component(t C.uint32_t) string {
	names := []string{"f16", "f32", "f64", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64"}
	if int(t) < len(names) {
		return names[t]
	}
	if t == 1000141000 {
		return "bf16"
	}
	return "type " + strconv.Itoa(int(t))
}

// Choose picks a device. selector is "" for the best usable one (discrete, then integrated, virtual, software),
// an index into Devices, or part of a name in any case.
// An unknown or unusable choice is ErrNoDevice and lists the devices with their reasons.
func (in *Instance) Choose(selector string) (DeviceInfo, error) {
	all, err := in.Devices()
	if err != nil {
		return DeviceInfo{}, err
	}
	return choose(all, selector)
}

func choose(all []DeviceInfo, selector string) (DeviceInfo, error) {
	if len(all) == 0 {
		return DeviceInfo{}, &NoDeviceError{Selector: selector}
	}
	selector = strings.TrimSpace(selector)
	candidates := all
	if i, err := strconv.Atoi(selector); err == nil {
		candidates = nil
		if i >= 0 && i < len(all) {
			candidates = all[i : i+1]
		}
	} else if selector != "" {
		candidates = nil
		for _, d := range all {
			if strings.Contains(strings.ToLower(d.Name), strings.ToLower(selector)) {
				candidates = append(candidates, d)
			}
		}
	}
	usable := slices.DeleteFunc(slices.Clone(candidates), func(d DeviceInfo) bool { return !d.Usable })
	if len(usable) > 0 {
		return slices.MinFunc(usable, func(a, b DeviceInfo) int { return cmp.Compare(rank(a.Type), rank(b.Type)) }), nil
	}
	return DeviceInfo{}, &NoDeviceError{Selector: selector, Like: candidates, All: all}
}

func rank(t DeviceType) int {
	return slices.Index([]DeviceType{Discrete, Integrated, Virtual, Other, Software}, t)
}

// listing is the devices in one line, with the reasons of those that cannot be used.
func listing(all []DeviceInfo) string {
	var lines []string
	for _, d := range all {
		line := fmt.Sprintf("%d: %s (%s)", d.Index, d.Name, d.Type)
		if !d.Usable {
			line += ", not usable: " + d.Reason
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "; ")
}
