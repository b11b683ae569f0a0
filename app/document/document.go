// Package document reads the text of documents: plain text, Markdown, source
// code, HTML, Word (.docx), EPUB and PDF.
//
// Open looks at a file and says what it is; Sections then streams its text in
// pieces of bounded size, so that a text of any length never stands in memory
// whole. The Texts of all sections, joined, are the text of the document.
//
// Whatever a file holds, reading it ends in its text or in an *Error that names
// the file, what is wrong and the way out; the kinds are for errors.Is. A PDF is
// read by a process of its own, which is killed if it crashes or never ends.
//
// A Document may be read several times and from several goroutines at once. The
// file stays open until Close: one that is deleted meanwhile is still read, and
// one that changes fails with ErrChanged.
package document

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"
)

// Format is a kind of document.
type Format string

// The formats that are read.
const (
	Text     Format = "text"
	Markdown Format = "markdown"
	Code     Format = "code"
	HTML     Format = "html"
	Word     Format = "docx"
	EPUB     Format = "epub"
	PDF      Format = "pdf"
)

// sectionBytes is about how long a section's text may become.
const sectionBytes = 64 << 10

// Section is a piece of a document's text in reading order.
type Section struct {
	Page    int    // from 1; 0 if the document has none. Pages of Word are those of its last save
	Heading string // the heading it stands under; "" before the first
	Text    string // "" for a page of a PDF without text, or where the end of the file holds none
	Problem string // why a page of a PDF could not be read; the others still are

	// how far the document is read with this section: bytes of the file, parts
	// of an EPUB or pages of a PDF
	Done, Total int64
}

// Options change how a document is opened. The zero value is right for the
// program itself.
type Options struct {
	// Format, if set, is taken for granted: nothing is guessed from name or content.
	Format Format
	// Extractor is the command that reads PDFs; without one it is this program,
	// whose main has to call RunExtractor.
	Extractor []string
	// CacheDir keeps the compiled PDF reader; "" is the user's cache folder.
	CacheDir string
	// PageTimeout is how long one page of a PDF may take; 0 is a minute.
	PageTimeout time.Duration
}

// Document is an open document.
type Document struct {
	Name     string // as messages call it
	Title    string // its own, or the file's name
	Format   Format
	Encoding string // of a text: "UTF-8", "GB18030", …
	Size     int64  // bytes of the file
	Pages    int    // 0 if unknown
	Words    int    // set by Count; every Chinese character is a word
	Notes    []Note // what a reader should know, such as characters that could not be read

	src  *source
	read reader
}

// reader streams a document's sections. yield returns false to stop it, after
// which the reader returns nil.
type reader func(ctx context.Context, yield func(Section) bool) error

// Open opens the document at path.
func Open(ctx context.Context, path string, o Options) (*Document, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, readError(path, err)
	}
	switch mode := info.Mode(); {
	case mode.IsDir():
		return nil, &Error{Name: path, Kind: ErrFolder, What: "this is a folder", Way: "give one file"}
	case mode&(fs.ModeNamedPipe|fs.ModeSocket) != 0:
		f, err := os.Open(path)
		if err != nil {
			return nil, readError(path, err)
		}
		defer f.Close()
		return OpenReader(ctx, f, path, o)
	case !mode.IsRegular():
		return nil, &Error{Name: path, Kind: ErrFormat, What: "this is a device", Way: "give a file"}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, readError(path, err)
	}
	return open(ctx, &source{name: path, at: f, file: f, size: info.Size()}, o)
}

// OpenReader opens the document that r holds, to its end. What is more than a
// few MiB waits in a temporary file that Close removes. Messages call it name,
// whose ending tells text, Markdown and code apart.
func OpenReader(ctx context.Context, r io.Reader, name string, o Options) (*Document, error) {
	src, err := spool(ctx, r, name)
	if err != nil {
		return nil, err
	}
	return open(ctx, src, o)
}

// open takes src over.
func open(ctx context.Context, src *source, o Options) (*Document, error) {
	d := &Document{Name: src.name, Size: src.size, src: src}
	err := d.open(ctx, o)
	if err != nil {
		src.close()
		return nil, err
	}
	if d.Title = strings.Join(strings.Fields(strings.ToValidUTF8(d.Title, "")), " "); d.Title == "" {
		d.Title = filepath.Base(src.name)
		if d.Format != Code {
			d.Title = strings.TrimSuffix(d.Title, filepath.Ext(d.Title))
		}
	}
	return d, nil
}

func (d *Document) open(ctx context.Context, o Options) error {
	if d.Size == 0 {
		return d.fail(ErrEmpty, "there is no text in it (0 bytes)", "check that it was copied or downloaded whole")
	}
	head := make([]byte, min(d.Size, sniffBytes))
	if _, err := io.ReadFull(d.src.reader(), head); err != nil {
		return d.src.error(err)
	}
	d.Format = o.Format
	if d.Format == "" {
		var err error
		if d.Format, err = d.detect(head); err != nil {
			return err
		}
	}
	switch d.Format {
	case PDF:
		return d.openPDF(ctx, o)
	case Word:
		return d.openWord(ctx)
	case EPUB:
		return d.openEPUB(ctx)
	case HTML:
		return d.openHTML(ctx, head)
	}
	return d.openText(ctx)
}

// Sections streams the document's text. An error ends it: an *Error, or the
// context's.
func (d *Document) Sections(ctx context.Context) iter.Seq2[Section, error] {
	return func(yield func(Section, error) bool) {
		stopped := false
		var last Section
		err := d.read(ctx, func(s Section) bool {
			if ctx.Err() != nil {
				return false
			}
			last = s
			stopped = !yield(s, nil)
			return !stopped
		})
		if stopped {
			return
		}
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			yield(Section{}, d.wrap(err))
		} else if last.Done < last.Total { // no text in what is left, such as pictures
			last.Text, last.Done = "", last.Total
			yield(last, nil)
		}
	}
}

// Count reads the document once, sets Words and returns it. Where Sections
// would fail, Count fails. progress may be nil.
func (d *Document) Count(ctx context.Context, progress func(done, total int64)) (int, error) {
	words := 0
	for s, err := range d.Sections(ctx) {
		if err != nil {
			return 0, err
		}
		words += CountWords(s.Text)
		if progress != nil {
			progress(s.Done, s.Total)
		}
	}
	d.Words = words
	return words, nil
}

// Close closes the file.
func (d *Document) Close() error { return d.src.close() }

// CountWords counts runs of letters and digits; each character of a script
// without spaces is one. A word cut by the end of a section counts twice.
func CountWords(s string) int {
	n, in := 0, false
	for _, r := range s {
		switch {
		case r < 0x80:
			letter := wordASCII[r] || in && (r == '\'' || r == '-' || r == '_')
			if letter && !in {
				n++
			}
			in = letter
		case r >= 0x4e00 && r < 0xa000, unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana):
			n++
			in = false
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			if !in {
				n++
			}
			in = true
		default:
			in = in && (unicode.IsMark(r) || r == '’')
		}
	}
	return n
}

var wordASCII = func() (t [0x80]bool) {
	for r := range t {
		t[r] = 'a' <= r|0x20 && r|0x20 <= 'z' || '0' <= r && r <= '9'
	}
	return
}()

// fail is an error about the document.
func (d *Document) fail(kind error, what, way string) error {
	return &Error{Name: d.Name, Kind: kind, What: what, Way: way}
}

// wrap names the document in an error that does not yet.
func (d *Document) wrap(err error) error {
	if e := (*Error)(nil); errors.As(err, &e) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return readError(d.Name, err)
}
