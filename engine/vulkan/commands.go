package vulkan

// #include "shim.h"
import "C"

import (
	"unsafe"

	vk "github.com/vulkan-go/vulkan"
)

// Stages of barriers and timestamps.
const (
	stageCompute  = uint64(C.VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT)
	stageTransfer = uint64(C.VK_PIPELINE_STAGE_TRANSFER_BIT)
	stageHost     = uint64(C.VK_PIPELINE_STAGE_HOST_BIT)
	stageBottom   = uint64(C.VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT)
)

// ops are recorded commands in the shim's flat form (shim.h, KV_OP_*).
type ops []uint64

func (o *ops) dispatch(pipeline, layout, set uint64, x, y, z int, push, pushBytes int) {
	*o = append(*o, C.KV_OP_DISPATCH, pipeline, layout, set, uint64(x), uint64(y), uint64(z), uint64(push), uint64(pushBytes))
}

func (o *ops) barrier(srcStages, srcAccess, dstStages, dstAccess uint64) {
	*o = append(*o, C.KV_OP_BARRIER, srcStages, srcAccess, dstStages, dstAccess)
}

// deviceBarrier orders the work of these stages before it with that after it.
func (o *ops) deviceBarrier(stages uint64) {
	var reads, writes uint64
	if stages&stageCompute != 0 {
		reads, writes = C.VK_ACCESS_SHADER_READ_BIT, C.VK_ACCESS_SHADER_WRITE_BIT
	}
	if stages&stageTransfer != 0 {
		reads, writes = reads|C.VK_ACCESS_TRANSFER_READ_BIT, writes|C.VK_ACCESS_TRANSFER_WRITE_BIT
	}
	o.barrier(stages, writes, stages, reads|writes)
}

// fullBarrier orders all device work before it with all after it.
func (o *ops) fullBarrier() { o.deviceBarrier(stageCompute | stageTransfer) }

// hostBarrier makes all device writes before it readable by the host.
func (o *ops) hostBarrier() {
	o.barrier(stageCompute|stageTransfer, C.VK_ACCESS_SHADER_WRITE_BIT|C.VK_ACCESS_TRANSFER_WRITE_BIT, stageHost, C.VK_ACCESS_HOST_READ_BIT)
}

func (o *ops) copy(dst, src View) {
	*o = append(*o, C.KV_OP_COPY, src.Buffer.raw, uint64(src.Offset), dst.Buffer.raw, uint64(dst.Offset), uint64(src.Size))
}

func (o *ops) fill(v View, word uint32) {
	*o = append(*o, C.KV_OP_FILL, v.Buffer.raw, uint64(v.Offset), uint64(v.Size), uint64(word))
}

func (o *ops) resetQueries(pool uint64, first, count int) {
	*o = append(*o, C.KV_OP_RESET, pool, uint64(first), uint64(count))
}

func (o *ops) stamp(pool uint64, index int, stage uint64) {
	*o = append(*o, C.KV_OP_STAMP, pool, uint64(index), stage)
}

// command is one command buffer and the fence of its submission. Its owner guards it.
type command struct {
	cmd, fence uint64
	vkFence    vk.Fence
	inFlight   bool
}

// commands are command buffers of one pool.
type commands struct {
	d    *Device
	name string
	pool vk.CommandPool
	list []command
}

func newCommands(d *Device, name string, n int) (*commands, error) {
	c := &commands{d: d, name: name}
	info := vk.CommandPoolCreateInfo{SType: vk.StructureTypeCommandPoolCreateInfo,
		Flags: vk.CommandPoolCreateFlags(vk.CommandPoolCreateResetCommandBufferBit), QueueFamilyIndex: d.info.family}
	var err error
	c.pool, err = create("create command pool of", name, func(h *vk.CommandPool) vk.Result {
		return vk.CreateCommandPool(d.handle, &info, nil, h)
	})
	info.Free()
	if err != nil {
		return nil, err
	}
	buffers := make([]vk.CommandBuffer, n)
	alloc := vk.CommandBufferAllocateInfo{SType: vk.StructureTypeCommandBufferAllocateInfo, CommandPool: c.pool,
		Level: vk.CommandBufferLevelPrimary, CommandBufferCount: uint32(n)}
	err = check(vk.AllocateCommandBuffers(d.handle, &alloc, buffers), "create command buffers of", name)
	alloc.Free()
	for i := 0; i < n && err == nil; i++ {
		one := command{cmd: handle(&buffers[i])}
		fence := vk.FenceCreateInfo{SType: vk.StructureTypeFenceCreateInfo}
		one.vkFence, err = create("create fence of", name, func(h *vk.Fence) vk.Result {
			return vk.CreateFence(d.handle, &fence, nil, h)
		})
		fence.Free()
		one.fence = handle(&one.vkFence)
		if err == nil {
			c.list = append(c.list, one)
			d.setName(C.VK_OBJECT_TYPE_COMMAND_BUFFER, one.cmd, name)
		}
	}
	if err != nil {
		c.free()
		return nil, err
	}
	return c, nil
}

// record writes command buffer i anew.
func (c *commands) record(i int, o ops, push []byte, once bool) error {
	var usage C.uint32_t
	if once {
		usage = C.VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT
	}
	if len(push) == 0 {
		push = []byte{0}
	}
	r := C.kv_record(c.d.table, C.uint64_t(c.list[i].cmd), usage, (*C.uint64_t)(unsafe.SliceData(o)), C.uint64_t(len(o)),
		(*C.uint8_t)(unsafe.SliceData(push)))
	return check(vk.Result(r), "record", c.name)
}

// submit starts command buffer i, whose last run has ended.
func (c *commands) submit(i int) error {
	d := c.d
	queue := handle(&d.queue)
	d.queueMu.Lock()
	r := C.kv_submit(d.table, C.uint64_t(queue), C.uint64_t(c.list[i].cmd), C.uint64_t(c.list[i].fence))
	d.queueMu.Unlock()
	if r < 0 {
		return d.deviceError(vk.Result(r), "submit", c.name)
	}
	c.list[i].inFlight = true
	return nil
}

// wait waits until command buffer i has ended.
func (c *commands) wait(i int) error {
	if !c.list[i].inFlight {
		return nil
	}
	r := C.kv_wait(c.d.table, C.uint64_t(c.list[i].fence), 1<<64-1)
	c.list[i].inFlight = false
	if r < 0 {
		return c.d.deviceError(vk.Result(r), "wait for", c.name)
	}
	return nil
}

// free waits for what is in flight and frees the pool.
func (c *commands) free() {
	for i := range c.list {
		c.wait(i)
		vk.DestroyFence(c.d.handle, c.list[i].vkFence, nil)
	}
	vk.DestroyCommandPool(c.d.handle, c.pool, nil)
	c.list = nil
}
