#include "shim_table.h"
#include <stdlib.h>
#include <string.h>

#define CHAIN(s) (*tail = (void *)&(s), tail = (void **)&(s).pNext)

void *kv_device_info(const kv_physical *info, uint32_t family, uint32_t features) {
	struct block {
		VkDeviceCreateInfo info; // first: the block is the create-info
		VkDeviceQueueCreateInfo queue;
		float priority;
		VkPhysicalDeviceFeatures2 f2;
		VkPhysicalDevice16BitStorageFeatures s16;
		VkPhysicalDevice8BitStorageFeatures s8;
		VkPhysicalDeviceShaderFloat16Int8Features fi;
		VkPhysicalDeviceShaderSubgroupExtendedTypesFeatures et;
		VkPhysicalDeviceVulkanMemoryModelFeatures mm;
		VkPhysicalDeviceSubgroupSizeControlFeatures sc;
		VkPhysicalDeviceShaderIntegerDotProductFeatures dp;
		VkPhysicalDeviceFaultFeaturesEXT fault;
		VkPhysicalDeviceBufferDeviceAddressFeatures ad;
		VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR pe;
		kv_cooperative_features cm;
		kv_bfloat16_features bf;
		const char *extensions[16];
	} *b = calloc(1, sizeof *b);
	if (!b) return NULL;
	uint32_t f = info->features & features, n = 0;
	int v12 = info->api >= VK_API_VERSION_1_2, v13 = info->api >= VK_API_VERSION_1_3;
	b->f2.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
	b->f2.features.shaderInt16 = !!(f & KV_INT16);
	b->f2.features.shaderInt64 = !!(f & KV_INT64);
	void **tail = &b->f2.pNext;
	if (f & KV_STORAGE16) {
		b->s16 = (VkPhysicalDevice16BitStorageFeatures){.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES, .storageBuffer16BitAccess = 1};
		CHAIN(b->s16);
	}
	if (f & KV_STORAGE8) {
		b->s8 = (VkPhysicalDevice8BitStorageFeatures){.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_8BIT_STORAGE_FEATURES, .storageBuffer8BitAccess = 1};
		CHAIN(b->s8);
		if (!v12) b->extensions[n++] = "VK_KHR_8bit_storage";
	}
	if (f & (KV_FLOAT16 | KV_INT8)) {
		b->fi = (VkPhysicalDeviceShaderFloat16Int8Features){.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES,
			.shaderFloat16 = !!(f & KV_FLOAT16), .shaderInt8 = !!(f & KV_INT8)};
		CHAIN(b->fi);
		if (!v12) b->extensions[n++] = "VK_KHR_shader_float16_int8";
	}
	if (f & KV_EXTENDED_TYPES) {
		b->et = (VkPhysicalDeviceShaderSubgroupExtendedTypesFeatures){.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_SUBGROUP_EXTENDED_TYPES_FEATURES, .shaderSubgroupExtendedTypes = 1};
		CHAIN(b->et);
		if (!v12) b->extensions[n++] = "VK_KHR_shader_subgroup_extended_types";
	}
	if (f & KV_MEMORY_MODEL) {
		b->mm = (VkPhysicalDeviceVulkanMemoryModelFeatures){.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES, .vulkanMemoryModel = 1};
		CHAIN(b->mm);
		if (!v12) b->extensions[n++] = "VK_KHR_vulkan_memory_model";
	}
	if (f & KV_SUBGROUP_CONTROL) {
		b->sc = (VkPhysicalDeviceSubgroupSizeControlFeatures){.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES,
			.subgroupSizeControl = 1, .computeFullSubgroups = !!(f & KV_FULL_SUBGROUPS)};
		CHAIN(b->sc);
		if (!v13) b->extensions[n++] = "VK_EXT_subgroup_size_control";
	}
	if (f & KV_INT_DOT) {
		b->dp = (VkPhysicalDeviceShaderIntegerDotProductFeatures){.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES, .shaderIntegerDotProduct = 1};
		CHAIN(b->dp);
		if (!v13) b->extensions[n++] = "VK_KHR_shader_integer_dot_product";
	}
	if (f & KV_DEVICE_FAULT) {
		b->fault = (VkPhysicalDeviceFaultFeaturesEXT){.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FAULT_FEATURES_EXT, .deviceFault = 1};
		CHAIN(b->fault);
		b->extensions[n++] = "VK_EXT_device_fault";
	}
	if (f & KV_ADDRESS) {
		b->ad = (VkPhysicalDeviceBufferDeviceAddressFeatures){.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_BUFFER_DEVICE_ADDRESS_FEATURES, .bufferDeviceAddress = 1};
		CHAIN(b->ad);
	}
	if (f & KV_STATISTICS) {
		b->pe = (VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR){.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR, .pipelineExecutableInfo = 1};
		CHAIN(b->pe);
		b->extensions[n++] = "VK_KHR_pipeline_executable_properties";
	}
	if (f & KV_COOPERATIVE) {
		b->cm = (kv_cooperative_features){.sType = KV_STYPE_COOPERATIVE_FEATURES, .cooperativeMatrix = 1};
		CHAIN(b->cm);
		b->extensions[n++] = "VK_KHR_cooperative_matrix";
	}
	if (f & KV_BFLOAT16) {
		b->bf = (kv_bfloat16_features){.sType = KV_STYPE_BFLOAT16_FEATURES, .type = 1};
		CHAIN(b->bf);
		b->extensions[n++] = "VK_KHR_shader_bfloat16";
	}
	if (f & KV_HOST_MEMORY) b->extensions[n++] = "VK_EXT_external_memory_host";
	if (f & KV_MEMORY_BUDGET) b->extensions[n++] = "VK_EXT_memory_budget";
	if (f & KV_PORTABILITY) b->extensions[n++] = "VK_KHR_portability_subset";
	b->priority = 1.0f;
	b->queue = (VkDeviceQueueCreateInfo){.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
		.queueFamilyIndex = family, .queueCount = 1, .pQueuePriorities = &b->priority};
	b->info = (VkDeviceCreateInfo){.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, .pNext = &b->f2,
		.queueCreateInfoCount = 1, .pQueueCreateInfos = &b->queue,
		.enabledExtensionCount = n, .ppEnabledExtensionNames = b->extensions};
	return b;
}

