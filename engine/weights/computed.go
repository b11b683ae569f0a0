package weights

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// RowsFunc writes the bytes of n rows of a tensor, from row i on, to dst. It
// may be called from several goroutines at once.
type RowsFunc func(dst []byte, i, n int) error

// Computed returns t as a tensor whose bytes are made, by rows, whenever they
// are wanted; from are the tensors they are made of. It takes no memory until
// [Tensor.Load].
func Computed(t Tensor, rows RowsFunc, from ...Tensor) Tensor {
	t.Data, t.From, t.rows = nil, from, rows
	return t
}

// As returns t in the storage type d, encoded when it is wanted; t itself where
// it is stored so already. Both types are Decodable, and a row of t is a whole
// number of d's blocks.
func (t Tensor) As(d DType) Tensor {
	if t.DType == d {
		return t
	}
	as := Computed(Tensor{Name: t.Name, DType: d, Shape: t.Shape, File: t.File}, func(dst []byte, i, n int) error {
		values := make([]float32, n*t.RowLen())
		if err := t.DecodeRows(values, i); err != nil {
			return err
		}
		return Encode(dst, d, values)
	}, t)
	as.encodes = true
	return as
}

// Encodes returns the tensor that t is in another storage type, where t was
// made by As.
func (t Tensor) Encodes() (Tensor, bool) {
	if !t.encodes {
		return Tensor{}, false
	}
	return t.From[0], true
}

// Size is the bytes of the tensor's elements.
func (t Tensor) Size() int64 { return t.DType.Bytes(t.Elements()) }

// Load returns the tensor with its bytes in Data. Those of a computed one are
// made by all processors, in buf where it is large enough; buf is theirs until
// they are done with.
func (t Tensor) Load(ctx context.Context, buf []byte) (Tensor, error) {
	return t.LoadProgress(ctx, buf, func(int) {})
}

// LoadProgress is Load for one who waits: progress is told how many rows are
// there.
func (t Tensor) LoadProgress(ctx context.Context, buf []byte, progress func(rows int)) (Tensor, error) {
	if t.Data != nil || t.rows == nil {
		return t, nil
	}
	size := int(t.Size())
	if cap(buf) < size {
		buf = make([]byte, size)
	}
	buf = buf[:size:size]
	if err := t.compute(ctx, buf, progress); err != nil {
		return Tensor{}, fmt.Errorf("%s: tensor %s: %w", t.File, quote(t.Name), err)
	}
	t.Data = buf
	return t, nil
}

// Computed reports whether the tensor's bytes are made when they are wanted.
func (t Tensor) Computed() bool { return t.rows != nil }

// pieceElements is how much of a tensor one goroutine computes at a time.
const pieceElements = 1 << 16

func (t Tensor) compute(ctx context.Context, dst []byte, progress func(rows int)) error {
	rows, length := t.Shape[0], t.RowLen()
	step := max(1, pieceElements/max(1, length))
	row := t.DType.Bytes(length)
	var next atomic.Int64
	finished := make(chan int)
	g, ctx := errgroup.WithContext(ctx)
	for range min(runtime.GOMAXPROCS(0), (rows+step-1)/step) {
		g.Go(func() error {
			for {
				i := int(next.Add(int64(step))) - step
				if i >= rows {
					return nil
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				n := min(step, rows-i)
				if err := t.rows(dst[int64(i)*row:int64(i+n)*row], i, n); err != nil {
					return err
				}
				finished <- n
			}
		})
	}
	var err error
	go func() {
		err = g.Wait()
		close(finished)
	}()
	done := 0
	for n := range finished {
		done += n
		progress(done)
	}
	return err
}

// Part returns n rows of the tensor from row i on, as a tensor of its own.
func (t Tensor) Part(i, n int) Tensor {
	p := t
	p.Shape = slices.Clone(t.Shape)
	p.Shape[0] = n
	if t.Data != nil || t.rows == nil {
		p.Data, p.rows = t.Rows(i, n), nil
		return p
	}
	p.rows = func(dst []byte, j, m int) error { return t.rows(dst, i+j, m) }
	return p
}

// DecodeRows writes the elements of whole rows from row i on to dst, as
// [Decode] does.
func (t Tensor) DecodeRows(dst []float32, i int) error {
	n := len(dst) / max(1, t.RowLen())
	if t.Data != nil || t.rows == nil {
		return Decode(dst, t.DType, t.Rows(i, n))
	}
	data := make([]byte, t.DType.Bytes(len(dst)))
	if err := t.rows(data, i, n); err != nil {
		return err
	}
	return Decode(dst, t.DType, data)
}

// Sources lists the tensors of files that t is made of: t itself where it is
// not computed.
func (t Tensor) Sources() []Tensor {
	if t.rows == nil {
		return []Tensor{t}
	}
	var list []Tensor
	for _, f := range t.From {
		list = slices.Concat(list, f.Sources())
	}
	return list
}
