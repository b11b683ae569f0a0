package dialog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"kestrel/app/document"
)

// ErrPart is a Prompt with a part of a document whose state cannot be had any
// more: a part is not read again, as only the state tells what it is.
var ErrPart = errors.New("the part of the document that was read is not kept")

// Part is a Prompt in which a document ends where its reading stands.
type Part struct {
	Prompt Prompt
	Saved  Saved // the state there, for Start
	Tokens int   // of the document
}

// Parts makes of a prompt with a whole document such as show what was read of it
// so far, by the states that were saved amid it: the furthest first. What is read
// and written after a part is of no use to the reading itself, which goes on from
// its own state as if nothing had been asked.
func (p Prompt) Parts(s *Source, saved []Saved) []Part {
	at := slices.IndexFunc(p.docs, func(d insert) bool { return d.source.Key == s.Key })
	if at < 0 {
		return nil
	}
	var parts []Part
	for _, m := range saved {
		text, ok := p.begins(m.Key)
		base, place, within := strings.Cut(text, docAt)
		if !ok || !within || len(base)+len(docEnd) != p.docs[at].to {
			continue
		}
		if pl, err := parsePlace(place); err == nil && pl.tokens > 0 {
			cut := p.cut(at, pl)
			parts = append(parts, Part{cut, Saved{keyOf(cut.text[:cut.docs[at].to]), m.Tokens, m.Load}, pl.tokens})
		}
	}
	slices.SortStableFunc(parts, func(a, b Part) int { return b.Tokens - a.Tokens })
	return parts
}

// cut lets the document at p.docs[at] end at a place in it. It goes by another
// name then: what follows it is no text of the whole one.
func (p Prompt) cut(at int, to place) Prompt {
	old := p.docs[at]
	key := old.source.Key + " to " + to.String()
	name := docStart + key + docEnd
	moved := len(name) - (old.to - old.from)
	q := Prompt{text: p.text[:old.from] + name + p.text[old.to:], plain: slices.Clone(p.plain), docs: slices.Clone(p.docs)}
	for i := range q.plain {
		if q.plain[i].from >= old.to {
			q.plain[i] = span{q.plain[i].from + moved, q.plain[i].to + moved}
		}
	}
	for i := range q.docs {
		if i > at {
			q.docs[i].span = span{q.docs[i].from + moved, q.docs[i].to + moved}
		}
	}
	q.docs[at] = insert{span{old.from, old.from + len(name)}, &Source{Key: key, part: true, Open: func(context.Context) (*document.Document, error) {
		return nil, fmt.Errorf("read part of a document: %w", ErrPart)
	}}}
	return q
}

// Amid says whether the session stands within a document.
func (r *Reader) Amid(s *Source) bool {
	base, _, within := strings.Cut(r.text, docAt)
	return within && !r.lost && strings.HasSuffix(base, docStart+s.Key)
}
