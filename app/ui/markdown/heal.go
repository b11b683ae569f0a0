package markdown

import (
	"strings"

	"github.com/yuin/goldmark/ast"
)

// heal closes what the end of a growing source has opened, so that half a table
// or a bold word looks as it will. It returns from where on the source is to be
// replaced and by what; at is negative if nothing is.
func (t tree) heal() (at int, healed string) {
	last := t.doc.LastChild()
	if last == nil {
		return -1, ""
	}
	switch last.Kind() {
	case ast.KindFencedCodeBlock:
		return t.healFence()
	case ast.KindCodeBlock, ast.KindHTMLBlock:
		return -1, ""
	}
	at = lineStart(t.source, lastParagraph(string(t.source)))
	tail := string(t.source[at:])
	if len(tail) > 16<<10 {
		return -1, ""
	}
	if fixed := healTable(tail); fixed != tail {
		return at, fixed
	}
	if fixed := healInline(tail); fixed != tail {
		return at, fixed
	}
	return -1, ""
}

// healFence hides a closing fence that is not written out.
func (t tree) healFence() (int, string) {
	s := string(t.source)
	at := strings.LastIndexByte(s, '\n') + 1
	if rest := strings.TrimLeft(s[at:], " "); at > 0 && (rest == "`" || rest == "``" || rest == "~" || rest == "~~") {
		return at, ""
	}
	return -1, ""
}

// lastParagraph is where the text after the last blank line begins.
func lastParagraph(s string) int {
	end := len(strings.TrimRight(s, " \t\n"))
	at := end
	for {
		at = strings.LastIndexByte(s[:at], '\n')
		if at < 0 {
			return 0
		}
		if strings.TrimSpace(s[at+1:nextLine(s, at+1)]) == "" {
			return at + 1
		}
	}
}

func nextLine(s string, from int) int {
	if i := strings.IndexByte(s[from:], '\n'); i >= 0 {
		return from + i
	}
	return len(s)
}

// healTable gives a table's head its delimiter row as soon as the head is there.
func healTable(s string) string {
	if !strings.HasPrefix(s, "|") {
		return s
	}
	head, rest, more := strings.Cut(s, "\n")
	columns := strings.Count(strings.TrimRight(strings.ReplaceAll(head, `\|`, ""), " |"), "|")
	if columns == 0 {
		return s
	}
	delimiter, _, whole := strings.Cut(rest, "\n")
	if whole || strings.Trim(delimiter, "|-: \t") != "" {
		return s
	}
	if !more {
		head = strings.TrimRight(head, " |") + " |"
	}
	have := strings.Split(strings.Trim(delimiter, "| \t"), "|")
	if delimiter != "" && len(have) == columns && strings.Contains(have[columns-1], "-") {
		return s // goldmark reads it as it is
	}
	var b strings.Builder
	b.WriteString(head + "\n|")
	for i := range columns {
		cell := "---"
		if i < len(have) && strings.Contains(have[i], "-") {
			cell = strings.TrimSpace(have[i])
		}
		b.WriteString(cell + "|")
	}
	return b.String()
}

// healInline closes code, emphasis and links that the last line leaves open, and
// drops marks that nothing follows yet.
func healInline(s string) string {
	begin := strings.LastIndexByte(s, '\n') + 1
	before, s := s[:begin], s[begin:]
	if marks := strings.TrimSpace(s); marks != "" && strings.Trim(marks, "#-+*_`~=") == "" {
		if begin == 0 && strings.Trim(marks, "-+*") == "" && marks != "**" {
			return s // a list or a rule
		}
		// below a paragraph a dash would make a heading of it, for a moment
		return before
	}
	s = strings.TrimRight(s, "*_~`")
	var open []string
	link := -1 // where an open link begins
	for i := 0; i < len(s); {
		switch c := s[i]; c {
		case '\\':
			i++
		case '`':
			run := countRun(s[i:], '`')
			end := strings.Index(s[i+run:], s[i:i+run])
			if end < 0 {
				return before + closeAll(s+s[i:i+run], open)
			}
			i += run + end + run
			continue
		case '*', '_', '~':
			run := countRun(s[i:], c)
			for _, mark := range emphasis(s[i : i+run]) {
				if n := len(open); n > 0 && open[n-1] == mark && canClose(s, i) {
					open = open[:n-1]
				} else if canOpen(s, i, run) {
					open = append(open, mark)
				}
			}
			i += run
			continue
		case '[':
			link = i
		case ']':
			if link < 0 || i+1 == len(s) || s[i+1] != '(' {
				link = -1
				break
			}
			end := strings.IndexByte(s[i:], ')')
			if end < 0 { // the address is being written: show the text already
				start := link
				if start > 0 && s[start-1] == '!' {
					start--
				}
				return before + closeAll(s[:start]+s[link+1:i], open)
			}
			i += end
			link = -1
		}
		i++
	}
	return before + closeAll(s, open)
}

func countRun(s string, c byte) int {
	n := 0
	for n < len(s) && s[n] == c {
		n++
	}
	return n
}

// emphasis splits a run of marks as the parser will.
func emphasis(run string) []string {
	switch {
	case run[0] == '~' && len(run) != 2:
		return nil
	case len(run) <= 2:
		return []string{run}
	case len(run) == 3:
		return []string{run[:1], run[:2]}
	}
	return nil
}

// canOpen and canClose are CommonMark's flanking rules, made stricter: a mark
// within a word of Latin letters, as in 2*3, is taken for what it is.
func canOpen(s string, at, run int) bool {
	if at+run == len(s) || isSpace(s[at+run]) {
		return false
	}
	return at == 0 || !letter(s[at-1]) && !(s[at-1] >= '0' && s[at-1] <= '9')
}

func canClose(s string, at int) bool { return at > 0 && !isSpace(s[at-1]) }

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' }

// closeAll ends what is open, the innermost first.
func closeAll(s string, open []string) string {
	if len(open) == 0 {
		return s
	}
	s = strings.TrimRight(s, " \t")
	for i := len(open) - 1; i >= 0; i-- {
		s += open[i]
	}
	return s
}
