package kernel

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"kestrel/engine/vulkan"
	"kestrel/engine/vulkan/vulkantest"
	"kestrel/engine/weights"
)

func TestFillAndCopy(t *testing.T) {
	b := bench{t, NewSet(vulkantest.Open(t), Tuning{}), true, true}
	from, to := b.words(1, 2, 3, 4, 5, 6), b.words(slices.Repeat([]uint32{9}, 6)...)
	b.run(func(e *Encoder) {
		e.Fill(from.Slice(8, 4), 7)
		e.Copy(to.Slice(4, 16), from.Slice(0, 16))
	})
	if got, want := readWords(to), []uint32{9, 1, 2, 7, 4, 9}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestBoundary cuts a program where enough work has gathered, and only there.
func TestBoundary(t *testing.T) {
	b := bench{t, NewSet(vulkantest.Open(t), Tuning{}), true, true}
	out := b.words(0)
	enough := submissionFLOP[b.set.Device().Info().Type]
	if enough == 0 {
		t.Fatalf("no bound for a device of type %q", b.set.Device().Info().Type)
	}
	for _, c := range []struct {
		work []float64 // before each boundary
		want int
	}{
		{[]float64{0, 0, 0}, 1},
		{[]float64{enough / 2, enough / 4, enough / 8}, 1},
		{[]float64{enough / 2, enough / 2, enough / 2}, 2},
		{[]float64{enough, enough, enough}, 3},
	} {
		p, err := b.set.Record(context.Background(), "test", func(e *Encoder) {
			for _, w := range c.work {
				e.Fill(out, 1)
				e.flops += w
				e.Boundary()
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Stats().Submissions; got != c.want {
			t.Errorf("work of %v: %d submissions, want %d", c.work, got, c.want)
		}
		p.Free()
	}
}

// TestBoundariesKeepOrder: what a program gives does not depend on where it is cut.
func TestBoundariesKeepOrder(t *testing.T) {
	dev := vulkantest.Open(t)
	b := bench{t, NewSet(dev, DefaultTuning(dev.Info())), true, true}
	gain := b.vector([]float32{1})
	run := func(work float64) []float32 {
		x, y := b.gridPadded([]float32{5}, 1, 1, Padded(1), 0), b.gridPadded(nil, 1, 1, Padded(1), 0)
		b.run(func(e *Encoder) {
			for range 20 {
				e.RMSNorm(Norm{gain, 0.5}, x.View, y.View, 1, 1)
				e.flops += work
				e.Boundary()
				e.Copy(x.Slice(0, 4), y.Slice(0, 4))
			}
		})
		return readFloats(x.View)[:1]
	}
	if one, many := run(0), run(1e15); !sameBits(one, many) || one[0] == 5 {
		t.Errorf("%v in one submission, %v in many", one, many)
	}
}

func TestRecordErrors(t *testing.T) {
	dev := vulkantest.Open(t)
	b := bench{t, NewSet(dev, DefaultTuning(dev.Info())), true, true}
	v := b.words(slices.Repeat([]uint32{0}, 2048)...)
	foreign := &Matrix{Name: "w", DType: weights.F64, Rows: 4, Cols: 4, Slabs: []Slab{{Rows: 4, Weights: v}}}
	runs := 0
	for name, c := range map[string]struct {
		plan func(*Encoder)
		kind error
		text string
	}{
		"Project of an unknown type":    {func(e *Encoder) { e.Project(Project{W: foreign, X: v, Y: v, Tokens: 1}) }, weights.ErrUnsupported, "F64"},
		"Embed of an unknown type":      {func(e *Encoder) { e.Embed(foreign, v, v, 1) }, weights.ErrUnsupported, "F64"},
		"InProjStep of an unknown type": {func(e *Encoder) { e.InProjStep(foreign, Norm{}, Conv{}, 4, v, v, v) }, weights.ErrUnsupported, "F64"},
		"ScanStep of an unknown type":   {func(e *Encoder) { e.ScanStep(foreign, Scan{}, v, v, v, v) }, weights.ErrUnsupported, "F64"},
		"top-k of none":                 {func(e *Encoder) { e.TopK(v, v, 9, 0, [2]vulkan.View{v, v}) }, nil, "top-k of 0"},
		"top-k of too many":             {func(e *Encoder) { e.TopK(v, v, 9, MaxTopK+1, [2]vulkan.View{v, v}) }, nil, "top-k of 513: the kernel keeps 1 to 512"},
		"no such shader":                {func(e *Encoder) { e.run("nothing", nil, 1, 1, nil, vulkan.In(v)) }, nil, "nothing"},
		"a plan that changes": {func(e *Encoder) {
			if runs++; runs == 2 {
				e.ArgMax(v, v, 9)
			}
			e.Fill(v, 0)
		}, nil, "changed"},
		"nothing to do":    {func(e *Encoder) {}, nil, "no commands"},
		"no tokens at all": {func(e *Encoder) { e.RMSNorm(Norm{Gain: v}, v, v, 0, 4) }, vulkan.ErrUnsupported, "workgroups"},
		"the first error stays": {func(e *Encoder) {
			e.TopK(v, v, 9, 0, [2]vulkan.View{v, v})
			e.Embed(foreign, v, v, 1)
		}, nil, "top-k"},
	} {
		p, err := b.set.Record(context.Background(), "the plan", c.plan)
		if err == nil {
			p.Free()
			t.Errorf("%s: no error", name)
			continue
		}
		if c.kind != nil && !errors.Is(err, c.kind) {
			t.Errorf("%s: %v, want %v", name, err, c.kind)
		}
		for _, part := range []string{"the plan", c.text} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q does not say %q", name, err, part)
			}
		}
	}
	// The set serves on after errors, and compiles what a cancelled recording did not.
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	plan := func(e *Encoder) { e.ArgMax(v.Slice(0, 4096), v.Slice(4096, 8), 9) }
	if _, err := b.set.Record(ctx, "cancelled", plan); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	b.run(plan)
}

// TestFine: a matrix of few rows gets workgroups enough, of no more lanes than a row has units or the device allows.
func TestFine(t *testing.T) {
	large := vulkan.Limits{MaxInvocations: 1024, MaxGroupSize: [3]int{1024, 1024, 64}}
	small := vulkan.Limits{MaxInvocations: 128, MaxGroupSize: [3]int{128, 128, 64}}
	tune := Tuning{Local: 64, Groups: 512}
	for _, c := range []struct {
		what                   string
		rows, of, units, tiles int
		lim                    vulkan.Limits
		wantLanes, wantRows    int
	}{
		{"7B's x_proj, Q4_K", 4, 288, 256, 1, large, 256, 1},
		{"7B's x_proj on the smallest of devices", 4, 288, 256, 1, small, 128, 1},
		{"7B's out_proj", 4, 4096, 256, 1, large, 64, 4},
		{"130m's out_proj, F16", 4, 768, 192, 1, large, 64, 1},
		{"a short row", 4, 288, 100, 1, large, 64, 1},
		{"four tiles of tokens", 4, 288, 256, 4, large, 64, 2},
		{"odd", 3, 40, 1000, 1, large, 256, 1},
	} {
		if lanes, rows := tune.fine(c.rows, c.of, c.units, c.tiles, c.lim); lanes != c.wantLanes || rows != c.wantRows {
			t.Errorf("%s: %d lanes, %d rows; want %d, %d", c.what, lanes, rows, c.wantLanes, c.wantRows)
		}
	}
}

func TestDefaultTuning(t *testing.T) {
	for _, c := range []struct {
		kind        vulkan.DeviceType
		least, most int
		int64       bool
		wide, lanes bool // the lane-a-row GEMM must know the subgroups' width
	}{
		{vulkan.Discrete, 32, 32, true, false, false}, {vulkan.Integrated, 8, 32, true, false, false},
		{vulkan.Virtual, 64, 64, true, false, false}, {vulkan.Other, 4, 4, true, false, false},
		{vulkan.Software, 4, 4, true, true, true}, {vulkan.Software, 8, 8, true, true, true}, {vulkan.Software, 16, 16, true, true, true},
		{vulkan.Software, 8, 8, false, false, false}, {vulkan.Software, 32, 32, true, true, false}, {vulkan.Software, 4, 8, true, true, false},
	} {
		tune := DefaultTuning(vulkan.DeviceInfo{Type: c.kind, Features: vulkan.Features{Int64: c.int64},
			Limits: vulkan.Limits{MinSubgroup: c.least, MaxSubgroup: c.most}})
		if got := tune.LaneRows > 0; got != c.lanes || tune.Wide != c.wide {
			t.Errorf("%s, subgroups of %d to %d: lane-a-row GEMM %v, wide %v", c.kind, c.least, c.most, got, tune.Wide)
		}
		if tune.Address {
			t.Errorf("%s, subgroups of %d to %d: weights by address on a device that has none", c.kind, c.least, c.most)
		}
		tune = DefaultTuning(vulkan.DeviceInfo{Type: c.kind, Features: vulkan.Features{Int64: c.int64, Address: true, Int8: true, Int16: true, Storage8: true},
			Limits: vulkan.Limits{MinSubgroup: c.least, MaxSubgroup: c.most}})
		if tune.Address {
			t.Errorf("%s, subgroups of %d to %d: weights by address on a device that cannot load 16 bits", c.kind, c.least, c.most)
		}
		tune = DefaultTuning(vulkan.DeviceInfo{Type: c.kind, Features: vulkan.Features{Int64: c.int64, Address: true, Int8: true, Int16: true, Storage8: true, Storage16: true},
			Limits: vulkan.Limits{MinSubgroup: c.least, MaxSubgroup: c.most}})
		if want := c.lanes && c.least == addressLanes; tune.Address != want {
			t.Errorf("%s, subgroups of %d to %d: weights by address %v, want %v", c.kind, c.least, c.most, tune.Address, want)
		}
		for name, lanes := range map[string]int{"Local": tune.Local, "Norm": tune.Norm, "Conv": tune.Conv, "Scan": tune.Scan, "Top": tune.Top} {
			if lanes < 1 || lanes > 128 { // what every Vulkan device allows
				t.Errorf("%s: %s of %d lanes", c.kind, name, lanes)
			}
			if c.kind == vulkan.Software && lanes > c.least {
				t.Errorf("%s: %s of %d lanes spans subgroups of %d", c.kind, name, lanes, c.least)
			}
		}
	}
}
