package chat

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nikolalohinski/gonja/v2/exec"
)

// list is a list whose items count from the end, too: the library misses the
// first item of a list when it is asked for by its negative index.
type list []any

// GetItem implements exec.ItemGetter.
func (l list) GetItem(key any) (*exec.Value, bool) {
	i, ok := key.(int)
	if ok && i < 0 {
		i += len(l)
	}
	if !ok || i < 0 || i >= len(l) {
		return exec.AsValue(nil), false
	}
	return exec.ToValue(l[i]), true
}

// dict returns a mapping that keeps its order.
func dict(pairs ...any) *exec.Dict {
	d := exec.NewDict()
	for i := 0; i < len(pairs); i += 2 {
		d.Pairs = append(d.Pairs, &exec.Pair{Key: exec.AsValue(pairs[i]), Value: exec.AsValue(pairs[i+1])})
	}
	return d
}

// characters is a string as a list of its characters.
func characters(b *budget, s string) list {
	b.length(utf8.RuneCountInString(s))
	items := make(list, 0, len(s))
	for _, r := range s {
		items = append(items, string(r))
	}
	return items
}

// strings of a list.
func texts(in []string) list {
	out := make(list, len(in))
	for i, s := range in {
		out[i] = s
	}
	return out
}

// each calls f for the items of a list, or the keys and values of a mapping.
func each(v *exec.Value, f func(key, value *exec.Value)) {
	v.Iterate(func(_, _ int, key, value *exec.Value) bool {
		f(key, value)
		return true
	}, func() {})
}

// writeJSON writes v as Python's json.dumps(v, ensure_ascii=False) does.
func writeJSON(out *strings.Builder, v *exec.Value) error {
	switch {
	case v.IsNil():
		out.WriteString("null")
	case v.IsString():
		var s strings.Builder
		enc := json.NewEncoder(&s)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(v.String()); err != nil {
			return err
		}
		// JSON allows both, Python escapes neither
		text := strings.NewReplacer(`\u2028`, "\u2028", `\u2029`, "\u2029").Replace(strings.TrimSuffix(s.String(), "\n"))
		out.WriteString(text)
	case v.IsBool():
		out.WriteString(strconv.FormatBool(v.Bool()))
	case v.IsInteger():
		out.WriteString(strconv.Itoa(v.Integer()))
	case v.IsFloat():
		out.WriteString(v.String())
	case v.IsDict():
		out.WriteByte('{')
		first := true
		var failed error
		each(v, func(key, value *exec.Value) {
			if failed != nil {
				return
			}
			if !first {
				out.WriteString(", ")
			}
			first = false
			if failed = writeJSON(out, exec.AsValue(key.String())); failed == nil {
				out.WriteString(": ")
				failed = writeJSON(out, value)
			}
		})
		if failed != nil {
			return failed
		}
		out.WriteByte('}')
	case v.IsList():
		out.WriteByte('[')
		for i := range v.Len() {
			if i > 0 {
				out.WriteString(", ")
			}
			item := v.Index(i)
			if item.IsError() {
				return fmt.Errorf("tojson: %s", item)
			}
			if err := writeJSON(out, item); err != nil {
				return err
			}
		}
		out.WriteByte(']')
	default:
		return fmt.Errorf("tojson: a %v has no JSON form", reflect.Indirect(v.Val).Kind())
	}
	return nil
}

// strftime formats t by Python's directives, in the C locale. An unknown
// directive is left as it stands.
func strftime(t time.Time, format string) string {
	layouts := map[byte]string{
		'Y': "2006", 'm': "01", 'd': "02", 'H': "15", 'M': "04", 'S': "05", 'y': "06",
		'B': "January", 'b': "Jan", 'A': "Monday", 'a': "Mon", 'p': "PM", 'I': "03", 'j': "002",
		'Z': "MST", 'z': "-0700", 'e': "_2", 'F': "2006-01-02", 'T': "15:04:05", 'D': "01/02/06",
	}
	var out strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			out.WriteByte(format[i])
			continue
		}
		i++
		layout, known := layouts[format[i]]
		switch {
		case known:
			out.WriteString(t.Format(layout))
		case format[i] == '%':
			out.WriteByte('%')
		default:
			out.WriteString(format[i-1 : i+1])
		}
	}
	return out.String()
}
