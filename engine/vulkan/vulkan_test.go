package vulkan_test

import (
	"context"
	_ "embed"
	"encoding/binary"
	"testing"

	"kestrel/engine/vulkan"
	"kestrel/engine/vulkan/vulkantest"
)

// The test shaders, compiled by: glslc --target-env=vulkan1.1 -O -o testdata/X.spv testdata/X.comp
//
//go:embed testdata/axpb.spv
var axpbSPIRV []byte

//go:embed testdata/subgroup.spv
var subgroupSPIRV []byte

// axpb is the pipeline y = a*x + b in workgroups of 64.
func axpb(t testing.TB, d *vulkan.Device, a uint32) *vulkan.Pipeline {
	t.Helper()
	p, err := d.Pipeline(context.Background(), vulkan.PipelineSpec{Name: "axpb", SPIRV: axpbSPIRV, Bindings: 2, PushBytes: 8, Constants: []uint32{64, a}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func words(v ...uint32) []byte {
	var b []byte
	for _, w := range v {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	return b
}

func word(b []byte, i int) uint32 { return binary.LittleEndian.Uint32(b[4*i:]) }

// apply records y = a*x + b over whole views.
func apply(r *vulkan.Recorder, p *vulkan.Pipeline, y, x vulkan.View, b uint32) {
	n := int(min(x.Size, y.Size) / 4)
	r.Dispatch(p, (n+63)/64, 1, 1, words(uint32(n), b), vulkan.In(x), vulkan.Out(y))
}

func newBuffer(t testing.TB, d *vulkan.Device, name string, size int64) *vulkan.Buffer {
	t.Helper()
	b, err := d.NewBuffer(name, vulkan.Scratch, size)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func download(t testing.TB, d *vulkan.Device, v vulkan.View) []byte {
	t.Helper()
	b := make([]byte, v.Size)
	if err := d.Download(context.Background(), b, v); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDispatch(t *testing.T) {
	for _, staging := range []bool{false, true} {
		d := vulkantest.OpenWith(t, vulkan.DeviceOptions{ForceStaging: staging})
		ctx := context.Background()
		const n = 1000
		x, y := newBuffer(t, d, "x", 4*n), newBuffer(t, d, "y", 4*n)
		in := make([]byte, 4*n)
		for i := range n {
			binary.LittleEndian.PutUint32(in[4*i:], uint32(i))
		}
		if err := d.Upload(ctx, x.Whole(), in); err != nil {
			t.Fatal(err)
		}
		stats := vulkantest.Run(t, d, func(r *vulkan.Recorder) { apply(r, axpb(t, d, 3), y.Whole(), x.Whole(), 7) })
		out := download(t, d, y.Whole())
		for i := range n {
			if got, want := word(out, i), uint32(3*i+7); got != want {
				t.Fatalf("y[%d] = %d, want %d", i, got, want)
			}
		}
		if want := (vulkan.Stats{Dispatches: 1, Submissions: 1}); stats != want {
			t.Errorf("stats %+v, want %+v", stats, want)
		}
	}
}
