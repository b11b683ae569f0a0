package quant

// Q4_K and Q5_K: 8 sub-blocks of 32 with a scale and a minimum.

func encodeQ4_K(dst []byte, src []float32) {
	var q [32]byte
	var scales, minima [8]byte
	h, hmin := lines(src, 15, -1, 1, 21, 63, scales[:], minima[:])
	clear(dst)
	d, dmin := putHalf(dst, 0, h), putHalf(dst, 2, hmin)
	putScaleMin(dst[4:], &scales, &minima)
	for j := range 8 {
		roundLine(q[:], src[32*j:][:32], 15, d*float32(scales[j]), dmin*float32(minima[j]))
		for i, v := range q {
			dst[16+32*(j/2)+i] |= v << (j % 2 * 4)
		}
	}
}

func encodeQ5_K(dst []byte, src []float32) {
	var q [32]byte
	var scales, minima [8]byte
	h, hmin := lines(src, 31, -0.5, 1, 16, 63, scales[:], minima[:])
	clear(dst)
	d, dmin := putHalf(dst, 0, h), putHalf(dst, 2, hmin)
	putScaleMin(dst[4:], &scales, &minima)
	for j := range 8 {
		roundLine(q[:], src[32*j:][:32], 31, d*float32(scales[j]), dmin*float32(minima[j]))
		for i, v := range q {
			dst[16+i] |= v >> 4 & 1 << j
			dst[48+32*(j/2)+i] |= v & 15 << (j % 2 * 4)
		}
	}
}

// putScaleMin stores eight 6-bit scales and minima in 12 bytes, as scaleMin
// finds them.
func putScaleMin(dst []byte, scales, minima *[8]byte) {
	for j := range 4 {
		dst[j] = scales[j] | scales[j+4]>>4<<6
		dst[j+4] = minima[j] | minima[j+4]>>4<<6
		dst[j+8] = scales[j+4]&15 | minima[j+4]<<4
	}
}
