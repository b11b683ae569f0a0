package gguf

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"kestrel/engine/weights"
)

// Writer collects metadata and tensors and writes them as a GGUF file. The
// tensors' bytes are asked for only while writing, one tensor at a time, so a
// model larger than memory can be written.
type Writer struct {
	version uint32
	keys    []string
	values  [][]byte // type and value, as in the file
	tensors []pending
	names   map[string]bool
	err     error
}

type pending struct {
	info
	write func(io.Writer) error
}

// NewWriter returns a writer of version 3, or of version 2 for old readers.
func NewWriter(version int) *Writer {
	w := &Writer{version: uint32(version), names: make(map[string]bool)}
	if version != 2 && version != 3 {
		w.err = fmt.Errorf("%w: GGUF version %d", weights.ErrUnsupported, version)
	}
	return w
}

// SetString sets a key to a text. A key that is set again takes the new value.
func (w *Writer) SetString(key, v string) {
	w.set(key, appendString(head(typeString), v))
}

// SetUint32 sets a key to a number, as the format has sizes and ids.
func (w *Writer) SetUint32(key string, v uint32) {
	w.set(key, binary.LittleEndian.AppendUint32(head(typeUint32), v))
}

// SetFloat32 sets a key to a number.
func (w *Writer) SetFloat32(key string, v float32) {
	w.set(key, binary.LittleEndian.AppendUint32(head(typeFloat32), math.Float32bits(v)))
}

// SetBool sets a key to a truth value.
func (w *Writer) SetBool(key string, v bool) {
	b := byte(0)
	if v {
		b = 1
	}
	w.set(key, append(head(typeBool), b))
}

// SetStrings sets a key to an array of texts.
func (w *Writer) SetStrings(key string, list []string) {
	b := arrayHead(typeString, len(list))
	for _, s := range list {
		b = appendString(b, s)
	}
	w.set(key, b)
}

// SetInt32s sets a key to an array of numbers.
func (w *Writer) SetInt32s(key string, list []int32) {
	b := arrayHead(typeInt32, len(list))
	for _, n := range list {
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	w.set(key, b)
}

// SetFloat32s sets a key to an array of numbers.
func (w *Writer) SetFloat32s(key string, list []float32) {
	b := arrayHead(typeFloat32, len(list))
	for _, v := range list {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	w.set(key, b)
}

// Add appends a tensor. Its shape is slowest dimension first; write is called
// when the file is written and must write exactly the tensor's bytes.
// Errors, such as a row that is not whole blocks, come from WriteTo.
func (w *Writer) Add(name string, d weights.DType, shape []int, write func(io.Writer) error) {
	kind, ok := typeNumber(d)
	elements, row := 1, 1
	for _, n := range shape {
		elements, row = elements*n, n
	}
	switch {
	case !ok:
		w.fail(name, fmt.Sprintf("%v has no place in GGUF", d))
	case len(shape) > maxDims:
		w.fail(name, fmt.Sprintf("%d dimensions, more than the %d allowed", len(shape), maxDims))
	case row%d.BlockSize() != 0:
		w.fail(name, fmt.Sprintf("rows of %d elements are not whole blocks of %v", row, d))
	case w.names[name]:
		w.fail(name, "added twice")
	}
	w.names[name] = true
	t := pending{info{name: name, shape: slices.Clone(shape), kind: kind, size: d.Bytes(elements)}, write}
	if n := len(w.tensors); n > 0 {
		last := w.tensors[n-1]
		t.offset = align(last.offset + uint64(last.size))
	}
	w.tensors = append(w.tensors, t)
}

// AddTensor appends a tensor whose bytes are at hand.
func (w *Writer) AddTensor(t weights.Tensor) {
	w.Add(t.Name, t.DType, t.Shape, func(out io.Writer) error {
		_, err := out.Write(t.Data)
		return err
	})
}

// WriteTo writes the file.
func (w *Writer) WriteTo(out io.Writer) (int64, error) {
	c := &counter{out: out}
	err := w.write(context.Background(), c)
	return c.n, err
}

// WriteFile writes the file atomically: under a temporary name, then renamed.
// Cancelling ctx stops it before the next tensor and leaves nothing behind.
func (w *Writer) WriteFile(ctx context.Context, path string) error {
	return weights.WriteFile(path, func(out io.Writer) error { return w.write(ctx, &counter{out: out}) })
}

// Bytes returns the file's contents.
func (w *Writer) Bytes() ([]byte, error) {
	var b bytes.Buffer
	_, err := w.WriteTo(&b)
	return b.Bytes(), err
}

func (w *Writer) write(ctx context.Context, c *counter) error {
	if w.err != nil {
		return w.err
	}
	if _, err := c.Write(w.header()); err != nil {
		return err
	}
	begin := c.n
	for i := range w.tensors {
		if err := ctx.Err(); err != nil {
			return err
		}
		t := &w.tensors[i]
		if err := c.pad(begin + int64(t.offset)); err != nil {
			return err
		}
		before := c.n
		buffered := bufio.NewWriterSize(c, 1<<16)
		if err := errors.Join(t.write(buffered), buffered.Flush()); err != nil {
			return fmt.Errorf("write tensor %s: %w", show(t.name), err)
		}
		if got := c.n - before; got != t.size {
			return fmt.Errorf("write tensor %s: %d bytes written, expected %d", show(t.name), got, t.size)
		}
	}
	return c.pad(int64(align(uint64(c.n)))) // as other writers: the last tensor is padded too
}

// header is everything before the tensors' bytes, with the padding.
func (w *Writer) header() []byte {
	b := binary.LittleEndian.AppendUint32([]byte(magic), w.version)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(w.tensors)))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(w.keys)))
	for i, key := range w.keys {
		b = append(appendString(b, key), w.values[i]...)
	}
	for _, t := range w.tensors {
		b = appendString(b, t.name)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(t.shape)))
		for _, d := range slices.Backward(t.shape) {
			b = binary.LittleEndian.AppendUint64(b, uint64(d))
		}
		b = binary.LittleEndian.AppendUint32(b, uint32(t.kind))
		b = binary.LittleEndian.AppendUint64(b, t.offset)
	}
	if len(w.tensors) == 0 {
		return b
	}
	return append(b, make([]byte, align(uint64(len(b)))-uint64(len(b)))...)
}

func (w *Writer) set(key string, v []byte) {
	if i := slices.Index(w.keys, key); i >= 0 {
		w.values[i] = v
		return
	}
	w.keys = append(w.keys, key)
	w.values = append(w.values, v)
}

func (w *Writer) fail(name, problem string) {
	if w.err == nil {
		w.err = fmt.Errorf("write GGUF: tensor %s: %s", show(name), problem)
	}
}

func head(kind valueType) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(kind)) }

func arrayHead(elem valueType, n int) []byte {
	b := binary.LittleEndian.AppendUint32(head(typeArray), uint32(elem))
	return binary.LittleEndian.AppendUint64(b, uint64(n))
}

func appendString(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
}

func align(n uint64) uint64 { return (n + defaultAlignment - 1) &^ (defaultAlignment - 1) }

// counter counts what passes through it.
type counter struct {
	out io.Writer
	n   int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.out.Write(p)
	c.n += int64(n)
	return n, err
}

// pad writes zeros up to the position.
func (c *counter) pad(to int64) error {
	_, err := c.Write(make([]byte, to-c.n))
	return err
}
