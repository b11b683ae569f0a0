package document

import (
	"bytes"
	"context"
	"errors"
	"io"
	"regexp"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/transform"
)

const (
	tagBytes  = 16 << 20 // most of one tag or run of text
	listDepth = 12       // lists deeper than this are indented no further
	openTags  = 1000     // lists and tables within each other
)

// declared is where HTML names its encoding.
var declared = regexp.MustCompile(`(?i)<(?:meta\s[^>]*charset|\?xml\s[^>]*encoding)\s*=\s*["']?([a-z0-9_:.-]+)`)

func (d *Document) openHTML(ctx context.Context, head []byte) error {
	c, err := d.findCharset(ctx)
	if c.name == "UTF-16LE" || c.name == "UTF-16BE" || c.name == "UTF-8" {
		// what the bytes say outweighs what the page says
	} else if m := declared.FindSubmatch(head[:min(len(head), 4096)]); m != nil && !errors.Is(err, ErrChanged) && !errors.Is(err, ErrRead) && ctx.Err() == nil {
		if e, lookup := htmlindex.Get(string(m[1])); lookup == nil {
			if name, _ := htmlindex.Name(e); name != "utf-8" {
				c, err = charset{name: strings.ToUpper(name), decoder: e}, nil
			}
		}
	}
	if err != nil {
		return err
	}
	d.setCharset(c)
	xhtml := bytes.Contains(head, []byte("<?xml")) || bytes.Contains(head, []byte("DTD XHTML"))
	d.read = func(ctx context.Context, yield func(Section) bool) error {
		count := &countingReader{r: contextReader{ctx, d.src.reader()}}
		r, err := c.open(count)
		if err != nil {
			return d.src.error(err)
		}
		b := &blocks{out: yield, done: func() (int64, int64) { return count.n, d.Size }}
		_, err = writeHTML(b, r, xhtml)
		b.flush()
		if errors.Is(err, html.ErrBufferExceeded) {
			return d.fail(ErrTooLarge, "a single tag or paragraph has more than 16 MiB", "check that this is a web page")
		}
		if err != nil && ctx.Err() == nil {
			return d.src.error(err)
		}
		return err
	}
	if title, err := d.htmlTitle(c, xhtml); err == nil {
		d.Title = title
	}
	return d.probe(ctx)
}

// htmlTitle looks for the title at the beginning.
func (d *Document) htmlTitle(c charset, xhtml bool) (string, error) {
	r, err := c.open(io.LimitReader(d.src.reader(), sniffBytes))
	if err != nil {
		return "", err
	}
	b := &blocks{out: func(Section) bool { return true }, done: func() (int64, int64) { return 0, 0 }}
	return writeHTML(b, r, xhtml)
}

