// Package safetensors reads the safetensors format: one file, or a folder of
// shards with an index (model.safetensors.index.json).
//
// A file is an 8-byte little-endian header length, a JSON header that maps
// each tensor's name to its dtype, shape and byte range, and the bytes. As in
// the reference implementation (github.com/huggingface/safetensors), the
// ranges must fill the rest of the file exactly: no overlap, no hole, nothing
// after the last one. Everything is checked on opening, before any use.
package safetensors
