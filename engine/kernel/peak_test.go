package kernel

import (
	"testing"

	"kestrel/engine/vulkan/vulkantest"
)

// TestMeasurePeak: the arithmetic measured is at least what a projection reaches, and twice the rounds take longer, so
// that nothing of it was optimized away.
func TestMeasurePeak(t *testing.T) {
	dev := vulkantest.Open(t)
	set := NewSet(dev, DefaultTuning(dev.Info()))
	p, err := set.MeasurePeak(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, units := FragmentOf(dev.Info())
	if p.FMA < 1e9 || p.FMA > 1e15 || units != (p.Matrix > 0) || p.Matrix > 1e16 {
		t.Errorf("%+v, matrix units %v", p, units)
	}
}
