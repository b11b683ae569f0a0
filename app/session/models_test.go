package session

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kestrel/app/backend"
	"kestrel/app/backend/backendtest"
	"kestrel/app/library"
	"kestrel/engine"
	"kestrel/engine/checkpoint"
	"kestrel/engine/checkpoint/checkpointtest"
	"kestrel/engine/vulkan"
	"kestrel/engine/weights"
)

func TestLoad(t *testing.T) {
	e := backendtest.New("Fine.")
	e.DeviceList = []vulkan.DeviceInfo{{Name: "one", Usable: true}, {Name: "two", Reason: "it is too old"}}
	opening := make(chan struct{}, 10)
	hang := atomic.Bool{}
	fails := atomic.Pointer[error]{}
	e.Before = func(ctx context.Context, op string) error {
		if op != "open" {
			return nil
		}
		if err := fails.Load(); err != nil {
			return *err
		}
		if hang.Load() {
			opening <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}
	w := start(t, e, Options{})
	if list, err := w.Devices(context.Background()); err != nil || len(list) != 2 || list[1].Reason == "" {
		t.Errorf("%+v, %v", list, err)
	}
	if s := w.Snapshot(); s == nil || s.Model.State != NoModel {
		t.Fatalf("%+v", s)
	}
	w.Load(LoadRequest{Model: "a", Device: "one", Quant: "q8_0"})
	s := w.wait("the model", func(s *Snapshot) bool { return s.Model.State == Loaded })
	if o := e.Options(); o.Device != "one" || o.Quant != "q8_0" || s.Model.Precision != "q8_0" || !s.Model.Instruct && s.Model.StateBytes != 100 {
		t.Errorf("%+v, %+v", o, s.Model)
	}
	// a load that is cancelled
	hang.Store(true)
	w.Load(LoadRequest{Model: "b"})
	<-opening
	w.wait("loading", func(s *Snapshot) bool { return s.Model.State == Loading && s.Model.Request.Model == "b" })
	w.CancelLoad()
	w.wait("no model", func(s *Snapshot) bool { return s.Model.State == NoModel })
	if m := w.say("Hello"); m.Status != Failed || m.Problem.Kind != KindNoModel {
		t.Errorf("%+v", m)
	}
	// one in the place of one under way; what was asked meanwhile is answered
	w.Load(LoadRequest{Model: "c"})
	<-opening
	w.Send("Are you there?")
	w.wait("a turn that waits", func(s *Snapshot) bool { return s.Conversation.Phase == Waiting })
	hang.Store(false)
	w.Load(LoadRequest{Model: "d"})
	w.wait("the model", func(s *Snapshot) bool { return s.Model.State == Loaded && s.Model.Request.Model == "d" })
	c := w.wait("the answer", func(s *Snapshot) bool {
		return len(s.Conversation.Messages) == 4 && s.Conversation.Phase == Idle && s.Conversation.Messages[3].Status != Streaming
	}).Conversation
	if m := c.Messages[3]; m.Status != Stopped && m.Text != "Fine." {
		t.Errorf("%+v", m)
	}
	// failures, by kind
	for _, test := range []struct {
		err  error
		kind Kind
	}{
		{fmt.Errorf("x: %w", engine.ErrOutOfDeviceMemory), KindOutOfMemory},
		{fmt.Errorf("x: %w", engine.ErrNoDevice), KindNoDevice},
		{fmt.Errorf("x: %w", engine.ErrBadModel), KindBadModel},
		{errors.New("x"), KindOther},
	} {
		fails.Store(&test.err)
		w.Load(LoadRequest{Model: "e"})
		s := w.wait("a failure", func(s *Snapshot) bool {
			return s.Model.State == Broken && s.Model.Problem.Kind == test.kind
		})
		if s.Model.Problem.Text != test.err.Error() || s.Model.Request.Model != "e" {
			t.Errorf("%+v", s.Model.Problem)
		}
	}
	fails.Store(nil)
	w.load("f")
	w.Unload()
	w.wait("no model", func(s *Snapshot) bool { return s.Model.State == NoModel })
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		if models, sessions, _ := e.Alive(); models == 0 && sessions == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the device's memory was not given back")
		}
	}
}

