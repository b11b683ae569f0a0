package store

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestTree(t *testing.T) {
	s, ctx := openNew(t), t.Context()
	c := conversation(t, s, "").ID
	if tree := must(s.Tree(ctx, c))(t); tree.Len() != 0 || tree.Leaf() != "" || tree.Path() != nil {
		t.Errorf("an empty tree: %+v", tree)
	}
	// q1 ── a1 ── q2 ── a2
	//    │     └─ q2b (edited)
	//    └─ a1b (again) ── q3
	q1 := say(t, s, c, "", User, "q1")
	a1 := say(t, s, c, q1, Assistant, "a1")
	q2 := say(t, s, c, a1, User, "q2")
	a2 := say(t, s, c, q2, Assistant, "a2")
	q2b := say(t, s, c, a1, User, "q2b")
	a1b := say(t, s, c, q1, Assistant, "a1b")
	q3 := say(t, s, c, a1b, User, "q3")
	tree := must(s.Tree(ctx, c))(t)
	path := func(list []Message) string {
		var all []string
		for _, m := range list {
			all = append(all, m.Content)
		}
		return strings.Join(all, " ")
	}
	for id, want := range map[ID]string{a2: "q1 a1 q2 a2", q2b: "q1 a1 q2b", q3: "q1 a1b q3", a1: "q1 a1", "": "", "none": ""} {
		if got := path(tree.PathTo(id)); got != want {
			t.Errorf("path to %s: %s", want, got)
		}
	}
	if path(tree.All()) != "q1 a1 q2 a2 q2b a1b q3" || path(tree.Path()) != "q1 a1b q3" || tree.Leaf() != q3 {
		t.Errorf("all %s, path %s", path(tree.All()), path(tree.Path()))
	}
	for _, tt := range []struct {
		of    ID
		want  []ID
		index int
	}{{q1, []ID{q1}, 0}, {a1, []ID{a1, a1b}, 0}, {a1b, []ID{a1, a1b}, 1}, {q2b, []ID{q2, q2b}, 1}, {"none", nil, -1}} {
		if got, index := tree.Versions(tt.of); !slices.Equal(got, tt.want) || index != tt.index {
			t.Errorf("versions of %s: %v, %d", tt.of, got, index)
		}
	}
	for from, want := range map[ID]ID{q1: q3, a1: q2b, q2: a2, a2: a2} {
		if got := tree.Newest(from); got != want {
			t.Errorf("newest below %s is %s", from, got)
		}
	}
	if !slices.Equal(tree.Children(a1), []ID{q2, q2b}) || !slices.Equal(tree.Children(""), []ID{q1}) {
		t.Error("children")
	}
	if m, there := tree.Message(a2); !there || m.Content != "a2" {
		t.Error("message")
	}
	ok(t, s.SetLeaf(ctx, c, a2))
	if got := path(must(s.Tree(ctx, c))(t).Path()); got != "q1 a1 q2 a2" {
		t.Errorf("chosen %s", got)
	}

	other := conversation(t, s, "").ID
	for what, err := range map[string]error{
		"leaf of another conversation": s.SetLeaf(ctx, other, a2),
		"parent in another": func() error {
			_, err := s.AddMessage(ctx, Message{Conversation: other, Parent: a1, Role: User, Status: Done})
			return err
		}(),
		"message of none": func() error {
			_, err := s.AddMessage(ctx, Message{Conversation: "none", Role: User, Status: Done})
			return err
		}(),
		"tree of none":    func() error { _, err := s.Tree(ctx, "none"); return err }(),
		"message":         func() error { _, err := s.Message(ctx, "none"); return err }(),
		"fork of nothing": func() error { _, err := s.Fork(ctx, "none", ""); return err }(),
		"rename":          s.RenameConversation(ctx, "none", ""),
	} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := s.AddMessage(ctx, Message{Conversation: c, Role: "x", Status: Done}); !errors.Is(err, ErrInvalid) {
		t.Errorf("a message by nobody: %v", err)
	}
	if tree := must(s.Tree(ctx, c))(t); tree.Len() != 7 || tree.Leaf() != a2 {
		t.Error("a refused message left something")
	}
}

