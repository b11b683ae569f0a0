package session

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kestrel/app/backend"
	"kestrel/app/backend/backendtest"
	"kestrel/app/dialog"
	"kestrel/app/store"
	"kestrel/engine"
	"kestrel/engine/sample"
)

// listening is summarizing, and remembers what the model knew when it answered.
type listening struct {
	*backendtest.Engine
	mu    sync.Mutex
	known []string
}

func newListening() *listening {
	l := &listening{Engine: summarizing()}
	reply := l.Reply
	l.Reply = func(read string) string {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.known = append(l.known, read)
		return reply(read)
	}
	return l
}

// last is what the model knew when it answered last.
func (l *listening) last() string { l.mu.Lock(); defer l.mu.Unlock(); return l.known[len(l.known)-1] }

// ask sends a message amid a reading and waits for its answer alone.
func (w *world) ask(text string) *Message {
	w.t.Helper()
	w.Send(text)
	c := w.wait("an answer amid the reading", func(s *Snapshot) bool {
		c := s.Conversation
		n := len(c.Messages)
		return n > 1 && c.Messages[n-2].Text == text && c.Messages[n-1].Status != Streaming && !c.Phase.Answering()
	}).Conversation
	return c.Messages[len(c.Messages)-1]
}

// TestAmid asks while a document is read, while it is paused, and after a
// restart: each answer knows what was read by then and nothing more, says so,
// and leaves no trace in the reading. In the end the summary stands behind the
// document, and what was asked meanwhile behind both, with nothing read twice.
func TestAmid(t *testing.T) {
	text := book(400)
	e := newListening()
	w := start(t, e.Engine, Options{SectionTokens: 1024, PartialShare: -1})
	w.load("demo")
	if m := w.say("Hello"); m.Text != "Because." {
		t.Fatalf("%+v", m)
	}
	w.AddFiles([]string{w.file("book.md", text)})
	d := w.stage(Ready)
	w.wait("an estimate", func(s *Snapshot) bool { return s.Conversation.Documents[0].Estimate > 0 && len(s.Busy) == 0 })
	request := dialog.SummaryRequest(text, 20)
	_, after, _ := strings.Cut(dialog.SummaryRequest("TEXT", 20), "TEXT")
	before := turnText("Hello") + "Because.<|im_end|>\n"
	// known cuts off what the model knew of the book; the rest is what it knew beside
	known := func() (part, rest string) {
		t.Helper()
		last := e.last()
		part, rest, found := strings.Cut(last, after+"<|im_end|>\n<|im_start|>assistant\n")
		if !found || !strings.HasPrefix(before+turnText(request), part) {
			t.Fatalf("the model knew %d bytes: %q", len(last), last)
		}
		return part, rest
	}
	fed := func() int { return e.FedTokens() }
	begun, asked := fed(), 0 // tokens that were read, and those for questions
	g := closed(e.Engine, 20)
	w.Read(d.ID, 20)
	<-g.at
	s := w.wait("progress", func(s *Snapshot) bool { return s.Conversation.Documents[0].Progress.Done > 1000 })
	if s.Conversation.Phase != ReadingDocuments {
		t.Errorf("%+v", s.Conversation)
	}

	g.left.Store(2) // the question's chunks; the reader makes way
	first := w.ask("Why?")
	asked += first.Stats.Read
	part, rest := known()
	if want := dialog.HasReadSoFar + "<|im_end|>\n" + turnText("Why?"); first.Text != "Because." || rest != want {
		t.Errorf("%+v: the model knew %q, want %q", first, rest, want)
	}
	percent := 100 * (len(part) - len(before)) / len(text)
	if n := first.Note; n.Kind != NotePart || len(n.Counts) != 2 || n.Counts[0] < percent-3 || n.Counts[0] > percent+3 || n.Counts[1] < 1000 || !slices.Equal(n.Names, []string{"book.md"}) || n.Text == "" {
		t.Errorf("note %+v of %d %%", n, percent)
	}
	if first.Stats.Read > 60 {
		t.Errorf("%d tokens were read for the question", first.Stats.Read)
	}
	<-g.at // the reading goes on by itself
	w.wait("reading", func(s *Snapshot) bool {
		return s.Conversation.Documents[0].Stage == ReadingText && s.Conversation.Phase == ReadingDocuments
	})

	w.Pause(d.ID)
	w.stage(Paused)
	g.left.Store(1 << 40)
	second := w.ask("And?")
	asked += second.Stats.Read
	if _, rest := known(); !strings.HasSuffix(rest, turnText("Why?")+"Because.<|im_end|>\n"+turnText("And?")) || second.Note.Kind != NotePart {
		t.Errorf("the model knew %q, %+v", rest, second.Note)
	}
	id := w.Snapshot().Conversation.ID
	w.restart()
	w.load("demo")
	w.Open(id)
	d = w.stage(Paused)
	if m := w.Snapshot().Conversation.Messages; !reflect.DeepEqual(m[4].Note, first.Note) {
		t.Errorf("after a restart the note is %+v, was %+v", m[4].Note, first.Note)
	}
	third := w.ask("Again?")
	asked += third.Stats.Read
	if again, _ := known(); len(again) < len(part) || third.Stats.Read > 120 || third.Note.Kind != NotePart {
		t.Errorf("knew %d bytes, then %d; read %d tokens, %+v", len(part), len(again), third.Stats.Read, third.Note)
	}
	// a fork amid the reading knows as much
	w.Fork(third.ID)
	w.wait("the fork", func(s *Snapshot) bool { return s.Conversation.ID != id && s.Conversation.Documents[0].Stage == Paused })
	m := w.ask("In a fork?")
	if asked += m.Stats.Read; m.Note.Kind != NotePart || m.Stats.Read > 160 {
		t.Errorf("%+v", m)
	}
	w.Open(id)
	w.wait("the conversation", func(s *Snapshot) bool { return s.Conversation.ID == id })

	w.Resume(d.ID)
	c := w.idle(2 + 1 + 6 + 1)
	if got, want := texts(c)[2:], []string{"", "Why?", "Because.", "And?", "Because.", "Again?", "Because.", "A book of 400 lines."}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if e.last() != before+turnText(request) {
		t.Errorf("the summary is of %d bytes, want %d", len(e.last()), len(before+turnText(request)))
	}
	if got, want := fed()-begun-asked, len(backendtest.Tokenizer(t).Encode("\n"+turnText(request), true)); got < want || got > want+5 {
		t.Errorf("%d tokens were read beside the questions', of %d", got, want) // sections may cut a word in two
	}
	was := fed()
	if m := w.ask("In the end?"); !m.Note.None() || m.Text != "Because." {
		t.Errorf("%+v", m)
	}
	want := before + turnText(request) + "A book of 400 lines.<|im_end|>\n" + turnText("Why?") + "Because.<|im_end|>\n" + turnText("And?") +
		"Because.<|im_end|>\n" + turnText("Again?") + "Because.<|im_end|>\n" + turnText("In the end?")
	if e.last() != want || fed()-was > 160 {
		t.Errorf("read %d tokens; the model knew %q", fed()-was, e.last()[len(before)+len(request):])
	}
	was = fed()
	if m := w.ask("Really?"); m.Text != "Because." || fed()-was > 40 {
		t.Errorf("%+v, %d tokens", m, fed()-was)
	}

	// answered anew, the summary is another version where it stands, and what was
	// asked amid the reading is answered from all of it
	summary := c.Messages[len(c.Messages)-1]
	w.Regenerate(summary.ID)
	c = w.wait("another summary", func(s *Snapshot) bool {
		m := s.Conversation.Messages
		return len(m) == 10 && len(m[9].Versions) == 2 && m[9].Status == Complete && !s.Conversation.Phase.Answering()
	}).Conversation
	if e.last() != before+turnText(request) || c.Messages[9].Text != summary.Text {
		t.Errorf("%q", texts(c))
	}
	was = fed()
	w.Regenerate(first.ID)
	c = w.wait("another answer", func(s *Snapshot) bool {
		m := s.Conversation.Messages
		return len(m) == 5 && len(m[4].Versions) == 2 && m[4].Status == Complete && !s.Conversation.Phase.Answering()
	}).Conversation
	if m := c.Messages[4]; !m.Note.None() || e.last() != before+turnText(request)+"A book of 400 lines.<|im_end|>\n"+turnText("Why?") || fed()-was > 60 {
		t.Errorf("%+v, %d tokens", m, fed()-was)
	}
}

