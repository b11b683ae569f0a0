// Package gguf reads and writes GGUF files, versions 2 and 3, little-endian
// (github.com/ggml-org/ggml, docs/gguf.md).
//
// A file is a header with metadata (keys with typed values), a list of
// tensors (name, dimensions with the fastest first, type, offset), and the
// tensors' bytes, each aligned. On opening every count, length, offset and
// size is checked against the file before it is used; values of the metadata
// are decoded when asked for.
//
// Types of tensors that Kestrel cannot decode do not keep a file from
// opening, so that a caller can tell its user what model it is; asking for
// such a tensor fails with weights.ErrUnsupported.
package gguf
