package cli

import (
	"fmt"
	"strings"
	"time"

	"kestrel/app/library"
)

// transfer shows the library's progress, which brings its own rate and time
// left: a bar on a terminal, now and then a line elsewhere.
type transfer struct {
	a     *app
	now   func() time.Time
	start time.Time
	line  time.Time // of the last line
	noted string
	drawn bool
}

func (a *app) transfer() *transfer {
	t := &transfer{a: a, now: time.Now}
	t.start = t.now()
	return t
}

// show is a library's progress callback.
func (t *transfer) show(p library.Progress) {
	now := t.now()
	if waits := p.Waits.String(); p.Stage == library.Waiting && waits != "" && waits != t.noted {
		t.clear()
		t.a.note("%s; waiting for it", waits)
		t.noted = waits
	}
	if now.Sub(t.start) < progressAfter || p.Stage == library.Waiting {
		return
	}
	if t.a.ErrTerminal {
		fmt.Fprintf(t.a.Err, "\r\x1b[K%s", bar(p))
		t.drawn = true
		return
	}
	if now.Sub(t.line) < progressEvery {
		return
	}
	t.line = now
	fmt.Fprintln(t.a.Err, strings.TrimSpace(string(p.Stage)+": "+amounts(p)))
}

// clear removes the bar.
func (t *transfer) clear() {
	if t.drawn {
		fmt.Fprint(t.a.Err, "\r\x1b[K")
		t.drawn = false
	}
}

const barWidth = 24

// bar is one line, short enough for 80 columns whatever it says.
func bar(p library.Progress) string {
	text := string(p.Stage)
	if p.Total > 0 {
		done := min(int(barWidth*p.Done/p.Total), barWidth)
		text += " [" + strings.Repeat("=", done) + strings.Repeat(" ", barWidth-done) + "]"
	}
	text += " " + amounts(p)
	if r := []rune(text); len(r) > 79 {
		text = string(r[:78]) + "…"
	}
	return text
}

// amounts is how much of how much, how fast, and how long it will take, or
// what is being waited for.
func amounts(p library.Progress) string {
	if waits := p.Waits.String(); waits != "" {
		return waits
	}
	if p.Total <= 0 {
		return ""
	}
	text := fmt.Sprintf("%d%% of %s", 100*p.Done/p.Total, bytesText(p.Total))
	if p.Rate > 0 {
		text += fmt.Sprintf(", %s/s", bytesText(int64(p.Rate)))
	}
	if p.ETA > 0 && p.Done < p.Total {
		text += fmt.Sprintf(", %v left", p.ETA.Round(time.Second))
	}
	return text
}
