package session

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kestrel/app/backend/backendtest"
	"kestrel/app/dialog"
	"kestrel/app/store"
)

const said = "He is a man of the world, and a man of his word."

var round = "It begins well. " + strings.Repeat(said+" ", 60)

// stored is a message as the store has it.
func (w *world) stored(id string) store.Message {
	w.t.Helper()
	m, err := w.store.Message(context.Background(), store.ID(id))
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// TestCircle holds that an answer that goes in a circle ends, without what is repeated; that the state which is kept is that
// of the text which is kept, here, in a fork and after a restart; and that one can go on, answer anew, or turn it off.
func TestCircle(t *testing.T) {
	const left = "It begins well. " + said
	e := backendtest.New("")
	e.Reply = func(read string) string {
		if strings.Contains(read, "Go on") || strings.Contains(read, "Why?") {
			return "Fine."
		}
		return round
	}
	w := start(t, e, Options{})
	w.load("demo")
	m := w.say("Who is he?")
	if m.Text != left || m.Status != Circled || m.Problem != nil || m.Stats.Tokens == 0 || m.Stats.Tokens > 200 {
		t.Fatalf("%+v", m)
	}
	if s := w.stored(m.ID); s.Content != left || s.Status != store.Done || s.Problem.Kind != NoteCircled || s.Problem.Counts[0] != m.Stats.Tokens {
		t.Errorf("stored %+v", s)
	}
	next := func(what, question string) {
		t.Helper()
		before := len(e.Fed())
		if m := w.say(question); m.Text != "Fine." || m.Status != Complete {
			t.Errorf("%s: %+v", what, m)
		}
		if fed := strings.Join(e.Fed()[before:], ""); fed != "<|im_end|>\n"+turnText(question) {
			t.Errorf("%s: reads %q", what, fed)
		}
	}
	first := w.Snapshot().Conversation.ID
	w.Fork(m.ID)
	w.wait("the fork", func(s *Snapshot) bool { return s.Conversation.ID != first && len(s.Conversation.Messages) == 2 })
	if m := w.Snapshot().Conversation.Messages[1]; m.Text != left || m.Status != Circled {
		t.Errorf("in the fork %+v", m)
	}
	next("in a fork", "Why?")
	w.restart()
	w.load("demo")
	w.Open(first)
	c := w.idle(2)
	if m := c.Messages[1]; m.Text != left || m.Status != Circled || c.Tokens != m.Stats.Length && c.Tokens == 0 {
		t.Errorf("after a restart %+v", m)
	}
	next("after a restart", "Go on")

	// it goes for answers anew, and not where the user does not want it
	w.Regenerate(m.ID)
	again := w.wait("another version", func(s *Snapshot) bool {
		c := s.Conversation
		return c.Phase == Idle && len(c.Messages) == 2 && len(c.Messages[1].Versions) == 2
	}).Conversation.Messages[1]
	if again.Text != left || again.Status != Circled {
		t.Errorf("anew %+v", again)
	}
	s := DefaultSampling()
	s.Circles = true
	w.SetSampling(s)
	w.Regenerate(m.ID)
	again = w.wait("a third version", func(s *Snapshot) bool {
		c := s.Conversation
		return c.Phase == Idle && len(c.Messages[1].Versions) == 3
	}).Conversation.Messages[1]
	if again.Text != strings.TrimSuffix(round, " ") && again.Text != round || again.Status != Complete {
		t.Errorf("with circles allowed %+v", again)
	}
	if row, err := w.store.Conversation(context.Background(), store.ID(first)); err != nil || !strings.Contains(string(row.Sampling), `"circles":true`) {
		t.Errorf("stored %s, %v", row.Sampling, err)
	}
}

// TestCircleSaved holds that a state is saved with such an answer, and is that of its text.
func TestCircleSaved(t *testing.T) {
	w := start(t, backendtest.New(round), Options{})
	w.load("demo")
	m := w.say("Who is he?")
	c := w.Snapshot().Conversation.ID
	w.end() // all is saved
	w.begin()
	states, err := w.store.States(context.Background(), store.ID(c))
	if err != nil || len(states) != 1 || string(states[0].Message) != m.ID || states[0].Tokens != m.Stats.Length {
		t.Fatalf("%+v, %v; the answer ends after %d tokens", states, err, m.Stats.Length)
	}
	tok := backendtest.Tokenizer(t)
	want := len(tok.Encode(turnText("Who is he?"), true)) + len(tok.Encode(m.Text, false)) + len(tok.Prefix())
	if m.Stats.Length != want {
		t.Errorf("the text has %d tokens, the state %d", want, m.Stats.Length)
	}
}

// TestWish holds that what the user wants repeated is.
func TestWish(t *testing.T) {
	text := strings.TrimSpace(strings.Repeat(said+"\n", 50))
	w := start(t, backendtest.New(text), Options{})
	w.load("demo")
	if m := w.say("Repeat this 50 times: " + said); m.Text != text || m.Status != Complete {
		t.Errorf("%+v", m)
	}
}

// TestStopInCircle holds that Stop keeps what was written before a circle was found.
func TestStopInCircle(t *testing.T) {
	e := backendtest.New(round)
	e.Wait = 40
	w := start(t, e, Options{})
	w.load("demo")
	w.Send("Who is he?")
	<-e.Waiting
	w.Stop()
	c := w.idle(2)
	if m := c.Messages[1]; m.Status != Stopped || !strings.HasPrefix(round, m.Text) || len(m.Text) < len("It begins well. "+said) {
		t.Errorf("%+v", m)
	}
}

// TestCircleSummary holds that a document's summary that goes in a circle is written anew, live and at the end, and that
// one which does so again is told.
func TestCircleSummary(t *testing.T) {
	for _, test := range []struct {
		name, second, want string
		status             Status
	}{
		{"whole", "A book of lines.", "A book of lines.", Complete},
		{"round again", "So. " + round, "So. It begins well. " + said, Circled},
	} {
		t.Run(test.name, func(t *testing.T) {
			var asked atomic.Int64
			e := backendtest.New("")
			e.Reply = func(read string) string {
				switch {
				case !strings.HasSuffix(read, "words.<|im_end|>\n<|im_start|>assistant\n"):
					return "Because."
				case asked.Add(1)%2 == 1:
					return round
				}
				return test.second
			}
			e.Before = func(_ context.Context, op string) error {
				if op == "feed" {
					time.Sleep(2 * time.Millisecond)
				}
				return nil
			}
			text := book(800)
			w := start(t, e, Options{PartialAfter: 20 * time.Millisecond})
			w.load("demo")
			w.AddFiles([]string{w.file("book.md", text)})
			d := w.stage(Ready)
			partial := map[string]bool{}
			cancel := w.Subscribe(func(s *Snapshot) {
				if p := s.Conversation.Documents[0].Partial; p != nil {
					partial[p.Text] = true // one goroutine calls
				}
			})
			w.Read(d.ID, 60)
			c := w.idle(2)
			cancel()
			m := c.Messages[1]
			if m.Text != test.want || m.Status != test.status || c.Documents[0].Stage != Done {
				t.Errorf("%+v", m)
			}
			if s := w.stored(m.ID); s.Content != test.want || (s.Problem.Kind == NoteCircled) != (test.status == Circled) {
				t.Errorf("stored %+v", s)
			}
			if len(partial) == 0 {
				t.Error("no partial summary came")
			}
			for p := range partial {
				if p != test.want {
					t.Errorf("a partial summary is %q", p)
				}
			}
			before := len(e.Fed())
			if m := w.say("Why?"); m.Text != "Because." {
				t.Errorf("%+v", m)
			}
			end := "\n"
			if test.status == Circled {
				end = "<|im_end|>\n"
			}
			if fed := strings.Join(e.Fed()[before:], ""); fed != end+turnText("Why?") {
				t.Errorf("then it reads %q", fed)
			}
			if n := strings.Count(strings.Join(e.Fed(), ""), dialog.SummaryRequest(text, 60)); n > 1 {
				t.Errorf("the document is read %d times", n)
			}
		})
	}
}
