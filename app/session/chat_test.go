package session

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kestrel/app/backend/backendtest"
	"kestrel/app/store"
)

func texts(c *Conversation) (list []string) {
	for _, m := range c.Messages {
		list = append(list, m.Text)
	}
	return list
}

func TestChat(t *testing.T) {
	e := backendtest.New("It is a bird.")
	w := start(t, e, Options{})
	s := w.load("demo")
	if s.Model.Name != "fake" || s.Model.Parameters != 1000 || !s.Model.Device.Usable && s.Model.Device.Name == "" {
		t.Errorf("model %+v", s.Model)
	}
	m := w.say("  What is a kestrel,\nreally?")
	c := w.Snapshot().Conversation
	if m.Text != "It is a bird." || m.Status != Complete || m.Stats.Tokens == 0 || m.Stats.Read == 0 || m.Stats.FirstToken <= 0 || m.Stats.Rate <= 0 || m.Model != "fake" {
		t.Errorf("answer %+v", m)
	}
	if c.Title != "What is a kestrel," || c.ID == "" || c.Tokens != m.Stats.Length || m.Stats.Length == 0 {
		t.Errorf("conversation %+v", c)
	}
	w.say("Why?")
	want := []string{turnText("  What is a kestrel,\nreally?"), "\n" + turnText("Why?")}
	if fed := e.Fed(); !slices.Equal(fed, want) {
		t.Errorf("fed %q, want %q", fed, want)
	}
	// all of it is stored
	list, err := w.store.Conversations(context.Background(), store.Listing{})
	if err != nil || len(list) != 1 || list[0].Title != c.Title || list[0].Model != "demo" {
		t.Fatalf("stored %+v, %v", list, err)
	}
	tree, err := w.store.Tree(context.Background(), list[0].ID)
	if err != nil || len(tree.Path()) != 4 || tree.Path()[3].Content != "It is a bird." || tree.Path()[3].Status != store.Done || tree.Path()[3].Tokens != m.Stats.Tokens {
		t.Errorf("stored %+v, %v", tree.Path(), err)
	}
	if w.Snapshot().Changes == 0 {
		t.Error("no change of the store's lists was told")
	}
}

// TestVersions edits, answers anew, chooses and forks.
func TestVersions(t *testing.T) {
	n := atomic.Int64{}
	e := backendtest.New("")
	e.Reply = func(string) string { return fmt.Sprint("answer ", n.Add(1)) }
	w := start(t, e, Options{})
	w.load("demo")
	w.say("One")
	w.say("Two")
	first := w.Snapshot().Conversation
	fed := e.FedTokens()
	w.Regenerate(first.Messages[3].ID)
	c := w.wait("another version", func(s *Snapshot) bool {
		return s.Conversation.Phase == Idle && s.Conversation.Messages[3].Text == "answer 3"
	}).Conversation
	if m := c.Messages[3]; len(m.Versions) != 2 || m.Version != 1 || m.Versions[0] != first.Messages[3].ID || e.FedTokens() != fed {
		t.Errorf("%+v; %d tokens were read to answer anew", m, e.FedTokens()-fed)
	}
	if c.Messages[0] != first.Messages[0] || c.Messages[1] != first.Messages[1] || c.Messages[2] != first.Messages[2] {
		t.Error("messages that did not change are other pointers")
	}
	w.Choose(first.Messages[3].ID)
	w.wait("the first version", func(s *Snapshot) bool { return s.Conversation.Messages[3].Text == "answer 2" })
	w.Edit(first.Messages[2].ID, "Two and a half")
	c = w.wait("the edited turn", func(s *Snapshot) bool {
		return s.Conversation.Phase == Idle && s.Conversation.Messages[2].Text == "Two and a half" && s.Conversation.Messages[3].Status == Complete
	}).Conversation
	if got := texts(c); !slices.Equal(got, []string{"One", "answer 1", "Two and a half", "answer 4"}) || len(c.Messages[2].Versions) != 2 {
		t.Errorf("got %q", got)
	}
	if last := e.Fed()[len(e.Fed())-1]; last != "\n"+turnText("Two and a half") {
		t.Errorf("fed %q", last)
	}
	w.Choose(first.Messages[2].ID)
	w.wait("the turn before the edit", func(s *Snapshot) bool {
		return s.Conversation.Messages[2].Text == "Two" && len(s.Conversation.Messages) == 4
	})

	// a fork reads nothing again, here and after a restart
	for _, restart := range []bool{false, true} {
		if restart {
			w.restart()
			w.load("demo")
			w.Open(first.ID)
			w.wait("the conversation", func(s *Snapshot) bool { return s.Conversation != nil && len(s.Conversation.Messages) == 4 })
		}
		w.Fork(first.Messages[1].ID)
		c = w.wait("the fork", func(s *Snapshot) bool { return s.Conversation.ID != first.ID }).Conversation
		if !slices.Equal(texts(c), []string{"One", "answer 1"}) {
			t.Errorf("forked %q", texts(c))
		}
		before := len(e.Fed())
		w.say("And?")
		if got := e.Fed()[before:]; !slices.Equal(got, []string{"\n" + turnText("And?")}) {
			t.Errorf("restart %v: fed %q", restart, got)
		}
	}
}

