package engine

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"kestrel/engine/mamba"
	"kestrel/engine/weights"
)

// A state file is, little-endian:
//
//	magic "KESTREL\x01", header (below), S, columns and logits as f32, SHA-256 of all before
const stateMagic = "KESTREL\x01"

type stateHeader struct {
	Model, Tokenizer [32]byte
	DType            uint32 // 0: f32
	Shape            stateShape
	Tokens           uint64
}

// Bounds of a plausible header, far above any model; they keep a damaged file from asking for absurd amounts.
const (
	maxStateDim   = 1 << 24
	maxStateBytes = 1 << 36
)

// WriteTo writes the state with a header and checksum.
func (t *State) WriteTo(w io.Writer) (int64, error) {
	sum := sha256.New()
	count := &counter{w: w}
	out := bufio.NewWriterSize(io.MultiWriter(count, sum), 1<<20)
	out.WriteString(stateMagic) // bufio keeps the first error for Flush
	header := stateHeader{Model: t.model, Tokenizer: t.tokenizer, Shape: t.shape, Tokens: uint64(t.tokens)}
	if err := binary.Write(out, binary.LittleEndian, header); err != nil {
		return count.n, fmt.Errorf("write state: %w", err)
	}
	var word [4]byte
	for _, part := range [][]float32{t.carried.S, t.carried.Columns, t.carried.Logits} {
		for _, f := range part {
			binary.LittleEndian.PutUint32(word[:], math.Float32bits(f))
			out.Write(word[:])
		}
	}
	err := out.Flush()
	if err == nil {
		_, err = count.Write(sum.Sum(nil))
	}
	if err != nil {
		return count.n, fmt.Errorf("write state: %w", err)
	}
	return count.n, nil
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// ReadState reads what WriteTo wrote, to r's end, and checks it whole before it gives it back. Errors: ErrBadState, and
// r's own.
func ReadState(r io.Reader) (*State, error) {
	t, err := readState(r)
	switch {
	case err == nil || errors.Is(err, ErrBadState):
		return t, err
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("%w: it is cut short", ErrBadState)
	}
	return nil, fmt.Errorf("read state: %w", err)
}

func readState(r io.Reader) (*State, error) {
	sum := sha256.New()
	buffered := bufio.NewReaderSize(r, 1<<16)
	in := io.TeeReader(buffered, sum)
	magic := make([]byte, len(stateMagic))
	if _, err := io.ReadFull(in, magic); err != nil {
		return nil, err
	}
	if string(magic) != stateMagic {
		return nil, fmt.Errorf("%w: not a Kestrel state, or one of another version", ErrBadState)
	}
	var h stateHeader
	if err := binary.Read(in, binary.LittleEndian, &h); err != nil {
		return nil, err
	}
	g := h.Shape
	for _, n := range []uint32{g.Layers, g.Inner, g.State, g.Conv, g.Vocab} {
		if n == 0 || n > maxStateDim {
			return nil, fmt.Errorf("%w: a size of %d in its header", ErrBadState, n)
		}
	}
	// The first product fits 64 bits; the bound leaves room for the second.
	if per := int64(g.Layers) * int64(g.Inner); per > maxStateBytes/4/int64(max(g.State, g.Conv)) {
		return nil, fmt.Errorf("%w: sizes of %+v in its header", ErrBadState, g)
	}
	if h.DType != 0 || h.Tokens > math.MaxInt {
		return nil, fmt.Errorf("%w: number type %d, %d tokens", ErrBadState, h.DType, h.Tokens)
	}
	t := &State{model: h.Model, tokenizer: h.Tokenizer, tokens: int(h.Tokens), shape: g, carried: &mamba.Carried{}}
	s, columns, logits := g.parts()
	var err error
	for _, part := range []struct {
		to *[]float32
		n  int64
	}{{&t.carried.S, s}, {&t.carried.Columns, columns}, {&t.carried.Logits, logits}} {
		if *part.to, err = readFloats(in, part.n); err != nil {
			return nil, err
		}
	}
	want := sum.Sum(nil)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(in, got); err != nil {
		return nil, err
	}
	if !bytes.Equal(got, want) {
		return nil, fmt.Errorf("%w: its checksum does not fit its content", ErrBadState)
	}
	if _, err := buffered.ReadByte(); err != io.EOF {
		return nil, cmp.Or(err, fmt.Errorf("%w: something follows its end", ErrBadState))
	}
	return t, nil
}

// readFloats reads n floats. The memory grows with what is there, not with what n promises.
func readFloats(r io.Reader, n int64) ([]float32, error) {
	var piece [1 << 14]byte
	var out []float32
	for int64(len(out)) < n {
		p := piece[:min(int64(len(piece)), 4*(n-int64(len(out))))]
		if _, err := io.ReadFull(r, p); err != nil {
			return nil, err
		}
		for i := 0; i < len(p); i += 4 {
			out = append(out, math.Float32frombits(binary.LittleEndian.Uint32(p[i:])))
		}
	}
	return out, nil
}

// Save writes the state to path, whole or not at all.
func (t *State) Save(path string) error {
	return weights.WriteFile(path, func(w io.Writer) error {
		_, err := t.WriteTo(w)
		return err
	})
}

// LoadState reads a file that Save wrote.
func LoadState(path string) (*State, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("load state: %w", err)
	}
	defer f.Close()
	t, err := ReadState(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}
