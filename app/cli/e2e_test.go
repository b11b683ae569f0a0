package cli

import (
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"kestrel/app/backend"
	"kestrel/app/backend/backendtest"
	"kestrel/app/document"
)

// The tests of this file run the built-in model on a Vulkan device, the
// software one if there is no other.

func device(t *testing.T) IO {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a Vulkan device")
	}
	t.Setenv("XDG_CACHE_HOME", filepath.Join(os.TempDir(), "kestrel-test-cache"))
	return IO{Engine: backend.Vulkan{}}
}

func TestDeviceGenerate(t *testing.T) {
	sys := device(t)
	args := []string{"generate", "The captain looked at the sea and said,", "-n", "24"}
	chunked := call(t, sys, "", args...)
	if chunked.code != 0 || len(chunked.out) < 24 {
		t.Fatalf("%+v", chunked)
	}
	for _, more := range [][]string{{"--prefill", "parallel"}, {"--chunk", "4"}} {
		if got := call(t, sys, "", append(args, more...)...); got.code != 0 || got.out != chunked.out {
			t.Errorf("%v: got %+v, want %q", more, got, chunked.out)
		}
	}
	seeded := append(args, "--temperature", "0.9", "--top-p", "0.95", "--repeat-penalty", "1.1", "--seed", "5")
	first, second := call(t, sys, "", seeded...), call(t, sys, "", seeded...)
	if first.code != 0 || first.out != second.out {
		t.Errorf("one seed, two texts: %q, %q", first.out, second.out)
	}
	if other := call(t, sys, "", append(args, "--temperature", "0.9", "--seed", "6")...); other.out == first.out {
		t.Errorf("two seeds, one text: %q", other.out)
	}
	words := strings.Fields(chunked.out)
	stop := words[len(words)/2]
	if got := call(t, sys, "", append(args, "--stop", stop)...); got.code != 0 || strings.Contains(got.out, stop) ||
		!strings.HasPrefix(chunked.out, strings.TrimSuffix(got.out, "\n")) {
		t.Errorf("--stop %q: %+v of %q", stop, got, chunked.out)
	}
	profile := call(t, sys, "", append(args, "--profile", "-v")...)
	if profile.code != 0 || profile.out != chunked.out || !strings.Contains(profile.err, "kernel") || !strings.Contains(profile.err, "scan") {
		t.Errorf("--profile: %+v", profile)
	}
}

// TestDeviceChat holds that going on from a state is the same as reading the
// whole conversation, and that /undo, /regen, /save and /load lose nothing.
func TestDeviceChat(t *testing.T) {
	sys := device(t)
	file := filepath.Join(t.TempDir(), "chat")
	chat := func(input string) string {
		t.Helper()
		got := call(t, sys, input, "chat", "--temperature", "0", "-n", "40")
		if got.code != 0 {
			t.Fatalf("%q: %+v", input, got)
		}
		return got.out
	}
	plain := chat("Hello\nWho are you?\nWhat can you do?\n")
	lines := strings.SplitAfter(plain, "\n")
	if len(lines) != 4 {
		t.Fatalf("three answers expected: %q", plain)
	}
	for input, want := range map[string]string{
		"Hello\nsomething else\n/undo\nWho are you?\nWhat can you do?\n": "",
		"Hello\n/regen\nWho are you?\nWhat can you do?\n":                "",
		"Hello\nWho are you?\n/save " + file + "\nWhat can you do?\n":    plain,
	} {
		got := chat(input)
		if want == "" { // the last two answers count
			want = lines[1] + lines[2]
			got = strings.Join(strings.SplitAfter(got, "\n")[len(strings.SplitAfter(got, "\n"))-3:], "")
		}
		if got != want {
			t.Errorf("%q:\ngot  %q\nwant %q", input, got, want)
		}
	}
	if got := chat("/load " + file + "\nWhat can you do?\n"); got != lines[2] {
		t.Errorf("after /load: got %q, want %q", got, lines[2])
	}
	if err := os.Remove(file + ".state"); err != nil {
		t.Fatal(err)
	}
	if got := chat("/load " + file + "\nWhat can you do?\n"); got != lines[2] {
		t.Errorf("after /load without a state: got %q, want %q", got, lines[2])
	}
}

func TestDeviceSummarize(t *testing.T) {
	got := call(t, device(t), "", "summarize", "../../LICENSE", "--words", "10", "-v")
	if got.code != 0 || strings.TrimSpace(got.out) == "" || !strings.Contains(got.err, "kestrel: read ") {
		t.Errorf("%+v", got)
	}
}

