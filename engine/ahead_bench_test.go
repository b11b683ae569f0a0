package engine_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"kestrel/engine"
	"kestrel/engine/sample"
	"kestrel/engine/vulkan/vulkantest"
)

// BenchmarkGenerate gives the median time of a token, with different numbers of steps in flight, in turns, so that what
// else the machine does slows all. KESTREL_BENCH_SHAPE names random weights in place of the demo, such as mamba-130m:q8_0.
func BenchmarkGenerate(b *testing.B) {
	o := engine.Options{Device: os.Getenv(vulkantest.DeviceEnv), CacheDir: cacheDir}
	m, err := engine.OpenFS(context.Background(), demoFloats, ".", o)
	if name := os.Getenv("KESTREL_BENCH_SHAPE"); name != "" {
		shape, precision, _ := strings.Cut(name, ":")
		m, err = engine.OpenRandom(context.Background(), shape, precision, o)
	}
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	s := read(b, m, prose(m, 16))
	start := state(b, s)
	for _, p := range []sample.Params{{}, {Temperature: 0.7, TopP: 0.9}, {Temperature: 0.8, TopK: 40}, {RepeatPenalty: 1.1}} {
		b.Run(fmt.Sprintf("%+v", p), func(b *testing.B) {
			ways := []int{stepByStep, 2, 4, 0}
			times := make([][]float64, len(ways))
			const tokens = 32
			b.ResetTimer()
			for i := 0; i < b.N || i < 3; i++ {
				for k := range ways {
					k = (k + i) % len(ways)
					engine.SetAhead(m, ways[k])
					setState(b, s, start)
					began := time.Now()
					if _, err := s.Generate(context.Background(), newSampler(b, p), engine.GenerateOptions{Max: tokens, IgnoreEOS: true}, nil); err != nil {
						b.Fatal(err)
					}
					if i > 0 { // the first records programs
						times[k] = append(times[k], float64(time.Since(began).Microseconds())/tokens)
					}
				}
			}
			engine.SetAhead(m, 0)
			for k, way := range ways {
				slices.Sort(times[k])
				b.ReportMetric(times[k][len(times[k])/2], fmt.Sprintf("us/token,ahead=%d", way))
			}
		})
	}
}
