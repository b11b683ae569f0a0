package tell

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"kestrel/app/document"
	"kestrel/app/library"
	"kestrel/app/session"
	"kestrel/app/store"
	"kestrel/app/ui/look"
	"kestrel/engine"
	"kestrel/engine/chat"
	"kestrel/engine/sample"
)

// inEach runs a test in both languages.
func inEach(t *testing.T, f func(t *testing.T, l look.Language)) {
	before := look.Current()
	t.Cleanup(func() { look.SetLanguage(before) })
	for _, l := range []look.Language{look.English, look.Chinese} {
		look.SetLanguage(l)
		f(t, l)
	}
}

func chinese(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.Han, r) })
}

// constants of the session's source whose names begin so.
func constants(t *testing.T, prefix string) map[string]string {
	t.Helper()
	return constantsOf(t, "../../session/problem.go", prefix)
}

func constantsOf(t *testing.T, source, prefix string) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), source, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok {
			for i, name := range v.Names {
				if lit, ok := at(v.Values, i).(*ast.BasicLit); ok && strings.HasPrefix(name.Name, prefix) {
					found[name.Name], _ = strconv.Unquote(lit.Value)
				}
			}
		}
		return true
	})
	if len(found) < 5 {
		t.Fatalf("only %v found", found)
	}
	return found
}

func at(list []ast.Expr, i int) ast.Expr {
	if i < len(list) {
		return list[i]
	}
	return nil
}

// Every kind that the session has is said in both languages, whether it is new
// or was stored.
func TestEveryKind(t *testing.T) {
	kinds := constants(t, "Kind")
	inEach(t, func(t *testing.T, l look.Language) {
		for name, kind := range kinds {
			text := Problem(&session.Problem{Kind: session.Kind(kind), Text: "run step: xyzzy"})
			first, _, _ := strings.Cut(text, "\n")
			if strings.Contains(first, "xyzzy") || strings.HasPrefix(first, "tell.") || chinese(first) != (l == look.Chinese) || len(first) < 6 {
				t.Errorf("%s, %s: %q", l, name, text)
			}
			if stored := Stored(session.Note{Kind: kind, Text: "run step: xyzzy"}); stored != text {
				t.Errorf("%s, stored %s: %q, new %q", l, name, stored, text)
			}
		}
	})
	if len(problems) != len(kinds) {
		t.Errorf("%d kinds are said, %d there are", len(problems), len(kinds))
	}
}

// What may end an answer, the reading of a document or the window's own work is
// told by its kind.
func TestErrors(t *testing.T) {
	inEach(t, func(t *testing.T, l look.Language) {
		for key, err := range map[string]error{
			"tell.deviceLost":  fmt.Errorf("run step: %w", engine.ErrDeviceLost),
			"tell.outOfMemory": fmt.Errorf("allocate: %w: 38 MiB needed", engine.ErrOutOfDeviceMemory),
			"tell.badModel":    fmt.Errorf("open: %w", engine.ErrBadModel),
			"tell.unsupported": fmt.Errorf("open: %w", engine.ErrUnsupported),
			"tell.noDevice":    fmt.Errorf("open: %w", engine.ErrNoDevice),
			"tell.notFinite":   fmt.Errorf("step: %w", engine.ErrNotFinite),
			"tell.tooLong":     fmt.Errorf("feed: %w", engine.ErrTooLong),
			"tell.template":    fmt.Errorf("render: %w", chat.ErrRefused),
			"tell.sampling":    fmt.Errorf("%w: top-p 7", sample.ErrParams),
			"tell.noModel":     fmt.Errorf("read: %w", engine.ErrClosed),
			"tell.missing":     &document.Error{Name: "x", Kind: document.ErrMissing, What: "w"},
			"tell.slow":        &document.Error{Name: "x", Kind: document.ErrTimeout, What: "w"},
			"tell.noSpace":     &store.Error{Op: "save", Kind: store.ErrNoSpace},
			"tell.store":       &store.Error{Op: "save", Cause: errors.New("xyzzy")},
			"tell.network":     &library.Error{Op: "pull", Kind: library.ErrHub, Problem: "p"},
			"tell.other":       errors.New("xyzzy"),
		} {
			want := look.T(key)
			got := Error(err)
			if first, rest, found := strings.Cut(got, "\n"); first != want || found && rest != look.T("tell.details", session.ProblemOf(err).Text) {
				t.Errorf("%s, %v: %q, want %q", l, err, got, want)
			}
			if d := Error(Doing("Rename", err)); d != "Rename: "+got {
				t.Errorf("%q", d)
			}
		}
		if got := Error(Doing("Import", Said("nothing there"))); got != "Import: nothing there" {
			t.Errorf("%q", got)
		}
	})
	for text, want := range map[string]string{"One. Two.": "One.", "一。二。": "一。", "one": "one", "a\nb": "a"} {
		if got := Sentence(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
	if Problem(nil) != "" || Problem(&session.Problem{Kind: "of a newer Kestrel", Text: "its words"}) != "its words" {
		t.Error("what has no known kind must keep its own words")
	}
}

// Every kind of note is said with its numbers and names in both languages.
func TestNotes(t *testing.T) {
	kinds := constants(t, "Note")
	inEach(t, func(t *testing.T, l look.Language) {
		for name, kind := range kinds {
			text := Note(session.Note{Kind: kind, Counts: map[string][]int{
				session.NotePart: {37, 1234}, session.NoteCut: {37}, session.NoteCircled: {37}, session.NoteBlank: {3, 37}, session.NotePages: {3, 37}, session.NoteCharacters: {37}, session.NoteChapters: {3, 37},
			}[kind], Names: map[string][]string{
				session.NotePart: {"book.md"}, session.NoteBeginning: {"book.md"}, session.NoteUnread: {"book.md"}, session.NoteCharset: {"book.md"},
			}[kind], Text: "xyzzy"})
			if strings.Contains(text, "%!") || strings.Contains(text, "xyzzy") || strings.HasPrefix(text, "tell.") || chinese(text) != (l == look.Chinese) ||
				!strings.Contains(text, "book.md") && !strings.Contains(text, "37") {
				t.Errorf("%s, %s: %q", l, name, text)
			}
		}
	})
	if Note(session.Note{}) != "" || Note(session.Note{Kind: "new", Text: "its words"}) != "its words" {
		t.Error("what has no known kind must keep its own words")
	}
}
