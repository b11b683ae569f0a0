package kernel

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"kestrel/engine/vulkan"
	"kestrel/engine/weights"
)

// quantizers are the storage types that the device makes of floats.
var quantizers = []weights.DType{weights.F16, weights.Q8_0, weights.Q4_0, weights.Q4_K, weights.Q5_K, weights.Q6_K}

// sources are the types of floats that it takes, by their numbers in quantize.comp.
var sources = []weights.DType{weights.F32, weights.F16, weights.BF16}

// quantizeBytes is how much of a float matrix is on the device at a time.
const quantizeBytes = 8 << 20

// Quantizes returns the float matrix that t is made of where the device can make t of it.
func Quantizes(t weights.Tensor) (src weights.Tensor, ok bool) {
	src, ok = t.Encodes()
	if !ok || len(t.Shape) != 2 || src.Computed() || !slices.Contains(quantizers, t.DType) || !slices.Contains(sources, src.DType) {
		return src, false
	}
	return src, quantizeRows(src, quantizeBytes) > 0
}

// quantizeRows is how many rows go to the device at a time: whole pairs of blocks, since two may share a word.
func quantizeRows(src weights.Tensor, most int64) int {
	return int(most/src.DType.Bytes(src.Shape[1])) / 2 * 2
}

// QuantizerRequests are the buffers of a Quantizer.
func QuantizerRequests() []vulkan.Request {
	return []vulkan.Request{{Purpose: vulkan.Staging, Size: quantizeBytes}, {Purpose: vulkan.Staging, Size: 4, Host: true}}
}

// Quantizer stores float matrices in other types, computed on the device. It is for one goroutine at a time.
type Quantizer struct {
	set  *Set
	up   *vulkan.Uploader
	src  *vulkan.Buffer // rows as the file has them
	flag *vulkan.Buffer // not 0: a value or scale is no number
	most int64          // bytes of src to use
}

// NewQuantizer makes a quantizer to which floats go through up. Close frees it.
func NewQuantizer(set *Set, up *vulkan.Uploader) (*Quantizer, error) {
	q := &Quantizer{set: set, up: up, most: quantizeBytes}
	var err error
	if q.src, err = set.dev.NewBuffer("floats to quantize", vulkan.Staging, quantizeBytes); err != nil {
		return nil, err
	}
	if q.flag, err = set.dev.NewHostBuffer("quantizer's flag", vulkan.Staging, 4); err != nil {
		q.Close()
		return nil, err
	}
	return q, nil
}

// Close frees the quantizer.
func (q *Quantizer) Close() {
	q.src.Free()
	q.flag.Free()
}

// Upload fills m, a matrix of a type that Quantizes, with what src is in it. sound is false where a value was no number,
// or a scale is out of reach. Nothing of src is held in memory but the piece on its way. All is done when it returns.
// progress is told how many rows are.
func (q *Quantizer) Upload(ctx context.Context, m *Matrix, src weights.Tensor, progress func(rows int)) (sound bool, err error) {
	le.PutUint32(q.flag.Bytes(), 0)
	step := quantizeRows(src, q.most)
	for _, s := range m.Slabs {
		for row := 0; row < s.Rows; row += step {
			n := min(step, s.Rows-row)
			data := src.Rows(s.Row0+row, n)
			if err := q.piece(ctx, m, s, row, n, src.DType, data); err != nil {
				return false, fmt.Errorf("quantize %q to %v: %w", m.Name, m.DType, err)
			}
			progress(s.Row0 + row + n)
		}
	}
	return binary.LittleEndian.Uint32(q.flag.Bytes()) == 0, nil
}

// piece quantizes n rows of a slab.
func (q *Quantizer) piece(ctx context.Context, m *Matrix, s Slab, row, n int, from weights.DType, data []byte) error {
	padded := (int64(len(data)) + 3) / 4 * 4
	err := q.up.Write(ctx, q.src.View(0, padded), func(p []byte, off int64) error {
		if k := copy(p, data[min(off, int64(len(data))):]); k < len(p) {
			clear(p[k:])
		}
		return nil
	})
	if err == nil {
		err = q.up.Flush(ctx)
	}
	if err != nil {
		return err
	}
	units, first, count, lanes := m.units(), row, n, n*m.units()
	if block := m.DType.BlockSize(); block > 1 {
		perRow := m.Cols / block
		first, count = row*perRow, n*perRow
		lanes = count * map[weights.DType]int{weights.Q6_K: 16, weights.Q4_K: 8, weights.Q5_K: 8}[m.DType]
		if block == 32 {
			lanes = (count + 1) / 2
		}
	}
	program, err := q.set.Record(ctx, "quantize "+m.Name, func(e *Encoder) {
		e.run(m.shader("quantize"), []uint32{uint32(slices.Index(sources, from))}, ceil(lanes, 64), 1,
			[]any{first, count, units * s.Rows, m.Cols}, vulkan.In(q.src.View(0, padded)), vulkan.InOut(s.Weights), vulkan.InOut(q.flag.Whole()))
	})
	if err != nil {
		return err
	}
	defer program.Free()
	return program.Run(ctx)
}
