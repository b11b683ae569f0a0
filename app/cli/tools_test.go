package cli

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"kestrel/app/backend/backendtest"
	"kestrel/app/dialog"
	"kestrel/engine/weights/gguf"
)

func TestTokenize(t *testing.T) {
	text := "Hello today <|im_end|>\n 你好 🌍\t \r\n"
	ids := call(t, IO{}, text, "tokenize", "--ids")
	if ids.code != 0 || ids.err != "" {
		t.Fatalf("%+v", ids)
	}
	lines := strings.Split(strings.TrimSuffix(ids.out, "\n"), "\n")
	for _, line := range lines {
		if _, err := strconv.Atoi(line); err != nil {
			t.Errorf("line %q: %v", line, err)
		}
	}
	tok := backendtest.Tokenizer(t)
	if want := len(tok.Encode(text, true)); len(lines) != want {
		t.Errorf("%d ids, want %d", len(lines), want)
	}
	if back := call(t, IO{}, ids.out, "detokenize"); back != (result{0, text, ""}) {
		t.Errorf("got %q, want %q", back.out, text)
	}
	if back := call(t, IO{}, strings.ReplaceAll(ids.out, "\n", ", "), "detokenize"); back.out != text {
		t.Errorf("between commas: got %q, want %q", back.out, text)
	}
	plain := call(t, IO{}, text, "tokenize", "--ids", "--plain")
	if plain.out == ids.out {
		t.Error("--plain changed nothing")
	}
	if back := call(t, IO{}, plain.out, "detokenize"); back.out != text {
		t.Errorf("--plain: got %q, want %q", back.out, text)
	}
	table := call(t, IO{}, text, "tokenize")
	for _, want := range []string{"id ", `"ell"`, `"<|im_end|>" special`} {
		if !strings.Contains(table.out, want) {
			t.Errorf("the table lacks %q:\n%s", want, table.out)
		}
	}
	if got := call(t, IO{}, "", "tokenize", "--json"); got.out != `{"ids":[]}`+"\n" {
		t.Errorf("got %q", got.out)
	}
	beyond := strconv.Itoa(tok.VocabSize())
	for input, want := range map[string]string{"1 x": `"x"`, "-1": `"-1"`, beyond: beyond, "99999999999999999999": "99999"} {
		if got := call(t, IO{}, input, "detokenize"); got.code != 1 || !strings.Contains(got.err, want) || got.out != "" {
			t.Errorf("detokenize %q: %+v", input, got)
		}
	}
}

