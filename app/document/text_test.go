package document

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
)

const chinese = "第一回 宴桃园豪杰三结义 斩黄巾英雄首立功\n话说天下大势，分久必合，合久必分。周末七国分争，并入于秦。及秦灭之后，楚、汉分争，又并入于汉。"

func encode(t testing.TB, e encoding.Encoding, s string) string {
	t.Helper()
	out, err := e.NewEncoder().String(s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEncodings(t *testing.T) {
	le, be := unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)
	long := strings.Repeat(chinese+"\n", 2000)
	for _, test := range []struct{ name, data, want, encoding string }{
		{"ascii", "plain\n", "plain\n", "UTF-8"},
		{"bom", "\xef\xbb\xbfwith a mark", "with a mark", "UTF-8"},
		{"utf-8", long, long, "UTF-8"},
		{"replacement", "a real \ufffd", "a real \ufffd", "UTF-8"},
		{"utf-16le", "\xff\xfe" + encode(t, le, long+"🌍"), long + "🌍", "UTF-16LE"},
		{"utf-16be", "\xfe\xff" + encode(t, be, long+"🌍"), long + "🌍", "UTF-16BE"},
		{"utf-16le without mark", encode(t, le, "Plain words.\n"), "Plain words.\n", "UTF-16LE"},
		{"utf-16be without mark", encode(t, be, "Plain words.\n"), "Plain words.\n", "UTF-16BE"},
		{"gb18030", encode(t, simplifiedchinese.GB18030, long), long, "GB18030"},
		{"gb18030 four bytes", encode(t, simplifiedchinese.GB18030, long+"𠀀"), long + "𠀀", "GB18030"},
		{"gb18030 short", encode(t, simplifiedchinese.GB18030, "你好，世界"), "你好，世界", "GB18030"},
		{"gb18030 late", encode(t, simplifiedchinese.GB18030, strings.Repeat("x\n", 400_000)+chinese), strings.Repeat("x\n", 400_000) + chinese, "GB18030"},
		{"gb18030 traditional", encode(t, simplifiedchinese.GB18030, strings.Repeat("我們說過，這個國家會發展起來的，對於學生來說也是這樣。", 20)), strings.Repeat("我們說過，這個國家會發展起來的，對於學生來說也是這樣。", 20), "GB18030"},
	} {
		d, err := openBytes(t, "a.txt", test.data)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if got, _ := text(t, d); got != test.want || d.Encoding != test.encoding || d.Format != Text {
			t.Errorf("%s: %s, %d bytes, want %s, %d: %.60q", test.name, d.Encoding, len(got), test.encoding, len(test.want), got)
		}
	}
	// one damaged character in a long text is read around, and told
	damaged := encode(t, simplifiedchinese.GB18030, long)
	damaged = damaged[:1000] + "\xff" + damaged[1000:]
	d, err := openBytes(t, "a.txt", damaged)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := text(t, d); strings.Count(got, "\ufffd") == 0 || len(d.Notes) != 2 || !strings.Contains(d.Notes[1].String(), "damaged") {
		t.Errorf("damaged: %q", d.Notes)
	}
}

// TestUTF8AcrossPieces moves a character over every boundary of a read.
func TestUTF8AcrossPieces(t *testing.T) {
	for _, size := range []int{sectionBytes, 2 * sectionBytes, 256 << 10} {
		for shift := range 5 {
			want := strings.Repeat("x", size-shift) + "🌍字é\n"
			d, err := openBytes(t, "a.txt", want)
			if err != nil {
				t.Fatalf("%d-%d: %v", size, shift, err)
			}
			if got, _ := text(t, d); got != want {
				t.Errorf("%d-%d: text changed", size, shift)
			}
			if _, err := openBytes(t, "a.txt", want[:len(want)-len("字é\n")-1]); err == nil {
				t.Errorf("%d-%d: half a character at the end went unseen", size, shift)
			}
		}
	}
}

func TestTextSections(t *testing.T) {
	head := func(s []Section) string {
		var out []string
		for _, s := range s {
			out = append(out, fmt.Sprintf("%s:%d", s.Heading, len(strings.TrimSpace(s.Text))))
		}
		return strings.Join(out, " ")
	}
	for _, test := range []struct{ name, data, text, title, want string }{
		{"a.md", "# One\r\nfirst\r\n\r\n```\r\n# no\r\n```\r\n## Two #\r\nsecond\r\n#no\r\n", "# One\nfirst\n\n```\n# no\n```\n## Two #\nsecond\n#no\n", "One", "One:25 Two:19"},
		{"dir/notes.md", "\n\nintro\n# One\nx\n", "\n\nintro\n# One\nx\n", "notes", ":5 One:7"},
		{"war.txt", "Title\n\nCHAPTER I\n\nWell, Prince\n\nCHAPTER II.\nAnna\nChapter and verse he knew.\nPart of it\n", "", "war", ":5 CHAPTER I:23 CHAPTER II.:54"},
		{"三国.txt", chinese + "\n第二回 张翼德怒鞭督邮\n且说董卓字仲颖\n第三者说。\n", "", "三国", "第一回 宴桃园豪杰三结义 斩黄巾英雄首立功:201 第二回 张翼德怒鞭督邮:69"},
		{"x.go", "package x\r\n\r\n// # one\r\n", "package x\n\n// # one\n", "x.go", ":19"},
		{"mac.txt", "one\rtwo\r", "one\ntwo\n", "mac", ":7"},
	} {
		d, err := openBytes(t, test.name, test.data)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if test.text == "" {
			test.text = test.data
		}
		got, sections := text(t, d)
		if got != test.text || d.Title != test.title || head(sections) != test.want {
			t.Errorf("%s: title %q, sections %q, text %q; want %q, %q", test.name, d.Title, head(sections), got, test.title, test.want)
		}
	}
}

// TestLongText holds that sections stay small without lines, words or paragraphs.
func TestLongText(t *testing.T) {
	for _, unit := range []string{"word ", "字", "x", "a line\r\n", "\r\n", "a paragraph\n\n"} {
		data := strings.Repeat(unit, 1<<20/len(unit)) + "end"
		d, err := openBytes(t, "a.txt", data)
		if err != nil {
			t.Fatal(err)
		}
		if got, sections := text(t, d); got != strings.ReplaceAll(data, "\r\n", "\n") || len(sections) < 4 {
			t.Errorf("%q: %d sections, %d bytes", unit, len(sections), len(got))
		}
	}
}

func BenchmarkText(b *testing.B) {
	for name, data := range map[string]string{
		"utf8":    strings.Repeat("It was a line of a long, long book that went on.\n", 200_000),
		"gb18030": encode(b, simplifiedchinese.GB18030, strings.Repeat(chinese+"\n", 30_000)),
	} {
		path := b.TempDir() + "/a.txt"
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				d, err := Open(b.Context(), path, Options{})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := d.Count(b.Context(), nil); err != nil {
					b.Fatal(err)
				}
				d.Close()
			}
		})
	}
}
