package chatview

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
	"golang.org/x/sys/unix"

	"kestrel/app/session"
	"kestrel/app/session/sessiontest"
	"kestrel/app/ui/look"
)

// conversation number n, of 200 messages with some of everything.
func conversation(n int) *session.Conversation {
	c := &session.Conversation{ID: fmt.Sprint("c", n), Phase: session.Idle}
	for i := range 100 {
		c.Messages = append(c.Messages,
			sessiontest.Message(fmt.Sprintf("u%d-%d", n, i), "user", fmt.Sprintf("Question %d of %d: why is the state of the same size after each token?", i, n), session.Complete),
			answer(fmt.Sprintf("a%d-%d", n, i), fmt.Sprintf("Answer %d of %d.\n\n## Why\n\n%s\n\n- one\n- **two**\n- 中文的一项\n\n```go\nfunc f() int { return %d }\n```\n",
				i, n, strings.Repeat("Because the recurrence keeps a fixed number of values, whatever was read before. ", 6), i), session.Complete))
	}
	return c
}

// worked is what this thread has worked: other programs do not count.
func worked(tb testing.TB) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(t.Nano())
}

func TestOpeningAndScrollingAreFast(t *testing.T) {
	s := newStage(t, look.Options{}, look.English, nil)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var open, scroll []time.Duration
	for n := range 20 {
		c := conversation(n)
		started := worked(t)
		s.fake.Update(func(s *session.Snapshot) { s.Conversation = c })
		open = append(open, worked(t)-started)
		for range 30 {
			started := worked(t)
			test.Scroll(s.w.Canvas(), fyne.NewPos(300, 200), 0, 120)
			scroll = append(scroll, worked(t)-started)
		}
	}
	slices.Sort(open)
	slices.Sort(scroll)
	t.Logf("opening takes %v, at most %v; a step of the wheel %v, at most %v", open[len(open)/2], open[len(open)-1], scroll[len(scroll)/2], scroll[len(scroll)-1])
	if m := open[len(open)/2]; m > 100*slower*time.Millisecond {
		t.Errorf("opening a conversation of 200 messages takes %v", m)
	}
	if m := scroll[len(scroll)*95/100]; m > 16*slower*time.Millisecond {
		t.Errorf("one step of the wheel in twenty takes %v", m)
	}
}
