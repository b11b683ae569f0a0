package library

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// Stage is what an operation is doing.
type Stage string

const (
	Waiting     Stage = "waiting"     // for another process that writes the model
	Listing     Stage = "listing"     // asking the hub what there is
	Downloading Stage = "downloading" // bytes of files
	Hashing     Stage = "hashing"     // reading files that are there
	Copying     Stage = "copying"     // into the library
)

// Progress is how far an operation is. Done can go back, when bytes turn out
// to be wrong and are fetched again.
type Progress struct {
	Stage       Stage
	File        string // the one that moved last
	Done, Total int64  // bytes of all files
	Rate        float64
	ETA         time.Duration // until the end at this rate; negative while not known
	Waits       Wait          // for what; zero when nothing is waited for
}

// Wait is what an operation waits for.
type Wait struct {
	Checks string        // a file that is here is being checked
	Err    error         // what failed and is tried again, or an ErrBusy
	Pause  time.Duration // until then
}

// String says it in English, "" for nothing.
func (w Wait) String() string {
	own := (*Error)(nil)
	switch {
	case w.Checks != "":
		return "checking " + w.Checks
	case w.Err == nil:
		return ""
	case w.Pause > 0:
		return fmt.Sprintf("%v; next try in %v", w.Err, w.Pause)
	case errors.As(w.Err, &own):
		return own.Problem
	}
	return w.Err.Error()
}

const (
	reportEvery = 100 * time.Millisecond
	sampleEvery = 250 * time.Millisecond
	rateWindow  = 10 * time.Second // over which the rate is taken
)

// meter gathers the progress of goroutines and reports it at most every
// reportEvery.
type meter struct {
	report func(Progress)
	now    func() time.Time

	mu      sync.Mutex
	p       Progress
	moved   int64    // bytes that this run moved; unlike Done without what was there before
	samples []sample // of moved, oldest first, over rateWindow
	changed bool

	stop chan struct{}
	gone sync.WaitGroup
}

type sample struct {
	at    time.Time
	moved int64
}

// newMeter starts a meter; report may be nil. End it with close.
func newMeter(report func(Progress), now func() time.Time) *meter {
	m := &meter{report: report, now: now, stop: make(chan struct{})}
	m.p.ETA = -1
	if report == nil {
		return m
	}
	m.gone.Go(func() {
		tick := time.NewTicker(reportEvery)
		defer tick.Stop()
		for {
			select {
			case <-m.stop:
				return
			case <-tick.C:
				m.flush(false)
			}
		}
	})
	return m
}

// close reports the last state.
func (m *meter) close() {
	close(m.stop)
	m.gone.Wait()
	m.flush(true)
}

// stage begins a part of the operation of total bytes.
func (m *meter) stage(s Stage, total int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.p = Progress{Stage: s, Total: total, ETA: -1}
	m.moved, m.samples, m.changed = 0, nil, true
}

// total changes how many bytes there are.
func (m *meter) total(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.p.Total, m.changed = n, true
}

// there counts bytes that need no moving, or none any more (negative).
func (m *meter) there(file string, n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.p.Done += n
	m.p.File, m.changed = file, true
}

// add counts bytes that moved.
func (m *meter) add(file string, n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.p.Done += n
	m.moved += n
	m.p.File, m.p.Waits, m.changed = file, Wait{}, true
}

// waits says what is being waited for.
func (m *meter) waits(w Wait) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.p.Waits, m.changed = w, true
}

func (m *meter) flush(last bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rate()
	if m.report != nil && (m.changed || last) {
		m.changed = false
		m.report(m.p)
	}
}

// rate takes a sample and derives rate and time left. The caller holds mu.
func (m *meter) rate() {
	now := m.now()
	if n := len(m.samples); n == 0 || now.Sub(m.samples[n-1].at) >= sampleEvery {
		m.samples = append(m.samples, sample{now, m.moved})
		for len(m.samples) > 2 && now.Sub(m.samples[1].at) >= rateWindow {
			m.samples = m.samples[1:]
		}
	}
	rate, eta := 0.0, time.Duration(-1)
	first := m.samples[0]
	if dt := now.Sub(first.at).Seconds(); dt >= sampleEvery.Seconds() && m.moved > first.moved {
		rate = float64(m.moved-first.moved) / dt
		if left := float64(m.p.Total-m.p.Done) / rate; left >= 0 && left < (1000*time.Hour).Seconds() {
			eta = time.Duration(left * float64(time.Second))
		}
	}
	if rate != m.p.Rate || eta != m.p.ETA {
		m.p.Rate, m.p.ETA, m.changed = rate, eta, true
	}
}

// fetched is how many bytes moved in this stage.
func (m *meter) fetched() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.moved
}

// sizeText is n bytes in binary units.
func sizeText(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	x, unit := float64(n)/1024, 0
	for x >= 1024 && unit < 4 {
		x /= 1024
		unit++
	}
	return fmt.Sprintf("%.1f %ciB", x, "KMGTP"[unit])
}
