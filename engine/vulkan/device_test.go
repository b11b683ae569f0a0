package vulkan_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"kestrel/engine/vulkan"
	"kestrel/engine/vulkan/vulkantest"
)

// checkError checks an error's kind (unless nil) and that it says all parts.
func checkError(t *testing.T, what string, err, kind error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error", what)
		return
	}
	if kind != nil && !errors.Is(err, kind) {
		t.Errorf("%s: error %q is not %q", what, err, kind)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s: error %q does not say %q", what, err, part)
		}
	}
}

func TestDevices(t *testing.T) {
	in := vulkantest.Instance(t)
	all, err := in.Devices()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("there are no devices")
	}
	for i, d := range all {
		t.Logf("%d: %s, %s, driver %s %s, Vulkan %s, usable %v %s", d.Index, d.Name, d.Type, d.Driver, d.DriverVersion, d.API, d.Usable, d.Reason)
		t.Logf("   %+v\n   %+v\n   %+v", d.Limits, d.Features, d.Heaps)
		if d.Index != i || d.Name == "" || d.API == "" || d.Usable == (d.Reason != "") || len(d.Heaps) == 0 {
			t.Errorf("device %d is described incompletely", i)
		}
		local := false
		for _, h := range d.Heaps {
			local = local || h.DeviceLocal
			if h.Size <= 0 || h.Budget < 0 || h.Used < 0 || !h.BudgetKnown && h.Budget != h.Size {
				t.Errorf("heap %+v is impossible", h)
			}
		}
		if !local {
			t.Errorf("device %d has no device-local heap", i)
		}
		if l := d.Limits; d.Usable && (l.MaxStorageBufferRange < 1<<27 || l.MaxAllocation < 1<<30 || l.StorageAlign < 1 || l.MinSubgroup > l.SubgroupSize || l.SubgroupSize > l.MaxSubgroup || l.MaxBindings < 4) {
			t.Errorf("limits %+v are below what Vulkan promises", l)
		}
	}
	if _, err := in.Open(vulkan.DeviceInfo{Name: "odd", Reason: "it has no compute queue"}, vulkan.DeviceOptions{}); true {
		checkError(t, "open an unusable device", err, vulkan.ErrNoDevice, "odd", "it has no compute queue")
	}
}

// TestInstances opens instances in a process of its own, some with an environment that hides drivers or layers.
func TestInstances(t *testing.T) {
	if what := os.Getenv("KESTREL_TEST_CHILD"); what != "" {
		in, err := vulkan.NewInstance(vulkan.InstanceOptions{Validation: what != "no driver", OnMessage: func(string, string) {}})
		switch what {
		case "first closed": // the binding's functions were loaded through an instance that is gone
			if err != nil {
				t.Fatal(err)
			}
			in.Close()
			if err := powers(vulkantest.Open(t), 3); err != nil {
				t.Error(err)
			}
		case "no driver":
			checkError(t, what, err, vulkan.ErrNoDevice, "install")
		case "no layer":
			checkError(t, what, err, vulkan.ErrUnsupported, "vulkan-validationlayers")
		}
		return
	}
	for what, env := range map[string][]string{
		"no driver": {"VK_ICD_FILENAMES=/nonexistent.json", "VK_DRIVER_FILES=/nonexistent.json"},
		"no layer":  {"HOME=/nonexistent", "VK_LAYER_PATH=/nonexistent"},

		"first closed": nil,
	} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestInstances$", "-test.v")
		cmd.Env = append(append(os.Environ(), "KESTREL_TEST_CHILD="+what), env...)
		out, err := cmd.CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte("--- PASS: TestInstances")) {
			t.Errorf("%s: %v\n%s", what, err, out)
		}
	}
	_, err := vulkan.NewInstance(vulkan.InstanceOptions{Validation: true})
	checkError(t, "validation without OnMessage", err, nil, "OnMessage")
}

