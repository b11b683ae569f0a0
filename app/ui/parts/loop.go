package parts

import (
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

// ManualLoop does work at once and lets time pass by Advance only. It is for one
// goroutine.
type ManualLoop struct {
	now    time.Duration
	timers []*manualTimer
}

type manualTimer struct {
	at time.Duration
	f  func()
}

// Work implements Loop.
func (l *ManualLoop) Work(f func() func()) {
	if then := f(); then != nil {
		then()
	}
}

// Do implements Loop.
func (l *ManualLoop) Do(f func()) { f() }

// After implements Loop.
func (l *ManualLoop) After(d time.Duration, f func()) func() {
	t := &manualTimer{l.now + d, f}
	l.timers = append(l.timers, t)
	return func() { t.f = nil }
}

// Advance lets time pass.
func (l *ManualLoop) Advance(d time.Duration) {
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
