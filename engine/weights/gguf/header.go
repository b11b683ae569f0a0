package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"unicode/utf8"

	"kestrel/engine/weights"
)

const (
	magic            = "GGUF"
	defaultAlignment = 32
	maxKey           = 1<<16 - 1 // bytes of a key, by the specification; of a tensor's name here too
	maxDims          = 4         // GGML_MAX_DIMS
	maxDepth         = 4         // arrays in arrays
	maxKeys          = 1 << 16   // more than any file has, and a bound on what the maps take
	maxTensors       = 1 << 20
)

// cursor reads the header; the first error is kept, after it all is zero.
type cursor struct {
	file string
	data []byte
	at   int
	err  error
}

func (c *cursor) fail(format string, args ...any) {
	if c.err == nil {
		c.err = &weights.FileError{Kind: weights.ErrBadModel, File: c.file, Problem: fmt.Sprintf(format, args...),
			Way: "the file is damaged or not a GGUF model; download it again"}
	}
}

func (c *cursor) unsupported(problem, way string) {
	if c.err == nil {
		c.err = &weights.FileError{Kind: weights.ErrUnsupported, File: c.file, Problem: problem, Way: way}
	}
}

func (c *cursor) left() uint64 { return uint64(len(c.data) - c.at) }

// subject is what is being read, put into words only for an error.
type subject struct{ noun, name string }

func (s subject) String() string {
	if s.name == "" {
		return s.noun
	}
	return s.noun + " " + show(s.name)
}

func (c *cursor) bytes(n uint64, what subject) []byte {
	if c.err == nil && n > c.left() {
		c.fail("%v needs %d bytes at byte %d, but only %d follow: the file is cut short", what, n, c.at, c.left())
	}
	if c.err != nil {
		return nil
	}
	b := c.data[c.at : c.at+int(n)]
	c.at += int(n)
	return b
}

