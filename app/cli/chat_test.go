package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"kestrel/app/backend/backendtest"
	"kestrel/engine"
	"kestrel/engine/sample"
)

func turnText(user string) string {
	return "<|im_start|>user\n" + user + "<|im_end|>\n<|im_start|>assistant\n"
}

// TestChatFeedsOnlyWhatIsNew is the point of a model with a state.
func TestChatFeedsOnlyWhatIsNew(t *testing.T) {
	e := fake("Fine.")
	got := call(t, IO{Engine: e}, "One\n\nTwo\nThree\n", "chat")
	if got.code != 0 || got.out != "Fine.\nFine.\nFine.\n" {
		t.Fatalf("got %+v", got)
	}
	// the answer ended with <|im_end|>, which the session has read; the line
	// feed after it is the template's
	want := []string{turnText("One"), "\n" + turnText("Two"), "\n" + turnText("Three")}
	if !slices.Equal(e.Fed(), want) {
		t.Errorf("fed %q, want %q", e.Fed(), want)
	}
}

func TestChatCommands(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "chat.json")
	tests := []struct {
		name, input string
		fed         []string
		out, err    []string // parts
	}{
		{"undo", "One\nTwo\n/undo\nThree\n",
			[]string{turnText("One"), "\n" + turnText("Two"), "\n" + turnText("Three")}, nil, []string{"took back: Two"}},
		{"undo all", "One\n/undo\nTwo\n", []string{turnText("One"), turnText("Two")}, nil, nil},
		{"regen reads nothing", "One\n/regen\n/regen\nTwo\n", []string{turnText("One"), "\n" + turnText("Two")}, []string{"Fine.\nFine.\nFine.\nFine.\n"}, nil},
		{"undo, regen", "One\nTwo\n/undo\n/regen\nThree\n",
			[]string{turnText("One"), "\n" + turnText("Two"), "\n" + turnText("Three")}, nil, nil},
		{"reset", "One\n/reset\nTwo\n", []string{turnText("One"), turnText("Two")}, nil, nil},
		{"system", "/system Be brief.\nOne\n", []string{"<|im_start|>system\nBe brief.<|im_end|>\n" + turnText("One")}, nil, nil},
		{"system later", "One\n/system Be brief.\nTwo\n/reset\nThree\n", []string{
			turnText("One"),
			"<|im_start|>system\nBe brief.<|im_end|>\n" + turnText("One") + "Fine.<|im_end|>\n" + turnText("Two"),
			"<|im_start|>system\nBe brief.<|im_end|>\n" + turnText("Three"),
		}, nil, nil},
		{"system taken away", "/system a\nOne\n/system\nTwo\n/undo\nThree\n", []string{
			"<|im_start|>system\na<|im_end|>\n" + turnText("One"),
			turnText("One") + "Fine.<|im_end|>\n" + turnText("Two"),
			turnText("One") + "Fine.<|im_end|>\n" + turnText("Three"),
		}, nil, nil},
		{"save and load", "One\n/save " + file + "\n/reset\nOther\n/load " + file + "\nTwo\n/undo\n/undo\nThree\n", []string{
			turnText("One"), turnText("Other"), "\n" + turnText("Two"), turnText("Three"),
		}, nil, []string{"saved 2 messages", "loaded 2 messages"}},
		{"several lines", "One\\\nmore\\\nend\n", []string{turnText("One\nmore\nend")}, nil, nil},
		{"no last line feed", "One", []string{turnText("One")}, nil, nil},
		{"a path is no command", "/etc/passwd is what?\n", []string{turnText("/etc/passwd is what?")}, nil, nil},
		{"help", "/help\n", nil, nil, []string{"/regen", "/save FILE"}},
		{"stats", "One\n/stats\n", []string{turnText("One")}, nil, []string{"2 messages", "states kept", "last answer"}},
		{"exit", "/exit\nOne\n", nil, nil, nil},
		{"special tokens of the user", "Say <|im_end|> now\n", []string{turnText("Say <|im_end|> now")}, nil, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := fake("Fine.")
			got := call(t, IO{Engine: e}, test.input, "chat")
			if got.code != 0 {
				t.Fatalf("code %d, %q", got.code, got.err)
			}
			if !slices.Equal(e.Fed(), test.fed) {
				t.Errorf("fed  %q\nwant %q", e.Fed(), test.fed)
			}
			for _, want := range test.out {
				if !strings.Contains(got.out, want) {
					t.Errorf("stdout %q lacks %q", got.out, want)
				}
			}
			for _, want := range test.err {
				if !strings.Contains(got.err, want) {
					t.Errorf("stderr %q lacks %q", got.err, want)
				}
			}
		})
	}
}

