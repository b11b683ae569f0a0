package look

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Bytes writes a size in binary units, with three digits at most.
func Bytes(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	v, i := float64(n), 0
	for math.Abs(v) >= 1023.5 && i < len(units)-1 {
		v, i = v/1024, i+1
	}
	if i == 0 || math.Abs(v) >= 99.95 {
		return fmt.Sprintf("%.0f %s", v, units[i])
	}
	return fmt.Sprintf("%.1f %s", v, units[i])
}

// Count writes a whole number with its thousands apart.
func Count[N int | int64 | uint64](n N) string {
	s := strconv.FormatInt(int64(n), 10)
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// Rate writes a number of tokens a second.
func Rate(perSecond float64) string {
	if perSecond >= 99.95 {
		return T("look.rate", Count(int64(perSecond+0.5)))
	}
	return T("look.rate", fmt.Sprintf("%.1f", perSecond))
}

// Duration writes how long something takes or took, in the two largest units.
func Duration(d time.Duration) string {
	switch {
	case d < 0:
		return T("look.unknown")
	case d < time.Second:
		return T("look.ms", int(d.Milliseconds()))
	case d < 10*time.Second:
		return T("look.seconds", fmt.Sprintf("%.1f", d.Seconds()))
	case d < time.Minute-time.Second/2:
		return T("look.seconds", strconv.Itoa(int(d.Seconds()+0.5)))
	case d < time.Hour-time.Second/2:
		s := int(d.Seconds() + 0.5)
		return T("look.minutes", s/60, s%60)
	}
	m := int(d.Minutes() + 0.5)
	return T("look.hours", m/60, m%60)
}

// When writes a moment as one says it at now: the time for today, else the date.
func When(t, now time.Time) string {
	t = t.In(now.Location())
	switch {
	case t.Year() == now.Year() && t.YearDay() == now.YearDay():
		return t.Format("15:04")
	case t.Year() == now.Year():
		return t.Format(T("look.date"))
	}
	return t.Format("2006-01-02")
}
