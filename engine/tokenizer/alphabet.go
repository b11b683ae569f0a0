package tokenizer

// GPT-2's byte alphabet writes every byte as a visible character: the bytes that
// are visible in Latin-1 stand for themselves, the others follow from U+0100 on
// in order (openai/gpt-2, encoder.py, bytes_to_unicode).

// alphabetEnd is one past the last character of the alphabet.
const alphabetEnd = 0x144

// byteToRune spells a byte.
var byteToRune = func() (table [256]rune) {
	next := rune(0x100)
	for b := range table {
		table[b] = rune(b)
		if b < '!' || b > '~' && b < 0xA1 || b == 0xAD {
			table[b] = next
			next++
		}
	}
	return
}()

// runeToByte is its inverse; -1 for a character that is not in the alphabet.
var runeToByte = func() (table [alphabetEnd]int16) {
	for r := range table {
		table[r] = -1
	}
	for b, r := range byteToRune {
		table[r] = int16(b)
	}
	return
}()

// fromAlphabet returns the bytes that s spells; ok is false if a character of s
// is not in the alphabet.
func fromAlphabet(s string) (raw string, ok bool) {
	plain := true // every character stands for itself
	for i := range len(s) {
		if s[i] < '!' || s[i] > '~' {
			plain = false
			break
		}
	}
	if plain {
		return s, true
	}
	buf := make([]byte, 0, len(s))
	for _, r := range s {
		if r >= alphabetEnd || runeToByte[r] < 0 {
			return "", false
		}
		buf = append(buf, byte(runeToByte[r]))
	}
	return string(buf), true
}