func TestFork(t *testing.T) {
	s, ctx := openNew(t), t.Context()
	folder := must(s.CreateFolder(ctx, "f"))(t)
	c := must(s.CreateConversation(ctx, Conversation{Title: "T", Folder: folder.ID, System: "S", Model: "m"}))(t)
	q := say(t, s, c.ID, "", User, "q")
	a := say(t, s, c.ID, q, Assistant, "a")
	other := say(t, s, c.ID, q, Assistant, "other")
	document := func(message ID, status DocumentStatus) ID {
		return must(s.AddDocument(ctx, Document{Conversation: c.ID, Message: message, Name: "n", Status: status}))(t).ID
	}
	d, all := document(q, DocumentReading), document("", DocumentDone)
	document(other, DocumentDone)
	st := must(s.SaveState(ctx, State{Message: a, Tokens: 5, TextHash: "h", Model: "m"}, bytesOf(10)))(t)
	must(s.SaveState(ctx, State{Document: d, Section: 3, Position: 99}, bytesOf(20)))(t)

	f := must(s.Fork(ctx, a, "Fork"))(t)
	if f.Title != "Fork" || f.Folder != folder.ID || f.System != "S" || f.Model != "m" || f.ID == c.ID {
		t.Errorf("fork %+v", f)
	}
	tree := must(s.Tree(ctx, f.ID))(t)
	path := tree.Path()
	if tree.Len() != 2 || len(path) != 2 || path[0].Content != "q" || path[1].Content != "a" || path[1].ID == a {
		t.Fatalf("messages %+v", tree.All())
	}
	documents := must(s.Documents(ctx, f.ID))(t)
	if len(documents) != 2 || documents[0].Message != path[0].ID || documents[1].Message != "" || documents[0].Status != DocumentPaused {
		t.Fatalf("documents %+v", documents)
	}
	states := must(s.States(ctx, f.ID))(t)
	if len(states) != 2 || states[0].Message != path[1].ID || states[0].TextHash != "h" || states[1].Document != documents[0].ID || states[1].Position != 99 {
		t.Fatalf("states %+v", states)
	}
	if u := must(s.StateUsage(ctx))(t); u.Files != 2 || u.Bytes != 30 {
		t.Errorf("forking took %+v", u)
	}
	// Either of the two may go: the other keeps the files.
	ok(t, s.DropState(ctx, st.ID))
	if data := must(contents(ctx, s, states[0].ID))(t); len(data) != 10 {
		t.Errorf("%d bytes", len(data))
	}
	ok(t, s.DeleteConversations(ctx, c.ID))
	must(s.Purge(ctx, time.Now().Add(time.Hour)))(t)
	if data := must(contents(ctx, s, states[1].ID))(t); len(data) != 20 {
		t.Errorf("%d bytes", len(data))
	}
	if _, err := s.Document(ctx, all); !errors.Is(err, ErrNotFound) {
		t.Errorf("a document of what was purged: %v", err)
	}
	ok(t, s.DeleteDocument(ctx, documents[0].ID))
	ok(t, s.DropState(ctx, states[0].ID))
	if u := must(s.StateUsage(ctx))(t); u.Files != 0 || len(stateFiles(t, s)) != 0 {
		t.Errorf("left %+v, %v", u, stateFiles(t, s))
	}

	// A fork of an answer that grows has what is written of it.
	m := must(s.AddMessage(ctx, Message{Conversation: f.ID, Parent: path[1].ID, Role: Assistant, Status: Pending}))(t)
	growing := must(s.StartAnswer(ctx, m.ID))(t)
	growing.Append("half")
	ok(t, growing.flush())
	g := must(s.Fork(ctx, m.ID, ""))(t)
	if last := must(s.Message(ctx, g.Leaf))(t); last.Status != Stopped || last.Content != "half" || g.Title != "Fork" {
		t.Errorf("%+v", last)
	}
	ok(t, growing.Finish(Result{Status: Done}))
}
func TestAnswer(t *testing.T) {
	s, ctx := openNew(t), t.Context()
	c := conversation(t, s, "")
	q := say(t, s, c.ID, "", User, "q")
	m := must(s.AddMessage(ctx, Message{Conversation: c.ID, Parent: q, Role: Assistant, Status: Pending}))(t)
	a := must(s.StartAnswer(ctx, m.ID))(t)
	if _, err := s.StartAnswer(ctx, m.ID); !errors.Is(err, ErrInvalid) {
		t.Errorf("started twice: %v", err)
	}
	if _, err := s.StartAnswer(ctx, q); !errors.Is(err, ErrInvalid) {
		t.Errorf("started a finished message: %v", err)
	}
	a.Append("one ")
	a.Append("two ")
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(flushEvery / 10) {
		got := must(s.Message(ctx, m.ID))(t)
		if got.Status != Streaming {
			t.Fatalf("status %s", got.Status)
		}
		if got.Content == "one two " {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("not written in the background: %q", got.Content)
		}
	}
	a.Append("three")
	if err := a.Finish(Result{Status: Pending}); !errors.Is(err, ErrInvalid) {
		t.Errorf("finished as pending: %v", err)
	}
	ok(t, a.Finish(Result{Status: Stopped, Tokens: 3, FirstToken: 1, Duration: 2, Model: "m"}))
	a.Append("late")
	ok(t, a.Finish(Result{Status: Failed}))
	got := must(s.Message(ctx, m.ID))(t)
	if got.Content != "one two three" || got.Status != Stopped || got.Tokens != 3 || got.FirstToken != 1 || got.Duration != 2 || got.Model != "m" {
		t.Errorf("%+v", got)
	}

	// A conversation purged under a growing answer.
	n := must(s.AddMessage(ctx, Message{Conversation: c.ID, Parent: m.ID, Role: Assistant, Status: Pending}))(t)
	b := must(s.StartAnswer(ctx, n.ID))(t)
	b.Append("x")
	ok(t, s.DeleteConversations(ctx, c.ID))
	must(s.Purge(ctx, time.Now().Add(time.Hour)))(t)
	if err := b.Finish(Result{Status: Done}); !errors.Is(err, ErrNotFound) {
		t.Errorf("finished in what was purged: %v", err)
	}
}

