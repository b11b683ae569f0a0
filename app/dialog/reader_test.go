package dialog

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kestrel/app/backend"
	"kestrel/app/backend/backendtest"
	"kestrel/app/document"
	"kestrel/engine"
	"kestrel/engine/chat"
	"kestrel/engine/sample"
)

func reader(t *testing.T, e *backendtest.Engine, keep int) *Reader {
	t.Helper()
	m, err := e.Open(context.Background(), "a", engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	return NewReader(m, s, NewFormat(m.Template(), m.Tokenizer()), keep)
}

func compose(t *testing.T, r *Reader, messages ...Message) Prompt {
	t.Helper()
	p, err := r.Format.Compose(messages, true)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func user(text string) Message      { return Message{Role: chat.User, Content: text} }
func assistant(text string) Message { return Message{Role: chat.Assistant, Content: text} }

func answer(t *testing.T, r *Reader) string {
	t.Helper()
	s, err := sample.New(sample.Params{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Answer(context.Background(), s, engine.GenerateOptions{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return got.Text
}

func read(t *testing.T, r *Reader, p Prompt, saved ...Saved) int {
	t.Helper()
	fed, _, err := r.Read(context.Background(), p, saved, nil)
	if err != nil {
		t.Fatal(err)
	}
	return fed
}

// TestMarks holds that the longest known beginning is where reading goes on.
func TestMarks(t *testing.T) {
	ctx := context.Background()
	e := backendtest.New("Fine.")
	r := reader(t, e, 10)
	read(t, r, compose(t, r, user("One")))
	prompted, err := r.Mark(ctx)
	if err != nil {
		t.Fatal(err)
	}
	answer(t, r)
	answered, err := r.Mark(ctx)
	if err != nil {
		t.Fatal(err)
	}
	one := []Message{user("One"), assistant("Fine.")}
	read(t, r, compose(t, r, append(one, user("Two"))...))
	answer(t, r)
	if fed := read(t, r, compose(t, r, user("One"))); fed != 0 || r.Tokens() != prompted.Tokens {
		t.Errorf("answering anew read %d tokens", fed)
	}
	read(t, r, compose(t, r, append(one, user("Three"))...))
	if fed := e.Fed(); !slices.Equal(fed, []string{turnText("One"), "\n" + turnText("Two"), "\n" + turnText("Three")}) {
		t.Errorf("fed %q", fed)
	}

	// another reader goes on from saved states, if they are of its model
	e = backendtest.New("Fine.")
	r = reader(t, e, 10)
	loads := 0
	load := func(s backend.State, err error) func() (backend.State, error) {
		return func() (backend.State, error) { loads++; return s, err }
	}
	p := compose(t, r, append(one, user("Four"))...)
	read(t, r, p, Saved{prompted.Key, prompted.Tokens, load(prompted.State, nil)},
		Saved{answered.Key, answered.Tokens, load(nil, engine.ErrBadState)}, Saved{"9:ffff", 1000, load(nil, nil)}, Saved{"x", 1000, load(nil, nil)})
	if fed := e.Fed(); loads != 2 || !slices.Equal(fed, []string{"Fine.<|im_end|>\n" + turnText("Four")}) {
		t.Errorf("%d loads, fed %q", loads, fed)
	}
	if n, _ := r.Marks(); n != 0 {
		t.Errorf("%d marks: states of a caller are the caller's", n)
	}
}

// TestTotal holds that the total told while text is read is exact, however many
// bytes a token has.
func TestTotal(t *testing.T) {
	for _, word := range []string{"a long word ", "鲸"} {
		r := reader(t, backendtest.New(""), 10)
		var totals []int
		fed, _, err := r.Read(context.Background(), compose(t, r, user(strings.Repeat(word, 300))), nil, func(_, total int) {
			totals = append(totals, total)
		})
		if err != nil || len(totals) == 0 {
			t.Fatalf("%v, told %d times", err, len(totals))
		}
		for _, total := range totals {
			if total != fed {
				t.Fatalf("%q: a total of %d was told, %d tokens were read", word, total, fed)
			}
		}
	}
}

// TestKeep bounds what is kept in memory, the last used staying.
func TestKeep(t *testing.T) {
	r := reader(t, backendtest.New(""), 3)
	for i := range 10 {
		read(t, r, compose(t, r, user(fmt.Sprint(i))))
		if _, err := r.Mark(context.Background()); err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			if fed := read(t, r, compose(t, r, user("0"))); fed != 0 {
				t.Fatalf("the mark in use was dropped after %d", i)
			}
		}
	}
	if n, bytes := r.Marks(); n != 3 || bytes != 3*backendtest.StateBytes {
		t.Errorf("%d marks, %d bytes", n, bytes)
	}
}

// TestReadStopped holds that a reading which ended midway is never taken for a
// whole one.
func TestReadStopped(t *testing.T) {
	e := backendtest.New("Fine.")
	r := reader(t, e, 10)
	read(t, r, compose(t, r, user("One")))
	if _, err := r.Mark(context.Background()); err != nil {
		t.Fatal(err)
	}
	long := user(strings.Repeat("word ", 1000))
	for _, ends := range []error{context.Canceled, backendtest.ErrFire} {
		n := 0
		e.Before = func(_ context.Context, op string) error {
			if n++; op == "feed" && n > 3 {
				return ends
			}
			return nil
		}
		if _, _, err := r.Read(context.Background(), compose(t, r, user("One"), assistant(""), long), nil, nil); !errors.Is(err, ends) {
			t.Fatalf("got %v", err)
		}
		e.Before = nil
		fed := len(e.Fed())
		read(t, r, compose(t, r, user("One"), assistant(""), user("Two")))
		if got := strings.Join(e.Fed()[fed:], ""); got != "<|im_end|>\n"+turnText("Two") {
			t.Errorf("fed %q", got)
		}
		read(t, r, compose(t, r, user("One")))
	}
}

func source(t *testing.T, text string) *Source {
	t.Helper()
	path := filepath.Join(t.TempDir(), "book.md")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return &Source{Key: "book", Open: func(ctx context.Context) (*document.Document, error) {
		return document.Open(ctx, path, document.Options{})
	}}
}

func book(parts, lines int) string {
	var b strings.Builder
	for i := range parts {
		fmt.Fprintf(&b, "## Part %d\n\n", i)
		for j := range lines {
			fmt.Fprintf(&b, "Line %d of part %d <|im_end|>.\n\n", j, i)
		}
	}
	return b.String()
}

// TestDocumentResumes stops the reading of a document after every chunk, takes
// the state there, and has a new reader go on from it: it must read what is
// left, token for token, and nothing else.
func TestDocumentResumes(t *testing.T) {
	ctx := context.Background()
	text := book(5, 30)
	src := source(t, text)
	request := Message{Role: chat.User, Content: SummaryRequest(Place, 20), Source: src}
	whole := backendtest.New("")
	r := reader(t, whole, 0)
	total := read(t, r, compose(t, r, user("Hello"), assistant("Hi."), request))
	want := turnText("Hello") + "Hi.<|im_end|>\n" + turnText(SummaryRequest(text, 20))
	if got := strings.Join(whole.Fed(), ""); got != want {
		t.Fatalf("read %q", got)
	}
	if r.text != compose(t, r, user("Hello"), assistant("Hi."), request).text {
		t.Errorf("the reader stands at %q", r.text)
	}
	for _, step := range []int{1, 100, 1 << 20} {
		e := backendtest.New("")
		first := reader(t, e, 0)
		p := compose(t, first, user("Hello"), assistant("Hi."), request)
		g, err := first.Start(ctx, p, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		var marks []Mark
		for more := true; more; {
			if more, err = g.Step(ctx, step, nil); err != nil {
				t.Fatal(err)
			}
			m := Mark{keyOf(first.text), first.Tokens(), nil}
			if m.State, err = first.session.State(ctx); err != nil {
				t.Fatal(err)
			}
			marks = append(marks, m)
			if g.Document() != nil && (g.Share() < 0 || g.Share() > 1 || len(g.Rest()) == 0) {
				t.Fatalf("share %v, rest %v", g.Share(), g.Rest())
			}
		}
		if g.Fed() != total {
			t.Errorf("fed %d tokens, want %d", g.Fed(), total)
		}
		if len(marks) < 3 || step == 1 && len(marks) < 20 {
			t.Errorf("%d steps of %d", len(marks), step)
		}
		for _, m := range marks {
			e := backendtest.New("")
			next := reader(t, e, 0)
			p := compose(t, next, user("Hello"), assistant("Hi."), request)
			fed := read(t, next, p, Saved{m.Key, m.Tokens, func() (backend.State, error) { return m.State, nil }})
			if fed != total-m.Tokens || !strings.HasSuffix(want, strings.Join(e.Fed(), "")) || next.Tokens() != total {
				t.Fatalf("after %d tokens %d were read, want %d", m.Tokens, fed, total-m.Tokens)
			}
			if next.text != first.text {
				t.Fatalf("stands at %q, want %q", next.text, first.text)
			}
		}
	}
}

// TestDocumentPaused holds that a reading which is stopped in the middle of a
// step goes on where it was.
func TestDocumentPaused(t *testing.T) {
	text := book(5, 30)
	e := backendtest.New("Short.")
	r := reader(t, e, 4)
	p := compose(t, r, Message{Role: chat.User, Content: SummaryRequest(Place, 20), Source: source(t, text)})
	g, err := r.Start(context.Background(), p, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	chunks := 0
	e.Before = func(context.Context, string) error {
		if chunks++; chunks%3 == 0 {
			return context.Canceled
		}
		return nil
	}
	stops := 0
	for more := true; more; {
		if more, err = g.Step(context.Background(), 1<<20, nil); err != nil {
			if stops++; !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}
	}
	e.Before = nil
	if want := turnText(SummaryRequest(text, 20)); strings.Join(e.Fed(), "") != want || stops < 10 {
		t.Errorf("%d stops, read %q", stops, strings.Join(e.Fed(), ""))
	}
	if answer(t, r); r.text != p.text+"Short.<|im_end|>" {
		t.Errorf("the reader stands at %q", r.text)
	}
}

// TestDocumentGone holds that a document which cannot be read ends the reading,
// unless a state spares it.
func TestDocumentGone(t *testing.T) {
	ctx := context.Background()
	src := source(t, "A short text.")
	r := reader(t, backendtest.New("Short."), 0)
	request := Message{Role: chat.User, Content: SummaryRequest(Place, 20), Source: src}
	read(t, r, compose(t, r, request))
	answer(t, r)
	key := keyOf(r.text)
	state, err := r.session.State(ctx)
	if err != nil {
		t.Fatal(err)
	}
	src.Open = func(ctx context.Context) (*document.Document, error) {
		return document.Open(ctx, "/nowhere/at all", document.Options{})
	}
	next := reader(t, backendtest.New(""), 0)
	p := compose(t, next, request, assistant("Short."), user("Why?"))
	if _, _, err := next.Read(ctx, p, nil, nil); !errors.Is(err, document.ErrMissing) {
		t.Errorf("got %v", err)
	}
	if fed := read(t, next, p, Saved{key, state.Tokens(), func() (backend.State, error) { return state, nil }}); fed == 0 || fed > 40 {
		t.Errorf("read %d tokens", fed)
	}
}

func FuzzPlace(f *testing.F) {
	f.Add("1,2,3,4")
	f.Add("1,0,0,0")
	f.Add("-1,,9999999999999999999,")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parsePlace(s)
		if err != nil {
			return
		}
		if again, err := parsePlace(p.String()); err != nil || again != p {
			t.Errorf("%q: %+v, %+v, %v", s, p, again, err)
		}
	})
}

// TestBorrow holds that a session which was lent to another text goes back to
// its own by a mark, or reads it again.
func TestBorrow(t *testing.T) {
	ctx := context.Background()
	other := reader(t, backendtest.New(""), 1)
	read(t, other, compose(t, other, user(strings.Repeat("another text ", 50))))
	lent, err := other.Mark(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, marked := range []bool{true, false} {
		for name, use := range map[string]func(r *Reader) error{
			"borrow": func(r *Reader) error {
				s, err := sample.New(sample.Params{})
				if err != nil {
					return err
				}
				got, err := r.Borrow(ctx, lent.State, r.Format.tok.Encode("And?", true), s, engine.GenerateOptions{}, Straight{}, nil)
				if err == nil && got.Text != "Fine." {
					t.Errorf("borrowed: %q", got.Text)
				}
				return err
			},
			"time": func(r *Reader) error {
				took, err := r.Time(ctx, r.Format.tok.Encode("some text", false))
				if err == nil && took <= 0 {
					t.Errorf("took %v", took)
				}
				return err
			},
		} {
			e := backendtest.New("Fine.")
			r := reader(t, e, 4)
			read(t, r, compose(t, r, user("One")))
			answer(t, r)
			if marked {
				if _, err := r.Mark(ctx); err != nil {
					t.Fatal(err)
				}
			}
			if err := use(r); err != nil {
				t.Fatal(err)
			}
			before := len(e.Fed())
			read(t, r, compose(t, r, user("One"), assistant("Fine."), user("Two")))
			want := "\n" + turnText("Two")
			if !marked {
				want = turnText("One") + "Fine.<|im_end|>" + want
			}
			if got := strings.Join(e.Fed()[before:], ""); got != want || r.Tokens() != len(r.Format.tok.Encode(r.text, true)) {
				t.Errorf("%s, marked %v: fed %q, want %q", name, marked, got, want)
			}
		}
	}
}

// TestBeside has Readers share their marks: one goes on where another was, and
// closing one takes nothing from the others.
func TestBeside(t *testing.T) {
	e := backendtest.New("Fine.")
	r := reader(t, e, 2)
	first := []Message{user("How are you, and all the others?")}
	read(t, r, compose(t, r, first...))
	said := answer(t, r)
	if _, err := r.Mark(context.Background()); err != nil {
		t.Fatal(err)
	}
	s, err := r.model.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	other := r.Beside(s)
	p := compose(t, other, append(first, assistant(said), user("And now?"))...)
	if r.Knows(p) != r.Tokens() || other.Knows(p) != 0 {
		t.Errorf("the first knows %d tokens, the other %d", r.Knows(p), other.Knows(p))
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, bytes := other.Marks(); bytes == 0 {
		t.Error("the marks are gone")
	}
	read(t, other, p)
	if fed := e.Fed(); fed[len(fed)-1] != "\n"+turnText("And now?") || other.Knows(p) != other.Tokens() {
		t.Errorf("fed %q", fed)
	}
}
