package session

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kestrel/app/backend"
)

// The tests of this file run the built-in model on a Vulkan device, the
// software one if there is no other.

var longText = flag.String("long", "", "read a text of 562,000 words, or this file, and report speed and memory (\"words\" for a made-up text)")

func onDevice(t *testing.T, o Options) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a Vulkan device")
	}
	t.Setenv("XDG_CACHE_HOME", filepath.Join(os.TempDir(), "kestrel-test-cache"))
	w := start(t, backend.Vulkan{}, o)
	w.load(backend.Builtin)
	return w
}

// usage is what the session's memory is now.
func (w *world) usage() *Memory {
	w.t.Helper()
	got := make(chan *Memory, 10)
	cancel := w.WatchMemory(func(m *Memory) { got <- m })
	defer cancel()
	select {
	case m := <-got:
		return m
	case <-time.After(5 * time.Second):
		w.t.Fatal("no memory was told")
		return nil
	}
}

var greedy = Sampling{MaxTokens: 60}

func TestDeviceChat(t *testing.T) {
	w := onDevice(t, Options{})
	s := w.Snapshot()
	if m := s.Model; m.Name == "" || m.Parameters < 1e6 || m.Bytes < 1e6 || m.StateBytes < 1e4 || m.Precision == "" || m.Device.Name == "" {
		t.Errorf("model %+v", m)
	}
	estimate, err := w.Estimate(t.Context(), LoadRequest{Model: backend.Builtin})
	if err != nil || !estimate.Fits || estimate.Weights == 0 || estimate.Device == "" {
		t.Errorf("%+v, %v", estimate, err)
	}
	if got := w.usage(); got.Report.Total > estimate.Total || got.Report.Total < estimate.Total/2 || !got.Loaded || len(got.Heaps) == 0 {
		t.Errorf("allocated %+v, foretold %+v", got.Report, estimate)
	}
	w.New(NewOptions{Sampling: &greedy})
	w.wait("a draft", func(s *Snapshot) bool { return s.Conversation != nil })
	first := w.say("Hello")
	second := w.say("Who are you?")
	if first.Text == "" || second.Text == "" || second.Stats.Read > 30 {
		t.Fatalf("%+v, %+v", first, second)
	}
	w.Regenerate(second.ID)
	c := w.wait("another version", func(s *Snapshot) bool { return s.Conversation.Phase == Idle && s.Conversation.Messages[3].Version == 1 }).Conversation
	if m := c.Messages[3]; m.Text != second.Text || m.Stats.Read != 0 {
		t.Errorf("answered anew %+v, want %q", m, second.Text)
	}
	w.Fork(first.ID)
	w.wait("the fork", func(s *Snapshot) bool { return s.Conversation.ID != c.ID })
	if m := w.say("Who are you?"); m.Text != second.Text || m.Stats.Read > second.Stats.Read {
		t.Errorf("in a fork: %+v, want %+v", m, second)
	}
	w.restart()
	w.load(backend.Builtin)
	w.Open(c.ID)
	w.wait("the conversation", func(s *Snapshot) bool { return s.Conversation != nil })
	if m := w.say("Thank you."); m.Stats.Read > 30 || m.Stats.FirstToken > time.Second || m.Text == "" {
		t.Errorf("after a restart: %+v", m)
	}
}

