#include "shim_table.h"
#include <stdlib.h>
#include <string.h>

static int has(const VkExtensionProperties *p, uint32_t n, const char *name) {
	for (uint32_t i = 0; i < n; i++)
		if (!strcmp(p[i].extensionName, name)) return 1;
	return 0;
}

// chain links a structure behind tail.
#define CHAIN(s) (*tail = (void *)&(s), tail = (void **)&(s).pNext)

static void query_features(kv_instance *in, VkPhysicalDevice pd, uint32_t api,
	const VkExtensionProperties *ext, uint32_t n, uint32_t *features) {
	int v12 = api >= VK_API_VERSION_1_2, v13 = api >= VK_API_VERSION_1_3;
	VkPhysicalDeviceFeatures2 f2 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
	VkPhysicalDevice16BitStorageFeatures s16 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES};
	VkPhysicalDevice8BitStorageFeatures s8 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_8BIT_STORAGE_FEATURES};
	VkPhysicalDeviceShaderFloat16Int8Features fi = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES};
	VkPhysicalDeviceShaderSubgroupExtendedTypesFeatures et = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_SUBGROUP_EXTENDED_TYPES_FEATURES};
	VkPhysicalDeviceVulkanMemoryModelFeatures mm = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES};
	VkPhysicalDeviceSubgroupSizeControlFeatures sc = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES};
	VkPhysicalDeviceShaderIntegerDotProductFeatures dp = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES};
	VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR pe = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR};
	VkPhysicalDeviceFaultFeaturesEXT fault = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FAULT_FEATURES_EXT};
	VkPhysicalDeviceBufferDeviceAddressFeatures ad = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_BUFFER_DEVICE_ADDRESS_FEATURES};
	kv_cooperative_features cm = {.sType = KV_STYPE_COOPERATIVE_FEATURES};
	kv_bfloat16_features bf = {.sType = KV_STYPE_BFLOAT16_FEATURES};
	void **tail = &f2.pNext;
	CHAIN(s16);
	if (v12 || has(ext, n, "VK_KHR_8bit_storage")) CHAIN(s8);
	if (v12 || has(ext, n, "VK_KHR_shader_float16_int8")) CHAIN(fi);
	if (v12 || has(ext, n, "VK_KHR_shader_subgroup_extended_types")) CHAIN(et);
	if (v12 || has(ext, n, "VK_KHR_vulkan_memory_model")) CHAIN(mm);
	if (v13 || has(ext, n, "VK_EXT_subgroup_size_control")) CHAIN(sc);
	if (v13 || has(ext, n, "VK_KHR_shader_integer_dot_product")) CHAIN(dp);
	if (v12) CHAIN(ad);
	if (has(ext, n, "VK_EXT_device_fault")) CHAIN(fault);
	if (has(ext, n, "VK_KHR_pipeline_executable_properties")) CHAIN(pe);
	if (has(ext, n, "VK_KHR_cooperative_matrix")) CHAIN(cm);
	if (has(ext, n, "VK_KHR_shader_bfloat16")) CHAIN(bf);
	in->GetPhysicalDeviceFeatures2(pd, &f2);
	uint32_t f = 0;
	if (s16.storageBuffer16BitAccess) f |= KV_STORAGE16;
	if (s8.storageBuffer8BitAccess) f |= KV_STORAGE8;
	if (fi.shaderFloat16) f |= KV_FLOAT16;
	if (fi.shaderInt8) f |= KV_INT8;
	if (f2.features.shaderInt16) f |= KV_INT16;
	if (f2.features.shaderInt64) f |= KV_INT64;
	if (dp.shaderIntegerDotProduct) f |= KV_INT_DOT;
	if (sc.subgroupSizeControl) f |= KV_SUBGROUP_CONTROL;
	if (sc.computeFullSubgroups) f |= KV_FULL_SUBGROUPS;
	if (et.shaderSubgroupExtendedTypes) f |= KV_EXTENDED_TYPES;
	if (mm.vulkanMemoryModel) f |= KV_MEMORY_MODEL;
	if (cm.cooperativeMatrix && mm.vulkanMemoryModel) f |= KV_COOPERATIVE;
	if (bf.type) f |= KV_BFLOAT16;
	if (fault.deviceFault) f |= KV_DEVICE_FAULT;
	if (pe.pipelineExecutableInfo) f |= KV_STATISTICS;
	if (ad.bufferDeviceAddress) f |= KV_ADDRESS;
	if (has(ext, n, "VK_EXT_memory_budget")) f |= KV_MEMORY_BUDGET;
	if (has(ext, n, "VK_KHR_portability_subset")) f |= KV_PORTABILITY;
	*features = f;
}

