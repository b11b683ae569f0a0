package vulkan

import (
	"context"
	"fmt"
	"sync"
)

const (
	ringSegments = 4
	leastRing    = 256 << 10
)

// Uploader streams data into device buffers: through a ring of mapped staging memory whose segments are filled
// while earlier ones are copied, or straight into the buffer where its memory is mapped.
// It may be used from several goroutines, one after the other.
type Uploader struct {
	d *Device

	mu      sync.Mutex
	ring    *Buffer // nil until a write needs it
	size    int64
	segment int64
	cmds    *commands
	at      int   // segment being filled
	fill    int64 // bytes in it
	pending ops
	held    [ringSegments][]*Buffer // destinations of each segment's copies, kept alive until they end
	closed  bool
}

// NewUploader returns an uploader whose ring has about ringBytes bytes. The ring is allocated by the first
// write that needs it, so an uploader to mapped memory takes none.
func (d *Device) NewUploader(ringBytes int64) (*Uploader, error) {
	if err := d.enter("create", "uploader"); err != nil {
		return nil, err
	}
	defer d.leave()
	segment := segmentOf(ringBytes)
	u := &Uploader{d: d, segment: segment, size: segment * ringSegments}
	d.mu.Lock()
	d.uploaders[u] = struct{}{}
	d.mu.Unlock()
	return u, nil
}

// UploaderRequests is what an uploader of about ringBytes allocates while it is in use: its ring, or nothing where
// device memory is written directly.
func (d *Device) UploaderRequests(ringBytes int64) []Request {
	if d.memory.deviceMap {
		return nil
	}
	return []Request{{Purpose: Staging, Size: segmentOf(ringBytes) * ringSegments, Host: true}}
}

func segmentOf(ringBytes int64) int64 { return roundUp(max(ringBytes, leastRing)/ringSegments, 256) }

// Write fills dst. It calls fill with consecutive pieces p of dst, where off is the piece's place from dst's
// start; fill writes every byte of p and does not read it (mapped memory may be slow to read).
// The bytes are there after Flush. ctx is checked between pieces; after an error or a cancellation what dst
// holds is undefined, and the uploader can be used on.
func (u *Uploader) Write(ctx context.Context, dst View, fill func(p []byte, off int64) error) error {
	d := u.d
	if err := d.enterTransfer("upload to", dst, dst.Size); err != nil {
		return err
	}
	defer d.leave()
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return fmt.Errorf("vulkan: upload to %q: the uploader is %w", dst.Buffer.name, ErrClosed)
	}
	if err := d.zeroNew(dst); err != nil {
		return err
	}
	direct := dst.Buffer.mapped
	if direct == nil {
		if err := u.ensureRing(); err != nil {
			return err
		}
	}
	for off := int64(0); off < dst.Size; {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("vulkan: upload to %q stopped at byte %d of %d: %w", dst.Buffer.name, off, dst.Size, err)
		}
		if direct != nil {
			n := min(dst.Size-off, u.segment)
			at := dst.Offset + off
			if err := fill(direct[at:at+n:at+n], off); err != nil {
				return fmt.Errorf("vulkan: upload to %q at byte %d: %w", dst.Buffer.name, off, err)
			}
			off += n
			continue
		}
		if u.fill == u.segment {
			if err := u.next(); err != nil {
				return err
			}
		}
		n := min(dst.Size-off, u.segment-u.fill)
		at := int64(u.at)*u.segment + u.fill
		if err := fill(u.ring.mapped[at:at+n:at+n], off); err != nil {
			return fmt.Errorf("vulkan: upload to %q at byte %d: %w", dst.Buffer.name, off, err)
		}
		if len(u.pending) == 0 {
			u.pending.fullBarrier()
		}
		u.pending.copy(dst.Buffer.View(dst.Offset+off, n), u.ring.View(at, n))
		u.hold(dst.Buffer)
		u.fill = min(u.segment, roundUp(u.fill+n, 16))
		off += n
	}
	return nil
}

func (u *Uploader) ensureRing() error {
	if u.ring != nil {
		return nil
	}
	c, err := newCommands(u.d, "uploader", ringSegments)
	if err != nil {
		return err
	}
	b, err := u.d.newBuffer("upload ring", Staging, u.size, true)
	if err != nil {
		c.free()
		return err
	}
	u.cmds, u.ring = c, b
	return nil
}

// next submits the segment being filled and takes the following one, when its copy has ended.
func (u *Uploader) next() error {
	if len(u.pending) > 0 {
		err := u.cmds.record(u.at, u.pending, nil, true)
		if err == nil {
			err = u.cmds.submit(u.at)
		}
		u.pending = u.pending[:0]
		if err != nil {
			return err
		}
	}
	u.at = (u.at + 1) % ringSegments
	u.fill = 0
	return u.wait(u.at)
}

// hold keeps b alive until the copies of the segment being filled have ended.
func (u *Uploader) hold(b *Buffer) {
	if h := u.held[u.at]; (len(h) == 0 || h[len(h)-1] != b) && u.d.memory.retain(b) {
		u.held[u.at] = append(h, b)
	}
}

// wait waits for the copies of segment i.
func (u *Uploader) wait(i int) error {
	err := u.cmds.wait(i)
	for _, b := range u.held[i] {
		u.d.memory.unretain(b)
	}
	u.held[i] = u.held[i][:0]
	return err
}

// Flush waits until everything written is in its buffers. ctx is checked before the wait.
func (u *Uploader) Flush(ctx context.Context) error {
	if err := u.d.enter("flush", "uploader"); err != nil {
		return err
	}
	defer u.d.leave()
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return fmt.Errorf("vulkan: flush: the uploader is %w", ErrClosed)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("vulkan: flush: %w", err)
	}
	if u.ring == nil {
		return nil
	}
	return u.drain()
}

// drain submits what is pending and waits for all segments.
func (u *Uploader) drain() error {
	err := u.next()
	for i := range ringSegments {
		if e := u.wait(i); err == nil {
			err = e
		}
	}
	return err
}

// Close ends the copies under way and frees the ring; what was not flushed may be missing. It may be called twice.
func (u *Uploader) Close() {
	u.d.life.RLock()
	defer u.d.life.RUnlock()
	if u.d.closed {
		return
	}
	u.free()
}

func (u *Uploader) free() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return
	}
	u.closed = true
	if u.ring != nil {
		for i := range ringSegments {
			u.wait(i)
		}
		u.cmds.free()
		u.ring.free()
	}
	u.d.mu.Lock()
	delete(u.d.uploaders, u)
	u.d.mu.Unlock()
}
