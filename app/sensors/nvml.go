package sensors

// nvmlLibrary is NVIDIA's management library, where it is there.
type nvmlLibrary interface {
	// device finds a GPU by Vulkan's UUID, which is the same, or by its PCI address; nil where it is not among NVML's.
	device(uuid [16]byte, pci string) nvmlDevice
	close()
}

type nvmlDevice interface {
	read(pid int, engineLocal int64) Snapshot
}
