package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"kestrel/app/backend/backendtest"
	"kestrel/engine"
	"kestrel/engine/vulkan"
)

// TestUsage holds the exit codes, and that errors go to standard error alone.
func TestUsage(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	tests := []struct {
		args string
		code int
		err  string // a part of it
	}{
		{"", 2, "no command was given"},
		{"nosuch", 2, `there is no command "nosuch"`},
		{"cli_test.go", 2, "kestrel window FILE"},
		{"genrate", 2, `did you mean "generate"?`},
		{"--nosuch", 2, "unknown flag"},
		{"generate a b", 2, "in quotes"},
		{"generate a --nosuch", 2, "kestrel generate --help"},
		{"generate a -n x", 2, "invalid argument"},
		{"generate a -n -1", 2, "-n -1"},
		{"generate a --temperature -1", 2, "temperature -1"},
		{"generate a --top-p 2", 2, "top-p 2"},
		{"generate a --prefill sideways", 2, "want parallel or chunked"},
		{"generate a --prefill parallel --chunk 4", 2, "--chunk is for"},
		{"generate a --chunk -4", 2, "--chunk -4"},
		{"summarize", 2, "want one FILE"},
		{"summarize a b", 2, "want one FILE"},
		{"summarize " + missing, 1, "no such file"},
		{"summarize a --words 0", 2, "--words 0"},
		{"tokenize extra", 2, "no argument"},
		{"tokenize --ids --json", 2, "exclude each other"},
		{"logits", 2, "--ids is missing"},
		{"logits --ids 1,x", 2, `token id 2 of 2 is "x"`},
		{"logits --ids 1,-2", 2, `"-2"`},
		{"logits --ids 99999999", 1, "bad token id"},
		{"perplexity", 2, "want one FILE"},
		{"perplexity a --context 1", 2, "--context 1"},
		{"bench --prefill x", 2, `--prefill "x"`},
		{"bench --decode 0", 2, `--decode "0"`},
		{"bench --runs 0", 2, "--runs 0"},
		{"chat extra", 2, "no argument"},
		{"model", 2, "want one of its commands"},
		{"model nosuch", 2, `no command "model nosuch"`},
		{"model info a b", 2, "want one MODEL"},
		{"model info a --model b", 2, "given twice"},
		{"model info " + missing, 1, "no such file or folder"},
		{"tokenize --model " + missing, 1, "no such file or folder"},
		{"tokenize --tokenizer " + missing, 1, "no such file"},
	}
	for _, test := range tests {
		e := fake("hi")
		got := call(t, IO{Engine: e}, "", strings.Fields(test.args)...)
		if got.code != test.code || !strings.Contains(got.err, test.err) || got.out != "" {
			t.Errorf("kestrel %s: code %d, stdout %q, stderr %q; want code %d and %q", test.args, got.code, got.out, got.err, test.code, test.err)
		}
		if test.code == 2 && len(e.Opened()) > 0 {
			t.Errorf("kestrel %s opened the model before it looked at the flags", test.args)
		}
	}
}

// TestHelp holds that every command explains itself with examples.
func TestHelp(t *testing.T) {
	root := (&app{IO: IO{Engine: fake("")}}).root()
	seen := 0
	for _, cmd := range root.Commands() {
		for _, c := range append(cmd.Commands(), cmd) {
			if c.HasSubCommands() {
				continue
			}
			seen++
			if c.Short == "" || c.Long == "" || !strings.Contains(c.Example, "kestrel") {
				t.Errorf("%s: no help or no example", c.CommandPath())
			}
			args := append(strings.Fields(c.CommandPath())[1:], "--help")
			if got := call(t, IO{Engine: fake("")}, "", args...); got.code != 0 || !strings.Contains(got.out, "Examples:") || got.err != "" {
				t.Errorf("%s --help: code %d, stderr %q", c.CommandPath(), got.code, got.err)
			}
		}
	}
	if want := 19; seen != want {
		t.Errorf("%d commands, want %d", seen, want)
	}
}