kv_device *kv_device_new(kv_instance *in, uint64_t device, uint32_t features) {
	kv_device *d = calloc(1, sizeof *d);
	if (!d) return NULL;
	d->handle = (VkDevice)(uintptr_t)device;
	if (in->messenger) d->SetDebugUtilsObjectNameEXT = in->SetDebugUtilsObjectNameEXT;
#define LOAD(f) if (!(d->f = (PFN_vk##f)in->GetDeviceProcAddr(d->handle, "vk" #f))) goto missing
	if (features & KV_DEVICE_FAULT) LOAD(GetDeviceFaultInfoEXT);
	if (features & KV_ADDRESS) LOAD(GetBufferDeviceAddress);
	if (features & KV_HOST_MEMORY) LOAD(GetMemoryHostPointerPropertiesEXT);
	if (features & KV_STATISTICS) {
		LOAD(GetPipelineExecutablePropertiesKHR);
		LOAD(GetPipelineExecutableStatisticsKHR);
	}
	LOAD(CreateComputePipelines);
	LOAD(DestroyPipeline);
	LOAD(AllocateDescriptorSets);
	LOAD(UpdateDescriptorSets);
	LOAD(BeginCommandBuffer);
	LOAD(EndCommandBuffer);
	LOAD(CmdBindPipeline);
	LOAD(CmdBindDescriptorSets);
	LOAD(CmdPushConstants);
	LOAD(CmdDispatch);
	LOAD(CmdPipelineBarrier);
	LOAD(CmdCopyBuffer);
	LOAD(CmdFillBuffer);
	LOAD(CmdResetQueryPool);
	LOAD(CmdWriteTimestamp);
	LOAD(GetQueryPoolResults);
	LOAD(ResetFences);
	LOAD(WaitForFences);
	LOAD(QueueSubmit);
#undef LOAD
	return d;
missing:
	free(d);
	return NULL;
}

void kv_device_free(kv_device *d) { free(d); }

uint64_t kv_buffer_address(kv_device *d, uint64_t buffer) {
	VkBufferDeviceAddressInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO, .buffer = KV_HANDLE(VkBuffer, buffer)};
	return d->GetBufferDeviceAddress(d->handle, &info);
}

const void *kv_addressed_memory(void) {
	static const VkMemoryAllocateFlagsInfo info = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO, .flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT};
	return &info;
}

const void *kv_host_buffer(void) {
	static const VkExternalMemoryBufferCreateInfo info = {.sType = VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO,
		.handleTypes = VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT};
	return &info;
}

uint32_t kv_host_types(kv_device *d, void *page) {
	VkMemoryHostPointerPropertiesEXT p = {.sType = VK_STRUCTURE_TYPE_MEMORY_HOST_POINTER_PROPERTIES_EXT};
	if (d->GetMemoryHostPointerPropertiesEXT(d->handle, VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT, page, &p) != VK_SUCCESS) return 0;
	return p.memoryTypeBits;
}

