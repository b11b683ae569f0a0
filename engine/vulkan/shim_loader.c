#include "shim.h"
#include <stdio.h>

#ifdef _WIN32
#include <windows.h>

void *kv_open_library(const char *path, char *err, uint32_t err_size) {
	HMODULE lib = LoadLibraryA(path);
	if (!lib) {
		snprintf(err, err_size, "%s: LoadLibrary error %lu", path, (unsigned long)GetLastError());
		return NULL;
	}
	void *f = (void *)GetProcAddress(lib, "vkGetInstanceProcAddr");
	if (!f) {
		snprintf(err, err_size, "%s: has no vkGetInstanceProcAddr", path);
		FreeLibrary(lib);
	}
	return f;
}
#else
#include <dlfcn.h>

void *kv_open_library(const char *path, char *err, uint32_t err_size) {
	void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!lib) {
		snprintf(err, err_size, "%s", dlerror());
		return NULL;
	}
	void *f = dlsym(lib, "vkGetInstanceProcAddr");
	if (!f) {
		snprintf(err, err_size, "%s: has no vkGetInstanceProcAddr", path);
		dlclose(lib);
	}
	return f;
}
#endif
