package sensors

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseClient(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       client
		ok         bool
	}{
		{"not a GPU's", "pos:\t0\nflags:\t02\n", client{}, false},
		{"empty", "", client{}, false},
		{"units", "drm-driver:\tamdgpu\ndrm-client-id:\t7\ndrm-pdev:\t0000:03:00.0\ndrm-memory-vram:\t4 KiB\ndrm-memory-gtt: \t2 MiB\ndrm-memory-cpu:\t12\n",
			client{driver: "amdgpu", pdev: "0000:03:00.0", id: "7",
				regions: []region{{"vram", 4096, 2}, {"gtt", 2 << 20, 2}, {"cpu", 12, 2}}}, true},
		{"resident before total, in any order", "drm-driver: xe\ndrm-client-id: 1\ndrm-resident-vram0: 1 KiB\ndrm-total-vram0: 9 KiB\ndrm-total-system: 3 KiB\ndrm-resident-system: 2 KiB\n",
			client{driver: "xe", id: "1", regions: []region{{"vram0", 1024, 3}, {"system", 2048, 3}}}, true},
		{"engines", "drm-driver: xe\ndrm-client-id: 1\ndrm-engine-render: 5 ns\ndrm-cycles-ccs: 6\ndrm-total-cycles-ccs: 60\ndrm-engine-capacity-ccs: 4\n",
			client{driver: "xe", id: "1", engines: []engine{{name: "render", busy: 5}, {name: "ccs", busy: 6, total: 60, capacity: 4}}}, true},
		{"nonsense is passed over", "drm-driver: x\ndrm-client-id: 1\ndrm-\ndrm-memory-: 5\ndrm-memory-vram: -4 KiB\ndrm-memory-gtt: 5 furlongs\ndrm-memory-cpu: 99999999999999999999\ndrm-total-a: 9000000000000000 GiB\n",
			client{driver: "x", id: "1", regions: nil}, true},
	} {
		got, ok := parseClient([]byte(tt.text))
		if ok != tt.ok || ok && !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s:\n got %+v, %v\nwant %+v, %v", tt.name, got, ok, tt.want, tt.ok)
		}
	}
}

func TestRegionsLocal(t *testing.T) {
	for name, want := range map[string]bool{"vram": true, "vram0": true, "local0": true, "gtt": false, "system0": false, "cpu": false, "stolen-system0": false} {
		if got := (region{name: name}).local(); got != want {
			t.Errorf("%s: local %v", name, got)
		}
	}
}

func FuzzParseClient(f *testing.F) {
	for _, tree := range []string{"amdgpu", "i915-1", "xe-1", "nvidia-open"} {
		for name, file := range recorded(f, tree) {
			if strings.Contains(name, "/fdinfo/") {
				f.Add(file.Data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, ok := parseClient(text)
		if ok != (c.driver != "" && c.id != "") {
			t.Errorf("ok %v of %+v", ok, c)
		}
		if len(c.regions) > maxEntries || len(c.engines) > maxEntries {
			t.Errorf("%d regions, %d engines", len(c.regions), len(c.engines))
		}
		local, shared := c.memory()
		if local < 0 || shared < 0 {
			t.Errorf("memory %d %d", local, shared)
		}
		for _, r := range c.regions {
			if r.bytes < 0 || r.name == "" {
				t.Errorf("region %+v", r)
			}
		}
	})
}
