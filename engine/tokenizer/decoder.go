package tokenizer

// Decoder turns a stream of ids into text, whole characters only. Joined, what it
// returns is DecodeText of all the ids. It belongs to one goroutine.
type Decoder struct {
	t           *Tokenizer
	skipSpecial bool
	held        []byte // the start of a character, at most 3 bytes
}

// NewDecoder returns a decoder; with skipSpecial set special tokens give no text.
func (t *Tokenizer) NewDecoder(skipSpecial bool) *Decoder {
	return &Decoder{t: t, skipSpecial: skipSpecial}
}

// Next takes one id and returns the characters that it completes, often none for
// writing systems and emoji outside the vocabulary. Bytes that can no longer
// become a character give U+FFFD.
func (d *Decoder) Next(id int) string {
	if id < 0 || id >= len(d.t.tokens) || d.skipSpecial && d.t.tokens[id].special {
		return ""
	}
	raw := d.t.tokens[id].raw
	if len(d.held) == 0 && isASCII(raw) {
		return raw
	}
	d.held = append(d.held, raw...)
	out, rest := appendValid(nil, d.held, false)
	d.held = append(d.held[:0], d.held[len(d.held)-rest:]...)
	return string(out)
}

// Flush ends the stream: it returns U+FFFD if a character was left incomplete,
// else nothing. The decoder can then be used again.
func (d *Decoder) Flush() string {
	out, _ := appendValid(nil, d.held, true)
	d.held = d.held[:0]
	return string(out)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
