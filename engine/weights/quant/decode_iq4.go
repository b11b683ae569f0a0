package quant

import "encoding/binary"

// IQ4_NL and IQ4_XS: nibbles are indices of unevenly spaced values.

var valuesIQ4 = [16]float32{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

func decodeIQ4_NL(dst []float32, src []byte) {
	out, qs, d := (*[32]float32)(dst), (*[16]byte)(src[2:]), scale(src, 0)
	for i, b := range qs {
		out[i] = d * valuesIQ4[b&15]
		out[i+16] = d * valuesIQ4[b>>4]
	}
}

func decodeIQ4_XS(dst []float32, src []byte) {
	out, b, d := (*[256]float32)(dst), (*[136]byte)(src), scale(src, 0)
	high := binary.LittleEndian.Uint16(src[2:])
	for j := range 8 {
		s := int(b[4+j/2]>>(j%2*4)&15) | int(high>>(2*j)&3)<<4
		ds := d * float32(s-32)
		to := out[32*j:][:32]
		for i, q := range b[8+16*j:][:16] {
			to[i] = ds * valuesIQ4[q&15]
			to[i+16] = ds * valuesIQ4[q>>4]
		}
	}
}
