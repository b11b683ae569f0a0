package document

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// blocks puts the paragraphs, headings, lists and tables of HTML and Word
// together to text in Markdown's manner, and cuts it into sections. Emphasis,
// links and pictures' addresses are left out: they tell a reader of text little.
type blocks struct {
	out  func(Section) bool
	done func() (done, total int64)

	page    int
	heading string
	text    strings.Builder // of the section so far
	stopped bool

	line   strings.Builder // of the paragraph so far
	space  bool            // a space is due before the next word
	prefix string          // before the paragraph's first line, such as "- "
	indent string          // before its other lines
}

// inline adds text in which every run of white space is one space.
func (b *blocks) inline(s string) {
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f':
			b.space = true
			i++
			continue
		case strings.HasPrefix(s[i:], "\u00a0"):
			b.space = true
			i += 2
			continue
		case strings.HasPrefix(s[i:], "\u00ad"): // soft hyphen
			i += 2
			continue
		}
		b.flushSpace()
		end := i
		for end < len(s) && s[end] > ' ' && s[end] != 0xc2 {
			end++
		}
		if end == i { // a control character, or a character that begins with 0xc2
			if c > ' ' {
				_, size := utf8.DecodeRuneInString(s[i:])
				end += size
				b.line.WriteString(s[i:end])
			} else {
				end++
			}
		} else {
			b.line.WriteString(s[i:end])
		}
		i = end
	}
	if b.line.Len() > sectionBytes && !b.stopped { // a paragraph of that length is cut
		b.write(b.take())
		b.flush()
	}
}

func (b *blocks) flushSpace() {
	if b.space && b.line.Len() > 0 && !strings.HasSuffix(b.line.String(), "\n") {
		b.line.WriteByte(' ')
	}
	b.space = false
}

// verbatim adds text as it is.
func (b *blocks) verbatim(s string) {
	b.flushSpace()
	b.line.WriteString(s)
	if b.line.Len() > sectionBytes && !b.stopped {
		b.write(b.take())
		b.flush()
	}
}

// lineBreak breaks the line within the paragraph.
func (b *blocks) lineBreak() {
	b.space = false
	if b.line.Len() > 0 {
		b.line.WriteByte('\n')
	}
}

// take ends the paragraph and returns its text.
func (b *blocks) take() string {
	s := b.line.String()
	b.line.Reset()
	b.space = false
	return s
}

// endBlock ends the paragraph; end goes after it: "\n" in a list, else "\n\n".
func (b *blocks) endBlock(end string) {
	s := strings.TrimRight(b.take(), " \n")
	if s == "" {
		return
	}
	prefix, indent := b.prefix, b.indent
	b.prefix = b.indent // a second paragraph stands under the first
	if indent != "" {
		s = strings.ReplaceAll(s, "\n", "\n"+indent)
	}
	b.write(prefix + s + end)
	if b.text.Len() >= sectionBytes {
		b.flush()
	}
}

// write adds finished text.
func (b *blocks) write(s string) { b.text.WriteString(s) }

// blankLine parts what follows from a list or table.
func (b *blocks) blankLine() {
	if s := b.text.String(); strings.HasSuffix(s, "\n") && !strings.HasSuffix(s, "\n\n") {
		b.write("\n")
	}
}

// startSection begins a section under a heading of that level.
func (b *blocks) startSection(level int, heading string) {
	heading = strings.Join(strings.Fields(heading), " ")
	if heading == "" {
		return
	}
	b.blankLine()
	b.flush()
	b.heading = heading
	b.write(strings.Repeat("#", min(max(level, 1), 6)) + " " + heading + "\n\n")
}

// setPage says that what follows stands on another page.
func (b *blocks) setPage(n int) {
	if n != b.page {
		b.flush()
		b.page = n
	}
}

// flush puts the section out.
func (b *blocks) flush() {
	s := b.text.String()
	b.text.Reset()
	for len(s) > 0 && !b.stopped {
		n := len(s)
		if n > 2*sectionBytes {
			n = cut([]byte(s[:sectionBytes]))
		}
		done, total := b.done()
		b.stopped = !b.out(Section{Page: b.page, Heading: b.heading, Text: strings.ToValidUTF8(s[:n], "\ufffd"), Done: min(done, total), Total: total})
		s = s[n:]
	}
}

// list is an open list.
type list struct {
	ordered bool
	n       int
}

// item is what stands before a list's next item.
func (l *list) item() string {
	l.n++
	if l.ordered {
		return fmt.Sprintf("%d. ", l.n)
	}
	return "- "
}

// table gathers the rows of a table.
type table struct {
	cells []string
	rows  int
	head  bool // the first row is one of headings
}

func (t *table) cell(s string) {
	t.cells = append(t.cells, strings.Join(strings.Fields(s), " "))
}

// row ends a row and returns it as Markdown.
func (t *table) row() string {
	if len(t.cells) == 0 {
		return ""
	}
	s := "| " + strings.Join(t.cells, " | ") + " |\n"
	if t.rows == 0 && t.head {
		s += "|" + strings.Repeat(" --- |", len(t.cells)) + "\n"
	}
	t.rows++
	t.cells = t.cells[:0]
	return s
}
