package session

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"kestrel/app/backend"
	"kestrel/app/backend/backendtest"
	"kestrel/app/document"
	"kestrel/app/store"
)

func TestMain(m *testing.M) {
	document.RunExtractor()
	if dir := os.Getenv(killedDir); dir != "" {
		fmt.Fprintln(os.Stderr, workUntilKilled(dir)) // it ends only by a failure
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// world is a session over a store of the test's own.
type world struct {
	t     *testing.T
	dir   string
	store *store.Store
	o     Options
	*Actor
}

// start begins a session on an engine; at the test's end it is closed, and
// nothing of it must be left.
func start(t *testing.T, e backend.Engine, o Options) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), o: o}
	w.o.Engine = e
	w.begin()
	t.Cleanup(w.end)
	return w
}

func (w *world) begin() {
	w.t.Helper()
	var err error
	if w.store, err = store.Open(context.Background(), w.dir); err != nil {
		w.t.Fatal(err)
	}
	w.o.Store = w.store
	w.Actor = Start(w.o)
}

func (w *world) end() {
	w.t.Helper()
	if w.Actor == nil {
		return
	}
	if err := w.Close(context.Background()); err != nil {
		w.t.Errorf("close: %v", err)
	}
	w.Actor = nil
	if err := w.store.Close(); err != nil {
		w.t.Errorf("close the store: %v", err)
	}
	if e, ok := w.o.Engine.(*backendtest.Engine); ok {
		if models, sessions, _ := e.Alive(); models != 0 || sessions != 0 {
			w.t.Errorf("%d models and %d sessions are still open", models, sessions)
		}
	}
	deadline := time.Now().Add(5 * time.Second)
	for {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		left := ""
		for _, g := range strings.Split(string(stacks), "\n\n") {
			if strings.Contains(g, "kestrel/app/session.") && !strings.Contains(g, "testing.tRunner") || strings.Contains(g, "dialog.newDocFeed") {
				left = g
			}
		}
		if left == "" {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("a goroutine is left:\n%s", left)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// restart ends the session and begins another over the same data.
func (w *world) restart() {
	w.t.Helper()
	w.end()
	w.begin()
}

// wait waits for a snapshot that is as wanted.
func (w *world) wait(what string, want func(*Snapshot) bool) *Snapshot {
	w.t.Helper()
	return w.waitFor(time.Minute, what, want)
}

func (w *world) waitFor(long time.Duration, what string, want func(*Snapshot) bool) *Snapshot {
	w.t.Helper()
	got := make(chan *Snapshot, 1)
	cancel := w.Subscribe(func(s *Snapshot) {
		if want(s) {
			select {
			case got <- s:
			default:
			}
		}
	})
	defer cancel()
	select {
	case s := <-got:
		return s
	case <-time.After(long):
		s := w.Snapshot()
		w.t.Errorf("model %+v, notices %+v, queue %v", s.Model, s.Notices, s.Busy)
		if c := s.Conversation; c != nil {
			w.t.Errorf("conversation %+v", *c)
			for _, m := range c.Messages {
				w.t.Errorf("message %+v", *m)
			}
			for _, d := range c.Documents {
				w.t.Errorf("document %+v", *d)
			}
		}
		w.t.Fatalf("waited in vain for %s", what)
		return nil
	}
}

func (w *world) load(name string) *Snapshot {
	w.t.Helper()
	w.Load(LoadRequest{Model: name})
	return w.wait("the model", func(s *Snapshot) bool { return s.Model.State == Loaded && s.Model.Request.Model == name })
}

// idle waits until nothing is done, n messages are shown.
func (w *world) idle(n int) *Conversation {
	w.t.Helper()
	return w.wait("an answer", func(s *Snapshot) bool {
		c := s.Conversation
		return c != nil && c.Phase == Idle && len(s.Busy) == 0 && len(c.Messages) == n && c.Messages[n-1].Status != Streaming
	}).Conversation
}

// fresh opens an empty conversation.
func (w *world) fresh() {
	w.t.Helper()
	w.New(NewOptions{})
	w.wait("an empty conversation", func(s *Snapshot) bool { return s.Conversation != nil && s.Conversation.ID == "" })
}

// say sends a message and waits for its answer.
func (w *world) say(text string) *Message {
	w.t.Helper()
	before := 0
	if c := w.Snapshot().Conversation; c != nil {
		before = len(c.Messages)
	}
	w.Send(text)
	c := w.idle(before + 2)
	return c.Messages[before+1]
}

func (w *world) file(name, text string) string {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// stage waits until the last document of the open conversation is there.
func (w *world) stage(want Stage) *Document {
	w.t.Helper()
	return w.stageWithin(want, time.Minute)
}

func (w *world) stageWithin(want Stage, long time.Duration) *Document {
	w.t.Helper()
	s := w.waitFor(long, "a document that is "+string(want), func(s *Snapshot) bool {
		return s.Conversation != nil && len(s.Conversation.Documents) > 0 && s.Conversation.Documents[len(s.Conversation.Documents)-1].Stage == want
	})
	return s.Conversation.Documents[len(s.Conversation.Documents)-1]
}

func turnText(user string) string {
	return "<|im_start|>user\n" + user + "<|im_end|>\n<|im_start|>assistant\n"
}
