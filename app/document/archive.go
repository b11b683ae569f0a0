package document

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"strings"
)

// What a zip file may hold. Word and EPUB stay far below: XML packs to a tenth,
// rarely to a fiftieth; deflate's own limit is 1032.
const (
	archiveEntries = 50_000
	archiveRatio   = 200
	archiveFree    = 4 << 20 // bytes of an entry before the ratio counts
	archiveTotal   = 2 << 30 // bytes unpacked in one reading
)

// archive is a zip file whose entries are only ever read by name into a stream:
// nothing is written to disk and archives within it stay shut.
type archive struct {
	d      *Document
	files  map[string]*zip.File
	folded map[string]*zip.File
	budget int64
}

func (d *Document) openArchive() (*archive, error) {
	r, err := zip.NewReader(d.src.at, d.Size)
	if err != nil {
		return nil, d.brokenZip(err)
	}
	if len(r.File) > archiveEntries {
		return nil, d.fail(ErrBomb, fmt.Sprintf("the file has %d entries, more than any document", len(r.File)), "fetch it from a source that you trust")
	}
	z := &archive{d: d, files: make(map[string]*zip.File, len(r.File)), folded: make(map[string]*zip.File, len(r.File)), budget: archiveTotal}
	for _, f := range r.File {
		name := strings.TrimPrefix(strings.ReplaceAll(f.Name, `\`, "/"), "/")
		if z.files[name] == nil {
			z.files[name] = f
		}
		if low := strings.ToLower(name); z.folded[low] == nil {
			z.folded[low] = f
		}
	}
	return z, nil
}

func (d *Document) brokenZip(err error) error {
	return &Error{Name: d.Name, Kind: ErrBroken, What: "the file is damaged or cut short", Way: "fetch or export it again", Err: err}
}

// open streams an entry; nil, nil if there is none.
func (z *archive) open(name string) (io.ReadCloser, error) {
	f := z.find(name)
	if f == nil {
		return nil, nil
	}
	if f.Flags&1 != 0 {
		return nil, z.d.fail(ErrEncrypted, "this document is protected by a password", "save it without the password")
	}
	r, err := f.Open()
	if err != nil {
		return nil, z.d.brokenZip(fmt.Errorf("%s: %w", f.Name, err))
	}
	most := int64(archiveFree)
	if packed := int64(min(f.CompressedSize64, 1<<50)); packed*archiveRatio > most {
		most = packed * archiveRatio
	}
	return &entry{z: z, name: f.Name, r: r, most: most}, nil
}

// entry is an open entry that stops where it cannot be a document's.
type entry struct {
	z          *archive
	name       string
	r          io.ReadCloser
	read, most int64
}

func (e *entry) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	e.read += int64(n)
	e.z.budget -= int64(n)
	if e.read > e.most || e.z.budget < 0 {
		return 0, e.z.d.fail(ErrBomb, fmt.Sprintf("%s in the file unpacks to far more than a document holds (a zip bomb?)", e.name), "fetch it from a source that you trust")
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = e.z.d.brokenZip(fmt.Errorf("%s: %w", e.name, err))
	}
	return n, err
}

func (e *entry) Close() error { return e.r.Close() }
