package document

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// openText opens text, Markdown and code.
func (d *Document) openText(ctx context.Context) error {
	c, err := d.findCharset(ctx)
	if err != nil {
		return err
	}
	d.setCharset(c)
	d.read = func(ctx context.Context, yield func(Section) bool) error {
		count := &countingReader{r: contextReader{ctx, d.src.reader()}}
		r, err := c.open(count)
		if err != nil {
			return d.src.error(err)
		}
		s := splitter{out: yield, total: d.Size, done: func() int64 { return count.n }}
		switch d.Format {
		case Markdown:
			s.heading = markdownHeading
		case Text:
			s.heading = chapterHeading
		}
		err = s.split(r)
		if err != nil && ctx.Err() == nil {
			return d.src.error(err)
		}
		if s.invalid {
			return d.fail(ErrChanged, "the file changed while it was read", "open it again")
		}
		return err
	}
	if d.Format != Code {
		for s, err := range d.Sections(ctx) {
			if err == nil && s.Heading != "" && d.Format == Markdown {
				d.Title = s.Heading
			}
			if err != nil || strings.TrimSpace(s.Text) != "" {
				break
			}
		}
	}
	return d.probe(ctx)
}

// setCharset tells the reader what was guessed and what is lost.
func (d *Document) setCharset(c charset) {
	d.Encoding = c.name
	if c.guessed {
		d.Notes = append(d.Notes, Note{Kind: NoteCharset, Name: c.name})
	}
	if c.broken > 0 {
		d.Notes = append(d.Notes, Note{Kind: NoteCharacters, Count: int(c.broken)})
	}
}

// probe reads to the first text, so that Open fails where there is none.
func (d *Document) probe(ctx context.Context) error {
	for s, err := range d.Sections(ctx) {
		if err != nil {
			return err
		}
		if strings.TrimSpace(s.Text) != "" {
			return nil
		}
	}
	return d.fail(ErrNoText, "there is no text in it", "")
}

// splitter cuts a text in UTF-8 into sections: at headings, and where those are
// far apart, between paragraphs, lines, words or at least characters. Lines end
// in \n in what it puts out.
type splitter struct {
	out     func(Section) bool
	done    func() int64
	total   int64
	heading func(line string) string // "" if the line is none; may be nil

	cur     []byte
	under   string
	blank   bool // cur holds only space
	fence   bool // inside a Markdown code block
	stopped bool
	invalid bool
}

func (s *splitter) split(r io.Reader) error {
	in := bufio.NewReaderSize(r, sectionBytes)
	s.blank = true
	start := true // of a line
	for !s.stopped && !s.invalid {
		piece, err := in.ReadSlice('\n')
		if start && err == nil && s.heading != nil && len(piece) < 400 {
			s.line(piece)
		}
		if len(piece) > 0 {
			if n := len(s.cur); n > 0 && s.cur[n-1] == '\r' && piece[0] == '\n' {
				s.cur = s.cur[:n-1]
			}
			s.cur = append(s.cur, piece...)
			if n := len(s.cur); n > 1 && s.cur[n-1] == '\n' && s.cur[n-2] == '\r' {
				s.cur = append(s.cur[:n-2], '\n')
			}
			s.blank = s.blank && len(bytes.TrimSpace(piece)) == 0
		}
		start = err == nil
		switch n := len(s.cur); {
		case err != nil && err != bufio.ErrBufferFull:
			s.emit(n)
			if err == io.EOF {
				err = nil
			}
			return err
		case n >= sectionBytes && start && bytes.HasSuffix(s.cur, []byte("\n\n")):
			s.emit(n)
		case n >= 2*sectionBytes && start:
			s.emit(n)
		case n >= 2*sectionBytes:
			s.emit(cut(s.cur))
		}
	}
	return nil
}

// line looks at a whole line before it is added.
func (s *splitter) line(line []byte) {
	line = bytes.TrimSpace(line)
	if len(line) == 0 || bytes.IndexByte([]byte("#`~BCPbcp\xe7"), line[0]) < 0 { // how fences and headings begin
		return
	}
	text := string(line)
	if s.fence || strings.HasPrefix(text, "```") || strings.HasPrefix(text, "~~~") {
		if strings.HasPrefix(text, "```") || strings.HasPrefix(text, "~~~") {
			s.fence = !s.fence
		}
		return
	}
	if h := s.heading(text); h != "" {
		if !s.blank {
			s.emit(len(s.cur))
		}
		s.under = h
	}
}

// emit puts out the first n bytes.
func (s *splitter) emit(n int) {
	if n == 0 || s.stopped {
		return
	}
	text := s.cur[:n]
	if !utf8.Valid(text) {
		s.invalid = true
		return
	}
	if bytes.IndexByte(text, '\r') >= 0 { // of old Macs
		text = bytes.ReplaceAll(text, []byte("\r"), []byte("\n"))
	}
	s.stopped = !s.out(Section{Heading: s.under, Text: string(text), Done: min(s.done(), s.total), Total: s.total})
	s.cur = append(s.cur[:0], s.cur[n:]...)
	s.blank = len(bytes.TrimSpace(s.cur)) == 0
}

// cut is where to end a section inside a long line: after its last space, or
// between two characters.
func cut(p []byte) int {
	if i := bytes.LastIndexByte(p, ' '); i > len(p)/2 {
		return i + 1
	}
	n := len(p) - 1 // never between \r and \n
	for n > len(p)/2 && !utf8.RuneStart(p[n]) {
		n--
	}
	return n
}

// markdownHeading is the text of an ATX heading.
func markdownHeading(line string) string {
	text := strings.TrimLeft(line, "#")
	if n := len(line) - len(text); n < 1 || n > 6 || !strings.HasPrefix(text, " ") {
		return ""
	}
	return strings.TrimSpace(strings.TrimRight(text, "# "))
}

// chapterHeading tells a chapter's line in a plain text: "CHAPTER IV. Borodino",
// "第十二章 …". Sentences that begin that way are longer or end in a full stop.
func chapterHeading(line string) string {
	if len(line) > 100 {
		return ""
	}
	if rest, ok := strings.CutPrefix(line, "第"); ok {
		i := strings.IndexFunc(rest, func(r rune) bool {
			return !strings.ContainsRune("一二三四五六七八九十百千零〇两0123456789", r)
		})
		if i <= 0 || strings.HasSuffix(line, "。") {
			return ""
		}
		unit, size := utf8.DecodeRuneInString(rest[i:])
		next, _ := utf8.DecodeRuneInString(rest[i+size:])
		if strings.ContainsRune("章回卷部节篇", unit) && (len(rest) == i+size || !unicode.IsLetter(next) || unicode.Is(unicode.Han, next)) {
			return line
		}
		return ""
	}
	word, rest, _ := strings.Cut(line, " ")
	switch strings.ToLower(word) {
	case "chapter", "book", "part":
	default:
		return ""
	}
	number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	number = strings.TrimRight(number, ".:,—-")
	if number == "" || strings.Trim(number, "0123456789") != "" && strings.Trim(number, "IVXLCDM") != "" && strings.ToUpper(line) != line {
		return ""
	}
	return line
}

// countingReader counts what was read.
type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
