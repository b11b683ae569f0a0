package markdown

import (
	"strings"

	east "github.com/yuin/goldmark/extension/ast"
)

// longTable holds rows of a table that is still being written: its first ones,
// which need not be parsed again. The zero value holds none.
//
// A row is decided by its own line alone, as long as the table is one: what
// follows may yet make a heading of all of it, as goesOn finds out.
type longTable struct {
	head string // the two lines that begin the table, ahead of the rows that are not held
	size int    // bytes of the source that are held, the head among them
	leaf *leaf  // of what is held; nil for nothing
}

// Rows of a table that stay open at its end, and how many more make it worth
// to hold some.
const (
	openRows = 2
	holdRows = 16
)

// goesOn reports whether t begins with the table still.
func (l *longTable) goesOn(t tree) bool {
	if l.leaf == nil {
		return true
	}
	table, ok := t.doc.FirstChild().(*east.Table)
	return ok && len(table.Alignments) == len(l.leaf.aligns)
}

// skipped is how many bytes of the flow's source lie before an offset into what
// is open.
func (l *longTable) skipped(cut int) int { return cut - len(l.head) + l.size }

// take holds the complete rows of a table that t consists of, where there are
// many, and reports whether it did. more is whether leaves stand before it.
func (l *longTable) take(t tree, more bool) bool {
	table, ok := t.doc.FirstChild().(*east.Table)
	if !ok || table.NextSibling() != nil || table.ChildCount() < openRows+holdRows {
		return false
	}
	source := string(t.source)
	head := nthLine(source, 2)
	cut := strings.LastIndexByte(source, '\n') + 1
	for range openRows {
		cut = lineStart(t.source, cut-1)
	}
	if cut <= head || strings.TrimLeft(source[:head], " ") == "" || unclosed(source[:head]) || unclosed(source[:cut]) {
		return false
	}
	held := parse(source[:cut])
	leaves := held.leaves(numbering{}, more)
	if len(leaves) != 1 || leaves[0].kind != leafTable {
		return false
	}
	// the head is a part of the rows that are held from the first time on
	l.leaf = l.join(leaves)[0]
	l.size = l.skipped(cut)
	l.head = source[:head]
	return true
}

// nthLine is where the first n lines of s end.
func nthLine(s string, n int) int {
	at := 0
	for range n {
		i := strings.IndexByte(s[at:], '\n')
		if i < 0 {
			return len(s)
		}
		at += i + 1
	}
	return at
}

// unclosed reports whether links are open at the end of s, which tame counts.
func unclosed(s string) bool {
	open := 0
	for i := range len(s) {
		switch {
		case s[i] == '(' && i > 0 && s[i-1] == ']':
			open++
		case s[i] == ')' && open > 0:
			open--
		}
	}
	return open > 0
}

// join puts the rows that are held before those of the table that leaves begin
// with.
func (l *longTable) join(leaves []*leaf) []*leaf {
	if l.leaf == nil || len(leaves) == 0 {
		return leaves
	}
	rest := leaves[0]
	whole := *rest
	whole.rows = append(l.leaf.rows[:len(l.leaf.rows):len(l.leaf.rows)], rest.rows[1:]...)
	whole.text, whole.spans = l.leaf.text, l.leaf.spans
	if len(rest.rows) > 1 {
		w := walker{buf: []byte(l.leaf.text), spans: append([]span(nil), l.leaf.spans...)}
		w.put("\n", span{})
		from := rowStart(rest)
		moved := len(w.buf) - from
		for _, s := range rest.spans {
			if s.end > from {
				w.put(rest.text[max(s.start, from):s.end], s)
			}
		}
		for i, row := range rest.rows[1:] {
			cells := make([]cell, len(row))
			for j, c := range row {
				cells[j] = cell{c.start + moved, c.end + moved}
			}
			whole.rows[len(l.leaf.rows)+i] = cells
		}
		whole.text, whole.spans = string(w.buf), w.spans
	}
	leaves[0] = &whole
	return leaves
}

// rowStart is where the text of a table's first row below the head begins.
func rowStart(l *leaf) int {
	head := l.rows[0]
	if len(head) == 0 {
		return 1
	}
	return head[len(head)-1].end + 1
}
