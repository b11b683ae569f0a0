package cli

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"kestrel/engine/vulkan"
)

func TestBench(t *testing.T) {
	got := call(t, IO{Engine: fake("")}, "", "bench", "--prefill", "100,8", "--decode", "5", "--runs", "2", "--json")
	var r map[string]any
	if err := json.Unmarshal([]byte(got.out), &r); err != nil || got.code != 0 {
		t.Fatalf("%v: %+v", err, got)
	}
	var keys []string
	for key := range r {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	if want := []string{"copy_gbps", "device", "disk_gbps", "driver", "first_token_ms", "fma_tflops", "load_gbps", "load_seconds", "matrix_tflops", "matrix_units", "model", "peak_device_bytes",
		"quant", "results", "state_bytes", "state_restore_ms", "state_save_ms", "weights_gbps", "weights_seconds"}; !slices.Equal(keys, want) {
		t.Errorf("keys %v, want %v", keys, want)
	}
	if r["copy_gbps"] != 10.0 || r["fma_tflops"] != 2.0 || r["matrix_tflops"] != 8.0 || r["matrix_units"] != false || r["peak_device_bytes"] != 2000.0 || r["quant"] != strings.ToLower(builtinPrecision(t)) || r["driver"] != "none 1.0" {
		t.Errorf("got %v", r)
	}
	results := r["results"].([]any)
	if len(results) != 3 {
		t.Fatalf("%d results", len(results))
	}
	first, last := results[0].(map[string]any), results[2].(map[string]any)
	// two chunks of 64 with 27 dispatches each
	if first["kind"] != "prefill" || first["tokens"] != 100.0 || first["dispatches_per_token"] != 0.54 {
		t.Errorf("prefill: %v", first)
	}
	// the fake says 1,000 operations a token, and 2 TFLOP/s
	if tflops := first["tps"].(float64) * 1000 / 1e12; math.Abs(first["tflops"].(float64)-tflops) > 1e-6*tflops ||
		math.Abs(first["share_of_limit"].(float64)-tflops/2) > 1e-6*tflops {
		t.Errorf("prefill: %v", first)
	}
	tps, gbps := last["tps"].(float64), last["gbps"].(float64)
	if last["kind"] != "decode" || last["dispatches_per_token"] != 27.0 || math.Abs(gbps-tps*float64(1<<20)/1e9) > 1e-6*gbps ||
		math.Abs(last["share_of_limit"].(float64)-gbps/10) > 1e-6*gbps {
		t.Errorf("decode: %v", last)
	}
	if len(last) != 11 || last["joules_per_token"] != nil || last["texts"] != 1.0 || last["tflops"] != nil {
		t.Errorf("decode has %d fields: %v", len(last), last)
	}
	units := call(t, IO{Engine: fake("")}, "", "bench", "--prefill", "100", "--decode", "", "--runs", "2", "--json", "--matrix-units", "on")
	if err := json.Unmarshal([]byte(units.out), &r); err != nil || units.code != 0 || r["matrix_units"] != true {
		t.Fatalf("%v: %+v", err, units)
	}
	first = r["results"].([]any)[0].(map[string]any)
	if share := first["tflops"].(float64) / 8; math.Abs(first["share_of_limit"].(float64)-share) > 1e-6*share {
		t.Errorf("prefill on matrix units: %v", first)
	}
	table := call(t, IO{Engine: fake("")}, "", "bench", "--prefill", "", "--decode", "5", "--profile")
	if table.code != 0 || !strings.Contains(table.out, "decode") || strings.Contains(table.out, "prefill") || !strings.Contains(table.err, "gemv") {
		t.Errorf("%+v", table)
	}
}

// TestBenchEnergy: a device that draws 50 W takes 50 J a second.
func TestBenchEnergy(t *testing.T) {
	power := func(vulkan.DeviceInfo) func() (float64, bool) { return func() (float64, bool) { return 50, true } }
	got := call(t, IO{Engine: fake(""), Power: power}, "", "bench", "--prefill", "9", "--decode", "5", "--batch", "2", "--runs", "2", "--json")
	var r benchJSON
	if err := json.Unmarshal([]byte(got.out), &r); err != nil || got.code != 0 || len(r.Results) != 3 {
		t.Fatalf("%v: %+v", err, got)
	}
	for _, x := range r.Results {
		if x.JoulesPerToken == nil || math.Abs(*x.JoulesPerToken*x.TPS-50) > 1e-6 {
			t.Errorf("%+v", x)
		}
	}
}

func TestBenchBatch(t *testing.T) {
	got := call(t, IO{Engine: fake("")}, "", "bench", "--prefill", "", "--decode", "", "--batch", "1,3", "--runs", "2", "--json")
	var r benchJSON
	if err := json.Unmarshal([]byte(got.out), &r); err != nil || got.code != 0 {
		t.Fatalf("%v: %+v", err, got)
	}
	if len(r.Results) != 2 || r.Results[0].Texts != 1 || r.Results[1].Texts != 3 || r.Results[1].Kind != "batch" || r.Results[1].TPS <= 0 {
		t.Errorf("%+v", r.Results)
	}
}

func TestBatch(t *testing.T) {
	got := call(t, IO{Engine: fake(" a b c")}, "one\n\ntwo\nthree\n", "batch", "-", "--at-once", "2", "-n", "2")
	lines := strings.Split(strings.TrimSpace(got.out), "\n")
	if got.code != 0 || len(lines) != 3 {
		t.Fatalf("%+v", got)
	}
	for i, prompt := range []string{"one", "two", "three"} {
		var r batchJSON
		if err := json.Unmarshal([]byte(lines[i]), &r); err != nil {
			t.Fatal(err)
		}
		if r.Prompt != prompt || r.Tokens != 2 || r.Reason != "length" || r.Text == "" || r.Error != "" {
			t.Errorf("%+v", r)
		}
	}
	for what, c := range map[string]struct {
		in   string
		args []string
	}{
		"no prompts":     {"\n\n", []string{"-"}},
		"none at once":   {"a\n", []string{"-", "--at-once", "0"}},
		"a missing file": {"", []string{"/no/such/file"}},
		"no text":        {"\xff\xfe\n", []string{"-"}},
	} {
		if got := call(t, IO{Engine: fake("")}, c.in, append([]string{"batch"}, c.args...)...); got.code == 0 || got.err == "" {
			t.Errorf("%s: %+v", what, got)
		}
	}
}

func TestBenchTune(t *testing.T) {
	got := call(t, IO{Engine: fake("")}, "", "bench", "--tune")
	if got.code != 0 || !strings.Contains(got.out, "f16 4, q8_0 2") || !strings.Contains(got.out, "tuning.json") {
		t.Errorf("%+v", got)
	}
}
