package kernel

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"kestrel/engine/vulkan"
	"kestrel/engine/vulkan/vulkantest"
	"kestrel/engine/weights"
)

// inPieces calls fill for windows of random lengths, multiples of step, as an uploader does, over memory that holds
// something else before.
func inPieces(r *rand.Rand, size, step int, fill func(p []byte, off int64)) []byte {
	out := bytes.Repeat([]byte{0xee}, size)
	for off := 0; off < size; {
		n := min(step*(1+r.IntN(1+size/step/3)), size-off)
		fill(out[off:off+n:off+n], int64(off))
		off += n
	}
	return out
}

// paddedRows is what padRows promises, written plainly.
func paddedRows(rows []byte, from, to int) []byte {
	var out []byte
	for ; len(rows) > 0; rows = rows[from:] {
		out = append(append(out, rows[:from]...), make([]byte, to-from)...)
	}
	return out
}

func TestPadRows(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	for range 300 {
		from := 1 + r.IntN(40)
		to := from + r.IntN(2)*r.IntN(40) // equal half of the time
		rows := randomBytes(r, from*(1+r.IntN(9)))
		want := paddedRows(rows, from, to)
		got := inPieces(r, len(want), 1, func(p []byte, off int64) { padRows(p, off, rows, from, to) })
		if !bytes.Equal(got, want) {
			t.Fatalf("%d bytes in rows of %d to rows of %d: %x, want %x", len(rows), from, to, got, want)
		}
	}
}

// TestPackInPieces: however an uploader cuts a slab, the same bytes come out, and all of them.
func TestPackInPieces(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 18))
	for _, d := range storageTypes {
		for range 30 {
			cols := suits(d, 1+r.IntN(3*d.BlockSize()))
			n := 1 + r.IntN(9)
			rows := randomBytes(r, n*int(d.Bytes(cols)))
			size := int(slabBytes(d, n, cols))
			want := bytes.Repeat([]byte{0xee}, size)
			storages[d].pack(want, 0, rows, d, cols)
			for range 5 {
				got := inPieces(r, size, 1, func(p []byte, off int64) { storages[d].pack(p, off, rows, d, cols) })
				if !bytes.Equal(got, want) {
					t.Fatalf("%v, %d rows of %d columns: %x, in one piece %x", d, n, cols, got, want)
				}
			}
		}
	}
}

// TestStorageSizes: weights take what they take in the file, but for Q3_K, whose scales are widened, and padding.
func TestStorageSizes(t *testing.T) {
	for _, d := range storageTypes {
		want := d.Bytes(1024)
		if d == weights.Q3_K {
			want += 4 * 1024 / 256
		}
		if got := rowBytes(d, 1024); got != want {
			t.Errorf("a row of 1024 columns in %v takes %d bytes, want %d", d, got, want)
		}
		if !d.Quantized() {
			if got := rowBytes(d, 33); got != d.Bytes(64) {
				t.Errorf("a row of 33 columns in %v takes %d bytes, want %d", d, got, d.Bytes(64))
			}
		}
	}
}

func randomBytes(r *rand.Rand, n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(r.Uint32())
	}
	return out
}

func TestPadded(t *testing.T) {
	for n, want := range map[int]int{0: 0, 1: 32, 31: 32, 32: 32, 33: 64, 4096: 4096, 4097: 4128} {
		if got := Padded(n); got != want {
			t.Errorf("Padded(%d) = %d, want %d", n, got, want)
		}
	}
	for n, want := range map[int]int64{0: 128, 1: 128, 32: 128, 33: 256} {
		if got := VectorBytes(n); got != want {
			t.Errorf("VectorBytes(%d) = %d, want %d", n, got, want)
		}
	}
}

