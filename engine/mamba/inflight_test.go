package mamba

import (
	"testing"
	"time"
)

// TestInFlight: beyond the step that is waited for, no more is begun than takes 50 ms, nor more than 3 steps.
func TestInFlight(t *testing.T) {
	for _, c := range []struct {
		step  time.Duration
		ahead int // as set
		want  int
	}{
		{0, 0, 1}, // not yet timed
		{100 * time.Microsecond, 0, 4},
		{16 * time.Millisecond, 0, 4},
		{17 * time.Millisecond, 0, 3},
		{25 * time.Millisecond, 0, 3},
		{26 * time.Millisecond, 0, 2},
		{50 * time.Millisecond, 0, 2},
		{51 * time.Millisecond, 0, 1},
		{time.Hour, 0, 1},
		{time.Hour, 3, 3},
		{0, 9, 4},
		{time.Millisecond, -1, -1},
	} {
		m := &Model{stepTime: c.step}
		m.SetAhead(c.ahead)
		if got := m.inFlight(); got != c.want {
			t.Errorf("steps of %v, %d asked for: %d in flight, want %d", c.step, c.ahead, got, c.want)
		}
	}
	m := &Model{}
	for range 40 { // what was slow once does not stay slow
		if m.stepTime == 0 {
			m.timed(time.Second)
		}
		m.timed(2 * time.Millisecond)
	}
	if m.inFlight() != maxAhead {
		t.Errorf("%v a step after 40 of 2 ms", m.stepTime)
	}
}
