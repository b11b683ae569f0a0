package vulkan

// #include "shim.h"
import "C"

import "fmt"

// Refused says what a device lacks that Kestrel's shaders need.
type Refused string

// What a device may lack.
const (
	RefusedVersion     Refused = "version"     // Name is the version of Vulkan that it offers
	RefusedQueue       Refused = "queue"       // none computes
	RefusedSubgroups   Refused = "subgroups"   // none in compute shaders
	RefusedOperations  Refused = "operations"  // Name are those of subgroups
	RefusedLanes       Refused = "lanes"       // Has are those of a subgroup
	RefusedShared      Refused = "shared"      // Has bytes of shared memory, and Needs
	RefusedInvocations Refused = "invocations" // Has in a workgroup, and Needs
	RefusedPush        Refused = "push"        // Has bytes of push constants, and Needs
)

// Refusal is the reason why a device cannot be used; zero where it can.
type Refusal struct {
	Kind       Refused
	Name       string
	Has, Needs int
}

func (r Refusal) String() string {
	switch r.Kind {
	case RefusedVersion:
		return fmt.Sprintf("it offers Vulkan %s and 1.1 is needed: a newer driver may help", r.Name)
	case RefusedQueue:
		return "it has no compute queue"
	case RefusedSubgroups:
		return "it has no subgroup operations in compute shaders"
	case RefusedOperations:
		return "it has no subgroup " + r.Name + " operations"
	case RefusedLanes:
		return fmt.Sprintf("its subgroups have %d lanes and %d to %d are supported", r.Has, leastLanes, mostLanes)
	case RefusedShared:
		return fmt.Sprintf("it has %d bytes of shared memory and %d are needed", r.Has, r.Needs)
	case RefusedInvocations:
		return fmt.Sprintf("it allows %d invocations in a workgroup and %d are needed", r.Has, r.Needs)
	case RefusedPush:
		return fmt.Sprintf("it has %d bytes of push constants and %d are needed", r.Has, r.Needs)
	}
	return string(r.Kind)
}

// Lanes of a subgroup that the shaders are written for.
const leastLanes, mostLanes = 4, 128

// facts are what decides whether a device can run Kestrel's shaders.
type facts struct {
	api                uint32
	families           []family
	stages, operations uint32 // of subgroups
	limits             Limits
}

type family struct{ flags, timestampBits uint32 }

// refusal is the reason why the device cannot be used, zero where it can.
func (f facts) refusal() Refusal {
	if f.api < api11 {
		return Refusal{Kind: RefusedVersion, Name: versionString(f.api)}
	}
	if f.computeFamily() < 0 {
		return Refusal{Kind: RefusedQueue}
	}
	if f.stages&C.VK_SHADER_STAGE_COMPUTE_BIT == 0 {
		return Refusal{Kind: RefusedSubgroups}
	}
	for _, op := range []struct {
		bit  uint32
		name string
	}{
		{C.VK_SUBGROUP_FEATURE_BASIC_BIT, "basic"},
		{C.VK_SUBGROUP_FEATURE_ARITHMETIC_BIT, "arithmetic"},
		{C.VK_SUBGROUP_FEATURE_SHUFFLE_BIT, "shuffle"},
	} {
		if f.operations&op.bit == 0 {
			return Refusal{Kind: RefusedOperations, Name: op.name}
		}
	}
	l := f.limits
	if l.SubgroupSize < leastLanes || l.SubgroupSize > mostLanes {
		return Refusal{Kind: RefusedLanes, Has: l.SubgroupSize}
	}
	for _, least := range []Refusal{
		{RefusedShared, "", l.MaxSharedBytes, 16 << 10},
		{RefusedInvocations, "", l.MaxInvocations, 128},
		{RefusedPush, "", l.MaxPushBytes, 128},
	} {
		if least.Has < least.Needs {
			return least
		}
	}
	return Refusal{}
}

// computeFamily prefers a queue family without graphics, so that long work does not queue before the desktop's.
func (f facts) computeFamily() int {
	best := -1
	for i, fam := range f.families {
		if fam.flags&C.VK_QUEUE_COMPUTE_BIT == 0 {
			continue
		}
		if best < 0 {
			best = i
		}
		if fam.flags&C.VK_QUEUE_GRAPHICS_BIT == 0 && fam.timestampBits > 0 {
			return i
		}
	}
	return best
}
