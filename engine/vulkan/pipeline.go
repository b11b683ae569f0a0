package vulkan

// #include "shim.h"
import "C"

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	vk "github.com/vulkan-go/vulkan"
	"golang.org/x/sync/errgroup"
)

// PipelineSpec is a compute shader and the constants it is specialised with.
type PipelineSpec struct {
	Name         string   // for errors and profiles
	SPIRV        []byte   // module with the entry point "main"
	Bindings     int      // storage buffers at bindings 0..n-1 of set 0
	PushBytes    int      // size of the push constants, a multiple of 4
	Constants    []uint32 // specialization constants with ids 0..n-1, raw bits
	SubgroupSize int      // lanes of a subgroup; 0 leaves it to the driver
	// FullSubgroups says that no lane of a subgroup may be missing: with SubgroupSize, whose multiple the workgroup is then.
	FullSubgroups bool
}

// Pipeline is a compiled shader. It lives as long as its device.
type Pipeline struct {
	d        *Device
	name     string
	raw      uint64
	bindings int
	push     int
	layout   *layout
	spec     PipelineSpec // without its code
}

// Name is the spec's name.
func (p *Pipeline) Name() string { return p.name }

type layout struct {
	set      vk.DescriptorSetLayout
	pipeline vk.PipelineLayout
	rawSet   uint64
	raw      uint64
}

type layoutKey struct{ bindings, push int }

type pipelineKey [sha256.Size]byte

// pipelines are a device's compiled shaders, found again by content.
type pipelines struct {
	d     *Device
	cache vk.PipelineCache

	mu      sync.Mutex
	made    map[pipelineKey]*Pipeline
	layouts map[layoutKey]*layout

	saveMu sync.Mutex
	saved  [sha256.Size]byte // hash of the data in the cache file
}

func newPipelines(d *Device) (*pipelines, error) {
	p := &pipelines{d: d, made: map[pipelineKey]*Pipeline{}, layouts: map[layoutKey]*layout{}}
	if err := p.openCache(); err != nil {
		return nil, err
	}
	return p, nil
}

// Pipeline is Pipelines for one spec.
func (d *Device) Pipeline(ctx context.Context, spec PipelineSpec) (*Pipeline, error) {
	p, err := d.Pipelines(ctx, []PipelineSpec{spec})
	if err != nil {
		return nil, err
	}
	return p[0], nil
}

