package session

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kestrel/app/backend/backendtest"
	"kestrel/app/store"
)

// killedDir names the variable that makes the test program a session in a
// folder that works until it is killed.
const killedDir = "KESTREL_SESSION_TEST_KILLED"

// shownAsKept is what a snapshot showed as finished; the program that was
// killed says it on its standard output.
type shownAsKept struct {
	Message, Text string // of a message that is complete
	Document      string // of a document that is done
}

// killedReply answers "Question N" at such a length that it is often killed.
func killedReply(read string) string {
	if strings.HasSuffix(read, "words.<|im_end|>\n<|im_start|>assistant\n") {
		return fmt.Sprintf("A book of %d lines.", strings.Count(read, "This is line"))
	}
	question := read[strings.LastIndex(read, "<|im_start|>user\n"):]
	return "You asked: " + strings.ReplaceAll(strings.TrimPrefix(question[:strings.Index(question, "<|im_end|>")], "<|im_start|>user\n"), "?", "? And again:")
}

func killedEngine() *backendtest.Engine {
	e := backendtest.New("")
	e.Reply = killedReply
	e.Before = func(ctx context.Context, op string) error {
		time.Sleep(time.Millisecond) // as a device takes its time
		return nil
	}
	return e
}

// workUntilKilled chats and reads documents without end.
func workUntilKilled(dir string) error {
	s, err := store.Open(context.Background(), dir)
	if err != nil {
		return err
	}
	if s.Damage() != nil || !s.Alone() {
		return fmt.Errorf("damage %+v, alone %v", s.Damage(), s.Alone())
	}
	a := Start(Options{Engine: killedEngine(), Store: s, SectionTokens: 128, PartialAfter: 10 * time.Millisecond, PartialShare: 0.3, Interval: 5 * time.Millisecond})
	out := json.NewEncoder(os.Stdout)
	told := map[string]bool{}
	failed := make(chan error, 1)
	a.Subscribe(func(s *Snapshot) {
		if len(s.Notices) > 0 {
			failed <- fmt.Errorf("notice %+v", s.Notices[0])
		}
		if s.Conversation == nil {
			return
		}
		for _, m := range s.Conversation.Messages {
			if m.Status == Complete && m.Document == nil && !told[m.ID] {
				told[m.ID] = true
				_ = out.Encode(shownAsKept{Message: m.ID, Text: m.Text})
			}
		}
		for _, d := range s.Conversation.Documents {
			if d.Stage == Done && !told[d.ID] {
				told[d.ID] = true
				_ = out.Encode(shownAsKept{Document: d.ID})
			}
		}
	})
	until := func(want func(*Snapshot) bool) error {
		for !want(a.Snapshot()) {
			select {
			case err := <-failed:
				return err
			case <-time.After(time.Millisecond):
			}
		}
		return nil
	}
	idle := func(n int) error {
		return until(func(s *Snapshot) bool {
			c := s.Conversation
			return c != nil && c.Phase == Idle && len(s.Busy) == 0 && len(c.Messages) == n
		})
	}
	path := filepath.Join(dir, "book.md")
	if err := os.WriteFile(path, []byte(book(80)), 0o600); err != nil {
		return err
	}
	a.Load(LoadRequest{Model: "demo"})
	if err := until(func(s *Snapshot) bool { return s.Model.State == Loaded }); err != nil {
		return err
	}
	fmt.Println("{}") // ready
	for n := 0; ; n++ {
		a.New(NewOptions{})
		if err := until(func(s *Snapshot) bool { return s.Conversation != nil && s.Conversation.ID == "" }); err != nil {
			return err
		}
		a.Send(strings.Repeat(fmt.Sprintf("Question %d? ", n), 1+rand.IntN(20)))
		if err := idle(2); err != nil {
			return err
		}
		a.AddFiles([]string{path})
		if err := until(func(s *Snapshot) bool {
			return len(s.Conversation.Documents) == 1 && s.Conversation.Documents[0].Stage == Ready
		}); err != nil {
			return err
		}
		a.Read(a.Snapshot().Conversation.Documents[0].ID, 20)
		a.Send("Question amid reading?")
		if err := idle(6); err != nil {
			return err
		}
		a.Send("Question after reading?")
		if err := idle(8); err != nil {
			return err
		}
		a.Regenerate(a.Snapshot().Conversation.Messages[7].ID)
		if err := until(func(s *Snapshot) bool { return len(s.Conversation.Messages[7].Versions) == 2 }); err != nil {
			return err
		}
		if err := idle(8); err != nil {
			return err
		}
	}
}