// TestAmidNothing asks when nothing of a document was read yet, when it waits
// for its turn, and when the state of its part is gone.
func TestAmidNothing(t *testing.T) {
	e := newListening()
	w := start(t, e.Engine, Options{SectionTokens: 256, PartialShare: -1})
	w.load("demo")
	w.AddFiles([]string{w.file("a.md", book(100)), w.file("b.txt", book(50))})
	s := w.wait("an inspection", func(s *Snapshot) bool {
		return s.Conversation != nil && len(s.Conversation.Documents) == 2 && s.Conversation.Documents[0].Estimate > 0 && s.Conversation.Documents[1].Estimate > 0 && len(s.Busy) == 0
	})
	docs := s.Conversation.Documents
	g := closed(e.Engine, 0)
	w.Read(docs[0].ID, 10)
	w.Read(docs[1].ID, 10)
	<-g.at
	g.left.Store(6)
	m := w.ask("Hello")
	if e.last() != turnText("Hello") || m.Note.Kind != NoteUnread || !slices.Equal(m.Note.Names, []string{"a.md"}) {
		t.Errorf("the model knew %q, %+v", e.last(), m.Note)
	}
	<-g.at
	w.Pause(docs[0].ID) // the other's turn begins
	<-g.at
	w.wait("a pause", func(s *Snapshot) bool { return s.Conversation.Documents[0].Stage == Paused })
	w.Stop() // and pauses too
	c := w.wait("a pause", func(s *Snapshot) bool {
		return s.Conversation.Documents[1].Stage == Paused && s.Conversation.Documents[0].Stage == Paused && len(s.Busy) == 0
	}).Conversation
	close(g.open)
	w.restart()
	if err := w.store.DropStates(context.Background()); err != nil {
		t.Fatal(err)
	}
	w.load("demo")
	w.Open(c.ID)
	w.wait("the conversation", func(s *Snapshot) bool { return s.Conversation != nil })
	m = w.ask("And now?")
	if e.last() != turnText("Hello")+"Because.<|im_end|>\n"+turnText("And now?") || m.Note.Kind != NoteUnread {
		t.Errorf("the model knew %q, %+v", e.last(), m.Note)
	}
	// both are read to their ends all the same, each summary where it is written
	w.Resume(docs2(w)[0].ID)
	w.Resume(docs2(w)[1].ID)
	c = w.wait("both", func(s *Snapshot) bool {
		d := s.Conversation.Documents
		return d[0].Stage == Done && d[1].Stage == Done && len(s.Busy) == 0 && !s.Conversation.Phase.Answering()
	}).Conversation
	if n := len(c.Messages); c.Messages[n-2].Text != "A book of 100 lines." || !strings.HasPrefix(c.Messages[n-1].Text, "A book of ") || n != 8 {
		t.Errorf("%q", texts(c))
	}
}

