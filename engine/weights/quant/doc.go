// Package quant decodes and encodes the block quantizations of GGML
// (github.com/ggml-org/ggml, ggml-common.h and ggml-quants.c), which GGUF
// files hold, and NF4 and FP4 of 4-bit checkpoints.
//
// A row of a matrix is a whole number of blocks, one after the other, without
// padding. A block holds 32 or 256 elements: small integers q, and what scales
// them. [Format.Decode] gives, bit for bit, what gguf.quants.dequantize of the
// gguf Python package gives.
//
// # Rounding
//
// A scale of 11 significant bits times two integers needs 23 bits at most (Q6_K:
// 11 + 7 + 5, IQ4_XS: 11 + 5 + 7) and is never subnormal, so every product below
// is exact in float32, in whatever order. Only the final + or - of the types
// with a minimum rounds, once; a fused multiply-add gives the same bits. A
// shader that computes in float32 therefore agrees exactly, save the sign of a
// zero if it multiplies integers first.
//
// # Notation
//
// Offsets are bytes from the start of the block, everything little-endian.
// b[o] is the byte at offset o, f16(o) the binary16 of the bytes o and o+1.
// i is the number of the element in its block, / divides integers rounding
// down, and operators bind as in C with shifts before &, and & before |.
// x[i] is the decoded value. The tests run these formulas as they stand here.
//
// Blocks of 18, 22, 34, 110 and 210 bytes are aligned to 2 bytes only, within
// a tensor whose start is aligned to 32: shaders read them as 16-bit words, or
// put two 16-bit halves together. 20, 24, 84 and 136 are multiples of 4
// (136 of 8), 144 and 176 of 16.
//
//	type     elements  bytes  bits a weight  GGML number
//	Q4_0     32        18     4.5             2
//	Q4_1     32        20     5               3
//	Q5_0     32        22     5.5             6
//	Q5_1     32        24     6               7
//	Q8_0     32        34     8.5             8
//	Q2_K     256       84     2.625          10
//	Q3_K     256       110    3.4375         11
//	Q4_K     256       144    4.5            12
//	Q5_K     256       176    5.5            13
//	Q6_K     256       210    6.5625         14
//	IQ4_NL   32        18     4.5            20
//	IQ4_XS   256       136    4.25           23
//	NF4      64        36     4.5            none
//	FP4      64        36     4.5            none
//
// # Blocks of 32
//
// The two nibbles of a byte are elements 16 apart, here called
//
//	nib(o) = b[o + i%16] >> 4*(i/16) & 15        i < 16: low nibbles, else high ones
//
// Q4_0, 18 bytes: one scale, values -8 to 7.
//
//	 0  f16      d
//	 2  [16]u8   qs
//	q = nib(2)
//	x[i] = d * (q - 8)
//
// Q4_1, 20 bytes: a scale and an offset.
//
//	 0  f16      d
//	 2  f16      m
//	 4  [16]u8   qs
//	q = nib(4)
//	x[i] = (d * q) + m
//
// Q5_0, 22 bytes: the fifth bits lie apart, bit i of a 32-bit word.
//
//	 0  f16      d
//	 2  u32      qh   (aligned to 2 only)
//	 6  [16]u8   qs
//	q = nib(6) | (qh >> i & 1) << 4               as bytes: b[2 + i/8] >> i%8 & 1
//	x[i] = d * (q - 16)
//
// Q5_1, 24 bytes.
//
//	 0  f16      d
//	 2  f16      m
//	 4  u32      qh
//	 8  [16]u8   qs
//	q = nib(8) | (qh >> i & 1) << 4
//	x[i] = (d * q) + m
//
// Q8_0, 34 bytes.
//
//	 0  f16      d
//	 2  [32]i8   qs
//	x[i] = d * qs[i]
//
// IQ4_NL, 18 bytes: nibbles are indices of unevenly spaced values.
//
//	 0  f16      d
//	 2  [16]u8   qs
//	x[i] = d * K[nib(2)]
//	K = -127 -104 -83 -65 -49 -35 -22 -10 1 13 25 38 53 69 89 113
//
// # Blocks of 256
//
// Sub-blocks of 16 or 32 elements have integer scales, which one or two
// binary16 numbers of the block scale in turn. Below j is the number of the
// sub-block.
//
// Q2_K, 84 bytes: 16 sub-blocks of 16, j = i/16, each with a 4-bit scale and a
// 4-bit minimum; 2-bit values, of which the four in a byte are 32 apart.
//
//	 0  [16]u8   scales   low nibble: scale, high nibble: minimum of sub-block j
//	16  [64]u8   qs
//	80  f16      d
//	82  f16      dmin
//	q    = b[16 + 32*(i/128) + i%32] >> 2*(i/32%4) & 3
//	x[i] = (d * (b[j] & 15)) * q - (dmin * (b[j] >> 4))
//
// Q3_K, 110 bytes: 16 sub-blocks of 16, j = i/16, each with a 6-bit scale less
// 32; values -4 to 3, whose two low bits lie as in Q2_K. The third bit's
// absence subtracts 4.
//
//	  0  [32]u8   hmask
//	 32  [64]u8   qs
//	 96  [12]u8   scales
//	108  f16      d
//	low  = b[32 + 32*(i/128) + i%32] >> 2*(i/32%4) & 3
//	high = b[i%32] >> i/32 & 1
//	q    = low - (high == 1 ? 0 : 4)              = (low | high << 2) - 4
//	s    = (b[96 + j%8] >> 4*(j/8) & 15) | (b[104 + j%4] >> 2*(j/4) & 3) << 4
//	x[i] = (d * (s - 32)) * q
//
// Q4_K, 144 bytes: 8 sub-blocks of 32, j = i/32, each with a 6-bit scale and a
// 6-bit minimum; 4-bit values, the two nibbles of a byte 32 apart.
//
//	  0  f16       d
//	  2  f16       dmin
//	  4  [12]u8    scales
//	 16  [128]u8   qs
//	s = j < 4 ? b[4+j] & 63 : (b[8+j] & 15) | (b[j] >> 6) << 4
//	m = j < 4 ? b[8+j] & 63 : (b[8+j] >> 4) | (b[4+j] >> 6) << 4
//	q = b[16 + 32*(i/64) + i%32] >> 4*(i/32%2) & 15
//	x[i] = (d * s) * q - (dmin * m)
//
// Q5_K, 176 bytes: Q4_K with fifth bits, bit j of a byte for 32 positions.
//
//	  0  f16       d
//	  2  f16       dmin
//	  4  [12]u8    scales   s and m of sub-block j = i/32 as in Q4_K
//	 16  [32]u8    qh
//	 48  [128]u8   qs
//	q = (b[48 + 32*(i/64) + i%32] >> 4*(i/32%2) & 15) | (b[16 + i%32] >> j & 1) << 4
//	x[i] = (d * s) * q - (dmin * m)
//
// Q6_K, 210 bytes: 16 sub-blocks of 16, j = i/16, each with an 8-bit signed
// scale; values -32 to 31 in four bits, two of them 64 apart in a byte, and two
// bits, four of them 32 apart in a byte.
//
//	  0  [128]u8   ql
//	128  [64]u8    qh
//	192  [16]i8    scales
//	208  f16       d
//	low  = b[64*(i/128) + i%64] >> 4*(i/64%2) & 15
//	high = b[128 + 32*(i/128) + i%32] >> 2*(i/32%4) & 3
//	x[i] = (d * scales[j]) * ((low | high << 4) - 32)
//
// IQ4_XS, 136 bytes: 8 sub-blocks of 32, j = i/32, each with a 6-bit scale
// less 32; nibbles are indices of K (see IQ4_NL), 16 apart in a byte.
//
//	  0  f16       d
//	  2  u16       scales_h
//	  4  [4]u8     scales_l
//	  8  [128]u8   qs
//	s = (b[4 + j/2] >> 4*(j%2) & 15) | (scales_h >> 2*j & 3) << 4
//	q = b[8 + 16*j + i%16] >> 4*(i/16%2) & 15
//	x[i] = (d * (s - 32)) * K[q]
//
// # Blocks of 64
//
// NF4 and FP4, 36 bytes a block: 4-bit codes of 16 values and the magnitude
// that scales them. This is how Kestrel holds the tensors of 4-bit checkpoints
// (bitsandbytes), which keep codes and magnitudes in tensors of their own; the
// first of two elements is the high nibble. The product is rounded once.
//
//	 0  f32      absmax
//	 4  [32]u8   codes
//	x[i] = absmax * V[b[4 + i/2] >> 4*(1 - i%2) & 15]     V: NF4Values, FP4Values
//
// # Encoding
//
// [Format.Encode] looks for the scales with the least squared error, all
// elements weighing the same. For a group with a scale (and a minimum) of its
// own, trial scales around the one that spans the group turn it into integers;
// the scale and minimum that fit these integers best follow by least squares;
// the best trial is taken. In blocks of 256 those scales are then themselves
// rounded to integers, of which the neighbours are tried with the elements
// rounded anew.
//
// This is the search of make_qx_quants and make_qkx2_quants in ggml-quants.c
// (trial scales, least squares), which weigh errors by the element's size and
// do not try neighbours; a step of least squares after a step of rounding is
// one of Lloyd's iteration (Least squares quantization in PCM, 1982). Q8_0 has
// no search and has the bytes that GGML's has. Against llama-quantize without
// an importance matrix the root mean square error is 0.98 (Q4_K) to 0.88 (Q2_K)
// times as large on normal weights; the tests hold it below 1 for each tensor.
package quant
