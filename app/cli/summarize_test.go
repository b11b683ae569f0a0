package cli

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"

	"kestrel/app/dialog"
	"kestrel/app/document"
	"kestrel/engine"
)

func zipped(t *testing.T, parts ...string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(parts); i += 2 {
		w, err := z.Create(parts[i])
		if err == nil {
			_, err = w.Write([]byte(parts[i+1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// smallPDF has a page for each text; "" is a page without any.
func smallPDF(pages ...string) string {
	var kids, objects string
	for i, text := range pages {
		content := "BT /F 12 Tf 50 700 Td (" + text + ") Tj ET"
		if text == "" {
			content = "0 0 9 9 re f"
		}
		kids += fmt.Sprintf("%d 0 R ", 4+2*i)
		objects += fmt.Sprintf("%d 0 obj\n<< /Type /Page /Parent 2 0 R /MediaBox [0 0 500 800] /Contents %d 0 R /Resources << /Font << /F 3 0 R >> >> >>\nendobj\n"+
			"%d 0 obj\n<< /Length %d >>\nstream\n%s\nendstream\nendobj\n", 4+2*i, 5+2*i, 5+2*i, len(content), content)
	}
	return fmt.Sprintf("%%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n2 0 obj\n<< /Type /Pages /Kids [%s] /Count %d >>\nendobj\n"+
		"3 0 obj\n<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>\nendobj\n%strailer\n<< /Root 1 0 R >>\n", kids, len(pages), objects)
}

// TestSummarizeFormats holds that each format's text reaches the model, with
// what its reader should know, and that a bad file never opens the model.
func TestSummarizeFormats(t *testing.T) {
	dir := t.TempDir()
	gb, err := simplifiedchinese.GB18030.NewEncoder().String("话说天下大势，分久必合，合久必分。")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, data, text, note string }{
		{"a.txt", "\n\n one \n\n", "one", ""},
		{"gb.txt", gb, "话说天下大势，分久必合，合久必分。", "read as GB18030"},
		{"a.md", "# T\n\none\n\n# U\n\ntwo\n", "# T\n\none\n\n# U\n\ntwo", ""},
		{"a.go", "package x\r\n\r\nvar y int\r\n", "package x\n\nvar y int", ""},
		{"a.html", "<title>t</title><h1>T</h1><p>one", "# T\n\none", ""},
		{"a.docx", zipped(t, "word/document.xml", "<w:p><w:r><w:t>one</w:t></w:r></w:p><w:p><w:r><w:t>two</w:t></w:r></w:p>"), "one\n\ntwo", ""},
		{"a.epub", zipped(t, "META-INF/container.xml", `<rootfile full-path="a.opf"/>`, "a.opf", `<item id="a" href="b"/><itemref idref="a"/>`, "b", "<p>one"), "one", ""},
		{"a.pdf", smallPDF("one", "", "two"), "one\n\ntwo", "1 of 3 pages hold no text"},
	} {
		path := filepath.Join(dir, test.name)
		if err := os.WriteFile(path, []byte(test.data), 0o600); err != nil {
			t.Fatal(err)
		}
		e := fake("It is short.")
		got := call(t, IO{Engine: e}, "", "summarize", path, "--words", "20")
		if got.code != 0 || got.out != "It is short.\n" || (got.err == "") != (test.note == "") || !strings.Contains(got.err, test.note) {
			t.Errorf("%s: %+v", test.name, got)
		}
		if want := turnText(dialog.SummaryRequest(test.text, 20)); strings.Join(e.Fed(), "") != want {
			t.Errorf("%s: read %q, want %q", test.name, e.Fed(), want)
		}
	}
	for _, test := range []struct{ name, data, err string }{
		{"scan.pdf", smallPDF("", ""), "only pictures (a scan?): run text recognition"},
		{"cut.pdf", "%PDF-1.7\n1 0 obj", "damaged"},
		{"bomb.docx", zipped(t, "word/document.xml", strings.Repeat("<w:p></w:p>", 1<<20)), "bomb"},
		{"a.zip", zipped(t, "a", "b"), "zip archive: unpack it"},
		{"bad.txt", "caf\xe9 ol\xe9", "iconv"},
	} {
		path := filepath.Join(dir, test.name)
		if err := os.WriteFile(path, []byte(test.data), 0o600); err != nil {
			t.Fatal(err)
		}
		e := fake("x")
		if got := call(t, IO{Engine: e}, "", "summarize", path); got.code != 1 || got.out != "" || !strings.Contains(got.err, test.err) || !strings.Contains(got.err, path) || len(e.Opened()) > 0 {
			t.Errorf("%s: %+v, opened %v", test.name, got, e.Opened())
		}
	}
}

// TestSummarizeLong holds that a long text is fed in parts as it is read, that
// none of it is lost between them.
func TestSummarizeLong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "book.md")
	var b strings.Builder
	for i := range 12_000 {
		if i%500 == 0 {
			fmt.Fprintf(&b, "## Part %d\n\n", i/500)
		}
		fmt.Fprintf(&b, "Line %d of the book.\n\n", i)
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	e := fake("It is long.")
	if got := call(t, IO{Engine: e}, "", "summarize", path, "--words", "20"); got != (result{0, "It is long.\n", ""}) {
		t.Fatalf("%+v", got)
	}
	if want := turnText(dialog.SummaryRequest(b.String(), 20)); strings.Join(e.Fed(), "") != want || len(e.Fed()) < 3 {
		t.Errorf("%d parts, %d bytes, want %d", len(e.Fed()), len(strings.Join(e.Fed(), "")), len(want))
	}
	for i, part := range e.Fed() {
		if len(part) > len(b.String())/2 {
			t.Errorf("part %d has %d bytes of %d", i, len(part), b.Len())
		}
	}
}

// TestSummarizeLost holds that a file that goes bad halfway ends the command
// with the reason.
func TestSummarizeLost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "book.txt")
	if err := os.WriteFile(path, bytes.Repeat([]byte("A line of the book.\n"), 50_000), 0o600); err != nil {
		t.Fatal(err)
	}
	a := &app{IO: IO{Err: &bytes.Buffer{}}}
	doc, err := a.openDocument(context.Background(), path, document.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer doc.Close()
	if err := os.Truncate(path, 1000); err != nil {
		t.Fatal(err)
	}
	m, err := fake("x").Open(context.Background(), "", engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.feedDocument(context.Background(), dialog.NewReader(m, s, dialog.NewFormat(m.Template(), m.Tokenizer()), 0), doc, 20); !errors.Is(err, document.ErrChanged) {
		t.Errorf("got %v", err)
	}
}
