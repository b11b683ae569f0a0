package look

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"

	_ "app.kestrel/locale" // one that Fyne can read
	"fyne.io/fyne/v2/lang"

	"kestrel/assets"
)

// Language is one that the window speaks.
type Language string

// Languages of the window, named as their catalogues are.
const (
	English Language = "en"
	Chinese Language = "zh"
)

// Languages lists them, each with its own name for itself.
func Languages() []struct{ Code, Name string } {
	return []struct{ Code, Name string }{{string(English), "English"}, {string(Chinese), "简体中文"}}
}

// message is a text with its plural forms: One is "" where Other serves all
// numbers.
type message struct{ One, Other string }

// UnmarshalJSON reads a text, or an object of plural forms.
func (m *message) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		return json.Unmarshal(data, &m.Other)
	}
	type plain message
	return json.Unmarshal(data, (*plain)(m))
}

type catalogue map[string]message

var (
	catalogues = sync.OnceValue(func() map[Language]catalogue { return mustRead(assets.Translations) })
	current    atomic.Value // Language
)

func init() { current.Store(English) }

// mustRead reads the catalogues that are built in; tests keep them sound.
func mustRead(fsys fs.FS) map[Language]catalogue {
	all, err := readCatalogues(fsys)
	if err != nil {
		panic(err)
	}
	return all
}

// readCatalogues reads translations/LANGUAGE/*.json. A key may stand in one
// file only.
func readCatalogues(fsys fs.FS) (map[Language]catalogue, error) {
	all := map[Language]catalogue{}
	for _, l := range Languages() {
		names, err := fs.Glob(fsys, path.Join("translations", l.Code, "*.json"))
		if err != nil {
			return nil, err
		}
		c := catalogue{}
		for _, name := range names {
			data, err := fs.ReadFile(fsys, name)
			if err != nil {
				return nil, err
			}
			part := catalogue{}
			if err := json.Unmarshal(data, &part); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			for key, m := range part {
				if _, twice := c[key]; twice {
					return nil, fmt.Errorf("%s: %q stands in another file as well", name, key)
				}
				c[key] = m
			}
		}
		all[Language(l.Code)] = c
	}
	return all, nil
}

// Current is the language that T speaks.
func Current() Language { return current.Load().(Language) }

// SetLanguage chooses the language of T and of Fyne's own menus and dialogs.
// Views that are already built keep their texts: build them anew. Call it from
// Fyne's goroutine.
func SetLanguage(l Language) {
	if _, ok := catalogues()[l]; !ok {
		l = English
	}
	current.Store(l)
	translateFyne(l)
}

// fynePrefix marks texts that Fyne's widgets use: Copy, Paste, Cancel and so on.
const fynePrefix = "fyne:"

// translateFyne gives Fyne the texts of its own widgets. It has no way to choose
// a language, so they go under the name of the system's.
func translateFyne(l Language) {
	texts := map[string]string{}
	for key, m := range catalogues()[l] {
		if name, ok := strings.CutPrefix(key, fynePrefix); ok {
			texts[name] = m.Other
		}
	}
	data, err := json.Marshal(texts)
	if err != nil { // a map of strings always marshals
		panic(err)
	}
	if err := lang.AddTranslationsForLocale(data, lang.SystemLocale()); err != nil {
		panic(fmt.Sprintf("texts of Fyne's widgets: %v", err)) // tests keep them sound
	}
}

// SystemLanguage is the language of the user's desktop, as far as Kestrel
// speaks it.
func SystemLanguage(getenv func(string) string) Language {
	of := func(locale string) Language {
		if strings.HasPrefix(strings.ToLower(locale), "zh") {
			return Chinese
		}
		return English
	}
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		switch v, _, _ := strings.Cut(getenv(name), "."); v {
		case "":
			continue
		case "C", "POSIX":
			return English
		default:
			if wanted := getenv("LANGUAGE"); wanted != "" {
				v = wanted
			}
			return of(v)
		}
	}
	return of(string(lang.SystemLocale()))
}

// K marks a literal key that reaches T by way of a variable, so that the test
// of the catalogues sees it.
func K(key string) string { return key }

// T is the text of a key in the present language. Arguments go where the text
// has fmt's verbs; where it has plural forms the first number chooses. A key
// that no catalogue has is shown as it is.
func T(key string, args ...any) string {
	m, ok := catalogues()[Current()][key]
	if !ok {
		m, ok = catalogues()[English][key]
	}
	if !ok {
		return key
	}
	text := m.Other
	if m.One != "" && isOne(args) {
		text = m.One
	}
	if len(args) == 0 {
		return text
	}
	return fmt.Sprintf(text, args...)
}

// isOne reports whether the first number among args is one.
func isOne(args []any) bool {
	for _, a := range args {
		v := reflect.ValueOf(a)
		switch {
		case v.CanInt():
			return v.Int() == 1
		case v.CanUint():
			return v.Uint() == 1
		case v.CanFloat():
			return v.Float() == 1
		}
	}
	return false
}
