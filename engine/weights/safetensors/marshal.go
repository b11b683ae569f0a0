package safetensors

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"

	"kestrel/engine/weights"
)

// Marshal returns a safetensors file of the tensors, in their order, with
// meta as its __metadata__ (left out when nil). Types that the format has no
// name for, such as Q8_0, fail with weights.ErrUnsupported.
func Marshal(tensors []weights.Tensor, meta map[string]string) ([]byte, error) {
	header := []byte{'{'}
	member := func(name string, v any) error {
		value, err := json.Marshal(v)
		if err != nil {
			return err
		}
		key, err := json.Marshal(name)
		if err != nil {
			return err
		}
		if len(header) > 1 {
			header = append(header, ',')
		}
		header = append(append(append(header, key...), ':'), value...)
		return nil
	}
	if meta != nil {
		if err := member("__metadata__", meta); err != nil {
			return nil, fmt.Errorf("write safetensors: %w", err)
		}
	}
	at := 0
	for _, t := range tensors {
		if d, ok := weights.ParseDType(t.DType.String()); !ok || d.Quantized() {
			return nil, fmt.Errorf("write safetensors: tensor %s: %w: no %v in this format", show(t.Name), weights.ErrUnsupported, t.DType)
		}
		shape := append([]int{}, t.Shape...)
		if err := member(t.Name, map[string]any{"dtype": t.DType.String(), "shape": shape, "data_offsets": []int{at, at + len(t.Data)}}); err != nil {
			return nil, fmt.Errorf("write safetensors: %w", err)
		}
		at += len(t.Data)
	}
	header = append(header, '}')
	for len(header)%8 != 0 { // so that the tensors begin aligned
		header = append(header, ' ')
	}
	out := slices.Grow(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), len(header)+at)
	out = append(out, header...)
	for _, t := range tensors {
		out = append(out, t.Data...)
	}
	return out, nil
}
