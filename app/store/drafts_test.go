package store

import (
	"reflect"
	"testing"
	"time"
)

func TestDrafts(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	s := must(Open(ctx, dir))(t)
	a, b := conversation(t, s, "a"), conversation(t, s, "b")
	ok(t, s.SetDraftText(ctx, "", "nowhere yet"))
	ok(t, s.SetDraftText(ctx, a.ID, "half a sente"))
	ok(t, s.SetDraftText(ctx, a.ID, "half a sentence"))
	ok(t, s.SetDraftFiles(ctx, a.ID, []string{"/x/ä.pdf", "/y"}))
	ok(t, s.SetDraftFiles(ctx, b.ID, []string{"/z"}))
	ok(t, s.SetDraftText(ctx, NewID(), "of a conversation that is gone"))
	ok(t, s.Close())
	s = openAt(t, dir)
	want := []Draft{{"", "nowhere yet", []string{}}, {a.ID, "half a sentence", []string{"/x/ä.pdf", "/y"}}, {b.ID, "", []string{"/z"}}}
	if list := must(s.Drafts(ctx))(t); !reflect.DeepEqual(list, want) {
		t.Errorf("%+v, want %+v", list, want)
	}
	if d := must(s.Draft(ctx, a.ID))(t); !reflect.DeepEqual(d, want[1]) {
		t.Errorf("%+v", d)
	}
	// what is sent, and what is read, is none any more
	ok(t, s.SetDraftText(ctx, a.ID, ""))
	ok(t, s.SetDraftFiles(ctx, a.ID, nil))
	if d := must(s.Draft(ctx, a.ID))(t); !reflect.DeepEqual(d, Draft{Conversation: a.ID}) {
		t.Errorf("%+v", d)
	}
	// nor is a file that has become a document
	ok(t, s.SetDraftFiles(ctx, b.ID, []string{"/z", "/a"}))
	must(s.AddDocument(ctx, Document{Conversation: b.ID, Path: "/z", Status: DocumentWaiting}))(t)
	if d := must(s.Draft(ctx, b.ID))(t); !reflect.DeepEqual(d.Files, []string{"/a"}) {
		t.Errorf("%+v", d)
	}
	// a draft lasts for as long as its conversation can be restored
	ok(t, s.DeleteConversations(ctx, b.ID))
	if n := len(must(s.Drafts(ctx))(t)); n != 2 {
		t.Errorf("%d drafts", n)
	}
	must(s.Purge(ctx, time.Now().Add(time.Hour)))(t)
	if list := must(s.Drafts(ctx))(t); !reflect.DeepEqual(list, want[:1]) {
		t.Errorf("%+v", list)
	}
	whole(t, s)
}
