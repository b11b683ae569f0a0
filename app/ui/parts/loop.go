package parts

import (
	"runtime"
	"strings"
	"sync"
	"time"

	"fyne.io/fyne/v2"
)

// Loop is the seam between the work of views and Fyne's goroutine. Tests use
// ManualLoop.
type Loop interface {
	// Work runs f on a goroutine of its own, and what f returns, unless nil, on
	// Fyne's.
	Work(f func() (then func()))
	// Do runs f on Fyne's goroutine. It is for other goroutines.
	Do(f func())
	// After runs f on Fyne's goroutine after a time, unless stop is called
	// before. stop is for Fyne's goroutine.
	After(d time.Duration, f func()) (stop func())
}

// Background is the Loop of the running program.
type Background struct{}

// Work implements Loop.
func (Background) Work(f func() func()) {
	go func() {
		if then := f(); then != nil {
			fyne.Do(then)
		}
	}()
}

// Do implements Loop.
func (Background) Do(f func()) { fyne.Do(f) }

// After implements Loop.
func (Background) After(d time.Duration, f func()) func() {
	stopped := false // read and written on Fyne's goroutine only
	t := time.AfterFunc(d, func() {
		fyne.Do(func() {
			if !stopped {
				f()
			}
		})
	})
	return func() { stopped = true; t.Stop() }
}

// ManualLoop does work at once and lets time pass by Advance only. It belongs to
// the goroutine that uses it first; what others hand to Do waits until that one
// comes by again.
type ManualLoop struct {
	now    time.Duration
	timers []*manualTimer

	mu      sync.Mutex
	owner   string
	waiting []func()
}

type manualTimer struct {
	at time.Duration
	f  func()
}

// Work implements Loop.
func (l *ManualLoop) Work(f func() func()) {
	then := f()
	if then == nil {
		then = func() {}
	}
	l.Do(then)
}

// Do implements Loop.
func (l *ManualLoop) Do(f func()) {
	here := goroutine()
	l.mu.Lock()
	if l.owner == "" {
		l.owner = here
	}
	l.waiting = append(l.waiting, f)
	var due []func()
	if l.owner == here {
		due, l.waiting = l.waiting, nil
	}
	l.mu.Unlock()
	for _, f := range due {
		f()
	}
}

// goroutine names the one that calls, as a stack trace does.
func goroutine() string {
	var trace [64]byte
	name, _, _ := strings.Cut(string(trace[:runtime.Stack(trace[:], false)]), " [")
	return name
}

// After implements Loop.
func (l *ManualLoop) After(d time.Duration, f func()) func() {
	t := &manualTimer{l.now + d, f}
	l.timers = append(l.timers, t)
	return func() { t.f = nil }
}

// Advance lets time pass.
func (l *ManualLoop) Advance(d time.Duration) {
	l.Do(func() {})
	l.now += d
	due := l.timers
	l.timers = nil
	for _, t := range due {
		switch {
		case t.f == nil:
		case t.at <= l.now:
			t.f()
		default:
			l.timers = append(l.timers, t)
		}
	}
}
