package document

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
)

// openWord opens a .docx file (Office Open XML, ECMA-376 part 1, section 17).
func (d *Document) openWord(ctx context.Context) error {
	z, err := d.openArchive()
	if err != nil {
		return err
	}
	main, err := z.mainPart()
	if err != nil {
		return err
	}
	if z.find(main) == nil {
		return d.fail(ErrBroken, "the name ends in .docx, but the text in it is missing", "export it again")
	}
	if core, err := z.fields("docProps/core.xml"); err != nil {
		return err
	} else {
		d.Title = core["title"]
	}
	if app, err := z.fields("docProps/app.xml"); err != nil {
		return err
	} else if n, err := strconv.Atoi(app["Pages"]); err == nil && n > 0 {
		d.Pages = n
	}
	styles, err := z.styles(path.Join(path.Dir(main), "styles.xml"))
	if err != nil {
		return err
	}
	d.read = func(ctx context.Context, yield func(Section) bool) error {
		z, err := d.openArchive() // its budget is for one reading
		if err != nil {
			return err
		}
		total := int64(z.find(main).UncompressedSize64)
		for _, note := range noteParts {
			if f := z.find(path.Join(path.Dir(main), note)); f != nil {
				total += int64(f.UncompressedSize64)
			}
		}
		total = max(total, 1)
		var count countingReader
		b := &blocks{out: yield, done: func() (int64, int64) { return min(count.n, total), total }}
		if d.Pages > 0 {
			b.page = 1
		}
		for i, name := range append([]string{path.Base(main)}, noteParts...) {
			r, err := z.open(path.Join(path.Dir(main), name))
			if err != nil {
				return err
			}
			if r == nil {
				continue
			}
			count.r = contextReader{ctx, r}
			w := wordReader{b: b, styles: styles, pages: d.Pages, note: i > 0}
			err = w.read(&count)
			r.Close()
			if err != nil {
				return d.xmlError(name, err)
			}
		}
		count.n = total
		b.flush()
		return nil
	}
	return d.probe(ctx)
}

// noteParts hold what references in the text point to.
var noteParts = []string{"footnotes.xml", "endnotes.xml"}

// xmlError is a part that is no XML.
func (d *Document) xmlError(name string, err error) error {
	var syntax *xml.SyntaxError
	if errors.As(err, &syntax) || errors.Is(err, errToken) {
		return d.brokenZip(fmt.Errorf("%s: %w", name, err))
	}
	return err
}

var errToken = errors.New("one tag or text of more than 16 MiB")

// tokenReader bounds what the decoder takes for one token.
type tokenReader struct {
	r io.Reader
	n int64
}

func (t *tokenReader) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if t.n += int64(n); t.n > tagBytes {
		return 0, errToken
	}
	return n, err
}

// eachXML calls f for each token until it returns false. Names keep no prefix.
func eachXML(r io.Reader, f func(xml.Token) bool) error {
	t := &tokenReader{r: decodeXML(r)}
	x := xml.NewDecoder(t)
	x.Strict = false
	x.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // decodeXML did it
	for {
		t.n = 0
		token, err := x.RawToken()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if !f(token) {
			return nil
		}
	}
}