// TestTemplateThatRewrites holds that a template which changes what was read
// makes the session go back to where the text still agrees.
func TestTemplateThatRewrites(t *testing.T) {
	e := fake(" Fine. ")
	e.Template = "{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
	got := call(t, IO{Engine: e}, "One\nTwo\n", "chat")
	want := []string{"<user>One<assistant>", "Fine.<user>Two<assistant>"}
	if got.code != 0 || !slices.Equal(e.Fed(), want) {
		t.Errorf("fed %q, want %q; %+v", e.Fed(), want, got)
	}
}

// TestChatRefused holds that a message the template refuses changes nothing.
func TestChatRefused(t *testing.T) {
	e := fake("Fine.")
	e.Template = "{% for m in messages %}{% if 'bad' in m.content %}{{ raise_exception('no such talk') }}{% endif %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>"
	sys := IO{Engine: e, InTerminal: true}
	got := call(t, sys, "One\nbad\nTwo\n", "chat")
	if got.code != 0 || !strings.Contains(got.err, "no such talk") || got.out != "Fine.\nFine.\n" {
		t.Errorf("got %+v", got)
	}
	if len(e.Fed()) != 2 || strings.Contains(strings.Join(e.Fed(), ""), "bad") {
		t.Errorf("fed %q", e.Fed())
	}
	if got := call(t, IO{Engine: e}, "bad\nTwo\n", "chat"); got.code != 1 || got.out != "" {
		t.Errorf("in a pipe: %+v", got)
	}
}

// TestChatInterrupt: Ctrl-C stops the answer, whose text stays part of the
// conversation; at the prompt the second one leaves.
func TestChatInterrupt(t *testing.T) {
	e := fake(" a b c d e f")
	e.Wait = 2
	signals := make(chan os.Signal, 1)
	input, feed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer input.Close()
	defer feed.Close()
	prompts := make(chan struct{}, 10)
	var out strings.Builder
	errs := &promptWriter{prompts: prompts}
	go func() {
		<-prompts
		fmt.Fprint(feed, "One\n")
		<-e.Waiting
		signals <- syscall.SIGINT
		<-prompts
		fmt.Fprint(feed, "Two\n")
		<-e.Waiting
		signals <- syscall.SIGINT
		<-prompts
		signals <- syscall.SIGINT
		<-prompts
		signals <- syscall.SIGINT
	}()
	sys := IO{Engine: e, In: input, Out: &out, Err: errs, InTerminal: true, Signals: signals, Getenv: func(string) string { return "" }}
	code := Run(sys, []string{"chat"})
	if code != 130 || out.String() != " a b\n a b\n" || !strings.Contains(errs.String(), "Ctrl-C again") {
		t.Errorf("code %d, stdout %q, stderr %q", code, out.String(), errs.String())
	}
	want := []string{turnText("One"), "<|im_end|>\n" + turnText("Two")}
	if !slices.Equal(e.Fed(), want) {
		t.Errorf("fed %q, want %q", e.Fed(), want)
	}
}

// promptWriter tells when a prompt is shown.
type promptWriter struct {
	strings.Builder
	prompts chan struct{}
}

func (w *promptWriter) Write(p []byte) (int, error) {
	n, err := w.Builder.Write(p)
	if strings.HasSuffix(string(p), "> ") {
		w.prompts <- struct{}{}
	}
	return n, err
}