func docs2(w *world) []*Document { return w.Snapshot().Conversation.Documents }

// TestAmidElsewhere has a document's reading end while the user looks at another
// version of the conversation: it stays in sight.
func TestAmidElsewhere(t *testing.T) {
	e := newListening()
	w := start(t, e.Engine, Options{SectionTokens: 256, PartialShare: -1})
	w.load("demo")
	w.say("One")
	w.AddFiles([]string{w.file("a.md", book(100))})
	d := w.stage(Ready)
	w.wait("nothing to do", func(s *Snapshot) bool { return s.Conversation.Documents[0].Estimate > 0 && len(s.Busy) == 0 })
	g := closed(e.Engine, 5)
	w.Read(d.ID, 10)
	<-g.at
	c := w.wait("the document's turn", func(s *Snapshot) bool { return len(s.Conversation.Messages) == 3 }).Conversation
	g.left.Store(2)
	w.Edit(c.Messages[0].ID, "One and a half")
	w.wait("the edited version", func(s *Snapshot) bool {
		m := s.Conversation.Messages
		return len(m) == 2 && m[1].Text == "Because." && !s.Conversation.Phase.Answering()
	})
	close(g.open)
	c = w.wait("the summary", func(s *Snapshot) bool {
		return s.Conversation.Documents[0].Stage == Done && len(s.Busy) == 0 && !s.Conversation.Phase.Answering()
	}).Conversation
	if got := texts(c); !slices.Equal(got, []string{"One and a half", "Because."}) {
		t.Errorf("%q", got)
	}
	w.Choose(c.Messages[0].Versions[0])
	w.wait("the version with the document", func(s *Snapshot) bool {
		return slices.Equal(texts(s.Conversation), []string{"One", "Because.", "", "A book of 100 lines."})
	})
}

