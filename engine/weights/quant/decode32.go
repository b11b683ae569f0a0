package quant

import "encoding/binary"

// Q4_0, Q4_1, Q5_0, Q5_1, Q8_0: blocks of 32 with one scale.

func decodeQ4_0(dst []float32, src []byte) {
	out, qs, d := (*[32]float32)(dst), (*[16]byte)(src[2:]), scale(src, 0)
	for i, b := range qs {
		out[i] = d * float32(int(b&15)-8)
		out[i+16] = d * float32(int(b>>4)-8)
	}
}

func decodeQ4_1(dst []float32, src []byte) {
	out, qs, d, m := (*[32]float32)(dst), (*[16]byte)(src[4:]), scale(src, 0), scale(src, 2)
	for i, b := range qs {
		out[i] = float32(d*float32(b&15)) + m
		out[i+16] = float32(d*float32(b>>4)) + m
	}
}

func decodeQ5_0(dst []float32, src []byte) {
	out, qs, d := (*[32]float32)(dst), (*[16]byte)(src[6:]), scale(src, 0)
	high := binary.LittleEndian.Uint32(src[2:])
	for i, b := range qs {
		out[i] = d * float32(int(b&15)|int(high>>i&1)<<4-16)
		out[i+16] = d * float32(int(b>>4)|int(high>>(i+16)&1)<<4-16)
	}
}

func decodeQ5_1(dst []float32, src []byte) {
	out, qs, d, m := (*[32]float32)(dst), (*[16]byte)(src[8:]), scale(src, 0), scale(src, 2)
	high := binary.LittleEndian.Uint32(src[4:])
	for i, b := range qs {
		out[i] = float32(d*float32(int(b&15)|int(high>>i&1)<<4)) + m
		out[i+16] = float32(d*float32(int(b>>4)|int(high>>(i+16)&1)<<4)) + m
	}
}

func decodeQ8_0(dst []float32, src []byte) {
	out, qs, d := (*[32]float32)(dst), (*[32]byte)(src[2:]), scale(src, 0)
	for i, b := range qs {
		out[i] = d * float32(int8(b))
	}
}
