package sensors

import (
	"cmp"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// programs finds the processes that have a GPU open. /proc is large and changes
// little, so that each reading searches a part of it and only the files already
// found are read every time.
type programs struct {
	root fs.FS
	pid  int

	todo     []int        // processes still to be searched in this round
	known    map[int]bool // processes there were at the last listing
	listed   int          // readings since then
	complete bool         // one round has been finished
	open     map[int]*opened
	readAt   time.Time
	clients  []ownedClient // as they were at readAt
}

// opened is what a process has open.
type opened struct {
	name  string
	files []string // fdinfo paths, one for each client
}

type ownedClient struct {
	client
	pid  int
	name string
}

const (
	// The descriptors looked at in one reading: about 2 ms at first, so that there
	// is soon something to show, then less.
	firstLinks, maxLinks = 400, 80
	// relist is after how many readings new processes are looked for; they are searched first.
	relist = 8
	// maxFiles bounds the fdinfo files read in one reading.
	maxFiles = 200
	// maxProcess bounds the descriptors looked at of one process.
	maxProcess = 4096
	// fresh is how long a reading serves the other GPUs of the machine.
	fresh = 50 * time.Millisecond
)

func newPrograms(root fs.FS, pid int) *programs {
	return &programs{root: root, pid: pid, open: map[int]*opened{}}
}

// use is how the programs use one GPU.
type use struct {
	tells               bool // the driver accounts memory
	complete            bool // all processes have been looked through once
	ownKnown            bool
	ownLocal, ownShared int64
	othersLocal         int64
	othersShared        int64
	others              []Program // the largest first
	clients             []client
}

// read gives the use of the GPU at a PCI address.
func (p *programs) read(address string, now time.Time) use {
	if p.readAt.IsZero() || now.Sub(p.readAt) >= fresh {
		p.search()
		p.collect()
		p.readAt = now
	}
	u := use{complete: p.complete}
	byPID := map[int]*Program{}
	for _, c := range p.clients {
		if c.pdev != address {
			continue
		}
		u.clients = append(u.clients, c.client)
		if !c.tellsMemory() {
			continue
		}
		u.tells = true
		local, shared := c.memory()
		if c.pid == p.pid {
			u.ownKnown = true
			u.ownLocal += local
			u.ownShared += shared
			continue
		}
		u.othersLocal += local
		u.othersShared += shared
		if byPID[c.pid] == nil {
			byPID[c.pid] = &Program{PID: c.pid, Name: c.name}
		}
		byPID[c.pid].Local += local
		byPID[c.pid].Shared += shared
	}
	for _, program := range byPID {
		if program.Local+program.Shared > 0 {
			u.others = append(u.others, *program)
		}
	}
	slices.SortFunc(u.others, func(a, b Program) int {
		return cmp.Or(cmp.Compare(b.Local+b.Shared, a.Local+a.Shared), cmp.Compare(a.PID, b.PID))
	})
	return u
}

// search looks through the next processes for GPU files.
func (p *programs) search() {
	if p.listed--; p.listed <= 0 || len(p.todo) == 0 {
		p.list()
		p.listed = relist
	}
	limit := maxLinks
	if !p.complete {
		limit = firstLinks
	}
	for links := 0; links < limit && len(p.todo) > 0; p.todo = p.todo[1:] {
		links += 2 + p.searchProcess(p.todo[0])
	}
	if len(p.todo) == 0 {
		p.complete = true
	}
}

// list lists the processes, forgets those that have ended and puts those that
// are new before those still to be searched: this one, at first.
func (p *programs) list() {
	dir, err := fs.ReadDir(p.root, "proc")
	if err != nil {
		return
	}
	alive := map[int]bool{p.pid: true}
	var fresh []int
	if !p.known[p.pid] {
		fresh = append(fresh, p.pid)
	}
	for _, e := range dir {
		if pid, err := strconv.Atoi(e.Name()); err == nil && pid != p.pid {
			alive[pid] = true
			if !p.known[pid] {
				fresh = append(fresh, pid)
			}
		}
	}
	for pid := range p.open {
		if !alive[pid] {
			delete(p.open, pid)
		}
	}
	p.known = alive
	if len(p.todo) == 0 && len(fresh) == 0 { // a new round
		for pid := range alive {
			p.todo = append(p.todo, pid)
		}
		slices.Sort(p.todo)
		return
	}
	p.todo = append(fresh, p.todo...)
}

// searchProcess looks at the descriptors of one process and returns how many it
// looked at. Other users' processes cannot be read, and look as if they had none.
func (p *programs) searchProcess(pid int) int {
	dir := path.Join("proc", strconv.Itoa(pid))
	delete(p.open, pid)
	entries, err := fs.ReadDir(p.root, path.Join(dir, "fd"))
	if err != nil {
		return 0
	}
	entries = entries[:min(len(entries), maxProcess)]
	var o opened
	seen := map[string]bool{}
	for _, e := range entries {
		link, err := fs.ReadLink(p.root, path.Join(dir, "fd", e.Name()))
		if err != nil || !strings.HasPrefix(strings.TrimPrefix(link, "/"), "dev/dri/") {
			continue
		}
		file := path.Join(dir, "fdinfo", e.Name())
		c, ok := p.readClient(file)
		if key := c.pdev + " " + c.id; ok && !seen[key] {
			seen[key] = true
			o.files = append(o.files, file)
		}
	}
	if len(o.files) > 0 {
		name, _ := fs.ReadFile(p.root, path.Join(dir, "comm"))
		o.name = strings.TrimSpace(string(name))
		p.open[pid] = &o
	}
	return len(entries)
}

func (p *programs) readClient(file string) (client, bool) {
	text, err := fs.ReadFile(p.root, file)
	if err != nil {
		return client{}, false
	}
	return parseClient(text)
}

// collect reads the files found. A client that several processes hold counts
// once, for this process if it is one of them.
func (p *programs) collect() {
	p.clients = p.clients[:0]
	pids := make([]int, 0, len(p.open))
	for pid := range p.open {
		pids = append(pids, pid)
	}
	slices.SortFunc(pids, func(a, b int) int {
		if a == p.pid || b == p.pid {
			return cmp.Compare(b2i(b == p.pid), b2i(a == p.pid))
		}
		return cmp.Compare(a, b)
	})
	seen := map[string]bool{}
	files := 0
	for _, pid := range pids {
		o := p.open[pid]
		for _, file := range o.files {
			if files++; files > maxFiles {
				return
			}
			c, ok := p.readClient(file)
			key := c.pdev + " " + c.id
			if !ok || seen[key] {
				continue
			}
			seen[key] = true
			p.clients = append(p.clients, ownedClient{c, pid, o.name})
		}
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// engineMeter derives how busy a GPU is from its clients' engine counters.
type engineMeter struct {
	last     map[string]engine // by client and engine
	at       time.Time
	lastBusy Reading
}

// busy is the load of the busiest kind of engine since the last reading: the
// sum over the clients that were there at both.
func (m *engineMeter) busy(clients []client, now time.Time) Reading {
	elapsed := now.Sub(m.at)
	if !m.at.IsZero() && elapsed < 100*time.Millisecond {
		return m.lastBusy
	}
	current := map[string]engine{}
	load := map[string]float64{}
	comparable := false
	for _, c := range clients {
		for _, e := range c.engines {
			key := c.id + " " + e.name
			current[key] = e
			last, ok := m.last[key]
			if !ok || e.busy < last.busy {
				continue
			}
			span := float64(elapsed.Nanoseconds())
			if e.total > 0 {
				span = float64(e.total - last.total)
			}
			if e.total < last.total || span <= 0 {
				continue
			}
			comparable = true
			load[e.name] += float64(e.busy-last.busy) / span / float64(max(e.capacity, 1))
		}
	}
	m.last, m.at = current, now
	switch {
	case len(current) == 0:
		m.lastBusy = unknown(NotAvailable)
	case !comparable:
		m.lastBusy = unknown(Counting)
	default:
		share := 0.0
		for _, l := range load {
			share = max(share, l)
		}
		m.lastBusy = known(min(share, 1))
	}
	return m.lastBusy
}
