package tokenizer

import (
	"errors"
	"fmt"
)

var (
	// ErrBadTokenizer is in the chain of every error about a tokenizer that
	// cannot be read or contradicts itself.
	ErrBadTokenizer = errors.New("bad tokenizer")
	// ErrUnsupported is in the chain of every error about a sound tokenizer
	// that uses something this package does not do.
	ErrUnsupported = errors.New("unsupported tokenizer")
)

// kindError is an error whose text stands alone and whose kind is for errors.Is.
type kindError struct {
	kind error
	text string
}

func (e *kindError) Error() string { return e.text }
func (e *kindError) Unwrap() error { return e.kind }

func bad(format string, args ...any) error {
	return &kindError{ErrBadTokenizer, "tokenizer: " + fmt.Sprintf(format, args...)}
}

func unsupported(format string, args ...any) error {
	return &kindError{ErrUnsupported, "tokenizer: " + fmt.Sprintf(format, args...) +
		"; Kestrel reads byte-level BPE tokenizers of the Falcon, GPT-NeoX and GPT-2 kind"}
}

// clip shortens a string from a file so that an error message stays readable.
func clip(s string) string {
	const most = 80
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return string(r[:most]) + "…"
}
