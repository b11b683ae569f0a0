package spirv_test

import (
	"encoding/binary"
	"errors"
	"reflect"
	"testing"

	"kestrel/shaders"
	"kestrel/shaders/spirv"
)

// asm builds a module from instructions of (operation, operands…).
func asm(instructions ...[]uint32) []byte {
	words := []uint32{0x07230203, 0x00010300, 0, 100, 0}
	for _, in := range instructions {
		words = append(words, uint32(len(in))<<16|in[0])
		words = append(words, in[1:]...)
	}
	var out []byte
	for _, w := range words {
		out = binary.LittleEndian.AppendUint32(out, w)
	}
	return out
}

// sample declares what this GLSL does:
//
//	layout(local_size_x_id = 3, local_size_y = 2) in;            // default 64
//	layout(set = 0, binding = 1) readonly buffer A { float a[]; };
//	layout(set = 0, binding = 0) buffer B { float b[]; };
//	layout(push_constant) uniform P { uint n; vec4 v; uint w[2]; };
var sample = [][]uint32{
	{17, 1}, {17, 61}, // OpCapability Shader, GroupNonUniform
	{15, 5, 1, 'm' | 'a'<<8 | 'i'<<16 | 'n'<<24, 0}, // OpEntryPoint GLCompute "main"
	{16, 1, 17, 1, 1, 1},                            // OpExecutionMode LocalSize 1 1 1
	{71, 10, 34, 0}, {71, 10, 33, 1},                // variable 10: set 0, binding 1
	{72, 20, 0, 24}, {72, 20, 0, 35, 0}, // its block's member: NonWritable, Offset 0
	{71, 11, 34, 0}, {71, 11, 33, 0}, {72, 21, 0, 35, 0}, // variable 11: set 0, binding 0
	{71, 30, 1, 3}, {71, 33, 11, 25}, // SpecId 3; BuiltIn WorkgroupSize
	{71, 43, 6, 4},                                               // ArrayStride 4
	{72, 44, 0, 35, 0}, {72, 44, 1, 35, 16}, {72, 44, 2, 35, 32}, // push constant offsets
	{21, 40, 32, 0}, {22, 41, 32}, {23, 42, 41, 4}, // uint, float, vec4
	{50, 40, 30, 64}, {43, 40, 31, 2}, {43, 40, 32, 1}, // spec 64; 2; 1
	{51, 45, 33, 30, 31, 32},                 // the work group size
	{28, 43, 40, 31},                         // uint[2]
	{30, 44, 40, 42, 43},                     // struct {uint, vec4, uint[2]}
	{29, 46, 41}, {30, 20, 46}, {30, 21, 46}, // float[], the two blocks
	{32, 50, 12, 20}, {32, 51, 12, 21}, {32, 52, 9, 44}, // pointers
	{59, 50, 10, 12}, {59, 51, 11, 12}, {59, 52, 12, 9}, // variables
}

func TestReflect(t *testing.T) {
	got, err := spirv.Reflect(asm(sample...))
	if err != nil {
		t.Fatal(err)
	}
	want := spirv.Interface{
		EntryPoint:   "main",
		Bindings:     []spirv.Binding{{Binding: 0, Readable: true, Writable: true}, {Binding: 1, Readable: true}},
		PushBytes:    40,
		Constants:    []uint32{3},
		LocalSize:    [3]spirv.Constant{{Value: 64, Specialized: true, ID: 3}, {Value: 2}, {Value: 1}},
		Capabilities: []uint32{1, 61},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestReflectRefuses(t *testing.T) {
	whole := asm(sample...)
	swapped := append([]byte{}, whole...)
	swapped[0], swapped[3] = swapped[3], swapped[0]
	for name, code := range map[string][]byte{
		"empty":             nil,
		"header only":       whole[:20],
		"odd length":        whole[:len(whole)-1],
		"cut instruction":   whole[:len(whole)-4],
		"big endian":        swapped,
		"vertex shader":     asm([]uint32{15, 0, 1, 0}),
		"two entry points":  asm(append(sample, sample[2])...),
		"missing operand":   asm([]uint32{71, 1}),
		"huge member":       asm(append(sample, []uint32{72, 1, 1 << 30, 35, 0})...),
		"buffer unbound":    asm(append(sample, []uint32{59, 50, 99, 12})...),
		"no pointer type":   asm(append(sample, []uint32{59, 40, 99, 12})...),
		"no work group":     asm([]uint32{15, 5, 1, 'm'}),
		"self-holding push": asm([]uint32{15, 5, 1, 'm'}, []uint32{30, 44, 44}, []uint32{32, 52, 9, 44}, []uint32{59, 52, 12, 9}),
	} {
		if _, err := spirv.Reflect(code); !errors.Is(err, spirv.ErrBadModule) {
			t.Errorf("%s: error %v, want ErrBadModule", name, err)
		}
	}
}

func FuzzReflect(f *testing.F) {
	f.Add(asm(sample...))
	for _, name := range shaders.Names()[:1] {
		code, err := shaders.SPIRV(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(code)
	}
	f.Fuzz(func(t *testing.T, code []byte) {
		if _, err := spirv.Reflect(code); err != nil && !errors.Is(err, spirv.ErrBadModule) {
			t.Errorf("error %v is no ErrBadModule", err)
		}
	})
}
