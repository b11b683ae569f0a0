package document

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// charset is how a text is stored. A nil decoder is UTF-8.
type charset struct {
	name    string
	skip    int64 // of a byte order mark
	decoder encoding.Encoding
	broken  int64 // characters that will be read as U+FFFD
	guessed bool
}

// open decodes r from its start.
func (c charset) open(r io.Reader) (io.Reader, error) {
	if _, err := io.CopyN(io.Discard, r, c.skip); err != nil {
		return nil, err
	}
	if c.decoder == nil {
		return r, nil
	}
	return transform.NewReader(r, c.decoder.NewDecoder()), nil
}

const convert = "if it is text in another encoding, convert it: iconv -f ENCODING -t UTF-8 FILE > text.txt"

// brokenShare of a text's characters may be damaged before it counts as being
// in another encoding: one in so many.
const brokenShare = 1000

// findCharset reads the whole of the source, so that a reader meets no surprise
// halfway: UTF-8, else UTF-16 with a mark or with zero bytes on one side only,
// else GB18030 where it looks like Chinese.
func (d *Document) findCharset(ctx context.Context) (charset, error) {
	var head [4]byte
	n, err := io.ReadFull(d.src.reader(), head[:min(d.Size, 4)])
	if err != nil {
		return charset{}, d.src.error(err)
	}
	switch start := head[:n]; {
	case bytes.HasPrefix(start, []byte("\xff\xfe\x00\x00")), bytes.HasPrefix(start, []byte("\x00\x00\xfe\xff")):
		return charset{}, d.fail(ErrEncoding, "this is UTF-32", "convert it: iconv -f UTF-32 -t UTF-8 FILE > text.txt")
	case bytes.HasPrefix(start, []byte("\xff\xfe")):
		return d.utf16(ctx, charset{name: "UTF-16LE", skip: 2}, binary.LittleEndian)
	case bytes.HasPrefix(start, []byte("\xfe\xff")):
		return d.utf16(ctx, charset{name: "UTF-16BE", skip: 2}, binary.BigEndian)
	}
	s := scan{bad: -1, zero: -1}
	if err := d.each(ctx, s.add); err != nil {
		return charset{}, err
	}
	s.end()
	utf8 := charset{name: "UTF-8"}
	if bytes.HasPrefix(head[:n], []byte("\xef\xbb\xbf")) {
		utf8.skip = 3
	}
	switch {
	case min(s.zeros[0], s.zeros[1]) == 0 && max(s.zeros[0], s.zeros[1])*8 > d.Size*3 && d.Size%2 == 0: // three in four characters are Latin
		c, order := charset{name: "UTF-16LE", guessed: true}, binary.ByteOrder(binary.LittleEndian)
		if s.zeros[0] > 0 {
			c.name, order = "UTF-16BE", binary.BigEndian
		}
		if c, err := d.utf16(ctx, c, order); err == nil && c.broken == 0 {
			return c, nil
		}
		fallthrough
	case s.zero >= 0:
		return charset{}, d.fail(ErrFormat, fmt.Sprintf("this is no text (a zero byte at %d)", s.zero), readable)
	case s.controls*10 > d.Size:
		return charset{}, d.fail(ErrFormat, "this is no text (most of it are control characters)", readable)
	case s.bad < 0:
		return utf8, nil
	case utf8.skip == 0:
		gb := gbScan{set: commonGB()}
		if err := d.each(ctx, gb.add); err != nil {
			return charset{}, err
		}
		if c, ok := gb.charset(); ok {
			return c, nil
		}
	}
	return charset{}, d.fail(ErrEncoding, fmt.Sprintf("this is neither UTF-8 (byte 0x%02x at %d) nor UTF-16 or GB18030", s.badByte, s.bad), convert)
}

// each reads the source piece by piece.
func (d *Document) each(ctx context.Context, f func(p []byte)) error {
	r := contextReader{ctx, d.src.reader()}
	buf := make([]byte, 256<<10)
	for {
		n, err := r.Read(buf)
		f(buf[:n])
		if err == io.EOF {
			return nil
		}
		if err != nil {
			if ctx.Err() != nil {
				return err
			}
			return d.src.error(err)
		}
	}
}

// scan looks for what no UTF-8 text has.
type scan struct {
	at       int64 // of the next byte
	bad      int64 // offset of the first byte that is no UTF-8, or -1
	badByte  byte
	zero     int64 // offset of the first zero byte, or -1
	zeros    [2]int64
	controls int64
	rest     []byte // of a character cut by the end of a piece
}

func (s *scan) add(p []byte) {
	if bytes.IndexByte(p, 0) >= 0 {
		for i, b := range p {
			if b == 0 {
				if s.zero < 0 {
					s.zero = s.at + int64(i)
				}
				s.zeros[(s.at+int64(i))%2]++
			}
		}
	}
	if s.at < sniffBytes {
		for _, b := range p[:min(len(p), sniffBytes)] {
			if b < 0x20 && (b < '\b' || b > '\r') && b != 0x1b {
				s.controls++
			}
		}
	}
	if s.bad < 0 {
		at := s.at - int64(len(s.rest))
		if len(s.rest) > 0 {
			p = append(s.rest, p...)
		}
		s.rest = nil
		if !utf8.Valid(p) {
			i := invalidAt(p)
			if i >= len(p)-utf8.UTFMax && !utf8.FullRune(p[i:]) {
				s.rest = append([]byte(nil), p[i:]...)
			} else {
				s.bad, s.badByte = at+int64(i), p[i]
			}
		}
		s.at = at + int64(len(p))
		return
	}
	s.at += int64(len(p))
}

