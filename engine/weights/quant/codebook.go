package quant

import (
	"encoding/binary"
	"math"
)

// NF4 and FP4: codes of 16 values, scaled by the largest magnitude of 64.

// The formats of 4-bit checkpoints, described in the package's documentation;
// GGML has no numbers for them. Decoding is exact but for one rounding of the
// product.
var (
	NF4 = &Format{Name: "NF4", Elements: 64, Bytes: 36, wide: []int{0}, decode: NF4Values.decode, encode: NF4Values.encode}
	FP4 = &Format{Name: "FP4", Elements: 64, Bytes: 36, wide: []int{0}, decode: FP4Values.decode, encode: FP4Values.encode}
)

// Checkpoint4 lists them.
var Checkpoint4 = []*Format{NF4, FP4}

// Codebook is the 16 values that 4-bit codes stand for.
type Codebook [16]float32

// NF4Values are quantiles of the normal distribution (Dettmers et al., QLoRA,
// 2023, appendix E), FP4Values those of a float of one sign, two exponent bits
// and one mantissa bit, over 12: both as bitsandbytes has them.
var (
	NF4Values = &Codebook{-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
		-0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224, 0.44070982933044434,
		0.5626170039176941, 0.7229568362236023, 1}
	FP4Values = &Codebook{0, 0.0625 / 12, 8. / 12, 1, 4. / 12, 6. / 12, 2. / 12, 3. / 12,
		0, -0.0625 / 12, -8. / 12, -1, -4. / 12, -6. / 12, -2. / 12, -3. / 12}
)

func (c *Codebook) decode(dst []float32, src []byte) {
	out, codes := (*[64]float32)(dst), (*[32]byte)(src[4:])
	largest := math.Float32frombits(binary.LittleEndian.Uint32(src))
	for i, b := range codes {
		out[2*i], out[2*i+1] = largest*c[b>>4], largest*c[b&15]
	}
}

func (c *Codebook) encode(dst []byte, src []float32) {
	most := magnitude(largest(src))
	binary.LittleEndian.PutUint32(dst, math.Float32bits(most))
	inverse := reciprocal(most)
	for i, codes := range (*[32]byte)(dst[4:]) {
		codes = c.nearest(src[2*i]*inverse)<<4 | c.nearest(src[2*i+1]*inverse)
		dst[4+i] = codes
	}
}

// nearest is the code of the value nearest to v, the first of several.
func (c *Codebook) nearest(v float32) byte {
	code, least := 0, float32(math.Inf(1))
	for i, value := range c {
		if e := magnitude(value - v); e < least {
			code, least = i, e
		}
	}
	return byte(code)
}