// Pipelines compiles the specs in parallel and returns the pipelines in the same order. A spec of the same
// content as an earlier one gives the same pipeline. ctx is checked before each compilation. The pipeline cache
// file, if any, is written when something new was compiled.
// Errors: ErrUnsupported for a spec beyond the device's limits or a subgroup size it cannot choose.
func (d *Device) Pipelines(ctx context.Context, specs []PipelineSpec) ([]*Pipeline, error) {
	if err := d.enter("compile", "shaders"); err != nil {
		return nil, err
	}
	defer d.leave()
	p := d.pipes
	out := make([]*Pipeline, len(specs))
	places := map[pipelineKey][]int{}
	var todo []pipelineKey
	for i, s := range specs {
		if err := d.checkSpec(s); err != nil {
			return nil, fmt.Errorf("vulkan: compile shader %q: %w", s.Name, err)
		}
		k := s.key()
		p.mu.Lock()
		out[i] = p.made[k]
		p.mu.Unlock()
		if out[i] == nil {
			if places[k] == nil {
				todo = append(todo, k)
			}
			places[k] = append(places[k], i)
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.NumCPU())
	for _, k := range todo {
		g.Go(func() error {
			spec := specs[places[k][0]]
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("vulkan: compile shader %q: %w", spec.Name, err)
			}
			made, err := p.compile(spec, k)
			if err != nil {
				return err
			}
			for _, i := range places[k] {
				out[i] = made
			}
			return nil
		})
	}
	err := g.Wait()
	if len(todo) > 0 {
		p.saveCache() // now rather than at Close: a program may be killed
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// key is the hash of all that decides the compiled code, and of the name, which profiles show.
func (s PipelineSpec) key() pipelineKey {
	h := sha256.New()
	for _, n := range []int{len(s.Name), s.Bindings, s.PushBytes, len(s.Constants), s.SubgroupSize, s.full()} {
		h.Write(binary.LittleEndian.AppendUint64(nil, uint64(n)))
	}
	h.Write([]byte(s.Name))
	for _, c := range s.Constants {
		h.Write(binary.LittleEndian.AppendUint32(nil, c))
	}
	h.Write(s.SPIRV)
	return pipelineKey(h.Sum(nil))
}

func (s PipelineSpec) full() int {
	if s.FullSubgroups {
		return 1
	}
	return 0
}

const spirvMagic = 0x07230203

func (d *Device) checkSpec(s PipelineSpec) error {
	l := d.info.Limits
	switch {
	case len(s.SPIRV) < 20 || len(s.SPIRV)%4 != 0 || binary.LittleEndian.Uint32(s.SPIRV) != spirvMagic:
		return fmt.Errorf("its %d bytes are not SPIR-V", len(s.SPIRV))
	case s.Bindings < 0 || s.PushBytes < 0 || s.PushBytes%4 != 0:
		return fmt.Errorf("it has %d bindings and %d bytes of push constants", s.Bindings, s.PushBytes)
	case s.Bindings > l.MaxBindings:
		return fmt.Errorf("%w: it has %d storage buffers and %d are allowed", ErrUnsupported, s.Bindings, l.MaxBindings)
	case s.PushBytes > l.MaxPushBytes:
		return fmt.Errorf("%w: it has %d bytes of push constants and %d are allowed", ErrUnsupported, s.PushBytes, l.MaxPushBytes)
	case s.SubgroupSize == 0:
		return nil
	case !d.info.Features.SubgroupSizeControl && s.SubgroupSize != l.SubgroupSize:
		return fmt.Errorf("%w: it wants subgroups of %d lanes and the device's have %d", ErrUnsupported, s.SubgroupSize, l.SubgroupSize)
	case s.SubgroupSize < l.MinSubgroup || s.SubgroupSize > l.MaxSubgroup || s.SubgroupSize&(s.SubgroupSize-1) != 0:
		return fmt.Errorf("%w: it wants subgroups of %d lanes and %d to %d are possible", ErrUnsupported, s.SubgroupSize, l.MinSubgroup, l.MaxSubgroup)
	}
	return nil
}

func (p *pipelines) compile(s PipelineSpec, k pipelineKey) (*Pipeline, error) {
	d := p.d
	lay, err := p.layout(layoutKey{s.Bindings, s.PushBytes})
	if err != nil {
		return nil, err
	}
	info := C.kv_shader_module_info((*C.uint8_t)(&s.SPIRV[0]), C.uint64_t(len(s.SPIRV)))
	if info == nil {
		return nil, fmt.Errorf("vulkan: compile shader %q: %w", s.Name, errNoMemory)
	}
	defer C.kv_free(info)
	var module vk.ShaderModule
	if err := check(vk.CreateShaderModule(d.handle, vk.NewShaderModuleCreateInfoRef(info), nil, &module), "load shader", s.Name); err != nil {
		return nil, err
	}
	defer vk.DestroyShaderModule(d.handle, module, nil)
	var raw C.uint64_t
	subgroup := s.SubgroupSize
	if !d.info.Features.SubgroupSizeControl {
		subgroup = 0 // checkSpec has seen that it is the device's own
	}
	full := 0
	if subgroup > 0 && d.info.Features.FullSubgroups {
		full = s.full()
	}
	r := C.kv_create_pipeline(d.table, C.uint64_t(handle(&p.cache)), C.uint64_t(handle(&module)), C.uint64_t(lay.raw),
		(*C.uint32_t)(unsafe.SliceData(s.Constants)), C.uint32_t(len(s.Constants)), C.uint32_t(subgroup), C.uint32_t(full), &raw)
	if err := d.deviceError(vk.Result(r), "compile shader", s.Name); err != nil {
		return nil, err
	}
	made := &Pipeline{d: d, name: s.Name, raw: uint64(raw), bindings: s.Bindings, push: s.PushBytes, layout: lay}
	made.spec, made.spec.SPIRV = s, nil
	d.setName(C.VK_OBJECT_TYPE_PIPELINE, made.raw, s.Name)
	p.mu.Lock()
	defer p.mu.Unlock()
	if other := p.made[k]; other != nil { // another goroutine was faster
		C.kv_destroy_pipeline(d.table, raw)
		return other, nil
	}
	p.made[k] = made
	return made, nil
}

func (p *pipelines) layout(k layoutKey) (*layout, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.layouts[k]; l != nil {
		return l, nil
	}
	name := fmt.Sprintf("%d buffers, %d push bytes", k.bindings, k.push)
	l := &layout{}
	info := C.kv_set_layout_info(C.uint32_t(k.bindings))
	defer C.kv_free(info)
	var err error
	l.set, err = create("create set layout", name, func(h *vk.DescriptorSetLayout) vk.Result {
		return vk.CreateDescriptorSetLayout(p.d.handle, vk.NewDescriptorSetLayoutCreateInfoRef(info), nil, h)
	})
	if err != nil {
		return nil, err
	}
	l.rawSet = handle(&l.set)
	info2 := C.kv_pipeline_layout_info(C.uint64_t(l.rawSet), C.uint32_t(k.push))
	defer C.kv_free(info2)
	l.pipeline, err = create("create pipeline layout", name, func(h *vk.PipelineLayout) vk.Result {
		return vk.CreatePipelineLayout(p.d.handle, vk.NewPipelineLayoutCreateInfoRef(info2), nil, h)
	})
	if err != nil {
		vk.DestroyDescriptorSetLayout(p.d.handle, l.set, nil)
		return nil, err
	}
	l.raw = handle(&l.pipeline)
	p.layouts[k] = l
	return l, nil
}

// free destroys all pipelines.
func (p *pipelines) free() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, made := range p.made {
		C.kv_destroy_pipeline(p.d.table, C.uint64_t(made.raw))
	}
	for _, l := range p.layouts {
		vk.DestroyPipelineLayout(p.d.handle, l.pipeline, nil)
		vk.DestroyDescriptorSetLayout(p.d.handle, l.set, nil)
	}
	vk.DestroyPipelineCache(p.d.handle, p.cache, nil)
	clear(p.made)
	clear(p.layouts)
}
