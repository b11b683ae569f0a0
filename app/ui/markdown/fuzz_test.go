package markdown

import (
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"

	"kestrel/app/ui/look"
	"kestrel/app/ui/look/looktest"
)

// limit is how long any text up to 64 kB may take, on a machine that has other
// things to do as well.
const limit = 5 * time.Second

// FuzzView shows any bytes, at once and in two pieces, and selects them.
func FuzzView(f *testing.F) {
	for _, s := range tricky {
		f.Add([]byte(s), 10, float32(200))
	}
	f.Add([]byte("\xff\xfe[![[`**~~|\n|-|\n\x00\u202e\t`"), 3, float32(1))
	f.Add([]byte(strings.Repeat(">", 300)+strings.Repeat("- ", 300)+strings.Repeat("[", 300)), 3, float32(90))
	looktest.App(f, look.Options{}, look.English)
	f.Fuzz(func(t *testing.T, data []byte, cut int, width float32) {
		if len(data) > 64<<10 || width != width {
			t.Skip()
		}
		show(t, string(data), cut, width)
	})
}

func show(t testing.TB, text string, cut int, width float32) {
	started := time.Now()
	v, _ := newView(t)
	test.WidgetRenderer(v)
	cut = min(max(cut, 0), len(text))
	v.SetText(text[:cut], true)
	v.Resize(fyne.NewSize(min(max(width, 1), 4000), 100))
	v.earliest = time.Time{}
	v.SetText(text, true)
	v.SetText(text, false)
	v.SelectAll()
	v.Selected()
	for y := float32(0); y <= v.height; y += max(v.height/20, 1) {
		v.at(fyne.NewPos(y/3, y))
		v.linkAt(fyne.NewPos(y/3, y))
	}
	for _, l := range v.leaves {
		colourise(l.lang, l.text)
	}
	if took := time.Since(started); took > limit*slower {
		t.Errorf("%d bytes took %v", len(text), took)
	}
}

// TestHostileTexts are long ones that parsers are slow at.
func TestHostileTexts(t *testing.T) {
	looktest.App(t, look.Options{}, look.English)
	const n = 20_000
	for name, text := range map[string]string{
		"quotes":      strings.Repeat(">", n),
		"lists":       strings.Repeat("- ", n),
		"deep list":   deepList(200),
		"brackets":    strings.Repeat("[", n),
		"images":      strings.Repeat("![", n),
		"links":       strings.Repeat("[a](", n),
		"stars":       strings.Repeat("*a ", n),
		"star pairs":  strings.Repeat("*a _b ", n/2),
		"ticks":       ticks(300),
		"tick":        strings.Repeat("`", n) + strings.Repeat(" `", n/2),
		"angle":       strings.Repeat("<", n),
		"html":        strings.Repeat("<a b='", n/4),
		"entities":    strings.Repeat("&amp", n),
		"table":       strings.Repeat("|", n) + "\n" + strings.Repeat("|-", n) + "|\n" + strings.Repeat("|", n),
		"rows":        "|a|b|\n|-|-|\n" + strings.Repeat("|x|\n", n/2),
		"urls":        strings.Repeat("http://", n/4),
		"mails":       strings.Repeat("a@", n),
		"one word":    strings.Repeat("x", 3*n),
		"marks":       "a" + strings.Repeat("\u0301", n),
		"joiners":     strings.Repeat("👩\u200d", n/2),
		"controls":    strings.Repeat("\x01\x1b[0m", n/4),
		"no utf-8":    strings.Repeat("\xc3\x28", n),
		"definitions": strings.Repeat("[a]: b\n", n/4) + strings.Repeat("[a]", n/4),
		"lines":       strings.Repeat("\n", 3*n),
		"code":        "```go\n" + strings.Repeat("\"\\", n),
	} {
		t.Run(name, func(t *testing.T) { show(t, text, len(text)/2, 300) })
	}
}

func deepList(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat("  ", i) + "- x\n")
	}
	return b.String()
}

func ticks(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat("`", i) + " ")
	}
	return b.String()
}
