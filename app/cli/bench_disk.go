package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"kestrel/app/backend"
	"kestrel/engine"
)

// stopwatch times the loading of weights, from its first word to its last.
type stopwatch struct {
	first, last time.Time
	bytes       int64
}

func (w *stopwatch) progress(p engine.Progress) {
	if w.first.IsZero() {
		w.first = time.Now()
	}
	w.last, w.bytes = time.Now(), p.Total
}

// weights are read in so many seconds, at so many GB/s.
func (w *stopwatch) result() (seconds, gbps float64) {
	if seconds = w.last.Sub(w.first).Seconds(); seconds > 0 {
		gbps = float64(w.bytes) / seconds / 1e9
	}
	return seconds, gbps
}

// disk is the files of a model's weights.
type disk []string

// diskOf finds the files of the model of that name.
func diskOf(name string) (disk, error) {
	ck, err := backend.OpenCheckpoint(name)
	if err != nil {
		return nil, err
	}
	var files disk
	for _, t := range ck.Tensors() {
		if t.File != "" && !slices.Contains(files, t.File) {
			if _, err := os.Stat(t.File); err == nil {
				files = append(files, t.File)
			}
		}
	}
	if err := ck.Close(); err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, usagef("--cold: %s is no model of files on the disk", name)
	}
	return files, nil
}

// forget has the system drop what it keeps of the files in memory, so that the disk gives them next.
func (d disk) forget() error {
	for _, name := range d {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		err = errors.Join(dropCached(f), f.Close())
		if errors.Is(err, errors.ErrUnsupported) {
			return usagef("--cold: this system does not let a program drop what is cached of a file")
		}
		if err != nil {
			return fmt.Errorf("drop what is cached of %s: %w", name, err)
		}
	}
	return nil
}

// speed is how fast the disk gives the files one after the other, in GB/s: the better of two readings.
func (d disk) speed(ctx context.Context) (float64, error) {
	var best float64
	for range 2 {
		if err := d.forget(); err != nil {
			return 0, err
		}
		var bytes int64
		start := time.Now()
		for _, name := range d {
			n, err := readThrough(ctx, name)
			if err != nil {
				return 0, err
			}
			bytes += n
		}
		best = max(best, float64(bytes)/time.Since(start).Seconds()/1e9)
	}
	return best, nil
}

func readThrough(ctx context.Context, name string) (n int64, err error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	buf := make([]byte, 8<<20)
	for {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		k, err := f.Read(buf)
		n += int64(k)
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}
