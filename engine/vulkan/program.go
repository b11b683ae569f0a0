package vulkan

// #include "shim.h"
import "C"

import (
	"context"
	"fmt"
	"sync"
	"unsafe"

	vk "github.com/vulkan-go/vulkan"
)

// Program is a recorded list of commands that can be run many times.
type Program struct {
	d       *Device
	name    string
	stats   Stats
	buffers []*Buffer

	mu      sync.Mutex // held while the program runs
	cmds    *commands
	pool    vk.DescriptorPool
	sets    int
	profile *profile // nil unless the device profiles
	freed   bool
}

// Stats counts what one run of a program does.
type Stats struct {
	Dispatches  int
	Barriers    int // put because of a hazard; the fixed ones at the ends of a submission are not counted
	Submissions int
	Cost        Cost // of all dispatches
}

// depth is how many submissions of one Run are in flight: the device always has the next one waiting, and a
// stop has at most these to wait for.
const depth = 2

func newProgram(r *Recorder) (p *Program, err error) {
	d := r.d
	if err := d.enter("record", r.name); err != nil {
		return nil, err
	}
	defer d.leave()
	p = &Program{d: d, name: r.name, stats: r.stats}
	defer func() {
		if err != nil {
			p.release()
			p = nil
		}
	}()
	for b := range r.buffers {
		if !d.memory.retain(b) {
			return p, fmt.Errorf("vulkan: record %q: buffer %q is %w", r.name, b.name, ErrClosed)
		}
		p.buffers = append(p.buffers, b)
	}
	sets, err := p.makeSets(r)
	if err != nil {
		return p, err
	}
	if d.o.Profile {
		if p.profile, err = newProfile(d, r); err != nil {
			return p, err
		}
	}
	if p.cmds, err = newCommands(d, r.name, len(r.parts)); err != nil {
		return p, err
	}
	query := 0
	for i, steps := range r.parts {
		if err := p.cmds.record(i, p.encode(steps, sets, &query), r.push, false); err != nil {
			return p, err
		}
	}
	d.mu.Lock()
	d.programs[p] = struct{}{}
	d.mu.Unlock()
	return p, nil
}

// makeSets allocates and fills the program's descriptor sets.
func (p *Program) makeSets(r *Recorder) ([]uint64, error) {
	n := len(r.setList)
	if n == 0 {
		return nil, nil
	}
	var layouts, triples []uint64
	var counts []uint32
	for _, s := range r.setList {
		layouts = append(layouts, s.layout.rawSet)
		counts = append(counts, uint32(len(s.views)))
		for _, v := range s.views {
			triples = append(triples, v.Buffer.raw, uint64(v.Offset), uint64(roundUp(v.Offset+v.Size, 4)-v.Offset))
		}
	}
	info := C.kv_descriptor_pool_info(C.uint32_t(n), C.uint32_t(len(triples)/3))
	defer C.kv_free(info)
	d := p.d
	var err error
	p.pool, err = create("create descriptor pool of", p.name, func(h *vk.DescriptorPool) vk.Result {
		return vk.CreateDescriptorPool(d.handle, vk.NewDescriptorPoolCreateInfoRef(info), nil, h)
	})
	if err != nil {
		return nil, err
	}
	p.sets = n
	sets := make([]uint64, n)
	raw := (*C.uint64_t)(&sets[0])
	if err := check(vk.Result(C.kv_alloc_sets(d.table, C.uint64_t(handle(&p.pool)), (*C.uint64_t)(&layouts[0]), C.uint32_t(n), raw)),
		"create descriptor sets of", p.name); err != nil {
		return nil, err
	}
	r2 := C.kv_update_sets(d.table, raw, (*C.uint32_t)(&counts[0]), C.uint32_t(n), (*C.uint64_t)(unsafe.SliceData(triples)))
	return sets, check(vk.Result(r2), "write descriptor sets of", p.name)
}

