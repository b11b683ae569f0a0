package vulkan

import vk "github.com/vulkan-go/vulkan"

// Lose makes d behave as if the driver had lost the device while it waited for name.
func Lose(d *Device, name string) error { return d.deviceError(vk.ErrorDeviceLost, "wait for", name) }