// TestAmidStop stops an answer amid a reading: the reading goes on. What fails
// amid it fails alone.
func TestAmidStop(t *testing.T) {
	e := newListening()
	e.Wait = 1
	w := start(t, e.Engine, Options{SectionTokens: 256, PartialShare: -1})
	w.load("demo")
	w.AddFiles([]string{w.file("a.md", book(100))})
	d := w.stage(Ready)
	w.wait("nothing to do", func(s *Snapshot) bool { return s.Conversation.Documents[0].Estimate > 0 && len(s.Busy) == 0 })
	g := closed(e.Engine, 5)
	w.Read(d.ID, 10)
	<-g.at
	g.left.Store(2)
	w.Send("Why?")
	<-e.Waiting
	w.Stop()
	s := w.wait("a stop", func(s *Snapshot) bool {
		m := s.Conversation.Messages
		return len(m) == 3 && m[2].Status == Stopped && !s.Conversation.Phase.Answering()
	})
	if s.Conversation.Messages[2].Note.Kind != NotePart {
		t.Errorf("%+v", s.Conversation.Messages[2])
	}
	<-g.at
	w.wait("reading", func(s *Snapshot) bool {
		return s.Conversation.Documents[0].Stage == ReadingText && !s.Conversation.Phase.Answering()
	})
	w.Stop()
	w.stage(Paused)
}

// TestAmidManyWays asks, pauses and resumes at random moments; all of it is
// raced by hand. Every answer comes, and the summary is of the whole.
func TestAmidManyWays(t *testing.T) {
	e := newListening()
	e.Before = func(_ context.Context, op string) error {
		if op == "feed" {
			time.Sleep(time.Millisecond)
		}
		return nil
	}
	w := start(t, e.Engine, Options{SectionTokens: 256, PartialAfter: 5 * time.Millisecond})
	w.load("demo")
	w.AddFiles([]string{w.file("a.md", book(600))})
	d := w.stage(Ready)
	w.Read(d.ID, 10)
	questions := 0
	for i := 0; ; i++ {
		s := w.Snapshot()
		stage := s.Conversation.Documents[0].Stage
		if stage == Done || stage == Summarizing {
			break
		}
		switch i % 4 {
		case 0, 2:
			w.Send("Why?")
			questions++
		case 1:
			w.Pause(d.ID)
			time.Sleep(time.Millisecond)
		case 3:
			w.Resume(d.ID)
			time.Sleep(12 * time.Millisecond)
		}
		w.wait("an answer", func(s *Snapshot) bool { return !s.Conversation.Phase.Answering() })
	}
	c := w.wait("the end", func(s *Snapshot) bool {
		return s.Conversation.Documents[0].Stage == Done && len(s.Busy) == 0 && !s.Conversation.Phase.Answering()
	}).Conversation
	answers, summaries := 0, 0
	for _, m := range c.Messages {
		if m.Role == "user" {
			continue
		}
		switch {
		case m.Status != Complete:
			t.Errorf("%+v", m)
		case m.Text == "Because.":
			answers++
		case m.Text == "A book of 600 lines.":
			summaries++
		default:
			t.Errorf("%+v", m)
		}
	}
	if answers == 0 || answers > questions || summaries != 1 {
		t.Errorf("%d answers to %d questions, %d summaries", answers, questions, summaries)
	}
}