func (s *scan) end() {
	if s.bad < 0 && len(s.rest) > 0 {
		s.bad, s.badByte = s.at-int64(len(s.rest)), s.rest[0]
	}
}

// invalidAt is where the first character of p that is no UTF-8 begins.
func invalidAt(p []byte) int {
	i := 0
	for i < len(p) {
		if p[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, size := utf8.DecodeRune(p[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return i
}

// utf16 checks the surrogates, which the decoder would replace in silence.
func (d *Document) utf16(ctx context.Context, c charset, order binary.ByteOrder) (charset, error) {
	if d.Size%2 != 0 {
		return c, d.fail(ErrBroken, "this is UTF-16 with an odd number of bytes: the file is cut short", "fetch it again")
	}
	c.decoder = unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)
	if order == binary.ByteOrder(binary.BigEndian) {
		c.decoder = unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)
	}
	var half []byte
	high, zero := false, int64(-1)
	at := int64(0)
	err := d.each(ctx, func(p []byte) {
		if len(half) > 0 {
			p = append(half, p...)
			half = nil
		}
		for ; len(p) >= 2; p, at = p[2:], at+2 {
			switch u := order.Uint16(p); {
			case u >= 0xdc00 && u < 0xe000:
				if !high {
					c.broken++
				}
				high = false
				continue
			case high:
				c.broken++
				fallthrough
			default:
				high = u >= 0xd800 && u < 0xdc00
				if u == 0 && zero < 0 {
					zero = at
				}
			}
		}
		half = append(half, p...)
	})
	if high {
		c.broken++
	}
	switch {
	case err != nil:
	case zero >= 0:
		err = d.fail(ErrFormat, fmt.Sprintf("this is no text (a zero character at byte %d)", zero), readable)
	case c.broken*brokenShare > d.Size/2:
		err = d.fail(ErrEncoding, "this begins like UTF-16 and is not", convert)
	}
	return c, err
}

// gbScan tells how well bytes fit GB18030, and Chinese written in it: other
// 8-bit encodings often decode, but into characters that hardly occur.
type gbScan struct {
	lead   []byte // of a character so far
	pairs  int64  // characters of two bytes, and of four
	plain  int64  // of those, punctuation and the 3,755 characters of level 1
	common int64  // of those, the commonest
	bad    int64
	set    *[1024]uint64 // commonGB
}

func (g *gbScan) add(p []byte) {
	if len(g.lead) > 0 {
		p = append(g.lead, p...)
	}
	i := 0
	for i < len(p) {
		b := p[i]
		if b < 0x80 {
			i++
			continue
		}
		if b == 0x80 || b == 0xff {
			g.bad++
			i++
			continue
		}
		if i+1 == len(p) {
			break
		}
		switch t := p[i+1]; {
		case t >= 0x40 && t != 0x7f && t != 0xff:
			g.pair(b, t)
			i += 2
		case t < 0x30 || t > 0x39:
			g.bad++
			i++
		case i+3 >= len(p):
			g.lead = append([]byte(nil), p[i:]...)
			return
		case p[i+2] >= 0x81 && p[i+2] <= 0xfe && p[i+3] >= 0x30 && p[i+3] <= 0x39:
			g.pairs++
			i += 4
		default:
			g.bad++
			i++
		}
	}
	g.lead = append([]byte(nil), p[i:]...)
}

func (g *gbScan) pair(lead, trail byte) {
	g.pairs++
	if trail >= 0xa1 && (lead >= 0xb0 && lead <= 0xd7 || lead == 0xa1 || lead == 0xa3) {
		g.plain++
	}
	if i := uint16(lead)<<8 | uint16(trail); g.set[i>>6]>>(i&63)&1 != 0 {
		g.common++
	}
}

// charset is GB18030 where the bytes are Chinese in it. About four in ten
// characters of Chinese are among the common ones, and next to none of another
// language that is decoded by mistake.
func (g *gbScan) charset() (charset, bool) {
	bad := g.bad
	if len(g.lead) > 0 {
		bad++
	}
	c := charset{name: "GB18030", decoder: simplifiedchinese.GB18030, broken: bad, guessed: true}
	switch {
	case g.pairs == 0 || bad > 0 && bad*brokenShare > g.pairs:
		return c, false
	case g.pairs < 64: // too few to count
		return c, g.plain*10 >= g.pairs*9
	}
	return c, g.common*100 >= g.pairs*12
}

// commonGB are the commonest characters as a set of their two bytes.
var commonGB = sync.OnceValue(func() *[1024]uint64 {
	text, err := simplifiedchinese.GB18030.NewEncoder().Bytes([]byte("，。“”、：？！" +
		"的一是不了人我在有他这中大来上个国到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可她里后小么心多天而能好都然没日于起还发成" +
		"事只作当想看文无开手十用主行方又如前所本见经头面公同三已老从动两长其者与此而乃曰吾汝矣兮焉哉" +
		"這個來國說們為時會對裡後麼還發無開見經頭動兩長過學與當"))
	if err != nil {
		panic(err) // a constant
	}
	var set [1024]uint64
	for i := 0; i+1 < len(text); i += 2 {
		c := binary.BigEndian.Uint16(text[i:])
		set[c>>6] |= 1 << (c & 63)
	}
	return &set
})
