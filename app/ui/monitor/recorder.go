// Package monitor is the panel of the GPU's memory: what each heap holds, what
// Kestrel's own memory is for, what other programs take, how the device fares,
// and how memory stays flat while tokens are read.
//
// A Recorder lives as long as the program and keeps the history; a Panel shows
// it, and can be made anew with another language. While no panel is on show
// the sensors are left alone and nothing is drawn; the history goes on.
package monitor

import (
	"context"
	"sync"

	"kestrel/app/sensors"
	"kestrel/app/session"
	"kestrel/engine/vulkan"
)

// Source is what is shown; session.Session is one.
type Source interface {
	WatchMemory(f func(*session.Memory)) (cancel func())
	Devices(ctx context.Context) ([]vulkan.DeviceInfo, error)
}

// Sample is one moment: the memory, and what the system tells of the device.
type Sample struct {
	Memory  *session.Memory // never nil
	Sensors sensors.Snapshot
}

// Recorder follows the memory and keeps its history. Its methods may be called
// from any goroutine.
type Recorder struct {
	source   Source
	sensors  *sensors.Sensors
	incoming chan *session.Memory
	unwatch  func()
	quit     chan struct{}
	done     chan struct{}

	mu      sync.Mutex
	history History
	last    *Sample // nil before the first
	next    int
	looking map[int]func(*Sample)

	gpu    *sensors.GPU // of the recorder's goroutine
	device string
}

// NewRecorder follows source until Close. The sensors stay the caller's.
func NewRecorder(source Source, s *sensors.Sensors) *Recorder {
	r := &Recorder{source: source, sensors: s, incoming: make(chan *session.Memory, 1), quit: make(chan struct{}), done: make(chan struct{}), looking: map[int]func(*Sample){}}
	go r.run()
	r.unwatch = source.WatchMemory(r.receive)
	return r
}

// receive hands the newest on: sensors may take longer than the session waits.
func (r *Recorder) receive(m *session.Memory) {
	for {
		select {
		case r.incoming <- m:
			return
		default:
		}
		select {
		case <-r.incoming:
		default:
		}
	}
}

// Close ends the recording; no watcher is called after it.
func (r *Recorder) Close() {
	r.unwatch()
	close(r.quit)
	<-r.done
}

func (r *Recorder) run() {
	defer close(r.done)
	for {
		select {
		case m := <-r.incoming:
			r.take(m)
		case <-r.quit:
			return
		}
	}
}

// take records a moment, and tells those who look.
func (r *Recorder) take(m *session.Memory) {
	r.mu.Lock()
	r.history.Add(Point{m.Time, m.Report.Total, m.TokensRead})
	watched := len(r.looking) > 0
	r.mu.Unlock()
	sample := &Sample{Memory: m}
	if watched {
		sample.Sensors = r.read(m)
	}
	r.mu.Lock()
	r.last = sample
	watchers := make([]func(*Sample), 0, len(r.looking))
	for _, f := range r.looking {
		watchers = append(watchers, f)
	}
	r.mu.Unlock()
	for _, f := range watchers {
		f(sample)
	}
}

// read reads the sensors of the device that the model runs on.
func (r *Recorder) read(m *session.Memory) sensors.Snapshot {
	if !m.Loaded {
		r.gpu, r.device = nil, ""
		return sensors.Snapshot{}
	}
	d := m.Device
	if key := d.PCI + d.Name + string(d.UUID[:]); r.gpu == nil || key != r.device {
		r.gpu = r.sensors.GPU(sensors.Device{VendorID: d.VendorID, DeviceID: d.DeviceID, UUID: d.UUID, PCI: d.PCI, Software: d.Type == vulkan.Software})
		r.device = key
	}
	local := int64(0)
	for _, p := range m.Report.Purposes {
		if !p.Host {
			local += p.Allocated
		}
	}
	return r.gpu.Read(local)
}

// watch calls f with each sample, from the recorder's goroutine.
func (r *Recorder) watch(f func(*Sample)) (cancel func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next++
	id := r.next
	r.looking[id] = f
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.looking, id)
	}
}

// Last is the newest sample, nil before the first.
func (r *Recorder) Last() *Sample {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// points are the history's, oldest first.
func (r *Recorder) points() []Point {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.history.Points()
}
