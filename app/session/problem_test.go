package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"

	"kestrel/app/backend/backendtest"
	"kestrel/app/document"
	"kestrel/engine"
)

// TestKindsLast fails answers in each way and holds that what is told of them
// is the same, kind and all, when they are reopened from the store.
func TestKindsLast(t *testing.T) {
	fails := atomic.Pointer[error]{}
	e := backendtest.New("Fine.")
	e.Before = func(_ context.Context, op string) error {
		if err := fails.Load(); err != nil && op == "token" {
			return *err
		}
		return nil
	}
	w := start(t, e, Options{})
	w.load("demo")
	w.say("Hello")
	var want []*Problem
	for _, test := range []struct {
		err  error
		kind Kind
	}{
		{fmt.Errorf("step: %w: 38 MiB needed", engine.ErrOutOfDeviceMemory), KindOutOfMemory},
		{fmt.Errorf("step: %w", engine.ErrNotFinite), KindNotFinite},
		{fmt.Errorf("step: %w", engine.ErrTooLong), KindTooLong},
		{errors.New("step: something"), KindOther},
		{fmt.Errorf("step: %w", engine.ErrDeviceLost), KindDeviceLost},
		{nil, KindNoModel}, // the device is gone
	} {
		if fails.Store(&test.err); test.err == nil {
			fails.Store(nil)
		}
		m := w.say("Go on")
		if m.Status != Failed || m.Problem.Kind != test.kind || m.Problem.Text == "" {
			t.Errorf("%v: %+v, %+v", test.err, m, m.Problem)
		}
		want = append(want, m.Problem)
		w.wait("nothing to do", func(s *Snapshot) bool { return len(s.Busy) == 0 })
	}
	id := w.Snapshot().Conversation.ID
	w.restart()
	w.Open(id)
	c := w.wait("the conversation", func(s *Snapshot) bool { return s.Conversation != nil }).Conversation
	for i, p := range want {
		got := c.Messages[3+2*i].Problem
		if got == nil || got.Kind != p.Kind || got.Text != p.Text {
			t.Errorf("reopened %+v, was %+v", got, p)
		}
	}
}

// TestDocumentLasts holds that what is known of a document, and why it failed,
// is the same after a restart, without a model as well.
func TestDocumentLasts(t *testing.T) {
	text, err := simplifiedchinese.GB18030.NewEncoder().String("红隼\n\n" + strings.Repeat("红隼迎风悬停，双翼展开，尾羽张成扇形。", 50))
	if err != nil {
		t.Fatal(err)
	}
	e := summarizing()
	e.Trained = 100
	w := start(t, e, Options{PartialShare: -1})
	w.load("demo")
	w.AddFiles([]string{w.file("红隼.txt", text)})
	w.Read(w.stage(Ready).ID, 20)
	read := w.idle(2).Documents[0]
	if len(read.Notes) != 1 || read.Notes[0].Kind != NoteCharset || read.Encoding == "" || read.Encoding == "UTF-8" || read.Beyond == 0 || read.Trained != 100 || read.Title == "" {
		t.Errorf("read %+v", read)
	}
	path := w.file("gone.txt", book(10))
	w.AddFiles([]string{path})
	d := w.stage(Ready)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	w.Read(d.ID, 20)
	failed := w.stage(Interrupted)
	if failed.Problem.Kind != KindMissing || !errors.Is(failed.Problem, document.ErrMissing) {
		t.Errorf("failed %+v", failed.Problem)
	}
	id := w.Snapshot().Conversation.ID
	w.restart()
	w.Open(id)
	docs := w.wait("the conversation", func(s *Snapshot) bool { return s.Conversation != nil }).Conversation.Documents
	got := docs[0]
	if got.Title != read.Title || got.Encoding != read.Encoding || got.Pages != read.Pages || got.Beyond != read.Beyond || got.Trained != read.Trained || !reflect.DeepEqual(got.Notes, read.Notes) {
		t.Errorf("reopened %+v, was %+v", got, read)
	}
	if p := docs[1].Problem; p == nil || p.Kind != KindMissing || p.Text != failed.Problem.Text {
		t.Errorf("reopened %+v, was %+v", p, failed.Problem)
	}
}
