// Package weights reads the tensors of a model file.
//
// Its subpackages safetensors and gguf parse the two container formats and
// hand out the same thing: a [Source] of named tensors whose bytes are mapped,
// not copied. This package holds what they share: data types and their exact
// decoding to float32, the tensor value, folders of files (on disk or
// embedded), and the kinds of error.
//
// Bytes of a tensor are valid until its Source is closed. They are mapped
// read-only from the file: a program that writes through them crashes, and so
// does one that reads them after another process has cut the file short
// (SIGBUS, which Go cannot recover from). Replace a model file by renaming a
// new one over it, never by writing into it.
package weights