// What is put in an answer's place counts, whether the old text was written by then or not, and whether that could be
// written at once.
func TestReplace(t *testing.T) {
	s, ctx := openNew(t), t.Context()
	c := conversation(t, s, "")
	limit := func(n int) { must(s.writer.Exec(fmt.Sprintf(`PRAGMA max_page_count = %d`, n)))(t) }
	much := strings.Repeat("much text ", 20_000)
	for _, test := range []struct {
		name string
		do   func(a *Answer)
		want string
	}{
		{"what was written", func(a *Answer) { a.Append("wombat"); ok(t, a.flush()); a.Replace("koala") }, "koala"},
		{"what waits", func(a *Answer) { a.Append("wombat"); a.Replace("koala") }, "koala"},
		{"both", func(a *Answer) {
			a.Append("wombat")
			ok(t, a.flush())
			a.Append("s")
			a.Replace("koala")
			a.Append("s")
		}, "koalas"},
		{"twice", func(a *Answer) {
			a.Append("wombat")
			ok(t, a.flush())
			a.Replace("x")
			ok(t, a.flush())
			a.Append("y")
			a.Replace("koala")
		}, "koala"},
		{"by nothing", func(a *Answer) { a.Append("wombat"); ok(t, a.flush()); a.Replace("") }, ""},
		{"by nothing, at once", func(a *Answer) { a.Append("wombat"); ok(t, a.flush()); a.Replace(""); ok(t, a.flush()) }, ""},
		{"no room for the new", func(a *Answer) {
			a.Append("wombat")
			ok(t, a.flush())
			limit(must(row(ctx, s.writer, "", value[int], `PRAGMA page_count`))(t))
			a.Replace(much)
			a.Append("1")
			if err := a.flush(); !errors.Is(err, ErrNoSpace) {
				t.Errorf("error %v", err)
			}
			a.Append("2")
			limit(1 << 30)
		}, much + "12"},
		{"no room for the old", func(a *Answer) {
			limit(must(row(ctx, s.writer, "", value[int], `PRAGMA page_count`))(t))
			a.Append(much)
			if err := a.flush(); !errors.Is(err, ErrNoSpace) {
				t.Errorf("error %v", err)
			}
			a.Replace("koala")
			limit(1 << 30)
		}, "koala"},
		{"after the end", func(a *Answer) { a.Append("koala"); ok(t, a.Finish(Result{Status: Done})); a.Replace("x") }, "koala"},
	} {
		m := must(s.AddMessage(ctx, Message{Conversation: c.ID, Role: Assistant, Status: Pending}))(t)
		a := must(s.StartAnswer(ctx, m.ID))(t)
		test.do(a)
		ok(t, a.Finish(Result{Status: Done}))
		if got := must(s.Message(ctx, m.ID))(t); got.Content != test.want || got.Status != Done {
			t.Errorf("%s: %.40q, %s", test.name, got.Content, got.Status)
		}
	}
	if hits := must(s.Search(ctx, "wombat", 10))(t); len(hits) != 0 {
		t.Errorf("what was replaced is found: %+v", hits)
	}
	if hits := must(s.Search(ctx, "koala", 10))(t); len(hits) == 0 {
		t.Error("what it was replaced by is not found")
	}
	whole(t, s)
}

