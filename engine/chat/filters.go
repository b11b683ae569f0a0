package chat

import (
	"fmt"
	"strings"

	"github.com/nikolalohinski/gonja/v2/builtins"
	"github.com/nikolalohinski/gonja/v2/exec"
)

// passed are the library's filters whose work and result are no larger than
// what goes in, times a constant.
var passed = []string{
	"abs", "capitalize", "count", "d", "default", "dictsort", "first", "float", "int", "last", "length",
	"list", "lower", "map", "max", "min", "reject", "rejectattr", "reverse", "round", "safe",
	"select", "selectattr", "sort", "string", "sum", "title", "upper", "wordcount",
}

// sequences are those of them that take a string apart item by item, in time
// that grows with the square of its length.
var sequences = map[string]bool{
	"first": true, "last": true, "list": true, "map": true, "max": true, "min": true, "reject": true,
	"reverse": true, "select": true, "sort": true, "sum": true,
}

// filters are what a template may put after a bar, each drawing on the budget.
func filters(b *budget) *exec.FilterSet {
	set := map[string]exec.FilterFunction{
		"trim": func(_ *exec.Evaluator, in *exec.Value, va *exec.VarArgs) *exec.Value {
			return exec.AsValue(strip(in.String(), arguments{"trim", va}, strings.TrimFunc, strings.Trim))
		},
		"replace": func(_ *exec.Evaluator, in *exec.Value, va *exec.VarArgs) *exec.Value {
			a := arguments{"replace", va}
			return exec.AsValue(replace(b, in.String(), a.need(0), a.need(1), a.number(2, "count", -1)))
		},
		"join": func(e *exec.Evaluator, in *exec.Value, va *exec.VarArgs) *exec.Value {
			sep := ""
			if v := va.KwArgs["d"]; v != nil {
				sep = v.String()
			}
			if len(va.Args) > 0 {
				sep = va.Args[0].String()
			}
			if attribute := va.KwArgs["attribute"]; attribute != nil {
				in = e.ExecuteFilterByName("map", in, &exec.VarArgs{
					KwArgs: map[string]*exec.Value{"attribute": attribute},
				})
				if in.IsError() {
					return in
				}
			}
			return exec.AsValue(join(b, in, sep))
		},
		"indent": func(_ *exec.Evaluator, in *exec.Value, va *exec.VarArgs) *exec.Value {
			width := arguments{"indent", va}.number(0, "width", 4)
			s := in.String()
			if width < 0 || width > 64 {
				return exec.AsValue(fmt.Errorf("indent wants a width from 0 to 64, not %d", width))
			}
			return exec.AsValue(replace(b, s, "\n", "\n"+strings.Repeat(" ", width), -1))
		},
		"items": func(_ *exec.Evaluator, in *exec.Value, _ *exec.VarArgs) *exec.Value {
			if !in.IsDict() {
				return exec.AsValue(fmt.Errorf("items wants a mapping, not %s", in))
			}
			return exec.AsValue(pairs(in))
		},
		"tojson": func(_ *exec.Evaluator, in *exec.Value, va *exec.VarArgs) *exec.Value {
			if len(va.Args)+len(va.KwArgs) > 0 {
				return exec.AsValue(fmt.Errorf("tojson takes no arguments here"))
			}
			var out strings.Builder
			if err := writeJSON(&out, in); err != nil {
				return exec.AsValue(err)
			}
			return exec.AsValue(out.String())
		},
	}
	for _, name := range passed {
		if f, ok := builtins.Filters.Get(name); ok {
			set[name] = f
		}
	}
	for name, f := range set {
		set[name] = func(e *exec.Evaluator, in *exec.Value, va *exec.VarArgs) *exec.Value {
			b.step(1)
			b.fits(in)
			b.fits(va.Args...)
			for _, v := range va.KwArgs {
				b.fits(v)
			}
			if sequences[name] && in.IsString() {
				in = exec.AsValue(characters(b, in.String()))
			}
			return f(e, in, va)
		}
	}
	return exec.NewFilterSet(set)
}
