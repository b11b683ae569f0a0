// A flat C face of the Vulkan calls that the Go binding lacks or cannot make safely: arguments are plain
// numbers and pointer-free arrays, handles travel as uint64_t, and every table of functions belongs to one
// instance or one device, so several may be open at once.
#ifndef KESTREL_VULKAN_SHIM_H
#define KESTREL_VULKAN_SHIM_H

#define VK_NO_PROTOTYPES
#include <stdint.h>
#include <vulkan/vulkan.h>

// ---- loader (shim_loader.c)

// kv_open_library opens a shared library and returns its vkGetInstanceProcAddr, or NULL with the reason in err.
void *kv_open_library(const char *path, char *err, uint32_t err_size);

// ---- instance (shim_instance.c)

typedef struct kv_instance kv_instance;

// kv_instance_version is the highest version the loader offers (VK_API_VERSION_1_0 where it cannot tell).
uint32_t kv_instance_version(void *get_instance_proc_addr);
// kv_layer_version is the Vulkan version a layer was written for, 0 where it is not installed.
uint32_t kv_layer_version(void *get_instance_proc_addr, const char *name);
// kv_has_instance_extension says whether the loader (or the named layer) offers it.
int kv_has_instance_extension(void *get_instance_proc_addr, const char *layer, const char *name);

// kv_instance_info builds a VkInstanceCreateInfo (free with kv_free). With validation (the layer's version, else
// 0) the Khronos layer, its synchronization and best-practices checks and a message callback that carries user
// are chained in.
void *kv_instance_info(uint32_t api, int portability, uint32_t validation, uintptr_t user);
// kv_instance_new loads the functions of an instance; with validation it installs the message callback.
kv_instance *kv_instance_new(void *get_instance_proc_addr, uint64_t instance, int validation, uintptr_t user);
void kv_instance_free(kv_instance *in); // removes the callback, not the VkInstance
void kv_free(void *p);

// Bits of kv_physical.features: what Kestrel's shaders may use, where the device has it.
enum {
	KV_STORAGE16 = 1 << 0, // 16-bit values in storage buffers
	KV_STORAGE8 = 1 << 1,  // 8-bit values in storage buffers
	KV_FLOAT16 = 1 << 2,   // 16-bit float arithmetic
	KV_INT8 = 1 << 3,
	KV_INT16 = 1 << 4,
	KV_INT64 = 1 << 5,
	KV_INT_DOT = 1 << 6,           // integer dot products
	KV_SUBGROUP_CONTROL = 1 << 7,  // the subgroup size of a pipeline can be chosen
	KV_FULL_SUBGROUPS = 1 << 8,    // full subgroups can be demanded
	KV_EXTENDED_TYPES = 1 << 9,    // subgroup operations on 8- and 16-bit types
	KV_MEMORY_MODEL = 1 << 10,     // the Vulkan memory model (cooperative matrices need it)
	KV_COOPERATIVE = 1 << 11,      // VK_KHR_cooperative_matrix
	KV_DEVICE_FAULT = 1 << 12,     // VK_EXT_device_fault
	KV_MEMORY_BUDGET = 1 << 13,    // VK_EXT_memory_budget
	KV_PORTABILITY = 1 << 14,      // VK_KHR_portability_subset (MoltenVK): must be enabled
	KV_BFLOAT16 = 1 << 15,         // VK_KHR_shader_bfloat16 (type only)
	KV_ADDRESS = 1 << 16,          // buffers have addresses, and shaders that run on the CPU are faster through them
	KV_HOST_MEMORY = 1 << 17,      // VK_EXT_external_memory_host, of devices that run on the CPU
	KV_STATISTICS = 1 << 18,       // VK_KHR_pipeline_executable_properties
};

typedef struct {
	char name[VK_MAX_PHYSICAL_DEVICE_NAME_SIZE];
	char driver[256], driver_info[256];
	uint32_t api, driver_version, vendor_id, device_id, type, features;
	uint8_t uuid[16], cache_uuid[16];
	uint32_t pci_known, pci[4]; // domain, bus, device, function
	uint64_t max_storage_range, max_allocation, storage_align, noncoherent_atom, host_align;
	uint32_t max_allocations, max_invocations, max_shared, max_push, max_stage_storage, max_bound_sets;
	uint32_t max_groups[3], max_group_size[3];
	uint32_t subgroup, min_subgroup, max_subgroup, max_subgroups, subgroup_stages, subgroup_ops, subgroup_required_stages;
	float timestamp_period;
	uint32_t families, family_flags[32], family_queues[32], family_timestamp_bits[32];
	uint32_t heaps, heap_flags[16];
	uint64_t heap_size[16], heap_budget[16], heap_used[16];
	uint32_t types, type_flags[32], type_heap[32];
} kv_physical;

