package quant

// Q6_K: 16 sub-blocks of 16 with signed 8-bit scales.

func encodeQ6_K(dst []byte, src []float32) {
	var q [16]byte
	var scales [16]int8
	fit := func(x []float32) float32 { return fitScale(x, 32) }
	squared := func(x []float32, s float32) float32 { return scaleError(x, 32, s) }
	h := steps(src, fit, squared, 128, scales[:])
	clear(dst)
	d := putHalf(dst, 208, h)
	for j, s := range scales {
		dst[192+j] = byte(s)
		roundScale(q[:], src[16*j:][:16], 32, d*float32(s))
		low, lowShift := dst[64*(j/8)+16*(j%4):], j/4%2*4
		high, highShift := dst[128+32*(j/8)+16*(j%2):], j/2%4*2
		for i, v := range q {
			low[i] |= v & 15 << lowShift
			high[i] |= v >> 4 & 3 << highShift
		}
	}
}
