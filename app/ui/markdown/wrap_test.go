package markdown

import (
	"strings"
	"testing"
	"unicode/utf8"

	"kestrel/app/ui/look"
	"kestrel/app/ui/look/looktest"
)

// linesOf are the lines of a message at a width, as they are drawn.
func linesOf(v *View) []string {
	var out []string
	for _, l := range v.leaves {
		for _, ln := range l.box.lines {
			out = append(out, l.text[ln.start:ln.end])
		}
	}
	return out
}

func TestChineseWraps(t *testing.T) {
	looktest.App(t, look.Options{}, look.Chinese)
	v, _ := newView(t)
	text := strings.Repeat("状态空间模型（State Space Model）不使用注意力机制，而是“维护”一个大小恒定的状态；因此可以阅读任意长度的文本。", 8)
	v.SetText(text, false)
	for width := float32(80); width < 500; width += 7 {
		v.HeightFor(width)
		lines := linesOf(v)
		if len(lines) < 8 {
			t.Fatalf("%d lines at %v", len(lines), width)
		}
		for i, s := range lines {
			first, _ := utf8.DecodeRuneInString(s)
			last, _ := utf8.DecodeLastRuneInString(s)
			if strings.ContainsRune("，。；、）”", first) {
				t.Errorf("width %v: line %d begins with %q", width, i, s)
			}
			if strings.ContainsRune("（“", last) {
				t.Errorf("width %v: line %d ends in %q", width, i, s)
			}
			ln := v.leaves[0].box.lines[i]
			if ln.w > width {
				t.Errorf("width %v: line %d is %v wide", width, i, ln.w)
			}
			if i < len(lines)-1 && ln.w < width-8*14 && ln.w < width*0.6 {
				t.Errorf("width %v: line %d ends early, at %v: %q", width, i, ln.w, s)
			}
		}
		if got := strings.ReplaceAll(strings.Join(lines, ""), " ", ""); got != strings.ReplaceAll(text, " ", "") {
			t.Fatalf("width %v: text is %q", width, got)
		}
	}
}

func TestWordsWrap(t *testing.T) {
	looktest.App(t, look.Options{}, look.English)
	for _, c := range []struct {
		text  string
		width float32
		want  []string
	}{
		{"one two three", 1000, []string{"one two three"}},
		{"one two three", 60, []string{"one two", "three"}},
		{"a **bo**ld word", 1000, []string{"a bold word"}},
		{"aaaa **bbbb**cccc", 70, []string{"aaaa", "bbbbcccc"}},
		{"first\\\nsecond", 1000, []string{"first", "second"}},
		{"well-known fact", 60, []string{"well-", "known", "fact"}},
		{strings.Repeat("x", 40), 100, nil},
		{"see https://example.org/" + strings.Repeat("path", 40), 120, nil},
		{"`" + strings.Repeat("code ", 30) + "`", 120, nil},
	} {
		v, _ := newView(t)
		v.SetText(c.text, false)
		v.HeightFor(c.width)
		got := linesOf(v)
		if c.want != nil && strings.Join(got, "|") != strings.Join(c.want, "|") {
			t.Errorf("%q at %v: %q, want %q", c.text, c.width, got, c.want)
		}
		for i, ln := range v.leaves[0].box.lines {
			if ln.w > c.width {
				t.Errorf("%q: line %d is %v wide of %v", c.text, i, ln.w, c.width)
			}
		}
	}
}

// TestFragmentsTileText: what a line draws is its text, left to right.
func TestFragmentsTileText(t *testing.T) {
	looktest.App(t, look.Options{}, look.English)
	for i, text := range tricky {
		for _, width := range []float32{45, 120, 300, 900} {
			v, _ := newView(t)
			v.SetText(text, false)
			v.HeightFor(width)
			for n, l := range v.leaves {
				at := 0
				for _, ln := range l.box.lines {
					if ln.start < at || ln.end < ln.start || strings.Trim(l.text[at:ln.start], " \n\t") != "" {
						t.Fatalf("text %d, leaf %d at %v: line %d-%d after %d", i, n, width, ln.start, ln.end, at)
					}
					at = ln.end
					x, from := float32(0), ln.start
					for _, f := range l.box.frags[ln.first:ln.last] {
						if f.start != from || f.x < x-0.01 {
							t.Fatalf("text %d, leaf %d at %v: fragment %+v after %d, %v", i, n, width, f, from, x)
						}
						x, from = f.x+f.w, f.end
					}
					if strings.Trim(l.text[from:ln.end], " ") != "" {
						t.Fatalf("text %d, leaf %d at %v: line %q is drawn only to %d", i, n, width, l.text[ln.start:ln.end], from)
					}
				}
				if strings.TrimSpace(l.text[at:]) != "" {
					t.Fatalf("text %d, leaf %d at %v: %q is not drawn", i, n, width, l.text[at:])
				}
			}
		}
	}
}