void kv_physical_query(kv_instance *in, uint64_t physical, kv_physical *out);
// kv_heaps_query refreshes budgets and use only.
void kv_heaps_query(kv_instance *in, uint64_t physical, int budget, uint64_t *heap_budget, uint64_t *heap_used);

typedef struct {
	uint32_t m, n, k, a, b, c, result, saturating, scope; // component types as VkComponentTypeKHR
} kv_cooperative;
uint32_t kv_cooperative_query(kv_instance *in, uint64_t physical, kv_cooperative *out, uint32_t max);

// ---- device (shim_device.c)

typedef struct kv_device kv_device;

// kv_device_info builds a VkDeviceCreateInfo with one queue and those of info's features (free with kv_free).
void *kv_device_info(const kv_physical *info, uint32_t family, uint32_t features);
kv_device *kv_device_new(kv_instance *in, uint64_t device, uint32_t features);
void kv_device_free(kv_device *dev); // the table, not the VkDevice
// kv_buffer_address is where shaders find a buffer, with KV_ADDRESS; kv_addressed_memory is what its memory is allocated with.
uint64_t kv_buffer_address(kv_device *dev, uint64_t buffer);
const void *kv_addressed_memory(void);
// With KV_HOST_MEMORY: what buffers are made with; the memory types that a page's memory can be imported as; and what it is imported
// with, addressed as above (free with kv_free).
const void *kv_host_buffer(void);
uint32_t kv_host_types(kv_device *dev, void *page);
void *kv_host_import(void *page, int addressed);
void kv_set_name(kv_device *dev, uint32_t object_type, uint64_t handle, const char *name);

// Create-infos for the binding, each one block of C memory (free with kv_free).
void *kv_set_layout_info(uint32_t bindings);
void *kv_pipeline_layout_info(uint64_t set_layout, uint32_t push_bytes);
void *kv_descriptor_pool_info(uint32_t sets, uint32_t descriptors);
void *kv_shader_module_info(const uint8_t *code, uint64_t size);

// kv_create_pipeline makes one compute pipeline with entry point "main"; constants have ids 0..n-1.
int32_t kv_create_pipeline(kv_device *dev, uint64_t cache, uint64_t module, uint64_t layout,
	const uint32_t *constants, uint32_t n, uint32_t subgroup, uint32_t full, uint64_t *pipeline);
void kv_destroy_pipeline(kv_device *dev, uint64_t pipeline);

typedef struct {
	char name[VK_MAX_DESCRIPTION_SIZE];
	double value;
} kv_statistic;
// kv_statistics asks what the driver's compiler tells of a pipeline, with KV_STATISTICS; count is the room in out, then what is there.
int32_t kv_statistics(kv_device *dev, uint64_t pipeline, uint32_t *subgroup, kv_statistic *out, uint32_t *count);

int32_t kv_alloc_sets(kv_device *dev, uint64_t pool, const uint64_t *layouts, uint32_t n, uint64_t *sets);
// kv_update_sets writes counts[i] storage buffers into sets[i]; bindings holds (buffer, offset, range) triples.
int32_t kv_update_sets(kv_device *dev, const uint64_t *sets, const uint32_t *counts, uint32_t n, const uint64_t *bindings);

// ---- recording and running (shim_record.c)

// One recorded command is an opcode word and its operands.
enum {
	KV_OP_DISPATCH = 1, // pipeline, layout, set, x, y, z, push offset, push bytes
	KV_OP_BARRIER = 2,  // src stages, src access, dst stages, dst access
	KV_OP_COPY = 3,     // src, src offset, dst, dst offset, size
	KV_OP_FILL = 4,     // buffer, offset, size, word
	KV_OP_RESET = 5,    // query pool, first, count
	KV_OP_STAMP = 6,    // query pool, index, stage
};
// kv_record begins the command buffer, records words of ops and ends it.
int32_t kv_record(kv_device *dev, uint64_t cmd, uint32_t usage, const uint64_t *ops, uint64_t words, const uint8_t *push);
// kv_submit resets the fence and submits the command buffer with it.
int32_t kv_submit(kv_device *dev, uint64_t queue, uint64_t cmd, uint64_t fence);
int32_t kv_wait(kv_device *dev, uint64_t fence, uint64_t timeout_ns);
int32_t kv_query_results(kv_device *dev, uint64_t pool, uint32_t first, uint32_t count, uint64_t *out);
// kv_fault writes what VK_EXT_device_fault knows about a lost device; 0 where it knows nothing.
int32_t kv_fault(kv_device *dev, char *text, uint32_t size);

#endif
