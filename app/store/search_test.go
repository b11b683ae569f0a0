package store

import (
	"strings"
	"testing"
	"time"
)

func TestSearch(t *testing.T) {
	s, ctx := openNew(t), t.Context()
	c := conversation(t, s, "On Kestrels\nand falcons")
	a := say(t, s, c.ID, "", User, "What does the KESTREL eat? Straße, ÄÖ, 50% \"off\" a_b")
	b := say(t, s, c.ID, a, Assistant, strings.Repeat("filler ", 50)+"It eats voles.\nIn Chinese: 红隼吃田鼠"+strings.Repeat(" filler", 50))
	gone := conversation(t, s, "kestrel, deleted")
	say(t, s, gone.ID, "", User, "kestrel")
	ok(t, s.DeleteConversations(ctx, gone.ID))
	for _, tt := range []struct {
		query string
		want  string // of each hit T for a title, a or b for a message
		marks string // what is marked in the last hit
	}{
		{"kestrel", "Ta", "KESTREL"},
		{"kestrel FALCON", "T", "Kestrel|falcon"},
		{"eat", "ba", "eat"},
		{"eat kestrel", "a", "KESTREL|eat"},
		{"红隼", "b", "红隼"},
		{"红隼吃田鼠", "b", "红隼吃田鼠"},
		{"鼠", "b", "鼠"},
		{"吃田", "b", "吃田"},
		{"隼 voles", "b", "voles|隼"},
		{"äö", "a", "ÄÖ"},
		{"straße", "a", "Straße"},
		{`"off"`, "a", `"off"`},
		{`%`, "a", "%"}, {`0%`, "a", "0%"}, {`a_b`, "a", "a_b"}, {`a%b`, "", ""}, {`a*`, "", ""}, {`*`, "", ""},
		{`b`, "a", "b"}, // the last character of the text
		{"nothing", "", ""}, {"", "", ""}, {" \x00 ", "", ""}, {"AND", "T", "and"}, {"NEAR(", "", ""}, {"\xff", "", ""},
	} {
		hits := must(s.Search(ctx, tt.query, 10))(t)
		var got string
		var marks []string
		for _, h := range hits {
			if h.Conversation != c.ID || h.Title != c.Title || h.Created.IsZero() {
				t.Errorf("%q: hit %+v", tt.query, h)
			}
			got += map[ID]string{"": "T", a: "a", b: "b"}[h.Message]
			marks = nil
			for _, m := range h.Matches {
				marks = append(marks, h.Text[m[0]:m[1]])
			}
			if strings.ContainsAny(h.Text, "\n") || len(h.Text) > 600 {
				t.Errorf("%q: text %q", tt.query, h.Text)
			}
		}
		if got != tt.want || strings.Join(marks, "|") != tt.marks {
			t.Errorf("%q found %s with %q, want %s with %s", tt.query, got, marks, tt.want, tt.marks)
		}
	}
	if hits := must(s.Search(ctx, "eat", 1))(t); len(hits) != 1 || hits[0].Message != b {
		t.Errorf("limited to one: %+v", hits)
	}
	ok(t, s.RestoreConversations(ctx, gone.ID))
	if hits := must(s.Search(ctx, "kestrel", 10))(t); len(hits) != 4 {
		t.Errorf("after restoring: %+v", hits)
	}
}

// The index follows an answer to its end, and a purge.
func TestSearchIsCurrent(t *testing.T) {
	s, ctx := openNew(t), t.Context()
	c := conversation(t, s, "")
	found := func(query string) bool { return len(must(s.Search(ctx, query, 10))(t)) > 0 }
	m := must(s.AddMessage(ctx, Message{Conversation: c.ID, Role: Assistant, Status: Pending}))(t)
	a := must(s.StartAnswer(ctx, m.ID))(t)
	a.Append("龘龘 a wombat")
	ok(t, a.flush())
	a.Append(" and its burrow\x00end")
	ok(t, a.Finish(Result{Status: Done}))
	if !found("wombat") || !found("burrow") || !found("龘") || !found("nd") {
		t.Error("an answer that has ended is not found")
	}
	inIndex := func() int {
		return must(row(ctx, s.writer, "index", value[int], `SELECT count(*) FROM message_index_data WHERE instr(block, x'E9BE98')`))(t)
	}
	if inIndex() == 0 {
		t.Fatal("the test does not know where the index is")
	}
	say(t, s, conversation(t, s, "").ID, "", User, "another wombat")
	ok(t, s.DeleteConversations(ctx, c.ID))
	if n := must(s.Purge(ctx, time.Now().Add(time.Hour)))(t); n != 1 {
		t.Errorf("purged %d", n)
	}
	for deadline := time.Now().Add(time.Minute); must(Setting(ctx, s, mergeKey, false))(t) && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if n := inIndex(); n > 0 {
		t.Errorf("%d pieces of the index hold what was purged", n)
	}
	if hits := must(s.Search(ctx, "wombat", 10))(t); len(hits) != 1 || found("burrow") || found("龘") {
		t.Errorf("after the purge: %+v", hits)
	}
	if _, err := s.writer.Exec(`INSERT INTO message_index(message_index, rank) VALUES ('integrity-check', 1)`); err != nil {
		t.Errorf("index and messages differ: %v", err)
	}
}
