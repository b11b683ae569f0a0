package kernel

import (
	"testing"

	"kestrel/engine/vulkan"
	"kestrel/engine/vulkan/vulkantest"
	"kestrel/engine/weights"
)

// TestMeasureAsGPU takes the trials that only a GPU has, on whatever device the test has: all are made, and what they find
// can be used.
func TestMeasureAsGPU(t *testing.T) {
	if testing.Short() {
		t.Skip("measures for seconds")
	}
	dev := vulkantest.Open(t)
	base := DefaultTuning(vulkan.DeviceInfo{Type: vulkan.Discrete, Limits: vulkan.Limits{MaxInvocations: 128}})
	trials, of := 0, 0
	m, err := Measure(t.Context(), dev, base, []weights.DType{weights.F16}, func(done, total int) { trials, of = done, total })
	if err != nil {
		t.Fatal(err)
	}
	if trials != of || m.Groups < 1 {
		t.Errorf("%d of %d trials; %+v", trials, of, m)
	}
	if tune, err := base.With(m, dev.Limits()); err != nil || tune.Groups != m.Groups {
		t.Errorf("%+v, %v", tune, err)
	}
}
