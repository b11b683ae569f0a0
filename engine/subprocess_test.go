package engine_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"kestrel/engine"
)

// openEnv makes the test program open the demo model and say how that went.
const openEnv = "KESTREL_TEST_OPEN"

func asSubprocess() bool {
	if os.Getenv(openEnv) == "" {
		return false
	}
	m, err := engine.OpenFS(context.Background(), demoFloats, ".", engine.Options{})
	if err == nil {
		m.Close()
	}
	_, listErr := engine.Devices(false)
	for name, kind := range map[string]error{"ErrNoDevice": engine.ErrNoDevice, "ErrNoLoader": engine.ErrNoLoader} {
		if errors.Is(err, kind) {
			fmt.Println(name)
		}
		if errors.Is(listErr, kind) {
			fmt.Println("listing:", name)
		}
	}
	fmt.Println(err)
	return true
}

// TestNothingInstalled: on a machine without a Vulkan loader, or without a driver, opening a model says what to install.
func TestNothingInstalled(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("hides loader and drivers as Linux finds them")
	}
	folder := t.TempDir()
	for _, name := range []string{"libvulkan.so.1", "libvulkan.so"} { // found first, and no libraries
		if err := os.WriteFile(filepath.Join(folder, name), []byte("empty"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		env  []string
		says []string
	}{
		{"no loader", []string{"LD_LIBRARY_PATH=" + folder}, []string{"ErrNoLoader\n", "libvulkan1", "mesa-vulkan-drivers"}},
		{"no driver", []string{"VK_DRIVER_FILES=/nonexistent.json", "VK_ICD_FILENAMES=/nonexistent.json"}, []string{"ErrNoDevice\n", "mesa-vulkan-drivers"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(append(os.Environ(), openEnv+"=1", "XDG_CACHE_HOME="+t.TempDir()), c.env...)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for _, s := range c.says {
				if !strings.Contains(string(out), s) {
					t.Errorf("%s\ndoes not say %q", out, s)
				}
			}
		})
	}
}
