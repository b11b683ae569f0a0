package chat

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// golden is what transformers renders; see build/reference/chat_golden.py.
type golden struct {
	Special map[string]string
	Now     string
	White   []struct{ Source, Text string }
	Cases   []struct {
		Template, Conversation string
		Generation             bool
		Text                   *string
		Error                  string
	}
}

func readJSON(t testing.TB, path string, into any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}

// known are the cases in which this package is more lenient than jinja2, which
// fails on the last item of nothing.
var known = map[string]bool{"methods/none": true}

func TestGolden(t *testing.T) {
	var g golden
	readJSON(t, "testdata/golden.json", &g)
	var conversations []struct {
		Name     string
		Messages []Message
	}
	readJSON(t, "testdata/conversations.json", &conversations)
	messages := map[string][]Message{}
	for _, c := range conversations {
		messages[c.Name] = c.Messages
	}
	now, err := time.Parse("2006-01-02T15:04:05", g.Now)
	if err != nil {
		t.Fatal(err)
	}
	templates := map[string]*Template{}
	paths, _ := filepath.Glob("testdata/templates/*.jinja")
	for _, path := range paths {
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(path), ".jinja")
		tmpl, err := NewTemplate(string(src), g.Special)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		tmpl.now = func() time.Time { return now }
		templates[name] = tmpl
	}
	if len(g.Cases) < 200 {
		t.Fatalf("%d golden cases, fewer than were made", len(g.Cases))
	}
	for _, c := range g.Cases {
		tmpl := templates[c.Template]
		if tmpl == nil {
			continue
		}
		id := c.Template + "/" + c.Conversation
		got, err := tmpl.Render(messages[c.Conversation], c.Generation)
		switch {
		case c.Text == nil && err == nil && !known[id]:
			t.Errorf("%s generation=%v: got %q, want the error %q", id, c.Generation, got, c.Error)
		case c.Text == nil:
		case err != nil:
			t.Errorf("%s generation=%v: %v", id, c.Generation, err)
		case got != *c.Text:
			t.Errorf("%s generation=%v:\ngot  %s\nwant %s", id, c.Generation, differing(got, *c.Text), differing(*c.Text, got))
		}
	}
}

// TestWhiteSpace compares what signs and line feeds around tags leave over, on
// random templates.
func TestWhiteSpace(t *testing.T) {
	var g golden
	readJSON(t, "testdata/golden.json", &g)
	if len(g.White) < 500 {
		t.Fatalf("%d golden cases, fewer than were made", len(g.White))
	}
	for _, c := range g.White {
		tmpl, err := NewTemplate(c.Source, nil)
		if err != nil {
			t.Errorf("%q: %v", c.Source, err)
			continue
		}
		if got, err := tmpl.Render(nil, false); err != nil || got != c.Text {
			t.Errorf("%q: got %q, %v, want %q", c.Source, got, err, c.Text)
		}
	}
}

// differing quotes s from shortly before it departs from t.
func differing(s, t string) string {
	n := 0
	for n < len(s) && n < len(t) && s[n] == t[n] {
		n++
	}
	s = s[max(n-20, 0):]
	return fmt.Sprintf("%q at %d", s[:min(len(s), 60)], n)
}

var conversation = []Message{{System, "Be brief."}, {User, "Hi"}, {Assistant, "Hello."}, {User, "Bye"}}

