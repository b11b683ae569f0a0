package vulkan

import (
	"slices"
	"testing"
)

// TestEncode checks the fixed barriers of a submission, which validation layers before 2024 do not check.
func TestEncode(t *testing.T) {
	host, device := &Buffer{raw: 1, mapped: []byte{0}}, &Buffer{raw: 2}
	var full, toHost ops
	full.fullBarrier()
	toHost.hostBarrier()
	for _, c := range []struct {
		name     string
		dst      *Buffer
		withHost bool
	}{{"device", device, false}, {"host", host, true}} {
		o := (&Program{}).encode([]step{{kind: stepFill, dst: View{c.dst, 0, 4}, hostWrite: c.dst.mapped != nil}}, nil, new(int))
		if !slices.Equal(o[:len(full)], full) {
			t.Errorf("%s: a submission begins with %v", c.name, o[:len(full)])
		}
		if got := slices.Equal(o[len(o)-len(toHost):], toHost); got != c.withHost {
			t.Errorf("%s: a submission ends with a barrier for the host: %v", c.name, got)
		}
	}
	compute := stageCompute
	for _, c := range []struct {
		name   string
		steps  []step
		stages uint64
	}{
		{"dispatches", []step{{kind: stepBarrier}}, compute},
		{"a copy anywhere", []step{{kind: stepBarrier}, {kind: stepCopy, dst: View{device, 0, 4}, src: View{host, 0, 4}}}, compute | stageTransfer},
	} {
		var want ops
		want.deviceBarrier(c.stages)
		if o := (&Program{}).encode(c.steps, nil, new(int)); !slices.Equal(o[len(full):len(full)+len(want)], want) {
			t.Errorf("%s: the barrier is %v, want %v", c.name, o[len(full):len(full)+len(want)], want)
		}
	}
}
