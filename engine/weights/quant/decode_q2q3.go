package quant

// Q2_K and Q3_K: 2-bit values in the same places; 16 sub-blocks of 16.

func decodeQ2_K(dst []float32, src []byte) {
	out, b, d, dmin := (*[256]float32)(dst), (*[84]byte)(src), scale(src, 80), scale(src, 82)
	for j := range 16 {
		s, m := d*float32(b[j]&15), dmin*float32(b[j]>>4)
		qs, shift := b[16+32*(j/8)+16*(j%2):][:16], j/2%4*2
		for i, v := range out[16*j:][:16] {
			v = float32(s * float32(qs[i]>>shift&3))
			out[16*j+i] = v - m
		}
	}
}

func decodeQ3_K(dst []float32, src []byte) {
	out, b, d := (*[256]float32)(dst), (*[110]byte)(src), scale(src, 108)
	for j := range 16 {
		s := d * float32(scaleQ3_K(b, j))
		qs, shift := b[32+32*(j/8)+16*(j%2):][:16], j/2%4*2
		high := b[16*(j%2):][:16]
		for i := range 16 {
			q := int(qs[i]>>shift&3) | int(high[i]>>(j/2)&1)<<2
			out[16*j+i] = s * float32(q-4)
		}
	}
}

// scaleQ3_K is the scale of sub-block j, -32 to 31.
func scaleQ3_K(b *[110]byte, j int) int {
	return int(b[96+j%8]>>(j/8*4)&15|b[104+j%4]>>(j/4*2)&3<<4) - 32
}
