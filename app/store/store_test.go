package store

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestReopen(t *testing.T) {
	dir, ctx := filepath.Join(t.TempDir(), "a new ?#% folder"), t.Context()
	s := must(Open(ctx, dir))(t)
	folder := must(s.CreateFolder(ctx, "Work"))(t)
	c := must(s.CreateConversation(ctx, Conversation{Title: "T", Folder: folder.ID, System: "S", Sampling: json.RawMessage(`{"k":1}`), Model: "demo"}))(t)
	q := must(s.AddMessage(ctx, Message{Conversation: c.ID, Role: User, Content: "你好\x00, q", Status: Done, Tokens: 3}))(t)
	a := must(s.AddMessage(ctx, Message{Conversation: c.ID, Parent: q.ID, Role: Assistant, Status: Failed, Problem: Note{Kind: "k", Counts: []int{1, 2}, Names: []string{"ä"}, Text: "E"},
		Note: Note{Kind: "part", Text: "of it"}, Answers: q.ID, Tokens: 7,
		FirstToken: time.Second, Duration: time.Minute + 1, Model: "demo"}))(t)
	d := must(s.AddDocument(ctx, Document{Conversation: c.ID, Message: q.ID, Path: "/x/y.pdf", Name: "y.pdf", Title: "Y", Encoding: "GBK", Trained: 9, Format: "pdf", Size: 1 << 40, Hash: "h",
		Pages: 1, Words: 2, Tokens: 3, TokensRead: 2, Status: DocumentPaused, Summary: "s", SummaryWords: 100, Problem: Note{Text: "e"}, Notes: []Note{{Kind: "k"}}}))(t)
	ok(t, s.Close())
	ok(t, s.Close())
	if _, err := s.Conversation(ctx, c.ID); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	for _, name := range []string{databaseName, lockName} {
		if info := must(os.Stat(filepath.Join(dir, name)))(t); info.Mode().Perm() != 0o600 {
			t.Errorf("%s has rights %v", name, info.Mode())
		}
	}
	if info := must(os.Stat(dir))(t); info.Mode().Perm() != 0o700 {
		t.Errorf("the folder has rights %v", info.Mode())
	}

	s = openAt(t, dir)
	for _, name := range []string{databaseName + "-wal", databaseName + "-shm"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has rights %v", name, info.Mode())
		}
	}
	if s.Damage() != nil || !s.Alone() || s.Dir() != dir {
		t.Errorf("damage %+v, alone %v, dir %q", s.Damage(), s.Alone(), s.Dir())
	}
	got := must(s.Conversation(ctx, c.ID))(t)
	c.Leaf, c.Updated = a.ID, d.Created
	if !reflect.DeepEqual(got, c) {
		t.Errorf("conversation %+v, want %+v", got, c)
	}
	if path := must(s.Tree(ctx, c.ID))(t).Path(); !reflect.DeepEqual(path, []Message{q, a}) {
		t.Errorf("path %+v", path)
	}
	if m := must(s.Message(ctx, a.ID))(t); !reflect.DeepEqual(m, a) {
		t.Errorf("message %+v", m)
	}
	if list := must(s.Documents(ctx, c.ID))(t); !reflect.DeepEqual(list, []Document{d}) {
		t.Errorf("documents %+v, want %+v", list, d)
	}
}

func TestFolders(t *testing.T) {
	s, ctx := openNew(t), t.Context()
	var ids []ID
	for _, name := range []string{"a", "b", "c"} {
		ids = append(ids, must(s.CreateFolder(ctx, name))(t).ID)
	}
	names := func() string {
		var all []string
		for _, f := range must(s.Folders(ctx))(t) {
			all = append(all, f.Name)
		}
		return strings.Join(all, "")
	}
	if names() != "abc" {
		t.Errorf("folders %s", names())
	}
	ok(t, s.OrderFolders(ctx, []ID{ids[2], ids[0]}))
	ok(t, s.RenameFolder(ctx, ids[1], "B"))
	if names() != "caB" {
		t.Errorf("folders %s", names())
	}
	c := must(s.CreateConversation(ctx, Conversation{Folder: ids[0]}))(t)
	other := conversation(t, s, "")
	in := func(folder ID) []ID {
		l := Listing{InFolder: true, Folder: folder}
		var list []ID
		for _, c := range must(s.Conversations(ctx, l))(t) {
			list = append(list, c.ID)
		}
		if n := must(s.CountConversations(ctx, l))(t); n != len(list) {
			t.Errorf("counted %d of %d", n, len(list))
		}
		return list
	}
	if !slices.Equal(in(ids[0]), []ID{c.ID}) || !slices.Equal(in(""), []ID{other.ID}) {
		t.Error("in the wrong folders")
	}
	ok(t, s.DeleteFolder(ctx, ids[0]))
	if names() != "cB" || len(in(ids[0])) != 0 || len(in("")) != 2 || must(s.Conversation(ctx, c.ID))(t).Folder != "" {
		t.Error("the folder is not deleted")
	}
	ok(t, s.RestoreFolder(ctx, ids[0]))
	if names() != "caB" || !slices.Equal(in(ids[0]), []ID{c.ID}) {
		t.Error("the folder is not restored")
	}
	ok(t, s.MoveConversation(ctx, c.ID, ids[1]))
	if !slices.Equal(in(ids[1]), []ID{c.ID}) {
		t.Error("not moved")
	}
	ok(t, s.DeleteFolder(ctx, ids[1]))
	must(s.Purge(ctx, time.Now().Add(time.Hour)))(t)
	if err := s.RestoreFolder(ctx, ids[1]); !errors.Is(err, ErrNotFound) {
		t.Errorf("restored what was purged: %v", err)
	}
	if !slices.Contains(in(""), c.ID) {
		t.Error("the conversation went with its folder")
	}
	if err := s.MoveConversation(ctx, c.ID, "none"); err == nil {
		t.Error("moved into a folder that is not there")
	}
}

