package markdown

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/test"
	"golang.org/x/sys/unix"

	"kestrel/app/ui/look"
	"kestrel/app/ui/look/looktest"
)

// long are texts of about n bytes, of the shapes that answers have.
func long(n int) map[string]string {
	fill := func(parts ...string) string {
		var b strings.Builder
		for i := 0; b.Len() < n; i++ {
			b.WriteString(strings.ReplaceAll(parts[i%len(parts)], "#", fmt.Sprint(i)))
		}
		return b.String()[:n]
	}
	sentence := "The state, number #, is of **constant** size and `never` grows, however long the text is. "
	return map[string]string{
		"mixed":         fill(sample),
		"one paragraph": fill(sentence),
		"one list":      fill("- "+sentence+"\n", "  - nested #\n"),
		"one code":      "```go\n" + fill("func f#(x int) string {\n", "\treturn fmt.Sprintf(\"%d\", x*#) // comment\n", "}\n\n")[:n-6],
		"one table":     "| a | b | c |\n|---|---|---|\n" + fill("| cell # | **bold** | some more words here |\n")[:n-30],
		"chinese":       strings.ToValidUTF8(fill("状态空间模型不使用注意力机制，而是维护一个大小恒定的状态（第 # 个）；因此可以阅读任意长度的文本。\n\n"), ""),
	}
}

// streamFrames shows a text as it grows by a step at a time, at the end of a
// window, and returns how long each update took on Fyne's goroutine.
func streamFrames(tb testing.TB, text string, step int) []time.Duration {
	v, loop := newView(tb)
	scroll := container.NewVScroll(v)
	w := test.NewTempWindow(tb, scroll)
	w.SetPadded(false)
	w.Resize(fyne.NewSize(800, 700))
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var frames []time.Duration
	for at := step; ; at += step {
		at = min(at, len(text))
		started := threadTime(tb)
		v.earliest = time.Time{}
		v.SetText(text[:at], true)
		height := v.HeightFor(800)
		v.SetViewport(height-700, height)
		scroll.Refresh()
		scroll.ScrollToBottom()
		frames = append(frames, threadTime(tb)-started)
		loop.drain()
		if at == len(text) {
			return frames
		}
	}
}

// threadTime is what this thread has worked: other programs do not count.
func threadTime(tb testing.TB) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(t.Nano())
}

func (l *loop) drain() {
	l.mu.Lock()
	queue := l.queue
	l.queue = nil
	l.mu.Unlock()
	for _, f := range queue {
		f()
	}
}

// BenchmarkStream measures what an update costs while 60 kB are written, 60
// bytes at a time. The last quarter is where it costs most.
func BenchmarkStream(b *testing.B) {
	looktest.App(b, look.Options{}, look.English)
	for name, text := range long(60_000) {
		b.Run(name, func(b *testing.B) {
			var last []time.Duration
			for range b.N {
				frames := streamFrames(b, text, 60)
				last = append(last, frames[len(frames)*3/4:]...)
			}
			slices.Sort(last)
			b.ReportMetric(ms(last[len(last)/2]), "ms/median")
			b.ReportMetric(ms(last[len(last)*99/100]), "ms/p99")
			b.ReportMetric(ms(last[len(last)-1]), "ms/max")
		})
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// BenchmarkOpen measures what it costs to show a whole text.
func BenchmarkOpen(b *testing.B) {
	looktest.App(b, look.Options{}, look.English)
	for _, n := range []int{2_000, 60_000, 1_000_000} {
		for _, name := range []string{"mixed", "one paragraph", "one code", "chinese"} {
			text := long(n)[name]
			b.Run(fmt.Sprintf("%s %d", name, n), func(b *testing.B) {
				for range b.N {
					v, _ := newView(b)
					test.WidgetRenderer(v)
					v.SetViewport(0, 700)
					v.SetText(text, false)
					v.HeightFor(780)
				}
			})
		}
	}
}

// TestStreamStaysSmooth holds updates of long answers to 5 ms.
func TestStreamStaysSmooth(t *testing.T) {
	looktest.App(t, look.Options{}, look.English)
	for _, name := range []string{"mixed", "one list", "one table", "chinese"} {
		frames := streamFrames(t, long(60_000)[name], 60)
		slices.Sort(frames)
		if p99 := frames[len(frames)*99/100]; p99 > 5*slower*time.Millisecond {
			t.Errorf("%s: one update of a hundred takes %v", name, p99)
		}
	}
}
