package vulkan

import "fmt"

// Recorder collects the commands of a Program. The first error of any call is kept and returned by End, so
// calls need no check of their own.
type Recorder struct {
	d    *Device
	name string
	err  error

	hazards hazards
	parts   [][]step // commands of each submission
	sets    map[string]int
	setList []setSpec
	push    []byte
	buffers map[*Buffer]struct{}
	stats   Stats
	cost    Cost // of the next dispatch
}

// Cost is what a dispatch has to compute and to move at the least, for profiles: floating-point operations, and bytes read
// and written.
type Cost struct{ FLOP, Bytes float64 }

func (c *Cost) add(d Cost) { c.FLOP, c.Bytes = c.FLOP+d.FLOP, c.Bytes+d.Bytes }

// step is a recorded command before its descriptor sets exist.
type step struct {
	kind       stepKind
	pipeline   *Pipeline
	set        int // index into setList
	x, y, z    int
	push, size int // push constants in Recorder.push
	dst, src   View
	word       uint32
	hostWrite  bool // writes memory that the host sees
	cost       Cost
}

type stepKind uint8

const (
	stepDispatch stepKind = iota
	stepCopy
	stepFill
	stepBarrier
)

type setSpec struct {
	layout *layout
	views  []View
}

// NewRecorder starts the recording of a program.
func (d *Device) NewRecorder(name string) *Recorder {
	return &Recorder{d: d, name: name, hazards: newHazards(), parts: [][]step{nil}, sets: map[string]int{}, buffers: map[*Buffer]struct{}{}}
}

// Cost says what the next dispatch costs.
func (r *Recorder) Cost(c Cost) { r.cost = c }

// Dispatch runs pipeline p with x*y*z workgroups, push as its push constants and one Arg per binding in order.
// An argument's bytes must be all that the shader touches: barriers are put from them. Push constants are copied.
func (r *Recorder) Dispatch(p *Pipeline, x, y, z int, push []byte, args ...Arg) {
	if r.err != nil {
		return
	}
	if p == nil || p.d != r.d {
		r.fail("dispatch: the pipeline is missing or of another device")
		return
	}
	l := r.d.info.Limits
	for i, n := range [3]int{x, y, z} {
		if n < 1 || n > l.MaxGroups[i] {
			r.fail("dispatch %q: %w: %dx%dx%d workgroups; 1 to %v are possible", p.name, ErrUnsupported, x, y, z, l.MaxGroups)
			return
		}
	}
	if len(push) != p.push || len(args) != p.bindings {
		r.fail("dispatch %q: it is given %d bytes of push constants and %d arguments and takes %d and %d", p.name, len(push), len(args), p.push, p.bindings)
		return
	}
	views := make([]View, len(args))
	hostWrite := false
	for i, a := range args {
		if err := a.View.check(r.d); err != nil {
			r.fail("dispatch %q, argument %d: %w", p.name, i, err)
			return
		}
		if a.Access&^ReadWrite != 0 || a.Access == 0 {
			r.fail("dispatch %q, argument %d (%q): it declares no access", p.name, i, a.Buffer.name)
			return
		}
		if a.Offset%l.StorageAlign != 0 {
			r.fail("dispatch %q, argument %d (%q): offset %d is not a multiple of %d", p.name, i, a.Buffer.name, a.Offset, l.StorageAlign)
			return
		}
		if a.Size > l.MaxStorageBufferRange {
			r.fail("dispatch %q, argument %d (%q): %w: %d bytes are bound and %d are possible", p.name, i, a.Buffer.name, ErrUnsupported, a.Size, l.MaxStorageBufferRange)
			return
		}
		views[i] = a.View
		hostWrite = hostWrite || a.Access&Write != 0 && a.Buffer.mapped != nil
	}
	r.order(args)
	s := step{kind: stepDispatch, pipeline: p, set: r.set(p.layout, views), x: x, y: y, z: z, push: len(r.push), size: len(push), hostWrite: hostWrite, cost: r.cost}
	r.stats.Cost.add(r.cost)
	r.cost = Cost{}
	r.push = append(r.push, push...)
	r.add(s)
	r.stats.Dispatches++
}

// Copy copies src to dst, which has the same size and does not overlap it.
func (r *Recorder) Copy(dst, src View) {
	if r.err != nil {
		return
	}
	for _, v := range []View{dst, src} {
		if err := v.check(r.d); err != nil {
			r.fail("copy: %w", err)
			return
		}
	}
	if dst.Size != src.Size || dst.Buffer == src.Buffer && overlaps([]span{{dst.Offset, dst.Size}}, span{src.Offset, src.Size}) {
		r.fail("copy from %q to %q: %d bytes go to %d, or the two overlap", src.Buffer.name, dst.Buffer.name, src.Size, dst.Size)
		return
	}
	r.order([]Arg{Out(dst), In(src)})
	r.add(step{kind: stepCopy, dst: dst, src: src, hostWrite: dst.Buffer.mapped != nil})
}

// Fill sets every 4 bytes of dst to word; its offset and size are multiples of 4.
func (r *Recorder) Fill(dst View, word uint32) {
	if r.err != nil {
		return
	}
	if err := dst.check(r.d); err != nil {
		r.fail("fill: %w", err)
		return
	}
	if dst.Offset%4 != 0 || dst.Size%4 != 0 {
		r.fail("fill %q: offset %d and size %d are not multiples of 4", dst.Buffer.name, dst.Offset, dst.Size)
		return
	}
	r.order([]Arg{Out(dst)})
	r.add(step{kind: stepFill, dst: dst, word: word, hostWrite: dst.Buffer.mapped != nil})
}

// Split ends a submission and begins the next. Each part should take tens of milliseconds at most: a stop takes
// effect between parts, and a long submission freezes the desktop.
func (r *Recorder) Split() {
	if len(r.parts[len(r.parts)-1]) == 0 {
		return
	}
	r.parts = append(r.parts, nil)
	r.hazards.reset() // every submission begins with a barrier
}

// End makes the program.
func (r *Recorder) End() (*Program, error) {
	if r.err != nil {
		return nil, r.err
	}
	if n := len(r.parts); len(r.parts[n-1]) == 0 {
		r.parts = r.parts[:n-1]
	}
	if len(r.parts) == 0 {
		r.fail("it has no commands")
		return nil, r.err
	}
	r.stats.Submissions = len(r.parts)
	return newProgram(r)
}

func (r *Recorder) fail(format string, args ...any) {
	r.err = fmt.Errorf("vulkan: record %q: "+format, append([]any{r.name}, args...)...)
}

// order puts a barrier before a command with these accesses where it needs one.
func (r *Recorder) order(args []Arg) {
	if r.hazards.conflict(args) {
		r.add(step{kind: stepBarrier})
		r.stats.Barriers++
		r.hazards.reset()
	}
	r.hazards.add(args)
	for _, a := range args {
		r.buffers[a.Buffer] = struct{}{}
	}
}

func (r *Recorder) add(s step) {
	last := &r.parts[len(r.parts)-1]
	*last = append(*last, s)
}

// set returns the index of a descriptor set with these views; equal ones are shared.
func (r *Recorder) set(l *layout, views []View) int {
	key := fmt.Append(nil, l.rawSet)
	for _, v := range views {
		key = fmt.Appendf(key, "|%d:%d:%d", v.Buffer.raw, v.Offset, v.Size)
	}
	if i, ok := r.sets[string(key)]; ok {
		return i
	}
	i := len(r.setList)
	r.sets[string(key)] = i
	r.setList = append(r.setList, setSpec{l, views})
	return i
}
