package weights

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"kestrel/engine/weights/quant"
)

// halfValue is the definition of binary16, in float64.
func halfValue(h uint16) float64 {
	sign := 1 - 2*float64(h>>15)
	exp, frac := int(h>>10&31), float64(h&0x3ff)
	switch {
	case exp == 31 && frac != 0:
		return math.NaN()
	case exp == 31:
		return math.Inf(int(sign))
	case exp == 0:
		return sign * math.Ldexp(frac, -24)
	}
	return sign * math.Ldexp(1+frac/1024, exp-15)
}

func same(a float32, b float64) bool {
	return math.IsNaN(b) && a != a || float64(a) == b && math.Signbit(float64(a)) == math.Signbit(b)
}

// TestHalves decodes and encodes all 65536 values of both half types.
func TestHalves(t *testing.T) {
	src := make([]byte, 2*65536)
	for i := range 65536 {
		binary.LittleEndian.PutUint16(src[2*i:], uint16(i))
	}
	value := map[DType]func(uint16) float64{
		F16:  halfValue,
		BF16: func(h uint16) float64 { return float64(math.Float32frombits(uint32(h) << 16)) },
	}
	for d, want := range value {
		got := make([]float32, 65536)
		if err := Decode(got, d, src); err != nil {
			t.Fatal(err)
		}
		for i, v := range got {
			if !same(v, want(uint16(i))) {
				t.Fatalf("%v %#04x: got %v, want %v", d, i, v, want(uint16(i)))
			}
		}
		back := make([]byte, len(src))
		if err := Encode(back, d, got); err != nil {
			t.Fatal(err)
		}
		for i, v := range got {
			if h := binary.LittleEndian.Uint16(back[2*i:]); v == v && h != uint16(i) {
				t.Fatalf("%v %v: encoded as %#04x, want %#04x", d, v, h, i)
			} else if v != v && !math.IsNaN(want(h)) {
				t.Fatalf("%v: NaN %#04x encoded as %#04x, which is not one", d, i, h)
			}
		}
	}
}

// TestRounding encodes values between two halves: the nearer must be chosen,
// and of two equally near the one with an even last bit.
func TestRounding(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	value := map[DType]func(uint16) float64{
		F16:  halfValue,
		BF16: func(h uint16) float64 { return float64(math.Float32frombits(uint32(h) << 16)) },
	}
	infinity := map[DType]uint16{F16: 0x7c00, BF16: 0x7f80}
	largest := map[DType]float64{F16: 65536, BF16: 0x1p128} // what infinity stands for when rounding
	for d, of := range value {
		finite := func(h uint16) float64 {
			if h == infinity[d] {
				return largest[d]
			}
			return of(h)
		}
		for h := uint16(0); h < infinity[d]; h++ {
			low, high := finite(h), finite(h+1)
			middle := (low + high) / 2
			for _, v := range []float64{middle, low + (high-low)*r.Float64()} {
				f := float32(v)
				if math.IsInf(float64(f), 0) {
					continue
				}
				want := h
				switch x := float64(f); {
				case x > middle, x == middle && h&1 == 1:
					want = h + 1
				}
				var b [2]byte
				for _, sign := range []float32{1, -1} {
					if err := Encode(b[:], d, []float32{sign * f}); err != nil {
						t.Fatal(err)
					}
					w := want
					if sign < 0 {
						w |= 0x8000
					}
					if got := binary.LittleEndian.Uint16(b[:]); got != w {
						t.Fatalf("%v of %v: got %#04x, want %#04x", d, sign*f, got, w)
					}
				}
			}
		}
	}
}

func TestOverflow(t *testing.T) {
	for _, v := range []float32{65520, 65536, 70000, 0x1p17 - 1, 0x1p17, 1e6, math.MaxFloat32, float32(math.Inf(1))} {
		var b [4]byte
		if err := Encode(b[:], F16, []float32{v, -v}); err != nil {
			t.Fatal(err)
		}
		if got := binary.LittleEndian.Uint32(b[:]); got != 0xfc007c00 {
			t.Errorf("F16 of %v and its negative: %#08x", v, got)
		}
	}
}