void *kv_host_import(void *page, int addressed) {
	VkImportMemoryHostPointerInfoEXT *info = calloc(1, sizeof *info);
	if (!info) return NULL;
	*info = (VkImportMemoryHostPointerInfoEXT){.sType = VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT,
		.pNext = addressed ? kv_addressed_memory() : NULL, .handleType = VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT, .pHostPointer = page};
	return info;
}

void kv_set_name(kv_device *d, uint32_t type, uint64_t handle, const char *name) {
	if (!d->SetDebugUtilsObjectNameEXT) return;
	VkDebugUtilsObjectNameInfoEXT info = {.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_OBJECT_NAME_INFO_EXT,
		.objectType = (VkObjectType)type, .objectHandle = handle, .pObjectName = name};
	d->SetDebugUtilsObjectNameEXT(d->handle, &info);
}

void *kv_set_layout_info(uint32_t bindings) {
	struct block {
		VkDescriptorSetLayoutCreateInfo info;
		VkDescriptorSetLayoutBinding b[];
	} *b = calloc(1, sizeof *b + bindings * sizeof b->b[0]);
	if (!b) return NULL;
	for (uint32_t i = 0; i < bindings; i++)
		b->b[i] = (VkDescriptorSetLayoutBinding){.binding = i, .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
			.descriptorCount = 1, .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT};
	b->info = (VkDescriptorSetLayoutCreateInfo){.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
		.bindingCount = bindings, .pBindings = b->b};
	return b;
}

void *kv_pipeline_layout_info(uint64_t set_layout, uint32_t push_bytes) {
	struct block {
		VkPipelineLayoutCreateInfo info;
		VkDescriptorSetLayout set;
		VkPushConstantRange push;
	} *b = calloc(1, sizeof *b);
	if (!b) return NULL;
	b->set = KV_HANDLE(VkDescriptorSetLayout, set_layout);
	b->push = (VkPushConstantRange){VK_SHADER_STAGE_COMPUTE_BIT, 0, push_bytes};
	b->info = (VkPipelineLayoutCreateInfo){.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO, .setLayoutCount = 1,
		.pSetLayouts = &b->set, .pushConstantRangeCount = push_bytes ? 1 : 0, .pPushConstantRanges = &b->push};
	return b;
}

void *kv_descriptor_pool_info(uint32_t sets, uint32_t descriptors) {
	struct block {
		VkDescriptorPoolCreateInfo info;
		VkDescriptorPoolSize size;
	} *b = calloc(1, sizeof *b);
	if (!b) return NULL;
	b->size = (VkDescriptorPoolSize){VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, descriptors};
	b->info = (VkDescriptorPoolCreateInfo){.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO, .maxSets = sets,
		.poolSizeCount = descriptors ? 1 : 0, .pPoolSizes = &b->size};
	return b;
}

void *kv_shader_module_info(const uint8_t *code, uint64_t size) {
	struct block {
		VkShaderModuleCreateInfo info;
		uint32_t code[];
	} *b = calloc(1, sizeof *b + size);
	if (!b) return NULL;
	memcpy(b->code, code, size);
	b->info = (VkShaderModuleCreateInfo){.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, .codeSize = size, .pCode = b->code};
	return b;
}

int32_t kv_create_pipeline(kv_device *d, uint64_t cache, uint64_t module, uint64_t layout,
	const uint32_t *constants, uint32_t n, uint32_t subgroup, uint32_t full, uint64_t *pipeline) {
	VkSpecializationMapEntry *entries = calloc(n + 1, sizeof *entries);
	if (!entries) return VK_ERROR_OUT_OF_HOST_MEMORY;
	for (uint32_t i = 0; i < n; i++) entries[i] = (VkSpecializationMapEntry){i, 4 * i, 4};
	VkSpecializationInfo spec = {.mapEntryCount = n, .pMapEntries = entries, .dataSize = 4 * (size_t)n, .pData = constants};
	VkPipelineShaderStageRequiredSubgroupSizeCreateInfo size = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO, .requiredSubgroupSize = subgroup};
	VkComputePipelineCreateInfo info = {.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
		.stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO, .pNext = subgroup ? &size : NULL,
			.flags = full ? VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT : 0, .stage = VK_SHADER_STAGE_COMPUTE_BIT, .module = KV_HANDLE(VkShaderModule, module), .pName = "main",
			.pSpecializationInfo = n ? &spec : NULL},
		.flags = d->GetPipelineExecutableStatisticsKHR ? VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR : 0,
		.layout = KV_HANDLE(VkPipelineLayout, layout)};
	VkPipeline p = VK_NULL_HANDLE;
	VkResult r = d->CreateComputePipelines(d->handle, KV_HANDLE(VkPipelineCache, cache), 1, &info, NULL, &p);
	free(entries);
	*pipeline = (uint64_t)(uintptr_t)p;
	return r;
}

