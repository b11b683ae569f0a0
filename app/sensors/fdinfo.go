package sensors

import (
	"bytes"
	"strconv"
)

// client is one entry of the DRM's usage statistics, the text of a
// /proc/PID/fdinfo/FD of a GPU's file (kernel documentation: "DRM client usage
// stats"). A client may be open under several files and in several processes.
type client struct {
	driver, pdev, id string
	regions          []region
	engines          []engine
}

// region is a kind of memory: bytes resident in it.
type region struct {
	name  string
	bytes int64
	rank  int // how well the key that gave bytes fits: resident, then memory, then total
}

// engine is a kind of work, as "render" or "compute".
type engine struct {
	name     string
	busy     uint64 // nanoseconds, or cycles of total
	total    uint64 // cycles since the device started; 0 where busy is nanoseconds
	capacity uint64 // engines of this kind; 0 where it is not said
}

// local tells whether a region is the GPU's own memory: vram (amdgpu, nouveau), vram0 (xe), local0 (i915).
func (r region) local() bool {
	return len(r.name) >= 4 && r.name[:4] == "vram" || len(r.name) >= 5 && r.name[:5] == "local"
}

// memory sums the regions. Memory that is not in use by the device any more
// (amdgpu's cpu: evicted to the processor's domain) counts as shared too.
func (c *client) memory() (local, shared int64) {
	for _, r := range c.regions {
		if r.local() {
			local += r.bytes
		} else {
			shared += r.bytes
		}
	}
	return local, shared
}

// tellsMemory says whether the driver accounts memory at all.
func (c *client) tellsMemory() bool { return len(c.regions) > 0 }

// maxEntries bounds what one file may make us keep.
const maxEntries = 32

// parseClient reads an fdinfo text. ok is false where it is not of a DRM client
// or names no device.
func parseClient(text []byte) (c client, ok bool) {
	for line := range bytes.Lines(text) {
		key, value, found := bytes.Cut(line, []byte(":"))
		if !found || !bytes.HasPrefix(key, []byte("drm-")) {
			continue
		}
		key = key[len("drm-"):]
		value = bytes.TrimSpace(value)
		switch string(key) {
		case "driver":
			c.driver = string(value)
			continue
		case "pdev":
			c.pdev = string(value)
			continue
		case "client-id":
			c.id = string(value)
			continue
		}
		kind, name, found := bytes.Cut(key, []byte("-"))
		if !found || len(name) == 0 {
			continue
		}
		if string(kind) == "total" && bytes.HasPrefix(name, []byte("cycles-")) {
			kind, name = []byte("total-cycles"), name[len("cycles-"):]
		}
		if string(kind) == "engine" && bytes.HasPrefix(name, []byte("capacity-")) {
			kind, name = []byte("capacity"), name[len("capacity-"):]
		}
		c.set(string(kind), name, value)
	}
	return c, c.driver != "" && c.id != ""
}

func (c *client) set(kind string, name, value []byte) {
	switch kind {
	case "resident", "memory", "total":
		rank := map[string]int{"total": 1, "memory": 2, "resident": 3}[kind]
		if n, ok := parseBytes(value); ok {
			if r := c.region(string(name)); r != nil && rank > r.rank {
				r.bytes, r.rank = n, rank
			}
		}
	case "engine", "cycles", "total-cycles", "capacity":
		number, _, _ := bytes.Cut(value, []byte(" "))
		n, err := strconv.ParseUint(string(number), 10, 64)
		e := c.engine(string(name))
		if err != nil || e == nil {
			return
		}
		switch kind {
		case "total-cycles":
			e.total = n
		case "capacity":
			e.capacity = n
		default:
			e.busy = n
		}
	}
}

func (c *client) region(name string) *region {
	for i := range c.regions {
		if c.regions[i].name == name {
			return &c.regions[i]
		}
	}
	if len(c.regions) == maxEntries {
		return nil
	}
	c.regions = append(c.regions, region{name: name})
	return &c.regions[len(c.regions)-1]
}

func (c *client) engine(name string) *engine {
	for i := range c.engines {
		if c.engines[i].name == name {
			return &c.engines[i]
		}
	}
	if len(c.engines) == maxEntries {
		return nil
	}
	c.engines = append(c.engines, engine{name: name})
	return &c.engines[len(c.engines)-1]
}

// parseBytes reads "1024", "1024 KiB" or "1 MiB".
func parseBytes(value []byte) (int64, bool) {
	number, unit, _ := bytes.Cut(value, []byte(" "))
	n, err := strconv.ParseUint(string(number), 10, 63)
	if err != nil {
		return 0, false
	}
	shift := 0
	switch string(bytes.TrimSpace(unit)) {
	case "":
	case "KiB":
		shift = 10
	case "MiB":
		shift = 20
	case "GiB":
		shift = 30
	default:
		return 0, false
	}
	if n > 1<<50>>shift {
		return 0, false
	}
	return int64(n) << shift, true
}