// TestDeviceLogits compares the two ways to logits, and perplexity with them.
func TestDeviceLogits(t *testing.T) {
	sys := device(t)
	text := "The captain looked at the sea and said nothing."
	ids := call(t, sys, text, "tokenize", "--ids")
	list := strings.ReplaceAll(strings.TrimSpace(ids.out), "\n", ",")
	rows := func(args ...string) (r struct{ Logits [][]float32 }) {
		t.Helper()
		got := call(t, sys, "", append([]string{"logits", "--json", "--ids", list}, args...)...)
		if err := json.Unmarshal([]byte(got.out), &r); err != nil || got.code != 0 {
			t.Fatalf("%v: code %d, %s", err, got.code, got.err)
		}
		return r
	}
	all, last := rows("--all").Logits, rows().Logits
	n := strings.Count(ids.out, "\n")
	if len(all) != n || len(last) != 1 || len(last[0]) < backendtest.Tokenizer(t).VocabSize() {
		t.Fatalf("%d and %d rows of %d", len(all), len(last), n)
	}
	for i, want := range all[n-1] {
		if math.Abs(float64(last[0][i]-want)) > 1e-3 {
			t.Fatalf("logit %d: %v after a prefill, %v at every position", i, last[0][i], want)
		}
	}
	nll := 0.0
	for i, id := range mustIDs(t, list)[1:] {
		nll += surprise(all[i], id)
	}
	got := call(t, sys, text, "perplexity", "-", "--json")
	var r struct {
		Tokens   int
		NLL, PPL float64
	}
	if err := json.Unmarshal([]byte(got.out), &r); err != nil || r.Tokens != n-1 || math.Abs(r.NLL-nll) > 1e-3*nll {
		t.Errorf("%v: got %+v, want nll %v over %d", err, got, nll, n-1)
	}
	if got := call(t, sys, "", "logits", "--ids", "1234567"); got.code != 1 || !strings.Contains(got.err, "1234567") {
		t.Errorf("%+v", got)
	}
}

func mustIDs(t *testing.T, list string) []int {
	t.Helper()
	ids, err := parseIDs(list)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func TestDeviceErrors(t *testing.T) {
	sys := device(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"model_type":"llama","architectures":["LlamaForCausalLM"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		err  string
	}{
		{[]string{"--device", "no such card"}, "no such card"},
		{[]string{"--model", dir}, dir},
		{[]string{"--model", filepath.Join(dir, "missing")}, "no such file"},
		{[]string{"--model", filepath.Join(dir, "config.json")}, dir},
	} {
		got := call(t, sys, "", append([]string{"generate", "hi", "-n", "2"}, test.args...)...)
		if got.code != 1 || !strings.Contains(got.err, test.err) || got.out != "" {
			t.Errorf("%v: %+v", test.args, got)
		}
	}
}

// TestDeviceBench holds that the figures hang together.
func TestDeviceBench(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "charts")
	got := call(t, device(t), "", "bench", "--prefill", "16", "--decode", "4", "--runs", "1", "--json", "--plot", dir, "--plot-tokens", "70")
	var r benchJSON
	if err := json.Unmarshal([]byte(got.out), &r); err != nil || got.code != 0 {
		t.Fatalf("%v: %+v", err, got)
	}
	if r.CopyGBps <= 0 || r.PeakDeviceBytes < 1<<20 || len(r.Results) != 2 || r.Model != "demo" {
		t.Errorf("%+v", r)
	}
	for _, x := range r.Results {
		if x.TPS <= 0 || x.GBps <= 0 || x.DispatchesPerToken == nil || *x.DispatchesPerToken <= 0 || x.HostMSPerToken == nil {
			t.Errorf("%+v", x)
		}
	}
	for _, name := range []string{"prompt-memory", "written-speed", "written-memory"} {
		for _, ext := range []string{".svg", ".png"} {
			if _, err := os.Stat(filepath.Join(dir, name+ext)); err != nil {
				t.Error(err)
			}
		}
	}
}

// asProgram makes this test binary the program: what main.go does.
const asProgram = "KESTREL_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	document.RunExtractor()
	if os.Getenv(asProgram) != "" {
		os.Exit(Run(System(), os.Args[1:]))
	}
	os.Exit(m.Run())
}

// TestProgram runs a process of its own: exit codes, pipes and signals.
func TestProgram(t *testing.T) {
	device(t)
	t.Setenv(asProgram, "1")
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	run := func(input string, args ...string) (string, int) {
		cmd := exec.Command(program, args...)
		cmd.Stdin = strings.NewReader(input)
		out, _ := cmd.Output()
		return string(out), cmd.ProcessState.ExitCode()
	}
	if out, code := run("", "generate"); code != 1 || out != "" {
		t.Errorf("empty prompt: %q, %d", out, code)
	}
	if out, code := run(""); code != 2 || out != "" {
		t.Errorf("no argument: %q, %d", out, code)
	}
	if out, code := run("", "--version"); code != 0 || !strings.HasPrefix(out, "kestrel version ") {
		t.Errorf("version: %q, %d", out, code)
	}
	if out, code := run("Once upon a time", "generate", "-n", "3"); code != 0 || out == "" {
		t.Errorf("generate: %q, %d", out, code)
	}
	// an endless text, cut off by Ctrl-C once something was written
	cmd := exec.Command(program, "generate", "Once upon a time", "-n", "0", "--ignore-eos")
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer timer.Stop()
	buffer := make([]byte, 1<<16)
	n, err := pipe.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	text := string(buffer[:n])
	for err == nil {
		n, err = pipe.Read(buffer)
		text += string(buffer[:n])
	}
	_ = cmd.Wait() // its exit code is what counts
	if code := cmd.ProcessState.ExitCode(); code != 130 || !strings.HasSuffix(text, "\n") || len(text) < 2 {
		t.Errorf("Ctrl-C: code %d, %q", code, text)
	}
}
