package tokenizer

import (
	"slices"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// nfc returns s, valid UTF-8, in Unicode normalization form C.
//
// It is not norm.NFC.String because that breaks up runs of more than 30 marks
// with U+034F (the Stream-Safe Text Process), which the reference does not, and
// because the reference follows an older Unicode: marks that came later are plain
// characters to it (classInert).
func nfc(s string) string {
	n := norm.NFC.QuickSpanString(s)
	if n == len(s) {
		return s
	}
	out := append(make([]byte, 0, len(s)+len(s)/8), s[:n]...)
	var c composer
	for i := n; i < len(s); {
		if b := s[i]; b < utf8.RuneSelf {
			out = c.flush(out)
			c.add(rune(b), 0)
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		out = c.decompose(out, r, s[i:i+size])
		i += size
	}
	return string(c.flush(out))
}

// composer gathers a starter and the marks behind it, decomposed, and writes them
// sorted and composed (The Unicode Standard, section 3.11, D108, D109 and D117).
type composer struct {
	runes []rune
	ccc   []uint8
}

func (c *composer) add(r rune, ccc uint8) {
	c.runes = append(c.runes, r)
	c.ccc = append(c.ccc, ccc)
}

const (
	hangulS, hangulL, hangulV, hangulT = 0xAC00, 0x1100, 0x1161, 0x11A7
	hangulLs, hangulVs, hangulTs       = 19, 21, 28
)

// decompose adds the canonical decomposition of r, whose bytes are s. A starter
// that cannot compose with what is held makes it write that first.
func (c *composer) decompose(out []byte, r rune, s string) []byte {
	if i := r - hangulS; i >= 0 && i < hangulLs*hangulVs*hangulTs {
		out = c.flush(out)
		c.add(hangulL+i/(hangulVs*hangulTs), 0)
		c.add(hangulV+i/hangulTs%hangulVs, 0)
		if t := i % hangulTs; t > 0 {
			c.add(hangulT+t, 0)
		}
		return out
	}
	if classOf[r]&classInert != 0 {
		out = c.flush(out)
		c.add(r, 0)
		return out
	}
	p := norm.NFD.PropertiesString(s)
	d := p.Decomposition()
	if d == nil {
		if p.CCC() == 0 && !norm.NFC.PropertiesString(s).BoundaryBefore() || p.CCC() > 0 {
			c.add(r, p.CCC())
			return out
		}
		out = c.flush(out)
		c.add(r, 0)
		return out
	}
	for first := true; len(d) > 0; first = false {
		r, size := utf8.DecodeRune(d)
		p := norm.NFD.Properties(d)
		if first && p.CCC() == 0 && norm.NFC.Properties(d).BoundaryBefore() {
			out = c.flush(out)
		}
		c.add(r, p.CCC())
		d = d[size:]
	}
	return out
}

// flush composes what is held and writes it.
func (c *composer) flush(out []byte) []byte {
	n := len(c.runes)
	if n == 1 {
		out = utf8.AppendRune(out, c.runes[0])
		c.runes, c.ccc = c.runes[:0], c.ccc[:0]
		return out
	}
	c.sort()
	starter, last := -1, 0 // index of the starter in hand; class of the last mark kept behind it
	kept := 0
	for i := range n {
		r, ccc := c.runes[i], int(c.ccc[i])
		if starter >= 0 && (last < ccc || last == 0 && kept == starter+1) {
			if whole := compose(c.runes[starter], r); whole != 0 {
				c.runes[starter] = whole
				continue
			}
		}
		if ccc == 0 {
			starter = kept
		}
		last = ccc
		c.runes[kept] = r
		kept++
	}
	for _, r := range c.runes[:kept] {
		out = utf8.AppendRune(out, r)
	}
	c.runes, c.ccc = c.runes[:0], c.ccc[:0]
	return out
}

// sort puts each run of marks in order of its classes, stably.
func (c *composer) sort() {
	for from := 0; from < len(c.runes); {
		if c.ccc[from] == 0 {
			from++
			continue
		}
		to := from
		sorted := true
		for to < len(c.runes) && c.ccc[to] != 0 {
			sorted = sorted && (to == from || c.ccc[to-1] <= c.ccc[to])
			to++
		}
		if !sorted {
			marks := make([]rune, 0, to-from)
			classes := make([]uint8, 0, to-from)
			order := make([]int, to-from)
			for i := range order {
				order[i] = from + i
			}
			slices.SortStableFunc(order, func(a, b int) int { return int(c.ccc[a]) - int(c.ccc[b]) })
			for _, i := range order {
				marks = append(marks, c.runes[i])
				classes = append(classes, c.ccc[i])
			}
			copy(c.runes[from:], marks)
			copy(c.ccc[from:], classes)
		}
		from = to
	}
}

// compose returns the primary composite of two characters, 0 if there is none.
func compose(a, b rune) rune {
	if l, v := a-hangulL, b-hangulV; l >= 0 && l < hangulLs && v >= 0 && v < hangulVs {
		return hangulS + (l*hangulVs+v)*hangulTs
	}
	if i, t := a-hangulS, b-hangulT; i >= 0 && i < hangulLs*hangulVs*hangulTs && i%hangulTs == 0 && t > 0 && t < hangulTs {
		return a + t
	}
	return composites()[[2]rune{a, b}]
}

// composites maps the two characters of a canonical decomposition to the
// character that they compose to.
var composites = sync.OnceValue(func() map[[2]rune]rune {
	pairs := make(map[[2]rune]rune)
	for r := rune(0xC0); r <= utf8.MaxRune; r++ {
		s := string(r)
		d := norm.NFD.PropertiesString(s).Decomposition()
		if d == nil || norm.NFC.String(s) != s || classOf[r]&classInert != 0 {
			continue // none, or excluded from composition
		}
		last, size := utf8.DecodeLastRune(d)
		first := []rune(norm.NFC.String(string(d[:len(d)-size])))
		if len(first) == 1 {
			pairs[[2]rune{first[0], last}] = r
		}
	}
	return pairs
})
