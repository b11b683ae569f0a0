package tokenizer

import "unicode/utf8"

// Character classes as the reference's own libraries have them, which follow
// four different versions of Unicode. They are tabled (classes_table.go) and not
// taken from package unicode, so that ids do not change with the Go release.
const (
	classL     = 1 << iota // \p{L} of Oniguruma
	classN                 // \p{N} of Oniguruma
	classS                 // \s of Oniguruma, the same as that of Rust's regex
	classP                 // \p{P} of Oniguruma
	classPunct             // pre-tokenizer Punctuation: ASCII punctuation or P* of an old Unicode
	classDigit             // pre-tokenizer Digits: Rust's char::is_numeric
	classWord              // \w of Rust's regex, for added tokens with single_word
	classInert             // has a combining class or a decomposition that its NFC is too old to know
)

// classRange gives the classes of the characters lo to hi.
type classRange struct {
	lo, hi rune
	bits   uint8
}

// classOf maps a character to its classes.
var classOf = func() *[utf8.MaxRune + 1]uint8 {
	table := new([utf8.MaxRune + 1]uint8)
	for _, r := range classRanges {
		for c := r.lo; c <= r.hi; c++ {
			table[c] = r.bits
		}
	}
	return table
}()

// alphabetClass maps a byte to the classes of the character that stands for it in
// the byte alphabet: what a pre-tokenizer behind ByteLevel sees.
var alphabetClass = func() (table [256]uint8) {
	for b := range table {
		table[b] = classOf[byteToRune[b]]
	}
	return
}()

// classAt returns the classes of the character at s[i] and its size in bytes; s
// is valid UTF-8.
func classAt(s string, i int) (class uint8, size int) {
	if b := s[i]; b < utf8.RuneSelf {
		return classOf[b], 1
	}
	r, size := utf8.DecodeRuneInString(s[i:])
	return classOf[r], size
}

// runEnd returns the end of the run from s[i] on of characters whose classes
// meet mask (in == true) or do not meet it (in == false).
func runEnd(s string, i int, mask uint8, in bool) int {
	for i < len(s) {
		class, size := classAt(s, i)
		if (class&mask != 0) != in {
			break
		}
		i += size
	}
	return i
}