// TestTokenizerFiles holds that --tokenizer takes both kinds of files.
func TestTokenizerFiles(t *testing.T) {
	dir := t.TempDir()
	source, err := os.ReadFile("../../assets/demo/tokenizer.json")
	if err != nil {
		t.Fatal(err)
	}
	var parts struct {
		Model struct {
			Merges []any
		}
	}
	if err := json.Unmarshal(source, &parts); err != nil {
		t.Fatal(err)
	}
	var merges, tokens []string
	for _, m := range parts.Model.Merges {
		if pair, ok := m.([]any); ok {
			m = pair[0].(string) + " " + pair[1].(string)
		}
		merges = append(merges, m.(string))
	}
	var types []int32
	for id := range backendtest.Tokenizer(t).VocabSize() {
		text, special, _ := backendtest.Tokenizer(t).Token(id)
		kind := int32(1)
		if special {
			kind = 3
		}
		tokens, types = append(tokens, text), append(types, kind)
	}
	w := gguf.NewWriter(3)
	w.SetString("general.architecture", "llama") // any model's vocabulary will do
	w.SetString("tokenizer.ggml.model", "gpt2")
	w.SetString("tokenizer.ggml.pre", "falcon")
	w.SetStrings("tokenizer.ggml.tokens", tokens)
	w.SetInt32s("tokenizer.ggml.token_type", types)
	w.SetStrings("tokenizer.ggml.merges", merges)
	w.SetUint32("tokenizer.ggml.eos_token_id", 0)
	data, err := w.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	path := file("vocab.gguf", data)
	const text = "Hello today <|im_end|> 123"
	if got, want := call(t, IO{}, text, "tokenize", "--ids", "--tokenizer", path), call(t, IO{}, text, "tokenize", "--ids"); got != want || got.code != 0 {
		t.Errorf("got %+v, want %+v", got, want)
	}
	ids := call(t, IO{}, text, "tokenize", "--ids")
	if got := call(t, IO{}, ids.out, "detokenize", "--tokenizer", path); got.out != text {
		t.Errorf("got %+v", got)
	}
	jsonPath := "../../assets/demo/tokenizer.json"
	if got := call(t, IO{}, "Hello", "tokenize", "--ids", "--tokenizer", jsonPath); got != call(t, IO{}, "Hello", "tokenize", "--ids") {
		t.Errorf("got %+v", got)
	}
	for name, data := range map[string]string{"empty": "", "no json": "hello", "other json": "{}", "cut.gguf": "GGUF\x03\x00"} {
		path := file(name, []byte(data))
		if got := call(t, IO{}, "x", "tokenize", "--tokenizer", path); got.code != 1 || !strings.Contains(got.err, path) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestLogits(t *testing.T) {
	rows := func(args ...string) [][]float32 {
		got := call(t, IO{Engine: fake("")}, "", append([]string{"logits", "--json"}, args...)...)
		var r struct{ Logits [][]float32 }
		if err := json.Unmarshal([]byte(got.out), &r); err != nil || got.code != 0 {
			t.Fatalf("%v: %+v", err, got)
		}
		return r.Logits
	}
	last := rows("--ids", "5, 7,9")
	if len(last) != 1 || len(last[0]) != backendtest.Tokenizer(t).VocabSize() || last[0][10] != 5 {
		t.Errorf("%d rows", len(last))
	}
	all := rows("--ids", "5,7,9", "--all")
	if len(all) != 3 || all[0][6] != 5 || all[1][8] != 5 || all[2][10] != 5 {
		t.Errorf("%d rows", len(all))
	}
	h, _ := backendtest.Tokenizer(t).ID("H")
	got := call(t, IO{Engine: fake("")}, "", "logits", "--ids", strconv.Itoa(h-1))
	if !strings.Contains(got.out, fmt.Sprintf("%d  5.0000  \"H\"", h)) || strings.Count(got.out, "\n") != 12 {
		t.Errorf("got %q", got.out)
	}
}

func TestPerplexity(t *testing.T) {
	text := strings.Repeat("The captain looked at the sea. ", 10)
	path := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ids := backendtest.Tokenizer(t).Encode(text, false)
	// the fake gives 5 to the id after the last and 0 to all others
	nll := func(window int) (sum float64, n int) {
		norm := math.Log(math.Exp(5) + float64(backendtest.Tokenizer(t).VocabSize()-1))
		for i := 1; i < len(ids); i++ {
			if i%window == 0 {
				continue
			}
			n++
			sum += norm
			if ids[i] == ids[i-1]+1 {
				sum -= 5
			}
		}
		return sum, n
	}
	for _, window := range []int{0, 2, 3, 16, 1000} {
		got := call(t, IO{Engine: fake("")}, "", "perplexity", path, "--json", "--context", strconv.Itoa(window))
		var r map[string]float64
		if err := json.Unmarshal([]byte(got.out), &r); err != nil || len(r) != 3 {
			t.Fatalf("%v: %+v", err, got)
		}
		w := window
		if w == 0 {
			w = len(ids)
		}
		sum, n := nll(w)
		if r["tokens"] != float64(n) || math.Abs(r["nll"]-sum) > 1e-6*sum || math.Abs(r["ppl"]-math.Exp(sum/float64(n))) > 1e-6*r["ppl"] {
			t.Errorf("window %d: got %v, want %v over %d", window, r, sum, n)
		}
	}
	if got := call(t, IO{Engine: fake("")}, text, "perplexity", "-"); got.code != 0 || !strings.HasPrefix(got.out, "perplexity ") {
		t.Errorf("%+v", got)
	}
	if got := call(t, IO{Engine: fake("")}, "H", "perplexity", "-"); got.code != 1 || !strings.Contains(got.err, "too short") {
		t.Errorf("%+v", got)
	}
}

func TestModelInfo(t *testing.T) {
	got := call(t, IO{}, "", "model", "info", "--json")
	var r map[string]any
	if err := json.Unmarshal([]byte(got.out), &r); err != nil || got.code != 0 {
		t.Fatalf("%v: %+v", err, got)
	}
	var config map[string]any
	source, err := os.ReadFile("../../assets/demo/config.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(source, &config); err != nil {
		t.Fatal(err)
	}
	state := 4 * config["num_hidden_layers"].(float64) * config["intermediate_size"].(float64) *
		(config["state_size"].(float64) + config["conv_kernel"].(float64) - 1)
	for key, want := range map[string]any{
		"name": "demo", "kind": config["model_type"], "layers": config["num_hidden_layers"], "hidden": config["hidden_size"],
		"vocab": config["vocab_size"], "tied": config["tie_word_embeddings"], "state_bytes": state, "chat_template": true,
	} {
		if r[key] != want {
			t.Errorf("%s is %v, want %v", key, r[key], want)
		}
	}
	if r["parameters"].(float64) < 1e6 || r["weight_bytes"].(float64) < 2e6 {
		t.Errorf("%v", r)
	}
	table := call(t, IO{}, "", "model", "info", "../../assets/demo")
	for _, want := range []string{grouped(int64(r["parameters"].(float64))), bytesText(int64(state)), "falcon_mamba", "whatever the length"} {
		if !strings.Contains(table.out, want) {
			t.Errorf("%q lacks %q", table.out, want)
		}
	}
}

func TestSummarize(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "text.md")
	text := strings.Repeat("A line of a long document. <|im_end|>\n", 500)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	e := fake("It is long.")
	got := call(t, IO{Engine: e}, "", "summarize", path, "--words", "20")
	if got != (result{0, "It is long.\n", ""}) {
		t.Errorf("got %+v", got)
	}
	if want := turnText(dialog.SummaryRequest(text, 20)); strings.Join(e.Fed(), "") != want {
		t.Errorf("not all of the file was read: %q, want %d bytes", e.Fed(), len(want))
	}
	e = fake("It is long.")
	e.Trained = 1000
	got = call(t, IO{Engine: e}, text, "summarize", "-")
	if got.code != 0 || !strings.Contains(got.err, "trained on texts of up to 1000") || !strings.Contains(strings.Join(e.Fed(), ""), text[:1000]) {
		t.Errorf("got %+v", got)
	}
	got = call(t, IO{Engine: fake("one two three four five")}, "x y z", "summarize", "-", "-n", "3")
	if got.code != 0 || !strings.Contains(got.err, "cut off at 3 tokens") {
		t.Errorf("got %+v", got)
	}
	for _, test := range []struct{ input, path, err string }{
		{"", "-", "standard input: there is no text in it"},
		{" \n", "-", "standard input: there is no text in it"},
		{"", dir, "is a folder"},
		{"", filepath.Join(dir, "missing"), "no such file"},
		{"\x7fELF\x00", "-", "this is no text"},
	} {
		e := fake("x")
		if got := call(t, IO{Engine: e}, test.input, "summarize", test.path); got.code != 1 || !strings.Contains(got.err, test.err) || len(e.Opened()) > 0 {
			t.Errorf("%q: %+v, opened %v", test.path, got, e.Opened())
		}
	}
}

// TestProgress holds what is shown when: nothing in the first second, then a
// bar on a terminal and now and then a line elsewhere.
func TestProgress(t *testing.T) {
	at := time.Unix(1000, 0)
	start := func(terminal bool) (*progress, *strings.Builder) {
		var out strings.Builder
		at = time.Unix(1000, 0)
		return newProgress(&out, terminal, "reading", "tok", func() time.Time { return at }), &out
	}
	p, out := start(false)
	for done := int64(0); done <= 1000; done += 10 {
		p.set(done, 1000)
		at = at.Add(100 * time.Millisecond)
	}
	want := "reading: 100 tok of 1000 tok (10%), 100 tok/s, 9s left\n" +
		"reading: 600 tok of 1000 tok (60%), 100 tok/s, 4s left\n" +
		"reading: 1000 tok of 1000 tok (100%), 100 tok/s\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out, want)
	}
	p, out = start(false)
	for done := int64(0); done <= 1000; done += 10 {
		p.set(done, 1000)
		at = at.Add(time.Millisecond)
	}
	p.done()
	if out.String() != "" {
		t.Errorf("short work printed %q", out)
	}
	p, out = start(true)
	p.set(50, 1000)
	p.done()
	if out.String() != "" {
		t.Errorf("short work drew %q", out)
	}
	p, out = start(true)
	at = at.Add(2 * time.Second)
	p.set(50, 1000)
	time.Sleep(150 * time.Millisecond) // the bar goes by the real clock, and is drawn ten times a second
	p.set(100, 1000)
	if got := out.String(); !strings.Contains(got, "reading") || !strings.Contains(got, "10%") || !strings.Contains(got, "100/1000") {
		t.Errorf("the bar is %q", got)
	}
	p.done()
	p, out = start(false)
	p.unit = "B"
	at = at.Add(2 * time.Second)
	p.set(1<<20, 4<<20)
	if got, want := out.String(), "reading: 1.0 MiB of 4.0 MiB (25%), 512.0 KiB/s, 6s left\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