// TestUpload reads matrices and vectors back, for both ways of upload and slabs of several sizes.
func TestUpload(t *testing.T) {
	for name, o := range map[string]vulkan.DeviceOptions{"direct": {}, "staging": {ForceStaging: true}} {
		t.Run(name, func(t *testing.T) {
			b := bench{t, NewSet(vulkantest.OpenWith(t, o), Tuning{}), true, true}
			r := rand.New(rand.NewPCG(19, 20))
			for _, d := range storageTypes {
				for _, rows := range []int{1, 50, 777} {
					for _, slab := range []int{0, 1, 49, 300} {
						if slab == 1 && rows > 50 {
							continue
						}
						cols := suits(d, 200+odd(r, 200))
						w := tensor(d, rows, cols, random(r, rows*cols, 1))
						checkUploaded(b, w, b.matrix(w, slab))
					}
				}
			}
			for _, n := range []int{1, 31, 32, 33, 70_001} { // the last takes several pieces
				v := random(r, n, 1)
				got := b.download(b.vector(v))
				want := make([]byte, VectorBytes(n))
				for i, w := range bits(v) {
					binary.LittleEndian.PutUint32(want[4*i:], w)
				}
				if !bytes.Equal(got, want) {
					t.Errorf("vector of %d: not what was uploaded", n)
				}
			}
		})
	}
}

func (b bench) download(v vulkan.View) []byte {
	b.Helper()
	out := make([]byte, v.Size)
	if err := b.set.Device().Download(context.Background(), out, v); err != nil {
		b.Fatal(err)
	}
	return out
}

func checkUploaded(b bench, w weights.Tensor, m *Matrix) {
	b.Helper()
	row := 0
	for _, s := range m.Slabs {
		if s.Row0 != row {
			b.Errorf("%v: slab begins at row %d, want %d", w, s.Row0, row)
		}
		row += s.Rows
		want := make([]byte, slabBytes(w.DType, s.Rows, w.Shape[1]))
		storages[w.DType].pack(want, 0, w.Rows(s.Row0, s.Rows), w.DType, w.Shape[1])
		if !bytes.Equal(b.download(s.Weights), want) {
			b.Errorf("%v, rows from %d: not what was uploaded", w, s.Row0)
		}
	}
	if row != w.Shape[0] {
		b.Errorf("%v: slabs hold %d rows", w, row)
	}
}

// TestMatrixBytes: what a matrix will take is known before, and slabs keep to the limits.
func TestMatrixBytes(t *testing.T) {
	dev := vulkantest.Open(t)
	r := rand.New(rand.NewPCG(21, 22))
	for _, d := range storageTypes {
		for range 20 {
			rows, cols := odd(r, 500), suits(d, odd(r, 300))
			w := weights.Tensor{Name: "w", DType: d, Shape: []int{rows, cols}}
			lim := dev.Limits()
			lim.MaxStorageBufferRange = 8192 + int64(r.IntN(300_000))
			lim.MaxAllocation = 8192 + int64(r.IntN(300_000))
			m, err := newMatrix(dev, w, lim)
			if err != nil {
				t.Fatalf("%v: %v", w, err)
			}
			var got []int64
			for _, s := range m.Slabs {
				size := s.Weights.Buffer.Size()
				got = append(got, size)
				if size > lim.MaxAllocation || size > lim.MaxStorageBufferRange {
					t.Errorf("%v: a slab of %d bytes; limits %d and %d", w, size, lim.MaxStorageBufferRange, lim.MaxAllocation)
				}
			}
			m.Free()
			if want := MatrixBytes(w, lim); !slices.Equal(got, want) {
				t.Errorf("%v: buffers of %v bytes, MatrixBytes says %v", w, got, want)
			}
		}
	}
	if n := dev.Memory().Total; n != 0 {
		t.Errorf("%d bytes are left after Free", n)
	}
}

