package vulkan_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"kestrel/engine/vulkan"
	"kestrel/engine/vulkan/vulkantest"
)

// TestUploader writes tensors of odd sizes and places through a small ring, and directly.
func TestUploader(t *testing.T) {
	ctx := context.Background()
	for _, staging := range []bool{false, true} {
		d := vulkantest.OpenWith(t, vulkan.DeviceOptions{ForceStaging: staging})
		u, err := d.NewUploader(1) // the least ring: 64 KiB a segment
		if err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(5, 6))
		const size = 1 << 21
		b := newBuffer(t, d, "tensors", size)
		want := make([]byte, size)
		for off := int64(0); off < size; {
			n := min(size-off, 1+rng.Int64N(int64(1)<<(1+rng.IntN(19))))
			data := make([]byte, n)
			for i := range data {
				data[i] = byte(rng.Uint32())
			}
			copy(want[off:], data)
			next := int64(0)
			err := u.Write(ctx, b.View(off, n), func(p []byte, at int64) error {
				if at != next || len(p) == 0 || cap(p) != len(p) {
					t.Fatalf("a piece of %d bytes (cap %d) at %d, expected at %d", len(p), cap(p), at, next)
				}
				next += int64(copy(p, data[at:]))
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if next != n {
				t.Fatalf("%d of %d bytes were asked for", next, n)
			}
			off += n + rng.Int64N(50) // gaps stay zero
		}
		if err := u.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(download(t, d, b.Whole()), want) {
			t.Errorf("staging %v: the buffer differs from what was written", staging)
		}
		// The ring is the only staging memory, and mapped memory needs none.
		ring := int64(0)
		for _, use := range d.Memory().Buffers {
			if use.Name == "upload ring" {
				ring += use.Bytes
			}
		}
		if staging != (ring > 0) || ring > 256<<10 {
			t.Errorf("staging %v: the ring takes %d bytes", staging, ring)
		}
		u.Close()
		u.Close()
		checkError(t, "write after close", u.Write(ctx, b.Whole(), nil), vulkan.ErrClosed)
		checkError(t, "flush after close", u.Flush(ctx), vulkan.ErrClosed)
	}
}

// TestUploadStops cancels an upload in the middle and lets one fail; the uploader works afterwards.
func TestUploadStops(t *testing.T) {
	for _, staging := range []bool{false, true} {
		t.Run(fmt.Sprintf("staging=%v", staging), func(t *testing.T) {
			d := vulkantest.OpenWith(t, vulkan.DeviceOptions{ForceStaging: staging})
			u, err := d.NewUploader(256 << 10)
			if err != nil {
				t.Fatal(err)
			}
			b := newBuffer(t, d, "weights", 4<<20)
			ctx, cancel := context.WithCancel(context.Background())
			pieces := 0
			err = u.Write(ctx, b.Whole(), func(p []byte, _ int64) error {
				if pieces++; pieces == 3 {
					cancel()
				}
				return nil
			})
			checkError(t, "cancelled write", err, context.Canceled, `"weights"`)
			if pieces != 3 {
				t.Errorf("%d pieces were asked for after the cancellation", pieces-3)
			}
			checkError(t, "cancelled flush", u.Flush(ctx), context.Canceled)
			checkError(t, "cancelled upload", d.Upload(ctx, b.Whole(), make([]byte, b.Size())), context.Canceled)
			checkError(t, "cancelled download", d.Download(ctx, make([]byte, b.Size()), b.Whole()), context.Canceled)
			broken := errors.New("the file ends early")
			err = u.Write(context.Background(), b.Whole(), func(p []byte, off int64) error {
				if off > 0 {
					return broken
				}
				return nil
			})
			checkError(t, "failed write", err, broken, `"weights"`)
			c := newBuffer(t, d, "freed early", 4096)
			fill := func(p []byte, _ int64) error {
				for i := range p {
					p[i] = 7
				}
				return nil
			}
			if err := u.Write(context.Background(), c.Whole(), fill); err != nil {
				t.Fatal(err)
			}
			c.Free() // with its copy pending
			if err := u.Write(context.Background(), b.Whole(), fill); err != nil {
				t.Fatal(err)
			}
			if err := u.Flush(context.Background()); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(download(t, d, b.Whole()), bytes.Repeat([]byte{7}, 4<<20)) {
				t.Error("a write after a cancelled one is wrong")
			}
			checkError(t, "freed", u.Write(context.Background(), c.Whole(), fill), vulkan.ErrClosed, "freed early")
			checkError(t, "beyond", u.Write(context.Background(), b.View(1, 4<<20), fill), nil, "outside buffer")
		})
	}
}

func TestTransfers(t *testing.T) {
	ctx := context.Background()
	for _, staging := range []bool{false, true} {
		d := vulkantest.OpenWith(t, vulkan.DeviceOptions{ForceStaging: staging})
		const size = 9<<20 + 13 // several pieces
		b := newBuffer(t, d, "b", size+5)
		data := make([]byte, size)
		for i := range data {
			data[i] = byte(i * 7 >> 3)
		}
		if err := d.Upload(ctx, b.View(5, size), data); err != nil {
			t.Fatal(err)
		}
		if got := download(t, d, b.Whole()); !bytes.Equal(got[5:], data) || !bytes.Equal(got[:5], make([]byte, 5)) {
			t.Errorf("staging %v: what was uploaded does not come back", staging)
		}
		checkError(t, "upload of another size", d.Upload(ctx, b.View(0, 4), data[:5]), nil, `"b"`, "4 bytes", "5")
		checkError(t, "download of another size", d.Download(ctx, data[:5], b.View(0, 4)), nil, `"b"`)
		checkError(t, "no buffer", d.Upload(ctx, vulkan.View{}, nil), nil, "no buffer")
		other := vulkantest.Open(t)
		checkError(t, "another device", other.Upload(ctx, b.View(0, 4), data[:4]), nil, "another device")
	}
}