// encode writes one submission's commands. It begins with a barrier against whatever the queue ran before, and
// ends with one for the host where the host can see what was written.
func (p *Program) encode(steps []step, sets []uint64, query *int) ops {
	var o ops
	o.fullBarrier()
	if p.profile != nil {
		p.profile.begin(&o, *query, steps)
		*query++
	}
	stages, hostWrite := stageCompute, false
	for _, s := range steps {
		hostWrite = hostWrite || s.hostWrite
		if s.kind == stepCopy || s.kind == stepFill {
			stages = stageCompute | stageTransfer
		}
	}
	for _, s := range steps {
		switch s.kind {
		case stepBarrier:
			o.deviceBarrier(stages)
			continue
		case stepDispatch:
			o.dispatch(s.pipeline.raw, s.pipeline.layout.raw, sets[s.set], s.x, s.y, s.z, s.push, s.size)
		case stepCopy:
			o.copy(s.dst, s.src)
		case stepFill:
			o.fill(s.dst, s.word)
		}
		if p.profile != nil {
			o.stamp(p.profile.raw, *query, stageBottom)
			*query++
		}
	}
	if hostWrite {
		o.hostBarrier()
	}
	return o
}

// Run runs the program and waits for its end. ctx is checked before each submission; after a cancellation the
// submissions in flight (two at most) are waited for, and the rest does not run.
// Errors: ctx's, ErrDeviceLost.
func (p *Program) Run(ctx context.Context) error {
	if err := p.d.enter("run", p.name); err != nil {
		return err
	}
	defer p.d.leave()
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.start(); err != nil {
		return err
	}
	n := len(p.cmds.list)
	var err error
	for i := 0; i < n && err == nil; i++ {
		if i >= depth {
			if err = p.cmds.wait(i - depth); err != nil {
				break
			}
		}
		if e := ctx.Err(); e != nil {
			err = fmt.Errorf("vulkan: run %q: stopped before part %d of %d: %w", p.name, i+1, n, e)
			break
		}
		err = p.cmds.submit(i)
	}
	if e := p.finish(err == nil); err == nil {
		err = e
	}
	return err
}

// Submit starts all parts of the program and returns; Wait waits for their end. A program that is still under
// way is waited for first. Programs of one device run in the order of their submission, and each sees what the
// ones before it wrote.
func (p *Program) Submit() error {
	if err := p.d.enter("run", p.name); err != nil {
		return err
	}
	defer p.d.leave()
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.start(); err != nil {
		return err
	}
	for i := range p.cmds.list {
		if err := p.cmds.submit(i); err != nil {
			p.finish(false)
			return err
		}
	}
	return nil
}

// Wait waits for the end of the last Submit.
func (p *Program) Wait() error {
	if err := p.d.enter("wait for", p.name); err != nil {
		return err
	}
	defer p.d.leave()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.freed {
		return fmt.Errorf("vulkan: wait for %q: the program is %w", p.name, ErrClosed)
	}
	return p.finish(true)
}

// start checks that the program can run now; p.mu is held.
func (p *Program) start() error {
	if p.freed {
		return fmt.Errorf("vulkan: run %q: the program is %w", p.name, ErrClosed)
	}
	if err := p.finish(true); err != nil {
		return err
	}
	return p.d.zeroNew(View{})
}

// finish waits for everything in flight; whole says that all parts have run, so that their times count.
func (p *Program) finish(whole bool) error {
	var err error
	waited := false
	for i := range p.cmds.list {
		waited = waited || p.cmds.list[i].inFlight
		if e := p.cmds.wait(i); err == nil {
			err = e
		}
	}
	if p.profile != nil && waited && whole && err == nil {
		err = p.profile.collect()
	}
	return err
}

// Stats counts what one run does.
func (p *Program) Stats() Stats { return p.stats }

// Name is the name it was recorded under.
func (p *Program) Name() string { return p.name }

// Free waits for the program's end and frees it. It may be called twice.
func (p *Program) Free() {
	if p == nil {
		return
	}
	p.d.life.RLock()
	defer p.d.life.RUnlock()
	if p.d.closed {
		return
	}
	p.free()
}

func (p *Program) free() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.freed {
		return
	}
	p.freed = true
	p.d.mu.Lock()
	delete(p.d.programs, p)
	p.d.mu.Unlock()
	p.release()
}

func (p *Program) release() {
	if p.cmds != nil {
		p.cmds.free()
	}
	if p.profile != nil {
		p.profile.free()
	}
	if p.sets > 0 {
		vk.DestroyDescriptorPool(p.d.handle, p.pool, nil)
	}
	for _, b := range p.buffers {
		p.d.memory.unretain(b)
	}
	p.buffers = nil
}
