package vulkan

import vk "github.com/vulkan-go/vulkan"

// Lose makes d behave as if the driver had lost the device while it waited for name, and said why.
func Lose(d *Device, name, why string) error {
	return d.lose(check(vk.ErrorDeviceLost, "wait for", name), why)
}
