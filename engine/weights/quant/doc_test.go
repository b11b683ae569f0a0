package quant

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"kestrel/engine/weights/half"
)

// documented has each type's formula as the package's documentation writes it,
// element by element.
var documented = map[*Format]func(b []byte, i int) float32{
	Q4_0: func(b []byte, i int) float32 {
		q := nib(b, 2, i)
		return f16(b, 0) * float32(q-8)
	},
	Q4_1: func(b []byte, i int) float32 {
		q := nib(b, 4, i)
		return float32(f16(b, 0)*float32(q)) + f16(b, 2)
	},
	Q5_0: func(b []byte, i int) float32 {
		qh := binary.LittleEndian.Uint32(b[2:])
		q := nib(b, 6, i) | int(qh>>i&1)<<4
		return f16(b, 0) * float32(q-16)
	},
	Q5_1: func(b []byte, i int) float32 {
		qh := binary.LittleEndian.Uint32(b[4:])
		q := nib(b, 8, i) | int(qh>>i&1)<<4
		return float32(f16(b, 0)*float32(q)) + f16(b, 2)
	},
	Q8_0: func(b []byte, i int) float32 { return f16(b, 0) * float32(int8(b[2+i])) },
	IQ4_NL: func(b []byte, i int) float32 {
		return f16(b, 0) * valuesIQ4[nib(b, 2, i)]
	},
	Q2_K: func(b []byte, i int) float32 {
		j := i / 16
		q := b[16+32*(i/128)+i%32] >> (2 * (i / 32 % 4)) & 3
		return float32((f16(b, 80)*float32(b[j]&15))*float32(q)) - f16(b, 82)*float32(b[j]>>4)
	},
	Q3_K: func(b []byte, i int) float32 {
		j := i / 16
		low := int(b[32+32*(i/128)+i%32] >> (2 * (i / 32 % 4)) & 3)
		high := int(b[i%32] >> (i / 32) & 1)
		q := (low | high<<2) - 4
		s := int(b[96+j%8]>>(4*(j/8))&15) | int(b[104+j%4]>>(2*(j/4))&3)<<4
		return f16(b, 108) * float32(s-32) * float32(q)
	},
	Q4_K: func(b []byte, i int) float32 {
		s, m := sm(b, i/32)
		q := b[16+32*(i/64)+i%32] >> (4 * (i / 32 % 2)) & 15
		return float32(f16(b, 0)*float32(s)*float32(q)) - f16(b, 2)*float32(m)
	},
	Q5_K: func(b []byte, i int) float32 {
		j := i / 32
		s, m := sm(b, j)
		q := b[48+32*(i/64)+i%32]>>(4*(i/32%2))&15 | b[16+i%32]>>j&1<<4
		return float32(f16(b, 0)*float32(s)*float32(q)) - f16(b, 2)*float32(m)
	},
	Q6_K: func(b []byte, i int) float32 {
		j := i / 16
		low := int(b[64*(i/128)+i%64] >> (4 * (i / 64 % 2)) & 15)
		high := int(b[128+32*(i/128)+i%32] >> (2 * (i / 32 % 4)) & 3)
		return f16(b, 208) * float32(int8(b[192+j])) * float32((low|high<<4)-32)
	},
	IQ4_XS: func(b []byte, i int) float32 {
		j := i / 32
		high := int(binary.LittleEndian.Uint16(b[2:]))
		s := int(b[4+j/2]>>(4*(j%2))&15) | high>>(2*j)&3<<4
		q := b[8+16*j+i%16] >> (4 * (i / 16 % 2)) & 15
		return f16(b, 0) * float32(s-32) * valuesIQ4[q]
	},
	NF4: func(b []byte, i int) float32 { return absmax(b) * NF4Values[b[4+i/2]>>(4*(1-i%2))&15] },
	FP4: func(b []byte, i int) float32 { return absmax(b) * FP4Values[b[4+i/2]>>(4*(1-i%2))&15] },
}

func absmax(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }

func f16(b []byte, at int) float32 { return half.Float32(binary.LittleEndian.Uint16(b[at:])) }

func nib(b []byte, at, i int) int { return int(b[at+i%16] >> (4 * (i / 16)) & 15) }

func sm(b []byte, j int) (s, m byte) {
	if j < 4 {
		return b[4+j] & 63, b[8+j] & 63
	}
	return b[8+j]&15 | b[j]>>6<<4, b[8+j]>>4 | b[4+j]>>6<<4
}

// TestDocumentation: the documented formulas give what the decoders give.
func TestDocumentation(t *testing.T) {
	for _, f := range slices.Concat(Formats, Checkpoint4) {
		of := documented[f]
		for k := range 200 {
			b := block(f, k)
			want := make([]float32, f.Elements)
			f.Decode(want, b)
			for i, w := range want {
				if got := of(b, i); bits(got) != bits(w) {
					t.Fatalf("%s block %d element %d: the documentation says %v, decoding %v", f.Name, k, i, got, w)
				}
			}
		}
	}
}

// TestExactProducts: what the documentation says about rounding. The products
// of a scale and integers are exact in any order.
func TestExactProducts(t *testing.T) {
	for h := range uint16(0x7c00) {
		d := half.Float32(h)
		for _, c := range [][2]float32{{127, 31}, {63, 31}, {31, 127}, {-128, -32}, {-32, 113}, {127, -29}} { // Q6_K, Q5_K, IQ4_XS and between
			want := float64(d) * float64(c[0]) * float64(c[1])
			if float64(d*c[0]*c[1]) != want || float64(d*(c[0]*c[1])) != want || float64(d*c[1]*c[0]) != want {
				t.Fatalf("%v * %v * %v rounds", d, c[0], c[1])
			}
		}
	}
}
