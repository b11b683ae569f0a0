package dialog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"kestrel/app/document"
	"kestrel/engine/tokenizer"
)

// place is where a reading stands within a document: after so many tokens, of
// which offset are of section part. Sections and their tokens are the same each
// time a file of the same content is read.
type place struct{ part, offset, tokens int }

// placeVersion changes when the same file comes in other sections or tokens.
const placeVersion = 1

func (p place) String() string {
	return fmt.Sprintf("%d,%d,%d,%d", placeVersion, p.part, p.offset, p.tokens)
}

func parsePlace(s string) (p place, err error) {
	var version int
	if _, err := fmt.Sscanf(s, "%d,%d,%d,%d", &version, &p.part, &p.offset, &p.tokens); err != nil {
		return p, fmt.Errorf("place in a document: %w", err)
	}
	if version != placeVersion || p.part < 0 || p.offset < 0 || p.tokens < p.offset {
		return p, fmt.Errorf("place in a document: %q", s)
	}
	return p, nil
}

// docFeed turns a document into tokens. A goroutine of its own is a section or
// two ahead, so that the device need not wait for the file.
type docFeed struct {
	doc    *document.Document
	at     place
	share  float64 // of the document in the tokens taken so far
	blank  int     // pages of a PDF without text
	broken int     // pages that could not be read

	pending []int   // tokens after at
	pieces  []piece // what they are of
	ended   bool
	failed  error

	sections <-chan piece
	stop     context.CancelFunc
	gone     chan struct{}
}

// piece is a section's tokens.
type piece struct {
	part          int
	ids           []int
	share         float64
	blank, broken bool
	err           error
}

// newDocFeed takes the document over and begins at a place in it.
func newDocFeed(ctx context.Context, doc *document.Document, tok *tokenizer.Tokenizer, at place) *docFeed {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	sections := make(chan piece, 1)
	f := &docFeed{doc: doc, at: at, sections: sections, stop: stop, gone: make(chan struct{})}
	go func() {
		defer close(f.gone)
		defer close(sections)
		f.produce(ctx, tok, at, func(p piece) bool {
			select {
			case sections <- p:
				return true
			case <-ctx.Done():
				return false
			}
		})
	}()
	return f
}

func (f *docFeed) produce(ctx context.Context, tok *tokenizer.Tokenizer, from place, put func(piece) bool) {
	space := "" // ends a section, and goes before the next: none is wanted at the end
	started := false
	part := 0
	for s, err := range f.doc.Sections(ctx) {
		if err != nil {
			put(piece{err: err})
			return
		}
		p := piece{part: part, share: 1, broken: s.Problem != "", blank: s.Problem == "" && s.Text == "" && s.Page > 0 && f.doc.Format == document.PDF}
		part++
		if s.Total > 0 {
			p.share = float64(s.Done) / float64(s.Total)
		}
		if text := strings.TrimRightFunc(s.Text, unicode.IsSpace); text != "" {
			between := s.Text[len(text):]
			if !started {
				text = strings.TrimLeftFunc(text, unicode.IsSpace)
			}
			started = true
			if p.part >= from.part {
				p.ids = tok.Encode(space+text, false)
			}
			space = between
		}
		if p.part == from.part {
			if from.offset > len(p.ids) {
				put(piece{err: ErrMoved})
				return
			}
			p.ids = p.ids[from.offset:]
		}
		if !put(p) {
			return
		}
	}
}

// ErrMoved is a place, where a reading stopped, that the document does not have.
var ErrMoved = errors.New("the document is not the one whose reading began")

func (f *docFeed) close() {
	f.stop()
	<-f.gone
	f.doc.Close()
}

// take gives the next tokens, at most so many and in whole chunks but at the
// document's end, which last tells. They are taken again until advance says that
// they were read.
func (f *docFeed) take(ctx context.Context, most, chunk int) (ids []int, last bool, err error) {
	most = max(most-most%chunk, chunk)
	for len(f.pending) < most && !f.ended {
		if f.failed != nil {
			return nil, false, f.failed
		}
		select {
		case p, ok := <-f.sections:
			switch {
			case !ok:
				f.ended = true
			case p.err != nil:
				f.failed = p.err
			default:
				f.share = p.share
				if p.blank {
					f.blank++
				}
				if p.broken {
					f.broken++
				}
				if p.part >= f.at.part {
					f.pending = append(f.pending, p.ids...)
					f.pieces = append(f.pieces, p)
				}
			}
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
	}
	if len(f.pending) <= most {
		return f.pending, f.ended, nil
	}
	return f.pending[:most], false, nil
}

// advance says that n of the tokens that take gave were read.
func (f *docFeed) advance(n int) {
	f.pending = f.pending[n:]
	f.at.tokens += n
	for n > 0 && len(f.pieces) > 0 {
		left := len(f.pieces[0].ids)
		if n < left {
			f.pieces[0].ids = f.pieces[0].ids[n:]
			f.at.offset += n
			return
		}
		n -= left
		f.at.part, f.at.offset = f.pieces[0].part+1, 0
		f.pieces = f.pieces[1:]
	}
}
