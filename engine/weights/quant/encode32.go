package quant

import (
	"encoding/binary"
	"math"

	"kestrel/engine/weights/half"
)

// encodeQ8_0 rounds as GGML's quantize_row_q8_0_ref: scale max|x|/127 in
// binary16, the integers by the scale before it was rounded, ties away from
// zero.
func encodeQ8_0(dst []byte, src []float32) {
	var largest float32
	for _, v := range src {
		largest = max(largest, float32(math.Abs(float64(v))))
	}
	d := largest / 127
	var inverse float32
	if d != 0 {
		inverse = 1 / d
	}
	binary.LittleEndian.PutUint16(dst, half.FromFloat32(d))
	for i, v := range src {
		dst[2+i] = byte(int8(math.Round(float64(v * inverse))))
	}
}