// TestStatesKept bounds what a long conversation holds in memory.
func TestStatesKept(t *testing.T) {
	e := fake("Fine.")
	m, _ := e.Open(context.Background(), "", engine.Options{})
	s, _ := m.NewSession()
	sampler, err := sample.New(sample.Params{})
	if err != nil {
		t.Fatal(err)
	}
	c := newConversation(m, s, sampler)
	const turns = keptStates/2 + 10
	for i := range turns {
		if _, err := c.ask(context.Background(), fmt.Sprint("turn ", i), nil); err != nil {
			t.Fatal(err)
		}
	}
	if kept, size := c.reader.Marks(); kept != keptStates || size != keptStates*backendtest.StateBytes {
		t.Errorf("%d states kept, %d bytes, want %d", kept, size, keptStates)
	}
	for i := turns - 1; i >= 0; i-- {
		asked, err := c.undo()
		if err != nil || asked.Content != fmt.Sprint("turn ", i) {
			t.Fatalf("undo gave %q, %v, want turn %d", asked.Content, err, i)
		}
	}
	if _, err := c.undo(); err == nil {
		t.Error("undo of nothing succeeded")
	}
	if _, err := c.ask(context.Background(), "again", nil); err != nil {
		t.Fatal(err)
	}
	if got := e.Fed(); got[len(got)-1] != turnText("again") {
		t.Errorf("fed %q", got[len(got)-1])
	}
}

func TestLoadErrors(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, path := range map[string]string{
		"missing":  filepath.Join(dir, "missing"),
		"no json":  write("a", "hello"),
		"other":    write("b", `{"a":1}`),
		"bad role": write("c", `{"kestrel":"chat 1","messages":[{"role":"king","content":"x"}]}`),
	} {
		e := fake("Fine.")
		got := call(t, IO{Engine: e, InTerminal: true}, "One\n/load "+path+"\nTwo\n", "chat")
		if got.code != 0 || len(e.Fed()) != 2 || e.Fed()[1] != "\n"+turnText("Two") {
			t.Errorf("%s: the conversation did not go on: %+v, fed %q", name, got, e.Fed())
		}
		if !strings.Contains(got.err, path) {
			t.Errorf("%s: %q does not name the file", name, got.err)
		}
	}
	// a state that is gone, or another model's, means reading again
	for _, state := range []string{"", "of another model"} {
		e := fake("Fine.")
		file := write("chat", `{"kestrel":"chat 1","model":"x","messages":[{"role":"user","content":"One"},{"role":"assistant","content":"Fine."}],"read":"zzz"}`)
		os.Remove(file + ".state")
		if state != "" {
			write("chat.state", state)
		}
		got := call(t, IO{Engine: e}, "/load "+file+"\nTwo\n", "chat")
		want := []string{turnText("One") + "Fine.<|im_end|>\n" + turnText("Two")}
		if got.code != 0 || !slices.Equal(e.Fed(), want) || !strings.Contains(got.err, "reads the conversation again") {
			t.Errorf("state %q: %+v, fed %q", state, got, e.Fed())
		}
	}
}

func TestSaveIsAtomic(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "chat")
	for range 2 {
		if got := call(t, IO{Engine: fake("Fine.")}, "One\n/save "+path+"\n", "chat"); got.code != 0 {
			t.Fatalf("%+v", got)
		}
	}
	left, _ := os.ReadDir(dir)
	var names []string
	for _, f := range left {
		names = append(names, f.Name())
	}
	if !slices.Equal(names, []string{"chat", "chat.state"}) {
		t.Errorf("left over: %v", names)
	}
	if got := call(t, IO{Engine: fake("Fine.")}, "One\n/save "+filepath.Join(dir, "no", "folder")+"\n", "chat"); got.code != 1 || !strings.Contains(got.err, "no such file") {
		t.Errorf("%+v", got)
	}
}

func TestTrainedLength(t *testing.T) {
	e := fake("Fine.")
	e.Trained = 40
	got := call(t, IO{Engine: e}, "One\nTwo\nThree\nFour\n", "chat")
	if n := strings.Count(got.err, "was trained on texts of up to 40"); n != 1 {
		t.Errorf("told %d times: %q", n, got.err)
	}
}

func TestSystemFlag(t *testing.T) {
	e := fake("Fine.")
	call(t, IO{Engine: e}, "One\n", "chat", "--system", "Be brief.")
	if want := []string{"<|im_start|>system\nBe brief.<|im_end|>\n" + turnText("One")}; !slices.Equal(e.Fed(), want) {
		t.Errorf("fed %q, want %q", e.Fed(), want)
	}
}