// TestTwoDevices uses two devices and a second instance at once, from goroutines.
func TestTwoDevices(t *testing.T) {
	a, b := vulkantest.Open(t), vulkantest.OpenWith(t, vulkan.DeviceOptions{ForceStaging: true})
	var messages []string
	in, err := vulkan.NewInstance(vulkan.InstanceOptions{Validation: true, OnMessage: func(s, m string) {
		if !strings.Contains(m, "BestPractices") {
			messages = append(messages, m)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := vulkan.NewInstance(vulkan.InstanceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	open := func(in *vulkan.Instance) *vulkan.Device {
		info, err := in.Choose(os.Getenv(vulkantest.DeviceEnv))
		if err != nil {
			t.Fatal(err)
		}
		d, err := in.Open(info, vulkan.DeviceOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	c, e := open(in), open(plain)
	done := make(chan error)
	devices := []*vulkan.Device{a, b, c, e}
	for i, d := range devices {
		go func() { done <- powers(d, uint32(i+2)) }()
	}
	for range devices {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	in.Close() // closes c
	in.Close()
	plain.Close()
	if _, err := c.NewBuffer("late", vulkan.Scratch, 4); true {
		checkError(t, "a buffer of a closed device", err, vulkan.ErrClosed)
	}
	if err := powers(a, 7); err != nil { // the others still work
		t.Error(err)
	}
	if len(messages) > 0 {
		t.Errorf("validation layer of the second instance: %q", messages)
	}
}

// powers computes base^3 on d by three dispatches, many times.
func powers(d *vulkan.Device, base uint32) error {
	ctx := context.Background()
	p, err := d.Pipeline(ctx, vulkan.PipelineSpec{Name: "axpb", SPIRV: axpbSPIRV, Bindings: 2, PushBytes: 8, Constants: []uint32{64, base}})
	if err != nil {
		return err
	}
	b, err := d.NewBuffer("b", vulkan.Scratch, 4096)
	if err != nil {
		return err
	}
	defer b.Free()
	r := d.NewRecorder("powers")
	r.Fill(b.Whole(), 1)
	for range 3 {
		r.Dispatch(p, 16, 1, 1, words(1024, 0), vulkan.InOut(b.Whole()), vulkan.InOut(b.Whole()))
	}
	prog, err := r.End()
	if err != nil {
		return err
	}
	defer prog.Free()
	out := make([]byte, 4096)
	for range 50 {
		if err := prog.Run(ctx); err != nil {
			return err
		}
		if err := d.Download(ctx, out, b.Whole()); err != nil {
			return err
		}
		if word(out, 1023) != base*base*base || word(out, 0) != base*base*base {
			return errors.New("wrong power")
		}
	}
	return nil
}

// TestCloseFreesAll leaves everything open: Close frees it, which the validation layer checks.
func TestCloseFreesAll(t *testing.T) {
	d := vulkantest.OpenWith(t, vulkan.DeviceOptions{ForceStaging: true})
	ctx := context.Background()
	a := newBuffer(t, d, "a", 4096)
	u, err := d.NewUploader(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Write(ctx, a.Whole(), func(p []byte, _ int64) error { clear(p); return nil }); err != nil {
		t.Fatal(err)
	}
	r := d.NewRecorder("left")
	apply(r, axpb(t, d, 1), newBuffer(t, d, "b", 4096).Whole(), a.Whole(), 1)
	p, err := r.End()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Submit(); err != nil {
		t.Fatal(err)
	}
	d.Close()
	d.Close()
	checkError(t, "run", p.Run(ctx), vulkan.ErrClosed, `"left"`)
	checkError(t, "wait", p.Wait(), vulkan.ErrClosed)
	checkError(t, "upload", d.Upload(ctx, a.Whole(), make([]byte, 4096)), vulkan.ErrClosed)
	checkError(t, "write", u.Write(ctx, a.Whole(), nil), vulkan.ErrClosed)
	checkError(t, "flush", u.Flush(ctx), vulkan.ErrClosed)
	_, err = d.Pipeline(ctx, vulkan.PipelineSpec{})
	checkError(t, "compile", err, vulkan.ErrClosed)
	p.Free() // no effect, no harm
	u.Close()
	a.Free()
}

// TestMissingFeatures opens the device as if it lacked what is optional.
func TestMissingFeatures(t *testing.T) {
	in := vulkantest.Instance(t)
	info, err := in.Choose(os.Getenv(vulkantest.DeviceEnv))
	if err != nil {
		t.Fatal(err)
	}
	info.Features = vulkan.Features{}
	info.Heaps = slices.Clone(info.Heaps)
	for i := range info.Heaps {
		info.Heaps[i].Budget, info.Heaps[i].Used, info.Heaps[i].BudgetKnown = info.Heaps[i].Size, 0, false
	}
	_, err = in.Open(info, vulkan.DeviceOptions{Profile: true})
	checkError(t, "profile without timestamps", err, vulkan.ErrUnsupported, "timestamps")
	_, err = in.Open(info, vulkan.DeviceOptions{Statistics: true})
	checkError(t, "statistics that the driver does not keep", err, vulkan.ErrUnsupported, "compiles")
	d, err := in.Open(info, vulkan.DeviceOptions{BlockBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	local := slices.IndexFunc(info.Heaps, func(h vulkan.Heap) bool { return h.DeviceLocal })
	b := newBuffer(t, d, "b", 4096)
	if h := d.Heaps()[local]; h.Used != d.Memory().Total || h.Used == 0 || h.Free() != h.Size-h.Used || h.BudgetKnown {
		t.Errorf("without a budget the heap is %+v, allocated %d", h, d.Memory().Total)
	}
	b.Free()
	if h := d.Heaps()[local]; h.Used != 0 {
		t.Errorf("after freeing the heap is %+v", h)
	}
	_, err = d.Compiled()
	checkError(t, "statistics that were not asked for", err, vulkan.ErrUnsupported, "without them")
	// Without subgroup size control the device's own size is the only one.
	spec := vulkan.PipelineSpec{Name: "subgroup", SPIRV: subgroupSPIRV, Bindings: 2, Constants: []uint32{64}, SubgroupSize: d.Limits().SubgroupSize}
	if _, err := d.Pipeline(context.Background(), spec); err != nil {
		t.Error(err)
	}
	spec.SubgroupSize *= 2
	_, err = d.Pipeline(context.Background(), spec)
	checkError(t, "another subgroup size", err, vulkan.ErrUnsupported, `"subgroup"`)
}

// TestDeviceLost checks that a loss is told of by every call after it, and that the device can be closed.
func TestDeviceLost(t *testing.T) {
	d := vulkantest.Open(t)
	ctx := context.Background()
	b := newBuffer(t, d, "b", 64)
	r := d.NewRecorder("decode step")
	r.Fill(b.Whole(), 1)
	p, err := r.End()
	if err != nil {
		t.Fatal(err)
	}
	checkError(t, "the loss", vulkan.Lose(d, "decode step", "a page fault"), vulkan.ErrDeviceLost, `wait for "decode step"`, "(a page fault)")
	checkError(t, "run", p.Run(ctx), vulkan.ErrDeviceLost, `"decode step"`, "open the model again")
	checkError(t, "download", d.Download(ctx, make([]byte, 64), b.Whole()), vulkan.ErrDeviceLost)
	_, err = d.NewBuffer("c", vulkan.Scratch, 64)
	checkError(t, "new buffer", err, vulkan.ErrDeviceLost)
	p.Free()
	b.Free()
}

// TestCloseWhileRunning closes a device under programs of other goroutines.
func TestCloseWhileRunning(t *testing.T) {
	d := vulkantest.Open(t)
	started, done := make(chan bool, 4), make(chan error)
	for i := range 4 {
		go func() {
			started <- true
			var err error
			for err == nil {
				err = powers(d, uint32(i+1))
			}
			done <- err
		}()
	}
	for range 4 {
		<-started
	}
	d.Close()
	for range 4 {
		if err := <-done; !errors.Is(err, vulkan.ErrClosed) {
			t.Errorf("a program under way ended with %v", err)
		}
	}
}
