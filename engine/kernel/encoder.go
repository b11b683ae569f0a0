package kernel

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"sync"

	"kestrel/engine/vulkan"
	"kestrel/shaders"
)

// Set is the kernels of one device. It is safe for concurrent use.
type Set struct {
	dev  *vulkan.Device
	tune Tuning
	// subgroup is the lanes of a subgroup that pipelines ask for; 0 leaves it to the driver, as all but tests do.
	subgroup int

	mu    sync.Mutex
	ready map[string]*vulkan.Pipeline // by key
}

// NewSet makes the kernels of dev with the given tuning.
func NewSet(dev *vulkan.Device, tune Tuning) *Set {
	return &Set{dev: dev, tune: tune, ready: map[string]*vulkan.Pipeline{}}
}

// Device is the device that the kernels run on.
func (s *Set) Device() *vulkan.Device { return s.dev }

// Tuning is how the kernels cut work.
func (s *Set) Tuning() Tuning { return s.tune }

// Record makes a program of what plan encodes. plan runs twice: once to learn which pipelines it needs, so that they
// are compiled side by side, and once to record; it must encode the same both times.
func (s *Set) Record(ctx context.Context, name string, plan func(*Encoder)) (*vulkan.Program, error) {
	dry := &Encoder{set: s}
	plan(dry)
	if dry.err != nil {
		return nil, fmt.Errorf("record %s: %w", name, dry.err)
	}
	if err := s.compile(ctx, dry.specs); err != nil {
		return nil, fmt.Errorf("record %s: %w", name, err)
	}
	e := &Encoder{set: s, rec: s.dev.NewRecorder(name)}
	plan(e)
	p, err := e.rec.End()
	if err == nil {
		err = e.err
	}
	if err != nil {
		return nil, fmt.Errorf("record %s: %w", name, err)
	}
	return p, nil
}

func (s *Set) compile(ctx context.Context, wanted []vulkan.PipelineSpec) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var specs []vulkan.PipelineSpec
	var keys []string
	for _, spec := range wanted {
		key := specKey(spec)
		if _, ok := s.ready[key]; !ok {
			s.ready[key] = nil
			specs, keys = append(specs, spec), append(keys, key)
		}
	}
	pipes, err := s.dev.Pipelines(ctx, specs)
	for i, key := range keys {
		if err != nil {
			delete(s.ready, key)
		} else {
			s.ready[key] = pipes[i]
		}
	}
	return err
}

func specKey(p vulkan.PipelineSpec) string { return fmt.Sprint(p.Name, p.Constants) }

// Encoder encodes kernels into a program. Its methods keep the first error, which Record returns.
type Encoder struct {
	set   *Set
	rec   *vulkan.Recorder // nil while the pipelines are being found out
	specs []vulkan.PipelineSpec
	flops float64     // since the last submission boundary
	next  vulkan.Cost // of the next dispatch
	err   error
}

// Tuning is how this encoder cuts work.
func (e *Encoder) Tuning() Tuning { return e.set.tune }

// submissionFLOP bounds the work of one submission, so that the desktop stays alive, watchdogs stay calm and a stop
// takes effect soon: about a tenth of a second on slow devices of each kind.
var submissionFLOP = map[vulkan.DeviceType]float64{
	vulkan.Discrete: 1e12, vulkan.Integrated: 5e10, vulkan.Virtual: 5e10, vulkan.Software: 4e9, vulkan.Other: 5e10,
}

// Boundary marks a place where the program may be cut into another submission; it is when enough work has gathered.
func (e *Encoder) Boundary() {
	if e.flops >= submissionFLOP[e.set.dev.Info().Type] {
		e.flops = 0
		if e.rec != nil {
			e.rec.Split()
		}
	}
}

// Copy copies src to dst; both have the same size.
func (e *Encoder) Copy(dst, src vulkan.View) {
	if e.rec != nil {
		e.rec.Copy(dst, src)
	}
}

// Fill sets every 32-bit word of dst.
func (e *Encoder) Fill(dst vulkan.View, word uint32) {
	if e.rec != nil {
		e.rec.Fill(dst, word)
	}
}

func (e *Encoder) fail(err error) {
	if e.err == nil {
		e.err = err
	}
}

