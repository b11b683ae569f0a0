package cli

import (
	"context"
	"slices"
	"sync"
	"time"

	"kestrel/app/backend"
	"kestrel/app/sensors"
	"kestrel/engine/vulkan"
)

// powerEvery is the time between two readings of the power: drivers renew it about as often.
const powerEvery = 100 * time.Millisecond

// devicePower gives a reader of what a device draws now, in watts; the reader says false where the system does not tell.
func devicePower(d vulkan.DeviceInfo) func() (float64, bool) {
	gpu := sensors.New(sensors.Options{}).GPU(sensors.Device{VendorID: d.VendorID, DeviceID: d.DeviceID, UUID: d.UUID, PCI: d.PCI,
		Software: d.Type == vulkan.Software})
	return func() (float64, bool) {
		p := gpu.Read(0).Power
		return p.Value, p.Known
	}
}

// wattmeter averages the power of a device while measured runs are under way.
type wattmeter struct {
	read func() (float64, bool)
	stop chan struct{}
	done sync.WaitGroup

	sum   float64
	count int
}

func (w *wattmeter) start() {
	w.stop = make(chan struct{})
	w.done.Go(func() {
		tick := time.NewTicker(powerEvery)
		defer tick.Stop()
		for {
			if watts, ok := w.read(); ok {
				w.sum += watts
				w.count++
			}
			select {
			case <-w.stop:
				return
			case <-tick.C:
			}
		}
	})
}

// end gives the average in watts; false where nothing was told.
func (w *wattmeter) end() (float64, bool) {
	close(w.stop)
	w.done.Wait()
	return w.sum / float64(max(w.count, 1)), w.count > 0
}

// joules is what a token costs; nil where the power is not known.
func joules(watts, tps float64) *float64 {
	if watts <= 0 {
		return nil
	}
	j := watts / tps
	return &j
}

// median is the time of f in seconds, after one run to warm up, and the power
// that the device drew meanwhile in watts, 0 where it is not known. Each run
// starts from an empty session that has read so many tokens.
func (b *bench) median(ctx context.Context, s backend.Session, read int, f func() error) (seconds, watts float64, err error) {
	var times []float64
	var meter *wattmeter
	defer func() {
		if meter != nil {
			watts, _ = meter.end()
		}
	}()
	for run := range b.runs + 1 {
		if err := s.Reset(); err != nil {
			return 0, 0, err
		}
		if read > 0 {
			if err := s.Feed(ctx, make([]int, read), nil); err != nil {
				return 0, 0, err
			}
		}
		if run == 1 && b.power != nil {
			meter = &wattmeter{read: b.power}
			meter.start()
		}
		start := time.Now()
		if err := f(); err != nil {
			return 0, 0, err
		}
		if run > 0 {
			times = append(times, time.Since(start).Seconds())
		}
	}
	slices.Sort(times)
	return times[len(times)/2], 0, nil
}
