// The function tables behind shim.h; seen by the shim's C files only.
#ifndef KESTREL_VULKAN_SHIM_TABLE_H
#define KESTREL_VULKAN_SHIM_TABLE_H

#include "shim.h"

// Younger than the oldest headers Kestrel builds with (Debian 12: 1.3.239), so declared here.
#define KV_STYPE_COOPERATIVE_FEATURES ((VkStructureType)1000506000)
#define KV_STYPE_COOPERATIVE_PROPERTIES ((VkStructureType)1000506001)
#define KV_STYPE_BFLOAT16_FEATURES ((VkStructureType)1000141000)
typedef struct {
	VkStructureType sType;
	void *pNext;
	VkBool32 cooperativeMatrix, cooperativeMatrixRobustBufferAccess;
} kv_cooperative_features;
typedef struct {
	VkStructureType sType;
	void *pNext;
	VkBool32 type, dot_product, cooperative;
} kv_bfloat16_features;
typedef struct {
	VkStructureType sType;
	void *pNext;
	uint32_t m, n, k, a, b, c, result;
	VkBool32 saturating;
	uint32_t scope;
} kv_cooperative_properties;
typedef VkResult(VKAPI_PTR *kv_pfn_cooperative)(VkPhysicalDevice, uint32_t *, kv_cooperative_properties *);

// VK_EXT_layer_settings, type 0 being a VkBool32.
#define KV_STYPE_LAYER_SETTINGS ((VkStructureType)1000496000)
typedef struct {
	const char *layer, *name;
	uint32_t type, count;
	const void *values;
} kv_layer_setting;
typedef struct {
	VkStructureType sType;
	const void *pNext;
	uint32_t count;
	const kv_layer_setting *settings;
} kv_layer_settings;

struct kv_instance {
	VkInstance handle;
	VkDebugUtilsMessengerEXT messenger;
	PFN_vkGetPhysicalDeviceProperties2 GetPhysicalDeviceProperties2;
	PFN_vkGetPhysicalDeviceFeatures2 GetPhysicalDeviceFeatures2;
	PFN_vkGetPhysicalDeviceMemoryProperties2 GetPhysicalDeviceMemoryProperties2;
	PFN_vkGetPhysicalDeviceQueueFamilyProperties GetPhysicalDeviceQueueFamilyProperties;
	PFN_vkEnumerateDeviceExtensionProperties EnumerateDeviceExtensionProperties;
	PFN_vkGetDeviceProcAddr GetDeviceProcAddr;
	PFN_vkCreateDebugUtilsMessengerEXT CreateDebugUtilsMessengerEXT;
	PFN_vkDestroyDebugUtilsMessengerEXT DestroyDebugUtilsMessengerEXT;
	PFN_vkSetDebugUtilsObjectNameEXT SetDebugUtilsObjectNameEXT;
	void *cooperative;
};

struct kv_device {
	VkDevice handle;
	PFN_vkSetDebugUtilsObjectNameEXT SetDebugUtilsObjectNameEXT; // NULL without validation
	PFN_vkGetDeviceFaultInfoEXT GetDeviceFaultInfoEXT;           // NULL without the extension
	PFN_vkGetBufferDeviceAddress GetBufferDeviceAddress;         // NULL without KV_ADDRESS
	PFN_vkGetMemoryHostPointerPropertiesEXT GetMemoryHostPointerPropertiesEXT; // NULL without KV_HOST_MEMORY
	PFN_vkGetPipelineExecutablePropertiesKHR GetPipelineExecutablePropertiesKHR; // NULL without KV_STATISTICS
	PFN_vkGetPipelineExecutableStatisticsKHR GetPipelineExecutableStatisticsKHR;
	PFN_vkCreateComputePipelines CreateComputePipelines;
	PFN_vkDestroyPipeline DestroyPipeline;
	PFN_vkAllocateDescriptorSets AllocateDescriptorSets;
	PFN_vkUpdateDescriptorSets UpdateDescriptorSets;
	PFN_vkBeginCommandBuffer BeginCommandBuffer;
	PFN_vkEndCommandBuffer EndCommandBuffer;
	PFN_vkCmdBindPipeline CmdBindPipeline;
	PFN_vkCmdBindDescriptorSets CmdBindDescriptorSets;
	PFN_vkCmdPushConstants CmdPushConstants;
	PFN_vkCmdDispatch CmdDispatch;
	PFN_vkCmdPipelineBarrier CmdPipelineBarrier;
	PFN_vkCmdCopyBuffer CmdCopyBuffer;
	PFN_vkCmdFillBuffer CmdFillBuffer;
	PFN_vkCmdResetQueryPool CmdResetQueryPool;
	PFN_vkCmdWriteTimestamp CmdWriteTimestamp;
	PFN_vkGetQueryPoolResults GetQueryPoolResults;
	PFN_vkResetFences ResetFences;
	PFN_vkWaitForFences WaitForFences;
	PFN_vkQueueSubmit QueueSubmit;
};

// Non-dispatchable handles are pointers on 64-bit platforms and uint64_t elsewhere.
#define KV_HANDLE(type, x) ((type)(uintptr_t)(x))

#endif
