package markdown

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/test"

	"kestrel/app/ui/look"
	"kestrel/app/ui/look/looktest"
)

// loop stands in for Fyne's goroutine, of which the test driver has none: what
// comes from others waits until the test runs it.
type loop struct {
	mu    sync.Mutex
	queue []func()
	some  chan struct{}
}

func newLoop() *loop { return &loop{some: make(chan struct{}, 1)} }

func (l *loop) do(f func()) {
	l.mu.Lock()
	l.queue = append(l.queue, f)
	l.mu.Unlock()
	select {
	case l.some <- struct{}{}:
	default:
	}
}

// until runs what comes in until done holds.
func (l *loop) until(t testing.TB, done func() bool) {
	t.Helper()
	for !done() {
		select {
		case <-l.some:
		case <-t.Context().Done():
			t.Fatal("the test ended before it happened")
		}
		l.mu.Lock()
		queue := l.queue
		l.queue = nil
		l.mu.Unlock()
		for _, f := range queue {
			f()
		}
	}
}

func newView(t testing.TB) (*View, *loop) {
	v, l := New(), newLoop()
	v.Do = l.do
	return v, l
}

const sample = `# Falcon-Mamba reads a book

A state-space model keeps a **state of constant size** instead of a cache that *grows*; its
memory is ` + "`38 MiB`" + `, whatever the [length](https://example.org/length). ~~Not~~ so elsewhere.

## What it does

1. Reads the text, chunk by chunk
2. Keeps what matters:
   - names, places
   - who did what
     - and why
3. Sums it up

- [x] read
- [ ] understood

> It is a truth universally acknowledged, that a single man in possession of a good fortune,
> must be in want of a wife.
>
> > A quote within a quote.

` + "```go\nfunc Sum(xs []float64) (total float64) {\n\tfor _, x := range xs { // every one of them\n\t\ttotal += x * 1.5\n\t}\n\treturn total, fmt.Errorf(\"no more than %d\", len(xs))\n}\n```" + `

| Model | Size | Speed |
|:--|--:|:-:|
| falcon-mamba-7b | 13.6 GiB | 42 tokens/s |
| a model with quite a long name, so that its cell has to wrap | 7.2 GiB | **80** tokens/s |

---

状态空间模型不使用注意力机制，而是维护一个大小恒定的状态（7B 模型为 38 MiB），因此可以用恒定的内存阅读任意长度的文本。“读过一次的文本”只是一个小文件，随时可以重新打开；再也不需要重新阅读了！

![A picture](https://example.org/a.png)
`

func TestPictures(t *testing.T) {
	for _, mode := range []look.Mode{look.Light, look.Dark} {
		t.Run(string(mode), func(t *testing.T) {
			looktest.App(t, look.Options{Mode: mode}, look.English)
			v, loop := newView(t)
			v.SetText(sample, false)
			w := test.NewTempWindow(t, container.NewPadded(v))
			w.Resize(fyne.NewSize(640, 1150))
			loop.until(t, v.Coloured)
			looktest.Picture(t, "sample-"+string(mode), w.Canvas())
		})
	}
}

func drawn(v *View) (texts []string) {
	for _, o := range test.WidgetRenderer(v).Objects() {
		if c, ok := o.(*canvas.Text); ok {
			texts = append(texts, c.Text)
		}
	}
	return texts
}

// TestOnlyTheViewportIsDrawn: a megabyte costs no more objects than a page.
func TestOnlyTheViewportIsDrawn(t *testing.T) {
	looktest.App(t, look.Options{}, look.English)
	v, _ := newView(t)
	var b strings.Builder
	for i := range 40_000 {
		fmt.Fprintf(&b, "Paragraph %d has some words.\n\n", i)
	}
	v.SetViewport(0, 600)
	v.SetText(b.String(), false)
	w := test.NewTempWindow(t, container.NewWithoutLayout(v))
	w.Resize(fyne.NewSize(600, 600))
	v.Resize(fyne.NewSize(600, v.HeightFor(600)))
	for _, at := range []float32{0, v.height / 2, v.height - 600, 10} {
		v.SetViewport(at, at+600)
		texts := drawn(v)
		if len(texts) > 200 {
			t.Fatalf("%d texts are drawn", len(texts))
		}
		middle := v.leaves[v.leafAt(at+300)].text
		if !slices.Contains(texts, middle) {
			t.Errorf("at %v, %q is not drawn", at, middle)
		}
	}
}

func TestUpdatesAreThrottled(t *testing.T) {
	looktest.App(t, look.Options{}, look.English)
	v, loop := newView(t)
	resized := 0
	v.OnResized = func() { resized++ }
	v.HeightFor(300)
	v.SetText("a", true)
	for i := range 100 {
		v.SetText(strings.Repeat("word ", i+1), true)
	}
	if v.source != "a" {
		t.Errorf("%q is shown at once", v.source)
	}
	if v.Text() != strings.Repeat("word ", 100) {
		t.Errorf("Text is %q", v.Text())
	}
	loop.until(t, func() bool { return v.source != "a" })
	if v.source != strings.Repeat("word ", 100) || resized != 1 {
		t.Errorf("%q is shown, resized %d times", v.source, resized)
	}
	v.SetText("end", false)
	if v.source != "end" {
		t.Error("the end waits")
	}
}

func TestThemeAndSizeChange(t *testing.T) {
	app := looktest.App(t, look.Options{Mode: look.Light}, look.English)
	v, _ := newView(t)
	v.SetText("Some words that fill a line or two of this view.", false)
	w := test.NewTempWindow(t, container.NewWithoutLayout(v))
	w.Resize(fyne.NewSize(200, 400))
	small := v.HeightFor(200)
	v.Resize(fyne.NewSize(200, small))
	light := test.WidgetRenderer(v).Objects()[0].(*canvas.Text).Color
	resized := false
	v.OnResized = func() { resized = true }
	app.Settings().SetTheme(look.New(look.Options{Mode: look.Dark, Size: 24}))
	v.Refresh()
	if v.height < 1.5*small || !resized {
		t.Errorf("height is %v, was %v", v.height, small)
	}
	if test.WidgetRenderer(v).Objects()[0].(*canvas.Text).Color == light {
		t.Error("the colour did not change")
	}
}

// TestNothingIsFetched: images are words.
func TestNothingIsFetched(t *testing.T) {
	looktest.App(t, look.Options{}, look.English)
	v, _ := newView(t)
	v.SetText("![a chart](https://example.org/x.png) <img src=\"https://example.org/y.png\">", false)
	v.HeightFor(800)
	for _, o := range test.WidgetRenderer(v).Objects() {
		if _, ok := o.(*canvas.Text); !ok {
			if _, ok := o.(*canvas.Rectangle); !ok {
				t.Errorf("%T is drawn", o)
			}
		}
	}
	if got := strings.Join(drawn(v), ""); !strings.Contains(got, "Image: a chart") {
		t.Errorf("shows %q", got)
	}
}