// attr is an attribute whatever its prefix.
func attr(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// eachPart reads a small part; one that is not there has no tokens.
func (z *archive) eachPart(name string, f func(xml.Token) bool) error {
	r, err := z.open(name)
	if r == nil || err != nil {
		return err
	}
	defer r.Close()
	return z.d.xmlError(name, eachXML(r, f))
}

// fields are the texts of the elements of a part, by name; the first counts.
func (z *archive) fields(name string) (map[string]string, error) {
	fields, key := map[string]string{}, ""
	err := z.eachPart(name, func(t xml.Token) bool {
		switch t := t.(type) {
		case xml.StartElement:
			key = t.Name.Local
		case xml.EndElement:
			key = ""
		case xml.CharData:
			if _, ok := fields[key]; !ok && key != "" {
				fields[key] = string(bytes.TrimSpace(t))
			}
		}
		return true
	})
	return fields, err
}

// mainPart is where the package says that its document is.
func (z *archive) mainPart() (string, error) {
	main := "word/document.xml"
	err := z.eachPart("_rels/.rels", func(t xml.Token) bool {
		if e, ok := t.(xml.StartElement); ok && strings.HasSuffix(attr(e, "Type"), "/officeDocument") {
			main = strings.TrimPrefix(path.Clean("/"+attr(e, "Target")), "/")
			return false
		}
		return true
	})
	return main, err
}

// styles are the heading levels of styles by id; the ids of a German or Chinese
// Word tell nothing, the names are always English.
func (z *archive) styles(name string) (map[string]int, error) {
	levels, based := map[string]int{}, map[string]string{}
	id := ""
	err := z.eachPart(name, func(t xml.Token) bool {
		e, ok := t.(xml.StartElement)
		if !ok {
			return true
		}
		switch val := attr(e, "val"); e.Name.Local {
		case "style":
			id = attr(e, "styleId")
		case "name":
			if n, ok := strings.CutPrefix(strings.ToLower(val), "heading "); ok {
				if level, err := strconv.Atoi(n); err == nil && level >= 1 && level <= 9 {
					levels[id] = level
				}
			} else if strings.EqualFold(val, "title") {
				levels[id] = 1
			}
		case "outlineLvl":
			if level, err := strconv.Atoi(val); err == nil && level >= 0 && level < 9 && levels[id] == 0 {
				levels[id] = level + 1
			}
		case "basedOn":
			based[id] = val
		}
		return true
	})
	for id := range based {
		for at, n := id, 0; n < 20 && levels[id] == 0 && at != ""; n++ {
			at = based[at]
			levels[id] = levels[at]
		}
	}
	return levels, err
}

// wordReader turns the body of a document into blocks.
type wordReader struct {
	b      *blocks
	styles map[string]int
	pages  int
	note   bool // footnotes or endnotes

	paras  []paragraph // open, outermost first: text boxes stand within a paragraph
	runs   int
	text   bool // inside an element of text
	tables int
	table  table
	cell   strings.Builder
	page   int    // pages begun so far
	mark   string // of the next footnote
	skip   string // element whose content does not count
	depth  int    // of elements of that name
	few    bool   // the last block was an item of a list
}

type paragraph struct {
	text  strings.Builder
	level int // of the heading, 0 for none
	list  bool
	inner int // level of the list from 0
}

// openParagraphs may stand within each other.
const openParagraphs = 200

func (w *wordReader) read(r io.Reader) error {
	err := eachXML(r, func(t xml.Token) bool {
		switch t := t.(type) {
		case xml.StartElement:
			if w.skip == "" {
				w.start(t)
			} else if t.Name.Local == w.skip {
				w.depth++
			}
		case xml.EndElement:
			if w.skip == "" {
				w.end(t.Name.Local)
			} else if t.Name.Local == w.skip {
				if w.depth--; w.depth == 0 {
					w.skip = ""
				}
			}
		case xml.CharData:
			if w.text && w.skip == "" {
				w.add(string(t))
			}
		}
		return !w.b.stopped
	})
	for len(w.paras) > 0 {
		w.endParagraph()
	}
	w.endCell()
	w.b.write(w.table.row())
	w.b.blankLine()
	return err
}

func (w *wordReader) start(e xml.StartElement) {
	var p *paragraph
	if n := len(w.paras); n > 0 {
		p = &w.paras[n-1]
	}
	switch e.Name.Local {
	case "Fallback", "moveFrom", "del": // another form of the same text, or text that is no more
		w.skip, w.depth = e.Name.Local, 1
	case "p":
		if len(w.paras) < openParagraphs {
			w.paras = append(w.paras, paragraph{})
		}
	case "pStyle":
		if p != nil {
			p.level = w.styles[attr(e, "val")]
		}
	case "outlineLvl":
		if n, err := strconv.Atoi(attr(e, "val")); err == nil && n >= 0 && n < 9 && p != nil {
			p.level = n + 1
		}
	case "numId":
		if p != nil {
			p.list = attr(e, "val") != "0"
		}
	case "ilvl":
		if n, err := strconv.Atoi(attr(e, "val")); err == nil && p != nil {
			p.inner = max(0, min(n, listDepth))
		}
	case "r":
		w.runs++
	case "t":
		w.text = true
	case "tab":
		if w.runs > 0 { // else it is a tab stop
			w.add("\t")
		}
	case "cr":
		w.add("\n")
	case "br":
		if attr(e, "type") == "page" {
			w.add("\n")
			break // the rendered break that follows counts the page
		}
		w.add("\n")
	case "noBreakHyphen":
		w.add("-")
	case "lastRenderedPageBreak":
		w.page++
	case "footnoteReference", "endnoteReference":
		w.add("[^" + attr(e, "id") + "]")
	case "footnote", "endnote":
		if w.note {
			if w.mark = "[^" + attr(e, "id") + "]: "; attr(e, "type") != "" { // the line above the notes
				w.skip, w.depth = e.Name.Local, 1
			}
		}
	case "tbl":
		if w.tables++; w.tables == 1 {
			w.table = table{}
		}
	case "tblHeader":
		w.table.head = w.table.head || w.table.rows == 0
	}
}

func (w *wordReader) end(name string) {
	switch name {
	case "p":
		w.endParagraph()
	case "r":
		w.runs = max(0, w.runs-1)
	case "t":
		w.text = false
	case "tc":
		if w.tables == 1 {
			w.endCell()
		}
	case "tr":
		if w.tables == 1 {
			w.b.write(w.table.row())
			if w.b.text.Len() >= sectionBytes {
				w.b.flush()
			}
		}
	case "tbl":
		if w.tables = max(0, w.tables-1); w.tables == 0 {
			w.b.blankLine()
		}
	}
}

// add adds text to the innermost paragraph.
func (w *wordReader) add(s string) {
	n := len(w.paras)
	if n == 0 {
		return
	}
	p := &w.paras[n-1].text
	p.WriteString(s)
	if p.Len() > sectionBytes && w.tables == 0 {
		w.b.write(p.String())
		w.b.flush()
		p.Reset()
	}
}

func (w *wordReader) endCell() {
	if w.tables == 1 {
		w.table.cell(w.cell.String())
	}
	w.cell.Reset()
}

func (w *wordReader) endParagraph() {
	n := len(w.paras)
	if n == 0 {
		return
	}
	p := &w.paras[n-1]
	text := strings.TrimRight(p.text.String(), " \t\n")
	if w.tables > 0 {
		w.cell.WriteString(text + " ")
	} else {
		if w.pages > 0 && n == 1 && !w.note {
			w.b.setPage(min(w.page+1, w.pages))
		}
		w.block(text, p)
	}
	w.paras = w.paras[:n-1]
}

// block puts a paragraph out that stands in no table.
func (w *wordReader) block(text string, p *paragraph) {
	if strings.TrimSpace(text) == "" {
		return
	}
	item := p.list && p.level == 0
	if w.few && !item {
		w.b.blankLine()
	}
	w.few = item
	switch {
	case p.level > 0:
		w.b.startSection(p.level, text)
	case item:
		w.b.write(strings.Repeat("  ", p.inner) + "- " + text + "\n")
	default:
		w.b.write(w.mark + text + "\n\n")
		w.mark = ""
	}
	if w.b.text.Len() >= sectionBytes {
		w.b.flush()
	}
}
