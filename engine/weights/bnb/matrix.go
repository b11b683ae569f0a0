package bnb

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	"kestrel/engine/weights"
	"kestrel/engine/weights/quant"
)

// matrix is one 4-bit matrix with its parts.
type matrix struct {
	kind       string // "nf4" or "fp4"
	rows, cols int
	block      int
	codes      weights.Tensor // of 4 bits
	absmax     weights.Tensor // F32; U8 where nested
	nested     bool
	nestedMax  []float32
	nestedMap  []float32
	nestedSize int
	offset     float32
	parts      []weights.Tensor
}

// state is the JSON of a matrix.
type state struct {
	Type         *string  `json:"quant_type"`
	Block        *int64   `json:"blocksize"`
	Shape        []int64  `json:"shape"`
	NestedBlock  *int64   `json:"nested_blocksize"`
	NestedType   *string  `json:"nested_dtype"`
	NestedOffset *float64 `json:"nested_offset"`
}

const (
	maxState = 1 << 16 // bytes of the JSON, which takes some 150
	maxBlock = 1 << 16 // codes; bitsandbytes has up to 4096
)

var tables = map[string]*quant.Codebook{"nf4": quant.NF4Values, "fp4": quant.FP4Values}

// matrix reads and checks all parts of a matrix.
func (s *Source) matrix(name, stateName string) (*matrix, error) {
	m, err := s.check(name, stateName)
	if err != nil {
		return nil, err
	}
	parts := []string{name, stateName, name + absmaxSuffix, name + mapSuffix}
	if m.nested {
		parts = append(parts, name+nestedSuffix, name+nestedMapSuffix)
	}
	for _, part := range parts {
		t, err := s.Source.Tensor(part)
		if err != nil {
			return nil, err
		}
		m.parts = append(m.parts, t)
	}
	return m, nil
}

func (s *Source) check(name, stateName string) (*matrix, error) {
	st, err := s.state(stateName)
	if err != nil {
		return nil, err
	}
	kind := strings.TrimPrefix(stateName, name+statePrefix)
	m := &matrix{kind: kind, block: int(*st.Block), nested: st.NestedBlock != nil}
	n, err := m.setShape(st.Shape)
	if err != nil {
		return nil, s.fail(weights.ErrBadModel, stateName, err.Error(), again)
	}
	if m.codes, err = s.part(name, 0, (n+1)/2); err != nil {
		return nil, err
	}
	values, err := s.floats(name+mapSuffix, 16)
	if err != nil {
		return nil, err
	}
	if !near(values, tables[kind][:]) {
		return nil, s.fail(weights.ErrUnsupported, name+mapSuffix, "not the table of "+kind, "Kestrel reads NF4 and FP4 as bitsandbytes has them")
	}
	blocks := (n + m.block - 1) / m.block
	if !m.nested {
		m.absmax, err = s.part(name+absmaxSuffix, weights.F32, 4*blocks)
		return m, err
	}
	m.nestedSize, m.offset = int(*st.NestedBlock), float32(*st.NestedOffset)
	if m.absmax, err = s.part(name+absmaxSuffix, weights.U8, blocks); err != nil {
		return nil, err
	}
	if m.nestedMax, err = s.floats(name+nestedSuffix, (blocks+m.nestedSize-1)/m.nestedSize); err != nil {
		return nil, err
	}
	m.nestedMap, err = s.floats(name+nestedMapSuffix, 256)
	return m, err
}