func TestQ8(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	x := make([]float32, 32*50)
	for i := range x {
		x[i] = float32(r.NormFloat64() * math.Exp(3*r.NormFloat64()))
	}
	clear(x[32:64]) // a block of zeros
	data := make([]byte, Q8_0.Bytes(len(x)))
	if err := Encode(data, Q8_0, x); err != nil {
		t.Fatal(err)
	}
	got := make([]float32, len(x))
	if err := Decode(got, Q8_0, data); err != nil {
		t.Fatal(err)
	}
	for b := range len(x) / 32 {
		block := data[34*b:]
		scale := halfValue(binary.LittleEndian.Uint16(block))
		for i := range 32 {
			q := int8(block[2+i])
			if want := scale * float64(q); float64(got[32*b+i]) != want {
				t.Fatalf("block %d value %d: got %v, want exactly %v", b, i, got[32*b+i], want)
			}
			// Half a step, and what rounding the scale to 11 bits moves 127 steps.
			if err := math.Abs(float64(got[32*b+i] - x[32*b+i])); err > scale*(0.5+127*0x1p-11)*1.0001 {
				t.Fatalf("block %d value %d: %v became %v, scale %v", b, i, x[32*b+i], got[32*b+i], scale)
			}
		}
	}
}

func TestCodecErrors(t *testing.T) {
	for _, c := range []struct {
		d        DType
		n, bytes int
		kind     error
	}{
		{F32, 2, 7, ErrBadModel}, {F16, 2, 6, ErrBadModel}, {Q8_0, 31, 34, ErrBadModel}, {Q8_0, 32, 33, ErrBadModel},
		{Q4_K, 32, 18, ErrBadModel}, {Q4_K, 256, 143, ErrBadModel}, {IQ4_NL, 33, 18, ErrBadModel},
		{F64, 1, 8, ErrUnsupported}, {Invalid, 1, 1, ErrUnsupported}, {DType(200), 1, 1, ErrUnsupported},
	} {
		if err := Decode(make([]float32, c.n), c.d, make([]byte, c.bytes)); !errors.Is(err, c.kind) {
			t.Errorf("decode %v, %d elements from %d bytes: %v", c.d, c.n, c.bytes, err)
		}
		if err := Encode(make([]byte, c.bytes), c.d, make([]float32, c.n)); !errors.Is(err, c.kind) {
			t.Errorf("encode %v, %d elements to %d bytes: %v", c.d, c.n, c.bytes, err)
		}
	}
}

// TestHasNaN puts every 16-bit pattern, and 32- and 64-bit ones at the edges,
// at every place a loop could treat differently.
func TestHasNaN(t *testing.T) {
	finite := func(d DType, p uint64) bool {
		switch d {
		case F16, Q8_0:
			v := halfValue(uint16(p))
			return !math.IsNaN(v) && !math.IsInf(v, 0)
		case BF16:
			p <<= 16
			fallthrough
		case F32:
			v := float64(math.Float32frombits(uint32(p)))
			return !math.IsNaN(v) && !math.IsInf(v, 0)
		}
		v := math.Float64frombits(p)
		return !math.IsNaN(v) && !math.IsInf(v, 0)
	}
	edges := map[DType][]uint64{
		F32: {0, 0x7f7fffff, 0x7f800000, 0xff800000, 0x7f800001, 0x7fffffff, 0xffffffff, 0xff7fffff, 0x80000000, 0x3f800000},
		F64: {0, 0x7fefffffffffffff, 0x7ff0000000000000, 0xfff0000000000000, 0x7ff0000000000001, 0xffffffffffffffff, 1 << 63},
	}
	for p := range uint64(65536) {
		for _, d := range []DType{F16, BF16, Q8_0} {
			edges[d] = append(edges[d], p)
		}
	}
	for d, patterns := range edges {
		width := d.BlockBytes()
		if d == Q8_0 {
			width = 2 // of the scale
		}
		for i, p := range patterns {
			n := 1 + i%70 // elements or blocks: whole strides, tails, single ones
			at := (i * 7) % n
			data := make([]byte, n*d.BlockBytes())
			if d != Q8_0 {
				for j := range data { // large finite values all around
					data[j] = map[int]byte{width - 1: 0x7b, width - 2: 0x7f}[j%width]
				}
			}
			var word [8]byte
			binary.LittleEndian.PutUint64(word[:], p)
			copy(data[at*d.BlockBytes():], word[:width])
			if got, want := HasNaN(d, data), !finite(d, p); got != want {
				t.Fatalf("%v %#x as number %d of %d: got %v, want %v", d, p, at, n, got, want)
			}
		}
	}
	if HasNaN(I64, []byte{255, 255, 255, 255, 255, 255, 255, 255}) || HasNaN(F16, nil) {
		t.Error("found a NaN where there can be none")
	}
}

