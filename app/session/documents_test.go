package session

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kestrel/app/backend/backendtest"
	"kestrel/app/dialog"
	"kestrel/app/document"
	"kestrel/app/store"
)

// book is a text of about 12 tokens a line.
func book(lines int) string {
	var b strings.Builder
	for i := range lines {
		if i%50 == 0 {
			fmt.Fprintf(&b, "## Part %d\n\n", i/50)
		}
		fmt.Fprintf(&b, "This is line %d of the book.\n\n", i)
	}
	return b.String()
}

// summarizing answers requests for summaries, and questions, apart.
func summarizing() *backendtest.Engine {
	e := backendtest.New("")
	e.Reply = func(read string) string {
		if strings.HasSuffix(read, "words.<|im_end|>\n<|im_start|>assistant\n") {
			return fmt.Sprintf("A book of %d lines.", strings.Count(read, "This is line"))
		}
		return "Because."
	}
	return e
}

// TestDocument inspects a document, reads it, asks about it, and does so again
// after a restart and in a fork, without its text being read twice.
func TestDocument(t *testing.T) {
	e := summarizing()
	e.Trained = 1000
	text := book(400)
	w := start(t, e, Options{SectionTokens: 1024, PartialShare: -1})
	w.load("demo")
	path := w.file("book.md", text)
	w.AddFiles([]string{path})
	d := w.stage(Ready)
	want := document.CountWords(text)
	if d.Name != "book.md" || d.Format != document.Markdown || d.Words != want || d.Size != int64(len(text)) || d.Pages != 0 || d.Problem != nil || d.Title != "Part 0" {
		t.Errorf("inspected %+v, want %d words", d, want)
	}
	tok := backendtest.Tokenizer(t)
	if n := len(tok.Encode(text, false)); d.Tokens < n*99/100 || d.Tokens > n*101/100 || d.Beyond != d.Tokens-1000 {
		t.Errorf("%d tokens, want about %d; %d beyond", d.Tokens, n, d.Beyond)
	}
	d = w.wait("an estimate", func(s *Snapshot) bool { return s.Conversation.Documents[0].Estimate > 0 }).Conversation.Documents[0]
	before := len(e.Fed())
	w.Read(d.ID, 20)
	c := w.idle(2)
	d = c.Documents[0]
	if d.Stage != Done || d.Message != c.Messages[0].ID || c.Messages[0].Document != d || d.Wanted != 20 || d.Partial != nil {
		t.Errorf("%+v, %+v", d, c.Messages[0])
	}
	if m := c.Messages[1]; m.Text != "A book of 400 lines." || m.Status != Complete {
		t.Errorf("%+v", m)
	}
	if got, want := strings.Join(e.Fed()[before:], ""), turnText(dialog.SummaryRequest(text, 20)); got != want {
		t.Errorf("read %d bytes, want %d", len(got), len(want))
	}
	// saved: each section, all of it, and the answer
	var states []store.State
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		var err error
		if states, err = w.store.States(context.Background(), store.ID(c.ID)); err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(states, func(s store.State) bool { return s.Message != "" }) { // the last
			break
		}
	}
	sections, final := 0, 0
	for _, s := range states {
		switch {
		case s.Final:
			final++
		case s.Document != "":
			sections++
			if s.Tokens%1024 > 20 {
				t.Errorf("a section's state after %d tokens", s.Tokens)
			}
		}
	}
	if sections != d.Tokens/1024 || final != 1 {
		t.Errorf("%d sections and %d whole saved of %d tokens", sections, final, d.Tokens)
	}
	if err := os.Remove(path); err != nil { // it is not needed any more
		t.Fatal(err)
	}
	ask := func(what string) {
		t.Helper()
		before := e.FedTokens()
		if m := w.say("Why?"); m.Text != "Because." || e.FedTokens()-before > 40 {
			t.Errorf("%s: %d tokens were read: %+v", what, e.FedTokens()-before, m)
		}
	}
	ask("at once")
	w.restart()
	w.load("demo")
	w.Open(c.ID)
	w.wait("the conversation", func(s *Snapshot) bool { return s.Conversation != nil })
	if d := w.Snapshot().Conversation.Documents[0]; d.Stage != Done || d.Words != want || d.Name != "book.md" {
		t.Errorf("reopened %+v", d)
	}
	ask("after a restart")
	w.Fork(c.Messages[1].ID)
	f := w.wait("the fork", func(s *Snapshot) bool { return s.Conversation.ID != c.ID }).Conversation
	if len(f.Documents) != 1 || f.Documents[0].Stage != Done || len(f.Messages) != 2 {
		t.Errorf("forked %+v", f)
	}
	ask("in a fork")
	// another summary starts from the state before the first
	fed := e.FedTokens()
	w.Regenerate(f.Messages[1].ID)
	c = w.idle(2)
	if m := c.Messages[1]; m.Text != "A book of 400 lines." || m.Version != 1 || e.FedTokens() != fed {
		t.Errorf("%+v, %d tokens read", m, e.FedTokens()-fed)
	}
}