// TestKilled kills a session at random moments while it writes answers, reads
// documents and saves states. What a snapshot showed as finished is there
// afterwards, the rest is stopped or paused and can be gone on with.
func TestKilled(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, ctx := t.TempDir(), context.Background()
	kills := 50
	if testing.Short() {
		kills = 4
	}
	messages, documents := map[string]string{}, map[string]bool{}
	stopped, paused, states := 0, 0, 0
	for kill := range kills {
		cmd := exec.Command(program)
		cmd.Env = append(os.Environ(), killedDir+"="+dir)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(out)
		if line, err := lines.ReadString('\n'); err != nil {
			t.Fatalf("the program says %q, %v: %s", line, err, stderr.String())
		}
		time.AfterFunc(time.Duration(rand.IntN(700_000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
		for {
			line, err := lines.ReadString('\n')
			var k shownAsKept
			if err != nil || json.Unmarshal([]byte(line), &k) != nil {
				break // a line cut short was not said
			}
			if k.Message != "" {
				messages[k.Message] = k.Text
			}
			if k.Document != "" {
				documents[k.Document] = true
			}
		}
		_ = cmd.Wait() // killed
		if stderr.Len() > 0 {
			t.Fatalf("the program failed: %s", stderr.String())
		}
		s, err := store.Open(ctx, dir)
		if err != nil || s.Damage() != nil || !s.Alone() {
			t.Fatalf("kill %d: %v, damage %+v, alone %v", kill, err, s.Damage(), s.Alone())
		}
		for id, text := range messages {
			if m, err := s.Message(ctx, store.ID(id)); err != nil || m.Status != store.Done || m.Content != text {
				t.Errorf("kill %d: message %+v: %v, want %q", kill, m, err, text)
			}
		}
		list, err := s.Conversations(ctx, store.Listing{})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list {
			tree, err := s.Tree(ctx, c.ID)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range tree.All() {
				switch question, _ := tree.Message(cmp.Or(m.Answers, m.Parent)); {
				case m.Status == store.Done:
				case m.Status != store.Stopped || m.Role != store.Assistant:
					t.Errorf("kill %d: %+v", kill, m)
				default:
					stopped++
					full := killedReply(turnText(question.Content))
					if !strings.HasPrefix(question.Content, "book") && !strings.HasPrefix(full, m.Content) {
						t.Errorf("kill %d: %q is no beginning of %q", kill, m.Content, full)
					}
				}
			}
			docs, err := s.Documents(ctx, c.ID)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range docs {
				if d.Status == store.DocumentPaused {
					paused++
				} else if d.Status != store.DocumentDone {
					t.Errorf("kill %d: %+v", kill, d)
				}
				if documents[string(d.ID)] && d.Status != store.DocumentDone {
					t.Errorf("kill %d: a document that was done: %+v", kill, d)
				}
			}
			saved, err := s.States(ctx, c.ID)
			if err != nil {
				t.Fatal(err)
			}
			for _, st := range saved {
				states++
				f, err := s.OpenState(ctx, st.ID)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := killedEngine().ReadState(f); err != nil {
					t.Errorf("kill %d: a state is not whole: %v", kill, err)
				}
				_ = f.Close()
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		checkIntegrity(t, filepath.Join(dir, "kestrel.db"))
	}
	t.Logf("%d messages and %d documents finished; stopped answers seen %d times, paused documents %d times, states %d times",
		len(messages), len(documents), stopped, paused, states)
	if !testing.Short() && (len(messages) < kills || len(documents) == 0 || stopped == 0 || paused == 0 || states == 0) {
		t.Error("the program was hardly at work")
	}
	goOn(t, dir)
}

func checkIntegrity(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	var result string
	if err := errors.Join(db.QueryRow("PRAGMA integrity_check").Scan(&result), db.Close()); err != nil || result != "ok" {
		t.Errorf("integrity check: %q, %v", result, err)
	}
}

// goOn reads every paused document to its end and asks on in the last
// conversation that was killed.
func goOn(t *testing.T, dir string) {
	w := &world{t: t, dir: dir, o: Options{Engine: killedEngine(), SectionTokens: 128, PartialShare: -1}}
	w.begin()
	defer w.end()
	w.load("demo")
	list, err := w.store.Conversations(t.Context(), store.Listing{})
	if err != nil {
		t.Fatal(err)
	}
	resumed := 0
	for i, c := range list {
		docs, err := w.store.Documents(t.Context(), c.ID)
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 && (len(docs) == 0 || docs[0].Status != store.DocumentPaused) {
			continue
		}
		w.Open(string(c.ID))
		now := w.wait("the conversation", func(s *Snapshot) bool { return s.Conversation != nil && s.Conversation.ID == string(c.ID) }).Conversation
		if len(now.Documents) > 0 && now.Documents[0].Stage == Paused {
			w.Resume(now.Documents[0].ID)
			w.stage(Done)
			resumed++
		}
		if m := w.say("Question at last?"); m.Status != Complete || m.Text != "You asked: Question at last? And again:" {
			t.Errorf("%+v", m)
		}
		if len(now.Documents) > 0 && now.Documents[0].Message != "" { // else it was not begun
			c := w.Snapshot().Conversation
			found := false
			for _, m := range c.Messages {
				found = found || m.Text == "A book of 80 lines."
			}
			if !found {
				t.Errorf("no summary of all of the book: %+v", c.Messages)
			}
		}
	}
	t.Logf("%d documents read on", resumed)
}
