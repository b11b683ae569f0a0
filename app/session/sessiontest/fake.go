// Package sessiontest provides a session for tests of the window: it records
// the commands it is given and shows the snapshots that the test makes.
//
// It does not provide the real session's rules; what a command brings about is
// what the test's On does.
package sessiontest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"kestrel/app/session"
	"kestrel/engine/vulkan"
)

// Call is a command that was given: "Send" with the arguments "Hello".
type Call struct {
	Name string
	Args []any
}

// String is as a call in Go: Send("Hello").
func (c Call) String() string {
	args := make([]string, len(c.Args))
	for i, a := range c.Args {
		args[i] = fmt.Sprintf("%#v", a)
	}
	return c.Name + "(" + strings.Join(args, ", ") + ")"
}

// Fake is a session.Session. The exported fields are set before it is used.
// Callbacks come on the goroutine that calls Update or UpdateMemory.
type Fake struct {
	// On, if set, is called after each command was recorded, on the caller's
	// goroutine, and may call Update.
	On func(Call)

	ChoiceList []session.Choice
	DeviceList []vulkan.DeviceInfo
	Estimates  func(session.LoadRequest) (session.Estimate, error)
	QueryErr   error // of Choices and Devices

	publish sync.Mutex // one callback at a time
	mu      sync.Mutex
	calls   []Call
	now     *session.Snapshot
	memory  *session.Memory
	next    int
	subs    map[int]func(*session.Snapshot)
	watches map[int]func(*session.Memory)
}

var _ session.Session = (*Fake)(nil)

// New returns a session with the demo model loaded and no conversation.
func New() *Fake {
	return &Fake{
		now: &session.Snapshot{Seq: 1, Model: &session.Model{
			State: session.Loaded, Request: session.LoadRequest{Model: "demo"}, Name: "demo", Precision: "F16", Parameters: 3_700_000,
			Bytes: 7_400_000, StateBytes: 245_000, MaxTrained: 2048, Instruct: true,
			Device: vulkan.DeviceInfo{Name: "fake device", Type: vulkan.Software, Usable: true},
		}},
		subs: map[int]func(*session.Snapshot){}, watches: map[int]func(*session.Memory){},
	}
}

// Calls lists the commands so far and forgets them.
func (f *Fake) Calls() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls := f.calls
	f.calls = nil
	return calls
}

// Update shows the snapshot that change makes of a copy of the present one. It
// must put new values in the place of what pointers and slices of it name.
func (f *Fake) Update(change func(s *session.Snapshot)) {
	f.mu.Lock()
	s := *f.now
	s.Seq++
	change(&s)
	f.now = &s
	f.mu.Unlock()
	f.show(&s)
}

func (f *Fake) show(s *session.Snapshot) {
	f.publish.Lock()
	defer f.publish.Unlock()
	for _, sub := range values(&f.mu, f.subs) {
		sub(s)
	}
}

// UpdateConversation is Update of the open conversation, which is begun if there
// is none. Its slices may be appended to.
func (f *Fake) UpdateConversation(change func(c *session.Conversation)) {
	f.Update(func(s *session.Snapshot) {
		c := session.Conversation{ID: "c1", Sampling: session.DefaultSampling(), Phase: session.Idle}
		if s.Conversation != nil {
			c = *s.Conversation
			c.Messages, c.Documents = slices.Clone(c.Messages), slices.Clone(c.Documents)
		}
		change(&c)
		s.Conversation = &c
	})
}

// Stream lets the answer with that id grow by text; without one of that id it
// begins.
func (f *Fake) Stream(id, text string) {
	f.UpdateConversation(func(c *session.Conversation) {
		c.Phase = session.Writing
		for i, m := range c.Messages {
			if m.ID == id {
				more := *m
				more.Text += text
				c.Messages[i] = &more
				return
			}
		}
		c.Messages = append(c.Messages, Message(id, "assistant", text, session.Streaming))
	})
}

// Message is a message with only one version.
func Message(id, role, text string, status session.Status) *session.Message {
	return &session.Message{ID: id, Role: role, Text: text, Status: status, Created: time.Unix(1_700_000_000, 0), Versions: []string{id}}
}

// UpdateMemory tells those who watch memory.
func (f *Fake) UpdateMemory(m *session.Memory) {
	f.mu.Lock()
	f.memory = m
	f.mu.Unlock()
	f.publish.Lock()
	defer f.publish.Unlock()
	for _, watch := range values(&f.mu, f.watches) {
		watch(m)
	}
}

