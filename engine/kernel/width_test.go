package kernel

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"kestrel/engine/vulkan"
	"kestrel/engine/vulkan/vulkantest"
	"kestrel/engine/weights"
)

// widthEnv tells a test binary started by TestSubgroupWidths how many lanes its device's subgroups should have.
const widthEnv = "KESTREL_TEST_SUBGROUP"

// TestSubgroupWidths takes every kernel that knows of subgroups through each width that pipelines of the device can ask
// for. Software Vulkan has one width, that of the processor's vectors, but takes another from the environment: there a
// process for each runs this test again.
func TestSubgroupWidths(t *testing.T) {
	dev := vulkantest.Open(t)
	lim := dev.Limits()
	if want := os.Getenv(widthEnv); want != "" {
		if strconv.Itoa(lim.SubgroupSize) != want {
			t.Fatalf("subgroups of %d lanes, want %s", lim.SubgroupSize, want)
		}
		checkWidth(t, dev, 0)
		return
	}
	if dev.Features().SubgroupSizeControl && lim.MinSubgroup < lim.MaxSubgroup {
		for size := lim.MinSubgroup; size <= lim.MaxSubgroup; size *= 2 {
			t.Run(fmt.Sprint(size, " lanes"), func(t *testing.T) { checkWidth(t, dev, size) })
		}
	}
	if dev.Info().Type != vulkan.Software || testing.Short() {
		return
	}
	for _, size := range []int{4, 16} {
		t.Run(fmt.Sprint(size, " lanes"), func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestSubgroupWidths$")
			cmd.Env = append(os.Environ(), fmt.Sprint(widthEnv, "=", size), fmt.Sprint("LP_NATIVE_VECTOR_WIDTH=", 32*size),
				"MESA_SHADER_CACHE_DISABLE=true") // it keeps shaders without regard to the width
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// checkWidth tests with subgroups of size lanes; 0 leaves that to the driver. Teams are one subgroup, and several.
func checkWidth(t *testing.T, dev *vulkan.Device, size int) {
	r := rand.New(rand.NewPCG(23, 24))
	set := func(tune Tuning) bench {
		return bench{t, &Set{dev: dev, tune: tune, subgroup: size, ready: map[string]*vulkan.Pipeline{}}, true, true}
	}
	tune := DefaultTuning(dev.Info())
	tune.Rows, tune.Dense = 2, 2
	if tune.LaneRows > 0 {
		tune.LaneRows, tune.LaneTokens = 1, 2 // quick to compile
	}
	one := set(tune)
	p := randomProjection(r, weights.F16, odd(r, 90), odd(r, 200), 1, 0).normed(r)
	check(one, p)
	checkSpoiled(one, p, p.wrong())
	check(one, randomProjection(r, weights.F16, odd(r, 90), odd(r, 200), 33, 0))
	for _, d := range []weights.DType{weights.Q5_K, weights.IQ4_XS} { // units of 32 columns, of all parts that such have
		check(one, randomProjection(r, d, odd(r, 90), 256, 1, 0))
		check(one, randomProjection(r, d, odd(r, 90), 256, 33, 0))
	}

	several := set(Tuning{Local: 32, Rows: 2, Norm: 64, Scan: 32, ScanLanes: 4, ScanSpan: 8, Top: 32})
	check(several, randomInStep(r, weights.F16, 2+odd(r, 90), odd(r, 90), 4))
	check(several, randomInStep(r, weights.IQ4_NL, 2+odd(r, 90), odd(r, 90), 4)) // looks its values up in shared memory
	check(several, randomScanChunk(r, 19, odd(r, 90), 8))
	check(several, rowNorm{random(r, 5*700, 1), random(r, 700, 1), 1e-2})
	check(several, threeNorms{random(r, 5*(200+2*16), 1), 200, 16, 1e-2})
	for place := range 300 {
		logits := make([]float32, 300)
		logits[place] = 1
		if id, _ := several.argMax(logits); int(id) != place {
			t.Errorf("the largest is %d, want %d", id, place)
		}
	}
}