// TestLibrary lists, imports and fails to pull.
func TestLibrary(t *testing.T) {
	hub := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(hub.Close)
	home := t.TempDir()
	env := map[string]string{"KESTREL_HOME": home, "HF_ENDPOINT": hub.URL}
	l, err := library.Open(func(key string) string { return env[key] })
	if err != nil {
		t.Fatal(err)
	}
	w := start(t, backendtest.New(""), Options{Library: l})
	dir := filepath.Join(t.TempDir(), "mine")
	if err := os.CopyFS(dir, checkpointtest.Random(3, checkpointtest.Small(checkpoint.FalconMamba)).HF(checkpointtest.All(weights.F32))); err != nil {
		t.Fatal(err)
	}
	w.Import(dir)
	w.wait("an import", func(s *Snapshot) bool { return len(s.Transfers) == 1 && s.Transfers[0].Done })
	w.CancelTransfer(dir)
	w.wait("none", func(s *Snapshot) bool { return len(s.Transfers) == 0 })
	w.load("mine")
	list, err := w.Choices(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	count := map[Source]int{}
	for _, c := range list {
		count[c.Source]++
		if c.Source == Library && (c.Name != "mine" || !c.Ready || !c.Selected || c.Entry == nil || c.Bytes == 0) || c.Source == Builtin && (c.Name != backend.Builtin || !c.Ready || c.Selected) {
			t.Errorf("%+v", c)
		}
	}
	if count[Builtin] != 1 || count[Library] != 1 || count[Published] != len(library.KnownModels()) {
		t.Errorf("%v", count)
	}
	w.Pull("nobody/nothing")
	s := w.wait("a failure", func(s *Snapshot) bool { return len(s.Transfers) == 1 && s.Transfers[0].Problem != nil })
	if p := s.Transfers[0].Problem; p.Text == "" || p.Err == nil {
		t.Errorf("%+v", p)
	}
	w.Pull("nobody/nothing") // again, in the place of the first
	w.wait("one transfer", func(s *Snapshot) bool { return len(s.Transfers) == 1 })
}

func TestMemory(t *testing.T) {
	e := backendtest.New("Fine.")
	w := start(t, e, Options{})
	got := make(chan *Memory, 100)
	begun := time.Now()
	cancel := w.WatchMemory(func(m *Memory) { got <- m })
	if m := <-got; m.Loaded {
		t.Errorf("%+v", m)
	}
	w.load("demo")
	w.say("One")
	var m *Memory
	for range 3 {
		m = <-got
	}
	if took := time.Since(begun); took < 2*memoryEvery {
		t.Errorf("told too often: 4 times in %v", took)
	}
	if !m.Loaded || m.Report.Total != 1000 || len(m.Heaps) != 1 || m.SavedRAM < backendtest.StateBytes || m.SavedDisk == 0 || m.TokensRead < 10 || m.Device.Name != "fake device" {
		t.Errorf("%+v", m)
	}
	cancel()
	for len(got) > 0 {
		<-got
	}
	time.Sleep(2 * memoryEvery)
	if len(got) > 1 { // one may have been under way
		t.Errorf("told %d times after cancel", len(got))
	}
}

// TestClose holds that closing ends what is under way soon, and keeps it.
func TestClose(t *testing.T) {
	e := backendtest.New(" a b c d")
	e.Wait = 2
	w := start(t, e, Options{})
	w.load("demo")
	w.Send("One")
	<-e.Waiting
	s := w.wait("writing", func(s *Snapshot) bool {
		return s.Conversation != nil && s.Conversation.Phase == Writing && s.Conversation.Messages[1].Text == " a b"
	})
	begun := time.Now()
	w.restart()
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("closing took %v", took)
	}
	w.Open(s.Conversation.ID)
	c := w.wait("the conversation", func(s *Snapshot) bool { return s.Conversation != nil }).Conversation
	if m := c.Messages[1]; m.Text != " a b" || m.Status != Stopped {
		t.Errorf("%+v", m)
	}
	if err := w.Close(context.Background()); err != nil {
		t.Error(err)
	}
	w.Send("nobody hears this") // and nothing breaks
	if err := w.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// TestHammer sends every command from several goroutines at once, in any order,
// while chunks and tokens take their time and the device is lost now and then.
func TestHammer(t *testing.T) {
	e := summarizing()
	n := atomic.Int64{}
	var sound atomic.Bool // no faults any more
	e.Before = func(ctx context.Context, op string) error {
		if sound.Load() {
			return nil
		}
		if n.Add(1)%400 == 399 {
			return fmt.Errorf("%s: %w", op, engine.ErrDeviceLost)
		}
		select {
		case <-time.After(time.Duration(rand.IntN(300)) * time.Microsecond):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	w := start(t, e, Options{SectionTokens: 128, PartialAfter: time.Millisecond, Interval: time.Millisecond})
	w.load("demo")
	files := []string{w.file("a.md", book(60)), w.file("b.md", book(90)), w.file("c.txt", "")}
	seen := atomic.Int64{}
	w.Subscribe(func(s *Snapshot) { seen.Add(1); _ = fmt.Sprint(s.Model.State, s.Conversation) })
	w.WatchMemory(func(*Memory) {})
	pick := func(list []string) string {
		if len(list) == 0 {
			return "none"
		}
		return list[rand.IntN(len(list))]
	}
	var conversations sync.Map
	until := time.Now().Add(4 * time.Second)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for time.Now().Before(until) {
				s := w.Snapshot()
				var messages, docs, convs []string
				if c := s.Conversation; c != nil {
					if c.ID != "" {
						conversations.Store(c.ID, true)
					}
					for _, m := range c.Messages {
						messages = append(messages, m.Versions...)
					}
					for _, d := range c.Documents {
						docs = append(docs, d.ID)
					}
				}
				conversations.Range(func(k, _ any) bool { convs = append(convs, k.(string)); return true })
				switch rand.IntN(22) {
				case 0:
					w.Load(LoadRequest{Model: pick([]string{"demo", "other"})})
				case 1:
					w.CancelLoad()
				case 2, 3, 4:
					w.Send("Hello <|im_end|>")
				case 5:
					w.Stop()
				case 6:
					w.Edit(pick(messages), "Other")
				case 7, 8:
					w.Regenerate(pick(messages))
				case 9:
					w.Choose(pick(messages))
				case 10:
					w.Fork(pick(messages))
				case 11:
					w.New(NewOptions{System: "x"})
				case 12, 13:
					w.Open(pick(convs))
				case 14:
					w.AddFiles(files)
				case 15, 16:
					w.Read(pick(docs), 5)
				case 17:
					w.Pause(pick(docs))
				case 18:
					w.Resume(pick(docs))
				case 19:
					w.Cancel(pick(docs))
				case 20:
					w.SetSystem(pick([]string{"", "Be brief."}))
					w.SetSampling(Sampling{Temperature: 0.5})
				case 21:
					if rand.IntN(4) == 0 {
						w.Abandon(pick(convs))
					}
					w.Reload()
					if s.Model.State == Broken || s.Model.State == NoModel {
						w.Load(LoadRequest{Model: "demo"})
					}
				}
				done := make(chan struct{})
				w.do(func() { close(done) }) // no faster than the disk
				<-done
			}
		})
	}
	group.Wait()
	if seen.Load() == 0 {
		t.Error("no snapshot")
	}
	for _, n := range w.Snapshot().Notices {
		if n.Problem.Kind == KindOther && !strings.Contains(n.Problem.Text, "not there any more") {
			t.Errorf("%+v", n.Problem)
		}
	}
	// it still works
	sound.Store(true)
	w.Load(LoadRequest{Model: "demo"})
	w.wait("the model", func(s *Snapshot) bool { return s.Model.State == Loaded })
	w.fresh()
	if m := w.say("Hello"); m.Text != "Because." {
		t.Errorf("%+v", m)
	}
}

// TestCloseHangs holds that a device that does not answer keeps nobody waiting.
func TestCloseHangs(t *testing.T) {
	e := backendtest.New("Fine.")
	hangs, free := make(chan struct{}), make(chan struct{})
	e.Before = func(_ context.Context, op string) error {
		if op == "feed" {
			close(hangs)
			<-free
		}
		return nil
	}
	w := start(t, e, Options{})
	w.load("demo")
	w.Send("One")
	<-hangs
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if err := w.Close(ctx); !errors.Is(err, ErrNotStopped) || time.Since(begun) > 2*time.Second {
		t.Errorf("got %v after %v", err, time.Since(begun))
	}
	close(free) // and all ends in time
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if models, _, _ := e.Alive(); models == 0 {
			break
		}
	}
	w.end()
}
