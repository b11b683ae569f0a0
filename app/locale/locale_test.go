package locale

import (
	"maps"
	"testing"
)

func TestSettle(t *testing.T) {
	type env = map[string]string
	for _, c := range []struct{ given, want env }{
		{env{}, env{"LANG": Default}},
		{env{"LANG": "C"}, env{"LANG": Default}},
		{env{"LANG": "C.UTF-8"}, env{"LANG": Default}},
		{env{"LC_ALL": "POSIX", "LANG": "zh_CN.UTF-8"}, env{"LC_ALL": Default, "LANG": "zh_CN.UTF-8"}},
		{env{"LC_ALL": "zh_CN.UTF-8", "LANG": "xx"}, env{"LC_ALL": "zh_CN.UTF-8", "LANG": "xx"}},
		{env{"LANG": "xx_YY"}, env{"LANG": Default}},
		{env{"LANG": "garbage!!"}, env{"LANG": Default}},
		{env{"LC_MESSAGES": "xx_YY.UTF-8"}, env{"LC_MESSAGES": Default}},
		{env{"LANG": "de_DE.UTF-8@euro"}, env{"LANG": "de_DE.UTF-8"}},
		{env{"LANG": "zh_CN.GB18030", "LANGUAGE": "zh_CN:xx_YY:en"}, env{"LANG": "zh_CN.GB18030", "LANGUAGE": "zh_CN:en"}},
		{env{"LANG": "de_AT", "LANGUAGE": "xx"}, env{"LANG": "de_AT", "LANGUAGE": ""}},
	} {
		got := maps.Clone(c.given)
		Settle(func(name string) string { return got[name] }, func(name, value string) error { got[name] = value; return nil })
		if !maps.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.given, got, c.want)
		}
	}
}