func TestMatrixErrors(t *testing.T) {
	dev := vulkantest.Open(t)
	small := dev.Limits()
	small.MaxStorageBufferRange = 1000
	for name, c := range map[string]struct {
		w    weights.Tensor
		lim  vulkan.Limits
		kind error
		text string
	}{
		"a vector":         {weights.Tensor{DType: weights.F32, Shape: []int{64}}, dev.Limits(), weights.ErrBadModel, "[64]"},
		"three dimensions": {weights.Tensor{DType: weights.F32, Shape: []int{2, 3, 4}}, dev.Limits(), weights.ErrBadModel, "two dimensions"},
		"no rows":          {weights.Tensor{DType: weights.F32, Shape: []int{0, 4}}, dev.Limits(), weights.ErrBadModel, "[0 4]"},
		"no columns":       {weights.Tensor{DType: weights.F32, Shape: []int{4, 0}}, dev.Limits(), weights.ErrBadModel, "[4 0]"},
		"unknown type":     {weights.Tensor{DType: weights.F64, Shape: []int{4, 4}}, dev.Limits(), weights.ErrUnsupported, "F64"},
		"part of a block":  {weights.Tensor{DType: weights.Q8_0, Shape: []int{4, 33}}, dev.Limits(), weights.ErrBadModel, "33 columns"},
		"a row too large":  {weights.Tensor{DType: weights.F32, Shape: []int{4, 251}}, small, vulkan.ErrUnsupported, "1000 bytes"},
		"blocks too large": {weights.Tensor{DType: weights.Q8_0, Shape: []int{4, 1024}}, small, vulkan.ErrUnsupported, "1000 bytes"},
	} {
		c.w.Name, c.w.File = "blk.7.proj", "model.gguf"
		_, err := newMatrix(dev, c.w, c.lim)
		if !errors.Is(err, c.kind) {
			t.Errorf("%s: %v, want %v", name, err, c.kind)
			continue
		}
		for _, part := range []string{c.text, "blk.7.proj", "model.gguf"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q does not say %q", name, err, part)
			}
		}
	}
}

// TestUploadDamaged: a value that is no number is found wherever it is, in slabs and pieces of any size; sound ones are
// not called damaged.
func TestUploadDamaged(t *testing.T) {
	dev := vulkantest.Open(t)
	ctx := context.Background()
	r := rand.New(rand.NewPCG(23, 24))
	for _, d := range storageTypes {
		const rows = 600
		cols := suits(d, 500+odd(r, 100))
		w := tensor(d, rows, cols, random(r, rows*cols, 1))
		for _, c := range []struct{ slab, ring int }{{0, 0}, {0, 16 << 20}, {249, 0}, {77, 16 << 20}} {
			lim := dev.Limits()
			if c.slab > 0 {
				lim = limitedTo(lim, w, c.slab)
			}
			m, err := newMatrix(dev, w, lim)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Free()
			up, err := dev.NewUploader(int64(c.ring))
			if err != nil {
				t.Fatal(err)
			}
			defer up.Close()
			sound := func() bool {
				ok, err := m.Upload(ctx, up, w)
				if err := errors.Join(err, up.Flush(ctx)); err != nil {
					t.Fatal(err)
				}
				return ok
			}
			if !sound() {
				t.Errorf("%v, %+v: sound values are called damaged", w, c)
			}
			size := d.BlockBytes()
			last := len(w.Data)/size - 1
			for _, at := range []int{0, last, r.IntN(last), r.IntN(last), r.IntN(last), r.IntN(last)} {
				block := w.Data[at*size:][:size]
				was := bytes.Clone(block)
				for i := range block {
					block[i] = 0xff // a NaN in each type: that or its scale
				}
				if sound() {
					t.Errorf("%v, %+v: NaN in block %d of %d is not found", w, c, at, last+1)
				}
				copy(block, was)
			}
		}
	}
}

// TestUploadStops: a cancelled upload says what it was about.
func TestUploadStops(t *testing.T) {
	dev := vulkantest.Open(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	up, err := dev.NewUploader(0)
	if err != nil {
		t.Fatal(err)
	}
	defer up.Close()
	w := tensor(weights.F32, 3, 5, make([]float32, 15))
	m, err := NewMatrix(dev, w)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Free()
	if _, err := m.Upload(ctx, up, w); !errors.Is(err, context.Canceled) || !strings.Contains(fmt.Sprint(err), `"w"`) {
		t.Errorf("upload: %v", err)
	}
	before := dev.Memory().Total
	if _, err := NewVector(ctx, dev, up, "gain", []float32{1}); !errors.Is(err, context.Canceled) || !strings.Contains(fmt.Sprint(err), `"gain"`) {
		t.Errorf("vector: %v", err)
	}
	if after := dev.Memory().Total; after != before {
		t.Errorf("a stopped upload of a vector left %d bytes", after-before)
	}
}
