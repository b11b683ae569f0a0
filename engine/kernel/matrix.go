package kernel

import (
	"context"
	"encoding/binary"
	"fmt"

	"kestrel/engine/vulkan"
	"kestrel/engine/weights"
)

// Pad is the number of columns to which rows are padded: one Q8_0 block, and whole 16-byte units of every type.
const Pad = 32

// Padded rounds n columns up to whole Pads.
func Padded(n int) int { return (n + Pad - 1) / Pad * Pad }

// Matrix is a weight matrix [Rows, Cols] on the device in any storage type; the model never asks which.
//
// Where it is larger than one binding may be, it lies in several slabs of whole rows.
type Matrix struct {
	Name       string
	DType      weights.DType
	Rows, Cols int
	Slabs      []Slab
}

// Slab holds rows Row0 … Row0+Rows of a matrix.
type Slab struct {
	Row0, Rows int
	Weights    vulkan.View // [Rows][units] of 16 bytes
	Scales     vulkan.View // Q8_0: f16, one for 32 columns; else the same as Weights, unread
}

// suffix names the shader variant of a storage type.
func suffix(d weights.DType) (string, error) {
	switch d {
	case weights.F32:
		return "f32", nil
	case weights.F16:
		return "f16", nil
	case weights.BF16:
		return "bf16", nil
	case weights.Q8_0:
		return "q8_0", nil
	}
	return "", fmt.Errorf("weights of type %v: %w (the kernels read F32, F16, BF16 and Q8_0)", d, weights.ErrUnsupported)
}

// units is the number of 16-byte units in a row of cols columns.
func units(d weights.DType, cols int) int {
	switch d {
	case weights.F32:
		return Padded(cols) / 4
	case weights.F16, weights.BF16:
		return Padded(cols) / 8
	default: // Q8_0
		return Padded(cols) / 16
	}
}

// layout is how many bytes rows of weights and their scales take in a slab; scales start at the first multiple of align
// after the weights.
func layout(d weights.DType, rows, cols int, align int64) (weightBytes, scalesAt, total int64) {
	weightBytes = int64(rows) * int64(units(d, cols)) * 16
	if d != weights.Q8_0 {
		return weightBytes, 0, weightBytes
	}
	scalesAt = (weightBytes + align - 1) / align * align
	return weightBytes, scalesAt, scalesAt + (int64(rows)*int64(cols/32)*2+3)/4*4
}

// slabRows is how many rows fit one binding and one allocation.
func slabRows(d weights.DType, rows, cols int, lim vulkan.Limits) int {
	limit := min(lim.MaxStorageBufferRange, lim.MaxAllocation)
	rowBytes := int64(units(d, cols)) * 16
	if d == weights.Q8_0 {
		rowBytes += int64(cols/32) * 2
		limit -= lim.StorageAlign + 4
	}
	return int(min(int64(rows), limit/rowBytes))
}

// NewMatrix allocates a matrix for the two-dimensional tensor t; Upload fills it.
func NewMatrix(dev *vulkan.Device, t weights.Tensor) (*Matrix, error) {
	return newMatrix(dev, t, dev.Limits())
}

// newMatrix is NewMatrix for slabs within lim, which may be tighter than the device's limits.
func newMatrix(dev *vulkan.Device, t weights.Tensor, lim vulkan.Limits) (*Matrix, error) {
	if len(t.Shape) != 2 || t.Shape[0] < 1 || t.Shape[1] < 1 {
		return nil, fmt.Errorf("tensor %q of %s: shape %v, want two dimensions, none of them 0: %w", t.Name, t.File, t.Shape, weights.ErrBadModel)
	}
	if _, err := suffix(t.DType); err != nil {
		return nil, fmt.Errorf("tensor %q of %s: %w", t.Name, t.File, err)
	}
	m := &Matrix{Name: t.Name, DType: t.DType, Rows: t.Shape[0], Cols: t.Shape[1]}
	if m.DType == weights.Q8_0 && m.Cols%32 != 0 {
		return nil, fmt.Errorf("tensor %q of %s: Q8_0 rows of %d columns, not whole blocks of 32: %w", t.Name, t.File, m.Cols, weights.ErrBadModel)
	}
	step := slabRows(m.DType, m.Rows, m.Cols, lim)
	if step == 0 {
		return nil, fmt.Errorf("tensor %q of %s: one row is larger than the device's storage buffer range of %d bytes: %w",
			t.Name, t.File, lim.MaxStorageBufferRange, vulkan.ErrUnsupported)
	}
	for row := 0; row < m.Rows; row += step {
		rows := min(step, m.Rows-row)
		weightBytes, scalesAt, total := layout(m.DType, rows, m.Cols, max(lim.StorageAlign, 16))
		buf, err := dev.NewBuffer(t.Name, vulkan.Weights, total)
		if err != nil {
			m.Free()
			return nil, err
		}
		s := Slab{Row0: row, Rows: rows, Weights: buf.View(0, weightBytes), Scales: buf.View(0, weightBytes)}
		if m.DType == weights.Q8_0 {
			s.Scales = buf.View(scalesAt, total-scalesAt)
		}
		m.Slabs = append(m.Slabs, s)
	}
	return m, nil
}