func TestSettings(t *testing.T) {
	s, ctx := openNew(t), t.Context()
	type window struct{ W, H int }
	if v := must(Setting(ctx, s, "window", window{3, 4}))(t); v != (window{3, 4}) {
		t.Errorf("fallback %v", v)
	}
	ok(t, s.SetSetting(ctx, "window", window{1, 2}))
	ok(t, s.SetSetting(ctx, "window", window{5, 6}))
	if v := must(Setting(ctx, s, "window", window{}))(t); v != (window{5, 6}) {
		t.Errorf("setting %v", v)
	}
	if v, err := Setting(ctx, s, "window", 7); !errors.Is(err, ErrInvalid) || v != 7 {
		t.Errorf("an object read as a number: %v, %v", v, err)
	}
	ok(t, s.DeleteSetting(ctx, "window"))
	if v := must(Setting(ctx, s, "window", window{}))(t); v != (window{}) {
		t.Errorf("deleted setting %v", v)
	}

	a := must(s.SavePreset(ctx, Preset{Name: "a", System: "x", Sampling: json.RawMessage(`[1]`)}))(t)
	b := must(s.SavePreset(ctx, Preset{Name: "b"}))(t)
	a.Name = "A"
	must(s.SavePreset(ctx, a))(t)
	if list := must(s.Presets(ctx))(t); !reflect.DeepEqual(list, []Preset{a, b}) {
		t.Errorf("presets %+v", list)
	}
	ok(t, s.DeletePreset(ctx, a.ID))
	if err := s.DeletePreset(ctx, a.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("deleted twice: %v", err)
	}
	if _, err := s.SavePreset(ctx, Preset{Sampling: json.RawMessage(`{`)}); !errors.Is(err, ErrInvalid) {
		t.Errorf("bad sampling: %v", err)
	}
}

func TestConfigure(t *testing.T) {
	s, ctx := openNew(t), t.Context()
	c := must(s.CreateConversation(ctx, Conversation{Title: "t", System: "old", Sampling: json.RawMessage(`{}`)}))(t)
	ok(t, s.Configure(ctx, c.ID, "new", nil, "demo"))
	ok(t, s.RenameConversation(ctx, c.ID, "T"))
	c.Title, c.System, c.Sampling, c.Model = "T", "new", nil, "demo"
	if got := must(s.Conversation(ctx, c.ID))(t); !reflect.DeepEqual(got, c) {
		t.Errorf("%+v, want %+v", got, c)
	}
	if err := s.Configure(ctx, c.ID, "", json.RawMessage(`{`), ""); !errors.Is(err, ErrInvalid) {
		t.Errorf("sampling that is no JSON: %v", err)
	}
	if _, err := s.CreateConversation(ctx, Conversation{Sampling: json.RawMessage(`{`)}); !errors.Is(err, ErrInvalid) {
		t.Errorf("created with sampling that is no JSON: %v", err)
	}
	if err := s.OrderFolders(ctx, []ID{"none"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("ordered a folder that is not there: %v", err)
	}
}

func TestListing(t *testing.T) {
	s, ctx := openNew(t), t.Context()
	var want []ID
	for range 7 {
		want = append([]ID{conversation(t, s, "").ID}, want...)
	}
	time.Sleep(2 * time.Millisecond)
	say(t, s, want[4], "", User, "now the newest")
	want = slices.Concat(want[4:5], want[:4], want[5:])
	var got []ID
	for offset := 0; ; offset += 3 {
		page := must(s.Conversations(ctx, Listing{Offset: offset, Limit: 3}))(t)
		if len(page) == 0 {
			break
		}
		for _, c := range page {
			got = append(got, c.ID)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("listed %v, want %v", got, want)
	}
}