// A disk that is full loses nothing: it is written when there is room again.
func TestFullDisk(t *testing.T) {
	s, ctx := openNew(t), t.Context()
	c := conversation(t, s, "")
	m := must(s.AddMessage(ctx, Message{Conversation: c.ID, Role: Assistant, Status: Pending}))(t)
	a := must(s.StartAnswer(ctx, m.ID))(t)
	pages := must(row(ctx, s.writer, "", value[int], `PRAGMA page_count`))(t)
	limit := func(n int) { must(s.writer.Exec(fmt.Sprintf(`PRAGMA max_page_count = %d`, n)))(t) }
	limit(pages)
	text := strings.Repeat("much text ", 10_000)
	a.Append(text)
	err := a.Finish(Result{Status: Done})
	if !errors.Is(err, ErrNoSpace) || !strings.Contains(err.Error(), "make room") || strings.Contains(err.Error(), "much") {
		t.Fatalf("error %v", err)
	}
	if _, err := s.AddMessage(ctx, Message{Conversation: c.ID, Role: User, Status: Done, Content: text}); !errors.Is(err, ErrNoSpace) {
		t.Errorf("error %v", err)
	}
	if _, err := s.SaveState(ctx, State{Message: m.ID}, failing{err: syscall.ENOSPC}); !errors.Is(err, ErrNoSpace) || len(stateFiles(t, s)) > 0 {
		t.Errorf("error %v, files %v", err, stateFiles(t, s))
	}
	if got := must(s.Message(ctx, m.ID))(t); got.Status != Streaming {
		t.Errorf("%s", got.Status)
	}
	limit(1 << 30)
	ok(t, a.Finish(Result{Status: Done}))
	if got := must(s.Message(ctx, m.ID))(t); got.Content != text || got.Status != Done {
		t.Errorf("%d bytes, %s", len(got.Content), got.Status)
	}
	whole(t, s)
}

// Close writes what was appended; an answer that was not finished is stopped at
// the next start, a document that was not read to its end is paused.
func TestCloseWhileWorking(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	s := must(Open(ctx, dir))(t)
	c := conversation(t, s, "")
	m := must(s.AddMessage(ctx, Message{Conversation: c.ID, Role: Assistant, Status: Pending}))(t)
	d := must(s.AddDocument(ctx, Document{Conversation: c.ID, Message: m.ID, Status: DocumentReading, TokensRead: 5}))(t)
	a := must(s.StartAnswer(ctx, m.ID))(t)
	a.Append("almost")
	ok(t, s.Close())
	if err := a.Finish(Result{Status: Done}); !errors.Is(err, ErrClosed) {
		t.Errorf("finished after Close: %v", err)
	}
	s = openAt(t, dir)
	if got := must(s.Message(ctx, m.ID))(t); got.Content != "almost" || got.Status != Stopped {
		t.Errorf("%+v", got)
	}
	if got := must(s.Document(ctx, d.ID))(t); got.Status != DocumentPaused || got.TokensRead != 5 {
		t.Errorf("%+v", got)
	}
	if hits := must(s.Search(ctx, "almost", 9))(t); len(hits) != 1 {
		t.Errorf("hits %+v", hits)
	}
}

func TestUpdateDocument(t *testing.T) {
	s, ctx := openNew(t), t.Context()
	c := conversation(t, s, "").ID
	d := must(s.AddDocument(ctx, Document{Conversation: c, Status: DocumentWaiting}))(t)
	got := must(s.UpdateDocument(ctx, d.ID, func(d *Document) { d.ID, d.Conversation, d.TokensRead, d.Status = "x", "y", 7, DocumentDone }))(t)
	d.TokensRead, d.Status = 7, DocumentDone
	if !reflect.DeepEqual(got, d) || !reflect.DeepEqual(must(s.Document(ctx, d.ID))(t), d) {
		t.Errorf("%+v, want %+v", got, d)
	}
	if _, err := s.UpdateDocument(ctx, d.ID, func(d *Document) { d.Status = "" }); !errors.Is(err, ErrInvalid) {
		t.Errorf("no status: %v", err)
	}
	if _, err := s.UpdateDocument(ctx, d.ID, func(d *Document) { d.Message = "none" }); !errors.Is(err, ErrNotFound) {
		t.Errorf("no such message: %v", err)
	}
	if _, err := s.UpdateDocument(ctx, "none", func(*Document) {}); !errors.Is(err, ErrNotFound) {
		t.Errorf("no such document: %v", err)
	}
	if _, err := s.AddDocument(ctx, Document{Conversation: c}); !errors.Is(err, ErrInvalid) {
		t.Errorf("added without status: %v", err)
	}
}