// TestCountWhileLoading has a document inspected when its model arrives: it was
// begun without a tokenizer, and must not stay without a number of tokens.
func TestCountWhileLoading(t *testing.T) {
	w := start(t, summarizing(), Options{PartialShare: -1})
	for range cap(w.inspections) {
		w.inspections <- struct{}{}
	}
	w.AddFiles([]string{w.file("book.md", book(400))})
	w.stage(Inspecting)
	w.load("demo")
	for range cap(w.inspections) {
		<-w.inspections
	}
	w.wait("tokens and an estimate", func(s *Snapshot) bool {
		d := s.Conversation.Documents[0]
		return d.Stage == Ready && d.Tokens > 0 && d.Estimate > 0
	})
}

// TestPartial holds that partial summaries come while a document is read, cost
// no more than their share, and leave no trace in what is read.
func TestPartial(t *testing.T) {
	text := book(1500)
	e := summarizing()
	e.Before = func(_ context.Context, op string) error {
		switch op {
		case "feed":
			time.Sleep(2 * time.Millisecond)
		case "token":
			time.Sleep(time.Millisecond)
		}
		return nil
	}
	w := start(t, e, Options{PartialAfter: 20 * time.Millisecond})
	w.load("demo")
	if m := w.say("Hello"); m.Text != "Because." {
		t.Fatalf("%+v", m)
	}
	seen := map[string]bool{}
	stale := atomic.Bool{}
	w.AddFiles([]string{w.file("book.md", text)})
	d := w.stage(Ready)
	cancel := w.Subscribe(func(s *Snapshot) {
		if p := s.Conversation.Documents[0].Partial; p != nil {
			seen[p.Text] = true // one goroutine calls
			if !p.Fresh {
				stale.Store(true)
			}
			if p.Share <= 0 || p.Share >= 1 || p.Tokens <= 0 {
				t.Errorf("partial %+v", p)
			}
		}
	})
	begun := time.Now()
	w.Read(d.ID, 30)
	c := w.idle(4)
	took := time.Since(begun)
	cancel()
	if len(seen) < 2 || c.Messages[3].Text != "A book of 1500 lines." {
		t.Errorf("partial summaries %v, then %q", seen, c.Messages[3].Text)
	}
	// each takes at least 12 ms, of which the reading pays a share of 0.12
	if most := int(10*took.Seconds()) + 2; len(seen) > most {
		t.Errorf("%d partial summaries in %v", len(seen), took)
	}
	whole := turnText("Hello") + "Because.<|im_end|>\n" + turnText(dialog.SummaryRequest(text, 30))
	read := strings.Join(e.Fed(), "")
	extra := strings.Count(read, "\n\nSummarize this text in at most 30 words.")
	if extra != len(seen)+1 {
		t.Errorf("asked %d times, %d summaries", extra, len(seen))
	}
	if d := c.Documents[0]; d.Partial != nil || d.Stage != Done {
		t.Errorf("%+v", d)
	}
	if n := e.Apart(); n > 0 { // answers to others share the reading of the weights
		t.Errorf("%d texts were written apart", n)
	}
	// the conversation goes on from its own state
	before := e.FedTokens()
	if m := w.say("Why?"); m.Text != "Because." || e.FedTokens()-before > 40 || len(whole) == 0 {
		t.Errorf("%+v, %d tokens", m, e.FedTokens()-before)
	}
}

