#include "shim_table.h"
#include <stdlib.h>
#include <string.h>

#define LAYER "VK_LAYER_KHRONOS_validation"

// Implemented in Go (messages.go).
extern void kestrelVulkanMessage(uintptr_t user, uint32_t severity, char *id, char *text);

void kv_free(void *p) { free(p); }

uint32_t kv_instance_version(void *gipa) {
	PFN_vkEnumerateInstanceVersion f = (PFN_vkEnumerateInstanceVersion)
		((PFN_vkGetInstanceProcAddr)gipa)(NULL, "vkEnumerateInstanceVersion");
	uint32_t v = VK_API_VERSION_1_0;
	if (f) f(&v);
	return v;
}

uint32_t kv_layer_version(void *gipa, const char *name) {
	PFN_vkEnumerateInstanceLayerProperties f = (PFN_vkEnumerateInstanceLayerProperties)
		((PFN_vkGetInstanceProcAddr)gipa)(NULL, "vkEnumerateInstanceLayerProperties");
	uint32_t n = 0, version = 0;
	if (!f || f(&n, NULL) != VK_SUCCESS || !n) return 0;
	VkLayerProperties *p = calloc(n, sizeof *p);
	if (p && f(&n, p) >= 0)
		for (uint32_t i = 0; i < n; i++)
			if (!strcmp(p[i].layerName, name)) version = p[i].specVersion;
	free(p);
	return version;
}

int kv_has_instance_extension(void *gipa, const char *layer, const char *name) {
	PFN_vkEnumerateInstanceExtensionProperties f = (PFN_vkEnumerateInstanceExtensionProperties)
		((PFN_vkGetInstanceProcAddr)gipa)(NULL, "vkEnumerateInstanceExtensionProperties");
	uint32_t n = 0, found = 0;
	if (layer && !*layer) layer = NULL;
	if (!f || f(layer, &n, NULL) != VK_SUCCESS || !n) return 0;
	VkExtensionProperties *p = calloc(n, sizeof *p);
	if (p && f(layer, &n, p) >= 0)
		for (uint32_t i = 0; i < n; i++) found |= !strcmp(p[i].extensionName, name);
	free(p);
	return found;
}

static VKAPI_ATTR VkBool32 VKAPI_CALL on_message(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
	VkDebugUtilsMessageTypeFlagsEXT types, const VkDebugUtilsMessengerCallbackDataEXT *data, void *user) {
	(void)types;
	kestrelVulkanMessage((uintptr_t)user, (uint32_t)severity,
		(char *)(data->pMessageIdName ? data->pMessageIdName : ""), (char *)(data->pMessage ? data->pMessage : ""));
	return VK_FALSE;
}

static VkDebugUtilsMessengerCreateInfoEXT messenger_info(uintptr_t user) {
	return (VkDebugUtilsMessengerCreateInfoEXT){
		.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
		.messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
		.messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT,
		.pfnUserCallback = on_message,
		.pUserData = (void *)user,
	};
}

void *kv_instance_info(uint32_t api, int portability, uint32_t validation, uintptr_t user) {
	struct block {
		VkInstanceCreateInfo info; // first: the block is the create-info
		VkApplicationInfo app;
		VkValidationFeaturesEXT checks;
		VkValidationFeatureEnableEXT enable[2];
		VkDebugUtilsMessengerCreateInfoEXT messages;
		kv_layer_settings settings;
		kv_layer_setting setting;
		VkBool32 on;
		const char *layers[1], *extensions[4];
	} *b = calloc(1, sizeof *b);
	if (!b) return NULL;
	b->app = (VkApplicationInfo){.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
		.pApplicationName = "kestrel", .pEngineName = "kestrel", .apiVersion = api};
	b->info.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO;
	b->info.pApplicationInfo = &b->app;
	b->info.ppEnabledLayerNames = b->layers;
	b->info.ppEnabledExtensionNames = b->extensions;
	uint32_t n = 0;
	if (portability) {
		b->extensions[n++] = "VK_KHR_portability_enumeration";
		b->info.flags = 1; // VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR
	}
	if (validation) {
		b->layers[b->info.enabledLayerCount++] = LAYER;
		b->extensions[n++] = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
		b->extensions[n++] = VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME;
		b->enable[0] = VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT;
		b->enable[1] = VK_VALIDATION_FEATURE_ENABLE_BEST_PRACTICES_EXT;
		b->checks = (VkValidationFeaturesEXT){.sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT,
			.enabledValidationFeatureCount = 2, .pEnabledValidationFeatures = b->enable};
		b->messages = messenger_info(user); // messages of vkCreateInstance and vkDestroyInstance themselves
		b->messages.pNext = &b->checks;
		b->info.pNext = &b->messages;
		if (validation >= VK_MAKE_API_VERSION(0, 1, 3, 296)) {
			// Since mid-2024 the layer leaves the accesses of shaders out of synchronization validation unless asked.
			b->on = VK_TRUE;
			b->setting = (kv_layer_setting){LAYER, "syncval_shader_accesses_heuristic", 0, 1, &b->on};
			b->settings = (kv_layer_settings){KV_STYPE_LAYER_SETTINGS, NULL, 1, &b->setting};
			b->checks.pNext = &b->settings;
		}
	}
	b->info.enabledExtensionCount = n;
	return b;
}

kv_instance *kv_instance_new(void *gipa, uint64_t instance, int validation, uintptr_t user) {
	kv_instance *in = calloc(1, sizeof *in);
	if (!in) return NULL;
	in->handle = (VkInstance)(uintptr_t)instance;
	PFN_vkGetInstanceProcAddr get = (PFN_vkGetInstanceProcAddr)gipa;
#define LOAD(f) in->f = (PFN_vk##f)get(in->handle, "vk" #f)
	LOAD(GetPhysicalDeviceProperties2);
	LOAD(GetPhysicalDeviceFeatures2);
	LOAD(GetPhysicalDeviceMemoryProperties2);
	LOAD(GetPhysicalDeviceQueueFamilyProperties);
	LOAD(EnumerateDeviceExtensionProperties);
	LOAD(GetDeviceProcAddr);
	LOAD(CreateDebugUtilsMessengerEXT);
	LOAD(DestroyDebugUtilsMessengerEXT);
	LOAD(SetDebugUtilsObjectNameEXT);
#undef LOAD
	in->cooperative = (void *)get(in->handle, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR");
	if (!in->GetPhysicalDeviceProperties2 || !in->GetPhysicalDeviceFeatures2 || !in->GetPhysicalDeviceMemoryProperties2) {
		free(in);
		return NULL;
	}
	if (validation && in->CreateDebugUtilsMessengerEXT) {
		VkDebugUtilsMessengerCreateInfoEXT info = messenger_info(user);
		in->CreateDebugUtilsMessengerEXT(in->handle, &info, NULL, &in->messenger);
	}
	return in;
}

void kv_instance_free(kv_instance *in) {
	if (!in) return;
	if (in->messenger) in->DestroyDebugUtilsMessengerEXT(in->handle, in->messenger, NULL);
	free(in);
}
