package document

import (
	"fmt"
	"strings"
	"testing"
)

// epub is a book of chapters: names and bodies.
func epub(t testing.TB, chapters ...string) string {
	var items, order string
	parts := []string{"mimetype", "application/epub+zip", "META-INF/container.xml", `<container><rootfiles><rootfile full-path="OEBPS/content.opf"/></rootfiles></container>`}
	for i := 0; i < len(chapters); i += 2 {
		items += fmt.Sprintf(`<item id="c%d" href="%s" media-type="application/xhtml+xml"/>`, i, chapters[i])
		order += fmt.Sprintf(`<itemref idref="c%d"/>`, i)
		if chapters[i+1] != "" {
			parts = append(parts, "OEBPS/"+strings.ReplaceAll(chapters[i], "%20", " "), `<?xml version="1.0" encoding="utf-8"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title/></head><body>`+chapters[i+1]+"</body></html>")
		}
	}
	return zipFile(t, append(parts, "OEBPS/content.opf", `<package><metadata><dc:title>The Book</dc:title><dc:title>sub</dc:title></metadata><manifest>`+items+`</manifest><spine>`+order+`</spine></package>`)...)
}

func TestEPUB(t *testing.T) {
	d, err := openBytes(t, "a.epub", epub(t, "b%20b.xhtml", "<h1>第一章</h1><p>In the begin&shy;ning.</p>", "a.xhtml", "<p>no heading</p>", "c.xhtml", "<h2>Two</h2><p>end</p>", "d.xhtml", "<img src='x'/>"))
	if err != nil {
		t.Fatal(err)
	}
	got, s := text(t, d)
	if want := "# 第一章\n\nIn the beginning.\n\nno heading\n\n## Two\n\nend\n\n"; got != want || d.Title != "The Book" || d.Format != EPUB {
		t.Errorf("title %q, %q, want %q", d.Title, got, want)
	}
	if len(s) != 4 || s[0].Heading != "第一章" || s[1].Heading != "" || s[2].Heading != "Two" || s[0].Done != 1 || s[0].Total != 4 {
		t.Errorf("%+v", s)
	}
	d, err = openBytes(t, "a.epub", epub(t, "a.xhtml", "<p>here</p>", "../../../etc/passwd", "", "a.xhtml#2", ""))
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := text(t, d); got != "here\n\n" || len(d.Notes) != 1 || !strings.Contains(d.Notes[0].String(), "1 of 2 chapters") {
		t.Errorf("%q, notes %q", got, d.Notes)
	}
}

// TestLockedEPUB holds that DRM is told and hidden fonts are no DRM.
func TestLockedEPUB(t *testing.T) {
	for algorithm, file := range map[string]string{
		"http://www.w3.org/2001/04/xmlenc#aes128-cbc": "OEBPS/a.xhtml",
		"http://www.idpf.org/2008/embedding":          "OEBPS/font.otf",
	} {
		parts := zipFile(t, "META-INF/container.xml", `<rootfile full-path="OEBPS/c.opf"/>`, "OEBPS/c.opf", `<item id="a" href="a.xhtml"/><itemref idref="a"/>`, "OEBPS/a.xhtml", "<p>text</p>",
			"META-INF/encryption.xml", `<encryption><EncryptedData><EncryptionMethod Algorithm="`+algorithm+`"/><CipherData><CipherReference URI="`+file+`"/></CipherData></EncryptedData></encryption>`)
		_, err := openBytes(t, "a.epub", parts)
		if strings.Contains(file, "font") {
			if err != nil {
				t.Errorf("fonts: %v", err)
			}
			continue
		}
		checkError(t, algorithm, err, ErrEncrypted, "DRM")
	}
}

func FuzzEPUB(f *testing.F) {
	f.Add(`<rootfile full-path="a.opf"/>`, `<item id="a" href="b"/><itemref idref="a"/>`, "<p>x", "")
	f.Add(`<rootfile full-path="../a.opf"/>`, `<item id="a" href="../b%2f"/><itemref idref="a"/><dc:title>`, "<?xml encoding='utf-16'?><title/><p>x", `<CipherReference URI="b"/>`)
	f.Fuzz(func(t *testing.T, container, opf, chapter, encryption string) {
		d, err := openBytes(t, "a.epub", zipFile(t, "META-INF/container.xml", container, "a.opf", opf, "b", chapter, "META-INF/encryption.xml", encryption))
		if err == nil {
			if _, err := d.Count(t.Context(), nil); err == nil {
				text(t, d)
			}
		}
	})
}