func values[T any](mu *sync.Mutex, m map[int]func(T)) []func(T) {
	mu.Lock()
	defer mu.Unlock()
	keys := make([]int, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	out := make([]func(T), len(keys))
	for i, k := range keys {
		out[i] = m[k]
	}
	return out
}

// Snapshot is the present one.
func (f *Fake) Snapshot() *session.Snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// Subscribe calls back at once and from each Update.
func (f *Fake) Subscribe(sub func(*session.Snapshot)) (cancel func()) {
	cancel = add(f, f.subs, sub)
	sub(f.Snapshot())
	return cancel
}

// WatchMemory calls back from each UpdateMemory, and at once if there was one.
func (f *Fake) WatchMemory(watch func(*session.Memory)) (cancel func()) {
	f.mu.Lock()
	m := f.memory
	f.mu.Unlock()
	cancel = add(f, f.watches, watch)
	if m != nil {
		watch(m)
	}
	return cancel
}

func add[T any](f *Fake, to map[int]func(T), sub func(T)) (cancel func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next++
	id := f.next
	to[id] = sub
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(to, id)
	}
}

// Watched says whether anybody watches memory.
func (f *Fake) Watched() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.watches) > 0
}

func (f *Fake) call(name string, args ...any) {
	c := Call{name, args}
	f.mu.Lock()
	f.calls = append(f.calls, c)
	f.mu.Unlock()
	if f.On != nil {
		f.On(c)
	}
}

// Close is recorded.
func (f *Fake) Close(context.Context) error { f.call("Close"); return nil }

// Choices is ChoiceList.
func (f *Fake) Choices(context.Context) ([]session.Choice, error) { return f.ChoiceList, f.QueryErr }

// Devices is DeviceList.
func (f *Fake) Devices(context.Context) ([]vulkan.DeviceInfo, error) { return f.DeviceList, f.QueryErr }

// Estimate is Estimates', or one of 100 MiB that fits.
func (f *Fake) Estimate(_ context.Context, r session.LoadRequest) (session.Estimate, error) {
	if f.Estimates != nil {
		return f.Estimates(r)
	}
	return session.Estimate{
		Weights: 90 << 20, State: 1 << 20, Scratch: 8 << 20, Staging: 1 << 20, Total: 100 << 20, OnDevice: 100 << 20, Budget: 1 << 30, Fits: true, Device: "fake device",
	}, nil
}

// The commands are recorded under their names.

func (f *Fake) Load(r session.LoadRequest)     { f.call("Load", r) }
func (f *Fake) CancelLoad()                    { f.call("CancelLoad") }
func (f *Fake) Unload()                        { f.call("Unload") }
func (f *Fake) Pull(name string)               { f.call("Pull", name) }
func (f *Fake) Import(path string)             { f.call("Import", path) }
func (f *Fake) CancelTransfer(name string)     { f.call("CancelTransfer", name) }
func (f *Fake) New(o session.NewOptions)       { f.call("New", o) }
func (f *Fake) Open(id string)                 { f.call("Open", id) }
func (f *Fake) Reload()                        { f.call("Reload") }
func (f *Fake) Abandon(id string)              { f.call("Abandon", id) }
func (f *Fake) Send(text string)               { f.call("Send", text) }
func (f *Fake) Stop()                          { f.call("Stop") }
func (f *Fake) Edit(id, text string)           { f.call("Edit", id, text) }
func (f *Fake) Regenerate(id string)           { f.call("Regenerate", id) }
func (f *Fake) Choose(id string)               { f.call("Choose", id) }
func (f *Fake) Fork(id string)                 { f.call("Fork", id) }
func (f *Fake) SetSystem(text string)          { f.call("SetSystem", text) }
func (f *Fake) SetSampling(s session.Sampling) { f.call("SetSampling", s) }
func (f *Fake) AddFiles(paths []string)        { f.call("AddFiles", paths) }
func (f *Fake) Read(id string, words int)      { f.call("Read", id, words) }
func (f *Fake) Pause(id string)                { f.call("Pause", id) }
func (f *Fake) Resume(id string)               { f.call("Resume", id) }
func (f *Fake) Cancel(id string)               { f.call("Cancel", id) }
