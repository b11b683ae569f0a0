package cli

import (
	"encoding/json"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"kestrel/engine"
)

// TestBenchCold: the disk is measured beside the loading of a model of files, and only of such.
func TestBenchCold(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux drops what it keeps of a file")
	}
	file := filepath.Join("..", "..", "assets", "demo.gguf")
	got := call(t, IO{Engine: fake("")}, "", "bench", "--model", file, "--cold", "--prefill", "4", "--decode", "", "--runs", "1", "--json")
	var r struct {
		Disk *float64 `json:"disk_gbps"`
	}
	if err := json.Unmarshal([]byte(got.out), &r); err != nil || got.code != 0 || r.Disk == nil || *r.Disk <= 0 {
		t.Errorf("%v: %+v", err, got)
	}
	for _, name := range []string{"demo", "random:52x2x104x5"} {
		if got := call(t, IO{Engine: fake("")}, "", "bench", "--model", name, "--cold"); got.code == 0 || !strings.Contains(got.err, "no model of files") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestStopwatch: weights are timed from the first word of their loading to the last.
func TestStopwatch(t *testing.T) {
	var w stopwatch
	if s, gbps := w.result(); s != 0 || gbps != 0 {
		t.Errorf("nothing loaded: %v s, %v GB/s", s, gbps)
	}
	w.progress(engine.Progress{Total: 5e8})
	time.Sleep(20 * time.Millisecond)
	w.progress(engine.Progress{Done: 5e8, Total: 5e8})
	s, gbps := w.result()
	if s < 0.02 || s > 10 || gbps < 0.49/s || gbps > 0.51/s {
		t.Errorf("%v s, %v GB/s", s, gbps)
	}
}
