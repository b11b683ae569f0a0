package session

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kestrel/app/backend/backendtest"
	"kestrel/app/store"
	"kestrel/engine"
)

// TestStopAnywhere stops an answer at random points: what was written stays,
// and the next turn goes on from it.
func TestStopAnywhere(t *testing.T) {
	reply := strings.Repeat(" word", 200)
	for i := range 12 {
		at := rand.IntN(150)
		e := backendtest.New(reply)
		n := atomic.Int64{}
		reached := make(chan struct{}, 1)
		e.Before = func(ctx context.Context, op string) error {
			if op != "open" && op != "state" && int(n.Add(1)) == at+1 {
				reached <- struct{}{}
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}
		w := start(t, e, Options{})
		w.load("demo")
		w.Send("Go on")
		<-reached
		w.Stop()
		c := w.idle(2)
		m := c.Messages[1]
		if m.Status != Stopped || m.Problem != nil || !strings.HasPrefix(reply, m.Text) || m.Stats.Tokens != max(at-1, 0) {
			t.Fatalf("run %d, stopped at %d: %+v", i, at, m)
		}
		e.Reply = func(string) string { return "Yes." }
		before := len(e.Fed())
		next := w.say("More")
		want := m.Text + "<|im_end|>\n" + turnText("More")
		if at == 0 { // not even the message was read
			want = turnText("Go on") + want
		}
		if got := strings.Join(e.Fed()[before:], ""); next.Text != "Yes." || got != strings.TrimPrefix(want, m.Text) && got != want {
			t.Fatalf("stopped at %d: fed %q, want %q", at, got, want)
		}
		w.restart()
		w.Open(c.ID)
		s := w.wait("the conversation", func(s *Snapshot) bool { return s.Conversation != nil })
		if got := s.Conversation.Messages[1]; got.Text != m.Text || got.Status != Stopped {
			t.Fatalf("stored %+v", got)
		}
		w.end()
	}
}

// TestDeviceLost holds that the text so far stays, and that the model can be
// loaded again and the answer made anew.
func TestDeviceLost(t *testing.T) {
	e := backendtest.New(" a b c d e f")
	n := atomic.Int64{}
	e.Before = func(_ context.Context, op string) error {
		if op == "token" && n.Add(1) == 4 {
			return fmt.Errorf("run step: %w", engine.ErrDeviceLost)
		}
		return nil
	}
	w := start(t, e, Options{})
	w.load("demo")
	w.Send("Go on")
	s := w.wait("a broken model", func(s *Snapshot) bool {
		return s.Model.State == Broken && len(s.Busy) == 0 && len(s.Notices) > 0 && s.Conversation.Phase == Idle
	})
	m := s.Conversation.Messages[1]
	if m.Text != " a b c" || m.Status != Failed || m.Problem.Kind != KindDeviceLost || !strings.Contains(m.Problem.Text, "load the model again") || !errors.Is(m.Problem, engine.ErrDeviceLost) {
		t.Errorf("%+v, %v", m, m.Problem)
	}
	// without a model a message is kept, and says what is missing
	w.Send("And?")
	c := w.idle(4)
	if c.Messages[3].Status != Failed || c.Messages[3].Problem.Kind != KindNoModel {
		t.Errorf("%+v", c.Messages[3])
	}
	w.load("demo")
	w.Regenerate(c.Messages[3].ID)
	w.wait("the answer", func(s *Snapshot) bool {
		m := s.Conversation.Messages
		return len(m) == 4 && m[3].Text == " a b c d e f" && m[3].Status == Complete
	})
}

// TestOutOfMemory is told in words, and the model stays.
func TestOutOfMemory(t *testing.T) {
	e := backendtest.New("x")
	full := atomic.Bool{}
	full.Store(true)
	e.Before = func(_ context.Context, op string) error {
		if op == "feed" && full.Load() {
			return fmt.Errorf("feed: %w: 38 MiB needed", engine.ErrOutOfDeviceMemory)
		}
		return nil
	}
	w := start(t, e, Options{})
	w.load("demo")
	if m := w.say("Go on"); m.Status != Failed || m.Problem.Kind != KindOutOfMemory || !strings.Contains(m.Problem.Text, "38 MiB") {
		t.Errorf("%+v", m)
	}
	full.Store(false)
	if m := w.say("And now?"); m.Status != Complete {
		t.Errorf("%+v", m)
	}
}

// TestStoreFails holds that a disk that takes nothing is told, and ends nothing.
func TestStoreFails(t *testing.T) {
	e := backendtest.New("Fine.")
	w := start(t, e, Options{})
	w.load("demo")
	states := filepath.Join(w.dir, "states")
	if err := os.Rename(states, states+"-away"); err != nil {
		t.Fatal(err)
	}
	m := w.say("One")
	if m.Status != Complete || m.Text != "Fine." {
		t.Errorf("%+v", m)
	}
	s := w.wait("a notice", func(s *Snapshot) bool { return len(s.Notices) > 0 })
	if n := s.Notices[0]; n.Problem.Kind != KindStore || n.ID == 0 {
		t.Errorf("%+v", n)
	}
	if m := w.say("Two"); m.Status != Complete {
		t.Errorf("%+v", m)
	}
	if err := os.Rename(states+"-away", states); err != nil {
		t.Fatal(err)
	}
	// a store that is gone altogether
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	before := len(w.Snapshot().Notices)
	w.Send("Three")
	s = w.wait("a notice", func(s *Snapshot) bool { return len(s.Notices) > before })
	if n := s.Notices[len(s.Notices)-1]; n.Problem.Kind != KindStore || len(s.Conversation.Messages) != 4 {
		t.Errorf("%+v", n)
	}
}

// TestAnswerCannotBeStored holds that an answer which the disk does not take is
// shown all the same, and stored when the disk takes it.
func TestAnswerCannotBeStored(t *testing.T) {
	w := start(t, backendtest.New("Fine."), Options{})
	w.load("demo")
	db, err := sql.Open("sqlite", "file:"+filepath.Join(w.dir, "kestrel.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`CREATE TRIGGER full BEFORE UPDATE ON messages WHEN new.status = 'done' BEGIN SELECT RAISE(ABORT, 'full'); END`); err != nil {
		t.Fatal(err)
	}
	if m := w.say("One"); m.Text != "Fine." || m.Status != Complete {
		t.Errorf("%+v", m)
	}
	s := w.wait("a notice", func(s *Snapshot) bool { return len(s.Notices) > 0 })
	if s.Notices[0].Problem.Kind != KindStore {
		t.Errorf("%+v", s.Notices[0])
	}
	stored := func() store.Message {
		tree, err := w.store.Tree(context.Background(), store.ID(s.Conversation.ID))
		if err != nil {
			t.Fatal(err)
		}
		return tree.Path()[1]
	}
	if m := stored(); m.Status == store.Done {
		t.Errorf("stored %+v", m)
	}
	if _, err := db.Exec(`DROP TRIGGER full`); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(3 * again); stored().Status != store.Done; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never stored: %+v", stored())
		}
	}
	if m := stored(); m.Content != "Fine." {
		t.Errorf("stored %+v", m)
	}
}
