// A libnvidia-ml.so.1 of one RTX 4090 for the tests: the functions that Kestrel
// calls, with the types written down from nvml.h's documentation.
#include <string.h>

typedef struct { char legacy[16]; unsigned domain, bus, device, id, subsystem; char bus_id[32]; } pci_info;
typedef struct { unsigned long long total, free, used; } memory;
typedef struct { unsigned gpu, memory; } utilization;
typedef struct { unsigned pid; unsigned long long used; unsigned gpu_instance, compute_instance; } process;

static int gpus[2];

#ifdef NO_DRIVER
int nvmlInit_v2(void) { return 9; } // NVML_ERROR_DRIVER_NOT_LOADED
#else
int nvmlInit_v2(void) { return 0; }
#endif
int nvmlShutdown(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *n) { return *n = 2, 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **device) { return *device = &gpus[i], i < 2 ? 0 : 2; }
int nvmlDeviceGetUUID(void *device, char *text, unsigned size) {
	const char *uuid = device == &gpus[1] ? "GPU-01020304-0506-0708-090a-0b0c0d0e0f10" : "GPU-ffffffff-0000-0000-0000-000000000000";
	if (size <= strlen(uuid)) return 7;
	return strcpy(text, uuid), 0;
}
int nvmlDeviceGetPciInfo_v3(void *device, pci_info *p) {
	memset(p, 0, sizeof *p);
	p->bus = device == &gpus[1] ? 0x41 : 0x01;
	return 0;
}
int nvmlDeviceGetMemoryInfo(void *device, memory *m) {
	m->total = 24ull << 30, m->used = 9ull << 30, m->free = 15ull << 30;
	return device == &gpus[1] ? 0 : 3; // NVML_ERROR_NOT_SUPPORTED
}
int nvmlDeviceGetUtilizationRates(void *device, utilization *u) { return u->gpu = 93, u->memory = 61, 0; }
int nvmlDeviceGetTemperature(void *device, unsigned sensor, unsigned *celsius) { return *celsius = 66, sensor == 0 ? 0 : 2; }
int nvmlDeviceGetPowerUsage(void *device, unsigned *milliwatts) { return *milliwatts = 311500, 0; }
int nvmlDeviceGetClockInfo(void *device, unsigned kind, unsigned *mhz) { return *mhz = 2520, kind == 1 ? 0 : 2; }
int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *n, process *p) {
	if (*n < 2) return 7;
	p[0] = (process){4242, 7ull << 30, ~0u, ~0u};
	p[1] = (process){77, 512ull << 20, ~0u, ~0u};
	return *n = 2, 0;
}
// nvmlDeviceGetGraphicsRunningProcesses_v3 is missing, as in older drivers.