void kv_destroy_pipeline(kv_device *d, uint64_t pipeline) {
	d->DestroyPipeline(d->handle, KV_HANDLE(VkPipeline, pipeline), NULL);
}

// number reads a statistic's value.
static double number(const VkPipelineExecutableStatisticKHR *s) {
	switch (s->format) {
	case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_BOOL32_KHR: return s->value.b32;
	case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_INT64_KHR: return (double)s->value.i64;
	case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_UINT64_KHR: return (double)s->value.u64;
	default: return s->value.f64;
	}
}

int32_t kv_statistics(kv_device *d, uint64_t pipeline, uint32_t *subgroup, kv_statistic *out, uint32_t *count) {
	VkPipelineInfoKHR info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR, .pipeline = KV_HANDLE(VkPipeline, pipeline)};
	VkPipelineExecutablePropertiesKHR one = {.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_PROPERTIES_KHR};
	uint32_t n = 1, max = *count;
	*count = 0;
	// A compute pipeline is one executable; a driver that cut it into more shows the first.
	VkResult r = d->GetPipelineExecutablePropertiesKHR(d->handle, &info, &n, &one);
	if (r < 0 || n == 0) return r;
	*subgroup = one.subgroupSize;
	VkPipelineExecutableInfoKHR which = {.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR, .pipeline = info.pipeline};
	VkPipelineExecutableStatisticKHR *s = calloc(max, sizeof *s);
	if (!s) return VK_ERROR_OUT_OF_HOST_MEMORY;
	for (uint32_t i = 0; i < max; i++) s[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR;
	r = d->GetPipelineExecutableStatisticsKHR(d->handle, &which, &max, s);
	for (uint32_t i = 0; r >= 0 && i < max; i++) {
		memcpy(out[i].name, s[i].name, sizeof out[i].name);
		out[i].value = number(&s[i]);
		*count = i + 1;
	}
	free(s);
	return r;
}

int32_t kv_alloc_sets(kv_device *d, uint64_t pool, const uint64_t *layouts, uint32_t n, uint64_t *sets) {
	VkDescriptorSetLayout *l = calloc(n + 1, sizeof *l);
	VkDescriptorSet *s = calloc(n + 1, sizeof *s);
	VkResult r = VK_ERROR_OUT_OF_HOST_MEMORY;
	if (l && s) {
		for (uint32_t i = 0; i < n; i++) l[i] = KV_HANDLE(VkDescriptorSetLayout, layouts[i]);
		VkDescriptorSetAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
			.descriptorPool = KV_HANDLE(VkDescriptorPool, pool), .descriptorSetCount = n, .pSetLayouts = l};
		r = d->AllocateDescriptorSets(d->handle, &info, s);
		for (uint32_t i = 0; i < n && r == VK_SUCCESS; i++) sets[i] = (uint64_t)(uintptr_t)s[i];
	}
	free(l);
	free(s);
	return r;
}

int32_t kv_update_sets(kv_device *d, const uint64_t *sets, const uint32_t *counts, uint32_t n, const uint64_t *bindings) {
	uint32_t total = 0, k = 0;
	for (uint32_t i = 0; i < n; i++) total += counts[i];
	VkDescriptorBufferInfo *b = calloc(total + 1, sizeof *b);
	VkWriteDescriptorSet *w = calloc(n + 1, sizeof *w);
	if (!b || !w) {
		free(b);
		free(w);
		return VK_ERROR_OUT_OF_HOST_MEMORY;
	}
	uint32_t writes = 0;
	for (uint32_t i = 0; i < n; i++) {
		if (!counts[i]) continue;
		w[writes++] = (VkWriteDescriptorSet){.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET, .dstSet = KV_HANDLE(VkDescriptorSet, sets[i]),
			.descriptorCount = counts[i], .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, .pBufferInfo = b + k};
		for (uint32_t j = 0; j < counts[i]; j++, k++)
			b[k] = (VkDescriptorBufferInfo){KV_HANDLE(VkBuffer, bindings[3 * k]), bindings[3 * k + 1], bindings[3 * k + 2]};
	}
	d->UpdateDescriptorSets(d->handle, writes, w, 0, NULL);
	free(b);
	free(w);
	return VK_SUCCESS;
}
