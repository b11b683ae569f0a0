package document

import (
	"bytes"
	"crypto/md5"
	"crypto/rc4"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
)

// pdfFile writes a PDF of pages. Latin text is in Helvetica, other text in a
// Chinese font that is not embedded; "" is a page with a rectangle. A password
// encrypts it (40-bit RC4, PDF 1.7 section 7.6); "-" encrypts with none needed.
func pdfFile(title, password string, pages ...string) string {
	var b bytes.Buffer
	var offsets []int
	id := "0123456789abcdef"
	var key, owner, user []byte
	if password != "" {
		if password == "-" {
			password = ""
		}
		pad := []byte("\x28\xbf\x4e\x5e\x4e\x75\x8a\x41\x64\x00\x4e\x56\xff\xfa\x01\x08\x2e\x2e\x00\xb6\xd0\x68\x3e\x80\x2f\x0c\xa9\xfe\x64\x53\x69\x7a")
		padded := append([]byte(password), pad...)[:32]
		crypt := func(key, data []byte) []byte {
			c, _ := rc4.NewCipher(key)
			out := make([]byte, len(data))
			c.XORKeyStream(out, data)
			return out
		}
		sum := md5.Sum(padded)
		owner = crypt(sum[:5], padded)
		sum = md5.Sum([]byte(string(padded) + string(owner) + "\xfc\xff\xff\xff" + id))
		key = sum[:5]
		user = crypt(key, pad)
	}
	object := func(body string, stream string) {
		n := len(offsets) + 1
		offsets = append(offsets, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s", n, body)
		if stream != "" {
			if key != nil {
				sum := md5.Sum(append(append([]byte(nil), key...), byte(n), byte(n>>8), byte(n>>16), 0, 0))
				c, _ := rc4.NewCipher(sum[:10])
				out := make([]byte, len(stream))
				c.XORKeyStream(out, []byte(stream))
				stream = string(out)
			}
			fmt.Fprintf(&b, "<< /Length %d >>\nstream\n%s\nendstream", len(stream), stream)
		}
		b.WriteString("\nendobj\n")
	}
	hex := func(s string) string {
		var out string
		for _, u := range utf16.Encode([]rune(s)) {
			out += fmt.Sprintf("%04x", u)
		}
		return out
	}
	b.WriteString("%PDF-1.4\n")
	var kids string
	for i := range pages {
		kids += fmt.Sprintf("%d 0 R ", 6+2*i)
	}
	object("<< /Type /Catalog /Pages 2 0 R >>", "")
	object(fmt.Sprintf("<< /Type /Pages /Kids [%s] /Count %d >>", kids, len(pages)), "")
	object("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>", "")
	object(`<< /Type /Font /Subtype /Type0 /BaseFont /STSong-Light /Encoding /UniGB-UCS2-H /DescendantFonts [<< /Type /Font /Subtype /CIDFontType0
/BaseFont /STSong-Light /CIDSystemInfo << /Registry (Adobe) /Ordering (GB1) /Supplement 4 >> /DW 1000 /FontDescriptor << /Type /FontDescriptor
/FontName /STSong-Light /Flags 6 /FontBBox [0 -200 1000 900] /ItalicAngle 0 /Ascent 800 /Descent -200 /CapHeight 700 /StemV 80 >> >>] >>`, "")
	if key == nil {
		object("<< /Title <feff"+hex(title)+"> >>", "")
	} else {
		object("<< >>", "")
	}
	for i, page := range pages {
		object(fmt.Sprintf("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R /Resources << /Font << /L 3 0 R /C 4 0 R >> >> >>", 7+2*i), "")
		content := "0 0 100 100 re f\n"
		if page != "" {
			content = "BT 14 TL 50 800 Td\n"
			for _, line := range strings.Split(page, "\n") {
				if strings.IndexFunc(line, func(r rune) bool { return r > 0x7e }) >= 0 {
					content += "/C 12 Tf <" + hex(line) + "> Tj T*\n"
				} else {
					content += "/L 12 Tf (" + strings.NewReplacer(`\`, `\\`, "(", `\(`, ")", `\)`).Replace(line) + ") Tj T*\n"
				}
			}
			content += "ET"
		}
		object("", content)
	}
	start := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(offsets)+1)
	for _, o := range offsets {
		fmt.Fprintf(&b, "%010d 00000 n \n", o)
	}
	encrypt := ""
	if key != nil {
		encrypt = fmt.Sprintf("/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <%x> /U <%x> >>", owner, user)
	}
	fmt.Fprintf(&b, "trailer\n<< /Size %d /Root 1 0 R /Info 5 0 R /ID [<%x> <%x>] %s >>\nstartxref\n%d\n%%%%EOF\n", len(offsets)+1, id, id, encrypt, start)
	return b.String()
}

func TestPDF(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b.pdf")
	if err := os.WriteFile(path, []byte(pdfFile("书 The Title", "", "First page.\nSecond (line) here", "", "话说天下大势，分久必合。")), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := Open(t.Context(), path, testOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	got, s := text(t, d)
	if want := "First page.\nSecond (line) here\n\n话说天下大势，分久必合。\n\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if d.Title != "书 The Title" || d.Pages != 3 || d.Format != PDF || len(s) != 3 || s[1].Text != "" || s[2].Page != 3 {
		t.Errorf("%+v, %+v", d, s)
	}
	for s := range d.Sections(t.Context()) { // leaves the extractor in the middle
		if s.Page == 1 {
			break
		}
	}
	fromReader, err := openBytes(t, "pipe", "junk\n"+pdfFile("", "-", "No password needed"))
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := text(t, fromReader); got != "No password needed\n\n" || fromReader.Title != "pipe" {
		t.Errorf("%q, title %q", got, fromReader.Title)
	}
}

func TestBadPDF(t *testing.T) {
	good := pdfFile("x", "", "text")
	for _, test := range []struct {
		name, data string
		kind       error
		part       string
	}{
		{"locked.pdf", pdfFile("", "secret", "text"), ErrEncrypted, "qpdf"},
		{"scan.pdf", pdfFile("", "", "", "", ""), ErrNoText, "no text on its 3 pages"},
		{"cut.pdf", good[:40], ErrBroken, "damaged or cut short"},
		{"noise.pdf", "%PDF-1.7\n" + noise(5000), ErrBroken, "damaged"},
		{"pages.pdf", strings.ReplaceAll(good, "/Type /Page", "/Type /Gone"), ErrBroken, ""},
		{"loop.pdf", strings.Replace(good, "/Kids [6 0 R ]", "/Kids [2 0 R ]", 1), ErrBroken, ""},
	} {
		_, err := openBytes(t, test.name, test.data)
		checkError(t, test.name, err, test.kind, test.part)
	}
}

// TestExtractorGoesWrong holds that no reader of PDFs, however it ends, hurts.
func TestExtractorGoesWrong(t *testing.T) {
	for _, test := range []struct {
		mode string
		kind error
		part string
	}{
		{"hang", ErrTimeout, "page 2 took longer"},
		{"crash", ErrBroken, "after page 1 of 2"},
		{"garbage", ErrBroken, "broke down"},
		{"flood", ErrTooLarge, "page 1 has more than"},
	} {
		patience := time.Minute // as much as a slow machine needs
		if test.kind == ErrTimeout {
			patience = 2 * time.Second
		}
		d, err := OpenReader(t.Context(), strings.NewReader("%PDF-1.4"), "a.pdf", Options{Extractor: []string{os.Args[0], test.mode}, PageTimeout: patience})
		if err == nil {
			_, err = d.Count(t.Context(), nil)
			d.Close()
		}
		checkError(t, test.mode, err, test.kind, test.part)
	}
	d, err := OpenReader(t.Context(), strings.NewReader("%PDF-1.4"), "a.pdf", Options{Extractor: []string{os.Args[0], "onebad"}})
	if err != nil {
		t.Fatal(err)
	}
	if got, s := text(t, d); got != "two\n\n" || s[0].Problem != "bad" {
		t.Errorf("%q, %+v", got, s)
	}
	if _, err := OpenReader(t.Context(), strings.NewReader("%PDF-1.4"), "a.pdf", Options{Extractor: []string{"/nonexistent/kestrel"}}); err == nil || !strings.Contains(err.Error(), "start the PDF reader") {
		t.Errorf("no extractor: %v", err)
	}
}

func TestTidyPage(t *testing.T) {
	for s, want := range map[string]string{
		"\r\none  \r\ntwo\r\n": "one\ntwo", "exam\x02\r\nple": "example", "exam\ufffe\r\nple": "example", "a\x00b\x01": "ab", "tab\tx": "tab\tx",
	} {
		if got := tidyPage(s); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}

func BenchmarkPDF(b *testing.B) {
	page := strings.TrimSpace(strings.Repeat("A line of the page that has some sixty characters in all.\n", 50))
	pages := make([]string, 200)
	for i := range pages {
		pages[i] = page
	}
	path := filepath.Join(b.TempDir(), "a.pdf")
	if err := os.WriteFile(path, []byte(pdfFile("", "", pages...)), 0o600); err != nil {
		b.Fatal(err)
	}
	d, err := Open(b.Context(), path, testOptions(b))
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	for b.Loop() {
		if _, err := d.Count(b.Context(), nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(200*float64(b.N)/b.Elapsed().Seconds(), "pages/s")
}
