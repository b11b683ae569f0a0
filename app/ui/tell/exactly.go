package tell

import (
	"fmt"
	"strings"

	"kestrel/app/session"
	"kestrel/app/ui/look"
	"kestrel/engine/vulkan"
)

// The names and counts of a problem are as session.ProblemOf gives them; those
// that were stored long ago may have none.

// named says a problem by its names: the key for one of them, for two and so on.
func named(keys ...string) func(*session.Problem) string {
	return func(p *session.Problem) string {
		n := min(len(p.Names), len(keys))
		if n == 0 || p.Names[0] == "" {
			return ""
		}
		var args []any
		for _, name := range p.Names[:n] {
			args = append(args, name)
		}
		return look.T(keys[n-1], args...)
	}
}

func bytes(n int) string { return look.Bytes(int64(n)) }

func outOfMemory(p *session.Problem) string {
	if len(p.Counts) < 2 || len(p.Names) != len(p.Counts)-1 {
		return ""
	}
	text := look.T("tell.outOfMemory.figures", bytes(p.Counts[0]), bytes(p.Counts[1]))
	if device := p.Names[0]; device != "" {
		text = look.T("tell.outOfMemory.device", device, bytes(p.Counts[0]), bytes(p.Counts[1]))
	}
	var smaller []string
	for i, name := range p.Names[1:] {
		smaller = append(smaller, fmt.Sprintf("%s (%s)", name, bytes(p.Counts[2+i])))
	}
	way := look.T("tell.outOfMemory.way")
	if len(smaller) > 0 {
		way = look.T("tell.outOfMemory.smaller", strings.Join(smaller, look.T("tell.outOfMemory.or")))
	}
	return look.T("tell.join", text, way)
}

func noSpace(p *session.Problem) string {
	if len(p.Counts) < 2 {
		return ""
	}
	return look.T("tell.noSpace.figures", bytes(p.Counts[0]), bytes(p.Counts[1]))
}

func choice(p *session.Problem) string {
	if len(p.Names) == 0 {
		return ""
	}
	return look.T("tell.choice.files", "\n"+strings.Join(p.Names, "\n"))
}

func unusable(p *session.Problem) string {
	if len(p.Names) < 3 || len(p.Counts) < 2 {
		return ""
	}
	lacks := lacking(vulkan.Refusal{Kind: vulkan.Refused(p.Names[1]), Name: p.Names[2], Has: p.Counts[0], Needs: p.Counts[1]})
	if lacks == "" {
		return ""
	}
	return look.T("tell.unusable.device", p.Names[0], lacks)
}

// lacks says what a device lacks by the kinds that there are.
var lacks = map[vulkan.Refused]string{
	vulkan.RefusedVersion:     look.K("tell.lacks.version"),
	vulkan.RefusedQueue:       look.K("tell.lacks.queue"),
	vulkan.RefusedSubgroups:   look.K("tell.lacks.subgroups"),
	vulkan.RefusedOperations:  look.K("tell.lacks.operations"),
	vulkan.RefusedLanes:       look.K("tell.lacks.lanes"),
	vulkan.RefusedShared:      look.K("tell.lacks.shared"),
	vulkan.RefusedInvocations: look.K("tell.lacks.invocations"),
	vulkan.RefusedPush:        look.K("tell.lacks.push"),
}

func lacking(r vulkan.Refusal) string {
	key, ok := lacks[r.Kind]
	if !ok {
		return ""
	}
	switch r.Kind {
	case vulkan.RefusedQueue, vulkan.RefusedSubgroups:
		return look.T(key)
	case vulkan.RefusedVersion, vulkan.RefusedOperations:
		return look.T(key, r.Name)
	case vulkan.RefusedLanes:
		return look.T(key, r.Has)
	}
	return look.T(key, r.Has, r.Needs)
}

// Lacks says why a device cannot be used; what has no known kind keeps its own
// words.
func Lacks(d vulkan.DeviceInfo) string {
	if text := lacking(d.Refusal); text != "" {
		return text
	}
	return d.Reason
}

// Warning says what to know of a model that was loaded.
func Warning(text string) string { return look.T("tell.warning") + "\n" + look.T("tell.details", text) }