// MatrixBytes is the device memory that NewMatrix asks for, one entry a slab.
func MatrixBytes(t weights.Tensor, lim vulkan.Limits) []int64 {
	rows, cols := t.Shape[0], t.Shape[1]
	var sizes []int64
	step := slabRows(t.DType, rows, cols, lim)
	for row := 0; row < rows && step > 0; row += step {
		_, _, total := layout(t.DType, min(step, rows-row), cols, max(lim.StorageAlign, 16))
		sizes = append(sizes, total)
	}
	return sizes
}

// Upload streams t into the matrix made for it. Nothing of it is held in memory but the piece on its way.
func (m *Matrix) Upload(ctx context.Context, up *vulkan.Uploader, t weights.Tensor) error {
	for _, s := range m.Slabs {
		rows := t.Rows(s.Row0, s.Rows)
		var err error
		if m.DType == weights.Q8_0 {
			if err = up.Write(ctx, s.Weights, func(p []byte, off int64) error { q8Values(p, off, rows); return nil }); err == nil {
				err = up.Write(ctx, s.Scales, func(p []byte, off int64) error { q8Scales(p, off, rows); return nil })
			}
		} else {
			from, to := int(m.DType.Bytes(m.Cols)), units(m.DType, m.Cols)*16
			err = up.Write(ctx, s.Weights, func(p []byte, off int64) error { padRows(p, off, rows, from, to); return nil })
		}
		if err != nil {
			return fmt.Errorf("upload of %q: %w", m.Name, err)
		}
	}
	return nil
}

// Free releases the device memory.
func (m *Matrix) Free() {
	for _, s := range m.Slabs {
		s.Weights.Buffer.Free()
	}
	m.Slabs = nil
}

// padRows writes bytes off… of rows whose length grows from `from` to `to` bytes with zeros.
func padRows(p []byte, off int64, rows []byte, from, to int) {
	if from == to {
		copy(p, rows[off:])
		return
	}
	for len(p) > 0 {
		row, at := int(off/int64(to)), int(off%int64(to))
		n := min(to-at, len(p))
		clear(p[:n])
		if at < from {
			copy(p[:n], rows[row*from+at:(row+1)*from])
		}
		p, off = p[n:], off+int64(n)
	}
}

const q8Block = 34 // bytes of a GGML Q8_0 block: f16 scale, 32 int8

// q8Values writes bytes off… of the int8 values of GGML blocks, which hold 32 each.
func q8Values(p []byte, off int64, blocks []byte) {
	for len(p) > 0 {
		b, at := off/32, off%32
		n := copy(p, blocks[b*q8Block+2+at:(b+1)*q8Block])
		p, off = p[n:], off+int64(n)
	}
}

// q8Scales writes bytes off… (even) of the f16 scales of GGML blocks; zero after the last.
func q8Scales(p []byte, off int64, blocks []byte) {
	for i := 0; i < len(p); i += 2 {
		at := (off + int64(i)) / 2 * q8Block
		var scale uint16
		if at < int64(len(blocks)) {
			scale = binary.LittleEndian.Uint16(blocks[at:])
		}
		binary.LittleEndian.PutUint16(p[i:], scale)
	}
}

// NewVector puts a vector on the device as f32, padded with zeros to whole Pads.
func NewVector(ctx context.Context, dev *vulkan.Device, up *vulkan.Uploader, name string, v []float32) (vulkan.View, error) {
	buf, err := dev.NewBuffer(name, vulkan.Weights, VectorBytes(len(v)))
	if err != nil {
		return vulkan.View{}, err
	}
	err = up.Write(ctx, buf.Whole(), func(p []byte, off int64) error {
		for i := 0; i < len(p); i += 4 {
			var word uint32
			if at := (int(off) + i) / 4; at < len(v) {
				word = floatBits(v[at])
			}
			binary.LittleEndian.PutUint32(p[i:], word)
		}
		return nil
	})
	if err != nil {
		buf.Free()
		return vulkan.View{}, fmt.Errorf("upload of %q: %w", name, err)
	}
	return buf.Whole(), nil
}

// VectorBytes is the device memory that NewVector asks for.
func VectorBytes(n int) int64 { return int64(Padded(max(n, 1))) * 4 }
