package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// fill makes conversations of a few messages each and gives a text of all.
func fill(t testing.TB, s *Store, conversations int) {
	t.Helper()
	for c := range conversations {
		id := conversation(t, s, fmt.Sprintf("c%03d", c)).ID
		parent := ID("")
		for m := range 4 {
			parent = say(t, s, id, parent, User, fmt.Sprintf("c%03d m%d %s", c, m, strings.Repeat("filling ", 100)))
		}
	}
}

// whole checks the database as SQLite and FTS5 can.
func whole(t testing.TB, s *Store) {
	t.Helper()
	ctx := t.Context()
	for _, pragma := range []string{"integrity_check", "foreign_key_check"} {
		list := must(rows(ctx, s.writer, value[string], "PRAGMA "+pragma))(t)
		if len(list) > 1 || len(list) == 1 && list[0] != "ok" {
			t.Errorf("%s: %q", pragma, list)
		}
	}
	if _, err := s.writer.ExecContext(ctx, `INSERT INTO message_index(message_index, rank) VALUES ('integrity-check', 1)`); err != nil {
		t.Errorf("index: %v", err)
	}
}

func TestNewer(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	s := must(Open(ctx, dir))(t)
	fill(t, s, 1)
	must(s.writer.Exec(fmt.Sprintf("PRAGMA user_version = %d", len(migrations)+1)))(t)
	ok(t, s.Close())
	before := must(os.ReadFile(filepath.Join(dir, databaseName)))(t)
	_, err := Open(ctx, dir)
	if !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), "update Kestrel") {
		t.Errorf("error %v", err)
	}
	after := must(os.ReadFile(filepath.Join(dir, databaseName)))(t)
	if string(before) != string(after) {
		t.Error("the database was changed")
	}
}

func TestMigrate(t *testing.T) {
	ctx := t.Context()
	db := must(sql.Open("sqlite", dsn(filepath.Join(t.TempDir(), "x.db"), "_txlock=immediate")))(t)
	defer db.Close()
	db.SetMaxOpenConns(1)
	steps := []string{"CREATE TABLE a(x); INSERT INTO a VALUES (1)", "ALTER TABLE a ADD COLUMN y; UPDATE a SET y = x + 1"}
	ok(t, migrate(ctx, db, steps[:1]))
	ok(t, migrate(ctx, db, steps))
	ok(t, migrate(ctx, db, steps))
	read := func(query string) (n int) {
		ok(t, db.QueryRow(query).Scan(&n))
		return n
	}
	if read("SELECT y FROM a") != 2 || read("PRAGMA user_version") != 2 {
		t.Error("not migrated")
	}
	// A step that fails leaves nothing of itself.
	if err := migrate(ctx, db, append(steps, "UPDATE a SET y = 7; CREATE TABLE a(x)")); err == nil {
		t.Error("a wrong step passed")
	}
	if read("SELECT y FROM a") != 2 || read("PRAGMA user_version") != 2 {
		t.Error("half a step was done")
	}
	if err := migrate(ctx, db, steps[:1]); !errors.Is(err, ErrNewer) {
		t.Errorf("error %v", err)
	}
}

// first is a folder with data as version 1 wrote them.
func first(t *testing.T) string {
	t.Helper()
	ctx, dir := t.Context(), t.TempDir()
	db := must(sql.Open("sqlite", dsn(filepath.Join(dir, databaseName), "_txlock=immediate", "auto_vacuum(INCREMENTAL)", "journal_mode(WAL)", "foreign_keys(1)")))(t)
	defer db.Close()
	db.SetMaxOpenConns(1)
	ok(t, migrate(ctx, db, migrations[:1]))
	c, q, a, d := NewID(), NewID(), NewID(), NewID()
	for _, x := range []struct {
		query string
		args  []any
	}{
		{`INSERT INTO conversations(id, title, system, model, created, updated) VALUES (?, 'Old', '', 'demo', 1, 2)`, []any{c}},
		{`INSERT INTO messages(id, conversation, role, content, status, error, tokens, first_token, duration, model, created)
			VALUES (?, ?, 'user', 'filling old', 'done', '', 0, 0, 0, '', 3)`, []any{q, c}},
		{`INSERT INTO messages(id, conversation, parent, role, content, status, error, tokens, first_token, duration, model, created)
			VALUES (?, ?, ?, 'assistant', 'half', 'failed', 'the device was lost', 5, 6, 7, 'demo', 4)`, []any{a, c, q}},
		{`UPDATE conversations SET leaf = ? WHERE id = ?`, []any{a, c}},
		{`INSERT INTO documents(id, conversation, message, path, name, format, size, hash, pages, words, tokens, tokens_read, status, summary,
			summary_words, error, created) VALUES (?, ?, ?, '/b', 'b', 'text', 1, 'h', 2, 3, 4, 2, 'failed', 's', 50, 'no such file', 5)`, []any{d, c, q}},
	} {
		for i := range x.args {
			x.args[i] = string(x.args[i].(ID))
		}
		must(db.ExecContext(ctx, x.query, x.args...))(t)
	}
	return dir
}

