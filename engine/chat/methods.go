package chat

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/nikolalohinski/gonja/v2/exec"
)

// whitespace is what Python's str.strip and str.split take for it.
func whitespace(r rune) bool {
	return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f
}

// arguments reads what a method was called with.
type arguments struct {
	method string
	va     *exec.VarArgs
}

// text returns the i-th argument, a string; missing unless optional.
func (a arguments) text(i int) (s string, given bool) {
	if i >= len(a.va.Args) || a.va.Args[i].IsNil() {
		return "", false
	}
	if !a.va.Args[i].IsString() {
		stop(fmt.Errorf("%w: %s wants a string, not %s", ErrTemplate, a.method, a.va.Args[i]))
	}
	return a.va.Args[i].String(), true
}

func (a arguments) need(i int) string {
	s, ok := a.text(i)
	if !ok {
		stop(fmt.Errorf("%w: %s wants %d arguments", ErrTemplate, a.method, i+1))
	}
	return s
}

// number returns the i-th argument, or the one named, or none.
func (a arguments) number(i int, name string, none int) int {
	v := a.va.KwArgs[name]
	if i < len(a.va.Args) {
		v = a.va.Args[i]
	}
	if v == nil {
		return none
	}
	if !v.IsInteger() {
		stop(fmt.Errorf("%w: %s wants an integer, not %s", ErrTemplate, a.method, v))
	}
	return v.Integer()
}

// any reports whether f holds for the first argument, a string or several.
func (a arguments) any(f func(string) bool) bool {
	if len(a.va.Args) == 1 && a.va.Args[0].IsList() {
		v := a.va.Args[0]
		for i := range v.Len() {
			if f(v.Index(i).String()) {
				return true
			}
		}
		return false
	}
	return f(a.need(0))
}

// methods are what a template may call on its values: those of Python's
// immutable ones, as transformers' sandbox has it.
func methods(b *budget) exec.Methods {
	return exec.Methods{
		Str:   exec.NewMethodSet(stringMethods(b)),
		Dict:  exec.NewMethodSet(dictMethods(b)),
		List:  exec.NewMethodSet(map[string]exec.Method[[]any]{}),
		Bool:  exec.NewMethodSet(map[string]exec.Method[bool]{}),
		Int:   exec.NewMethodSet(map[string]exec.Method[int]{}),
		Float: exec.NewMethodSet(map[string]exec.Method[float64]{}),
	}
}

func stringMethods(b *budget) map[string]exec.Method[string] {
	table := map[string]func(s string, a arguments) any{
		"strip": func(s string, a arguments) any {
			return strip(s, a, strings.TrimFunc, strings.Trim)
		},
		"lstrip": func(s string, a arguments) any {
			return strip(s, a, strings.TrimLeftFunc, strings.TrimLeft)
		},
		"rstrip": func(s string, a arguments) any {
			return strip(s, a, strings.TrimRightFunc, strings.TrimRight)
		},
		"split":      func(s string, a arguments) any { return split(b, s, a) },
		"rsplit":     func(s string, a arguments) any { return rsplit(b, s, a) },
		"splitlines": func(s string, a arguments) any { return splitLines(b, s) },
		"startswith": func(s string, a arguments) any {
			return a.any(func(p string) bool { return strings.HasPrefix(s, p) })
		},
		"endswith": func(s string, a arguments) any {
			return a.any(func(p string) bool { return strings.HasSuffix(s, p) })
		},
		"removeprefix": func(s string, a arguments) any { return strings.TrimPrefix(s, a.need(0)) },
		"removesuffix": func(s string, a arguments) any { return strings.TrimSuffix(s, a.need(0)) },
		"replace": func(s string, a arguments) any {
			return replace(b, s, a.need(0), a.need(1), a.number(2, "count", -1))
		},
		"find":  func(s string, a arguments) any { return position(s, strings.Index(s, a.need(0))) },
		"rfind": func(s string, a arguments) any { return position(s, strings.LastIndex(s, a.need(0))) },
		"count": func(s string, a arguments) any { return strings.Count(s, a.need(0)) },
		"lower": func(s string, a arguments) any { return strings.ToLower(s) },
		"upper": func(s string, a arguments) any { return strings.ToUpper(s) },
		"title": func(s string, a arguments) any { return title(s) },
		"capitalize": func(s string, a arguments) any {
			first, rest := cut(s)
			return strings.ToUpper(first) + strings.ToLower(rest)
		},
		"isdigit": func(s string, a arguments) any { return every(s, unicode.IsDigit) },
		"isalpha": func(s string, a arguments) any { return every(s, unicode.IsLetter) },
		"isspace": func(s string, a arguments) any { return every(s, whitespace) },
		"isupper": func(s string, a arguments) any { return s == strings.ToUpper(s) && s != strings.ToLower(s) },
		"islower": func(s string, a arguments) any { return s == strings.ToLower(s) && s != strings.ToUpper(s) },
		"join": func(s string, a arguments) any {
			return join(b, a.va.First(), s)
		},
	}
	set := map[string]exec.Method[string]{}
	for name, f := range table {
		set[name] = func(s string, _ *exec.Value, va *exec.VarArgs) (any, error) {
			b.step(1)
			b.fits(va.Args...)
			return f(s, arguments{name, va}), nil
		}
	}
	return set
}

