package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/unicode"

	"kestrel/app/document"
)

// formats are files that look like text to nobody, by how they begin.
var formats = []struct{ magic, name, way string }{
	{"%PDF", "a PDF file", "turn it into text: pdftotext FILE text.txt"},
	{"PK\x03\x04", "a zip file, such as .docx, .epub or .odt", "turn it into text: pandoc -t plain -o text.txt FILE"},
	{"\xd0\xcf\x11\xe0", "an old Office file", "save it as plain text first"},
	{"{\\rtf", "an RTF file", "save it as plain text first"},
	{"\x1f\x8b", "compressed by gzip", "unpack it: zcat FILE > text.txt"},
	{"GGUF", "a model", "give it to --model"},
}

// openDocument opens a document of any format that is read, or the text on
// standard input for "-", and tells what its reader should know.
func (a *app) openDocument(ctx context.Context, path string) (*document.Document, error) {
	type opened struct {
		d   *document.Document
		err error
	}
	done := make(chan opened, 1)
	go func() {
		var o opened
		if path == "-" {
			o.d, o.err = document.OpenReader(ctx, a.In, "standard input", document.Options{Format: document.Text})
		} else {
			o.d, o.err = document.Open(ctx, path, document.Options{})
		}
		done <- o
	}()
	select {
	case o := <-done:
		if o.err != nil {
			return nil, o.err
		}
		for _, note := range o.d.Notes {
			a.note("%s: %s", o.d.Name, note)
		}
		return o.d, nil
	case <-ctx.Done(): // a read that waits goes on, and ends with the program
		return nil, ctx.Err()
	}
}

// readDocument reads a text or Markdown file, or standard input for "-".
func (a *app) readDocument(ctx context.Context, path string) (string, error) {
	name := path
	var data []byte
	var err error
	if path == "-" {
		name = "standard input"
		if data, err = a.readAll(ctx); err != nil {
			return "", err
		}
	} else {
		if info, statErr := os.Stat(path); statErr == nil && info.IsDir() {
			return "", fmt.Errorf("%s is a folder; give one text or Markdown file", path)
		}
		if data, err = os.ReadFile(path); err != nil {
			return "", fmt.Errorf("read %s: %w", name, unwrapPath(err))
		}
	}
	text, err := decodeText(data)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return text, nil
}

// unwrapPath drops the path that the message names already.
func unwrapPath(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// decodeText returns the text of a file in UTF-8, or in UTF-16 with a byte
// order mark.
func decodeText(data []byte) (string, error) {
	for _, f := range formats {
		if bytes.HasPrefix(data, []byte(f.magic)) {
			return "", fmt.Errorf("this is %s; only text and Markdown are read: %s", f.name, f.way)
		}
	}
	var text string
	switch {
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		text = string(data[3:])
	case bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff")):
		if len(data)%2 != 0 {
			return "", errors.New("this is UTF-16 with an odd number of bytes: the file is cut short")
		}
		utf8, err := unicode.UTF16(unicode.BigEndian, unicode.ExpectBOM).NewDecoder().Bytes(data)
		if err != nil {
			return "", fmt.Errorf("decode UTF-16: %w", err)
		}
		text = string(utf8)
	default:
		text = string(data)
	}
	if at := strings.IndexByte(text, 0); at >= 0 {
		return "", fmt.Errorf("this is no text (a zero byte at %d); only text and Markdown are read", at)
	}
	if !utf8.ValidString(text) {
		at := 0
		for i, r := range text {
			if r == utf8.RuneError && !strings.HasPrefix(text[i:], "\ufffd") {
				at = i
				break
			}
		}
		return "", fmt.Errorf("this is not UTF-8 (byte 0x%02x at %d); if it is text in another encoding, convert it: iconv -f ENCODING -t UTF-8 FILE > text.txt",
			text[at], at)
	}
	if strings.TrimSpace(text) == "" {
		return "", errors.New("there is no text in it")
	}
	return text, nil
}
