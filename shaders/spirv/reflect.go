// Package spirv reads the interface of a compute shader out of its SPIR-V
// module: what a pipeline has to agree with. It reads only what glslc writes
// for Kestrel's kernels and is no general reflection library.
//
// Source: the SPIR-V specification, version 1.6, sections 2.3 (physical
// layout), 3.20 (decorations) and 3.52 (instructions).
package spirv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// ErrBadModule wraps every error of Reflect.
var ErrBadModule = errors.New("not a SPIR-V compute module")

// Interface is what the host must agree with to run a module.
type Interface struct {
	EntryPoint   string
	Bindings     []Binding   // by set, then binding
	PushBytes    int         // extent of the push constant block, 0 without one
	Constants    []uint32    // ids of the specialization constants, ascending
	LocalSize    [3]Constant // work group size in x, y, z
	Capabilities []uint32    // SPIR-V capability numbers, ascending
	Extensions   []string    // SPV_… names, sorted
}

// Binding is a storage buffer of a descriptor set.
type Binding struct {
	Set, Binding       int
	Readable, Writable bool
}

// Constant is a number, or where Specialized the default of constant id ID.
type Constant struct {
	Value       uint32
	Specialized bool
	ID          uint32
}

const (
	opExtension                                          = 10
	opEntryPoint, opExecutionMode, opCapability          = 15, 16, 17
	opTypeInt, opTypeFloat, opTypeVector, opTypeMatrix   = 21, 22, 23, 24
	opTypeArray, opTypeRuntimeArray, opTypeStruct        = 28, 29, 30
	opTypePointer                                        = 32
	opConstant, opSpecConstantTrue, opSpecConstantFalse  = 43, 48, 49
	opConstantComposite                                  = 44
	opSpecConstant, opSpecConstantComposite              = 50, 51
	opVariable                                           = 59
	opDecorate, opMemberDecorate                         = 71, 72
	opExecutionModeID                                    = 331
	decSpecID, decArrayStride, decMatrixStride           = 1, 6, 7
	decBuiltIn, decNonWritable, decNonReadable           = 11, 24, 25
	decBinding, decDescriptorSet, decOffset              = 33, 34, 35
	storageUniform, storagePushConstant, storageBuffer   = 2, 9, 12
	modeLocalSize, modeLocalSizeID, builtInWorkgroupSize = 17, 38, 25
	modelGLCompute                                       = 5
)

// Reflect reads the interface of a module with one compute entry point.
func Reflect(code []byte) (Interface, error) {
	m, err := parse(code)
	if err != nil {
		return Interface{}, fmt.Errorf("%w: %w", ErrBadModule, err)
	}
	face, err := m.face()
	if err != nil {
		return Interface{}, fmt.Errorf("%w: %w", ErrBadModule, err)
	}
	return face, nil
}

// module holds the declarations of a SPIR-V module by result id.
type module struct {
	entry        string
	capabilities []uint32
	extensions   []string
	types        map[uint32]instruction // OpType*
	constants    map[uint32]instruction // OpConstant*, OpSpecConstant*
	variables    []variable
	decorations  map[uint32]map[uint32]uint32   // target, decoration: first operand (0 if none)
	members      map[uint32][]map[uint32]uint32 // struct, member, decoration: first operand
	localSize    []uint32                       // operands of LocalSize
	localSizeIDs []uint32                       // operands of LocalSizeId
}

type instruction struct {
	op       uint16
	operands []uint32 // without the result id; constants keep their type first
}

type variable struct{ id, pointer, storage uint32 }

func parse(code []byte) (*module, error) {
	if len(code) < 20 || len(code)%4 != 0 {
		return nil, fmt.Errorf("%d bytes", len(code))
	}
	if magic := binary.LittleEndian.Uint32(code); magic != 0x07230203 {
		return nil, fmt.Errorf("magic number %#x", magic)
	}
	words := make([]uint32, len(code)/4)
	for i := range words {
		words[i] = binary.LittleEndian.Uint32(code[4*i:])
	}
	m := &module{
		types: map[uint32]instruction{}, constants: map[uint32]instruction{},
		decorations: map[uint32]map[uint32]uint32{}, members: map[uint32][]map[uint32]uint32{},
	}
	for at := 5; at < len(words); {
		count, op := int(words[at]>>16), uint16(words[at])
		if count == 0 || at+count > len(words) {
			return nil, fmt.Errorf("instruction of %d words at word %d of %d", count, at, len(words))
		}
		if err := m.add(op, words[at+1:at+count]); err != nil {
			return nil, err
		}
		at += count
	}
	return m, nil
}

// fewest operands of the instructions that add reads.
var fewest = map[uint16]int{
	opExtension: 1, opEntryPoint: 3, opExecutionMode: 2, opExecutionModeID: 2, opCapability: 1,
	opTypeInt: 3, opTypeFloat: 2, opTypeVector: 3, opTypeMatrix: 3, opTypeArray: 3, opTypeRuntimeArray: 2,
	opTypeStruct: 1, opTypePointer: 3, opConstant: 3, opConstantComposite: 2, opSpecConstantTrue: 2,
	opSpecConstantFalse: 2, opSpecConstant: 3, opSpecConstantComposite: 2, opVariable: 3,
	opDecorate: 2, opMemberDecorate: 3,
}

func (m *module) add(op uint16, w []uint32) error {
	need, known := fewest[op]
	if !known {
		return nil
	}
	if len(w) < need {
		return fmt.Errorf("instruction %d has %d operands, want at least %d", op, len(w), need)
	}
	switch op {
	case opCapability:
		m.capabilities = append(m.capabilities, w[0])
	case opExtension:
		m.extensions = append(m.extensions, text(w))
	case opEntryPoint:
		if m.entry != "" || w[0] != modelGLCompute {
			return errors.New("want one entry point, of a compute shader")
		}
		m.entry = text(w[2:])
	case opExecutionMode, opExecutionModeID:
		if w[1] == modeLocalSize {
			m.localSize = w[2:]
		} else if w[1] == modeLocalSizeID {
			m.localSizeIDs = w[2:]
		}
	case opConstant, opConstantComposite, opSpecConstantTrue, opSpecConstantFalse, opSpecConstant, opSpecConstantComposite:
		m.constants[w[1]] = instruction{op, append([]uint32{w[0]}, w[2:]...)}
	case opVariable:
		m.variables = append(m.variables, variable{id: w[1], pointer: w[0], storage: w[2]})
	case opDecorate:
		if m.decorations[w[0]] == nil {
			m.decorations[w[0]] = map[uint32]uint32{}
		}
		m.decorations[w[0]][w[1]] = first(w[2:])
	case opMemberDecorate:
		return m.decorateMember(w[0], w[1], w[2], first(w[3:]))
	default:
		m.types[w[0]] = instruction{op, w[1:]}
	}
	return nil
}

func (m *module) decorateMember(target, member, decoration, operand uint32) error {
	if member > 1<<10 {
		return fmt.Errorf("member %d of a structure", member)
	}
	for uint32(len(m.members[target])) <= member {
		m.members[target] = append(m.members[target], map[uint32]uint32{})
	}
	m.members[target][member][decoration] = operand
	return nil
}

func first(w []uint32) uint32 {
	if len(w) == 0 {
		return 0
	}
	return w[0]
}

// text reads a literal string: UTF-8, four bytes a word, zero at the end.
func text(w []uint32) string {
	var b []byte
	for _, word := range w {
		b = binary.LittleEndian.AppendUint32(b, word)
	}
	if end := slices.Index(b, 0); end >= 0 {
		b = b[:end]
	}
	return string(b)
}
