package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

// story makes a conversation with versions and documents.
func story(t testing.TB, s *Store) Conversation {
	t.Helper()
	ctx := t.Context()
	f := must(s.CreateFolder(ctx, "Böcke"))(t)
	c := must(s.CreateConversation(ctx, Conversation{Title: "A title\nof two lines", Folder: f.ID, System: "Be brief.", Sampling: json.RawMessage(`{"t": 0.5}`), Model: "demo"}))(t)
	q := say(t, s, c.ID, "", User, "Sum this up.\n")
	must(s.AddDocument(ctx, Document{Conversation: c.ID, Message: q, Path: "/b/book.pdf", Name: "book.pdf", Title: "T", Format: "pdf", Encoding: "GBK", Size: 9, Hash: "h", Pages: 3,
		Words: 2, Tokens: 5, TokensRead: 4, Status: DocumentReading, Summary: "so far", SummaryWords: 100, Trained: 7,
		Problem: Note{Kind: "missing", Text: "e"}, Notes: []Note{{Kind: "blank", Counts: []int{1, 3}, Text: "1 of 3"}, {Kind: "charset", Names: []string{"GBK"}}}}))(t)
	must(s.AddDocument(ctx, Document{Conversation: c.ID, Name: "all.txt", Status: DocumentDone}))(t)
	said := say(t, s, c.ID, q, Assistant, "First version.")
	must(s.AddMessage(ctx, Message{Conversation: c.ID, Parent: said, Answers: q, Role: Assistant, Content: "The summary.", Status: Done,
		Note: Note{Kind: "part", Counts: []int{37}, Names: []string{"book.pdf"}, Text: "from 37 %"}}))(t)
	must(s.AddMessage(ctx, Message{Conversation: c.ID, Parent: q, Role: Assistant, Content: "Second <version> 二", Status: Stopped, Tokens: 3,
		FirstToken: 4, Duration: 5, Model: "demo"}))(t)
	must(s.AddMessage(ctx, Message{Conversation: c.ID, Parent: q, Role: Assistant, Status: Pending}))(t)
	failed := must(s.AddMessage(ctx, Message{Conversation: c.ID, Parent: q, Role: Assistant, Content: "Third", Status: Failed, Problem: Note{Kind: "device-lost", Text: "the device\nwas lost"}}))(t)
	say(t, s, c.ID, failed.ID, System, "Note.")
	return must(s.Conversation(ctx, c.ID))(t)
}

// plain is a conversation without ids and times of its own making, for
// comparing.
func plain(t testing.TB, s *Store, id ID) string {
	t.Helper()
	var b bytes.Buffer
	ok(t, s.Export(t.Context(), &b, id))
	var e exported
	ok(t, json.Unmarshal(b.Bytes(), &e))
	c := &e.Conversations[0]
	number := map[string]string{"": ""}
	for i := range c.Messages {
		number[c.Messages[i].ID] = string(rune('A' + i))
	}
	c.Leaf = number[c.Leaf]
	for i := range c.Messages {
		m := &c.Messages[i]
		m.ID, m.Parent, m.Answers = number[m.ID], number[m.Parent], number[m.Answers]
	}
	for i := range c.Documents {
		c.Documents[i].Message = number[c.Documents[i].Message]
	}
	text := must(json.Marshal(c))(t)
	return string(text)
}

func TestExportImport(t *testing.T) {
	s, ctx := openNew(t), t.Context()
	c, other := story(t, s), conversation(t, s, "empty")
	gone := conversation(t, s, "gone")
	ok(t, s.DeleteConversations(ctx, gone.ID))
	var all bytes.Buffer
	ok(t, s.Export(ctx, &all))
	if strings.Contains(all.String(), "gone") {
		t.Error("exported what is deleted")
	}
	before := plain(t, s, c.ID)
	for _, into := range []*Store{s, openNew(t)} {
		list := must(into.Import(ctx, bytes.NewReader(all.Bytes()), nil))(t)
		if len(list) != 2 || list[1].ID == c.ID || list[0].ID == other.ID {
			t.Fatalf("imported %+v", list)
		}
		var got Conversation
		for _, i := range list {
			if i.Title == c.Title {
				got = i
			}
		}
		// What is unfinished cannot go on elsewhere.
		want := strings.NewReplacer(`"pending"`, `"stopped"`, `"reading"`, `"paused"`).Replace(before)
		if after := plain(t, into, got.ID); after != want {
			t.Errorf("imported\n%s\nof\n%s", after, want)
		}
		if kept := must(into.Conversation(ctx, got.ID))(t); !reflect.DeepEqual(kept, got) {
			t.Errorf("kept %+v, said %+v", kept, got)
		}
		folders := must(into.Folders(ctx))(t)
		if len(folders) != 1 || folders[0].Name != "Böcke" || got.Folder != folders[0].ID {
			t.Errorf("folders %+v", folders)
		}
		if hits := must(into.Search(ctx, "second <vers", 9))(t); len(hits) == 0 {
			t.Error("not found by search")
		}
		whole(t, into)
	}
	if after := plain(t, s, c.ID); after != before {
		t.Error("importing changed what was there")
	}
	if err := s.Export(ctx, &all, "none"); !errors.Is(err, ErrNotFound) {
		t.Errorf("exported none: %v", err)
	}
}

