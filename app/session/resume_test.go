package session

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kestrel/app/backend/backendtest"
	"kestrel/app/dialog"
	"kestrel/app/store"
	"kestrel/engine"
)

// gate lets a fake engine read so many chunks, and then stop until opened.
type gate struct {
	left atomic.Int64
	at   chan struct{}
	open chan struct{}
}

// TestOddSections saves sections that no number of chunks fills.
func TestOddSections(t *testing.T) {
	e := summarizing()
	w := start(t, e, Options{SectionTokens: 100, PartialShare: -1})
	w.load("demo")
	w.AddFiles([]string{w.file("book.md", book(100))})
	w.Read(w.stage(Ready).ID, 20)
	c := w.idle(2)
	w.restart()
	states, err := w.store.States(context.Background(), store.ID(c.ID))
	if err != nil {
		t.Fatal(err)
	}
	if sections, most := len(states)-2, c.Documents[0].Tokens/100; sections < most*8/10 || sections > most {
		t.Errorf("%d sections were saved, of %d", sections, most)
	}
}

func closed(e *backendtest.Engine, after int64) *gate {
	g := &gate{at: make(chan struct{}, 1), open: make(chan struct{})}
	g.left.Store(after)
	e.Before = func(ctx context.Context, op string) error {
		if op == "feed" && g.left.Add(-1) < 0 {
			select {
			case g.at <- struct{}{}:
			default:
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-g.open:
			}
		}
		return nil
	}
	return g
}

// TestPause pauses, resumes, closes and goes on after a restart; in the end
// every token was read once.
func TestPause(t *testing.T) {
	text := book(400)
	e := summarizing()
	w := start(t, e, Options{SectionTokens: 1024, PartialShare: -1})
	w.load("demo")
	w.AddFiles([]string{w.file("book.md", text)})
	d := w.stage(Ready)
	w.wait("an estimate", func(s *Snapshot) bool { return s.Conversation.Documents[0].Estimate > 0 })
	before := len(e.Fed())
	g := closed(e, 20)
	w.Read(d.ID, 20)
	<-g.at
	w.wait("progress", func(s *Snapshot) bool {
		p := s.Conversation.Documents[0].Progress
		return p.Done > 1000 && p.Total == int64(d.Tokens) && p.Rate > 0 && p.ETA > 0 && s.Conversation.Phase == ReadingDocuments
	})
	w.Pause(d.ID)
	w.stage(Paused)
	g.left.Store(10)
	w.Resume(d.ID)
	<-g.at
	w.Stop() // pauses as well
	d = w.stage(Paused)
	id, doc := w.Snapshot().Conversation.ID, d
	reopen := func() {
		t.Helper()
		w.restart()
		w.load("demo")
		w.Open(id)
		if doc = w.stage(Paused); doc.Progress.Done == 0 {
			t.Errorf("%+v", doc)
		}
	}
	reopen()
	g.left.Store(15)
	w.Resume(doc.ID)
	<-g.at
	reopen() // closed in the middle
	close(g.open)
	w.Resume(doc.ID)
	c := w.idle(2)
	if m := c.Messages[1]; m.Text != "A book of 400 lines." || c.Documents[0].Stage != Done {
		t.Errorf("%+v", m)
	}
	if got, want := strings.Join(e.Fed()[before:], ""), turnText(dialog.SummaryRequest(text, 20)); got != want {
		t.Errorf("read %d bytes in all, want %d", len(got), len(want))
	}
}

// TestCrash goes on from the last section after a program that was killed.
func TestCrash(t *testing.T) {
	text := book(400)
	e := summarizing()
	w := start(t, e, Options{SectionTokens: 1024, PartialShare: -1})
	w.load("demo")
	w.AddFiles([]string{w.file("book.md", text)})
	d := w.stage(Ready)
	g := closed(e, 45)
	w.Read(d.ID, 20)
	<-g.at
	c := w.wait("a stored conversation", func(s *Snapshot) bool { return s.Conversation.ID != "" }).Conversation
	var states []store.State
	for deadline := time.Now().Add(5 * time.Second); len(states) < 2 && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		states, _ = w.store.States(context.Background(), store.ID(c.ID))
	}
	// the data as they are now, for another program
	copied := t.TempDir()
	if err := os.CopyFS(copied, os.DirFS(w.dir)); err != nil {
		t.Fatal(err)
	}
	other := summarizing()
	o := w.o
	o.Engine = other
	next := &world{t: t, dir: copied, o: o}
	next.begin()
	next.load("demo")
	next.Open(c.ID)
	next.Resume(next.stage(Paused).ID)
	got := next.idle(2)
	if got.Messages[1].Text != "A book of 400 lines." {
		t.Errorf("%+v", got.Messages[1])
	}
	whole := len(backendtest.Tokenizer(t).Encode(turnText(dialog.SummaryRequest(text, 20)), true))
	if fed := other.FedTokens(); len(states) < 2 || fed > whole-2*1024+64 || fed < whole-3*1024 {
		t.Errorf("%d of %d tokens were read again, %d states", fed, whole, len(states))
	}
	w.Cancel(d.ID)
	w.stage(Cancelled)
	next.Close(context.Background())
	next.store.Close()
}

// TestReadingDeviceLost holds that a reading goes on, after the model is loaded
// again, from the last section.
func TestReadingDeviceLost(t *testing.T) {
	text := book(400)
	e := summarizing()
	n := atomic.Int64{}
	e.Before = func(_ context.Context, op string) error {
		if op == "feed" && n.Add(1) == 40 {
			return fmt.Errorf("run chunk: %w", engine.ErrDeviceLost)
		}
		return nil
	}
	w := start(t, e, Options{SectionTokens: 1024, PartialShare: -1})
	w.load("demo")
	w.AddFiles([]string{w.file("book.md", text)})
	d := w.stage(Ready)
	w.Read(d.ID, 20)
	d = w.stage(Interrupted)
	if d.Problem.Kind != KindDeviceLost {
		t.Errorf("%+v", d.Problem)
	}
	w.wait("a broken model", func(s *Snapshot) bool { return s.Model.State == Broken && len(s.Busy) == 0 })
	before := e.FedTokens()
	w.load("demo")
	w.Resume(d.ID)
	c := w.idle(2)
	whole := len(backendtest.Tokenizer(t).Encode(text, false))
	if fed := e.FedTokens() - before; c.Messages[1].Text != "A book of 400 lines." || fed > whole-2*1024+200 {
		t.Errorf("%q, %d of %d tokens", texts(c), fed, whole)
	}
}
