package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const said = "He is a man of the world, and a man of his word."

var round = "It begins well. " + strings.Repeat(said+" ", 60)

// TestChatCircle holds that an answer that goes in a circle ends with a word on standard error, that the conversation goes
// on from its text without the repetition, and that it can be let go on.
func TestChatCircle(t *testing.T) {
	e := fake("")
	e.Reply = func(read string) string {
		if strings.Contains(read, "Why?") {
			return "Fine."
		}
		return round
	}
	got := call(t, IO{Engine: e}, "Who is he?\nWhy?\n", "chat", "-n", "2000")
	if got.code != 0 || !strings.HasPrefix(got.out, "It begins well. "+said) || strings.Count(got.out, said) > 12 || !strings.HasSuffix(got.out, "\nFine.\n") {
		t.Errorf("%+v", got)
	}
	if strings.Count(got.err, "began to repeat itself") != 1 {
		t.Errorf("it says %q", got.err)
	}
	if read, want := strings.Join(e.Fed(), ""), turnText("Who is he?")+"It begins well. "+said+"<|im_end|>\n"+turnText("Why?"); read != want {
		t.Errorf("read %q, want %q", read, want)
	}
	got = call(t, IO{Engine: e}, "Who is he?\n", "chat", "-n", "2000", "--end-circles=false")
	if got.code != 0 || got.out != round+"\n" || strings.Contains(got.err, "repeat") {
		t.Errorf("let go on: %+v", got)
	}
	got = call(t, IO{Engine: e}, "Repeat 60 times: It begins well. "+said+"\n", "chat", "-n", "2000")
	if got.code != 0 || got.out != round+"\n" || strings.Contains(got.err, "repeat") {
		t.Errorf("as was wished: %+v", got)
	}
}

// TestSummarizeCircle holds that a summary that goes in a circle is written anew, and standard output has the one that
// counts alone.
func TestSummarizeCircle(t *testing.T) {
	path := filepath.Join(t.TempDir(), "book.txt")
	if err := os.WriteFile(path, []byte("A book."), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, second, out string
		flags             []string
		note              bool
	}{
		{"whole", "It is short.", "It is short.\n", nil, false},
		{"round again", round, "It begins well. " + said + "\n", nil, true},
		{"let go on", "", round + "\n", []string{"--end-circles=false"}, false},
	} {
		e := fake("")
		turn := 0
		e.Reply = func(string) string {
			if turn++; turn == 1 {
				return round
			}
			return test.second
		}
		got := call(t, IO{Engine: e}, "", append([]string{"summarize", path, "-n", "2000"}, test.flags...)...)
		if got.code != 0 || got.out != test.out || strings.Contains(got.err, "began to repeat itself") != test.note || !test.note && got.err != "" {
			t.Errorf("%s: %+v", test.name, got)
		}
	}
}

// TestGenerateCircle holds that generate writes as much as it is asked for, unless a flag says otherwise.
func TestGenerateCircle(t *testing.T) {
	e := fake(round)
	if got := call(t, IO{Engine: e}, "", "generate", "Who?", "-n", "2000"); got.code != 0 || got.out != round+"\n" || got.err != "" {
		t.Errorf("%+v", got)
	}
	got := call(t, IO{Engine: e}, "", "generate", "Who?", "-n", "2000", "--json", "--end-circles")
	if got.code != 0 || !strings.Contains(got.out, `"reason":"circle"`) || strings.Count(got.out, said) > 12 || !strings.Contains(got.err, "began to repeat itself") {
		t.Errorf("%+v", got)
	}
}
