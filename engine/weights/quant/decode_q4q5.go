package quant

// Q4_K and Q5_K: 8 sub-blocks of 32 with a scale and a minimum.

func decodeQ4_K(dst []float32, src []byte) {
	out, b, d, dmin := (*[256]float32)(dst), (*[144]byte)(src), scale(src, 0), scale(src, 2)
	for j := 0; j < 8; j += 2 {
		s0, m0 := scaleMin(b[4:16], j)
		s1, m1 := scaleMin(b[4:16], j+1)
		ds0, dm0, ds1, dm1 := d*float32(s0), dmin*float32(m0), d*float32(s1), dmin*float32(m1)
		low, high := out[32*j:][:32], out[32*j+32:][:32]
		for i, q := range b[16+16*j:][:32] {
			low[i] = float32(ds0*float32(q&15)) - dm0
			high[i] = float32(ds1*float32(q>>4)) - dm1
		}
	}
}

func decodeQ5_K(dst []float32, src []byte) {
	out, b, d, dmin := (*[256]float32)(dst), (*[176]byte)(src), scale(src, 0), scale(src, 2)
	fifth := b[16:48]
	for j := 0; j < 8; j += 2 {
		s0, m0 := scaleMin(b[4:16], j)
		s1, m1 := scaleMin(b[4:16], j+1)
		ds0, dm0, ds1, dm1 := d*float32(s0), dmin*float32(m0), d*float32(s1), dmin*float32(m1)
		low, high := out[32*j:][:32], out[32*j+32:][:32]
		for i, q := range b[48+16*j:][:32] {
			h := fifth[i] >> j
			low[i] = float32(ds0*float32(q&15|h&1<<4)) - dm0
			high[i] = float32(ds1*float32(q>>4|h>>1&1<<4)) - dm1
		}
	}
}

// scaleMin takes the 6-bit scale and minimum of sub-block j from the 12 bytes
// that hold eight of each.
func scaleMin(b []byte, j int) (s, m byte) {
	if j < 4 {
		return b[j] & 63, b[j+4] & 63
	}
	return b[j+4]&15 | b[j-4]>>6<<4, b[j+4]>>4 | b[j]>>6<<4
}
