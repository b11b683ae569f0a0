// Package tokenizer turns text into token ids and ids back into text:
// byte-level BPE as a Hugging Face tokenizer.json or the vocabulary of a GGUF
// file describes it. For a tokenizer.json the ids are exactly those of the
// `tokenizers` library; for a GGUF vocabulary the pre-tokenizers are those that
// llama.cpp knows by name.
//
// # What it reads
//
// The model must be BPE over the 256 bytes, written in GPT-2's byte alphabet.
// Normalizers: NFC. Pre-tokenizers: ByteLevel, Punctuation, Digits, Split (a
// literal string or one of the patterns of patterns.go) and sequences of them.
// Post-processors: ByteLevel, and templates that put fixed tokens before the
// text (Prefix). Everything else is refused with ErrUnsupported, naming the
// part; a file that contradicts itself is refused with ErrBadTokenizer.
//
// # Bytes that are not UTF-8
//
// Encode takes any string. Bytes that are not valid UTF-8 are first replaced by
// U+FFFD, one for each maximal ill-formed subsequence (Unicode 16, section 3.9,
// "U+FFFD Substitution of Maximal Subparts"), which is what Python's
// bytes.decode("utf-8", errors="replace") does before the reference sees text.
//
// A vocabulary may lack some bytes: Falcon's has no token for fourteen control
// characters and the byte F2. As in the reference such a byte gives no token at all and is lost
// (MissingBytes lists them). Otherwise Decode(Encode(x)) == x for every valid UTF-8
// string x, unless the tokenizer has a normalizer, a prefix space, added tokens
// that strip white space or a pre-tokenizer that removes what it matches.
//
// # Where it differs from the reference
//
// An added token that merging cannot give decodes to its own text. The reference
// reads its letters in the byte alphabet if it can, so that an added "é" comes out
// as U+FFFD.
//
// # Cost and concurrency
//
// Encoding n bytes takes O(n log n) time whatever the length of a word, and O(n)
// memory; looking for added tokens takes at most n times the length of the longest
// one. A Tokenizer is immutable apart from a bounded cache of words and safe
// for concurrent use; a Decoder belongs to one goroutine.
package tokenizer
