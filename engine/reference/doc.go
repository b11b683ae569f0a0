// Package reference is Falcon-Mamba in plain float64 Go: slow, and as close to
// the paper as code can be. It is the truth the shaders are tested against.
//
// There are three layers. The ops (Embed, RMSNorm, MatMul, CausalConv1d,
// SelectiveScan …) are pure functions over row-major slices and need no
// checkpoint. The bounds (MatMulBound, ScanBound …) are the same ops on values
// that carry an error: they say how far a correct float32 kernel may be from the
// truth, from norms and machine epsilon alone, so no test needs a magic number.
// Model composes the ops into whole networks read by engine/checkpoint.
//
// Shapes are written [rows, columns], the last dimension contiguous; T is the
// number of tokens of one sequence. Weights are [out, in] as in the files.
//
// The ops panic when a slice's length contradicts the sizes, as indexing does:
// that is a mistake in the caller. Model returns errors.
//
// Sources: Gu and Dao, "Mamba: Linear-Time Sequence Modeling with Selective
// State Spaces" (arXiv:2312.00752), algorithm 2 and section 3; Zuo et al.,
// "Falcon Mamba" (arXiv:2410.05355), section 2 for the norms of dt, B and C.
package reference
