package quant

import (
	"encoding/binary"
)

// IQ4_NL and IQ4_XS: nibbles are indices of unevenly spaced values.

// nearestIQ4 has the index of the value nearest to v at floor(2*v) + 256: all
// midpoints between values are multiples of a half.
var nearestIQ4 = func() (table [512]byte) {
	for i := range table {
		v := (float32(i) - 256 + 0.5) / 2
		for k, value := range valuesIQ4 {
			if magnitude(v-value) < magnitude(v-valuesIQ4[table[i]]) {
				table[i] = byte(k)
			}
		}
	}
	return table
}()

func indexIQ4(v float32) byte {
	i := 2*v + 256
	if !(i > 0) { // a NaN too
		return 0
	}
	if i >= 511 {
		return 15
	}
	return nearestIQ4[int(i)]
}

// fitIQ4 is fitScale for the values of IQ4: the largest x is put near the
// first of them or near the last.
func fitIQ4(x []float32) float32 {
	largest := largest(x)
	if largest == 0 {
		return 0
	}
	scale, most := largest/valuesIQ4[0], float32(0)
	for t := range 30 {
		inverse := (valuesIQ4[t%2*15] + float32(2*(t/2)-14)) / largest
		var q2, xq float32
		for _, v := range x {
			q := valuesIQ4[indexIQ4(v*inverse)]
			q2 += float32(q * q)
			xq += float32(v * q)
		}
		if gain := float32(xq*xq) / q2; gain > most {
			most, scale = gain, xq/q2
		}
	}
	return scale
}

func errorIQ4(x []float32, scale float32) float32 {
	inverse, sum := reciprocal(scale), float32(0)
	for _, v := range x {
		e := float32(scale*valuesIQ4[indexIQ4(v*inverse)]) - v
		sum += float32(e * e)
	}
	return sum
}

func roundIQ4(q []byte, x []float32, scale float32) {
	inverse := reciprocal(scale)
	for i, v := range x {
		q[i] = indexIQ4(v * inverse)
	}
}

func encodeIQ4_NL(dst []byte, src []float32) {
	var q [32]byte
	d := putHalf(dst, 0, bestHalf(fitIQ4(src), func(d float32) float32 { return errorIQ4(src, d) }))
	roundIQ4(q[:], src, d)
	putNibbles(dst[2:], q[:])
}

func encodeIQ4_XS(dst []byte, src []float32) {
	var q [32]byte
	var scales [8]int8
	h := steps(src, fitIQ4, errorIQ4, 32, scales[:])
	clear(dst)
	d := putHalf(dst, 0, h)
	var high uint16
	for j, s := range scales {
		u := byte(s + 32)
		dst[4+j/2] |= u & 15 << (j % 2 * 4)
		high |= uint16(u>>4) << (2 * j)
		roundIQ4(q[:], src[32*j:][:32], d*float32(s))
		putNibbles(dst[8+16*j:], q[:])
	}
	binary.LittleEndian.PutUint16(dst[2:], high)
}
