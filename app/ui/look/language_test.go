package look

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"fyne.io/fyne/v2/lang"
)

// verbs finds fmt's verbs: with an explicit index they may stand in any order.
var verbs = regexp.MustCompile(`%(\[\d+\])?[-+# 0]*[\d.]*[a-zA-Z%]`)

func verbsOf(text string) []string {
	found := verbs.FindAllString(text, -1)
	for i, v := range found {
		if !strings.Contains(v, "[") && v != "%%" {
			found[i] = fmt.Sprintf("%%[%d]%s", i+1, v[1:])
		}
	}
	slices.Sort(found)
	return found
}

func TestCataloguesAgree(t *testing.T) {
	for _, l := range Languages() {
		for key, m := range catalogues()[Language(l.Code)] {
			if m.Other == "" {
				t.Errorf("%s %q: no text", l.Code, key)
			}
			en, ok := catalogues()[English][key]
			if !ok {
				t.Errorf("%q is in %s and not in en", key, l.Code)
			}
			if a, b := verbsOf(en.Other), verbsOf(m.Other); !slices.Equal(a, b) {
				t.Errorf("%q: arguments are %v in en, %v in %s", key, a, b, l.Code)
			}
			if m.One != "" && !slices.Equal(verbsOf(m.One), verbsOf(m.Other)) {
				t.Errorf("%s %q: arguments are %v for one, %v for others", l.Code, key, verbsOf(m.One), verbsOf(m.Other))
			}
		}
		for key := range catalogues()[English] {
			if _, ok := catalogues()[Language(l.Code)][key]; !ok {
				t.Errorf("%q is in en and not in %s", key, l.Code)
			}
		}
	}
}

// TestKeysAreUsed holds the catalogues against the code of the window: every
// key that is named has a text, and every text is named.
func TestKeysAreUsed(t *testing.T) {
	used := map[string]bool{}
	files := token.NewFileSet()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			name := ""
			switch fun := call.Fun.(type) {
			case *ast.Ident:
				if f.Name.Name == "look" {
					name = fun.Name
				}
			case *ast.SelectorExpr:
				if x, ok := fun.X.(*ast.Ident); ok && x.Name == "look" {
					name = fun.Sel.Name
				}
			}
			if name != "T" && name != "K" {
				return true
			}
			if lit, ok := call.Args[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
				key, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Error(err)
				}
				used[key] = true
				if _, ok := catalogues()[English][key]; !ok {
					t.Errorf("%s: no text for %q", files.Position(lit.Pos()), key)
				}
			} else if name == "K" {
				t.Errorf("%s: K wants a literal", files.Position(call.Pos()))
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(used) < 5 {
		t.Fatalf("only %d keys found: the search is broken", len(used))
	}
	for key := range catalogues()[English] {
		if !used[key] && !strings.HasPrefix(key, fynePrefix) {
			t.Errorf("%q is never used", key)
		}
	}
}