// What version 1 wrote is there in this one, its errors with their texts alone.
func TestFromFirst(t *testing.T) {
	check := func(s *Store) {
		t.Helper()
		ctx := t.Context()
		list := must(s.Conversations(ctx, Listing{}))(t)
		if len(list) != 1 || list[0].Title != "Old" {
			t.Fatalf("conversations %+v", list)
		}
		path := must(s.Tree(ctx, list[0].ID))(t).Path()
		if len(path) != 2 || path[0].Content != "filling old" || !reflect.DeepEqual(path[1].Problem, Note{Text: "the device was lost"}) || path[1].Status != Failed {
			t.Errorf("messages %+v", path)
		}
		docs := must(s.Documents(ctx, list[0].ID))(t)
		if len(docs) != 1 || !reflect.DeepEqual(docs[0].Problem, Note{Text: "no such file"}) || docs[0].Notes != nil || docs[0].Words != 3 {
			t.Errorf("documents %+v", docs)
		}
		whole(t, s)
	}
	dir := first(t)
	check(openAt(t, dir))
	// as what is left of a damaged one
	dir = first(t)
	s := openNew(t)
	d := &Damage{File: filepath.Join(dir, databaseName)}
	ok(t, s.salvage(t.Context(), d))
	if d.Kept != 1 || d.Lost != 0 {
		t.Errorf("%+v", d)
	}
	check(s)
}

func TestDamaged(t *testing.T) {
	for _, tt := range []struct {
		what   string
		damage func(data []byte) []byte
		opens  bool // at first; the damage is met later
		kept   int  // at least
	}{
		{"no database", func([]byte) []byte { return []byte(strings.Repeat("no database ", 1000)) }, false, 0},
		{"header", func(d []byte) []byte { copy(d, "nonsense"); return d }, false, 0},
		{"cut", func(d []byte) []byte { return d[:len(d)/2] }, false, 0},
		{"a page of messages", func(d []byte) []byte {
			at := strings.Index(string(d), "c031 m2") / 4096 * 4096
			copy(d[at:], strings.Repeat("\xff", 4096))
			return d
		}, true, 30},
	} {
		t.Run(tt.what, func(t *testing.T) {
			dir, ctx := t.TempDir(), t.Context()
			s := must(Open(ctx, dir))(t)
			ok(t, s.SetSetting(ctx, "k", "v"))
			fill(t, s, 60)
			ok(t, s.Close())
			path := filepath.Join(dir, databaseName)
			data := tt.damage(must(os.ReadFile(path))(t))
			ok(t, os.WriteFile(path, data, 0o600))
			if tt.opens {
				s := must(Open(ctx, dir))(t)
				if s.Damage() != nil {
					t.Fatalf("%+v", s.Damage())
				}
				var met error
				for _, c := range must(s.Conversations(ctx, Listing{}))(t) {
					_, err := s.Tree(ctx, c.ID)
					met = errors.Join(met, err)
				}
				if !errors.Is(met, ErrDamaged) || !strings.Contains(met.Error(), "start Kestrel again") {
					t.Fatalf("met %v", met)
				}
				ok(t, s.Close())
			}
			s = must(Open(ctx, dir))(t)
			d := s.Damage()
			if d == nil {
				t.Fatal("not set aside")
			}
			t.Logf("%+v", *d)
			if kept := must(os.ReadFile(d.File))(t); string(kept) != string(data) {
				t.Error("the damaged database was changed")
			}
			whole(t, s)
			if n := must(s.CountConversations(ctx, Listing{}))(t); n != d.Kept || n < tt.kept || tt.kept > 0 && (d.Lost == 0 || d.Lost+d.Kept != 60) {
				t.Errorf("%d conversations, %+v", n, d)
			}
			if tt.kept > 0 && must(Setting(ctx, s, "k", ""))(t) != "v" {
				t.Error("settings are lost")
			}
			for _, c := range must(s.Conversations(ctx, Listing{}))(t) {
				for i, m := range must(s.Tree(ctx, c.ID))(t).Path() {
					if !strings.HasPrefix(m.Content, fmt.Sprintf("%s m%d ", c.Title, i)) {
						t.Errorf("%s has %.20s", c.Title, m.Content)
					}
				}
			}
			fill(t, s, 1)
			ok(t, s.Close())
			if s := openAt(t, dir); s.Damage() != nil {
				t.Errorf("damaged again: %+v", s.Damage())
			}
		})
	}
}

