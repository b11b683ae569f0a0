package spirv

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

func (m *module) face() (Interface, error) {
	if m.entry == "" {
		return Interface{}, errors.New("no entry point")
	}
	f := Interface{EntryPoint: m.entry, Capabilities: m.capabilities, Extensions: m.extensions}
	slices.Sort(f.Capabilities)
	slices.Sort(f.Extensions)
	for id := range m.constants {
		if spec, ok := m.decorations[id][decSpecID]; ok {
			f.Constants = append(f.Constants, spec)
		}
	}
	slices.Sort(f.Constants)
	for _, v := range m.variables {
		if err := m.addVariable(&f, v); err != nil {
			return f, err
		}
	}
	slices.SortFunc(f.Bindings, func(a, b Binding) int {
		return cmp.Or(cmp.Compare(a.Set, b.Set), cmp.Compare(a.Binding, b.Binding))
	})
	var err error
	f.LocalSize, err = m.workGroup()
	return f, err
}

func (m *module) addVariable(f *Interface, v variable) error {
	pointer := m.types[v.pointer]
	if pointer.op != opTypePointer || len(pointer.operands) < 2 {
		return fmt.Errorf("variable %d has no pointer type", v.id)
	}
	pointee := pointer.operands[1]
	switch v.storage {
	case storagePushConstant:
		size, err := m.size(pointee, 0, 0)
		f.PushBytes = size
		return err
	case storageBuffer, storageUniform:
		binding, ok := m.decorations[v.id][decBinding]
		if !ok {
			return fmt.Errorf("buffer variable %d has no binding", v.id)
		}
		f.Bindings = append(f.Bindings, Binding{
			Set:      int(m.decorations[v.id][decDescriptorSet]),
			Binding:  int(binding),
			Readable: !m.decorated(v.id, pointee, decNonReadable),
			Writable: !m.decorated(v.id, pointee, decNonWritable),
		})
	}
	return nil
}

// decorated reports whether the variable, or each member of its block, bears
// the decoration: glslang puts readonly and writeonly on either.
func (m *module) decorated(variable, block, decoration uint32) bool {
	if _, ok := m.decorations[variable][decoration]; ok {
		return true
	}
	members := m.members[block]
	for _, d := range members {
		if _, ok := d[decoration]; !ok {
			return false
		}
	}
	return len(members) > 0
}

// size is the extent of a type in bytes under the offsets and strides that
// decorate it. matrixStride comes from the structure member that holds it.
func (m *module) size(id, matrixStride uint32, depth int) (int, error) {
	t, ok := m.types[id]
	if !ok || depth > 16 {
		return 0, fmt.Errorf("type %d in the push constant block", id)
	}
	switch t.op {
	case opTypeInt, opTypeFloat:
		return int(t.operands[0] / 8), nil
	case opTypePointer: // a buffer device address
		return 8, nil
	case opTypeVector:
		n, err := m.size(t.operands[0], 0, depth+1)
		return n * int(t.operands[1]), err
	case opTypeMatrix:
		return int(matrixStride) * int(t.operands[1]), nil
	case opTypeArray:
		length, ok := m.constants[t.operands[1]]
		if !ok || len(length.operands) < 2 {
			return 0, fmt.Errorf("length of array type %d", id)
		}
		return int(m.decorations[id][decArrayStride]) * int(length.operands[1]), nil
	case opTypeStruct:
		end := 0
		for i, member := range t.operands {
			var d map[uint32]uint32
			if i < len(m.members[id]) {
				d = m.members[id][i]
			}
			n, err := m.size(member, d[decMatrixStride], depth+1)
			if err != nil {
				return 0, err
			}
			end = max(end, int(d[decOffset])+n)
		}
		return end, nil
	}
	return 0, fmt.Errorf("type %d (operation %d) in the push constant block", id, t.op)
}

// workGroup finds the work group size, which may be stated three ways; the
// WorkgroupSize constant goes before the execution modes.
func (m *module) workGroup() ([3]Constant, error) {
	for id, d := range m.decorations {
		if builtIn, ok := d[decBuiltIn]; !ok || builtIn != builtInWorkgroupSize {
			continue
		}
		if c, ok := m.constants[id]; ok && len(c.operands) == 4 {
			return m.constantsOf(c.operands[1:])
		}
	}
	if len(m.localSizeIDs) == 3 {
		return m.constantsOf(m.localSizeIDs)
	}
	if len(m.localSize) == 3 {
		return [3]Constant{{Value: m.localSize[0]}, {Value: m.localSize[1]}, {Value: m.localSize[2]}}, nil
	}
	return [3]Constant{}, errors.New("no work group size")
}

func (m *module) constantsOf(ids []uint32) (out [3]Constant, err error) {
	for i, id := range ids {
		c, ok := m.constants[id]
		if !ok || len(c.operands) < 2 {
			return out, fmt.Errorf("work group size: %d is no constant", id)
		}
		spec, specialized := m.decorations[id][decSpecID]
		out[i] = Constant{Value: c.operands[1], Specialized: specialized, ID: spec}
	}
	return out, nil
}
