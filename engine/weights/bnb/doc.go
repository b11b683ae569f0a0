// Package bnb reads the 4-bit tensors of bitsandbytes, as transformers saves
// them (github.com/bitsandbytes-foundation/bitsandbytes, functional.py:
// QuantState.as_dict; Dettmers et al., QLoRA, 2023).
//
// Of a matrix [out, in] called w, a file holds
//
//	w                                          U8 [n/2, 1]: codes of 4 bits, n = out*in, row after row, high nibble first
//	w.absmax                                   F32 [b]: the scale of each block of blocksize codes; b = n/blocksize, rounded up
//	w.quant_map                                F32 [16]: the values that codes stand for
//	w.quant_state.bitsandbytes__nf4 (or fp4)   U8: JSON with quant_type, blocksize, dtype, shape
//
// and with double quantization, where scales are stored in 8 bits,
//
//	w.absmax              U8 [b]
//	w.nested_absmax       F32 [c]: the scale of each block of nested_blocksize scales; c = b/nested_blocksize, rounded up
//	w.nested_quant_map    F32 [256]
//
// and nested_blocksize, nested_dtype and nested_offset in the JSON. Scale i is
//
//	nested_quant_map[absmax[i]] * nested_absmax[i/nested_blocksize] + nested_offset
//
// product and sum each rounded to float32, and element i of the matrix
//
//	quant_map[code i] * scale[i/blocksize]     rounded to float32
//
// bitsandbytes rounds this once more, to the JSON's dtype, before it multiplies;
// Kestrel does not.
//
// Blocks run flat over the matrix. Where its rows and the blocks are multiples
// of 64 codes, it becomes a tensor of type NF4 or FP4, whose blocks of 64 each
// carry their scale: a longer block is split, which changes no value. Any other
// becomes F32, which changes no value either but takes eight times the memory;
// [Source.Warnings] says so.
package bnb