// novel makes up a text of so many words.
func novel(words int) string {
	some := strings.Fields("the a of and sea captain looked at wind ship said nothing old night stars where there was a light on water that moved slowly")
	r := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	for i := range words {
		b.WriteString(some[r.IntN(len(some))])
		switch {
		case i%120 == 119:
			b.WriteString(".\n\n")
		case i%12 == 11:
			b.WriteString(". ")
		default:
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// readBook reads a document in a session of its own and returns the use of
// memory at its end, and its document.
func readBook(t *testing.T, path string, o Options, partials *atomic.Int64) (*world, *Memory, *Conversation) {
	t.Helper()
	w := onDevice(t, o)
	w.AddFiles([]string{path})
	d := w.stageWithin(Ready, 5*time.Minute)
	cancel := w.Subscribe(func(s *Snapshot) {
		if d := s.Conversation.Documents[0]; d.Partial != nil && d.Partial.Fresh && partials != nil {
			partials.Store(int64(d.Partial.Tokens))
		}
	})
	defer cancel()
	w.Read(d.ID, 60)
	w.stageWithin(Done, time.Hour)
	return w, w.usage(), w.idle(2)
}

// TestDeviceDocument reads a document, asks about it after a restart in under a
// second, and holds that memory does not depend on the length of the text.
func TestDeviceDocument(t *testing.T) {
	dir := t.TempDir()
	short, long := filepath.Join(dir, "short.txt"), filepath.Join(dir, "long.txt")
	for path, words := range map[string]int{short: 1000, long: 20_000} {
		if err := os.WriteFile(path, []byte(novel(words)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o := Options{PartialAfter: time.Second / 2}
	small, before, _ := readBook(t, short, o, nil)
	small.end()
	partial := atomic.Int64{}
	w, after, c := readBook(t, long, o, &partial)
	d := c.Documents[0]
	t.Logf("%d words, %d tokens: %.0f tokens/s", d.Words, d.Tokens, d.Progress.Rate)
	if d.Words != 20_000 || c.Messages[1].Text == "" || c.Messages[1].Status == Failed {
		t.Errorf("%+v, %+v", d, c.Messages[1])
	}
	if partial.Load() == 0 {
		t.Error("no partial summary was shown")
	}
	if before.Report.Peak != after.Report.Peak {
		t.Errorf("peak device memory is %d for 1,000 words, %d for %d", before.Report.Peak, after.Report.Peak, d.Words)
	}
	if after.TokensRead < int64(d.Tokens) || after.SavedDisk == 0 {
		t.Errorf("%+v", after)
	}
	if err := os.Remove(long); err != nil {
		t.Fatal(err)
	}
	w.restart()
	w.load(backend.Builtin)
	w.Open(c.ID)
	w.wait("the conversation", func(s *Snapshot) bool { return s.Conversation != nil })
	if m := w.say("What is it about?"); m.Stats.FirstToken > time.Second || m.Stats.Read > 40 || m.Status == Failed {
		t.Errorf("after a restart: %+v", m)
	}
}

// TestDevicePause holds that a reading that was paused, also over a restart,
// ends in the same summary as one that was not.
func TestDevicePause(t *testing.T) {
	path := filepath.Join(t.TempDir(), "book.txt")
	if err := os.WriteFile(path, []byte(novel(6000)), 0o600); err != nil {
		t.Fatal(err)
	}
	o := Options{PartialShare: -1, SectionTokens: 2048}
	whole, _, c := readBook(t, path, o, nil)
	want := c.Messages[1].Text
	whole.end()
	w := onDevice(t, o)
	w.AddFiles([]string{path})
	w.Read(w.stage(Ready).ID, 60)
	pauses := 0
	for share := 0.1; share < 0.9; share += 0.2 {
		s := w.wait("a part of the text", func(s *Snapshot) bool {
			d := s.Conversation.Documents[0]
			return d.Stage == Done || d.Progress.Total > 0 && float64(d.Progress.Done) >= share*float64(d.Progress.Total)
		})
		d := s.Conversation.Documents[0]
		w.Pause(d.ID)
		d = w.wait("a pause", func(s *Snapshot) bool {
			stage := s.Conversation.Documents[0].Stage
			return stage == Paused || stage == Done
		}).Conversation.Documents[0]
		if d.Stage == Done {
			break
		}
		pauses++
		if pauses == 2 {
			id := s.Conversation.ID
			w.restart()
			w.load(backend.Builtin)
			w.Open(id)
			d = w.stage(Paused)
		}
		w.Resume(d.ID)
	}
	w.stage(Done)
	if got := w.idle(2).Messages[1].Text; got != want || pauses < 2 {
		t.Errorf("after %d pauses %q, want %q", pauses, got, want)
	}
}

// TestDeviceLong reads a text of the length of "War and Peace".
func TestDeviceLong(t *testing.T) {
	if *longText == "" {
		t.Skip("-long reads a long text")
	}
	path := *longText
	if path == "words" {
		path = filepath.Join(t.TempDir(), "long.txt")
		if err := os.WriteFile(path, []byte(novel(562_000)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	short := filepath.Join(t.TempDir(), "short.txt")
	if err := os.WriteFile(short, []byte(novel(1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	small, before, _ := readBook(t, short, Options{}, nil)
	small.end()
	rss := resident(t)
	partial := atomic.Int64{}
	begun := time.Now()
	w, after, c := readBook(t, path, Options{}, &partial)
	d := c.Documents[0]
	fmt.Printf("%d words, %d tokens in %v; last partial summary after %d\n", d.Words, after.TokensRead, time.Since(begun).Round(time.Second), partial.Load())
	fmt.Printf("peak device memory %d bytes for 1,000 words, %d for the text\n", before.Report.Peak, after.Report.Peak)
	for _, p := range after.Report.Purposes {
		fmt.Printf("  %s %d (host %v)\n", p.Purpose, p.Allocated, p.Host)
	}
	fmt.Printf("resident at its peak: %d kB after 1,000 words, %d kB after the text; states on disk %d bytes\n", rss, resident(t), after.SavedDisk)
	fmt.Printf("summary: %s\n", c.Messages[1].Text)
	if before.Report.Peak != after.Report.Peak {
		t.Error("the peak depends on the length")
	}
	w.restart()
	w.load(backend.Builtin)
	w.Open(c.ID)
	w.wait("the conversation", func(s *Snapshot) bool { return s.Conversation != nil })
	m := w.say("What is it about?")
	fmt.Printf("after a restart: first token after %v, %d tokens read: %s\n", m.Stats.FirstToken, m.Stats.Read, m.Text)
	if m.Stats.FirstToken > time.Second {
		t.Error("too slow")
	}
}

// resident is the most memory that this process has had, in kB.
func resident(t *testing.T) (kb int) {
	t.Helper()
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip(err)
	}
	_, rest, _ := strings.Cut(string(data), "VmHWM:")
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		t.Fatal(err)
	}
	return kb
}
