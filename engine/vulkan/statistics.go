package vulkan

// #include "shim.h"
import "C"

import (
	"cmp"
	"fmt"
	"slices"

	vk "github.com/vulkan-go/vulkan"
)

// Compiled is what a driver's compiler made of a pipeline.
type Compiled struct {
	Spec         PipelineSpec // without its SPIRV
	SubgroupSize int          // lanes that it was compiled for; 0 where that is not fixed
	Statistics   []Statistic  // in the driver's order
}

// Statistic is a figure that the driver names, such as the registers of a lane or what it spilled to memory for lack of
// them. Names and units are the driver's own.
type Statistic struct {
	Name  string
	Value float64
}

// Compiled tells of all pipelines made so far, by name and then constants. Source: VK_KHR_pipeline_executable_properties.
// Errors: ErrUnsupported for a device that was not opened with DeviceOptions.Statistics.
func (d *Device) Compiled() ([]Compiled, error) {
	if err := d.enter("read", "statistics"); err != nil {
		return nil, err
	}
	defer d.leave()
	if !d.o.Statistics {
		return nil, fmt.Errorf("vulkan: read %q: %w: the device was opened without them", "statistics", ErrUnsupported)
	}
	d.pipes.mu.Lock()
	defer d.pipes.mu.Unlock()
	var list []Compiled
	for _, p := range d.pipes.made {
		c := Compiled{Spec: p.spec}
		var raw [64]C.kv_statistic
		var subgroup C.uint32_t
		n := C.uint32_t(len(raw))
		r := vk.Result(C.kv_statistics(d.table, C.uint64_t(p.raw), &subgroup, &raw[0], &n))
		if err := d.deviceError(r, "read statistics of", p.name); err != nil {
			return nil, err
		}
		c.SubgroupSize = int(subgroup)
		for _, s := range raw[:n] {
			c.Statistics = append(c.Statistics, Statistic{C.GoString(&s.name[0]), float64(s.value)})
		}
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b Compiled) int {
		return cmp.Or(cmp.Compare(a.Spec.Name, b.Spec.Name), slices.Compare(a.Spec.Constants, b.Spec.Constants), cmp.Compare(a.SubgroupSize, b.SubgroupSize))
	})
	return list, nil
}