// cost says what the next dispatch computes, and how many floats and other bytes it moves.
func (e *Encoder) cost(flop float64, floats int, bytes int64) {
	e.flops += flop
	e.next = vulkan.Cost{FLOP: flop, Bytes: float64(floats)*4 + float64(bytes)}
}

// run encodes one dispatch. push holds uint32, int and float32 values; constants are specialization constants in order.
func (e *Encoder) run(shader string, constants []uint32, x, y int, push []any, args ...vulkan.Arg) {
	e.runDeep(shader, constants, x, y, 1, push, args...)
}

// runDeep is run with z layers of workgroups.
func (e *Encoder) runDeep(shader string, constants []uint32, x, y, z int, push []any, args ...vulkan.Arg) {
	e.dispatch(vulkan.PipelineSpec{Name: shader, Constants: constants, SubgroupSize: e.set.subgroup}, [3]int{x, y, z}, push, args)
}

// runFull is run with whole subgroups of exactly width lanes.
func (e *Encoder) runFull(width int, shader string, constants []uint32, x, y int, push []any, args ...vulkan.Arg) {
	e.dispatch(vulkan.PipelineSpec{Name: shader, Constants: constants, SubgroupSize: width, FullSubgroups: true}, [3]int{x, y, 1}, push, args)
}

func (e *Encoder) dispatch(spec vulkan.PipelineSpec, groups [3]int, push []any, args []vulkan.Arg) {
	if e.err != nil {
		return
	}
	spec.Bindings, spec.PushBytes = len(args), 4*len(push)
	if e.rec == nil {
		code, err := shaders.SPIRV(spec.Name)
		if err != nil {
			e.fail(err)
			return
		}
		spec.SPIRV = code
		e.specs = append(e.specs, spec)
		return
	}
	e.set.mu.Lock()
	pipe := e.set.ready[specKey(spec)]
	e.set.mu.Unlock()
	if pipe == nil {
		e.fail(fmt.Errorf("kernel %s %v: the plan changed between its two runs", spec.Name, spec.Constants))
		return
	}
	e.rec.Cost(e.next)
	e.next = vulkan.Cost{}
	e.rec.Dispatch(pipe, groups[0], groups[1], groups[2], pack(push), args...)
}

func pack(values []any) []byte {
	out := make([]byte, 0, 4*len(values))
	for _, v := range values {
		var word uint32
		switch v := v.(type) {
		case int:
			word = uint32(v)
		case uint32:
			word = v
		case float32:
			word = floatBits(v)
		default:
			panic(fmt.Sprintf("kernel: push constant of type %T", v))
		}
		out = binary.LittleEndian.AppendUint32(out, word)
	}
	return out
}

func floatBits(f float32) uint32 { return math.Float32bits(f) }

func ceil(n, by int) int { return (n + by - 1) / by }

// multi tells a shader whether a team of local lanes may span several subgroups.
func (e *Encoder) multi(local int) uint32 {
	if local > e.set.dev.Limits().MinSubgroup {
		return 1
	}
	return 0
}

// through picks the variant of a shader for a slab of a matrix that meets few tokens, given the rows that a workgroup takes
// at a time. Behind the given constants and push come what reading through addresses needs: those of the slab and the views.
func (e *Encoder) through(shader string, m *Matrix, s Slab, rows int, constants []uint32, push []any, views ...vulkan.View) (string, []uint32, []any) {
	if !e.set.tune.Address {
		return m.shader(shader + e.wide()), constants, push
	}
	if len(push)%2 != 0 {
		push = append(push, uint32(0)) // addresses are aligned
	}
	for _, v := range append([]vulkan.View{s.Weights}, views...) {
		at := v.Address()
		push = append(push, uint32(at), uint32(at>>32))
	}
	span := uint32(1) // times 32 columns
	if Padded(m.Cols)%128 == 0 {
		span = 4
	}
	const lines = 16 * 64 // the least whose cache lines are asked for ahead
	touch := flag(rows*m.units()*16 >= lines)
	return m.shader(shader + "_address"), append(constants, span, touch), push
}

// wide picks the variants with 64-bit loads.
func (e *Encoder) wide() string {
	if e.set.tune.Wide {
		return "_wide"
	}
	return ""
}
