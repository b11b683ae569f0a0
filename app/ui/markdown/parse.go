package markdown

import (
	"strconv"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	east "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
)

var reader = goldmark.New(goldmark.WithExtensions(
	extension.Table, extension.Strikethrough, extension.TaskList, extension.Linkify,
)).Parser()

// maxIndent is how deep, in em, nesting moves text to the right.
const maxIndent = 20

// tree is a parsed piece of source.
type tree struct {
	source []byte
	doc    ast.Node
	refs   bool // it defines link references, which count for text before it too
}

func parse(source string) tree {
	src := []byte(source)
	tame(src)
	pc := parser.NewContext()
	doc := reader.Parse(text.NewReader(src), parser.WithContext(pc))
	return tree{src, doc, len(pc.References()) > 0}
}

// Markers of tasks, which are drawn.
const (
	unchecked = "[ ]"
	checked   = "[x]"
)

// tame takes from a source what no writer means and goldmark takes seconds for:
// quotes nested beyond counting, and hundreds of links in a row that never end.
// It leaves every byte in its place.
func tame(src []byte) {
	const most = 64
	quotes, open := 0, 0
	begin := true // of a line
	for i, c := range src {
		switch {
		case c == '\n':
			if begin {
				open = 0 // a blank line
			}
			begin, quotes = true, 0
			continue
		case c == '>' && begin:
			if quotes++; quotes > most {
				src[i] = ' '
			}
			continue
		case c == '(' && i > 0 && src[i-1] == ']':
			if open++; open > most {
				src[i] = ' '
			}
		case c == ')' && open > 0:
			open--
		}
		begin = begin && (c == ' ' || c == '\t')
	}
}

// numbering tells how a list goes on in the next piece of source.
type numbering struct {
	marker byte // of the list that goes on; 0 if none does
	next   int
	apart  bool // a blank line stands between
}

// leaves flattens t, which is not the beginning of the message if more is set.
// A list that begins t and goes on from cont keeps counting.
func (t tree) leaves(cont numbering, more bool) []*leaf {
	w := walker{source: t.source, cont: cont, more: more}
	w.blocks(t.doc, place{})
	return w.out
}

// place is where blocks stand: what their containers add.
type place struct {
	indent float32
	bars   []float32
	quotes []ast.Node // that have the bars
	depth  int
	lists  int // of depth
}

type walker struct {
	source []byte
	cont   numbering
	more   bool
	out    []*leaf
	quotes []ast.Node // around the last of out
	marker string     // waits for the first leaf of a list item
	above  float32    // the gap above that leaf

	buf   []byte // text and spans of the leaf that is being built
	spans []span
}

func (w *walker) add(l *leaf, at place, gap float32) *leaf {
	l.indent = min(at.indent, maxIndent)
	l.bars = at.bars
	if w.marker != "" {
		gap = w.above
	}
	if len(w.out) > 0 || w.more {
		l.gap = gap
	}
	for l.joined < min(len(w.quotes), len(at.quotes)) && w.quotes[l.joined] == at.quotes[l.joined] {
		l.joined++
	}
	w.quotes = at.quotes
	if len(w.buf) > 0 {
		l.text, l.spans = string(w.buf), w.spans
		w.buf, w.spans = w.buf[:0], nil
	}
	l.marker, w.marker = w.marker, ""
	w.out = append(w.out, l)
	return l
}

func (w *walker) blocks(parent ast.Node, at place) {
	for n := parent.FirstChild(); n != nil; n = n.NextSibling() {
		w.block(n, at)
	}
}