func TestDTypes(t *testing.T) {
	for d := F32; d < numDTypes; d++ {
		got, ok := ParseDType(d.String())
		if !ok || got != d || d.BlockBytes() == 0 {
			t.Errorf("%v: parsed as %v, %d bytes a block", d, got, d.BlockBytes())
		}
	}
	for name, want := range map[string]int64{"F32": 256, "BF16": 128, "Q8_0": 68, "F8_E4M3": 64, "Q4_0": 36, "IQ4_NL": 36} {
		if d, ok := ParseDType(name); !ok || d.Bytes(64) != want {
			t.Errorf("64 elements of %s take %d bytes, want %d", name, d.Bytes(64), want)
		}
	}
	if _, ok := ParseDType("invalid"); ok {
		t.Error("the invalid type has a name to parse")
	}
	if s := fmt.Sprint(DType(99)); s != "DType(99)" {
		t.Errorf("an unknown type prints as %q", s)
	}
}

// TestQuantizations: what package quant knows is a type here, and back.
func TestQuantizations(t *testing.T) {
	found, formats := 0, slices.Concat(quant.Formats, quant.Checkpoint4)
	for d := Invalid; d < numDTypes; d++ {
		if !d.Quantized() {
			continue
		}
		found++
		f := dtypes[d].format
		if d.String() != f.Name || !d.Decodable() || !slices.Contains(formats, f) {
			t.Errorf("%v is %+v", d, f)
		}
		x := make([]float32, 1024)
		for i := range x {
			x[i] = float32(math.Sin(float64(i)))
		}
		data := make([]byte, d.Bytes(len(x)))
		if err := Encode(data, d, x); err != nil {
			t.Fatal(err)
		}
		got, err := Tensor{Name: "w", DType: d, Shape: []int{2, 512}, Data: data}.Float32s()
		if err != nil {
			t.Fatal(err)
		}
		var sum float64
		for i := range x {
			sum += math.Pow(float64(got[i]-x[i]), 2)
		}
		if e := math.Sqrt(sum / float64(len(x))); e == 0 || e > 0.2 {
			t.Errorf("%v: root mean square error %v", d, e)
		}
		if HasNaN(d, data) {
			t.Errorf("%v: found a NaN in %d sound blocks", d, len(x)/d.BlockSize())
		}
		x[1023] = float32(math.NaN())
		if err := Encode(data, d, x); err != nil || !HasNaN(d, data) {
			t.Errorf("%v: missed a NaN in the last block; %v", d, err)
		}
	}
	if found != len(formats) {
		t.Errorf("%d quantized types, %d formats", found, len(formats))
	}
	if DType(200).Quantized() || HasNaN(DType(200), []byte{255}) {
		t.Error("an unknown type is a quantization")
	}
}

func TestFallback(t *testing.T) {
	for _, c := range []struct {
		d    DType
		cols int
		want DType
	}{
		{F32, 7, F32}, {BF16, 7, BF16}, {Q8_0, 32, Q8_0}, {Q8_0, 48, F16}, {Q4_0, 96, Q4_0}, {Q4_0, 16, F16},
		{Q4_K, 256, Q4_K}, {Q4_K, 160, Q8_0}, {Q4_K, 48, F16}, {Q6_K, 128, Q8_0}, {IQ4_XS, 32, Q8_0}, {IQ4_NL, 32, IQ4_NL}, {IQ4_NL, 33, F16},
	} {
		if got := Fallback(c.d, c.cols); got != c.want || c.cols%got.BlockSize() != 0 {
			t.Errorf("%v for rows of %d: got %v, want %v", c.d, c.cols, got, c.want)
		}
	}
}

func BenchmarkHasNaN(b *testing.B) {
	data := make([]byte, 16<<20)
	for _, d := range []DType{F32, F16, BF16, Q8_0} {
		b.Run(d.String(), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				HasNaN(d, data)
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	dst := make([]float32, 1<<20)
	for _, d := range []DType{F32, F16, BF16, Q8_0} {
		src := make([]byte, d.Bytes(len(dst)))
		b.Run(d.String(), func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			for b.Loop() {
				if err := Decode(dst, d, src); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
