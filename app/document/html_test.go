package document

import (
	"strings"
	"testing"
)

func TestHTML(t *testing.T) {
	for _, test := range []struct{ name, data, want, title string }{
		{"paragraphs", "<!DOCTYPE html><title>A &amp; B</title><style>p{}</style><p>One <b>bold</b>\n  word.<p>Two<br>lines<script>no()</script>",
			"One bold word.\n\nTwo\nlines\n\n", "A & B"},
		{"headings", "before<h1>Top</h1><p>x</p><h2>Sub <i>part</i></h2>y", "before\n\n# Top\n\nx\n\n## Sub part\n\ny\n\n", "a"},
		{"lists", "<ul><li>one<li>two<ol><li>a</li><li>b</li></ol></li><li><p>three</p><p>more</p></ul><p>after",
			"- one\n- two\n  1. a\n  2. b\n- three\nmore\n\nafter\n\n", "a"},
		{"table", "<table><tr><th>k<th>v</tr><tr><td>a<p>b</p><td>1 <table><tr><td>in</table></table>end", "| k | v |\n| --- | --- |\n| a b | 1 in |\n\nend\n\n", "a"},
		{"open table", "<table><td>a<td>b", "| a | b |\n\n", "a"},
		{"pre", "<pre>\n  x\n    y\n</pre>z", "```\n  x\n    y\n```\n\nz\n\n", "a"},
		{"quote", "<blockquote><p>said</p><p>he</p></blockquote>on", "> said\n\n> he\n\non\n\n", "a"},
		{"entities", "caf&eacute;&nbsp;au&shy;lait &#x4e2d;&#0;<img src=x alt='a cat'>", "café aulait 中\ufffd [a cat]\n\n", "a"},
		{"broken", "</p></ul></table><li><h2>x<p>y</td><b", "## x\n\ny\n\n", "a"},
		{"spaces", "<p>a <b> b</b> <i>c</i>d</p>", "a b cd\n\n", "a"},
		{"xhtml", `<?xml version="1.0"?><html><head><title/><script src="x"/></head><body><p>text<br/>more</p><![CDATA[a<b]]></body>`, "text\nmore\n\na<b\n\n", "a"},
		{"declared", "<meta charset=windows-1251><p>\xef\xf0\xe8\xe2\xe5\xf2", "привет\n\n", "a"},
		{"declared in vain", "<meta charset=windows-1251><p>привет", "привет\n\n", "a"},
		{"gb2312", "<meta http-equiv=Content-Type content='text/html; charset=gb2312'><p>\xc4\xe3\xba\xc3", "你好\n\n", "a"},
		{"undeclared", "<p>\xc4\xe3\xba\xc3\xa3\xac\xca\xc0\xbd\xe7", "你好，世界\n\n", "a"},
		{"many items", strings.Repeat("<li>", 1000) + "x", "- x\n\n", "a"},
		{"utf-16", "\xff\xfe<\x00p\x00>\x00-N", "中\n\n", "a"},
	} {
		d, err := openBytes(t, "a.html", test.data)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if got, _ := text(t, d); got != test.want || d.Title != test.title || d.Format != HTML {
			t.Errorf("%s: title %q, text\n%q, want %q,\n%q", test.name, d.Title, got, test.title, test.want)
		}
	}
	if d, err := openBytes(t, "page", " <html><p>x"); err != nil || d.Format != HTML {
		t.Errorf("without an ending: %v", err)
	}
	_, err := openBytes(t, "a.html", "<p>x</p><p title='"+strings.Repeat("x", 2*tagBytes))
	if err == nil {
		d, _ := openBytes(t, "a.html", "<p>x</p><p title='"+strings.Repeat("x", 2*tagBytes))
		_, err = d.Count(t.Context(), nil)
	}
	checkError(t, "endless tag", err, ErrTooLarge, "16 MiB")
}

// TestLongHTML holds that sections stay small whatever the page is made of.
func TestLongHTML(t *testing.T) {
	for _, unit := range []string{"<p>word ", "word ", "<pre>word\n", "<table><tr><td>word ", "<ul><li>word ", "<blockquote>word ", "<td>word "} {
		d, err := openBytes(t, "a.html", strings.Repeat(unit, 100_000))
		if err != nil {
			t.Fatal(err)
		}
		if got, sections := text(t, d); strings.Count(got, "word") != 100_000 || len(sections) < 4 {
			t.Errorf("%q: %d sections, %d words", unit, len(sections), strings.Count(got, "word"))
		}
	}
}

func FuzzHTML(f *testing.F) {
	f.Add("<h1>a</h1><p>b<ul><li>c</ul><table><tr><td>d</table><pre>e", false)
	f.Add("<?xml version='1.0'?><html><title/><![CDATA[x]]><br/>", true)
	f.Add("<li><table><li><h1></td><blockquote></table></ol>x&nbsp;\u00ad", false)
	f.Fuzz(func(t *testing.T, page string, xhtml bool) {
		name := "a.html"
		if xhtml {
			page = "<?xml version='1.0'?>" + page
		}
		if d, err := openBytes(t, name, page); err == nil {
			text(t, d)
		}
	})
}