func TestImportRefuses(t *testing.T) {
	s, ctx := openNew(t), t.Context()
	good := `{"format":"kestrel conversations","version":1,"conversations":[{"title":"t","created":"2026-01-02T03:04:05Z","updated":"2026-01-02T03:04:05Z",
		"leaf":"b","messages":[{"id":"b","parent":"a","role":"assistant","content":"secret","status":"done","created":"2026-01-02T03:04:05Z"},
		{"id":"a","role":"user","content":"","status":"done","created":"2026-01-02T03:04:05Z"}],
		"documents":[{"message":"a","path":"","name":"","format":"","size":1,"status":"done","created":"2026-01-02T03:04:05Z"}]}]}`
	list := must(s.Import(ctx, strings.NewReader(good), nil))(t)
	if path := must(s.Tree(ctx, list[0].ID))(t).Path(); len(path) != 2 || path[1].Content != "secret" {
		t.Errorf("an answer before its question: %+v", path)
	}
	before := must(s.CountConversations(ctx, Listing{}))(t)
	for _, tt := range []struct {
		what, old, new string
		kind           error
	}{
		{"other file", `kestrel conversations`, `x`, ErrInvalid},
		{"newer", `"version":1`, `"version":2`, ErrNewer},
		{"version 0", `"version":1`, `"version":0`, ErrInvalid},
		{"cut", `]}]}`, ``, ErrInvalid},
		{"more behind", `]}]}`, `]}]}{}`, ErrInvalid},
		{"syntax", `"leaf":"b",`, `"leaf":"b"`, ErrInvalid},
		{"type", `"title":"t"`, `"title":["secret"]`, ErrInvalid},
		{"same ids", `"id":"a"`, `"id":"b"`, ErrInvalid},
		{"no id", `"id":"a"`, `"id":""`, ErrInvalid},
		{"no parent", `"parent":"a"`, `"parent":"c"`, ErrInvalid},
		{"circle of one", `"parent":"a"`, `"parent":"b"`, ErrInvalid},
		{"circle of two", `"id":"a",`, `"id":"a","parent":"b",`, ErrInvalid},
		{"answers none", `"role":"assistant"`, `"role":"assistant","answers":"c"`, ErrInvalid},
		{"trained", `"size":1`, `"size":1,"trained":-1`, ErrInvalid},
		{"no leaf", `"leaf":"b"`, `"leaf":"c"`, ErrInvalid},
		{"role", `"user"`, `"secret"`, ErrInvalid},
		{"status", `"content":"","status":"done"`, `"content":"","status":"secret"`, ErrInvalid},
		{"document's status", `"size":1,"status":"done"`, `"size":1,"status":"secret"`, ErrInvalid},
		{"document's size", `"size":1`, `"size":-1`, ErrInvalid},
		{"document's message", `"message":"a"`, `"message":"c"`, ErrInvalid},
		{"count", `"content":"",`, `"content":"","tokens":-1,`, ErrInvalid},
		{"time", `2026-01-02T03:04:05Z`, `secret`, ErrInvalid},
		{"far time", `2026-01-02T03:04:05Z`, `9999-12-31T23:59:59-01:00`, ErrInvalid},
	} {
		text := strings.Replace(good, tt.old, tt.new, 1)
		if text == good {
			t.Fatalf("%s changes nothing", tt.what)
		}
		_, err := s.Import(ctx, strings.NewReader(text), nil)
		if !errors.Is(err, tt.kind) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", tt.what, err)
		}
	}
	if n := must(s.CountConversations(ctx, Listing{}))(t); n != before {
		t.Errorf("%d conversations, %d before", n, before)
	}
}

func TestExportMarkdown(t *testing.T) {
	s, ctx := openNew(t), t.Context()
	c := story(t, s)
	var b strings.Builder
	ok(t, s.ExportMarkdown(ctx, &b, c.ID, EnglishLabels))
	want := `# A title of two lines

- all.txt

## You

- book.pdf

Sum this up.

## Kestrel

Third

*(failed: the device was lost)*

## Note

Note.
`
	if b.String() != want {
		t.Errorf("%s\nwant\n%s", b.String(), want)
	}
}

// FuzzImport imports any bytes: they are refused, or come out again as they
// went in. Either way the database is whole and what was there is there.
func FuzzImport(f *testing.F) {
	s := openNew(f)
	c := story(f, s)
	var b bytes.Buffer
	ok(f, s.Export(f.Context(), &b))
	f.Add(b.Bytes())
	f.Add([]byte(`{"format":"kestrel conversations","version":1,"conversations":[{"sampling":[ 1 ],"messages":[{"id":"a","role":"user","status":"done"},{"id":"b","parent":"c","role":"user","status":"done"},{"id":"c","parent":"b","role":"user","status":"done"}]}]}`))
	f.Add([]byte(`{"format":"kestrel conversations","version":1,"conversations":[{"folder":"x","created":"0000-01-01T00:00:00Z","documents":[{"status":"reading"}]}]}`))
	before := plain(f, s, c.ID)
	f.Fuzz(func(t *testing.T, data []byte) {
		ctx := t.Context()
		list, err := s.Import(ctx, bytes.NewReader(data), nil)
		if err != nil {
			if !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrNewer) {
				t.Errorf("error %v", err)
			}
			return
		}
		for _, c := range list {
			var once bytes.Buffer
			ok(t, s.Export(ctx, &once, c.ID))
			again := must(s.Import(ctx, bytes.NewReader(once.Bytes()), nil))(t)
			if len(again) != 1 || plain(t, s, c.ID) != plain(t, s, again[0].ID) {
				t.Error("exported and imported again it is another")
			}
			ok(t, s.ExportMarkdown(ctx, &once, c.ID, EnglishLabels))
			ok(t, s.DeleteConversations(ctx, c.ID, again[0].ID))
		}
		must(s.Purge(ctx, time.Now().Add(time.Hour)))(t)
		if plain(t, s, c.ID) != before {
			t.Error("importing changed what was there")
		}
		whole(t, s)
	})
}
