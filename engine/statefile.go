package engine

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"kestrel/engine/mamba"
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

// ReadState reads what WriteTo wrote and checks it whole before it gives it back.
func ReadState(r io.Reader) (*State, error) {
	sum := sha256.New()
	in := io.TeeReader(bufio.NewReaderSize(r, 1<<20), sum)
	magic := make([]byte, len(stateMagic))
	if _, err := io.ReadFull(in, magic); err != nil {
		return nil, fmt.Errorf("%w: shorter than its header", ErrBadState)
	}
	if string(magic) != stateMagic {
		return nil, fmt.Errorf("%w: not a Kestrel state, or one of another version", ErrBadState)
	}
	var h stateHeader
	if err := binary.Read(in, binary.LittleEndian, &h); err != nil {
		return nil, fmt.Errorf("%w: shorter than its header", ErrBadState)
	}
	g := h.Shape
	for _, n := range []uint32{g.Layers, g.Inner, g.State, g.Conv, g.Vocab} {
		if n == 0 || n > maxStateDim {
			return nil, fmt.Errorf("%w: a size of %d in its header", ErrBadState, n)
		}
	}
	if h.DType != 0 || h.Tokens > math.MaxInt64/2 {
		return nil, fmt.Errorf("%w: number type %d, %d tokens", ErrBadState, h.DType, h.Tokens)
	}
	s, columns, logits := g.parts()
	if s < 0 || columns < 0 || s > maxStateBytes/4 || columns > maxStateBytes/4 {
		return nil, fmt.Errorf("%w: sizes of %+v", ErrBadState, g)
	}
	t := &State{model: h.Model, tokenizer: h.Tokenizer, tokens: int(h.Tokens), shape: g, carried: &mamba.Carried{}}
	for _, part := range []struct {
		to *[]float32
		n  int64
	}{{&t.carried.S, s}, {&t.carried.Columns, columns}, {&t.carried.Logits, logits}} {
		// The buffer grows with what is there, not with what the header promises.
		var raw bytes.Buffer
		if n, err := io.Copy(&raw, io.LimitReader(in, 4*part.n)); err != nil || n < 4*part.n {
			return nil, fmt.Errorf("%w: cut short (%w)", ErrBadState, errors.Join(err, io.ErrUnexpectedEOF))
		}
		v := make([]float32, part.n)
		for i := range v {
			v[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw.Bytes()[4*i:]))
		}
		*part.to = v
	}
	want := sum.Sum(nil)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(in, got); err != nil || !bytes.Equal(got, want) {
		return nil, fmt.Errorf("%w: its checksum does not fit its content", ErrBadState)
	}
	return t, nil
}

// Save writes the state to path, whole or not at all.
func (t *State) Save(path string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.part")
	if err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close() // a second close after a failed rename does no harm
			os.Remove(f.Name())
			err = fmt.Errorf("save state to %s: %w", path, err)
		}
	}()
	if _, err = t.WriteTo(f); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
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
