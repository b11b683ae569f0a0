package monitor

import (
	"slices"
	"time"
)

// Point is one moment of the history.
type Point struct {
	Time   time.Time
	Bytes  int64 // allocated on the device
	Tokens int64 // read since the program started
}

// maxPoints bounds the history: half an hour at two points a second.
const maxPoints = 3600

// fineness is how many points the time up to now has at least, whatever is looked
// at of it: a plot of the last hour shows steps of an hour's 150th.
const fineness = 150

// History keeps the whole time since the program started in bounded space: the
// older, the coarser. The zero value is empty.
type History struct{ points []Point }

// Add appends a point that is later than the last.
func (h *History) Add(p Point) {
	if n := len(h.points); n > 0 && !p.Time.After(h.points[n-1].Time) {
		return
	}
	for fine := fineness; len(h.points) >= maxPoints; fine = max(1, fine/2) {
		h.thin(fine)
	}
	h.points = append(h.points, p)
}

// thin leaves out points where those around are closer than their age's
// fineness. The next point takes over a larger use, so that a peak stays one.
func (h *History) thin(fine int) {
	last := h.points[len(h.points)-1].Time
	out := h.points[:1]
	for i := 1; i < len(h.points); i++ {
		p := h.points[i]
		if i+1 < len(h.points) && h.points[i+1].Time.Sub(out[len(out)-1].Time) <= last.Sub(p.Time)/time.Duration(fine) {
			h.points[i+1].Bytes = max(h.points[i+1].Bytes, p.Bytes)
			continue
		}
		out = append(out, p)
	}
	h.points = out
}

// Points is a copy, oldest first.
func (h *History) Points() []Point { return slices.Clone(h.points) }

// since cuts off what is before t, keeping one point before it so that the line
// enters from the edge.
func since(points []Point, t time.Time) []Point {
	i, _ := slices.BinarySearchFunc(points, t, func(p Point, t time.Time) int { return p.Time.Compare(t) })
	return points[max(0, i-1):]
}
