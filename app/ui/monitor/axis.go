package monitor

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"kestrel/app/ui/look"
)

// intervals is the number of grid steps of both axes, so that they share lines.
const intervals = 4

// byteStep is the smallest round number of bytes (1, 2, 4, 8 … of a binary unit,
// or one and a half of them) of which intervals reach past most.
func byteStep(most int64) int64 {
	for step := int64(256 << 10); step < 1<<60; step *= 2 {
		if step*intervals > most {
			return step
		}
		if step*3/2*intervals > most {
			return step * 3 / 2
		}
	}
	return 1 << 60
}

// countStep is the smallest round number (1, 2, 2.5 or 5 times a power of ten)
// of which intervals reach most.
func countStep(most int64) int64 {
	for power := int64(1); power < 1<<58; power *= 10 {
		for _, tenths := range []int64{10, 20, 25, 50} {
			if step := power * tenths / 10; step*10 == power*tenths && step*intervals >= most && step > 0 {
				return step
			}
		}
	}
	return 1 << 60
}

// bytesTick labels a place on the axis of memory.
func bytesTick(n int64) string {
	if n == 0 {
		return "0"
	}
	unit, name := int64(1<<10), "KiB"
	switch {
	case n >= 1<<30:
		unit, name = 1<<30, "GiB"
	case n >= 1<<20:
		unit, name = 1<<20, "MiB"
	}
	return strconv.FormatFloat(float64(n)/float64(unit), 'f', -1, 64) + " " + name
}

// countTick labels a place on the axis of tokens.
func countTick(n int64) string {
	for _, u := range []struct {
		size int64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if n >= u.size {
			return strconv.FormatFloat(math.Round(float64(n)/float64(u.size)*100)/100, 'f', -1, 64) + u.name
		}
	}
	return fmt.Sprint(n)
}

// ago labels a place on the axis of time.
func ago(d time.Duration) string {
	switch d = d.Round(time.Second); {
	case d <= 0:
		return look.T("monitor.now")
	case d < time.Minute:
		return look.T("monitor.ago_seconds", int(d.Seconds()))
	case d < 90*time.Minute:
		if s := int(d.Seconds()) % 60; s != 0 && d < 10*time.Minute {
			return look.T("monitor.ago_minutes_seconds", int(d.Minutes()), s)
		}
		return look.T("monitor.ago_minutes", int(math.Round(d.Minutes())))
	}
	return look.T("monitor.ago_hours", strconv.FormatFloat(math.Round(d.Hours()*10)/10, 'f', -1, 64))
}
