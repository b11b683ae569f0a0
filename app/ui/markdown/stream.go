package markdown

import (
	"strings"

	"github.com/yuin/goldmark/ast"
)

// flow is a message's source and the leaves made of it. Leaves before frozen
// can no longer change.
type flow struct {
	source string
	leaves []*leaf

	frozen int // leaves
	offset int // of the source that they were made of, in bytes
	cont   numbering
	refs   bool // link references were defined, maybe below text that uses them
	long   longTable
}

// set gives the flow its source. If that only grew, frozen leaves stay. A source
// that is growing may end anywhere: what has been opened is shown as closed.
// It returns the index of the first leaf that may have changed.
func (f *flow) set(source string, growing bool) int {
	if !strings.HasPrefix(source, f.source[:f.offset+f.long.size]) || !growing && f.refs {
		*f = flow{leaves: f.leaves[:0:0]}
	}
	f.source = source
	first := f.frozen
	old := f.leaves[f.frozen:]
	f.leaves = f.leaves[:f.frozen:f.frozen]

	t := parse(f.open())
	if !f.long.goesOn(t) { // what follows makes another thing of it
		f.long = longTable{}
		t = parse(f.open())
	}
	f.refs = f.refs || t.refs
	if cut, cont := t.settled(f.cont); cut > 0 {
		done := parse(f.open()[:cut])
		f.append(f.long.join(done.leaves(f.cont, len(f.leaves) > 0)), &old)
		f.frozen = len(f.leaves)
		f.offset += f.long.skipped(cut)
		f.cont, f.long = cont, longTable{}
		t = parse(f.open())
	}
	if growing {
		if f.long.take(t, len(f.leaves) > 0) {
			t = parse(f.open())
		}
		if at, healed := t.heal(); at >= 0 {
			whole := string(t.source[:at]) + healed
			t = parse(whole)
		}
	}
	f.append(f.long.join(t.leaves(f.cont, len(f.leaves) > 0)), &old)
	return first
}

// open is the source that is not frozen, without the rows of a long table that
// are known.
func (f *flow) open() string { return f.long.head + f.source[f.offset+f.long.size:] }

// append adds leaves, each in the form of the old one in its place if that looks
// the same or is the same block of code, shorter.
func (f *flow) append(leaves []*leaf, old *[]*leaf) {
	for _, l := range leaves {
		var was *leaf
		if len(*old) > 0 {
			was, *old = (*old)[0], (*old)[1:]
		}
		if l.kind == leafCode {
			l.colour = &colouring{}
			if was != nil && was.kind == leafCode && was.lang == l.lang &&
				strings.HasPrefix(l.text, was.text[:min(was.colour.length, len(was.text))]) {
				l.colour = was.colour
			}
			l.colourSpans()
		}
		switch {
		case was == nil:
		case was.same(l):
			l = was
		case l.kind == leafTable && was.kind == leafTable:
			l.keepRows(was)
		default:
			l.box.lines, l.box.frags, l.box.shapes = was.box.lines, was.box.frags, was.box.shapes
		}
		f.leaves = append(f.leaves, l)
	}
}

// settled returns up to where the source can no longer change its meaning
// whatever follows: everything before the last block, or the last item of a list,
// that a complete line belongs to. Markdown decides on blocks line by line.
func (t tree) settled(cont numbering) (cut int, next numbering) {
	complete := strings.LastIndexByte(string(t.source), '\n') + 1
	for n := t.doc.LastChild(); n != nil; n = n.PreviousSibling() {
		start := lineStart(t.source, n.Pos())
		if start >= complete {
			continue // its line is still being written, and may yet belong to the block before
		}
		list, ok := n.(*ast.List)
		if !ok {
			return start, numbering{}
		}
		number := list.Start
		if n.PreviousSibling() == nil && cont.marker == list.Marker {
			number = cont.next
		}
		index := list.ChildCount() - 1
		for item := list.LastChild(); item != nil; item = item.PreviousSibling() {
			at := lineStart(t.source, item.Pos())
			if at < complete {
				if index > 0 {
					return at, numbering{list.Marker, number + index, item.HasBlankPreviousLines()}
				}
				break
			}
			index--
		}
		if start == 0 {
			return 0, cont
		}
		return start, numbering{}
	}
	return 0, cont
}

func lineStart(source []byte, at int) int {
	at = min(max(at, 0), len(source))
	for at > 0 && source[at-1] != '\n' {
		at--
	}
	return at
}