func (w *walker) block(n ast.Node, at place) {
	gap := float32(0.75)
	if at.lists > 0 {
		gap = 0.6
		if !n.HasBlankPreviousLines() {
			gap = 0.3
		}
	}
	switch n := n.(type) {
	case *ast.Heading:
		l := &leaf{kind: leafText, level: n.Level}
		w.inline(l, n)
		w.add(l, at, 1.1)
	case *ast.Paragraph, *ast.TextBlock:
		l := &leaf{kind: leafText}
		w.inline(l, n)
		w.add(l, at, gap)
	case *ast.FencedCodeBlock:
		lang := ""
		if n.Info != nil {
			lang = string(n.Language(w.source))
		}
		w.add(codeLeaf(lang, w.lines(n)), at, 0.75)
	case *ast.CodeBlock:
		w.add(codeLeaf("", w.lines(n)), at, 0.75)
	case *ast.HTMLBlock:
		raw := w.lines(n)
		if n.HasClosure() {
			raw += string(n.ClosureLine.Value(w.source))
		}
		l := &leaf{kind: leafText}
		w.put(clean(strings.TrimRight(raw, "\n")), span{style: mono, role: roleMuted})
		w.add(l, at, gap)
	case *ast.ThematicBreak:
		w.add(&leaf{kind: leafRule}, at, 0.75)
	case *ast.Blockquote:
		in := at
		in.depth++
		if at.indent < maxIndent {
			in.bars = append(append([]float32(nil), at.bars...), at.indent)
			in.quotes = append(append([]ast.Node(nil), at.quotes...), n)
			in.indent += 1.1
		}
		before := len(w.out)
		w.blocks(n, in)
		if len(w.out) == before {
			w.add(&leaf{kind: leafText}, in, gap)
		}
	case *ast.List:
		w.list(n, at)
	case *east.Table:
		w.table(n, at)
	default:
		if n.Type() == ast.TypeBlock && n.FirstChild() != nil {
			w.blocks(n, at)
		}
	}
}

func (w *walker) list(n *ast.List, at place) {
	number := n.Start
	goesOn := w.cont.marker == n.Marker && len(w.out) == 0 && at.depth == 0
	if goesOn {
		number = w.cont.next
	}
	width := float32(1.6)
	if n.IsOrdered() {
		digits := len(strconv.Itoa(number + n.ChildCount()))
		width = max(width, 0.65*float32(digits)+0.75)
	}
	in := at
	in.indent += width
	in.depth++
	in.lists++
	for item := n.FirstChild(); item != nil; item = item.NextSibling() {
		w.marker = "•"
		if at.depth%2 == 1 {
			w.marker = "◦"
		}
		if n.IsOrdered() {
			w.marker = strconv.Itoa(number) + string(n.Marker)
			number++
		}
		if box := checkbox(item); box != nil {
			w.marker = unchecked
			if box.IsChecked {
				w.marker = checked
			}
		}
		w.above = 0.3
		switch first := item == n.FirstChild(); {
		case first && !goesOn && at.depth == 0:
			w.above = 0.5
		case first && goesOn && w.cont.apart, !first && item.HasBlankPreviousLines():
			w.above = 0.6
		}
		before := len(w.out)
		w.blocks(item, in)
		if len(w.out) == before { // an empty item is still one
			w.add(&leaf{kind: leafText}, in, 0.3)
		}
	}
	w.marker = ""
}

// checkbox returns the box that begins a task's text, or nil.
func checkbox(item ast.Node) *east.TaskCheckBox {
	block := item.FirstChild()
	if block == nil {
		return nil
	}
	box, _ := block.FirstChild().(*east.TaskCheckBox)
	return box
}

func (w *walker) table(n *east.Table, at place) {
	l := &leaf{kind: leafTable}
	for _, a := range n.Alignments {
		to := alignLeft
		switch a {
		case east.AlignCenter:
			to = alignCenter
		case east.AlignRight:
			to = alignRight
		}
		l.aligns = append(l.aligns, to)
	}
	for row := n.FirstChild(); row != nil; row = row.NextSibling() {
		base := span{}
		if row.Kind() == east.KindTableHeader {
			base.style = bold
		}
		var cells []cell
		for c := row.FirstChild(); c != nil; c = c.NextSibling() {
			if len(cells) > 0 {
				w.put("\t", span{})
			}
			start := len(w.buf)
			w.inlines(c, base, 0)
			cells = append(cells, cell{start, len(w.buf)})
		}
		l.rows = append(l.rows, cells)
		if row.NextSibling() != nil {
			w.put("\n", span{})
		}
	}
	w.add(l, at, 0.75)
}

func (w *walker) lines(n ast.Node) string {
	return string(n.Lines().Value(w.source))
}

func codeLeaf(lang, code string) *leaf {
	code = strings.TrimRight(code, "\n")
	l := &leaf{kind: leafCode, lang: lang, code: code}
	l.text = clean(expandTabs(code))
	return l
}
