package quant

// Q2_K and Q3_K: 2-bit values in the same places; 16 sub-blocks of 16.

func encodeQ2_K(dst []byte, src []float32) {
	var q, scales, minima [16]byte
	h, hmin := lines(src, 3, -0.5, 1, 16, 15, scales[:], minima[:])
	clear(dst)
	d, dmin := putHalf(dst, 80, h), putHalf(dst, 82, hmin)
	for j := range 16 {
		dst[j] = scales[j] | minima[j]<<4
		roundLine(q[:], src[16*j:][:16], 3, d*float32(scales[j]), dmin*float32(minima[j]))
		putQuarters(dst[16:], j, q[:])
	}
}

func encodeQ3_K(dst []byte, src []float32) {
	var q [16]byte
	var scales [16]int8
	fit := func(x []float32) float32 { return fitScale(x, 4) }
	squared := func(x []float32, s float32) float32 { return scaleError(x, 4, s) }
	h := steps(src, fit, squared, 32, scales[:])
	clear(dst)
	d := putHalf(dst, 108, h)
	for j, s := range scales {
		u := byte(s + 32)
		dst[96+j%8] |= u & 15 << (j / 8 * 4)
		dst[104+j%4] |= u >> 4 << (j / 4 * 2)
		roundScale(q[:], src[16*j:][:16], 4, d*float32(s))
		putQuarters(dst[32:], j, q[:])
		for i, v := range q {
			dst[16*(j%2)+i] |= v >> 2 & 1 << (j / 2)
		}
	}
}

// putQuarters stores the low two bits of sub-block j.
func putQuarters(dst []byte, j int, q []byte) {
	at := dst[32*(j/8)+16*(j%2):]
	for i, v := range q {
		at[i] |= v & 3 << (j / 2 % 4 * 2)
	}
}
