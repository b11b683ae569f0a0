package engine_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kestrel/assets"
	"kestrel/engine"
	"kestrel/engine/checkpoint"
	"kestrel/engine/sample"
	"kestrel/engine/vulkan"
)

func TestDevices(t *testing.T) {
	for _, validation := range []bool{false, true} {
		devices, err := engine.Devices(validation)
		if err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(devices, func(d vulkan.DeviceInfo) bool { return d.Name == demo(t).Device().Name })
		if at < 0 || !devices[at].Usable || devices[at].Index != at {
			t.Errorf("validation %v: %+v", validation, devices)
		}
	}
	if m, err := engine.OpenFS(context.Background(), demoFloats, ".", engine.Options{Validation: true}); m != nil || err == nil {
		t.Errorf("validation with nobody to tell: %v", err)
	}
}

// TestDemoModel: what the model says of itself.
func TestDemoModel(t *testing.T) {
	m := demo(t)
	c := m.Config()
	if c.Kind != checkpoint.FalconMamba || c.Vocab != m.Tokenizer().VocabSize() || m.Chunk() != 64 {
		t.Errorf("%+v, tokenizer of %d, chunks of %d", c, m.Tokenizer().VocabSize(), m.Chunk())
	}
	if stops := m.StopIDs(); !slices.Equal(stops, []int{13, 11}) {
		t.Errorf("stops at %v", stops)
	}
	file, err := os.Stat("../assets/demo/model.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	// A step reads every weight once, and the state; vectors are wider on the device than in the file.
	if n := m.DecodeBytes(); n < file.Size()*9/10 || n > file.Size()*5/4 {
		t.Errorf("a step moves %d bytes, the file has %d", n, file.Size())
	}
	if gbps, err := m.CopyBandwidth(context.Background(), 8<<20); err != nil || gbps <= 0 {
		t.Errorf("copies %v GB/s, %v", gbps, err)
	}
	if o := openFS(t, demoFloats, ".", options(t)); o.Chunk() <= 0 {
		t.Errorf("chunks of %d by default", o.Chunk())
	}
}

// TestBuiltin: the model in the program, of fewer bits than the floats that the other tests use, is computed as its weights
// say, knows what it learned by heart, and moves less than half their bytes.
func TestBuiltin(t *testing.T) {
	m, err := engine.OpenBytes(context.Background(), "demo", assets.Demo, options(t))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	path := filepath.Join(t.TempDir(), "demo.gguf")
	if err := os.WriteFile(path, assets.Demo, 0o600); err != nil {
		t.Fatal(err)
	}
	ids := m.Tokenizer().Encode("<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n", true)
	checkReference(t, m, path, ids)
	s := read(t, m, ids)
	if got := m.Tokenizer().Decode(greedy(t, s, 16)); !strings.HasPrefix(got, "Hello! How can I help you today?") {
		t.Errorf("answers %q", got)
	}
	if got, floats := m.DecodeBytes(), demo(t).DecodeBytes(); got*2 > floats {
		t.Errorf("a step moves %d bytes, %d of the floats", got, floats)
	}
	if _, err := engine.OpenBytes(context.Background(), "half", assets.Demo[:len(assets.Demo)/2], options(t)); !errors.Is(err, engine.ErrBadModel) || !strings.Contains(err.Error(), "half") {
		t.Errorf("half of it: %v", err)
	}
}

// TestProfile: every kernel of the texts read and written has a count and a time.
func TestProfile(t *testing.T) {
	o := options(t)
	o.Profile = true
	m := openFS(t, small(t, 1), ".", o)
	if !m.Device().Features.Timestamps {
		t.Skip("the device has no timestamps")
	}
	s := newSession(t, m)
	const steps = 5
	for range steps {
		feed(t, s, []int{1})
	}
	stats := s.Stats()
	count := 0
	for _, k := range s.Profile() {
		if k.Name == "" || k.Count <= 0 || k.Total <= 0 {
			t.Errorf("%+v", k)
		}
		count += k.Count
	}
	if count != steps*stats.Dispatches {
		t.Errorf("%d dispatches in %d steps of %d: %+v", count, steps, stats.Dispatches, s.Profile())
	}
	engine.SetAhead(m, 4)
	if _, err := s.Generate(context.Background(), newSampler(t, sample.Params{Temperature: 1}), engine.GenerateOptions{Max: 6, IgnoreEOS: true}, nil); err != nil {
		t.Fatal(err)
	}
	times := s.Profile()
	if i := slices.IndexFunc(times, func(k vulkan.KernelTime) bool { return k.Name == "draw_all" }); i < 0 || times[i].Count != 6 {
		t.Errorf("6 tokens written ahead, but %+v", times)
	}
	if layers := m.Config().Layers; stats.Submissions != 1 || stats.Dispatches > 4*layers+4 {
		t.Errorf("%+v for a step of %d layers", stats, layers)
	}
	if off := read(t, openFS(t, small(t, 1), ".", options(t)), []int{1}); len(off.Profile()) != 0 {
		t.Errorf("unasked: %v", off.Profile())
	}
}

// TestNoCacheFolder: where compiled pipelines cannot be kept, the model runs and the user is told.
func TestNoCacheFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var warned warnings
	o := options(t)
	o.Warn, o.CacheDir = warned.add, filepath.Join(file, "folder")
	m, err := engine.OpenFS(context.Background(), small(t, 1), ".", o)
	if err != nil {
		t.Fatal(err)
	}
	s, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	feed(t, s, []int{1, 2, 3})
	next(t, s, newSampler(t, sample.Params{}), 2)
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	lines := warned.take()
	if len(lines) == 0 || slices.ContainsFunc(lines, func(s string) bool { return !strings.Contains(s, o.CacheDir) }) {
		t.Errorf("warnings %q", lines)
	}
}
