package bnb

import (
	"fmt"
	"slices"
	"strings"

	"kestrel/engine/weights"
)

// Source is a model with 4-bit tensors: its matrices as they are meant, its
// other tensors as they are. What describes a matrix in the file is not listed.
type Source struct {
	weights.Source
	names    []string
	listed   map[string]bool
	matrices map[string]weights.Tensor
	warnings []string
	types    []string // of the matrices, "nf4" or "fp4"
}

const (
	absmaxSuffix    = ".absmax"
	mapSuffix       = ".quant_map"
	nestedSuffix    = ".nested_absmax"
	nestedMapSuffix = ".nested_quant_map"
	stateMark       = ".quant_state."
	statePrefix     = stateMark + "bitsandbytes__"
)

// Open finds the 4-bit matrices of a model. Each is checked as a whole: every
// part there, lengths that agree, a table that is the one of its type. A model
// that has none is fine. Closing the result closes src.
//
// Errors: weights.ErrBadModel, ErrUnsupported and ErrMissingTensor, with file,
// tensor and the way out.
func Open(src weights.Source) (*Source, error) {
	s := &Source{Source: src, listed: map[string]bool{}, matrices: map[string]weights.Tensor{}}
	states := map[string]string{} // matrix -> its state
	var parts []string
	for _, name := range src.Names() {
		if base, _, ok := strings.Cut(name, stateMark); ok {
			if other, twice := states[base]; twice {
				return nil, s.fail(weights.ErrBadModel, name, "the matrix has another state, "+other, again)
			}
			states[base] = name
			continue
		}
		if _, ok := cutPart(name); ok {
			parts = append(parts, name)
			continue
		}
		s.names, s.listed[name] = append(s.names, name), true
	}
	for _, name := range parts {
		if base, _ := cutPart(name); states[base] == "" {
			return nil, s.fail(weights.ErrMissingTensor, base+statePrefix+"nf4", "not in the file, which has "+name+" of a 4-bit matrix", again)
		}
	}
	for base := range states {
		if !s.listed[base] {
			return nil, s.fail(weights.ErrMissingTensor, base, "not in the file, which has its "+states[base], again)
		}
	}
	var wide []string
	for _, name := range s.names {
		state, ok := states[name]
		if !ok {
			continue
		}
		m, err := s.matrix(name, state)
		if err != nil {
			return nil, err
		}
		t := m.tensor()
		if t.DType == weights.F32 {
			wide = append(wide, name)
		}
		s.matrices[name] = t
		if !slices.Contains(s.types, m.kind) {
			s.types = append(s.types, m.kind)
		}
	}
	if len(wide) > 0 {
		s.warnings = append(s.warnings, fmt.Sprintf("%d of %d 4-bit matrices, such as %s, have rows or blocks that are no multiples of 64: "+
			"they are held as F32, with the same values, in eight times the memory", len(wide), len(s.matrices), wide[0]))
	}
	return s, nil
}

// cutPart takes the suffix off the name of a part of a matrix.
func cutPart(name string) (base string, ok bool) {
	for _, suffix := range []string{nestedSuffix, nestedMapSuffix, absmaxSuffix, mapSuffix} {
		if base, ok := strings.CutSuffix(name, suffix); ok {
			return base, true
		}
	}
	return "", false
}

// Names lists the tensors without the parts of matrices.
func (s *Source) Names() []string { return slices.Clone(s.names) }

// Tensor returns a matrix as it is meant, computed from its parts, or a tensor
// of the file.
func (s *Source) Tensor(name string) (weights.Tensor, error) {
	if t, ok := s.matrices[name]; ok {
		return t, nil
	}
	if !s.listed[name] {
		return weights.Tensor{}, s.fail(weights.ErrMissingTensor, name, "not in the file", "")
	}
	return s.Source.Tensor(name)
}

// Types lists the 4-bit types of the model's matrices, "nf4" or "fp4"; none
// where it has no such matrix.
func (s *Source) Types() []string { return s.types }

// Warnings is what the user should know, a sentence each.
func (s *Source) Warnings() []string { return s.warnings }

const again = "the 4-bit model is not whole; download it again"

func (s *Source) fail(kind error, tensor, problem, way string) error {
	return &weights.FileError{Kind: kind, File: s.Path(), Tensor: tensor, Problem: problem, Way: way}
}