// TestRestart holds that a conversation goes on after a restart without reading
// again, and that without its state it is read again.
func TestRestart(t *testing.T) {
	e := backendtest.New("Fine.")
	w := start(t, e, Options{})
	w.load("demo")
	w.say("One")
	w.say("Two")
	id := w.Snapshot().Conversation.ID
	open := func() {
		t.Helper()
		w.load("demo")
		w.Open(id)
		w.wait("the conversation", func(s *Snapshot) bool { return s.Conversation != nil && s.Conversation.ID == id })
	}
	w.restart()
	open()
	before := len(e.Fed())
	w.say("Three")
	if got := e.Fed()[before:]; !slices.Equal(got, []string{"\n" + turnText("Three")}) {
		t.Errorf("fed %q", got)
	}
	w.restart()
	if err := w.store.DropStates(context.Background()); err != nil {
		t.Fatal(err)
	}
	open()
	before = len(e.Fed())
	m := w.say("Four")
	want := turnText("One") + "Fine.<|im_end|>\n" + turnText("Two") + "Fine.<|im_end|>\n" + turnText("Three") + "Fine.<|im_end|>\n" + turnText("Four")
	if got := e.Fed()[before:]; !slices.Equal(got, []string{want}) || m.Stats.Read < 20 {
		t.Errorf("fed %q, read %d", got, m.Stats.Read)
	}
	// the states of one model are not another's
	w.load("other")
	before = len(e.Fed())
	w.say("Five")
	if got := e.Fed()[before:]; len(got) != 1 || !strings.HasPrefix(got[0], turnText("One")) {
		t.Errorf("fed %q", got)
	}
	// a file of states that is damaged is read past
	w.restart()
	files, err := filepath.Glob(filepath.Join(w.dir, "states", "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f, []byte(strings.Repeat("x", len(data))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	open()
	if m := w.say("Six"); m.Status != Complete || m.Text != "Fine." {
		t.Errorf("%+v", m)
	}
}

// TestSettings holds that settings last.
func TestSettings(t *testing.T) {
	e := backendtest.New(" a b c d e f")
	w := start(t, e, Options{})
	w.load("demo")
	w.New(NewOptions{System: "Be brief.", Sampling: &Sampling{MaxTokens: 3}})
	w.wait("a draft", func(s *Snapshot) bool { return s.Conversation != nil && s.Conversation.System == "Be brief." })
	if m := w.say("One"); m.Status != Cut || m.Text != " a b c" {
		t.Errorf("%+v", m)
	}
	if fed := e.Fed()[0]; fed != "<|im_start|>system\nBe brief.<|im_end|>\n"+turnText("One") {
		t.Errorf("fed %q", fed)
	}
	w.SetSampling(Sampling{Temperature: 0.5})
	w.SetSystem("Be long.")
	if m := w.say("Two"); m.Status != Complete || m.Text != " a b c d e f" {
		t.Errorf("%+v", m)
	}
	id := w.Snapshot().Conversation.ID
	w.restart()
	w.Open(id)
	c := w.wait("the conversation", func(s *Snapshot) bool { return s.Conversation != nil }).Conversation
	if c.Tokens == 0 {
		t.Error("the length is forgotten")
	}
	if c.System != "Be long." || c.Sampling != (Sampling{Temperature: 0.5}) || c.Messages[1].Status != Cut {
		t.Errorf("%+v", c)
	}
	if err := w.store.RenameConversation(context.Background(), store.ID(id), "Birds"); err != nil {
		t.Fatal(err)
	}
	w.Reload()
	w.wait("the title", func(s *Snapshot) bool { return s.Conversation.Title == "Birds" })
	w.Abandon(id)
	w.wait("no conversation", func(s *Snapshot) bool { return s.Conversation == nil })
	bad := float32(-1)
	w.load("demo")
	w.New(NewOptions{Sampling: &Sampling{Temperature: bad}})
	w.wait("a draft", func(s *Snapshot) bool { return s.Conversation != nil })
	if m := w.say("One"); m.Status != Failed || m.Problem == nil {
		t.Errorf("%+v", m)
	}
}

func TestTitle(t *testing.T) {
	for text, want := range map[string]string{
		"Hello": "Hello", "  two  spaces\nline": "two spaces", "": "",
		strings.Repeat("word ", 30): strings.TrimSpace(strings.Repeat("word ", 12))[:59] + "…",
		strings.Repeat("读", 70):     strings.Repeat("读", 60) + "…",
	} {
		if got := titleOf(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// TestBusy refuses a second message while the first is answered.
func TestBusy(t *testing.T) {
	e := backendtest.New(" a b c")
	e.Wait = 2
	w := start(t, e, Options{})
	w.load("demo")
	w.Send("One")
	<-e.Waiting
	w.Send("Two")
	s := w.wait("a notice", func(s *Snapshot) bool { return len(s.Notices) > 0 })
	if s.Notices[0].Problem.Kind != KindBusy || len(s.Conversation.Messages) != 2 {
		t.Errorf("%+v", s.Notices)
	}
	w.Stop()
	w.idle(2)
}

// TestSnapshots holds that snapshots come at most so often and that the last is
// never lost.
func TestSnapshots(t *testing.T) {
	e := backendtest.New(strings.Repeat(" word", 3000))
	w := start(t, e, Options{})
	w.load("demo")
	w.New(NewOptions{Sampling: &Sampling{Circles: true}})
	n := atomic.Int64{}
	last := atomic.Pointer[Snapshot]{}
	cancel := w.Subscribe(func(s *Snapshot) { n.Add(1); last.Store(s) })
	begun := time.Now()
	m := w.say("Go on")
	took := time.Since(begun)
	if most := int64(took/(time.Second/30)) + 3; n.Load() > most {
		t.Errorf("%d snapshots in %v", n.Load(), took)
	}
	w.wait("the last", func(s *Snapshot) bool { return last.Load() == w.Snapshot() })
	if len(m.Text) != 3000*5 {
		t.Errorf("%d bytes", len(m.Text))
	}
	cancel()
	before := n.Load()
	w.New(NewOptions{})
	w.wait("a draft", func(s *Snapshot) bool { return s.Conversation.ID == "" })
	if n.Load() != before {
		t.Error("called after cancel")
	}
}
