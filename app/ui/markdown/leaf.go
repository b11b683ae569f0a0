package markdown

// style is how a span of text is set.
type style uint8

const (
	bold style = 1 << iota
	italic
	mono
	strike
	underline
	boxed // inline code: stands on a shade of its own
)

// span is a stretch of a leaf's text in one style. The spans of a leaf follow
// each other without a gap.
type span struct {
	start, end int // bytes
	style      style
	role       role
	link       string // where it leads; "" is no link
}

type leafKind uint8

const (
	leafText leafKind = iota
	leafCode
	leafRule
	leafTable
)

// leaf is the smallest piece that is laid out by itself: a paragraph, a heading,
// a block of code, a table or a rule, wherever it is nested.
type leaf struct {
	kind   leafKind
	level  int     // of a heading, from 1; 0 if it is none
	scale  float32 // of the text's size; 0 is 1
	indent float32 // em
	gap    float32 // em, space above it

	bars   []float32 // em, where the bars of quotes stand
	joined int       // how many of them continue from the leaf above

	marker string // of a list item, on its first leaf: "•", "3.", unchecked

	text  string
	spans []span

	lang   string // of code, as the fence names it
	code   string // of code, as it was written: with tabs
	colour *colouring

	rows   [][]cell // of a table; the first is its head
	aligns []align

	low     string // text in small letters, once it was searched
	lowered bool

	box placed // as it was laid out last
}

// cell is a range of a table's text.
type cell struct{ start, end int }

type align uint8

const (
	alignLeft align = iota
	alignCenter
	alignRight
)

// same reports whether l and o look alike, so that o's layout serves l.
func (l *leaf) same(o *leaf) bool {
	if l.kind != o.kind || l.level != o.level || l.scale != o.scale || l.indent != o.indent || l.gap != o.gap ||
		l.joined != o.joined || l.marker != o.marker || l.text != o.text || l.lang != o.lang ||
		l.code != o.code || len(l.bars) != len(o.bars) || len(l.spans) != len(o.spans) ||
		len(l.rows) != len(o.rows) || len(l.aligns) != len(o.aligns) {
		return false
	}
	for i := range l.bars {
		if l.bars[i] != o.bars[i] {
			return false
		}
	}
	for i := range l.spans {
		if l.spans[i] != o.spans[i] {
			return false
		}
	}
	for i := range l.aligns {
		if l.aligns[i] != o.aligns[i] {
			return false
		}
	}
	for i := range l.rows {
		if len(l.rows[i]) != len(o.rows[i]) {
			return false
		}
		for j := range l.rows[i] {
			if l.rows[i][j] != o.rows[i][j] {
				return false
			}
		}
	}
	return true
}
