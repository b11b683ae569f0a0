package store

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

func TestDelete(t *testing.T) {
	s, ctx := openNew(t), t.Context()
	a, b := conversation(t, s, "a"), conversation(t, s, "b")
	say(t, s, a.ID, "", User, "x")
	titles := func(l Listing) string {
		var all string
		for _, c := range must(s.Conversations(ctx, l))(t) {
			all += c.Title
		}
		return all
	}
	before := must(s.Conversation(ctx, a.ID))(t)
	ok(t, s.DeleteConversations(ctx, a.ID))
	if titles(Listing{}) != "b" || titles(Listing{Deleted: true}) != "a" {
		t.Error("not deleted")
	}
	if c := must(s.Conversation(ctx, a.ID))(t); c.Deleted.IsZero() {
		t.Error("does not say that it is deleted")
	}
	if n := must(s.Purge(ctx, time.Now().Add(-time.Hour)))(t); n != 0 {
		t.Error("purged too early")
	}
	ok(t, s.RestoreConversations(ctx, a.ID))
	if after := must(s.Conversation(ctx, a.ID))(t); after.Leaf != before.Leaf || !after.Deleted.IsZero() || titles(Listing{Deleted: true}) != "" {
		t.Errorf("restored %+v", after)
	}
	if err := s.DeleteConversations(ctx, b.ID, "none"); !errors.Is(err, ErrNotFound) || len(titles(Listing{})) != 2 {
		t.Errorf("deleted one of two: %v", err)
	}
	ok(t, s.DeleteConversations(ctx, a.ID, b.ID))
	if n := must(s.Purge(ctx, time.Now().Add(time.Hour)))(t); n != 2 {
		t.Errorf("purged %d", n)
	}
	if err := s.RestoreConversations(ctx, a.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("restored what was purged: %v", err)
	}
	if n := must(row(ctx, s.reader, "", value[int], `SELECT count(*) FROM messages`))(t); n != 0 {
		t.Errorf("%d messages left", n)
	}
}

// long makes a conversation of n messages, each below the last.
func long(t testing.TB, s *Store, n int) Conversation {
	t.Helper()
	c := conversation(t, s, "long")
	list := make([]Message, n)
	for i := range list {
		list[i] = Message{ID: NewID(), Conversation: c.ID, Role: User, Status: Done, Created: now(), Content: fmt.Sprintf("wombat %d", i)}
		if i > 0 {
			list[i].Parent = list[i-1].ID
		}
	}
	ok(t, s.write(t.Context(), "", func(tx *sql.Tx) error { return insertMessages(t.Context(), tx, list...) }))
	ok(t, s.SetLeaf(t.Context(), c.ID, list[n-1].ID))
	return must(s.Conversation(t.Context(), c.ID))(t)
}

// However long a conversation is it is copied whole, and purged for good.
func TestLongConversation(t *testing.T) {
	s, ctx := openNew(t), t.Context()
	const n = 3*insertTogether + 1 // more than SQLite's 1000 triggers within each other
	c, other := long(t, s, n), conversation(t, s, "deleted after it")
	f := must(s.Fork(ctx, c.Leaf, ""))(t)
	check := func(when string, id ID) {
		t.Helper()
		path := must(s.Tree(ctx, id))(t).Path()
		if len(path) != n {
			t.Fatalf("%s: %d messages of %d", when, len(path), n)
		}
		for i, m := range path {
			if want := fmt.Sprintf("wombat %d", i); m.Content != want {
				t.Fatalf("%s: message %d is %q", when, i, m.Content)
			}
		}
	}
	check("forked", f.ID)
	ok(t, s.DeleteConversations(ctx, c.ID, other.ID))
	if gone := must(s.Purge(ctx, time.Now().Add(-time.Hour)))(t); gone != 0 {
		t.Errorf("%d were purged too early", gone)
	}
	check("too early to be purged", c.ID)
	if gone := must(s.Purge(ctx, time.Now().Add(time.Hour)))(t); gone != 2 {
		t.Errorf("%d of 2 were purged", gone)
	}
	if left := must(row(ctx, s.reader, "", value[int], `SELECT count(*) FROM messages`))(t); left != n {
		t.Errorf("%d messages are left of %d", left, n)
	}
	check("beside what was purged", f.ID)
	if hits := must(s.Search(ctx, "wombat 1499", 10))(t); len(hits) != 1 || hits[0].Conversation != f.ID {
		t.Errorf("found %+v", hits)
	}
	whole(t, s)
}

// What is purged gives its place on the disk back.
func TestShrinks(t *testing.T) {
	s, ctx := openNew(t), t.Context()
	for range 20 {
		say(t, s, conversation(t, s, "").ID, "", User, strings.Repeat("much text 字 ", 10_000))
	}
	ok(t, s.emptyLog(ctx))
	size := func() int64 { return must(os.Stat(s.path()))(t).Size() }
	before := size()
	for _, c := range must(s.Conversations(ctx, Listing{}))(t) {
		ok(t, s.DeleteConversations(ctx, c.ID))
	}
	must(s.Purge(ctx, time.Now().Add(time.Hour)))(t)
	for deadline := time.Now().Add(time.Minute); size() > before/2; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes of %d", size(), before)
		}
	}
	whole(t, s)
}
