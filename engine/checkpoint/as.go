package checkpoint

import (
	"fmt"
	"math"
	"strings"

	"kestrel/engine/weights"
	"kestrel/engine/weights/quant"
)

// Precisions lists the types that a model's matrices can be asked for in, as
// [ParsePrecision] reads them.
func Precisions() []weights.DType {
	list := []weights.DType{weights.F32, weights.F16, weights.BF16}
	for _, f := range quant.Formats {
		d, _ := weights.ParseDType(f.Name)
		list = append(list, d)
	}
	return list
}

// ParsePrecision reads the name of one of Precisions, such as "q4_k", in upper
// or lower case. The error is weights.ErrUnsupported and lists them.
func ParsePrecision(name string) (weights.DType, error) {
	var names []string
	for _, d := range Precisions() {
		if strings.EqualFold(name, d.String()) {
			return d, nil
		}
		names = append(names, strings.ToLower(d.String()))
	}
	return 0, fmt.Errorf("%w: no precision %q; there are %s", weights.ErrUnsupported, shorten([]byte(name)), strings.Join(names, ", "))
}

// As returns the model with its matrices in the storage type d, each encoded
// when it is wanted ([weights.Tensor.Load]); all else stays as it is. A matrix
// whose rows are no whole blocks of d gets [weights.Fallback] of it, which
// Warnings says. The result lives on the files of c and is closed with it.
//
// A matrix that is quantized already is not quantized to another type, which is
// weights.ErrUnsupported, unless requantize is set: its loss would come on top.
// It stays as it is where d is its type. F32, which loses nothing, and F16 and
// BF16, which round, are always possible.
func (c *Checkpoint) As(d weights.DType, requantize bool) (*Checkpoint, error) {
	a := *c
	a.Layers = append([]Layer(nil), c.Layers...)
	a.Warnings = append([]string(nil), c.Warnings...)
	fell := map[weights.DType][]weights.Tensor{}
	var err error
	convert := func(t *weights.Tensor) {
		to := weights.Fallback(d, t.RowLen())
		if t.DType.Quantized() && t.DType != to && to.Quantized() && !requantize && err == nil {
			err = &weights.FileError{Kind: weights.ErrUnsupported, File: t.File, Tensor: t.Name,
				Problem: fmt.Sprintf("stored as %v already; quantizing it again, to %v, would lose more than quantizing the original", t.DType, to),
				Way:     "take the model in F32, F16 or BF16, or use this file as it is"}
		}
		if to != d && t.DType != to {
			fell[to] = append(fell[to], *t)
		}
		*t = t.As(to)
	}
	convert(&a.Embed)
	for i := range a.Layers {
		for _, r := range layerRoles {
			if r.matrix {
				convert(r.of(&a.Layers[i]))
			}
		}
	}
	if a.Head = a.Embed; !c.Tied {
		a.Head = c.Head
		convert(&a.Head)
	}
	if err != nil {
		return nil, err
	}
	for _, to := range []weights.DType{weights.Q8_0, weights.F16} {
		if list := fell[to]; len(list) > 0 {
			a.Warnings = append(a.Warnings, fmt.Sprintf("%d matrices, such as %s with rows of %d, are no whole blocks of %v (%d): they become %v",
				len(list), list[0].Name, list[0].RowLen(), d, d.BlockSize(), to))
		}
	}
	return &a, nil
}

// GGUFTensors lists the tensors under the names and in the forms of GGUF:
// matrices in the types they have, all else as F32, -exp(A_log) for A_log. They
// live on the files of c.
func (c *Checkpoint) GGUFTensors() []weights.Tensor {
	named := func(name string, t weights.Tensor, matrix bool) weights.Tensor {
		if !matrix {
			t = t.As(weights.F32)
		}
		t.Name = name
		return t
	}
	list := []weights.Tensor{named(ggufNaming.embed[0], c.Embed, true)}
	for i := range c.Layers {
		l := &c.Layers[i]
		for _, r := range layerRoles {
			t := *r.of(l)
			if r.hf == "mixer.A_log" && !l.negated {
				t = negated(t)
			}
			list = append(list, named(ggufNaming.layerName(i, r), t, r.matrix))
		}
	}
	list = append(list, named(ggufNaming.normF, c.NormF, false))
	if !c.Tied {
		list = append(list, named(ggufNaming.head, c.Head, true))
	}
	return list
}

// negated is -exp(t) as F32, computed when it is wanted.
func negated(t weights.Tensor) weights.Tensor {
	neg := weights.Tensor{Name: t.Name, DType: weights.F32, Shape: t.Shape, File: t.File}
	return weights.Computed(neg, func(dst []byte, i, n int) error {
		values := make([]float32, n*t.RowLen())
		if err := t.DecodeRows(values, i); err != nil {
			return err
		}
		for j, v := range values {
			values[j] = float32(-math.Exp(float64(v)))
		}
		return weights.Encode(dst, weights.F32, values)
	}, t)
}
