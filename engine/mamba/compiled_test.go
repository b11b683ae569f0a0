package mamba_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"kestrel/engine/checkpoint"
	"kestrel/engine/checkpoint/checkpointtest"
	"kestrel/engine/mamba"
	"kestrel/engine/sample"
	"kestrel/engine/vulkan"
	"kestrel/engine/vulkan/vulkantest"
	"kestrel/engine/weights"
)

// compiledShape cuts work as falcon-mamba-7b does: its rank, state and convolution, and rows in whole blocks of 256.
var compiledShape = checkpointtest.Config(checkpoint.FalconMamba, 512, 1, 1024, 16, 4, 256, 4096)

// spilled are the statistics, as drivers call them, that say that a compiler ran out of registers: RADV's, NVK's, ANV's,
// NVIDIA's.
var spilled = []string{"Spilled VGPRs", "Scratch size", "Spills to memory", "SLM size", "Scratch Memory Size", "Local Memory Size", "Stack Size"}

// absentEnv marks a process that TestCompiled starts for a GPU that is not there.
const absentEnv = "KESTREL_TEST_ABSENT"

// absent are GPUs for which Mesa's drivers compile without having them: what is submitted to them does nothing. Debian's
// package mesa-drm-shim has the libraries for AMD and NVIDIA, from sid on for Apple and Qualcomm; Intel's is in Mesa's
// source (meson setup -Dtools=drm-shim,intel).
var absent = []struct{ driver, library, choice, chip string }{
	{"RADV", "libamdgpu_noop_drm_shim.so", "AMDGPU_GPU_ID", "raven"},         // Vega, a laptop's: subgroups of 64 lanes
	{"RADV", "libamdgpu_noop_drm_shim.so", "AMDGPU_GPU_ID", "navi21"},        // RX 6800: of 32 or 64
	{"RADV", "libamdgpu_noop_drm_shim.so", "AMDGPU_GPU_ID", "navi31"},        // RX 7900 XTX: matrix units
	{"NVK", "libnouveau_noop_drm_shim.so", "NOUVEAU_CHIPSET", "162"},         // RTX 2080: of 32, matrix units
	{"NVK", "libnouveau_noop_drm_shim.so", "NOUVEAU_CHIPSET", "172"},         // RTX 3090
	{"Intel", "libintel_noop_drm_shim.so", "INTEL_STUB_GPU_PLATFORM", "tgl"}, // Iris Xe: of 8 to 32, few registers
	{"Intel", "libintel_noop_drm_shim.so", "INTEL_STUB_GPU_PLATFORM", "dg2"}, // Arc A770: matrix units
	{"Intel", "libintel_noop_drm_shim.so", "INTEL_STUB_GPU_PLATFORM", "lnl"}, // Arc 140V
	{"Apple", "libasahi_noop_drm_shim.so", "ASAHI_CHIP", "m1"},               // M1, the only one
	{"Turnip", "libfreedreno_noop_drm_shim.so", "FD_GPU_ID", "740"},          // Adreno 740: of 64 or 128
}

// TestCompiled has every kernel that models in all types of weights take compiled for the test's device, where its driver
// tells what became of it, and for GPUs of five makers that are not there, with their limits and under the validation
// layer. Nothing may be spilled to memory. With -v it lists what the compilers tell.
func TestCompiled(t *testing.T) {
	if os.Getenv(absentEnv) != "" {
		if _, err := vulkantest.Instance(t).Choose(os.Getenv(vulkantest.DeviceEnv)); errors.Is(err, vulkan.ErrNoDevice) {
			t.Skip(err)
		}
		compileAll(t)
		return
	}
	info, err := vulkantest.Instance(t).Choose(os.Getenv(vulkantest.DeviceEnv))
	if err != nil {
		t.Fatal(err)
	}
	if info.Features.Statistics {
		t.Run(info.Name, compileAll)
	}
	if testing.Short() {
		return
	}
	for _, gpu := range absent {
		t.Run(gpu.driver+" "+gpu.chip, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0], "-test.run=^TestCompiled$", "-test.v")
			cmd.Env = append(os.Environ(), absentEnv+"=1", vulkantest.DeviceEnv+"="+gpu.driver, gpu.choice+"="+gpu.chip,
				"LD_PRELOAD="+gpu.library, "MESA_SHADER_CACHE_DISABLE=true")
			out, err := cmd.CombinedOutput()
			switch {
			case err != nil:
				t.Errorf("%v\n%s", err, out)
			case strings.Contains(string(out), "--- SKIP"):
				t.Skipf("without Mesa's driver %s or the package mesa-drm-shim: %s", gpu.driver, out)
			default:
				t.Logf("%s", out)
			}
		})
	}
}

