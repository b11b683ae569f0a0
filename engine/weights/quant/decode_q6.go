package quant

// Q6_K: 16 sub-blocks of 16 with signed 8-bit scales.

func decodeQ6_K(dst []float32, src []byte) {
	out, b, d := (*[256]float32)(dst), (*[210]byte)(src), scale(src, 208)
	for j := range 16 {
		s := d * float32(int8(b[192+j]))
		low, lowShift := b[64*(j/8)+16*(j%4):][:16], j/4%2*4
		high, highShift := b[128+32*(j/8)+16*(j%2):][:16], j/2%4*2
		to := out[16*j:][:16]
		for i := range to {
			q := int(low[i]>>lowShift&15) | int(high[i]>>highShift&3)<<4
			to[i] = s * float32(q-32)
		}
	}
}
