// Package vulkantest opens Vulkan devices for tests, with the Khronos validation layer, its synchronization
// validation and its best practices on. Any message of the layer fails the test, except that of best practices
// only errors count. No test is skipped: without a device or the layer it fails and says what to install.
package vulkantest

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"

	"kestrel/engine/vulkan"
)

// DeviceEnv names the environment variable that selects the device (an index or part of a name).
const DeviceEnv = "KESTREL_TEST_DEVICE"

// One instance serves a test binary: opening one with the layer takes longer than most tests.
var shared struct {
	once     sync.Once
	instance *vulkan.Instance
	err      error
}

var log messages

// messages collects the layer's messages until a test takes them.
type messages struct {
	mu    sync.Mutex
	lines []string
}

func (m *messages) add(severity, text string) {
	if severity != "error" && strings.Contains(text, "BestPractices") {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lines = append(m.lines, severity+": "+text)
}

func (m *messages) take() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	lines := m.lines
	m.lines = nil
	return lines
}

// Instance returns the shared instance. Messages since the last check fail t at its end.
func Instance(t testing.TB) *vulkan.Instance {
	t.Helper()
	shared.once.Do(func() {
		shared.instance, shared.err = vulkan.NewInstance(vulkan.InstanceOptions{Validation: true, OnMessage: log.add})
	})
	if shared.err != nil {
		t.Fatalf("%v\nthe tests need a Vulkan driver and the validation layer: apt install mesa-vulkan-drivers vulkan-validationlayers", shared.err)
	}
	t.Cleanup(func() {
		for _, line := range log.take() {
			t.Errorf("validation layer: %s", line)
		}
	})
	return shared.instance
}

// Open opens the test device; it is closed at the end of t.
func Open(t testing.TB) *vulkan.Device {
	t.Helper()
	return OpenWith(t, vulkan.DeviceOptions{})
}

// OpenWith is Open with options.
func OpenWith(t testing.TB, o vulkan.DeviceOptions) *vulkan.Device {
	t.Helper()
	in := Instance(t)
	info, err := in.Choose(os.Getenv(DeviceEnv))
	if err != nil {
		t.Fatalf("%v\nthe tests need a Vulkan device: apt install mesa-vulkan-drivers for a software one", err)
	}
	if o.Warn == nil {
		o.Warn = func(text string) { t.Errorf("unexpected warning: %s", text) }
	}
	d, err := in.Open(info, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// Take returns the messages since the last check, which then no longer fail the test: for tests of wrong use.
func Take(t testing.TB) []string {
	t.Helper()
	return log.take()
}

// Expect takes the messages and fails t unless one contains text.
func Expect(t testing.TB, text string) {
	t.Helper()
	lines := log.take()
	for _, line := range lines {
		if strings.Contains(line, text) {
			return
		}
	}
	t.Errorf("no message of the validation layer contains %q; messages: %q", text, lines)
}

// Run records a program by f, runs it once and frees it.
func Run(t testing.TB, d *vulkan.Device, f func(r *vulkan.Recorder)) vulkan.Stats {
	t.Helper()
	r := d.NewRecorder(t.Name())
	f(r)
	p, err := r.End()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Free()
	if err := p.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	return p.Stats()
}
