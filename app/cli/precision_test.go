package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kestrel/assets"
	"kestrel/engine"
	"kestrel/engine/checkpoint"
	"kestrel/engine/vulkan/vulkantest"
)

// TestEstimateCommand: the numbers are the engine's, the keys those that scripts
// rely on.
func TestEstimateCommand(t *testing.T) {
	e := fake("")
	e.Memory = engine.Memory{Weights: 7 << 30, State: 38 << 20, Scratch: 40 << 20, Staging: 32 << 20, Total: 7<<30 + 110<<20, Device: 7<<30 + 78<<20,
		Budget: 6 << 30, DeviceName: "Card", Advice: "it would fit as Q5_K (5.00 GiB): use --quant q5_k"}
	got := call(t, IO{Engine: e}, "", "model", "estimate", "some/model", "--quant", "Q8_0", "--device", "Card", "--json")
	var out map[string]any
	if err := json.Unmarshal([]byte(got.out), &out); err != nil || got.code != 0 {
		t.Fatalf("%+v: %v", got, err)
	}
	want := map[string]any{"weights": float64(7 << 30), "state": float64(38 << 20), "scratch": float64(40 << 20), "staging": float64(32 << 20),
		"total": float64(7<<30 + 110<<20), "budget": float64(6 << 30), "fits": false, "device": "Card", "advice": e.Memory.Advice}
	for key, v := range want {
		if out[key] != v {
			t.Errorf("%s is %v, want %v", key, out[key], v)
		}
	}
	if o := e.Options(); o.Quant != "Q8_0" || o.Device != "Card" || e.Opened()[0] != "some/model" {
		t.Errorf("asked for %q with %+v", e.Opened(), o)
	}
	table := call(t, IO{Engine: e}, "", "model", "estimate")
	for _, s := range []string{"weights  7.0 GiB", "it does not fit on Card", "--quant q5_k"} {
		if !strings.Contains(table.out, s) {
			t.Errorf("%q does not say %q", table.out, s)
		}
	}
	for _, args := range [][]string{{"--quant", "q9"}, {"a", "b"}, {"a", "--model", "b"}, {"--chunk", "-1"}} {
		if got := call(t, IO{Engine: e}, "", append([]string{"model", "estimate"}, args...)...); got.code != 2 {
			t.Errorf("%q: exit %d, %s", args, got.code, got.err)
		}
	}
}

// builtinPrecision is that of the built-in model, which build/demo/pack chooses.
func builtinPrecision(t *testing.T) string {
	t.Helper()
	c, err := checkpoint.OpenBytes("demo", assets.Demo)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.Embed.DType.String()
}

// floats is the model that the built-in one is made of.
const floats = "../../assets/demo"

// TestEstimateDemo: the real engine's estimate of the built-in model on the test
// device, from the floats it is made of; a smaller precision takes less, and nothing depends on the text.
func TestEstimateDemo(t *testing.T) {
	args := []string{"model", "estimate", floats, "--json", "--device", os.Getenv(vulkantest.DeviceEnv)}
	var weights []int64
	for _, quant := range []string{"f32", "f16", "q8_0"} {
		got := call(t, System(), "", append(args, "--quant", quant)...)
		var out estimateJSON
		if err := json.Unmarshal([]byte(got.out), &out); err != nil || got.code != 0 {
			t.Fatalf("%+v: %v", got, err)
		}
		if !out.Fits || out.Total != out.Weights+out.State+out.Scratch+out.Staging || out.Budget <= 0 {
			t.Errorf("%s: %+v", quant, out)
		}
		weights = append(weights, out.Weights)
	}
	if !(weights[0] > weights[1] && weights[1] > weights[2]) {
		t.Errorf("weights in f32, f16, q8_0: %d", weights)
	}
}

// TestConvert: the built-in model's floats in another precision, which then answers; what
// is quantized already, as the built-in model is, is there already, or is no GGUF by name, is refused.
func TestConvert(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "demo.gguf")
	convert := func(args ...string) result {
		return call(t, System(), "", append([]string{"model", "convert"}, args...)...)
	}
	got := convert(floats, path, "--quant", "Q8_0", "--json")
	var out convertJSON
	if err := json.Unmarshal([]byte(got.out), &out); err != nil || got.code != 0 {
		t.Fatalf("%+v: %v", got, err)
	}
	info, err := os.Stat(path)
	if err != nil || out.Bytes != info.Size() || out.Path != path || out.Precision != "q8_0+f32+f16" {
		t.Errorf("%+v, %v", out, err)
	}
	if !strings.Contains(got.err, "with rows of 16, are no whole blocks of Q8_0 (32): they become F16") {
		t.Errorf("said %q", got.err)
	}
	text := call(t, System(), "", "generate", "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n", "--model", path, "-n", "12", "--temperature", "0", "--device", os.Getenv(vulkantest.DeviceEnv))
	if text.code != 0 || !strings.Contains(text.out, "Hello! How can I help you today?") {
		t.Errorf("%+v", text)
	}
	for _, quant := range []string{"q8_0", "q5_0"} { // by the device, by the host
		text := call(t, System(), "", "generate", "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n", "--model", floats, "--quant", quant, "-n", "12", "--temperature", "0", "--device", os.Getenv(vulkantest.DeviceEnv))
		if text.code != 0 || !strings.Contains(text.out, "Hello! How can I help you today?") || !strings.Contains(text.err, "they become F16") {
			t.Errorf("quantized while loading: %+v", text)
		}
	}
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{floats, path, "--quant", "q8_0"}, 1, "is there already"},
		{[]string{"demo", filepath.Join(dir, "again.gguf"), "--quant", "q8_0"}, 1, "stored as " + builtinPrecision(t) + " already"},
		{[]string{path, filepath.Join(dir, "again.gguf"), "--quant", "q4_0"}, 1, "stored as Q8_0 already"},
		{[]string{path, filepath.Join(dir, "again.gguf"), "--quant", "q4_0", "--allow-requantize"}, 0, ""},
		{[]string{path, path, "--quant", "f32", "--force"}, 0, ""},
		{[]string{"demo", filepath.Join(dir, "m.bin")}, 2, "ends in .gguf"},
		{[]string{"demo", filepath.Join(dir, "m.gguf"), "--quant", "q9"}, 2, `no precision "q9"`},
		{[]string{"demo", filepath.Join(dir, "none", "m.gguf")}, 1, "no such file"},
		{[]string{"demo"}, 2, "want MODEL and FILE.gguf"},
	} {
		if got := convert(c.args...); got.code != c.code || !strings.Contains(got.err, c.says) {
			t.Errorf("%q: %+v", c.args, got)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("%v are left, %v", entries, err)
	}
}
