package markdown

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"kestrel/app/ui/look"
	"kestrel/app/ui/look/looktest"
)

// tricky are texts whose blocks are decided late.
var tricky = []string{
	sample,
	"- one\n- two\n**bold** lazy\n- three\n\n\n4) four\n5) five\n\ntext\n",
	"1. a\n2. b\n\n   more of b\n\n3. c\n    - d\n    - e\n10. f\n\nParagraph\n===\n\nAnother\n---\n---\n",
	"* a\n*\n* c\n***\n+ d\n",
	"para\n- a\n-\n- b\n\n    code\n\n```\nopen",
	"> quote\nlazy\n\n> more\n> - x\n> - y\n>\n> ```\n> code\n> ```\n",
	"| a | b |\n|---|---|\n| 1 | 2 |\n- list ends the table\n",
	"| no table\n| a | b |\n|---|\n",
	"```python\nx = '''\n```\nafter\n~~~\ncode\n```\n~~~~\n",
	"<div>\nhtml\n\n<br>a<br/>b\n\n<!-- c\n\nd -->\n",
	"Text with [ref] and [other][ref].\n\n[ref]: https://example.org/x 'title'\n\nmore [ref]\n",
	"\n\n\n   \n# \n\n## x ##\n#no\n####### seven\n",
	"- [ ] a\n- [x] b\n  - [ ] c\n\n1. [x] d\n",
	"a\\\nb  \nc\nd &amp; &#65; \\* \\q\n",
	"中文。\n中文“引号”，\nEnglish 中文\n\n- 一\n- 二\n",
	"x\r\ny\r\n\r\n- a\r\n- b\r\n",
	"above\n\n| a | b |\n|---|:-:|\n" + strings.Repeat("| 1 | **two** |\n| [x](y) `c` | 3 |\n|4|\n", 20) + "\nbelow\n",
	"| a | b |\n|---|---|\n" + strings.Repeat("| 1 | 2 |\n", 60) + "===\n\nA heading\n",
	"| a | b |\n|---|---|\n" + strings.Repeat("| 1 | 2 |\n", 60) + "- a list\n- ends it\n",
	"- | a | b |\n  |---|---|\n" + strings.Repeat("  | 1 | 2 |\n", 40),
	"| a | b\n|---|---|\n" + strings.Repeat("1 | [2](\n", 40) + "last",
	"- a\n\n  - b\n\n\n- c\n-     code in item\n\n1986. A year\n\n2. two\n",
}

// describe says all that is seen of leaves.
func describe(leaves []*leaf) string {
	var b strings.Builder
	for _, l := range leaves {
		fmt.Fprintf(&b, "%d h%d indent %.2f gap %.2f bars %v joined %d marker %q lang %q rows %v aligns %v code %q\n",
			l.kind, l.level, l.indent, l.gap, l.bars, l.joined, l.marker, l.lang, l.rows, l.aligns, l.code)
		for _, s := range l.spans {
			if l.kind == leafCode {
				fmt.Fprintf(&b, "  %q\n", l.text)
				break
			}
			fmt.Fprintf(&b, "  %q %d %d %q\n", l.text[s.start:s.end], s.style, s.role, s.link)
		}
	}
	return b.String()
}

// TestStreamingEndsAsWhole holds the text that came in pieces against the same
// text at once.
func TestStreamingEndsAsWhole(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for i, text := range tricky {
		var whole flow
		whole.set(text, false)
		want := describe(whole.leaves)
		for try := range 40 {
			var f flow
			frozen := 0
			for at := 0; at < len(text); {
				at = min(len(text), at+1+rng.IntN(1+try*2))
				f.set(text[:at], true)
				if f.frozen < frozen {
					t.Fatalf("text %d: %d leaves were frozen, now %d", i, frozen, f.frozen)
				}
				frozen = f.frozen
			}
			f.set(text, false)
			if got := describe(f.leaves); got != want {
				t.Fatalf("text %d in pieces (%d):%s", i, try, firstDifference(got, want))
			}
		}
	}
}

// TestAnotherText: what was held of one table is not shown of another.
func TestAnotherText(t *testing.T) {
	const head = "| a | b |\n|---|---|\n"
	one, other := head+strings.Repeat("| 1 | 2 |\n", 50), head+strings.Repeat("| 3 | 4 |\n", 50)
	var f, fresh flow
	f.set(one, true)
	if f.long.leaf == nil {
		t.Fatal("no rows are held")
	}
	for _, text := range []string{one + "| 5", other, other[:40], ""} {
		fresh = flow{}
		f.set(text, false)
		fresh.set(text, false)
		if got, want := describe(f.leaves), describe(fresh.leaves); got != want {
			t.Errorf("%.40q:%s", text, firstDifference(got, want))
		}
	}
}

// TestFreezing: what is parsed again must not grow with the text.
func TestFreezing(t *testing.T) {
	for name, part := range map[string]string{
		"paragraphs": "Some words that make a paragraph.\n\n",
		"table":      "| a cell | **another** |\n",
		"list":       "1. an item\n   - below it\n",
		"sections":   "## Head\ntext\n```go\nx := 1\n```\n",
	} {
		text := strings.Repeat(part, 100)
		most := 3 * len(part)
		if name == "table" {
			text = "| a | b |\n|---|---|\n" + text
			most = 100 + (openRows+holdRows)*len(part)
		}
		var f flow
		for at := 1; at <= len(text); at++ {
			f.set(text[:at], true)
			if open := len(f.open()); open > most {
				t.Fatalf("%s: %d bytes are open after %d", name, open, at)
			}
		}
	}
}

