package gguf

import (
	"encoding/binary"
	"fmt"
	"math"

	"kestrel/engine/weights"
)

// Keys lists the keys of the metadata in the order of the file.
func (f *File) Keys() []string {
	keys := make([]string, len(f.values))
	for i, v := range f.values {
		keys[i] = v.key
	}
	return keys
}

// The getters return ok false where the key is absent, and an error of kind
// weights.ErrBadModel where it has another type.

// String returns a text.
func (f *File) String(key string) (s string, ok bool, err error) {
	v, ok, err := f.find(key, "a string", false, func(k valueType) bool { return k == typeString })
	if !ok {
		return "", ok, err
	}
	return string(v.data[8:]), true, nil
}

// Int returns an integer of any width.
func (f *File) Int(key string) (n int64, ok bool, err error) {
	v, ok, err := f.find(key, "an integer", false, isInteger)
	if !ok {
		return 0, ok, err
	}
	n, ok = v.integer(0)
	if !ok {
		return 0, false, f.wrong(key, "an integer below 2^63", v)
	}
	return n, true, nil
}

// Float returns a number of any type.
func (f *File) Float(key string) (x float64, ok bool, err error) {
	v, ok, err := f.find(key, "a number", false, func(k valueType) bool { return k == typeFloat32 || k == typeFloat64 || isInteger(k) })
	switch {
	case !ok:
		return 0, ok, err
	case v.kind == typeFloat32:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(v.data))), true, nil
	case v.kind == typeFloat64:
		return math.Float64frombits(binary.LittleEndian.Uint64(v.data)), true, nil
	}
	n, ok, err := f.Int(key)
	return float64(n), ok, err
}

// Bool returns a truth value.
func (f *File) Bool(key string) (b, ok bool, err error) {
	v, ok, err := f.find(key, "a bool", false, func(k valueType) bool { return k == typeBool })
	if !ok {
		return false, ok, err
	}
	return v.data[0] != 0, true, nil
}

// Strings returns an array of texts.
func (f *File) Strings(key string) (list []string, ok bool, err error) {
	v, ok, err := f.find(key, "an array of strings", true, func(k valueType) bool { return k == typeString })
	if !ok {
		return nil, ok, err
	}
	list = make([]string, v.count) // each takes 8 bytes of the file at least
	for i, data := 0, v.data; i < v.count; i++ {
		n := int(binary.LittleEndian.Uint64(data)) // checked when the file was opened
		list[i] = string(data[8 : 8+n])
		data = data[8+n:]
	}
	return list, true, nil
}

// Int32s returns an array of integers of any type, each of which must fit.
func (f *File) Int32s(key string) (list []int32, ok bool, err error) {
	v, ok, err := f.find(key, "an array of integers", true, isInteger)
	if !ok {
		return nil, ok, err
	}
	list = make([]int32, v.count)
	for i := range list {
		n, ok := v.integer(i)
		if !ok || int64(int32(n)) != n {
			return nil, false, f.wrong(key, "an array of integers below 2^31", v)
		}
		list[i] = int32(n)
	}
	return list, true, nil
}

// Len returns the length of an array, 0 for anything else.
func (f *File) Len(key string) int {
	if i, ok := f.keys[key]; ok && f.values[i].kind == typeArray {
		return f.values[i].count
	}
	return 0
}

func (f *File) find(key, expected string, array bool, fits func(valueType) bool) (value, bool, error) {
	i, ok := f.keys[key]
	if !ok {
		return value{}, false, nil
	}
	v := f.values[i]
	if (v.kind == typeArray) != array || !fits(v.elem) {
		return v, false, f.wrong(key, expected, v)
	}
	return v, true, nil
}

func (f *File) wrong(key, expected string, v value) error {
	found := v.kind.String()
	if v.kind == typeArray {
		found = "array of " + v.elem.String()
	}
	return &weights.FileError{Kind: weights.ErrBadModel, File: f.path,
		Problem: fmt.Sprintf("metadata key %s: expected %s, found %s", show(key), expected, found)}
}

func isInteger(k valueType) bool {
	switch k {
	case typeUint8, typeInt8, typeUint16, typeInt16, typeUint32, typeInt32, typeUint64, typeInt64:
		return true
	}
	return false
}

// integer returns element i; false when it exceeds int64.
func (v value) integer(i int) (int64, bool) {
	size := valueTypes[v.elem].size
	b := v.data[i*size:]
	switch v.elem {
	case typeUint8:
		return int64(b[0]), true
	case typeInt8:
		return int64(int8(b[0])), true
	case typeUint16:
		return int64(binary.LittleEndian.Uint16(b)), true
	case typeInt16:
		return int64(int16(binary.LittleEndian.Uint16(b))), true
	case typeUint32:
		return int64(binary.LittleEndian.Uint32(b)), true
	case typeInt32:
		return int64(int32(binary.LittleEndian.Uint32(b))), true
	}
	n := binary.LittleEndian.Uint64(b)
	return int64(n), v.elem == typeInt64 || n <= math.MaxInt64
}