func TestDevices(t *testing.T) {
	devices := []vulkan.DeviceInfo{
		{Index: 0, Name: "Card", Type: vulkan.Discrete, Driver: "drv", DriverVersion: "1.2", API: "1.3.0", Usable: true,
			Heaps: []vulkan.Heap{{DeviceLocal: true, Size: 8 << 30, Budget: 6 << 30, Used: 1 << 30, BudgetKnown: true}}},
		{Index: 1, Name: "Old", Type: vulkan.Integrated, Driver: "drv", API: "1.0.0", Reason: "Vulkan 1.0 only", Heaps: []vulkan.Heap{{Size: 1 << 30, Budget: 1 << 30}}},
	}
	got := call(t, IO{Engine: &backendtest.Engine{DeviceList: devices}}, "", "devices")
	for _, want := range []string{"0  Card (discrete, drv 1.2, Vulkan 1.3.0)", "5.0 GiB of 6.0 GiB free", "not usable: Vulkan 1.0 only", "budget unknown"} {
		if got.code != 0 || !strings.Contains(got.out, want) {
			t.Errorf("code %d, %q; want %q", got.code, got.out, want)
		}
	}
	got = call(t, IO{Engine: &backendtest.Engine{DeviceList: devices}}, "", "devices", "--json")
	want := `[{"index":0,"name":"Card","type":"discrete","driver":"drv 1.2","usable":true,"reason":"","heaps":[{"device_local":true,"size":8589934592,"budget":6442450944,"used":1073741824}]},` +
		`{"index":1,"name":"Old","type":"integrated","driver":"drv","usable":false,"reason":"Vulkan 1.0 only","heaps":[{"device_local":false,"size":1073741824,"budget":1073741824,"used":0}]}]` + "\n"
	if got.out != want {
		t.Errorf("got %s, want %s", got.out, want)
	}
	if got := call(t, IO{Engine: &backendtest.Engine{}}, "", "devices"); got.code != 1 || !strings.Contains(got.err, "mesa-vulkan-drivers") {
		t.Errorf("no device: code %d, %q", got.code, got.err)
	}
	if got := call(t, IO{Engine: &backendtest.Engine{}}, "", "devices", "--json"); got.code != 0 || got.out != "[]\n" {
		t.Errorf("no device: code %d, %q", got.code, got.out)
	}
	if got := call(t, IO{Engine: &backendtest.Engine{DeviceErr: engine.ErrNoLoader}}, "", "devices", "--json"); got.code != 1 || got.out != "" {
		t.Errorf("no loader: code %d, %q", got.code, got.out)
	}
}

func TestModelChoice(t *testing.T) {
	env := func(key string) string {
		if key == "KESTREL_MODEL" {
			return "from-env"
		}
		return ""
	}
	tests := []struct {
		getenv func(string) string
		args   []string
		want   string
	}{
		{nil, nil, "demo"},
		{env, nil, "from-env"},
		{env, []string{"--model", "by-flag"}, "by-flag"},
	}
	for _, test := range tests {
		e := fake("x")
		got := call(t, IO{Engine: e, Getenv: test.getenv}, "", append([]string{"generate", "hi", "--device", "2", "--chunk", "8"}, test.args...)...)
		if got.code != 0 || len(e.Opened()) != 1 || e.Opened()[0] != test.want {
			t.Errorf("%v: code %d, opened %v, want %s", test.args, got.code, e.Opened(), test.want)
		}
		if e.Options().Device != "2" || e.Options().Chunk != 8 || e.Options().Prefill != engine.Chunked {
			t.Errorf("options %+v", e.Options())
		}
	}
}

func TestGenerate(t *testing.T) {
	got := call(t, IO{Engine: fake(" there, my friend")}, "", "generate", "Hello")
	if got != (result{0, " there, my friend\n", ""}) {
		t.Errorf("got %+v", got)
	}
	got = call(t, IO{Engine: fake("ends with a line\n")}, "", "generate", "Hello")
	if got.out != "ends with a line\n" {
		t.Errorf("got %q: a line feed too many", got.out)
	}
	for _, args := range [][]string{{"generate"}, {"generate", "-"}} {
		e := fake(" there")
		if got := call(t, IO{Engine: e}, "from\nstdin \xff", args...); got.code != 0 || got.out != " there\n" {
			t.Errorf("%v: got %+v", args, got)
		} else if e.Fed()[0] != "from\nstdin \ufffd" {
			t.Errorf("%v: fed %q", args, e.Fed())
		}
	}
	if got := call(t, IO{Engine: fake("")}, "", "generate", "-"); got.code != 1 || !strings.Contains(got.err, "prompt is empty") {
		t.Errorf("empty prompt: %+v", got)
	}
	if got := call(t, IO{Engine: fake(" a b c d e f")}, "", "generate", "x", "-n", "3"); got.out != " a b c\n" {
		t.Errorf("-n 3: %+v", got)
	}
	e := fake("x")
	e.OpenErr = backendtest.ErrFire
	if got := call(t, IO{Engine: e}, "", "generate", "x"); got != (result{1, "", "kestrel: the device is on fire\n"}) {
		t.Errorf("failing device: %+v", got)
	}
	got = call(t, IO{Engine: fake(" ok")}, "", "generate", "x", "-v", "--profile")
	for _, want := range []string{"fake on fake device", "ended by stop", "scan", "75.0%"} {
		if !strings.Contains(got.err, want) {
			t.Errorf("stderr %q lacks %q", got.err, want)
		}
	}
	if strings.Index(got.err, "scan") > strings.Index(got.err, "gemv") {
		t.Errorf("the profile does not begin with what took longest: %q", got.err)
	}
}

