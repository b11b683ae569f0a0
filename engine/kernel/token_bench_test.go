package kernel

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"kestrel/engine/vulkan"
	"kestrel/engine/vulkan/vulkantest"
	"kestrel/engine/weights"
)

// BenchmarkOneToken reads matrices of the shapes of 130m, more of them than caches hold, for one token each (GEMV), and tells the
// processor's time for a weight beside the clock's: on software Vulkan other programs change that little.
func BenchmarkOneToken(b *testing.B) {
	const total = 96 << 20
	dev := vulkantest.Open(b)
	set := NewSet(dev, DefaultTuning(dev.Info()))
	up, err := dev.NewUploader(0)
	if err != nil {
		b.Fatal(err)
	}
	defer up.Close()
	buffer := func(floats int) vulkan.View {
		buf, err := dev.NewHostBuffer("values", vulkan.Scratch, int64(floats)*4)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(buf.Free)
		return buf.Whole()
	}
	x, y := buffer(1536), buffer(50280)
	for _, d := range []weights.DType{weights.F16, weights.Q8_0, weights.Q6_K, weights.Q5_K, weights.Q4_K} {
		for _, shape := range [][2]int{{3072, 768}, {768, 1536}, {80, 1536}, {50280, 768}} {
			rows, cols := shape[0], shape[1]
			b.Run(fmt.Sprintf("%v/%dx%d", d, rows, cols), func(b *testing.B) {
				r := rand.New(rand.NewPCG(1, uint64(d)))
				w := tensor(d, rows, cols, random(r, rows*cols, 1))
				var all []*Matrix
				for range max(1, min(256, total/len(w.Data))) {
					m, err := NewMatrix(dev, w)
					if err != nil {
						b.Fatal(err)
					}
					defer m.Free()
					if _, err := m.Upload(b.Context(), up, w); err != nil {
						b.Fatal(err)
					}
					all = append(all, m)
				}
				if err := up.Flush(b.Context()); err != nil {
					b.Fatal(err)
				}
				p, err := set.Record(b.Context(), "projections", func(e *Encoder) {
					for _, m := range all {
						e.Project(Project{W: m, X: x, Y: y, Tokens: 1, XStride: cols, YStride: rows})
					}
				})
				if err != nil {
					b.Fatal(err)
				}
				defer p.Free()
				before := processorTime(b)
				for b.Loop() {
					if err := p.Run(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
				per := float64(b.N) * float64(len(all)) * float64(rows*cols)
				b.ReportMetric(float64(processorTime(b)-before)/per*1000, "cpu-ps/weight")
				b.ReportMetric(float64(b.Elapsed())/per*1000, "ps/weight")
			})
		}
	}
}

// processorTime is what this process has taken of all cores.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