// compileAll runs every program of models in all types, and lists what the driver made of their kernels.
func compileAll(t *testing.T) {
	r := checkpointtest.Random(3, compiledShape)
	seen := map[string]bool{}
	for _, d := range append([]weights.DType{weights.F32, weights.F16, weights.BF16}, quantizations()...) {
		dev := vulkantest.OpenWith(t, vulkan.DeviceOptions{Statistics: true})
		everyProgram(t, dev, in(t, r, d))
		if _, err := mamba.Load(t.Context(), dev, asIt(t, r, d), mamba.Options{}); err != nil { // quantizes
			t.Fatal(err)
		}
		list, err := dev.Compiled()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list {
			if line := describe(c); !seen[line] {
				seen[line] = true
				t.Log(line)
			}
			for _, s := range c.Statistics {
				for _, name := range spilled {
					if s.Name == name && s.Value != 0 {
						t.Errorf("%s %v: %s %g", c.Spec.Name, c.Spec.Constants, s.Name, s.Value)
					}
				}
			}
		}
		dev.Close()
	}
}

func describe(c vulkan.Compiled) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-24s %v lanes %d", c.Spec.Name, c.Spec.Constants, c.SubgroupSize)
	for _, s := range c.Statistics {
		fmt.Fprintf(&b, "; %s %g", s.Name, s.Value)
	}
	return b.String()
}

// asIt is the floats made into a type while they are loaded, on the device where it can.
func asIt(t *testing.T, r *checkpointtest.Model, d weights.DType) *checkpoint.Checkpoint {
	t.Helper()
	ck, err := r.Open(t, checkpointtest.All(weights.F32)).As(d, false)
	if err != nil {
		t.Fatal(err)
	}
	return ck
}

// everyProgram has a model on dev read and write in every way there is. What comes of it does not matter.
func everyProgram(t *testing.T, dev *vulkan.Device, ck *checkpoint.Checkpoint) {
	t.Helper()
	ctx := context.Background()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	m, err := mamba.Load(ctx, dev, ck, mamba.Options{})
	must(err)
	q, err := m.NewSequence()
	must(err)
	defer q.Close()
	ids := randomIDs(1, m.Chunk(), ck.Vocab)
	for _, n := range []int{1, 3, m.Chunk()} {
		must(q.Chunk(ctx, ids[:n]))
	}
	must(q.Step(ctx, 1))
	m.SetAhead(2)
	for _, p := range []sample.Params{{}, {Temperature: 1}, {Temperature: 1, TopK: 40}} {
		s, err := sample.New(p)
		must(err)
		_, err = q.Ahead(ctx, s, 2)
		if err != nil && !strings.Contains(err.Error(), "finds no id") {
			t.Fatal(err)
		}
		must(q.Land())
	}
	g, err := m.NewGroup(8)
	must(err)
	defer g.Close()
	for n := 1; n <= 8; n++ {
		must(g.Step(ctx, ids[:n]))
	}
	s, err := sample.New(sample.Params{Temperature: 1})
	must(err)
	_, err = g.Choose(ctx, []*sample.Sampler{s})
	must(err)
	_, err = m.Kernels().MeasurePeak(ctx)
	must(err)
}