func TestGenerateJSON(t *testing.T) {
	got := call(t, IO{Engine: fake(" there <b>\n")}, "", "generate", "Hello", "--json", "--seed", "7")
	var r map[string]any
	if err := json.Unmarshal([]byte(got.out), &r); err != nil {
		t.Fatalf("%v: %q", err, got.out)
	}
	if r["text"] != " there <b>\n" || r["reason"] != "stop" || r["seed"] != 7.0 || r["model"] != "fake" {
		t.Errorf("got %v", r)
	}
	for _, key := range []string{"prompt_tokens", "tokens", "prompt_ms", "first_token_ms", "tps"} {
		if _, ok := r[key].(float64); !ok {
			t.Errorf("%s is %v", key, r[key])
		}
	}
}

// TestInterrupt holds that Ctrl-C keeps the text written so far, ends its line
// and exits with 130; SIGTERM with 143.
func TestInterrupt(t *testing.T) {
	for _, test := range []struct {
		signal syscall.Signal
		code   int
		args   []string
		out    string
	}{
		{syscall.SIGINT, 130, []string{"generate", "x"}, " a b c\n"},
		{syscall.SIGTERM, 143, []string{"generate", "x"}, " a b c\n"},
		{syscall.SIGINT, 130, []string{"summarize", "cli_test.go"}, " a b c\n"},
	} {
		e := fake(" a b c d e f")
		e.Wait = 3
		signals := make(chan os.Signal, 2)
		go func() {
			<-e.Waiting
			signals <- test.signal
			signals <- test.signal // the same one again, as timeout(1) sends it
		}()
		got := call(t, IO{Engine: e, Signals: signals}, "", test.args...)
		if got.code != test.code || got.out != test.out || got.err != "" {
			t.Errorf("%v: got %+v, want code %d and %q", test.args, got, test.code, test.out)
		}
	}
	e := fake(" a b c d e f")
	e.Wait = 3
	signals := make(chan os.Signal, 2)
	go func() {
		<-e.Waiting
		signals <- syscall.SIGINT
	}()
	got := call(t, IO{Engine: e, Signals: signals}, "", "generate", "x", "--json")
	if got.code != 130 || !strings.Contains(got.out, `"text":" a b c"`) || !strings.Contains(got.out, `"reason":"cancelled"`) {
		t.Errorf("--json: got %+v", got)
	}
}

// TestInterruptInput holds that Ctrl-C ends a wait for standard input.
func TestInterruptInput(t *testing.T) {
	for _, args := range []string{"generate -", "tokenize", "detokenize", "summarize -", "perplexity -"} {
		input, feed, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		signals := make(chan os.Signal, 1)
		signals <- syscall.SIGINT
		got := call(t, IO{Engine: fake("x"), In: input, Signals: signals}, "", strings.Fields(args)...)
		if got != (result{130, "", ""}) {
			t.Errorf("%s: %+v", args, got)
		}
		feed.Close()
		input.Close()
	}
}

// TestBrokenPipe holds that output that cannot be written is a failure.
func TestBrokenPipe(t *testing.T) {
	var errs strings.Builder
	sys := IO{Engine: fake(" a b"), In: strings.NewReader(""), Out: brokenPipe{}, Err: &errs, Getenv: func(string) string { return "" }}
	if code := Run(sys, []string{"generate", "x"}); code != 1 || !strings.Contains(errs.String(), "broken pipe") {
		t.Errorf("code %d, %q", code, errs.String())
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, syscall.EPIPE }
