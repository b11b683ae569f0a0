package kernel

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"

	"kestrel/engine/vulkan"
	"kestrel/engine/weights"
)

// Pad is the number of columns to which rows are padded: whole units of every storage type.
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
	Weights    vulkan.View // as storage describes
}

// units is the number of units in a row.
func (m *Matrix) units() int { return Padded(m.Cols) / storages[m.DType].unit }

// reads fails the encoder where no kernel reads the matrix.
func (e *Encoder) reads(m *Matrix) bool {
	_, err := stored(m.DType)
	if err != nil {
		e.fail(err)
	}
	return err == nil
}

// shader names the variant of a shader that reads the matrix.
func (m *Matrix) shader(name string) string { return name + "_" + storages[m.DType].suffix }

// slabRows is how many rows fit one binding and one allocation.
func slabRows(d weights.DType, rows, cols int, lim vulkan.Limits) int {
	limit := min(lim.MaxStorageBufferRange, lim.MaxAllocation) / 4 * 4
	return int(min(int64(rows), limit/rowBytes(d, cols)))
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
	if _, err := stored(t.DType); err != nil {
		return nil, fmt.Errorf("tensor %q of %s: %w", t.Name, t.File, err)
	}
	m := &Matrix{Name: t.Name, DType: t.DType, Rows: t.Shape[0], Cols: t.Shape[1]}
	if block := m.DType.BlockSize(); m.Cols%block != 0 {
		return nil, fmt.Errorf("tensor %q of %s: %v rows of %d columns, not whole blocks of %d: %w",
			t.Name, t.File, m.DType, m.Cols, block, weights.ErrBadModel)
	}
	step := slabRows(m.DType, m.Rows, m.Cols, lim)
	if step == 0 {
		return nil, fmt.Errorf("tensor %q of %s: one row is larger than the device's storage buffer range of %d bytes: %w",
			t.Name, t.File, lim.MaxStorageBufferRange, vulkan.ErrUnsupported)
	}
	for row := 0; row < m.Rows; row += step {
		rows := min(step, m.Rows-row)
		buf, err := dev.NewBuffer(t.Name, vulkan.Weights, slabBytes(m.DType, rows, m.Cols))
		if err != nil {
			m.Free()
			return nil, err
		}
		m.Slabs = append(m.Slabs, Slab{Row0: row, Rows: rows, Weights: buf.Whole()})
	}
	return m, nil
}

// MatrixBytes is the device memory that NewMatrix asks for, one entry a slab.
func MatrixBytes(t weights.Tensor, lim vulkan.Limits) []int64 {
	rows, cols := t.Shape[0], t.Shape[1]
	var sizes []int64
	step := slabRows(t.DType, rows, cols, lim)
	for row := 0; row < rows && step > 0; row += step {
		sizes = append(sizes, slabBytes(t.DType, min(step, rows-row), cols))
	}
	return sizes
}

// Upload streams t into the matrix made for it. Nothing of it is held in memory but the piece on its way. sound is false
// where a value is NaN or infinite: a piece is looked at when it is in the processor's cache for its way anyhow.
func (m *Matrix) Upload(ctx context.Context, up *vulkan.Uploader, t weights.Tensor) (sound bool, err error) {
	storage, err := stored(m.DType)
	if err != nil {
		return false, err
	}
	var damaged atomic.Bool
	for _, s := range m.Slabs {
		rows := t.Rows(s.Row0, s.Rows)
		err := up.Write(ctx, s.Weights, func(p []byte, off int64) error {
			weights.InParts(len(p), 4096, func(from, to int) {
				if weights.HasNaN(m.DType, storage.of(rows, m.DType, m.Cols, off+int64(from), off+int64(to))) {
					damaged.Store(true)
				}
				storage.pack(p[from:to:to], off+int64(from), rows, m.DType, m.Cols)
			})
			return nil
		})
		if err != nil {
			return false, fmt.Errorf("upload of %q: %w", m.Name, err)
		}
	}
	return !damaged.Load(), nil
}

// Free releases the device memory.
func (m *Matrix) Free() {
	for _, s := range m.Slabs {
		s.Weights.Buffer.Free()
	}
	m.Slabs = nil
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
