package document

import (
	"archive/zip"
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// zipFile is a zip file of names and contents.
func zipFile(t testing.TB, parts ...string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(parts); i += 2 {
		h := &zip.FileHeader{Name: parts[i], Method: zip.Deflate}
		if parts[i+1] == "" {
			h.Method = zip.Store // as packers do; a deflater for each of very many takes long
		}
		w, err := z.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(parts[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

const wordStyles = `<w:styles xmlns:w="w"><w:style w:styleId="1"><w:name w:val="heading 1"/></w:style>
<w:style w:styleId="berschrift2"><w:name w:val="heading 2"/></w:style><w:style w:styleId="Eigen"><w:name w:val="Eigen"/><w:basedOn w:val="berschrift2"/></w:style>
<w:style w:styleId="Loop"><w:basedOn w:val="Loop"/></w:style></w:styles>`

func word(t testing.TB, body string, more ...string) string {
	return zipFile(t, append([]string{
		"[Content_Types].xml", "<Types/>",
		"_rels/.rels", `<Relationships><Relationship Type="http://x/officeDocument" Target="/word/document.xml"/></Relationships>`,
		"word/styles.xml", wordStyles,
		"word/document.xml", `<?xml version="1.0" encoding="UTF-8" standalone="yes"?><w:document xmlns:w="w"><w:body>` + body + `</w:body></w:document>`,
	}, more...)...)
}

func TestWord(t *testing.T) {
	p := func(s string) string { return "<w:p><w:r><w:t>" + s + "</w:t></w:r></w:p>" }
	styled := func(style, s string) string {
		return `<w:p><w:pPr><w:tabs><w:tab w:val="left"/></w:tabs><w:pStyle w:val="` + style + `"/></w:pPr><w:r><w:t>` + s + "</w:t></w:r></w:p>"
	}
	item := func(level, s string) string {
		return `<w:p><w:pPr><w:numPr><w:ilvl w:val="` + level + `"/><w:numId w:val="3"/></w:numPr></w:pPr><w:r><w:t>` + s + "</w:t></w:r></w:p>"
	}
	for _, test := range []struct{ name, body, want string }{
		{"paragraphs", p("One &amp; two") + p("") + p("中文"), "One & two\n\n中文\n\n"},
		{"headings", styled("1", "Top") + p("x") + styled("berschrift2", "Sub") + styled("Eigen", "Mine") + styled("Loop", "y"), "# Top\n\nx\n\n## Sub\n\n## Mine\n\ny\n\n"},
		{"runs", `<w:p><w:r><w:t xml:space="preserve">a </w:t></w:r><w:r><w:t>b</w:t><w:tab/><w:t>c</w:t><w:br/><w:t>d</w:t><w:noBreakHyphen/></w:r></w:p>`, "a b\tc\nd-\n\n"},
		{"list", item("0", "one") + item("1", "two") + p("after"), "- one\n  - two\n\nafter\n\n"},
		{"table", `<w:tbl><w:tr><w:trPr><w:tblHeader/></w:trPr><w:tc>` + p("k") + `</w:tc><w:tc>` + p("v") + `</w:tc></w:tr><w:tr><w:tc>` + p("a") + p("b") + `</w:tc><w:tc><w:tbl><w:tr><w:tc>` + p("in") + `</w:tc></w:tr></w:tbl></w:tc></w:tr></w:tbl>` + p("end"),
			"| k | v |\n| --- | --- |\n| a b | in |\n\nend\n\n"},
		{"deleted", `<w:p><w:del><w:r><w:delText>old</w:delText><w:t>x</w:t></w:r></w:del><w:ins><w:r><w:t>new</w:t></w:r></w:ins><w:moveFrom><w:r><w:t>gone</w:t></w:r></w:moveFrom></w:p>`, "new\n\n"},
		{"text box", `<w:p><w:r><w:t>out</w:t><mc:AlternateContent><mc:Choice>` + p("box") + `</mc:Choice><mc:Fallback>` + p("box") + `</mc:Fallback></mc:AlternateContent></w:r></w:p>`, "box\n\nout\n\n"},
		{"field", `<w:p><w:r><w:instrText>PAGE</w:instrText></w:r><w:r><w:t>7</w:t></w:r></w:p>`, "7\n\n"},
	} {
		d, err := openBytes(t, "a.docx", word(t, test.body))
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if got, _ := text(t, d); got != test.want || d.Format != Word || d.Title != "a" {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
	d, err := openBytes(t, "a.docx", word(t, `<w:p><w:r><w:t>one</w:t><w:footnoteReference w:id="2"/></w:r></w:p><w:p><w:r><w:lastRenderedPageBreak/><w:t>two</w:t></w:r></w:p>`,
		"docProps/core.xml", "<cp:coreProperties><dc:title>My  Report</dc:title></cp:coreProperties>", "docProps/app.xml", "<Properties><Pages>2</Pages></Properties>",
		"word/footnotes.xml", `<w:footnotes><w:footnote w:type="separator" w:id="0">`+p("line")+`</w:footnote><w:footnote w:id="2">`+p("note")+`</w:footnote></w:footnotes>`))
	if err != nil {
		t.Fatal(err)
	}
	got, sections := text(t, d)
	if got != "one[^2]\n\ntwo\n\n[^2]: note\n\n" || d.Title != "My Report" || d.Pages != 2 || sections[0].Page != 1 || sections[1].Page != 2 {
		t.Errorf("%q, %+v, %+v", got, d, sections)
	}
}

func TestLongWord(t *testing.T) {
	for _, unit := range []string{"<w:p><w:r><w:t>word </w:t></w:r></w:p>", "<w:t>word </w:t>", "<w:p><w:r><w:t>word </w:t>"} {
		data := word(t, "<w:p>"+strings.Repeat(unit, 50_000))
		if len(data)*archiveRatio < len(unit)*50_000 {
			data = word(t, "<w:p>"+strings.Repeat(unit, 50_000)) // repetitive beyond what documents are
		}
		d, err := openBytes(t, "a.docx", data)
		if err != nil {
			t.Fatal(err)
		}
		if got, sections := text(t, d); strings.Count(got, "word") != 50_000 || len(sections) < 3 {
			t.Errorf("%q: %d sections, %d words", unit, len(sections), strings.Count(got, "word"))
		}
	}
}

// TestBadArchives holds that damaged, locked and exploding files are refused.
func TestBadArchives(t *testing.T) {
	times := 1 << 20
	if testing.Short() {
		times /= 4 // still twice what an entry may unpack to however small it is
	}
	bomb := strings.Repeat("<w:p><w:r><w:t>bomb</w:t></w:r></w:p>", times)
	good := word(t, "<w:p><w:r><w:t>"+noise(3000)+"</w:t></w:r></w:p>")
	many := make([]string, 0, 2*archiveEntries+10)
	for i := range archiveEntries + 1 {
		many = append(many, fmt.Sprint(i), "")
	}
	flipped := []byte(good)
	flipped[strings.Index(good, "word/document.xml")+200] ^= 0xff
	locked := []byte(good)
	for at := bytes.Index(locked, []byte("PK\x01\x02")); at >= 0; { // the flags of every entry
		locked[at+8] |= 1
		next := bytes.Index(locked[at+4:], []byte("PK\x01\x02"))
		if next < 0 {
			break
		}
		at += 4 + next
	}
	for _, test := range []struct {
		name, data string
		kind       error
		part       string
	}{
		{"bomb.docx", word(t, bomb), ErrBomb, "bomb"},
		{"tag.docx", word(t, "<w:p><w:r><w:t>"+strings.Repeat(noise(1<<13), 17<<7)), ErrBroken, "16 MiB"},
		{"many.docx", zipFile(t, many...), ErrBomb, "entries"},
		{"cut.docx", good[:len(good)/2], ErrBroken, "cut short"},
		{"flipped.docx", string(flipped), ErrBroken, "damaged"},
		{"locked.docx", string(locked), ErrEncrypted, "password"},
		{"empty.docx", word(t, ""), ErrNoText, "no text"},
		{"xml.docx", word(t, "<w:p><w:r><w:t>a<w:t"), ErrBroken, "document.xml"},
		{"parts.docx", zipFile(t, "a", "b"), ErrBroken, "missing"},
		{"parts2.docx", zipFile(t, "_rels/.rels", "<x/>"), ErrBroken, "missing"},
		{"a.zip", zipFile(t, "a.txt", "b"), ErrFormat, "zip archive"},
		{"a.xlsx", zipFile(t, "xl/workbook.xml", "b"), ErrFormat, "Excel"},
		{"a.odt", zipFile(t, "content.xml", "b"), ErrFormat, "OpenDocument"},
		{"bomb.epub", epub(t, "c.xhtml", strings.Repeat("<p>bomb</p>", 1<<20)), ErrBomb, "bomb"},
		{"styles.epub", epub(t, "c.xhtml", "<p></p>"), ErrNoText, "no text"},
		{"root.epub", zipFile(t, "META-INF/container.xml", `<rootfile full-path="../../etc/passwd"/>`), ErrBroken, "table of parts"},
		{"none.epub", epub(t), ErrBroken, "no chapter"},
	} {
		d, err := openBytes(t, test.name, test.data)
		if err == nil {
			_, err = d.Count(t.Context(), nil)
		}
		checkError(t, test.name, err, test.kind, test.part)
	}
	// an archive within is no part of the text, and stays shut
	d, err := openBytes(t, "a.docx", word(t, "<w:p><w:r><w:t>x</w:t></w:r></w:p>", "word/embeddings/a.zip", word(t, bomb)))
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := text(t, d); got != "x\n\n" {
		t.Errorf("nested: %q", got)
	}
}

// noise is text that does not compress to nothing.
func noise(n int) string {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = " abcdefghijklmnopqrstuvwxyz"[r.IntN(27)]
	}
	return string(b)
}

func FuzzWord(f *testing.F) {
	f.Add(`<w:p><w:pPr><w:pStyle w:val="1"/></w:pPr><w:r><w:t>a</w:t></w:r></w:p>`, wordStyles)
	f.Add(`<w:tbl><w:tr><w:tc><w:p><w:r><w:t>a</w:t><w:tab/></w:r></w:p></w:tc></w:tr></w:tbl><w:del><w:del></w:del>`, `<w:style w:styleId="a"><w:basedOn w:val="b"/><w:outlineLvl w:val="3"/>`)
	f.Add(`<w:p><w:p><w:r><w:t>x</w:p></w:tc></w:tbl><w:lastRenderedPageBreak/><w:numId w:val="1"/><w:ilvl w:val="-9"/>`, "")
	f.Fuzz(func(t *testing.T, body, styles string) {
		for _, data := range []string{
			zipFile(t, "word/document.xml", body, "word/styles.xml", styles, "docProps/app.xml", "<Pages>3</Pages>", "word/footnotes.xml", body),
			body, "PK\x03\x04" + body,
		} {
			if d, err := openBytes(t, "a.docx", data); err == nil {
				if _, err := d.Count(t.Context(), nil); err == nil {
					text(t, d)
				}
			}
		}
	})
}

func BenchmarkWord(b *testing.B) {
	var body strings.Builder
	for range 20_000 {
		body.WriteString("<w:p><w:pPr><w:pStyle w:val=\"x\"/></w:pPr><w:r><w:rPr><w:b/></w:rPr><w:t>" + noise(60) + "</w:t></w:r></w:p>")
	}
	data := word(b, body.String())
	b.SetBytes(20_000 * 62)
	for b.Loop() {
		d, err := openBytes(b, "a.docx", data)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := d.Count(b.Context(), nil); err != nil {
			b.Fatal(err)
		}
	}
}