// TestTableLayoutGrows: rows that are kept lie where they would if all were set
// anew, also where a wider cell moves the columns.
func TestTableLayoutGrows(t *testing.T) {
	looktest.App(t, look.Options{}, look.English)
	text := "| left | centre | right |\n|---|:-:|--:|\n"
	for i := range 60 {
		text += fmt.Sprintf("| row %d | %s | `%d` |\n", i, strings.Repeat("**word** 词语 ", i%7*i/10), i*i)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for _, width := range []float32{300, 900} {
		var f flow
		for at := 0; at < len(text); {
			at = min(len(text), at+1+rng.IntN(60))
			f.set(text[:at], true)
			for i, l := range f.leaves {
				l.layOut(width)
				anew := *l
				anew.box = placed{}
				anew.layOut(width)
				if got, want := fmt.Sprint(l.box.lines, l.box.frags, l.box.shapes, l.box.height), fmt.Sprint(anew.box.lines, anew.box.frags, anew.box.shapes, anew.box.height); got != want {
					t.Fatalf("leaf %d after %d bytes, %g wide:%s", i, at, width, firstDifference(got, want))
				}
			}
		}
	}
}

func TestHeal(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"plain", "plain"},
		{"a **bold", "a **bold**"},
		{"a **bold wo", "a **bold wo**"},
		{"a **bold*", "a **bold**"},
		{"a **bold**", "a **bold**"},
		{"a **", "a "},
		{"a *it", "a *it*"},
		{"***both", "***both***"},
		{"**a *b", "**a *b***"},
		{"**a *b*", "**a *b***"},
		{"~~gone", "~~gone~~"},
		{"中文**重点", "中文**重点**"},
		{"2*3 is", "2*3 is"},
		{"2 * 3 is", "2 * 3 is"},
		{"snake_case", "snake_case"},
		{"a `code", "a `code`"},
		{"a `co*de", "a `co*de`"},
		{"a ``co`de", "a ``co`de``"},
		{"a `code` and", "a `code` and"},
		{"see [te", "see [te"},
		{"see [text](http://e", "see text"},
		{"see ![text](http://e", "see text"},
		{"see **[text](http://e", "see **text**"},
		{"see [text](http://e) on", "see [text](http://e) on"},
		{"para\n-", "para\n"},
		{"para\n==", "para\n"},
		{"para\n##", "para\n"},
		{"-", "-"},
		{"`", ""},
		{"``", ""},
		{"```", "```\n```"},
		{"line one **\nline two **x", "line one **\nline two **x**"},
		{"| a | b", "| a | b |\n|---|---|"},
		{"| a | b |", "| a | b |\n|---|---|"},
		{"| a | b |\n|", "| a | b |\n|---|---|"},
		{"| a | b |\n|:-", "| a | b |\n|:-|---|"},
		{"| a | b |\n|---|--", "| a | b |\n|---|--"},
		{"| a | b |\n|---|---|\n| **x", "| a | b |\n|---|---|\n| **x**"},
		{"```go\nx := 1\n``", "```go\nx := 1\n"},
		{"```go\nx := **y", "```go\nx := **y"},
		{"    code **x", "    code **x"},
	} {
		got := c.text
		if at, fixed := parse(c.text).heal(); at >= 0 {
			got = c.text[:at] + fixed
		}
		if c.text == "```" { // an empty block of code, whatever comes
			continue
		}
		if got != c.want {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}

// TestUnfinished checks what is seen while constructs are open.
func TestUnfinished(t *testing.T) {
	kinds := func(text string) string {
		var f flow
		f.set(text, true)
		s := ""
		for _, l := range f.leaves {
			s += fmt.Sprint(l.kind)
			if l.marker != "" {
				s += l.marker
			}
			s += " "
		}
		return s
	}
	for _, c := range []struct{ text, want string }{
		{"text\n\n```go\nfunc", fmt.Sprint(leafText, " ", leafCode, " ")},
		{"text\n\n```", fmt.Sprint(leafText, " ", leafCode, " ")},
		{"| a | b |\n|--", fmt.Sprint(leafTable, " ")},
		{"| a | b |\n|---|---|\n| 1", fmt.Sprint(leafTable, " ")},
		{"- a\n- b", fmt.Sprint(leafText, "• ", leafText, "• ")},
		{"text\n\n1. a\n2", fmt.Sprint(leafText, " ", leafText, "1. ")},
	} {
		if got := kinds(c.text); got != c.want {
			t.Errorf("%q: %s, want %s", c.text, got, c.want)
		}
	}
}

func firstDifference(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range a {
		if i >= len(b) || a[i] != b[i] {
			return fmt.Sprintf("line %d:\n%s\nat once:\n%s", i, strings.Join(a[i:min(i+4, len(a))], "\n"), strings.Join(b[min(i, len(b)):min(i+4, len(b))], "\n"))
		}
	}
	return fmt.Sprintf("%d lines, %d at once", len(a), len(b))
}