void kv_heaps_query(kv_instance *in, uint64_t physical, int budget, uint64_t *heap_budget, uint64_t *heap_used) {
	VkPhysicalDeviceMemoryBudgetPropertiesEXT b = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
	VkPhysicalDeviceMemoryProperties2 m = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2, .pNext = budget ? &b : NULL};
	in->GetPhysicalDeviceMemoryProperties2((VkPhysicalDevice)(uintptr_t)physical, &m);
	for (int i = 0; i < 16; i++) {
		heap_budget[i] = b.heapBudget[i];
		heap_used[i] = b.heapUsage[i];
	}
}

void kv_physical_query(kv_instance *in, uint64_t physical, kv_physical *o) {
	VkPhysicalDevice pd = (VkPhysicalDevice)(uintptr_t)physical;
	memset(o, 0, sizeof *o);
	VkPhysicalDeviceProperties2 p2 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
	in->GetPhysicalDeviceProperties2(pd, &p2); // its version decides what may be chained below
	uint32_t api = p2.properties.apiVersion, n = 0;
	in->EnumerateDeviceExtensionProperties(pd, NULL, &n, NULL);
	VkExtensionProperties *ext = calloc(n + 1, sizeof *ext);
	if (!ext || in->EnumerateDeviceExtensionProperties(pd, NULL, &n, ext) < 0) n = 0;

	VkPhysicalDeviceIDProperties id = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES};
	VkPhysicalDeviceSubgroupProperties sg = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES};
	VkPhysicalDeviceMaintenance3Properties m3 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES};
	VkPhysicalDeviceDriverProperties dr = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES};
	VkPhysicalDeviceSubgroupSizeControlProperties sc = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES};
	VkPhysicalDeviceMaintenance4Properties m4 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_PROPERTIES, .maxBufferSize = UINT64_MAX};
	VkPhysicalDeviceExternalMemoryHostPropertiesEXT hm = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_MEMORY_HOST_PROPERTIES_EXT};
	VkPhysicalDevicePCIBusInfoPropertiesEXT pci = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PCI_BUS_INFO_PROPERTIES_EXT};
	if (api >= VK_API_VERSION_1_1) {
		p2.pNext = NULL;
		void **tail = &p2.pNext;
		CHAIN(id);
		CHAIN(sg);
		CHAIN(m3);
		if (api >= VK_API_VERSION_1_2 || has(ext, n, "VK_KHR_driver_properties")) CHAIN(dr);
		if (api >= VK_API_VERSION_1_3 || has(ext, n, "VK_EXT_subgroup_size_control")) CHAIN(sc);
		if (api >= VK_API_VERSION_1_3 || has(ext, n, "VK_KHR_maintenance4")) CHAIN(m4);
		if ((o->pci_known = has(ext, n, "VK_EXT_pci_bus_info"))) CHAIN(pci);
		if (has(ext, n, "VK_EXT_external_memory_host")) CHAIN(hm);
		in->GetPhysicalDeviceProperties2(pd, &p2);
		query_features(in, pd, api, ext, n, &o->features);
	}
	free(ext);
	// From Mesa 26 on llvmpipe loads once what all lanes load; before that addresses are slower than bindings.
	if (dr.driverID != VK_DRIVER_ID_MESA_LLVMPIPE || p2.properties.driverVersion < VK_MAKE_VERSION(26, 0, 0)) o->features &= ~KV_ADDRESS;

	if (hm.minImportedHostPointerAlignment && p2.properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU) o->features |= KV_HOST_MEMORY;
	o->host_align = hm.minImportedHostPointerAlignment;

	const VkPhysicalDeviceProperties *p = &p2.properties;
	const VkPhysicalDeviceLimits *l = &p->limits;
	memcpy(o->name, p->deviceName, sizeof o->name);
	memcpy(o->driver, dr.driverName, sizeof o->driver);
	memcpy(o->driver_info, dr.driverInfo, sizeof o->driver_info);
	memcpy(o->uuid, id.deviceUUID, 16);
	memcpy(o->cache_uuid, p->pipelineCacheUUID, 16);
	o->pci[0] = pci.pciDomain;
	o->pci[1] = pci.pciBus;
	o->pci[2] = pci.pciDevice;
	o->pci[3] = pci.pciFunction;
	o->api = api;
	o->driver_version = p->driverVersion;
	o->vendor_id = p->vendorID;
	o->device_id = p->deviceID;
	o->type = p->deviceType;
	o->max_storage_range = l->maxStorageBufferRange;
	o->max_allocation = m3.maxMemoryAllocationSize < m4.maxBufferSize ? m3.maxMemoryAllocationSize : m4.maxBufferSize;
	o->storage_align = l->minStorageBufferOffsetAlignment;
	o->noncoherent_atom = l->nonCoherentAtomSize;
	o->max_allocations = l->maxMemoryAllocationCount;
	o->max_invocations = l->maxComputeWorkGroupInvocations;
	o->max_shared = l->maxComputeSharedMemorySize;
	o->max_push = l->maxPushConstantsSize;
	o->max_stage_storage = l->maxPerStageDescriptorStorageBuffers;
	o->max_bound_sets = l->maxBoundDescriptorSets;
	for (int i = 0; i < 3; i++) {
		o->max_groups[i] = l->maxComputeWorkGroupCount[i];
		o->max_group_size[i] = l->maxComputeWorkGroupSize[i];
	}
	o->subgroup = o->min_subgroup = o->max_subgroup = sg.subgroupSize;
	o->subgroup_stages = sg.supportedStages;
	o->subgroup_ops = sg.supportedOperations;
	if (sc.maxSubgroupSize) {
		o->min_subgroup = sc.minSubgroupSize;
		o->max_subgroups = sc.maxComputeWorkgroupSubgroups;
		o->max_subgroup = sc.maxSubgroupSize;
		o->subgroup_required_stages = sc.requiredSubgroupSizeStages;
	}
	o->timestamp_period = l->timestampPeriod;

	VkQueueFamilyProperties fam[32];
	o->families = 32;
	in->GetPhysicalDeviceQueueFamilyProperties(pd, &o->families, fam);
	for (uint32_t i = 0; i < o->families; i++) {
		o->family_flags[i] = fam[i].queueFlags;
		o->family_queues[i] = fam[i].queueCount;
		o->family_timestamp_bits[i] = fam[i].timestampValidBits;
	}

	VkPhysicalDeviceMemoryProperties2 m = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2};
	in->GetPhysicalDeviceMemoryProperties2(pd, &m);
	o->heaps = m.memoryProperties.memoryHeapCount;
	for (uint32_t i = 0; i < o->heaps; i++) {
		o->heap_size[i] = m.memoryProperties.memoryHeaps[i].size;
		o->heap_flags[i] = m.memoryProperties.memoryHeaps[i].flags;
	}
	o->types = m.memoryProperties.memoryTypeCount;
	for (uint32_t i = 0; i < o->types; i++) {
		o->type_flags[i] = m.memoryProperties.memoryTypes[i].propertyFlags;
		o->type_heap[i] = m.memoryProperties.memoryTypes[i].heapIndex;
	}
	kv_heaps_query(in, physical, o->features & KV_MEMORY_BUDGET, o->heap_budget, o->heap_used);
}

uint32_t kv_cooperative_query(kv_instance *in, uint64_t physical, kv_cooperative *out, uint32_t max) {
	kv_pfn_cooperative f = (kv_pfn_cooperative)in->cooperative;
	uint32_t n = 0;
	if (!f || f((VkPhysicalDevice)(uintptr_t)physical, &n, NULL) < 0 || !n) return 0;
	kv_cooperative_properties *p = calloc(n, sizeof *p);
	if (!p) return 0;
	for (uint32_t i = 0; i < n; i++) p[i].sType = KV_STYPE_COOPERATIVE_PROPERTIES;
	if (f((VkPhysicalDevice)(uintptr_t)physical, &n, p) < 0) n = 0;
	if (n > max) n = max;
	for (uint32_t i = 0; i < n; i++)
		out[i] = (kv_cooperative){p[i].m, p[i].n, p[i].k, p[i].a, p[i].b, p[i].c, p[i].result, p[i].saturating, p[i].scope};
	free(p);
	return n;
}
