package engine

import (
	"fmt"
	"math"
	"strings"

	"kestrel/engine/checkpoint"
	"kestrel/engine/mamba"
	"kestrel/engine/vulkan"
	"kestrel/engine/weights"
)

// checkMemory refuses a model that cannot fit before minutes are spent on loading it, and names what would fit.
func checkMemory(ck *checkpoint.Checkpoint, dev *vulkan.Device, o Options) error {
	plan, err := dev.PlanAllocation(mamba.Requests(ck, dev.Limits(), o.Chunk, 0))
	if err != nil {
		return nil // a buffer that cannot be made at all: loading says which, and what to do
	}
	return fits(dev.Info().Name, plan.Free, func(as weights.DType) int64 {
		if plan, err := dev.PlanAllocation(mamba.Requests(ck, dev.Limits(), o.Chunk, as)); err == nil {
			return plan.Device
		}
		return math.MaxInt64
	})
}

// fits compares what is needed with what is free; need(d) is the need of the same model with matrices stored as d, need(0)
// that of the model as it is.
func fits(device string, free int64, needAs func(weights.DType) int64) error {
	need := needAs(0)
	if need <= free {
		return nil
	}
	var smaller []string
	for _, d := range []weights.DType{weights.F16, weights.Q8_0} {
		if n := needAs(d); n < need && n <= free {
			smaller = append(smaller, fmt.Sprintf("%v (%s)", d, gib(n)))
		}
	}
	way := "choose another device (kestrel devices lists them) or a smaller model"
	if len(smaller) > 0 {
		way = "it would fit as " + strings.Join(smaller, " or ") + ": take a file of that precision"
	}
	return fmt.Errorf("%w: the model needs %s of device memory, %s has %s free; %s",
		ErrOutOfDeviceMemory, gib(need), device, gib(free), way)
}

func gib(n int64) string {
	if n < 1<<30 {
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30))
}