func TestChatML(t *testing.T) {
	got, err := ChatML().Render(conversation, true)
	want := "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n" +
		"<|im_start|>assistant\nHello.<|im_end|>\n<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\n"
	if err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if !ChatML().Fallback() {
		t.Error("ChatML does not say that it is the fallback")
	}
	tmpl, err := NewTemplate(ChatML().Source(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if tmpl.Fallback() {
		t.Error("a model's template says that it is the fallback")
	}
}

// TestPrefix holds what the chat command relies on: with the templates of the
// Falcon-Mamba models a longer conversation starts with the text of the shorter.
func TestPrefix(t *testing.T) {
	for _, name := range []string{"demo", "falcon-mamba-instruct", "falcon3-instruct"} {
		src, err := os.ReadFile("testdata/templates/" + name + ".jinja")
		if err != nil {
			t.Fatal(err)
		}
		tmpl, err := NewTemplate(string(src), nil)
		if err != nil {
			t.Fatal(err)
		}
		before, err := tmpl.Render(conversation[:2], true)
		if err != nil {
			t.Fatal(err)
		}
		after, err := tmpl.Render(conversation, true)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(after, before+"Hello.") {
			t.Errorf("%s: %q does not continue %q", name, after, before)
		}
	}
}

func TestRefused(t *testing.T) {
	tmpl, err := NewTemplate("{{ raise_exception('no ' ~ messages[0].role) }}", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = tmpl.Render([]Message{{User, "x"}}, false)
	if !errors.Is(err, ErrRefused) || !errors.Is(err, ErrTemplate) || !strings.HasSuffix(err.Error(), ": no user") {
		t.Errorf("got %v", err)
	}
}

// TestHostile holds templates that a downloaded file could carry to harm.
func TestHostile(t *testing.T) {
	long := strings.Repeat("a", 1000)
	tests := []struct {
		name, src string
		kind      error
	}{
		{"loops", "{% for a in range(60000) %}{% for b in range(60000) %}{% for c in range(60000) %}x{% endfor %}{% endfor %}{% endfor %}", ErrLimit},
		{"range", "{{ range(100000000000) | length }}", ErrLimit},
		{"doubling in a loop", "{% set ns = namespace(x='aa') %}{% for i in range(64) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}", ErrLimit},
		{"doubling in line", "{% set a = '" + long + "' %}" + strings.Repeat("{% set a = a ~ a ~ a ~ a %}", 30), ErrLimit},
		{"doubling by loops", strings.Repeat("{% for a in ['"+long+"' ~ (a or '') ~ (a or '') ~ (a or '') ~ (a or '') ~ (a or '')] %}", 20) + strings.Repeat("{% endfor %}", 20), ErrLimit},
		{"doubling by macros", "{% macro m(x) %}{{ m(x ~ x) }}{% endmacro %}{{ m('" + long + "') }}", ErrLimit},
		{"replace", "{% set a = 'a' %}" + strings.Repeat("{% set a = a | replace('a', '"+strings.Repeat("a", 100)+"') %}", 6), ErrLimit},
		{"replace methods", "{{ 'a'" + strings.Repeat(".replace('a', '"+strings.Repeat("a", 100)+"')", 6) + " }}", ErrLimit},
		{"join", "{% set a = '" + long + "' %}{{ a | list | join(a) | list | join(a) | list | join(a) | length }}", ErrLimit},
		{"recursion", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", ErrLimit},
		{"mutual recursion", "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}", ErrLimit},
		{"recursive loop", "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", ErrTemplate},
		{"cycle", "{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}", ErrLimit},
		{"deep list", "{% set ns = namespace(x=[]) %}{% for i in range(1000) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}", ErrLimit},
		{"output", "{% for i in range(60000) %}" + long + "{% endfor %}", ErrLimit},
		{"output of a macro", "{% macro m() %}{% for i in range(60000) %}" + long + "{% endfor %}{% endmacro %}{{ m() | length }}", ErrLimit},
		{"output of a macro in line", "{% macro m(x) %}" + strings.Repeat("{{ x }}", 9000) + "{% endmacro %}{{ m('" + long + "') | length }}", ErrLimit},
		{"output of a block", "{% set x %}{% for i in range(60000) %}" + long + "{% endfor %}{% endset %}{{ x | length }}", ErrLimit},
		{"multiply", "{{ 'a' * 10000000000 }}", ErrTemplate},
		{"power", "{{ 9 ** 9 ** 9 }}", ErrTemplate},
		{"indent", "{{ 'a\n' | indent(1000000000) }}", ErrTemplate},
		{"centre", "{{ 'a' | center(10000000000) }}", ErrTemplate},
		{"format", "{{ '%1000000000d' | format(1) }}", ErrTemplate},
		{"include", "{% include '/etc/passwd' %}", ErrTemplate},
		{"extends", "{% extends '/etc/passwd' %}", ErrTemplate},
		{"import", "{% import '/etc/passwd' as x %}", ErrTemplate},
		{"division by zero", "{{ 1 % 0 }}", ErrTemplate},
		{"brackets", "{{ " + strings.Repeat("(", 5000) + strings.Repeat(")", 5000) + " }}", ErrTemplate},
		{"blocks", strings.Repeat("{% if true %}", 5000) + strings.Repeat("{% endif %}", 5000), ErrTemplate},
		{"long tag", "{{ " + strings.Repeat("a.", 10000) + "a }}", ErrTemplate},
		{"long source", strings.Repeat("a", 1<<20), ErrTemplate},
		{"comment", "{#-", ErrTemplate},
		{"syntax", "{% for %}", ErrTemplate},
		{"unclosed", "{{ messages", ErrTemplate},
		{"unclosed block", "{% if true %}", ErrTemplate},
		{"unknown filter", "{{ messages | nosuch }}", ErrTemplate},
		{"unknown method", "{{ 'a'.nosuch() }}", ErrTemplate},
		{"mutation", "{{ messages.append(1) }}", ErrTemplate},
		{"undefined attribute", "{{ messages[9].content }}", ErrTemplate},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			start := time.Now()
			tmpl, err := NewTemplate(test.src, nil)
			if err == nil {
				_, err = tmpl.Render(conversation, true)
			}
			if !errors.Is(err, test.kind) {
				t.Fatalf("got %v, want %v", err, test.kind)
			}
			if len(err.Error()) > 600 {
				t.Errorf("an error of %d bytes: %.200s", len(err.Error()), err)
			}
			// the clock is the last resort, of loops only
			if test.name != "loops" && strings.Contains(err.Error(), maxTime.String()) {
				t.Errorf("nothing but the clock stopped it: %v", err)
			}
			if d := time.Since(start); d > 2*maxTime {
				t.Errorf("took %v", d)
			}
			t.Log(err)
		})
	}
}

func TestSemantics(t *testing.T) {
	tests := []struct{ src, want string }{
		{"{{ messages[-1].content }}{{ messages[0:1][-1].role }}", "Byesystem"},
		{"{% for c in '你好' %}<{{ c }}>{% endfor %}", "<你><好>"},
		{"{% for x in nothing %}x{% else %}none{% endfor %}", "none"},
		{"{% set x %}a{{ 1 }}{% endset %}{{ x }}", "a1"},
		{"{{ '%d %' }}{{ strftime_now('%Y-%m-%d %H:%M %% %Q') }}", "%d %2024-07-26 00:00 % %Q"},
		{"{% raw %}{{ x }}{% endraw %}|{{ '}}' }}|{{ \"%}\" }}", "{{ x }}|}}|%}"},
		{"{{ 'a b  c'.split(' ', 1) | join('|') }} {{ ' a  b '.split() | join('|') }} {{ 'a b c d'.rsplit(' ', 2) | join('|') }}", "a|b  c a|b a b|c|d"},
		{"{{ 'naïve'.find('v') }} {{ 'x' in 'axb' }} {{ 'naïve' | length }}", "3 True 5"},
		{"{{ {'b': 1, 'a': [true, none, 'é\"<']} | tojson }}", `{"b": 1, "a": [true, null, "é\"<"]}`},
		{"{{ bos_token }}{{ eos_token }}{{ nothing }}", "<s></s>"},
		{"{{ 'ab'.startswith(['x', 'a']) }} {{ 'AbC'.lower() }} {{ \"it's o'clock\".title() }}", "True abc It'S O'Clock"},
	}
	for _, test := range tests {
		tmpl, err := NewTemplate(test.src, map[string]string{"bos_token": "<s>", "eos_token": "</s>"})
		if err != nil {
			t.Errorf("%s: %v", test.src, err)
			continue
		}
		tmpl.now = func() time.Time { return time.Date(2024, 7, 26, 0, 0, 0, 0, time.UTC) }
		got, err := tmpl.Render(conversation, true)
		if err != nil || got != test.want {
			t.Errorf("%s: got %q, %v, want %q", test.src, got, err, test.want)
		}
	}
}

// TestUnchanged holds that content is data, whatever it looks like.
func TestUnchanged(t *testing.T) {
	content := "{{ 1 }} {% if %} {# #} <b>&amp;</b> \\n \x00 \xff"
	got, err := ChatML().Render([]Message{{User, content}}, false)
	if want := "<|im_start|>user\n" + content + "<|im_end|>\n"; err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestLargeDocument(t *testing.T) {
	content := strings.Repeat("some words of a long document\n", 1<<18)
	start := time.Now()
	got, err := ChatML().Render([]Message{{User, content}}, true)
	if err != nil || !strings.Contains(got, content) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if d := time.Since(start); d > time.Second {
		t.Errorf("%d bytes took %v", len(content), d)
	}
}

func FuzzTemplate(f *testing.F) {
	paths, _ := filepath.Glob("testdata/templates/*.jinja")
	for _, path := range paths {
		src, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(src))
	}
	for _, src := range []string{"{#-#}", "{{-}}", "{%-%}", "{{ '\\", "{% raw %}", "{{ a[::-1] }}", "{% set a.b[c] = 1 %}", "{{ a if b }}", "{%+ if 1 -%}{{+"} {
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src string) {
		tmpl, err := NewTemplate(src, map[string]string{"bos_token": "<s>"})
		if err == nil {
			_, err = tmpl.Render(conversation, true)
		}
		if err != nil && !errors.Is(err, ErrTemplate) {
			t.Errorf("an error of no kind: %v", err)
		}
	})
}
