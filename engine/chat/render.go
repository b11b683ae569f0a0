package chat

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"strings"

	"github.com/nikolalohinski/gonja/v2/builtins"
	"github.com/nikolalohinski/gonja/v2/config"
	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/loaders"
)

// compile parses the template with hooks that draw on b. It is done anew for
// each rendering: the library's hooks do not say which rendering calls them.
func (t *Template) compile(b *budget) (tmpl *exec.Template, err error) {
	defer rescue(&err)
	cfg := config.New()
	cfg.KeepTrailingNewline = true // inspect has seen to white space
	env := &exec.Environment{
		Filters:           filters(b),
		Tests:             builtins.Tests,
		ControlStructures: statements(b),
		Methods:           methods(b),
		Context:           exec.NewContext(t.globals(b)),
	}
	tmpl, err = exec.NewTemplate(name, cfg, only(t.plain), env)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrTemplate, brief(err, t.plain))
	}
	return tmpl, nil
}

func (t *Template) render(b *budget, msgs []Message, addGenerationPrompt bool) (text string, err error) {
	tmpl, err := t.compile(b)
	if err != nil {
		return "", err
	}
	defer rescue(&err)
	messages := make(list, len(msgs))
	for i, m := range msgs {
		messages[i] = dict("role", m.Role, "content", m.Content)
	}
	data := map[string]any{
		"messages":              messages,
		"add_generation_prompt": addGenerationPrompt,
		"tools":                 nil,
		"documents":             nil,
	}
	for k, v := range t.special {
		data[k] = v
	}
	var out strings.Builder
	if err := tmpl.Execute(b.bounded(&out), exec.NewContext(data)); err != nil {
		return "", fmt.Errorf("%w: %s", ErrTemplate, brief(err, t.plain))
	}
	return out.String(), nil
}

var nested = regexp.MustCompile(`(?i)^unable to execute (controlStructure at line \d+: [^:]*|template): `)

// brief shortens the library's message: it repeats the template's text and
// every statement on the way.
func brief(err error, src string) string {
	s := strings.TrimPrefix(err.Error(), "failed to parse template '"+src+"': ")
	for nested.MatchString(s) {
		s = nested.ReplaceAllString(s, "")
	}
	if len(s) > 400 {
		s = s[:200] + " … " + s[len(s)-200:]
	}
	return strings.ToValidUTF8(s, "?")
}

// globals are the names a template finds beside the conversation.
func (t *Template) globals(b *budget) map[string]any {
	g := map[string]any{
		"raise_exception": func(va *exec.VarArgs) *exec.Value {
			stop(fmt.Errorf("%w: %s", ErrRefused, va.First().String()))
			return nil
		},
		"strftime_now": func(va *exec.VarArgs) *exec.Value {
			return exec.AsValue(strftime(t.now(), va.First().String()))
		},
		"namespace": func(va *exec.VarArgs) *exec.Value {
			ns := map[string]any{}
			if len(va.Args) == 1 {
				if m, ok := va.Args[0].Interface().(map[string]any); ok {
					maps.Copy(ns, m)
				}
			}
			for k, v := range va.KwArgs {
				ns[k] = v.Interface()
			}
			return exec.AsValue(ns)
		},
		"dict": func(va *exec.VarArgs) *exec.Value {
			d := map[string]any{}
			for k, v := range va.KwArgs {
				d[k] = v.Interface()
			}
			return exec.AsValue(d)
		},
		"range": func(va *exec.VarArgs) *exec.Value { return span(b, va) },
	}
	return g
}

// span is Python's range, as a list.
func span(b *budget, va *exec.VarArgs) *exec.Value {
	var args []int
	for _, v := range va.Args {
		if !v.IsInteger() {
			return exec.AsValue(errors.New("range wants integers"))
		}
		args = append(args, v.Integer())
	}
	start, step := 0, 1
	switch len(args) {
	case 1:
		args = []int{0, args[0]}
	case 2:
	case 3:
		step = args[2]
	default:
		return exec.AsValue(errors.New("range wants 1 to 3 integers"))
	}
	start = args[0]
	if step == 0 {
		return exec.AsValue(errors.New("range wants a step other than 0"))
	}
	items := list{}
	for i := start; step > 0 && i < args[1] || step < 0 && i > args[1]; i += step {
		b.length(len(items) + 1)
		items = append(items, i)
	}
	b.step(1 + len(items)/16)
	return exec.AsValue(items)
}

// name is the only template a template can name.
const name = "/template"

// only is a loader of one text: nothing else can be read.
type only string

func (o only) Read(path string) (io.Reader, error) {
	if path != name {
		return nil, fmt.Errorf("%w: it may not read %q", ErrTemplate, path)
	}
	return strings.NewReader(string(o)), nil
}

func (o only) Resolve(path string) (string, error) {
	return "", fmt.Errorf("%w: it may not read %q", ErrTemplate, path)
}

func (o only) Inherit(string) (loaders.Loader, error) { return o, nil }
