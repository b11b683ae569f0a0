package cli

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// Progress shows after a second: short work needs none.
const (
	progressAfter = time.Second
	progressEvery = 5 * time.Second // between lines, where there is no terminal
)

// progress tells how far a long operation is: a bar with rate and time left on
// a terminal, now and then a line elsewhere. Its unit is "B" or a word.
type progress struct {
	out      io.Writer
	terminal bool
	what     string
	unit     string
	start    time.Time
	now      func() time.Time

	bar  *progressbar.ProgressBar
	line time.Time // of the last line
	said bool
}

func (a *app) progress(what, unit string) *progress {
	return newProgress(a.Err, a.ErrTerminal, what, unit, time.Now)
}

func newProgress(out io.Writer, terminal bool, what, unit string, now func() time.Time) *progress {
	p := &progress{out: out, terminal: terminal, what: what, unit: unit, start: now(), now: now}
	if terminal {
		// made at once, though hidden, since it takes the rate from its making
		p.bar = p.newBar()
	}
	return p
}

// set says that done of total are done.
func (p *progress) set(done, total int64) {
	now := p.now()
	if total <= 0 {
		return
	}
	if p.bar != nil {
		p.said = p.said || now.Sub(p.start) >= progressAfter
		if p.bar.GetMax64() != total {
			p.bar.ChangeMax64(total)
		}
		_ = p.bar.Set64(min(done, total)) // a bar that cannot be drawn is no failure
		return
	}
	if now.Sub(p.start) < progressAfter {
		return
	}
	last := done >= total
	if p.said && now.Sub(p.line) < progressEvery && !last {
		return
	}
	if last && !p.said {
		return
	}
	p.said, p.line = true, now
	rate := float64(done) / now.Sub(p.start).Seconds()
	left := ""
	if rate > 0 && !last {
		left = ", " + time.Duration(float64(total-done)/rate*1e9).Round(time.Second).String() + " left"
	}
	fmt.Fprintf(p.out, "%s: %s of %s (%d%%), %s/s%s\n", p.what, p.amount(float64(done)), p.amount(float64(total)), 100*done/total, p.amount(rate), left)
}

// Write passes on what the bar draws once the work has taken long enough.
func (p *progress) Write(b []byte) (int, error) {
	if !p.said {
		return len(b), nil
	}
	return p.out.Write(b)
}

func (p *progress) newBar() *progressbar.ProgressBar {
	options := []progressbar.Option{
		progressbar.OptionSetWriter(p),
		progressbar.OptionSetDescription(p.what),
		progressbar.OptionSetWidth(30),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionThrottle(100 * time.Millisecond),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionUseANSICodes(true),
	}
	if p.unit == "B" {
		options = append(options, progressbar.OptionShowBytes(true))
	} else {
		options = append(options, progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString(p.unit))
	}
	return progressbar.NewOptions64(1, options...) // set tells the real total
}

// done removes the bar.
func (p *progress) done() {
	if p.bar != nil {
		_ = p.bar.Clear()
		p.bar = nil
	}
}

func (p *progress) amount(n float64) string {
	if p.unit == "B" {
		return bytesText(int64(n))
	}
	if n < 10 {
		return fmt.Sprintf("%.1f %s", n, p.unit)
	}
	return fmt.Sprintf("%.0f %s", n, p.unit)
}

// bytesText is n in binary units.
func bytesText(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	x, unit := float64(n)/1024, 0
	for x >= 1024 && unit < 4 {
		x /= 1024
		unit++
	}
	return fmt.Sprintf("%.1f %ciB", x, "KMGTP"[unit])
}
