package markdown

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/yuin/goldmark/ast"
	east "github.com/yuin/goldmark/extension/ast"

	"kestrel/app/ui/look"
)

func (w *walker) inline(l *leaf, n ast.Node) {
	base := span{}
	if l.level > 0 {
		base.style = bold
	}
	w.inlines(n, base, 0)
}

// maxNesting bounds the recursion into emphasis and links.
const maxNesting = 200

func (w *walker) inlines(parent ast.Node, in span, depth int) {
	if depth > maxNesting {
		return
	}
	for n := parent.FirstChild(); n != nil; n = n.NextSibling() {
		switch n := n.(type) {
		case *ast.Text:
			w.put(clean(unescape(n.Value(w.source), n.IsRaw())), in)
			if n.HardLineBreak() {
				w.put("\n", in)
			} else if n.SoftLineBreak() {
				w.soft(n, in)
			}
		case *ast.String:
			w.put(clean(string(n.Value)), in)
		case *ast.CodeSpan:
			s := in
			s.style |= mono | boxed
			var b strings.Builder
			for c := n.FirstChild(); c != nil; c = c.NextSibling() {
				if t, ok := c.(*ast.Text); ok {
					b.Write(t.Value(w.source))
				}
			}
			w.put(clean(strings.ReplaceAll(b.String(), "\n", " ")), s)
		case *ast.Emphasis:
			s := in
			if n.Level == 1 {
				s.style |= italic
			} else {
				s.style |= bold
			}
			w.inlines(n, s, depth+1)
		case *east.Strikethrough:
			s := in
			s.style |= strike
			w.inlines(n, s, depth+1)
		case *ast.Link:
			s := linked(in, string(n.Destination))
			before := len(w.buf)
			w.inlines(n, s, depth+1)
			if len(w.buf) == before {
				w.put(clean(string(n.Destination)), s)
			}
		case *ast.AutoLink:
			to := string(n.URL(w.source))
			if n.AutoLinkType == ast.AutoLinkEmail && !strings.HasPrefix(strings.ToLower(to), "mailto:") {
				to = "mailto:" + to
			}
			w.put(clean(string(n.Label(w.source))), linked(in, to))
		case *ast.Image:
			s := linked(in, string(n.Destination))
			s.style |= italic
			w.put(look.T("markdown.image")+": ", s)
			before := len(w.buf)
			w.inlines(n, s, depth+1)
			if len(w.buf) == before {
				w.put(clean(string(n.Destination)), s)
			}
		case *ast.RawHTML:
			raw := string(n.Segments.Value(w.source))
			switch strings.ToLower(strings.Map(dropSpace, raw)) {
			case "<br>", "<br/>":
				w.put("\n", in)
			default:
				w.put(clean(raw), in)
			}
		case *east.TaskCheckBox:
			// the item's marker
		default:
			w.inlines(n, in, depth+1)
		}
	}
}

// soft is a line's end in the source: a space, or nothing between two
// characters of a script that writes none.
func (w *walker) soft(n *ast.Text, in span) {
	before, _ := utf8.DecodeLastRune(w.buf)
	if next, ok := n.NextSibling().(*ast.Text); ok {
		after, _ := utf8.DecodeRune(next.Value(w.source))
		if spaceless(before) && spaceless(after) {
			return
		}
	}
	w.put(" ", in)
}

func spaceless(r rune) bool {
	return r >= 0x2E80 && (unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana) ||
		r >= 0x3000 && r <= 0x303F || r >= 0xFF00 && r <= 0xFFEF)
}

func dropSpace(r rune) rune {
	if unicode.IsSpace(r) {
		return -1
	}
	return r
}

func linked(in span, to string) span {
	if in.link == "" {
		in.link, in.role = to, roleLink
	}
	return in
}

// put appends text in the style of s to the leaf that is being built.
func (w *walker) put(text string, s span) {
	if text == "" {
		return
	}
	s.start, s.end = len(w.buf), len(w.buf)+len(text)
	w.buf = append(w.buf, text...)
	if n := len(w.spans); n > 0 {
		last := &w.spans[n-1]
		if last.style == s.style && last.role == s.role && last.link == s.link {
			last.end = s.end
			return
		}
	}
	w.spans = append(w.spans, s)
}
