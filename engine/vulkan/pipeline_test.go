package vulkan_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kestrel/engine/vulkan"
	"kestrel/engine/vulkan/vulkantest"
)

func TestPipelines(t *testing.T) {
	d := vulkantest.Open(t)
	ctx := context.Background()
	var specs []vulkan.PipelineSpec
	for a := range uint32(12) {
		specs = append(specs, vulkan.PipelineSpec{Name: "axpb", SPIRV: axpbSPIRV, Bindings: 2, PushBytes: 8, Constants: []uint32{64, a}})
	}
	specs = append(specs, specs[3]) // twice in one call
	made, err := d.Pipelines(ctx, specs)
	if err != nil {
		t.Fatal(err)
	}
	again, err := d.Pipelines(ctx, specs)
	if err != nil {
		t.Fatal(err)
	}
	if made[12] != made[3] || again[5] != made[5] || made[4] == made[3] {
		t.Error("pipelines are not found again by content")
	}
	in, out := newBuffer(t, d, "in", 4), newBuffer(t, d, "out", 4*64)
	if err := d.Upload(ctx, in.Whole(), words(10)); err != nil {
		t.Fatal(err)
	}
	vulkantest.Run(t, d, func(r *vulkan.Recorder) {
		for a := range 12 {
			r.Dispatch(made[a], 1, 1, 1, words(1, uint32(a)), vulkan.In(in.Whole()), vulkan.Out(out.View(int64(16*a), 16)))
		}
	})
	for a := range uint32(12) {
		if got := word(download(t, d, out.Whole()), int(4*a)); got != 10*a+a {
			t.Errorf("constants %d give %d", a, got)
		}
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, err = d.Pipeline(cancelled, vulkan.PipelineSpec{Name: "late", SPIRV: axpbSPIRV, Bindings: 2, PushBytes: 8, Constants: []uint32{64, 99}})
	checkError(t, "cancelled", err, context.Canceled, `"late"`)
	l := d.Limits()
	for name, spec := range map[string]vulkan.PipelineSpec{
		"no SPIR-V":           {SPIRV: []byte("#version 450 this is GLSL!!!")},
		"empty":               {},
		"cut":                 {SPIRV: axpbSPIRV[:30]},
		"negative bindings":   {SPIRV: axpbSPIRV, Bindings: -1},
		"crooked push size":   {SPIRV: axpbSPIRV, Bindings: 2, PushBytes: 7},
		"too many bindings":   {SPIRV: axpbSPIRV, Bindings: l.MaxBindings + 1},
		"too large push size": {SPIRV: axpbSPIRV, Bindings: 2, PushBytes: l.MaxPushBytes + 4},
		"impossible subgroup": {SPIRV: axpbSPIRV, Bindings: 2, PushBytes: 8, SubgroupSize: 2 * l.MaxSubgroup},
		"odd subgroup":        {SPIRV: axpbSPIRV, Bindings: 2, PushBytes: 8, SubgroupSize: 3},
	} {
		spec.Name = "bad kernel"
		_, err := d.Pipeline(ctx, spec)
		checkError(t, name, err, nil, `"bad kernel"`)
		if big := strings.HasPrefix(name, "too") || strings.HasSuffix(name, "subgroup"); big && !errors.Is(err, vulkan.ErrUnsupported) {
			t.Errorf("%s: %v is not ErrUnsupported", name, err)
		}
	}
}

// TestSubgroupSize asks for every possible subgroup size and checks what the shader sees.
func TestSubgroupSize(t *testing.T) {
	d := vulkantest.Open(t)
	l := d.Limits()
	in, out := newBuffer(t, d, "in", 4*128), newBuffer(t, d, "out", 4*129)
	data := make([]byte, 4*128)
	for i := range 128 {
		binary.LittleEndian.PutUint32(data[4*i:], uint32(i))
	}
	if err := d.Upload(context.Background(), in.Whole(), data); err != nil {
		t.Fatal(err)
	}
	sizes := []int{0, l.SubgroupSize}
	if d.Features().SubgroupSizeControl {
		for s := l.MinSubgroup; s <= l.MaxSubgroup; s *= 2 {
			sizes = append(sizes, s)
		}
	}
	for _, size := range sizes {
		p, err := d.Pipeline(context.Background(), vulkan.PipelineSpec{Name: "subgroup", SPIRV: subgroupSPIRV, Bindings: 2, Constants: []uint32{128}, SubgroupSize: size})
		if err != nil {
			t.Fatal(err)
		}
		vulkantest.Run(t, d, func(r *vulkan.Recorder) {
			r.Dispatch(p, 1, 1, 1, nil, vulkan.In(in.Whole()), vulkan.Out(out.Whole()))
		})
		got := download(t, d, out.Whole())
		lanes := int(word(got, 0))
		if size != 0 && lanes != size || size == 0 && lanes != l.SubgroupSize {
			t.Errorf("asked for %d lanes, got %d", size, lanes)
		}
		sum := uint32(0)
		for i := range 128 / lanes {
			sum += word(got, 1+i)
		}
		if sum != 127*128/2 {
			t.Errorf("%d lanes: the subgroups' sums add to %d", lanes, sum)
		}
	}
}

// TestPipelineCache spoils the cache file in every way and checks that it is told of, not used and made anew.
func TestPipelineCache(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "on demand")
	compile := func(a uint32) (warnings []string) {
		d := vulkantest.OpenWith(t, vulkan.DeviceOptions{CacheDir: dir, Warn: func(s string) { warnings = append(warnings, s) }})
		axpb(t, d, a)
		d.Close()
		return warnings
	}
	if w := compile(1); len(w) > 0 {
		t.Fatalf("warnings without a cache file: %q", w)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(files) != 1 {
		t.Fatalf("the cache folder holds %q", files)
	}
	path := files[0]
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, _ := os.Stat(path)
	if w := compile(1); len(w) > 0 {
		t.Errorf("warnings with a good cache file: %q", w)
	}
	if after, _ := os.Stat(path); !after.ModTime().Equal(before.ModTime()) {
		t.Error("the file is written though nothing is new")
	}
	edit := func(at int, x byte) []byte {
		b := append([]byte(nil), good...)
		b[at] ^= x
		return b
	}
	const header = 20 // after the magic: vendor, device, driver, API, UUID, size, hash
	for name, content := range map[string][]byte{
		"empty":             {},
		"text":              []byte("hello"),
		"magic only":        good[:header],
		"cut in the header": good[:header+30],
		"cut in the data":   good[:len(good)-1],
		"longer":            append(append([]byte(nil), good...), 0),
		"older format":      edit(header-2, 1),
		"vendor":            edit(header, 1),
		"device":            edit(header+4, 1),
		"driver version":    edit(header+8, 1),
		"API version":       edit(header+12, 1),
		"UUID":              edit(header+16+15, 0x80),
		"size":              edit(header+32, 1),
		"hash":              edit(header+40, 1),
		"data":              edit(len(good)-1, 1),
	} {
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
		if w := compile(1); len(w) != 1 || !strings.Contains(w[0], path) || !strings.Contains(w[0], "not used") {
			t.Errorf("%s: warnings %q", name, w)
		}
		if now, _ := os.ReadFile(path); len(now) < header || string(now[:header]) != string(good[:header]) {
			t.Errorf("%s: the file was not made anew", name)
		}
		if w := compile(1); len(w) > 0 {
			t.Errorf("%s: the new file gives %q", name, w)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.tmp")); len(left) > 0 {
		t.Errorf("temporary files stay behind: %q", left)
	}
	// A folder in the file's place, and a cache folder that is a file.
	os.Remove(path)
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if w := compile(1); len(w) != 2 || !strings.Contains(w[1], "could not be saved") {
		t.Errorf("a folder in the file's place: %q", w)
	}
	os.Remove(path)
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if w := compile(1); len(w) == 0 || !strings.Contains(w[len(w)-1], "could not be saved") {
		t.Errorf("a file in the folder's place: %q", w)
	}
}

// TestPipelineCacheFullDisk lets the write fail as a full disk does, through a limit on the size of files.
func TestPipelineCacheFullDisk(t *testing.T) {
	const env = "KESTREL_TEST_FULL_DISK"
	if dir := os.Getenv(env); dir != "" {
		var warnings []string
		d := vulkantest.OpenWith(t, vulkan.DeviceOptions{CacheDir: dir, Warn: func(s string) { warnings = append(warnings, s) }})
		axpb(t, d, 1)
		if len(warnings) != 1 || !strings.Contains(warnings[0], "could not be saved") {
			t.Errorf("warnings %q", warnings)
		}
		return
	}
	dir := t.TempDir()
	cmd := exec.Command("/bin/sh", "-c", `ulimit -f 0; exec "$0" -test.run='^TestPipelineCacheFullDisk$' -test.v`, os.Args[0])
	cmd.Env = append(os.Environ(), env+"="+dir)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestPipelineCacheFullDisk") {
		t.Errorf("%v\n%s", err, out)
	}
	if left, err := os.ReadDir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) || len(left) > 0 {
		t.Errorf("the folder holds %v", left)
	}
}