func dictMethods(b *budget) map[string]exec.Method[map[string]any] {
	table := map[string]func(self *exec.Value, a arguments) any{
		"get": func(self *exec.Value, a arguments) any {
			if v, found := self.GetItem(a.need(0)); found {
				return v.Interface()
			}
			if len(a.va.Args) > 1 {
				return a.va.Args[1].Interface()
			}
			return nil
		},
		"keys": func(self *exec.Value, a arguments) any {
			items := list{}
			each(self, func(k, _ *exec.Value) { items = append(items, k.Interface()) })
			return items
		},
		"values": func(self *exec.Value, a arguments) any {
			items := list{}
			each(self, func(_, v *exec.Value) { items = append(items, v.Interface()) })
			return items
		},
		"items": func(self *exec.Value, a arguments) any { return pairs(self) },
	}
	set := map[string]exec.Method[map[string]any]{}
	for name, f := range table {
		set[name] = func(_ map[string]any, self *exec.Value, va *exec.VarArgs) (any, error) {
			b.step(1)
			return f(self, arguments{name, va}), nil
		}
	}
	return set
}

func pairs(v *exec.Value) list {
	items := list{}
	each(v, func(k, v *exec.Value) { items = append(items, list{k.Interface(), v.Interface()}) })
	return items
}

func strip(s string, a arguments, space func(string, func(rune) bool) string, set func(string, string) string) string {
	if chars, given := a.text(0); given {
		return set(s, chars)
	}
	return space(s, whitespace)
}

func split(b *budget, s string, a arguments) list {
	sep, given := a.text(0)
	most := a.number(1, "maxsplit", -1)
	if !given {
		var out []string
		for rest := strings.TrimLeftFunc(s, whitespace); rest != ""; {
			end := strings.IndexFunc(rest, whitespace)
			if most == 0 || end < 0 {
				if most != 0 {
					rest = strings.TrimRightFunc(rest, whitespace)
				}
				out = append(out, rest)
				break
			}
			out = append(out, rest[:end])
			b.length(len(out))
			rest = strings.TrimLeftFunc(rest[end:], whitespace)
			most--
		}
		return texts(out)
	}
	if sep == "" {
		stop(fmt.Errorf("%w: split wants a separator that is not empty", ErrTemplate))
	}
	n := strings.Count(s, sep)
	if most >= 0 {
		n = min(n, most)
	}
	b.length(n)
	return texts(strings.SplitN(s, sep, n+1))
}

func rsplit(b *budget, s string, a arguments) list {
	sep := a.need(0)
	if sep == "" {
		stop(fmt.Errorf("%w: rsplit wants a separator that is not empty", ErrTemplate))
	}
	b.length(strings.Count(s, sep))
	parts := strings.Split(s, sep)
	most := a.number(1, "maxsplit", -1)
	if most < 0 || most+1 >= len(parts) {
		return texts(parts)
	}
	head := len(parts) - most
	return texts(append([]string{strings.Join(parts[:head], sep)}, parts[head:]...))
}

func splitLines(b *budget, s string) list {
	b.length(strings.Count(s, "\n"))
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s)
	if s == "" {
		return list{}
	}
	return texts(strings.Split(strings.TrimSuffix(s, "\n"), "\n"))
}

func replace(b *budget, s, old, new string, count int) string {
	n := strings.Count(s, old)
	if count >= 0 {
		n = min(n, count)
	}
	b.grow(len(s) + n*len(new))
	return strings.Replace(s, old, new, count)
}

// join puts sep between the items of v.
func join(b *budget, v *exec.Value, sep string) string {
	if v.IsString() {
		v = exec.AsValue(characters(b, v.String()))
	}
	var parts []string
	n := 0
	each(v, func(item, _ *exec.Value) {
		s := item.String()
		n += len(s) + len(sep)
		b.grow(n)
		parts = append(parts, s)
	})
	return strings.Join(parts, sep)
}

// position turns a byte offset into Python's count of characters.
func position(s string, at int) int {
	if at < 0 {
		return -1
	}
	return len([]rune(s[:at]))
}

func every(s string, f func(rune) bool) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return !f(r) }) < 0
}

// cut returns the first character and the rest.
func cut(s string) (first, rest string) {
	for i := range s {
		if i > 0 {
			return s[:i], s[i:]
		}
	}
	return s, ""
}

// title is Python's str.title: a letter after anything but a letter is upper.
func title(s string) string {
	in := false
	return strings.Map(func(r rune) rune {
		start := !in
		in = unicode.IsLetter(r)
		if start {
			return unicode.ToTitle(r)
		}
		return unicode.ToLower(r)
	}, s)
}
