package journal

import (
	"errors"
	"log"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2"
)

func content(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(data)
}

func TestNote(t *testing.T) {
	j := In(filepath.Join(t.TempDir(), "not", "yet"))
	j.now = func() time.Time { return time.Date(2026, 5, 1, 9, 5, 0, 0, time.UTC) }
	for _, text := range []string{"no window can be opened\n", "again"} {
		if err := j.Note(text); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := content(t, j.Path()), "2026-05-01T09:05:00Z no window can be opened\n2026-05-01T09:05:00Z again\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if err := j.Note(strings.Repeat("x", mostBytes)); err != nil {
		t.Fatal(err)
	}
	if err := j.Note("the first of a new file"); err != nil {
		t.Fatal(err)
	}
	if got := content(t, j.Path()); strings.Count(got, "\n") != 1 || !strings.Contains(content(t, j.Path()+".old"), "again") {
		t.Errorf("a full file goes on with %.80q", got)
	}
	if err := In(j.Path()).Note("x"); err == nil {
		t.Error("a file in the place of the folder is no error")
	}
}

// TestWriter: what Fyne reports though nothing is wrong reaches nobody, and real
// errors reach the terminal and the file.
func TestWriter(t *testing.T) {
	for name, c := range map[string]struct {
		report func()
		want   string // "" for nothing
	}{
		"no D-Bus":                     {func() { fyne.LogError("failed to watch theme settings", errors.New(`exec: "dbus-launch": not found`)) }, ""},
		"no cause":                     {func() { fyne.LogError("failed to watch theme settings", nil) }, ""},
		"a file that is being written": {func() { fyne.LogError("Preferences load error:", errors.New("EOF")) }, ""},
		"a file that cannot be read":   {func() { fyne.LogError("Preferences load error:", errors.New("permission denied")) }, "permission denied"},
		"a real error":                 {func() { fyne.LogError("Failed to render image", errors.New("no memory")) }, "no memory"},
		"without a cause":              {func() { fyne.LogError("Loaded theme returned nil font", nil) }, "nil font"},
		"another's line":               {func() { log.Print("the disk is full") }, "the disk is full"},
		"after a harmless one": {func() {
			fyne.LogError("failed to watch theme settings", nil)
			fyne.LogError("Failed to render image", errors.New("no memory"))
		}, "no memory"},
	} {
		t.Run(name, func(t *testing.T) {
			j := In(t.TempDir())
			var terminal strings.Builder
			log.SetOutput(j.Writer(&terminal))
			defer log.SetOutput(os.Stderr)
			c.report()
			for where, got := range map[string]string{"terminal": terminal.String(), "file": content(t, j.Path())} {
				if (got == "") != (c.want == "") || !strings.Contains(got, c.want) || strings.Contains(got, "watch theme") {
					t.Errorf("%s: %q, want %q", where, got, c.want)
				}
			}
		})
	}
}