// writeHTML reads HTML or XHTML token by token, so that a page of any size and
// any nesting takes little memory, and returns its title. It is forgiving: tags
// that nothing opened or closed change the layout at most, never the text.
func writeHTML(b *blocks, r io.Reader, xhtml bool) (title string, err error) {
	z := html.NewTokenizer(r)
	z.SetMaxBuf(tagBytes)
	z.AllowCDATA(xhtml)
	w := htmlWriter{b: b}
	for !b.stopped {
		switch z.Next() {
		case html.ErrorToken:
			w.end()
			if err := z.Err(); err != io.EOF {
				return w.title, err
			}
			return w.title, nil
		case html.TextToken:
			w.text(string(z.Text()))
		case html.StartTagToken:
			name, more := z.TagName()
			w.start(string(name), z, more)
		case html.SelfClosingTagToken:
			name, more := z.TagName()
			tag := string(name)
			w.start(tag, z, more)
			if xhtml {
				z.NextIsNotRawText() // <script/> and <title/> have no text
				w.stop(tag)
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			w.stop(string(name))
		}
	}
	return w.title, nil
}

type htmlWriter struct {
	b     *blocks
	title string
	raw   string // the element whose text comes next and is not the page's
	found bool   // the title

	heading  int // level of the open heading, 0 without one
	pre      int
	preStart bool // a line break right after the tag does not count
	quotes   int
	lists    []list
	tables   []table
	inCell   bool
}

func (w *htmlWriter) text(s string) {
	switch {
	case w.raw == "title" && !w.found:
		w.title, w.found = strings.Join(strings.Fields(s), " "), true
	case w.raw != "":
	case w.pre > 0 && !w.inCell:
		if w.preStart {
			s = strings.TrimPrefix(strings.TrimPrefix(s, "\r"), "\n")
			w.preStart = false
		}
		w.b.verbatim(strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n"))
	default:
		w.b.inline(s)
	}
}

func (w *htmlWriter) start(tag string, z *html.Tokenizer, more bool) {
	w.raw = ""
	switch tag {
	case "script", "style", "iframe", "noembed", "noframes", "noscript", "title":
		w.raw = tag
	case "br":
		if w.inCell || w.heading > 0 {
			w.b.space = true
		} else {
			w.b.lineBreak()
		}
	case "img":
		for more {
			var key, value []byte
			key, value, more = z.TagAttr()
			if alt := strings.TrimSpace(string(value)); string(key) == "alt" && alt != "" {
				w.b.inline(" [" + alt + "] ")
			}
		}
	case "h1", "h2", "h3", "h4", "h5", "h6":
		w.block()
		if !w.inCell {
			w.heading = int(tag[1] - '0')
		}
	case "pre", "listing", "xmp", "plaintext":
		w.block()
		if w.pre++; w.pre == 1 && !w.inCell {
			w.b.verbatim("```\n")
			w.preStart = true
		}
	case "ul", "ol", "menu", "dir":
		w.block()
		if len(w.lists) < openTags {
			w.lists = append(w.lists, list{ordered: tag == "ol"})
		}
		w.layout()
	case "li":
		w.block()
		w.layout()
		if n := len(w.lists); n > 0 {
			w.b.prefix += w.lists[n-1].item()
		} else {
			w.b.prefix += "- "
		}
	case "dd":
		w.block()
		w.layout()
		w.b.prefix += "  "
	case "blockquote":
		w.block()
		w.quotes++
		w.layout()
	case "table":
		w.block()
		if len(w.tables) < openTags {
			w.tables = append(w.tables, table{})
		}
	case "tr":
		w.row()
	case "td", "th":
		w.cell()
		if n := len(w.tables); n == 1 {
			w.inCell = true
			w.tables[0].head = w.tables[0].head || tag == "th" && w.tables[0].rows == 0
		} else if n > 1 {
			w.b.inline(" ") // a table within a cell is text of the cell
		}
	default:
		if blockTags[tag] {
			w.block()
		}
	}
}

func (w *htmlWriter) stop(tag string) {
	w.raw = ""
	switch tag {
	case "h1", "h2", "h3", "h4", "h5", "h6":
		w.block()
	case "pre", "listing", "xmp", "plaintext":
		if w.pre == 0 {
			return
		}
		if w.pre--; w.pre == 0 && !w.inCell {
			if !strings.HasSuffix(w.b.line.String(), "\n") {
				w.b.verbatim("\n")
			}
			w.b.verbatim("```")
		}
		w.block()
	case "ul", "ol", "menu", "dir":
		w.block()
		if n := len(w.lists); n > 0 {
			w.lists = w.lists[:n-1]
			w.layout()
		}
		if len(w.lists) == 0 && !w.inCell {
			w.b.blankLine()
		}
	case "li", "dd":
		w.block()
		w.layout()
	case "blockquote":
		w.block()
		w.quotes = max(w.quotes-1, 0)
		w.layout()
	case "td", "th":
		w.cell()
	case "tr":
		w.row()
	case "table":
		w.row()
		if n := len(w.tables); n > 0 {
			if w.tables = w.tables[:n-1]; n == 1 {
				w.b.blankLine()
			}
		}
	default:
		if blockTags[tag] {
			w.block()
		}
	}
}

// block ends the paragraph, and with it an open heading.
func (w *htmlWriter) block() {
	switch {
	case w.inCell:
		w.b.space = true
	case w.heading > 0:
		level := w.heading
		w.heading = 0
		w.b.startSection(level, w.b.take())
		w.layout()
	case len(w.lists) > 0 && w.pre == 0:
		w.b.endBlock("\n")
	default:
		w.b.endBlock("\n\n")
	}
}

// layout sets what stands before lines in the open lists and quotations.
func (w *htmlWriter) layout() {
	indent := strings.Repeat("> ", min(w.quotes, listDepth)) + strings.Repeat("  ", max(0, min(len(w.lists), listDepth)-1))
	w.b.prefix, w.b.indent = indent, indent
}

func (w *htmlWriter) cell() {
	if w.inCell && len(w.tables) == 1 {
		w.tables[0].cell(w.b.take())
		w.inCell = false
	}
}

func (w *htmlWriter) row() {
	switch n := len(w.tables); {
	case n == 1:
		w.cell()
		w.block() // what stands between the cells
		w.b.write(w.tables[0].row())
		if w.b.text.Len() >= sectionBytes {
			w.b.flush()
		}
	case n > 1:
		w.b.inline(" ")
	}
}

// end closes what is still open.
func (w *htmlWriter) end() {
	if len(w.tables) > 0 {
		w.tables = w.tables[:1]
		w.row()
		w.tables = nil
	}
	w.inCell = false
	w.block()
	w.b.blankLine()
}

// blockTags begin and end a paragraph.
var blockTags = func() map[string]bool {
	m := map[string]bool{}
	for _, tag := range strings.Fields(`address article aside body caption center dd details dialog div dl dt fieldset figcaption figure
		footer form header hgroup hr html legend main nav option p search section summary thead tbody tfoot textarea video audio`) {
		m[tag] = true
	}
	return m
}()

// decodeXML reads XML in the encoding that its first bytes or its declaration
// name, as UTF-8.
func decodeXML(r io.Reader) io.Reader {
	head := make([]byte, 1024)
	n, err := io.ReadFull(r, head)
	if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
		return io.MultiReader(bytes.NewReader(head[:n]), errorReader{err})
	}
	head = head[:n]
	all := io.MultiReader(bytes.NewReader(head), r)
	name := ""
	switch {
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("<\x00")):
		name = "utf-16le"
	case bytes.HasPrefix(head, []byte("\xfe\xff")), bytes.HasPrefix(head, []byte("\x00<")):
		name = "utf-16be"
	default:
		if m := declared.FindSubmatch(head); m != nil {
			name = string(m[1])
		}
	}
	if e, err := htmlindex.Get(name); err == nil && strings.ToLower(name) != "utf-8" {
		return transform.NewReader(all, e.NewDecoder())
	}
	return all
}

type errorReader struct{ err error }

func (e errorReader) Read([]byte) (int, error) { return 0, e.err }
