package tokenizer

import "unicode/utf8"

// replacement is U+FFFD in UTF-8.
const replacement = "\uFFFD"

// subpart says what s begins with. ok: a whole character of n bytes. Otherwise n
// is the length of the maximal ill-formed subsequence at the start of s, and more
// says that it reaches the end of s and could still become a character.
func subpart(s []byte) (n int, ok, more bool) {
	if s[0] < utf8.RuneSelf {
		return 1, true, false
	}
	if _, n := utf8.DecodeRune(s); n > 1 {
		return n, true, false
	}
	// The Unicode Standard, table 3-7: well-formed UTF-8 byte sequences.
	need, low, high := 0, byte(0x80), byte(0xBF)
	switch b := s[0]; {
	case b >= 0xC2 && b <= 0xDF:
		need = 1
	case b == 0xE0:
		need, low = 2, 0xA0
	case b == 0xED:
		need, high = 2, 0x9F
	case b >= 0xE1 && b <= 0xEF:
		need = 2
	case b == 0xF0:
		need, low = 3, 0x90
	case b >= 0xF1 && b <= 0xF3:
		need = 3
	case b == 0xF4:
		need, high = 3, 0x8F
	default:
		return 1, false, false
	}
	n = 1
	for n <= need {
		if n == len(s) {
			return n, false, true
		}
		if s[n] < low || s[n] > high {
			break
		}
		low, high = 0x80, 0xBF
		n++
	}
	return n, false, false
}

// appendValid appends s to dst with U+FFFD for each maximal ill-formed
// subsequence. Unless last is set, an incomplete character at the end of s is
// not written: rest is its length.
func appendValid(dst, s []byte, last bool) (out []byte, rest int) {
	for len(s) > 0 {
		n, ok, more := subpart(s)
		switch {
		case ok:
			dst = append(dst, s[:n]...)
		case more && !last:
			return dst, n
		default:
			dst = append(dst, replacement...)
		}
		s = s[n:]
	}
	return dst, 0
}

// validText returns s with U+FFFD for each maximal ill-formed subsequence.
func validText(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	out, _ := appendValid(make([]byte, 0, len(s)+16), []byte(s), true)
	return string(out)
}