// A full-text index that is damaged is made anew, and nothing else happens.
func TestDamagedIndex(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	s := must(Open(ctx, dir))(t)
	fill(t, s, 5)
	must(s.writer.Exec(`UPDATE message_index_data SET block = zeroblob(length(block)) WHERE id > 10`))(t)
	if _, err := s.Search(ctx, "filling", 10); !errors.Is(err, ErrDamaged) {
		t.Fatalf("the damage is not met: %v", err)
	}
	ok(t, s.Close())
	s = openAt(t, dir)
	if s.Damage() != nil {
		t.Errorf("set aside: %+v", s.Damage())
	}
	if hits := must(s.Search(ctx, "c003 m1", 10))(t); len(hits) != 1 {
		t.Errorf("%d hits", len(hits))
	}
	whole(t, s)
}

func TestOpenFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	ok(t, os.WriteFile(file, nil, 0o600))
	if _, err := Open(t.Context(), filepath.Join(file, "x")); err == nil {
		t.Error("opened below a file")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, t.TempDir()); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if os.Getuid() != 0 {
		dir := t.TempDir()
		ok(t, os.Chmod(dir, 0o500))
		if _, err := Open(t.Context(), dir); !errors.Is(err, ErrDenied) {
			t.Errorf("in a folder not to be written: %v", err)
		}
	}
}

// Two programs at once: the second neither stops the first one's answer nor
// removes its files, and both write.
func TestTwoPrograms(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	a := must(Open(ctx, dir))(t)
	c := conversation(t, a, "")
	m := must(a.AddMessage(ctx, Message{Conversation: c.ID, Role: Assistant, Status: Pending}))(t)
	answer := must(a.StartAnswer(ctx, m.ID))(t)
	ok(t, os.WriteFile(a.stateFile(NewID())+halfSuffix, []byte("being written"), 0o600))

	b := must(Open(ctx, dir))(t)
	if !a.Alone() || b.Alone() {
		t.Errorf("alone: %v, %v", a.Alone(), b.Alone())
	}
	if got := must(b.Message(ctx, m.ID))(t); got.Status != Streaming || len(stateFiles(t, b)) != 1 {
		t.Errorf("the second program made it %s, files %v", got.Status, stateFiles(t, b))
	}
	done := make(chan error)
	for _, s := range []*Store{a, b} {
		go func() {
			var err error
			for range 50 {
				_, e := s.AddMessage(ctx, Message{Conversation: c.ID, Parent: m.ID, Role: User, Status: Done, Content: "both write"})
				err = errors.Join(err, e)
			}
			done <- err
		}()
	}
	ok(t, errors.Join(<-done, <-done))
	answer.Append("x")
	ok(t, answer.Finish(Result{Status: Done}))
	ok(t, a.Close())
	if n := must(b.Tree(ctx, c.ID))(t).Len(); n != 101 {
		t.Errorf("%d messages", n)
	}
	whole(t, b)
	ok(t, b.Close())
	if s := openAt(t, dir); !s.Alone() || len(stateFiles(t, s)) != 0 {
		t.Errorf("alone %v, files %v", s.Alone(), stateFiles(t, s))
	}
}
