package cli

import (
	"context"
	"fmt"
	"os"
	"time"

	"kestrel/app/backend"
	"kestrel/app/chart"
	"kestrel/engine"
	"kestrel/engine/sample"
)

// benchPlot is what --plot draws.
type benchPlot struct {
	dir    string
	memory float64 // GiB, of the chart of prompts
	tokens int     // to write, of the chart of speed
}

// plotted is the model of the chart of prompts, that of the publication.
const plotted, plottedPrecision = "falcon-mamba-7b", "f16"

// bytesOf16 is the size of a weight or a cached value in the charts, for all models alike.
const bytesOf16 = 2

// prompts draws the memory that a prompt takes: of Kestrel from what its allocator would do on this device, of
// transformers the least by their published sizes.
func (p benchPlot) prompts(e backend.Engine, device string) error {
	need := func(chunk int) (float64, error) {
		m, err := e.Estimate("random:"+plotted+":"+plottedPrecision, engine.Options{Device: device, Chunk: chunk})
		return float64(m.Device), err
	}
	chunked, err := need(0)
	if err != nil {
		return err
	}
	// In one piece a prompt takes scratch for each of its tokens; devices bind buffers of so many bytes only, so the line
	// is drawn through two lengths that any of them holds.
	const few, more = 512, 1536
	var at [2]float64
	for i, n := range []int{few, more} {
		if at[i], err = need(n); err != nil {
			return err
		}
	}
	each := (at[1] - at[0]) / (more - few)
	var lengths, flat, parallel []float64
	for n := 1024.0; n <= 1<<20; n *= 1.1 {
		lengths = append(lengths, n)
		flat = append(flat, chunked/(1<<30))
		parallel = append(parallel, (chunked+each*n)/(1<<30))
	}
	lines := []chart.Line{
		{Name: plotted + " in Kestrel, read in chunks", X: lengths, Y: flat},
		{Name: plotted + " in Kestrel, read in one piece", X: lengths, Y: parallel},
	}
	for _, t := range chart.Transformers {
		l := chart.Line{Name: t.Name + ", weights and cache", X: lengths, Dashed: true}
		for _, n := range lengths {
			l.Y = append(l.Y, t.Bytes(n, bytesOf16, bytesOf16)/(1<<30))
		}
		lines = append(lines, l)
	}
	return chart.PromptMemory(p.dir, "Device memory to read a prompt, weights and caches in 16 bits (computed)", p.memory, lines)
}

// written writes p.tokens tokens and draws speed and memory on the way.
func (p benchPlot) written(ctx context.Context, a *app, m backend.Model, s backend.Session) error {
	if err := s.Reset(); err != nil {
		return err
	}
	if err := s.Feed(ctx, []int{0}, nil); err != nil {
		return err
	}
	sampler, err := sample.New(sample.Params{})
	if err != nil {
		return err
	}
	bar := a.progress("writing", "tok")
	defer bar.done()
	var speed, memory chart.Line
	speed.Name, memory.Name = m.Name(), m.Name()
	piece := max(p.tokens/64, 1)
	for done := 0; done < p.tokens; {
		n := min(piece, p.tokens-done)
		start := time.Now()
		for range n {
			if _, err := s.Next(ctx, sampler); err != nil {
				return err
			}
		}
		done += n
		speed.X, speed.Y = append(speed.X, float64(done)), append(speed.Y, float64(n)/time.Since(start).Seconds())
		memory.X, memory.Y = append(memory.X, float64(done)), append(memory.Y, float64(m.Memory().Total)/(1<<20))
		bar.set(int64(done), int64(p.tokens))
	}
	title := fmt.Sprintf("%s after a prompt of one token, on %s (measured)", m.Name(), m.Device().Name)
	return chart.Written(p.dir, title, speed, memory)
}

// makeFolder makes the folder of the charts before anything is measured.
func (p benchPlot) makeFolder() error {
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return fmt.Errorf("folder of the charts: %w", err)
	}
	return nil
}
