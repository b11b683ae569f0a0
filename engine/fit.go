package engine

import (
	"fmt"
	"strings"

	"kestrel/engine/checkpoint"
	"kestrel/engine/mamba"
	"kestrel/engine/vulkan"
	"kestrel/engine/weights"
)

// checkMemory refuses a model that cannot fit before minutes are spent on loading it, and names what would fit.
func checkMemory(ck *checkpoint.Checkpoint, dev *vulkan.Device, o Options) error {
	need := mamba.Need(ck, dev.Limits(), o.Chunk, 0)
	free, known := deviceFree(dev.Heaps())
	if !known || need <= free {
		return nil
	}
	var fits []string
	for _, d := range []weights.DType{weights.F16, weights.Q8_0} {
		if n := mamba.Need(ck, dev.Limits(), o.Chunk, d); n < need && n <= free {
			fits = append(fits, fmt.Sprintf("%v (%s)", d, gib(n)))
		}
	}
	way := "choose another device (kestrel devices lists them) or a smaller model"
	if len(fits) > 0 {
		way = "it would fit as " + strings.Join(fits, " or ") + ": take a file of that precision"
	}
	return fmt.Errorf("the model needs %s of device memory, %s has %s free; %s: %w",
		gib(need), dev.Info().Name, gib(free), way, ErrOutOfDeviceMemory)
}

// deviceFree is what the device-local heaps still take; known is false where the driver does not tell.
func deviceFree(heaps []vulkan.Heap) (free int64, known bool) {
	for _, h := range heaps {
		if h.DeviceLocal && h.BudgetKnown {
			free, known = free+max(0, h.Budget-h.Used), true
		}
	}
	return free, known
}

func gib(n int64) string {
	if n < 1<<30 {
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30))
}
