package bnb

import (
	"encoding/binary"
	"math"

	"kestrel/engine/weights"
)

// piece is the codes of one block of NF4 and FP4 as Kestrel holds them.
const piece = 64

// tensor is the matrix as a tensor that is computed from its parts.
func (m *matrix) tensor() weights.Tensor {
	t := weights.Tensor{Name: m.codes.Name, Shape: []int{m.rows, m.cols}, File: m.codes.File}
	if m.cols%piece == 0 && m.block%piece == 0 {
		t.DType = map[string]weights.DType{"nf4": weights.NF4, "fp4": weights.FP4}[m.kind]
		return weights.Computed(t, m.blocks, m.parts...)
	}
	t.DType = weights.F32
	return weights.Computed(t, m.values, m.parts...)
}

// scale is that of block i.
func (m *matrix) scale(i int) float32 {
	if !m.nested {
		return math.Float32frombits(binary.LittleEndian.Uint32(m.absmax.Data[4*i:]))
	}
	return float32(m.nestedMap[m.absmax.Data[i]]*m.nestedMax[i/m.nestedSize]) + m.offset
}

// blocks writes rows as blocks of NF4 or FP4: a scale, 32 bytes of codes.
func (m *matrix) blocks(dst []byte, row, n int) error {
	first := row * m.cols / piece
	for i := range n * m.cols / piece {
		at := first + i
		b := dst[36*i : 36*i+36]
		binary.LittleEndian.PutUint32(b, math.Float32bits(m.scale(at*piece/m.block)))
		copy(b[4:], m.codes.Data[at*piece/2:])
	}
	return nil
}

// values writes rows as float32.
func (m *matrix) values(dst []byte, row, n int) error {
	table := tables[m.kind]
	first := row * m.cols
	scale, of := float32(0), -1
	for i := range n * m.cols {
		at := first + i
		if b := at / m.block; b != of {
			scale, of = m.scale(b), b
		}
		code := m.codes.Data[at/2] >> (4 * (1 - at%2)) & 15
		binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(scale*table[code]))
	}
	return nil
}