func (s *Source) state(name string) (state, error) {
	var st state
	t, err := s.find(name)
	if err != nil {
		return st, err
	}
	bad := func(problem string) error { return s.fail(weights.ErrBadModel, name, problem, again) }
	no := func(problem string) error {
		return s.fail(weights.ErrUnsupported, name, problem, "open the model it was made from, with --quant")
	}
	_, kind, ok := strings.Cut(name, statePrefix)
	if !ok || tables[kind] == nil {
		return st, no("a matrix quantized by a method Kestrel does not know")
	}
	if len(t.Data) > maxState {
		return st, bad(fmt.Sprintf("%d bytes, more than the %d such a state may have", len(t.Data), maxState))
	}
	if err := json.Unmarshal(t.Data, &st); err != nil {
		return st, bad("not valid JSON: " + err.Error())
	}
	switch {
	case st.Type == nil || st.Block == nil || st.Shape == nil:
		return st, bad("needs quant_type, blocksize and shape")
	case *st.Type != kind:
		return st, bad(fmt.Sprintf("quant_type is %s, but the tensor's name says %s", show(*st.Type), kind))
	case *st.Block < 1 || *st.Block > maxBlock:
		return st, bad(fmt.Sprintf("blocksize is %d", *st.Block))
	case (st.NestedBlock == nil) != (st.NestedOffset == nil):
		return st, bad("needs nested_blocksize and nested_offset both, or neither")
	case st.NestedBlock == nil:
		return st, nil
	case *st.NestedBlock < 1 || *st.NestedBlock > maxBlock:
		return st, bad(fmt.Sprintf("nested_blocksize is %d", *st.NestedBlock))
	case st.NestedType != nil && *st.NestedType != "float32":
		return st, no("nested_dtype is " + show(*st.NestedType))
	case math.IsInf(float64(float32(*st.NestedOffset)), 0):
		return st, bad(fmt.Sprintf("nested_offset is %v", *st.NestedOffset))
	}
	return st, nil
}

// setShape takes the matrix's sizes and returns their product.
func (m *matrix) setShape(shape []int64) (int, error) {
	if len(shape) != 2 || shape[0] < 1 || shape[1] < 1 {
		return 0, fmt.Errorf("shape is %v, want two positive sizes", shape)
	}
	if shape[0] > math.MaxInt32 || shape[1] > math.MaxInt32 || shape[0]*shape[1] > math.MaxInt/8 {
		return 0, fmt.Errorf("shape is %v, which no file can hold", shape)
	}
	m.rows, m.cols = int(shape[0]), int(shape[1])
	return m.rows * m.cols, nil
}

func (s *Source) find(name string) (weights.Tensor, error) {
	t, err := s.Source.Tensor(name)
	if errors.Is(err, weights.ErrMissingTensor) {
		return t, s.fail(weights.ErrMissingTensor, name, "not in the file, which has the rest of the 4-bit matrix", again)
	}
	return t, err
}

// part returns a tensor of so many bytes, of the type unless that is 0: codes
// may be stored under any name of a type (bnb_4bit_quant_storage).
func (s *Source) part(name string, d weights.DType, bytes int) (weights.Tensor, error) {
	t, err := s.find(name)
	if err != nil {
		return t, err
	}
	if d != 0 && t.DType != d {
		return t, s.fail(weights.ErrBadModel, name, fmt.Sprintf("stored as %v, want %v", t.DType, d), again)
	}
	if len(t.Data) != bytes {
		return t, s.fail(weights.ErrBadModel, name, fmt.Sprintf("%d bytes, but the matrix's shape and blocks want %d", len(t.Data), bytes), again)
	}
	return t, nil
}

func (s *Source) floats(name string, n int) ([]float32, error) {
	if n > math.MaxInt/8 {
		n = math.MaxInt / 8
	}
	t, err := s.part(name, weights.F32, 4*n)
	if err != nil {
		return nil, err
	}
	return t.Float32s()
}

// near compares tables. Those in files were divided by their largest value on
// one device or another; bitsandbytes' kernels have the table built in.
func near(a, b []float32) bool {
	for i, v := range a {
		if !(math.Abs(float64(v)-float64(b[i])) <= 1e-6) {
			return false
		}
	}
	return true
}

func show(s string) string {
	if len(s) > 60 {
		return fmt.Sprintf("%q…", s[:60])
	}
	return fmt.Sprintf("%q", s)
}
