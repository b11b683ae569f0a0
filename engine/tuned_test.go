package engine

import (
	"context"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	"kestrel/engine/kernel"
	"kestrel/engine/vulkan"
	"kestrel/engine/vulkan/vulkantest"
	"kestrel/engine/weights"
)

// TestTune measures on the test's device; what it found is in use when a model is opened, and any damage to the file is
// told and harmless.
func TestTune(t *testing.T) {
	var said []string
	o := Options{Device: os.Getenv(vulkantest.DeviceEnv), CacheDir: t.TempDir(), Warn: func(s string) { said = append(said, s) }}
	ctx := context.Background()
	trials, of := 0, 0
	tuned, err := Tune(ctx, o, []weights.DType{weights.Q4_0}, func(done, total int) { trials, of = done, total })
	if err != nil {
		t.Fatal(err)
	}
	if trials != of || of < 20 {
		t.Errorf("%d of %d trials were told", trials, of)
	}
	for _, name := range []string{"f16", "q8_0", "q4_k", "q4_0"} {
		if tuned.Rows[name] < 1 {
			t.Errorf("no rows for %s: %v", name, tuned.Rows)
		}
	}
	cutOf := func() kernel.Tuning {
		dev, in, err := openDevice(o)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		defer dev.Close()
		cut, err := o.cut(dev)
		if err != nil {
			t.Fatal(err)
		}
		return *cut.Tuning
	}
	if got := cutOf(); got.RowsOf[weights.Q4_0] != tuned.Rows["q4_0"] || got.Local != tuned.Local || got.Draw != tuned.Draw || tuned.Draw < 1 || got.Few != tuned.Few || len(said) > 0 {
		t.Errorf("measured %+v, in use %+v, said %q", tuned.Measured, got, said)
	}
	m, err := OpenFS(ctx, os.DirFS("../assets/demo"), ".", o)
	if err != nil {
		t.Fatal(err)
	}
	m.Close()
	whole, err := os.ReadFile(tuned.Path)
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{
		"cut short":  string(whole[:len(whole)/2]),
		"no lanes":   strings.Replace(string(whole), `"local": `, `"local": -`, 1),
		"many rows":  strings.Replace(string(whole), `"q4_0": `, `"q4_0": 900`, 1),
		"many lanes": strings.Replace(string(whole), `"draw": `, `"draw": 900`, 1),
		"few groups": strings.Replace(string(whole), `"groups": `, `"groups": -1`, 1),
		"no type":    strings.Replace(string(whole), `"q4_0"`, `"q4_00"`, 1),
		"an odd one": regexp.MustCompile(`"thin_tokens": \d+`).ReplaceAllString(string(whole), `"thin_tokens": 3`),
	} {
		said = nil
		if err := os.WriteFile(tuned.Path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := cutOf(); len(got.RowsOf) > 0 || len(said) != 1 || !strings.Contains(said[0], "bench --tune") {
			t.Errorf("%s: %+v, said %q", what, got, said)
		}
	}
	said = nil
	other := strings.Replace(string(whole), `"driver": "`, `"driver": "newer `, 1)
	if err := os.WriteFile(tuned.Path, []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := cutOf(); len(got.RowsOf) > 0 || len(said) > 0 {
		t.Errorf("of another driver: %+v, said %q", got, said)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := Tune(cancelled, o, nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	left, err := os.ReadDir(o.CacheDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range left {
		if strings.Contains(f.Name(), "partial") {
			t.Errorf("left behind: %s", f.Name())
		}
	}
}

func FuzzTuned(f *testing.F) {
	f.Add([]byte(`{"device":"d","driver":"x 1","local":8,"rows":{"f16":4},"thin_rows":4,"thin_tokens":4}`))
	info := vulkan.DeviceInfo{Name: "d", Driver: "x", DriverVersion: "1", Limits: vulkan.Limits{MaxInvocations: 64, MaxGroupSize: [3]int{64, 1, 1}}}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := parseTuned(raw, info, kernel.Tuning{})
		if err == nil && (got.Local < 0 || got.Local > 64 || got.ThinTokens%2 != 0) {
			t.Errorf("%q is taken: %+v", raw, got)
		}
	})
}
