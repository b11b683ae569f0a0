package session

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"

	"kestrel/app/document"
	"kestrel/engine/tokenizer"
)

// inspection is what is known of a document before it is read.
type inspection struct {
	format          document.Format
	encoding, title string
	size            int64
	hash            string // of the file's bytes
	pages           int
	words           int
	tokens          int // about, where the text is longer than countedBytes; 0 without a model
	notes           []Note
}

// countedBytes is how much of a text is turned into tokens to count them: of
// longer ones the rest is taken to be alike. Words are all counted.
const countedBytes = 8 << 20

// tokens is a tokenizer with its hash; without a model there is none.
type tokens struct {
	tok  *tokenizer.Tokenizer
	hash string
}

// inspect opens a document and counts what it holds.
func (w *worker) inspect(ctx context.Context, path string, tok tokens, progress func(f inspection, done, total int64)) (f inspection, err error) {
	doc, err := document.Open(ctx, path, w.a.o.Documents)
	if err != nil {
		return f, err
	}
	defer doc.Close()
	f = inspection{format: doc.Format, encoding: doc.Encoding, title: doc.Title, size: doc.Size, pages: doc.Pages}
	for _, n := range doc.Notes {
		f.notes = append(f.notes, noteOf(n))
	}
	progress(f, 0, doc.Size)
	if f.hash, err = hashFile(ctx, path); err != nil {
		return f, err
	}
	var counted, bytes, words int // of what was turned into tokens
	for part, err := range doc.Sections(ctx) {
		if err != nil {
			return f, err
		}
		n := document.CountWords(part.Text)
		f.words += n
		if tok.tok != nil && bytes < countedBytes {
			counted += len(tok.tok.Encode(part.Text, false))
			bytes += len(part.Text)
			words += n
		}
		f.tokens = counted
		if words > 0 && f.words > words {
			f.tokens = int(float64(counted) / float64(words) * float64(f.words))
		}
		progress(f, part.Done, part.Total)
	}
	f.pages = max(f.pages, doc.Pages)
	return f, nil
}

// hashFile is the SHA-256 of a file.
func hashFile(ctx context.Context, path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, untilDone{ctx, file}); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// untilDone is a reader that ends with its context.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u untilDone) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}
