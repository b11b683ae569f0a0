package session

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"kestrel/app/backend"
	"kestrel/app/document"
	"kestrel/app/library"
	"kestrel/app/store"
)

// Options of Start. Engine and Store are needed; the zero values of the others
// are right for the program.
type Options struct {
	Engine  backend.Engine
	Store   *store.Store     // stays open when the session closes
	Library *library.Library // nil for none

	Documents     document.Options
	SectionTokens int           // of a document between two saved states; 0 for 8192
	KeptStates    int           // in memory, besides those on the disk; 0 for 8
	AnswersAtOnce int           // in as many conversations, each with an engine session; 0 for 4
	PartialShare  float64       // of the time that partial summaries may take; 0 for 0.12, negative for none
	PartialAfter  time.Duration // of reading before the first; 0 for 5 seconds
	Interval      time.Duration // between snapshots; 0 for a thirtieth of a second
}

func (o Options) withDefaults() Options {
	if o.SectionTokens == 0 {
		o.SectionTokens = 8192
	}
	if o.KeptStates == 0 {
		o.KeptStates = 8
	}
	if o.AnswersAtOnce == 0 {
		o.AnswersAtOnce = 4
	}
	if o.PartialShare == 0 {
		o.PartialShare = 0.12
	}
	if o.PartialAfter == 0 {
		o.PartialAfter = 5 * time.Second
	}
	if o.Interval == 0 {
		o.Interval = time.Second / 30
	}
	return o
}

// Actor is the Session of the program. Three goroutines share the work: the
// loop owns all that snapshots show and writes to the store; the worker owns
// the model and works, with a goroutine more for each answer; the publisher calls
// back. The loop never waits for the others.
type Actor struct {
	o      Options
	ctx    context.Context // of everything
	stop   context.CancelFunc
	inbox  inbox
	worker *worker
	saver  *saver
	out    *publisher
	memory *memoryWatch
	group  sync.WaitGroup // inspections and transfers
	// inspections under way: each has a file and perhaps a process
	inspections chan struct{}
	closed      atomic.Bool
	ended       chan struct{}

	state // the loop's
}

var _ Session = (*Actor)(nil)

// state is what the loop owns.
type state struct {
	seq       uint64
	model     *Model
	loading   *task
	transfers []*transfer
	convs     map[store.ID]*conversation // those that are open, or that work is done for
	open      *conversation
	queue     []*task
	running   []*task // answers, or one of another kind
	notices   []Notice
	noticeID  uint64
	changes   uint64
	speed     float64 // tokens a second that the model reads; 0 while unknown
	speedKey  string  // of the store's setting
	dirty     bool
	shown     time.Time
	closing   bool
}

// Start begins a session without a model and without an open conversation.
func Start(o Options) *Actor {
	a := &Actor{o: o.withDefaults(), ended: make(chan struct{})}
	a.ctx, a.stop = context.WithCancel(context.Background())
	a.inbox.wake = make(chan struct{}, 1)
	a.inspections = make(chan struct{}, inspectAtOnce)
	a.model = &Model{State: NoModel}
	a.convs = map[store.ID]*conversation{}
	a.out = newPublisher()
	a.saver = newSaver(a)
	a.worker = newWorker(a)
	a.memory = newMemoryWatch(a)
	a.publish()
	go a.loop()
	return a
}

// inspectAtOnce is how many documents are inspected at a time.
const inspectAtOnce = 2

// inbox is a queue of what the loop is to do; putting never waits.
type inbox struct {
	mu     sync.Mutex
	list   []func()
	closed bool
	wake   chan struct{}
}

func (q *inbox) put(f func()) bool {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return false
	}
	q.list = append(q.list, f)
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return true
}

func (q *inbox) take() []func() {
	q.mu.Lock()
	defer q.mu.Unlock()
	list := q.list
	q.list = nil
	return list
}

func (q *inbox) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}

// do hands f to the loop.
func (a *Actor) do(f func()) {
	a.inbox.put(func() { f(); a.dirty = true })
}

func (a *Actor) loop() {
	defer close(a.ended)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-a.inbox.wake:
		case <-timer.C:
		}
		for _, f := range a.inbox.take() {
			f()
		}
		a.schedule()
		if a.closing && len(a.running) == 0 {
			a.publish()
			return
		}
		if !a.dirty {
			continue
		}
		if wait := a.o.Interval - time.Since(a.shown); wait > 0 {
			timer.Reset(wait)
			continue
		}
		a.publish()
	}
}

// publish shows what there is now.
func (a *Actor) publish() {
	a.dirty, a.shown = false, time.Now()
	a.out.show(a.view())
}

// Snapshot is the present one.
func (a *Actor) Snapshot() *Snapshot { return a.out.latest.Load() }

// Subscribe calls f with each snapshot.
func (a *Actor) Subscribe(f func(*Snapshot)) (cancel func()) { return a.out.subscribe(f) }

// ErrNotStopped is a Close that did not wait for the device to finish.
var ErrNotStopped = errors.New("the device did not stop in time")

// closeWithin is how long Close waits for the device and the disk.
const closeWithin = 10 * time.Second

// Close stops what runs. Documents that are read are paused where they are.
func (a *Actor) Close(ctx context.Context) error {
	if a.closed.Swap(true) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, closeWithin)
	defer cancel()
	a.memory.close()
	a.do(func() {
		a.closing = true
		a.stopAll(errClosing)
	})
	defer a.out.close()
	select {
	case <-a.ended:
	case <-ctx.Done():
		a.stop()
		go func() { // should the device answer after all
			<-a.ended
			_ = a.worker.close(context.Background())
			_ = a.saver.close(context.Background())
		}()
		return ErrNotStopped
	}
	a.inbox.close()
	err := a.worker.close(ctx)
	if err == nil { // else it may still save
		err = a.saver.close(ctx)
	}
	a.stop()
	done := make(chan struct{})
	go func() { a.group.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		return ErrNotStopped
	}
	return err
}

// notice tells the user of a problem once.
func (a *Actor) notice(p Problem) {
	a.noticeID++
	a.notices = append(append([]Notice{}, a.notices...), Notice{a.noticeID, time.Now(), p})
	if n := len(a.notices); n > keptNotices {
		a.notices = a.notices[n-keptNotices:]
	}
	a.dirty = true
}

const keptNotices = 20

// stored reports a failure of the store and whether there was none.
func (a *Actor) stored(err error) bool {
	if err == nil {
		return true
	}
	a.notice(*ProblemOf(err))
	return false
}