// TestQueue reads several documents one after the other; the second's turn
// follows the first's summary. Meanwhile another conversation is answered.
func TestQueue(t *testing.T) {
	e := summarizing()
	w := start(t, e, Options{SectionTokens: 256, PartialShare: -1})
	w.load("demo")
	w.AddFiles([]string{w.file("a.md", book(100)), w.file("b.txt", book(50)), w.file("c.txt", "")})
	s := w.wait("an inspection", func(s *Snapshot) bool {
		if s.Conversation == nil {
			return false
		}
		d := s.Conversation.Documents
		return len(d) == 3 && d[0].Stage == Ready && d[1].Stage == Ready && d[2].Stage == Unreadable
	})
	w.wait("an estimate", func(s *Snapshot) bool { return s.Conversation.Documents[0].Estimate > 0 && len(s.Busy) == 0 })
	docs := s.Conversation.Documents
	g := closed(e, 6)
	w.Read(docs[0].ID, 10)
	w.Read(docs[1].ID, 10)
	<-g.at
	s = w.wait("a queue", func(s *Snapshot) bool { return len(s.Busy) == 2 && s.Conversation.Documents[1].Stage == Queued })
	book := s.Conversation.ID
	w.New(NewOptions{})
	w.Send("Hello")
	g.left.Store(1) // the reader makes way: this chunk is the answer's
	if m := w.wait("an answer", func(s *Snapshot) bool {
		c := s.Conversation
		return c.ID != book && len(c.Messages) == 2 && c.Messages[1].Status == Complete
	}).Conversation.Messages[1]; m.Text != "Because." {
		t.Errorf("%+v", m)
	}
	w.Open(book)
	close(g.open)
	c := w.wait("both", func(s *Snapshot) bool {
		return s.Conversation.ID == book && len(s.Conversation.Messages) == 4 && len(s.Busy) == 0
	}).Conversation
	if c.Messages[1].Text != "A book of 100 lines." || c.Messages[3].Text != "A book of 150 lines." || c.Messages[2].Document != c.Documents[1] {
		t.Errorf("%q", texts(c))
	}
	if _, _, most := e.Alive(); most > 2 {
		t.Errorf("%d engine sessions at once", most)
	}
}

// TestCancelDocument takes away what was not begun, and lets what was begun
// count for nothing in what follows.
func TestCancelDocument(t *testing.T) {
	e := summarizing()
	w := start(t, e, Options{SectionTokens: 256, PartialShare: -1})
	w.load("demo")
	w.AddFiles([]string{w.file("a.md", book(100)), w.file("b.md", book(100))})
	s := w.wait("an inspection", func(s *Snapshot) bool {
		if s.Conversation == nil {
			return false
		}
		d := s.Conversation.Documents
		return len(d) == 2 && d[0].Stage == Ready && d[1].Stage == Ready && d[0].Estimate > 0
	})
	w.Cancel(s.Conversation.Documents[1].ID)
	s = w.wait("one document", func(s *Snapshot) bool { return len(s.Conversation.Documents) == 1 })
	g := closed(e, 3)
	w.Read(s.Conversation.Documents[0].ID, 10)
	<-g.at
	w.Cancel(s.Conversation.Documents[0].ID)
	if d := w.stage(Cancelled); d.Message == "" {
		t.Errorf("%+v", d)
	}
	close(g.open)
	before := len(e.Fed())
	if m := w.say("Hello"); m.Text != "Because." {
		t.Errorf("%+v", m)
	}
	if got := strings.Join(e.Fed()[before:], ""); got != turnText("Hello") {
		t.Errorf("fed %q", got)
	}
	// it can be taken up again
	c := w.Snapshot().Conversation
	w.Resume(c.Documents[0].ID)
	c = w.wait("the document", func(s *Snapshot) bool {
		return s.Conversation.Documents[0].Stage == Done && s.Conversation.Phase == Idle && len(s.Busy) == 0
	}).Conversation
	if c.Messages[3].Text != "A book of 100 lines." {
		t.Errorf("%q", texts(c))
	}
}
