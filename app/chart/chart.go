// Package chart draws the two charts by which Falcon-Mamba's publication shows what a state of constant size is worth:
// device memory against the length of the prompt, beside transformers whose cache grows, and speed and memory against the
// number of tokens written. It draws what it is given; it measures nothing.
package chart

import (
	"fmt"
	"image/color"
	"math"
	"path/filepath"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Line is a line of a chart.
type Line struct {
	Name   string
	X, Y   []float64
	Dashed bool // computed from published sizes, not by our own allocator or clock
}

// width and height of a chart.
const width, height = 9 * vg.Inch, 5 * vg.Inch

// ours are for Kestrel's lines, theirs for all others.
var (
	ours   = []color.RGBA{{0xd9, 0x5f, 0x02, 0xff}, {0x7a, 0x30, 0x00, 0xff}}
	theirs = []color.RGBA{{0x1f, 0x77, 0xb4, 0xff}, {0x2c, 0xa0, 0x2c, 0xff}, {0x94, 0x67, 0xbd, 0xff}, {0x8c, 0x8c, 0x8c, 0xff},
		{0x17, 0xbe, 0xcf, 0xff}, {0xbc, 0xbd, 0x22, 0xff}}
)

// PromptMemory draws device memory in GiB against the length of the prompt in tokens, on a logarithmic axis, with a level
// for what the device has. It writes DIR/prompt-memory.svg and .png.
func PromptMemory(dir, title string, limitGiB float64, lines []Line) error {
	p := plot.New()
	p.Title.Text = title
	p.X.Label.Text = "tokens of the prompt"
	p.Y.Label.Text = "device memory, GiB"
	p.X.Scale = plot.LogScale{}
	p.X.Tick.Marker = tokenTicks{}
	p.Legend.Top, p.Legend.Left = true, true
	p.Add(plotter.NewGrid())
	if err := add(p, lines); err != nil {
		return err
	}
	low, high := math.Inf(1), 0.0
	for _, l := range lines {
		low, high = min(low, l.X[0]), max(high, l.X[len(l.X)-1])
	}
	level, err := plotter.NewLine(plotter.XYs{{X: low, Y: limitGiB}, {X: high, Y: limitGiB}})
	if err != nil {
		return fmt.Errorf("chart of memory: %w", err)
	}
	level.Color, level.Width = color.RGBA{0xc0, 0, 0, 0xff}, vg.Points(1)
	p.Add(level)
	p.Legend.Add(fmt.Sprintf("what the device has: %.0f GiB", limitGiB), level)
	p.Y.Min, p.Y.Max = 0, 2.2*limitGiB
	return save(p, dir, "prompt-memory")
}

// Written draws speed against the number of tokens written; below it the memory in use on the same axis. It writes
// DIR/written-speed and DIR/written-memory, .svg and .png.
func Written(dir, title string, speed, memory Line) error {
	for _, c := range []struct {
		line       Line
		label, out string
	}{{speed, "tokens a second", "written-speed"}, {memory, "device memory, MiB", "written-memory"}} {
		p := plot.New()
		p.Title.Text = title
		p.X.Label.Text = "tokens written"
		p.Y.Label.Text = c.label
		p.Add(plotter.NewGrid())
		if err := add(p, []Line{c.line}); err != nil {
			return err
		}
		p.Y.Min = 0
		p.Y.Max = 1.25 * top(c.line.Y)
		p.Legend.Top = true
		if err := save(p, dir, c.out); err != nil {
			return err
		}
	}
	return nil
}

func add(p *plot.Plot, lines []Line) error {
	solid, dashed := 0, 0
	for _, l := range lines {
		if len(l.X) == 0 || len(l.X) != len(l.Y) {
			return fmt.Errorf("chart: line %q has %d and %d values", l.Name, len(l.X), len(l.Y))
		}
		points := make(plotter.XYs, len(l.X))
		for i := range points {
			points[i].X, points[i].Y = l.X[i], l.Y[i]
		}
		drawn, err := plotter.NewLine(points)
		if err != nil {
			return fmt.Errorf("chart: line %q: %w", l.Name, err)
		}
		if l.Dashed {
			drawn.Color, drawn.Width = theirs[dashed%len(theirs)], vg.Points(1.2)
			drawn.Dashes = []vg.Length{vg.Points(5), vg.Points(3)}
			dashed++
		} else {
			drawn.Color, drawn.Width = ours[solid%len(ours)], vg.Points(2.5)
			solid++
		}
		p.Add(drawn)
		p.Legend.Add(l.Name, drawn)
	}
	return nil
}

func top(v []float64) float64 {
	t := 0.0
	for _, y := range v {
		t = max(t, y)
	}
	return t
}

func save(p *plot.Plot, dir, name string) error {
	p.Legend.TextStyle.Font.Size = vg.Points(9)
	p.Legend.Padding = vg.Points(2)
	p.BackgroundColor = color.White
	p.Y.Tick.Marker = plainTicks{}
	if _, log := p.X.Tick.Marker.(tokenTicks); !log {
		p.X.Tick.Marker = plainTicks{}
	}
	p.Title.Padding = vg.Points(6)
	p.Title.TextStyle.YAlign = draw.YTop
	for _, ext := range []string{".svg", ".png"} {
		path := filepath.Join(dir, name+ext)
		if err := p.Save(width, height, path); err != nil {
			return fmt.Errorf("chart %s: %w", path, err)
		}
	}
	return nil
}

// plainTicks are the usual ones, without zeros after the point.
type plainTicks struct{}

func (plainTicks) Ticks(low, high float64) []plot.Tick {
	ticks := plot.DefaultTicks{}.Ticks(low, high)
	for i, t := range ticks {
		if t.Label != "" {
			ticks[i].Label = strconv.FormatFloat(t.Value, 'f', -1, 64)
		}
	}
	return ticks
}

// tokenTicks are powers of two with their names, such as 8k.
type tokenTicks struct{}

func (tokenTicks) Ticks(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	for e := math.Ceil(math.Log2(low)); e <= math.Log2(high); e++ {
		t := plot.Tick{Value: math.Exp2(e)}
		if int(e)%2 == 0 {
			t.Label = Count(int(t.Value))
		}
		ticks = append(ticks, t)
	}
	return ticks
}

// Count names a number of tokens in powers of 1024, as texts' lengths are named: 8k, 1M.
func Count(n int) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%dM", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%dk", n>>10)
	}
	return fmt.Sprint(n)
}
