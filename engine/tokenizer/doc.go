// Package tokenizer turns text into token ids and back: byte-level BPE as
// Hugging Face's tokenizer.json and GGUF files describe it.
package tokenizer
