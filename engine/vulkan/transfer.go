package vulkan

import (
	"context"
	"fmt"
	"sync"
)

const transferBytes = 4 << 20 // staging of Upload and Download

// transfer serves Upload, Download and the zero fill of new buffers: one command buffer, one staging buffer
// made on first need.
type transfer struct {
	mu      sync.Mutex
	cmds    *commands
	staging *Buffer
}

func (t *transfer) free(d *Device) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cmds != nil {
		t.cmds.free()
		t.cmds = nil
	}
}

// run records and runs o at once; t.mu is held.
func (t *transfer) run(d *Device, o ops) error {
	if t.cmds == nil {
		c, err := newCommands(d, "transfer", 1)
		if err != nil {
			return err
		}
		t.cmds = c
	}
	if err := t.cmds.record(0, o, nil, true); err != nil {
		return err
	}
	if err := t.cmds.submit(0); err != nil {
		return err
	}
	return t.cmds.wait(0)
}

// ensureStaging makes the staging buffer; t.mu is held.
func (t *transfer) ensureStaging(d *Device) error {
	if t.staging != nil {
		return nil
	}
	b, err := d.newBuffer("transfer", Staging, transferBytes, true)
	t.staging = b
	return err
}

// zeroNew fills new buffers with zeros before anything uses them, except one that is about to be overwritten as
// a whole.
func (d *Device) zeroNew(except View) error {
	if d.memory.toZero.Load() == 0 {
		return nil
	}
	d.transfer.mu.Lock()
	defer d.transfer.mu.Unlock()
	return d.zeroNewLocked(except)
}

// zeroNewLocked is zeroNew with transfer.mu held.
func (d *Device) zeroNewLocked(except View) error {
	m := d.memory
	var o ops
	var filled []*Buffer
	m.mu.Lock()
	n := len(m.unzeroed)
	for b := range m.unzeroed {
		switch {
		case b == except.Buffer && except.Size == b.size:
		case b.mapped != nil:
			clear(b.mapped)
		default:
			if len(o) == 0 {
				o.fullBarrier() // the memory may be that of a buffer just freed
			}
			o.fill(View{b, 0, roundUp(b.size, 4)}, 0)
			b.refs++ // it may be freed meanwhile
			filled = append(filled, b)
		}
	}
	clear(m.unzeroed)
	m.mu.Unlock()
	var err error
	if len(o) > 0 {
		err = d.transfer.run(d, o)
	}
	for _, b := range filled {
		m.unretain(b)
	}
	m.toZero.Add(-int64(n)) // only now may others pass zeroNew without waiting here
	return err
}

// Upload copies src into dst, which has the same size, and waits until it is there.
// ctx is checked between pieces; after a cancellation what dst holds is undefined.
func (d *Device) Upload(ctx context.Context, dst View, src []byte) error {
	if err := d.enterTransfer("upload to", dst, int64(len(src))); err != nil {
		return err
	}
	defer d.leave()
	t := &d.transfer
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := d.zeroNewLocked(dst); err != nil {
		return err
	}
	for off := 0; off < len(src); {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("vulkan: upload to %q: %w", dst.Buffer.name, err)
		}
		n := min(len(src)-off, transferBytes)
		if p := dst.Buffer.mapped; p != nil {
			copy(p[dst.Offset+int64(off):], src[off:off+n])
		} else {
			if err := t.ensureStaging(d); err != nil {
				return err
			}
			copy(t.staging.mapped, src[off:off+n])
			var o ops
			o.fullBarrier()
			o.copy(dst.Buffer.View(dst.Offset+int64(off), int64(n)), t.staging.View(0, int64(n)))
			if err := t.run(d, o); err != nil {
				return err
			}
		}
		off += n
	}
	return nil
}

// Download copies src into dst, which has the same size. It sees the writes of every program that has been
// waited for. ctx is checked between pieces.
func (d *Device) Download(ctx context.Context, dst []byte, src View) error {
	if err := d.enterTransfer("download from", src, int64(len(dst))); err != nil {
		return err
	}
	defer d.leave()
	t := &d.transfer
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := d.zeroNewLocked(View{}); err != nil {
		return err
	}
	for off := 0; off < len(dst); {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("vulkan: download from %q: %w", src.Buffer.name, err)
		}
		n := min(len(dst)-off, transferBytes)
		if p := src.Buffer.mapped; p != nil {
			copy(dst[off:off+n], p[src.Offset+int64(off):])
		} else {
			if err := t.ensureStaging(d); err != nil {
				return err
			}
			var o ops
			o.fullBarrier()
			o.copy(t.staging.View(0, int64(n)), src.Buffer.View(src.Offset+int64(off), int64(n)))
			o.hostBarrier()
			if err := t.run(d, o); err != nil {
				return err
			}
			copy(dst[off:off+n], t.staging.mapped)
		}
		off += n
	}
	return nil
}

// enterTransfer is enter with a check of the view and of the size of the data.
func (d *Device) enterTransfer(op string, v View, n int64) error {
	name := ""
	if v.Buffer != nil {
		name = v.Buffer.name
	}
	if err := d.enter(op, name); err != nil {
		return err
	}
	err := v.check(d)
	if err == nil && n != v.Size {
		err = fmt.Errorf("the view has %d bytes and the data %d", v.Size, n)
	}
	if err != nil {
		d.leave()
		return fmt.Errorf("vulkan: %s %q: %w", op, name, err)
	}
	return nil
}
