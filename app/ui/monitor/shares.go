package monitor

import (
	"fmt"
	"slices"

	"kestrel/app/ui/look"
	"kestrel/engine/vulkan"
)

// share is one part of Kestrel's own memory.
type share struct {
	purpose vulkan.Purpose
	host    bool
	bytes   int64
	text    string // in MiB; the texts add up to the total's
}

// shares is the report as it is shown: every purpose in the report's order, and
// the total of all. What a report did not give a purpose would show as a part of
// its own.
func shares(report vulkan.MemoryReport) (parts []share, total string) {
	sum := int64(0)
	for _, p := range report.Purposes {
		if p.Allocated > 0 {
			parts = append(parts, share{purpose: p.Purpose, host: p.Host, bytes: p.Allocated})
			sum += p.Allocated
		}
	}
	if rest := report.Total - sum; rest != 0 {
		parts = append(parts, share{bytes: rest})
	}
	tenths := roundParts(parts)
	all := int64(0)
	for i := range parts {
		parts[i].text = mib(tenths[i])
		all += tenths[i]
	}
	return parts, mib(all)
}

const tenth = (1 << 20) / 10.0

// roundParts rounds to tenths of a MiB so that the parts add up to the rounded
// total: the largest remainders are rounded up.
func roundParts(parts []share) []int64 {
	out := make([]int64, len(parts))
	order := make([]int, len(parts))
	total, floor := int64(0), int64(0)
	remainder := func(i int) float64 { return float64(parts[i].bytes)/tenth - float64(out[i]) }
	for i, p := range parts {
		out[i] = int64(float64(p.bytes) / tenth)
		total += p.bytes
		floor += out[i]
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch ra, rb := remainder(a), remainder(b); {
		case ra > rb:
			return -1
		case ra < rb:
			return 1
		}
		return 0
	})
	for _, i := range order[:min(len(order), max(0, int(int64(float64(total)/tenth+0.5)-floor)))] {
		out[i]++
	}
	return out
}

// mib writes tenths of a MiB.
func mib(tenths int64) string {
	return fmt.Sprintf("%s.%d MiB", look.Count(tenths/10), tenths%10)
}

// name is what a part is called.
func (s share) name() string {
	names := map[vulkan.Purpose]string{
		vulkan.Weights: look.K("monitor.weights"), vulkan.State: look.K("monitor.state"), vulkan.Scratch: look.K("monitor.scratch"),
		vulkan.Staging: look.K("monitor.staging"), vulkan.Saved: look.K("monitor.saved"), "": look.K("monitor.unaccounted"),
	}
	text := string(s.purpose)
	if key, ok := names[s.purpose]; ok {
		text = look.T(key)
	}
	if s.host {
		return look.T("monitor.in_main_memory", text)
	}
	return text
}
