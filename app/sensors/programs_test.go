package sensors

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// addProcess puts a process with a number of descriptors into a tree; the last is a GPU's.
func addProcess(tree fstest.MapFS, pid, descriptors int, clientID string, kib int) {
	dir := fmt.Sprintf("proc/%d/", pid)
	tree[dir+"comm"] = &fstest.MapFile{Data: []byte(fmt.Sprintf("program%d\n", pid))}
	for fd := range descriptors {
		target, text := "socket:[1]", "pos:\t0\n"
		if fd == descriptors-1 && clientID != "" {
			target = "/dev/dri/renderD128"
			text = fmt.Sprintf("drm-driver: amdgpu\ndrm-client-id: %s\ndrm-pdev: 0000:03:00.0\ndrm-memory-vram: %d KiB\n", clientID, kib)
		}
		tree[fmt.Sprintf("%sfd/%d", dir, fd)] = &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink}
		tree[fmt.Sprintf("%sfdinfo/%d", dir, fd)] = &fstest.MapFile{Data: []byte(text)}
	}
}

func TestSearchTakesTurns(t *testing.T) {
	tree := fstest.MapFS{}
	addProcess(tree, self, 3, "1", 100)
	for i := range 40 {
		addProcess(tree, 100+i, 100, fmt.Sprint(1000+i), 10)
	}
	p := newPrograms(tree, self)
	now := time.Unix(1, 0)
	readings := 0
	for {
		u := p.read("0000:03:00.0", now)
		readings++
		if !u.ownKnown || u.ownLocal != 100<<10 {
			t.Fatalf("reading %d: own %d, %v: this process is to be searched first", readings, u.ownLocal, u.ownKnown)
		}
		if u.complete {
			if u.othersLocal != 40*10<<10 || len(u.others) != 40 {
				t.Errorf("others %d in %d programs", u.othersLocal, len(u.others))
			}
			break
		}
		if readings > 100 {
			t.Fatal("the search does not end")
		}
		now = now.Add(time.Second)
	}
	// 40 processes of 100 descriptors at about 400 a reading
	if readings < 8 || readings > 15 {
		t.Errorf("the search took %d readings", readings)
	}
	// a process that ends is gone at once, one that starts is found by the next listing
	for name := range tree {
		if strings.HasPrefix(name, "proc/100/") {
			delete(tree, name)
		}
	}
	now = now.Add(time.Second)
	if u := p.read("0000:03:00.0", now); u.othersLocal != 39*10<<10 {
		t.Errorf("others %d after one has ended", u.othersLocal)
	}
	addProcess(tree, 9000, 2, "77", 7)
	for range relist {
		now = now.Add(time.Second)
		p.read("0000:03:00.0", now)
	}
	if u := p.read("0000:03:00.0", now.Add(time.Second)); u.othersLocal != (39*10+7)<<10 {
		t.Errorf("others %d after one has started", u.othersLocal)
	}
}

func TestEngineMeter(t *testing.T) {
	at := func(ms int) time.Time { return time.Unix(0, 0).Add(time.Duration(ms) * time.Millisecond) }
	busyOf := func(ns ...uint64) []client {
		var clients []client
		for i, n := range ns {
			clients = append(clients, client{id: fmt.Sprint(i), engines: []engine{{name: "render", busy: n}}})
		}
		return clients
	}
	var m engineMeter
	if r := m.busy(nil, at(1)); r.Known || r.Why != NotAvailable {
		t.Errorf("no clients: %+v", r)
	}
	if r := m.busy(busyOf(0, 0), at(1000)); r.Why != Counting {
		t.Errorf("first: %+v", r)
	}
	if r := m.busy(busyOf(100e6, 200e6), at(2000)); !near(r, 0.3) {
		t.Errorf("two clients: %+v, want 0.3", r)
	}
	if r := m.busy(busyOf(100e6, 200e6, 900e6), at(3000)); !near(r, 0) {
		t.Errorf("a new client's past: %+v, want 0", r)
	}
	if r := m.busy(busyOf(50e6), at(4000)); r.Known {
		t.Errorf("a counter that fell: %+v", r)
	}
	if r := m.busy(busyOf(50e6+5e9), at(5000)); !near(r, 1) {
		t.Errorf("more than all: %+v, want 1", r)
	}
}

// BenchmarkRead is one reading on a desktop: 400 processes with 40 descriptors
// each, all looked through once; 25 of them with a GPU open. At two readings a second, 1% of a core is
// 5 ms a reading.
func BenchmarkRead(b *testing.B) {
	root := b.TempDir()
	for name, file := range recorded(b, "amdgpu") {
		write(b, root, name, file)
	}
	for i := range 400 {
		tree := fstest.MapFS{}
		id := ""
		if i%16 == 0 {
			id = fmt.Sprint(5000 + i)
		}
		addProcess(tree, 10000+i, 40, id, 1000)
		for name, file := range tree {
			write(b, root, name, file)
		}
	}
	c := newClock()
	s := New(Options{Root: os.DirFS(root), PID: self, Now: c.now})
	g := s.GPU(Device{VendorID: 0x1002, DeviceID: 0x747e})
	for !s.programs.complete {
		c.t = c.t.Add(500 * time.Millisecond)
		g.Read(0)
	}
	b.ReportAllocs()
	for b.Loop() {
		c.t = c.t.Add(500 * time.Millisecond)
		if snap := g.Read(0); !snap.Busy.Known {
			b.Fatalf("%+v", snap)
		}
	}
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)*2/float64(time.Second)*100, "%core@2Hz")
}

// write puts one file of a tree on the disk.
func write(b *testing.B, root, name string, file *fstest.MapFile) {
	path := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.Fatal(err)
	}
	var err error
	if file.Mode&fs.ModeSymlink != 0 {
		err = os.Symlink(string(file.Data), path)
	} else {
		err = os.WriteFile(path, file.Data, 0o644)
	}
	if err != nil {
		b.Fatal(err)
	}
}