func TestReadCatalogues(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	for name, c := range map[string]struct {
		files fstest.MapFS
		want  string // in the error
	}{
		"sound": {fstest.MapFS{"translations/en/a.json": file(`{"a": "A"}`), "translations/en/b.json": file(`{"b": {"one": "%d b", "other": "%d bs"}}`)}, ""},
		"twice": {fstest.MapFS{"translations/en/a.json": file(`{"a": "A"}`), "translations/en/b.json": file(`{"a": "B"}`)}, "another file"},
		"torn":  {fstest.MapFS{"translations/zh/a.json": file(`{"a": `)}, "zh/a.json"},
	} {
		all, err := readCatalogues(c.files)
		if c.want == "" {
			if err != nil || all[English]["a"].Other != "A" || all[English]["b"].One != "%d b" {
				t.Errorf("%s: %v, %v", name, all, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
}

func TestT(t *testing.T) {
	defer func(c func() map[Language]catalogue, l Language) { catalogues = c; SetLanguage(l) }(catalogues, Current())
	made := map[Language]catalogue{
		English: {"n": {One: "%d file in %s", Other: "%d files in %s"}, "only": {Other: "only"}, "fyne:Copy": {Other: "Copy"}},
		Chinese: {"n": {Other: "%[2]s 中有 %[1]d 个文件"}, "fyne:Copy": {Other: "复制"}},
	}
	catalogues = func() map[Language]catalogue { return made }
	for _, c := range []struct {
		l    Language
		key  string
		args []any
		want string
	}{
		{English, "n", []any{1, "x"}, "1 file in x"},
		{English, "n", []any{int64(2), "x"}, "2 files in x"},
		{Chinese, "n", []any{1, "x"}, "x 中有 1 个文件"},
		{Chinese, "only", nil, "only"},
		{English, "none", nil, "none"},
		{"fr", "only", nil, "only"},
	} {
		SetLanguage(c.l)
		if got := T(c.key, c.args...); got != c.want {
			t.Errorf("%s %q: %q, want %q", c.l, c.key, got, c.want)
		}
	}
}

// TestFyneSpeaksTheLanguage: Fyne has no way to choose one, so this must be
// seen to work with the version in use.
func TestFyneSpeaksTheLanguage(t *testing.T) {
	defer SetLanguage(Current())
	for _, l := range []Language{Chinese, English, Chinese} {
		SetLanguage(l)
		for key, m := range catalogues()[l] {
			if name, ok := strings.CutPrefix(key, fynePrefix); ok {
				if got := lang.X(name, name); got != m.Other {
					t.Errorf("%s: Fyne says %q for %q, want %q", l, got, name, m.Other)
				}
			}
		}
	}
}

func TestSystemLanguage(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		want Language
	}{
		{map[string]string{"LANG": "zh_CN.UTF-8"}, Chinese},
		{map[string]string{"LANG": "zh_TW"}, Chinese},
		{map[string]string{"LANG": "de_DE.UTF-8"}, English},
		{map[string]string{"LANG": "C"}, English},
		{map[string]string{"LC_ALL": "C.UTF-8", "LANG": "zh_CN.UTF-8", "LANGUAGE": "zh_CN"}, English},
		{map[string]string{"LANG": "en_US.UTF-8", "LANGUAGE": "zh_CN:en"}, Chinese},
		{map[string]string{"LC_ALL": "zh_CN.UTF-8", "LANG": "en_US.UTF-8"}, Chinese},
		{map[string]string{"LC_ALL": "en_US.UTF-8", "LANG": "zh_CN.UTF-8"}, English},
	} {
		if got := SystemLanguage(func(name string) string { return c.env[name] }); got != c.want {
			t.Errorf("%v: %s, want %s", c.env, got, c.want)
		}
	}
}

// TestUnknownLocales: Fyne has nothing to say of a locale that nobody knows, not
// even while it is initialized.
func TestUnknownLocales(t *testing.T) {
	if os.Getenv("KESTREL_TEST_LOCALE") != "" {
		SetLanguage(Chinese)
		if got := lang.L("Copy"); got != "复制" {
			t.Errorf("Fyne's own menus have %q", got)
		}
		return
	}
	for _, locale := range []string{"", "C", "POSIX", "xx_YY.UTF-8", "en_US@foo", "garbage!!", "zh_CN.UTF-8"} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestUnknownLocales$")
		for _, v := range os.Environ() {
			if name, _, _ := strings.Cut(v, "="); name != "LC_ALL" && name != "LC_MESSAGES" && name != "LANGUAGE" {
				cmd.Env = append(cmd.Env, v)
			}
		}
		cmd.Env = append(cmd.Env, "LANG="+locale, "KESTREL_TEST_LOCALE=1")
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err != nil || stderr.Len() > 0 {
			t.Errorf("LANG=%s: %v\n%s%s", locale, err, &stdout, &stderr)
		}
	}
}