// TestDeviceAmid asks the built-in model amid a document: its answer is word for
// word that of a session which reads the same part and nothing else, and the
// summary that of a reading in which nothing was asked.
func TestDeviceAmid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "book.txt")
	if err := os.WriteFile(path, []byte(novel(6000)), 0o600); err != nil {
		t.Fatal(err)
	}
	o := Options{PartialShare: -1, SectionTokens: 2048}
	whole, _, c := readBook(t, path, o, nil)
	want := c.Messages[1].Text
	whole.end()
	w := onDevice(t, o)
	w.New(NewOptions{Sampling: &greedy})
	w.AddFiles([]string{path})
	d := w.stage(Ready)
	w.Read(d.ID, 60)
	w.wait("a part of the text", func(s *Snapshot) bool { return s.Conversation.Documents[0].Progress.Done > 500 })
	var asked []*Message
	asked = append(asked, w.ask("What is it about?"))
	w.Pause(d.ID)
	w.wait("a pause", func(s *Snapshot) bool { st := s.Conversation.Documents[0].Stage; return st == Paused || st == Done })
	asked = append(asked, w.ask("Who is in it?"))
	states, err := w.store.States(t.Context(), store.ID(w.Snapshot().Conversation.ID))
	if err != nil || slices.ContainsFunc(states, func(s store.State) bool { return s.Message != "" }) {
		t.Errorf("%v; states were kept of answers from a part: %+v", err, states)
	}
	w.Resume(d.ID)
	c = w.idle(6)
	if m := c.Messages[5]; m.Text != want || m.Status == Failed {
		t.Errorf("summed up as %q, without questions as %q", m.Text, want)
	}
	if m := w.ask("What is it about?"); m.Status != Complete && m.Status != Cut || m.Stats.Read > 200 || !m.Note.None() {
		t.Errorf("%+v", m)
	}
	w.end()

	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	model, err := backend.Vulkan{}.Open(t.Context(), backend.Builtin, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer model.Close()
	tok := model.Tokenizer()
	before, after, _ := strings.Cut(dialog.SummaryRequest("TEXT", 60), "TEXT")
	said := ""
	for i, question := range []string{"What is it about?", "Who is in it?"} {
		m := asked[i]
		if m.Note.Kind != NotePart || m.Note.Counts[1] < 500 {
			t.Fatalf("%+v", m)
		}
		session, err := model.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		// as the reader feeds it: what stands before, the document, what stands behind
		ids := append(tok.Prefix(), tok.Encode("<|im_start|>user\n"+before, true)...)
		ids = append(ids, tok.Encode(strings.TrimSpace(string(data)), false)[:m.Note.Counts[1]]...)
		said += turnText(question)
		ids = append(ids, tok.Encode(after+"<|im_end|>\n<|im_start|>assistant\n"+dialog.HasReadSoFar+"<|im_end|>\n"+said, true)...)
		if err := session.Feed(t.Context(), ids, nil); err != nil {
			t.Fatal(err)
		}
		s, err := sample.New(sample.Params{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := session.Generate(t.Context(), s, engine.GenerateOptions{Max: 60}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got.Text != m.Text {
			t.Errorf("%s: %q, from the part alone %q", question, m.Text, got.Text)
		}
		said += m.Text + "<|im_end|>\n"
		session.Close()
	}
}
