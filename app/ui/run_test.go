package ui

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"kestrel/app/session"
	"kestrel/app/ui/journal"
	"kestrel/app/ui/settings"
)

func TestBegin(t *testing.T) {
	for name, c := range map[string]struct {
		kept session.LoadRequest
		o    Options
		want session.LoadRequest
	}{
		"first":         {want: session.LoadRequest{Model: "demo"}},
		"remembered":    {kept: session.LoadRequest{Model: "m", Device: "1", Quant: "q4_k"}, want: session.LoadRequest{Model: "m", Device: "1", Quant: "q4_k"}},
		"asked for":     {kept: session.LoadRequest{Model: "m", Device: "1", Quant: "q4_k"}, o: Options{Model: session.LoadRequest{Model: "n"}}, want: session.LoadRequest{Model: "n", Device: "1"}},
		"other device":  {kept: session.LoadRequest{Model: "m", Quant: "q4_k"}, o: Options{Model: session.LoadRequest{Device: "2"}}, want: session.LoadRequest{Model: "m", Device: "2", Quant: "q4_k"}},
		"with document": {o: Options{Files: []string{"book.txt"}}, want: session.LoadRequest{Model: "demo"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t, settings.Preferences{Model: c.kept, System: "Be brief."}, nil)
			b.calls()
			b.begin(c.o)
			calls := b.calls()
			if want := fmt.Sprintf("Load[%v]", c.want); len(calls) < 2 || calls[0] != want || !strings.Contains(calls[1], "Be brief.") {
				t.Errorf("calls are %v, want %s and a new conversation", calls, want)
			}
			if len(c.o.Files) > 0 {
				path, err := filepath.Abs("book.txt")
				if err != nil {
					t.Fatal(err)
				}
				if want := fmt.Sprintf("AddFiles[[%s]]", path); calls[len(calls)-1] != want {
					t.Errorf("calls are %v, want %s", calls, want)
				}
			}
		})
	}
}

// TestReasonIsKept: who started the program from the desktop finds in a file why
// no window opened; who sees it in the terminal has no use for that.
func TestReasonIsKept(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells by the environment")
	}
	for _, terminal := range []bool{false, true} {
		home := filepath.Join(t.TempDir(), "kestrel")
		err := Run(Options{Terminal: terminal, Getenv: func(name string) string { return map[string]string{"KESTREL_HOME": home}[name] }})
		if !errors.Is(err, ErrNoDisplay) {
			t.Fatalf("%v, want ErrNoDisplay", err)
		}
		data, err := os.ReadFile(filepath.Join(home, journal.File))
		if terminal != errors.Is(err, os.ErrNotExist) || !terminal && !strings.Contains(string(data), "DISPLAY is not set") {
			t.Errorf("in a terminal %v: the journal has %q (%v)", terminal, data, err)
		}
	}
}

// TestMetadata: Fyne's own tools read of a file what the program says of itself.
func TestMetadata(t *testing.T) {
	data, err := os.ReadFile("../../FyneApp.toml")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`Name = "` + metadata.Name + `"`, `ID = "` + metadata.ID + `"`, `Version = "` + metadata.Version + `"`,
		fmt.Sprintf("Build = %d", metadata.Build), `Icon = "assets/icons/kestrel-512.png"`, "fyneDo = true"} {
		if !strings.Contains(string(data), want) {
			t.Errorf("FyneApp.toml has no %s", want)
		}
	}
}
