package document

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"

	"golang.org/x/net/html"
)

// book is an EPUB's package (EPUB 3.3, section 5): its title and the files of
// its text in reading order.
type book struct {
	title    string
	chapters []string
}

// openEPUB opens an EPUB 2 or 3.
func (d *Document) openEPUB(ctx context.Context) error {
	z, err := d.openArchive()
	if err != nil {
		return err
	}
	b, err := z.book()
	if err != nil {
		return err
	}
	d.Title = b.title
	locked, err := z.locked()
	if err != nil {
		return err
	}
	missing := 0
	for i, name := range b.chapters {
		if locked[strings.ToLower(name)] {
			return d.fail(ErrEncrypted, "this book is locked to its shop's reader (DRM)", "open an edition without DRM")
		}
		if z.find(name) == nil {
			missing++
			b.chapters[i] = ""
		}
	}
	if missing == len(b.chapters) {
		return d.fail(ErrBroken, "the book names no chapter that is in it", "fetch it again")
	}
	if missing > 0 {
		d.Notes = append(d.Notes, Note{Kind: NoteChapters, Count: missing, Total: len(b.chapters)})
	}
	d.read = func(ctx context.Context, yield func(Section) bool) error {
		z, err := d.openArchive() // its budget is for one reading
		if err != nil {
			return err
		}
		done, total := int64(0), int64(len(b.chapters))
		w := &blocks{out: yield, done: func() (int64, int64) { return done, total }}
		for i, name := range b.chapters {
			if name == "" || w.stopped {
				continue
			}
			r, err := z.open(name)
			if err != nil {
				return err
			}
			w.heading = "" // of the chapter before
			_, err = writeHTML(w, contextReader{ctx, decodeXML(r)}, true)
			r.Close()
			if errors.Is(err, html.ErrBufferExceeded) {
				return d.brokenZip(fmt.Errorf("%s: %w", name, errToken))
			}
			if err != nil {
				return err
			}
			done = int64(i + 1)
			w.flush()
		}
		return nil
	}
	return d.probe(ctx)
}

// book reads the container and the package that it names.
func (z *archive) book() (book, error) {
	var b book
	root := ""
	err := z.eachPart("META-INF/container.xml", func(t xml.Token) bool {
		if e, ok := t.(xml.StartElement); ok && e.Name.Local == "rootfile" {
			root = attr(e, "full-path")
			return false
		}
		return true
	})
	if err != nil {
		return b, err
	}
	if z.find(root) == nil {
		return b, z.d.fail(ErrBroken, "the book's table of parts is missing", "fetch it again")
	}
	files, key := map[string]string{}, ""
	var order []string
	err = z.eachPart(root, func(t xml.Token) bool {
		switch t := t.(type) {
		case xml.StartElement:
			switch key = t.Name.Local; key {
			case "item":
				files[attr(t, "id")] = attr(t, "href")
			case "itemref":
				order = append(order, attr(t, "idref"))
			}
		case xml.EndElement:
			key = ""
		case xml.CharData:
			if key == "title" && b.title == "" {
				b.title = strings.TrimSpace(string(t))
			}
		}
		return len(order) <= archiveEntries
	})
	seen := map[string]bool{}
	for _, id := range order {
		if name := resolve(root, files[id]); !seen[name] { // the same file again would be the same text again
			seen[name] = true
			b.chapters = append(b.chapters, name)
		}
	}
	return b, err
}

// resolve is the name of the entry that a reference in another entry means.
// It only ever names an entry: there is nothing above the archive's root.
func resolve(base, href string) string {
	href, _, _ = strings.Cut(href, "#")
	if plain, err := url.PathUnescape(href); err == nil {
		href = plain
	}
	return strings.TrimPrefix(path.Join("/", path.Dir(base), href), "/")
}

// locked are the files that are encrypted, in lower case. Fonts are often made
// unreadable in a way that is no encryption of the text.
func (z *archive) locked() (map[string]bool, error) {
	files, fonts := map[string]bool{}, false
	err := z.eachPart("META-INF/encryption.xml", func(t xml.Token) bool {
		if e, ok := t.(xml.StartElement); ok {
			switch e.Name.Local {
			case "EncryptedData":
				fonts = false
			case "EncryptionMethod":
				a := attr(e, "Algorithm")
				fonts = a == "http://www.idpf.org/2008/embedding" || a == "http://ns.adobe.com/pdf/enc#RC"
			case "CipherReference":
				if !fonts {
					files[strings.ToLower(resolve("", attr(e, "URI")))] = true
				}
			}
		}
		return true
	})
	return files, err
}
