// Package journal keeps what went wrong with the window in a file, for those who
// started it from the desktop and see no terminal.
//
// What the user writes or reads is never in it.
package journal

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// File is the name of the file in Kestrel's folder. What it held before it was
// full is in the one with ".old" after its name.
const File = "kestrel.log"

// mostBytes of the file.
const mostBytes = 256 << 10

// Journal is such a file. Its methods may be called from any goroutine.
type Journal struct {
	path string
	now  func() time.Time
	mu   sync.Mutex
}

// In returns the journal in a folder, which may not exist yet.
func In(dir string) *Journal { return &Journal{path: filepath.Join(dir, File), now: time.Now} }

// Path is the file's.
func (j *Journal) Path() string { return j.path }

// Note appends a text under the present time.
func (j *Journal) Note(text string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := os.MkdirAll(filepath.Dir(j.path), 0o755); err != nil {
		return err
	}
	if info, err := os.Stat(j.path); err == nil && info.Size() > mostBytes {
		if err := os.Rename(j.path, j.path+".old"); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(j.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(j.now().Format(time.RFC3339) + " " + strings.TrimSpace(text) + "\n")
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}

// harmless are what Fyne reports though nothing is wrong: what stands in the
// report, and in its cause.
var harmless = []struct{ report, cause string }{
	{"failed to watch theme settings", ""},         // a desktop without D-Bus does not change its theme
	{"Preferences load error", "EOF"},              // its file is being written at that moment; nothing of ours is in it
	{"Unable to connect to session D-Bus", "dbus"}, // as above
}

// Writer is for the log package, which Fyne reports to in lines that belong
// together: it leaves out what is harmless and hands the rest to w and to the
// journal.
func (j *Journal) Writer(w io.Writer) io.Writer { return &filter{journal: j, to: w} }

type filter struct {
	journal *Journal
	to      io.Writer
	mu      sync.Mutex
	waiting []byte // a report whose cause is to come
	report  string
	dropped bool // the report that the lines at hand belong to
}

// Write takes a line, as the log package gives it.
func (f *filter) Write(line []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	text := string(line)
	_, report, begins := strings.Cut(text, "Fyne error: ")
	_, cause, goesOn := strings.Cut(text, "  Cause: ")
	_, place, ends := strings.Cut(text, "  At: ")
	switch {
	case begins:
		f.flush()
		f.waiting, f.report, f.dropped = bytes.Clone(line), strings.TrimSpace(report), false
	case goesOn && f.waiting != nil:
		f.dropped = isHarmless(f.report, cause)
		f.waiting = append(f.waiting, line...)
	case ends && place != "" && f.waiting != nil: // the last line of a report
		f.dropped = f.dropped || isHarmless(f.report, "")
		f.waiting = append(f.waiting, line...)
		f.flush()
	default:
		f.flush()
		f.pass(line)
	}
	return len(line), nil
}

func (f *filter) flush() {
	if f.waiting != nil && !f.dropped {
		f.pass(f.waiting)
	}
	f.waiting = nil
}

// pass hands a report on. Where it cannot be written there is nobody to tell.
func (f *filter) pass(lines []byte) {
	_, _ = f.to.Write(lines)
	_ = f.journal.Note(string(lines))
}

func isHarmless(report, cause string) bool {
	for _, h := range harmless {
		if strings.Contains(report, h.report) && strings.Contains(cause, h.cause) {
			return true
		}
	}
	return false
}