func (c *cursor) u32(what subject) uint32 {
	if b := c.bytes(4, what); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) u64(what subject) uint64 {
	if b := c.bytes(8, what); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// name reads a key or the name of a tensor.
func (c *cursor) name(noun string) string {
	what := subject{noun: noun}
	n := c.u64(what)
	if n > maxKey {
		c.fail("%v of %d bytes at byte %d", what, n, c.at)
	}
	b := c.bytes(n, what)
	if c.err == nil && !utf8.Valid(b) {
		c.fail("%v at byte %d is not UTF-8", what, c.at-len(b))
	}
	return string(b)
}

// value is one entry of the metadata, its bytes not yet decoded.
type value struct {
	key        string
	kind, elem valueType // elem is the kind itself unless it is an array
	count      int       // elements of an array, else 1
	data       []byte    // count elements, one after the other
}

func (c *cursor) value(key string) value {
	what := subject{"metadata key", key}
	v := value{kind: valueType(c.u32(what)), count: 1}
	v.elem = v.kind
	start := c.at
	if v.kind == typeArray {
		v.elem, v.count = c.arrayHead(what)
		start = c.at
		c.skip(what, v.elem, v.count, 1)
	} else {
		c.skip(what, v.kind, 1, 0)
	}
	v.data = c.data[start:c.at]
	return v
}

func (c *cursor) arrayHead(what subject) (elem valueType, count int) {
	elem = valueType(c.u32(what))
	n := c.u64(what)
	if n > c.left() { // every element takes a byte at least
		c.fail("%v has %d elements, but only %d bytes follow", what, n, c.left())
		return elem, 0
	}
	return elem, int(n)
}

// skip walks over n values, which checks them.
func (c *cursor) skip(what subject, kind valueType, n, depth int) {
	switch {
	case kind >= numValueTypes:
		c.fail("%v has the unknown type %d", what, uint32(kind))
	case kind == typeString:
		for ; n > 0 && c.err == nil; n-- {
			c.bytes(c.u64(what), what)
		}
	case kind == typeArray:
		if depth >= maxDepth {
			c.fail("%v nests arrays deeper than %d", what, maxDepth)
		}
		for ; n > 0 && c.err == nil; n-- {
			elem, count := c.arrayHead(what)
			c.skip(what, elem, count, depth+1)
		}
	default:
		c.bytes(uint64(n)*uint64(valueTypes[kind].size), what)
	}
}

// info is one tensor as the header states it.
type info struct {
	name   string
	shape  []int // slowest first, the reverse of the file's order
	kind   ggmlType
	offset uint64
	size   int64 // bytes; 0 where the type is unknown
	data   []byte
}

func (c *cursor) info() info {
	t := info{name: c.name("the name of a tensor")}
	what := subject{"tensor", t.name}
	dims := c.u32(what)
	if dims > maxDims {
		c.fail("%v has %d dimensions, more than the %d allowed", what, dims, maxDims)
	}
	elements := uint64(1)
	for i := uint32(0); i < dims && c.err == nil; i++ {
		d := c.u64(what)
		hi, lo := bits.Mul64(elements, d)
		if d > math.MaxInt32 || hi != 0 || lo > math.MaxInt64/16 {
			c.fail("%v has an impossible dimension of %d", what, d)
			break
		}
		elements = lo
		t.shape = append(t.shape, int(d))
	}
	t.kind = ggmlType(c.u32(what))
	t.offset = c.u64(what)
	if k, ok := ggmlTypes[t.kind]; ok && c.err == nil {
		row := int64(1)
		if len(t.shape) > 0 {
			row = int64(t.shape[0])
		}
		if row%k.elements != 0 {
			c.fail("%v has rows of %d elements, not a multiple of the %d in a block of %s", what, row, k.elements, k.name)
		}
		t.size = int64(elements) / k.elements * k.bytes
	}
	slices.Reverse(t.shape)
	return t
}

// parse reads and checks everything before the tensors' bytes, and that those
// lie in the file without overlap.
func (f *File) parse(data []byte) error {
	c := &cursor{file: f.path, data: data}
	if len(data) < 4 || string(data[:4]) != magic {
		c.fail("not a GGUF file: it does not begin with %q", magic)
		return c.err
	}
	c.at = 4
	f.version = c.u32(subject{noun: "the version"})
	switch {
	case f.version == 2 || f.version == 3:
	case f.version == 1:
		c.unsupported("GGUF version 1", "convert the original model again; Kestrel reads versions 2 and 3")
	case f.version&0xffff == 0 && f.version != 0:
		c.unsupported("a big-endian GGUF file", "use the little-endian file of the model")
	default:
		c.unsupported(fmt.Sprintf("GGUF version %d", f.version), "Kestrel reads versions 2 and 3")
	}
	tensors, keys := c.u64(subject{noun: "the number of tensors"}), c.u64(subject{noun: "the number of keys"})
	if keys > maxKeys || keys > c.left()/13 { // length, type and one byte of value
		c.fail("%d metadata keys in a file with %d more bytes", keys, c.left())
	}
	if tensors > maxTensors || tensors > c.left()/24 { // length, dimensions, type, offset
		c.fail("%d tensors in a file with %d more bytes", tensors, c.left())
	}
	if c.err != nil {
		return c.err
	}
	f.values, f.keys = make([]value, 0, keys), make(map[string]int, keys)
	for ; keys > 0 && c.err == nil; keys-- {
		key := c.name("a metadata key")
		v := c.value(key)
		if _, ok := f.keys[key]; ok {
			c.fail("metadata key %s is there twice", show(key))
		}
		v.key = key
		f.keys[key] = len(f.values)
		f.values = append(f.values, v)
	}
	f.tensors, f.index = make([]info, 0, tensors), make(map[string]int, tensors)
	for ; tensors > 0 && c.err == nil; tensors-- {
		t := c.info()
		if _, ok := f.index[t.name]; ok {
			c.fail("tensor %s is there twice", show(t.name))
		}
		f.index[t.name] = len(f.tensors)
		f.tensors = append(f.tensors, t)
	}
	if c.err == nil {
		f.place(c)
	}
	return c.err
}

// place finds the tensors' bytes.
func (f *File) place(c *cursor) {
	align, ok, err := f.Int("general.alignment")
	switch {
	case err != nil:
		c.err = err
	case !ok:
		align = defaultAlignment
	case align <= 0 || align > 1<<30 || align&(align-1) != 0:
		c.fail("general.alignment is %d, not a power of two", align)
	}
	if c.err != nil || len(f.tensors) == 0 { // a file of a vocabulary alone has no data
		return
	}
	begin := (uint64(c.at) + uint64(align) - 1) &^ (uint64(align) - 1)
	if begin > uint64(len(c.data)) {
		c.fail("the tensors should begin at byte %d, but the file has %d: it is cut short", begin, len(c.data))
		return
	}
	body := c.data[begin:]
	order := make([]int, len(f.tensors))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := f.tensors[a], f.tensors[b]
		switch {
		case x.offset != y.offset && x.offset < y.offset, x.offset == y.offset && x.size < y.size:
			return -1
		case x.offset == y.offset && x.size == y.size:
			return 0
		}
		return 1
	})
	var end uint64 // of the tensors before
	var before string
	for _, i := range order {
		t := &f.tensors[i]
		bad := func(format string, args ...any) {
			c.err = &weights.FileError{Kind: weights.ErrBadModel, File: c.file, Tensor: t.name,
				Problem: fmt.Sprintf(format, args...), Way: "download the file again"}
		}
		size := uint64(t.size)
		switch {
		case t.offset%uint64(align) != 0:
			bad("offset %d is not a multiple of the alignment %d", t.offset, align)
		case t.offset > uint64(len(body)) || size > uint64(len(body))-t.offset:
			bad("needs %d bytes at offset %d, but the file has %d for tensors: it is cut short", size, t.offset, len(body))
		case t.offset < end:
			bad("its bytes from offset %d overlap tensor %s, which ends at %d", t.offset, show(before), end)
		}
		if c.err != nil {
			return
		}
		end, before = t.offset+size, t.name
		t.data = body[t.offset:end:end]
	}
}

func show(s string) string {
	if len(s) > 120 {
		return fmt.Sprintf("%q…", s[:120])
	}
	return fmt.Sprintf("%q", s)
}
