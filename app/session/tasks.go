package session

import (
	"context"
	"errors"
	"slices"

	"kestrel/engine"
)

// taskKind sorts work: those of a lower kind go first. Answers, a few at a time,
// run beside each other; all else runs alone.
type taskKind int

const (
	loadTask taskKind = iota // also unloading
	answerTask
	documentTask
	measureTask
)

// task is a piece of work for the worker. All of it but run is the loop's.
type task struct {
	kind   taskKind
	conv   *conversation // of answers and documents
	doc    *docState     // of documents
	answer *answer       // of answers
	ctx    context.Context
	cancel context.CancelCauseFunc

	// begin is called by the loop; run, which it returns, by the worker; done, which
	// run returns, by the loop again. An error of begin ends the task.
	begin func(ctx context.Context) (run func() (done func()), err error)
	// drop is called by the loop for a task that never ran.
	drop func(reason error)
}

// enqueue adds work behind that of its kind.
func (a *Actor) enqueue(t *task) {
	a.queue = append(a.queue, t)
	a.dirty = true
}

// schedule gives the worker what it can do now.
func (a *Actor) schedule() {
	for len(a.running) == 0 || a.running[0].kind == answerTask {
		t := a.next()
		if t == nil {
			return
		}
		t.ctx, t.cancel = context.WithCancelCause(a.ctx)
		run, err := t.begin(t.ctx)
		a.dirty = true
		if err != nil {
			t.cancel(nil)
			t.drop(err)
			continue
		}
		a.running = append(a.running, t)
		a.worker.start(t.kind == answerTask, run, func(done func()) {
			a.do(func() {
				a.running = slices.DeleteFunc(a.running, func(other *task) bool { return other == t })
				done()
				t.cancel(nil)
			})
		})
	}
	if r := a.running[0]; r.kind >= documentTask && a.answerWaits() {
		r.cancel(errYield)
	}
}

func (a *Actor) answerWaits() bool {
	for _, t := range a.queue {
		if t.kind < documentTask {
			return true
		}
	}
	return false
}

// next takes the work to be done now from the queue; nil for none. Without a
// model there is none, and what waits for one is told so.
func (a *Actor) next() *task {
	best := -1
	for i, t := range a.queue {
		if (best < 0 || t.kind < a.queue[best].kind) && !a.answering(t) {
			best = i
		}
	}
	if best < 0 {
		return nil
	}
	t := a.queue[best]
	if n := len(a.running); n > 0 && (t.kind != answerTask || n >= a.o.AnswersAtOnce) {
		return nil
	}
	a.queue = append(a.queue[:best:best], a.queue[best+1:]...)
	if a.closing {
		t.drop(errClosing)
		return a.next()
	}
	if t.kind != loadTask && a.model.State != Loaded {
		t.drop(errNoModel)
		return a.next()
	}
	return t
}

// answering says that a task is an answer that waits for another in its
// conversation.
func (a *Actor) answering(t *task) bool {
	return t.kind == answerTask && slices.ContainsFunc(a.running, func(r *task) bool { return r.conv == t.conv })
}

// stopTasks ends the tasks that match, those that run and those that wait.
func (a *Actor) stopTasks(reason error, match func(*task) bool) (found bool) {
	var left []*task
	var dropped []*task
	for _, t := range a.queue {
		if match(t) {
			dropped = append(dropped, t)
		} else {
			left = append(left, t)
		}
	}
	a.queue = left
	for _, t := range dropped {
		t.drop(reason)
	}
	for _, r := range a.running {
		if match(r) {
			r.cancel(reason)
			found = true
		}
	}
	return found || len(dropped) > 0
}

func (a *Actor) stopAll(reason error) {
	a.stopTasks(reason, func(*task) bool { return true })
	for _, t := range a.transfers {
		t.cancel()
	}
	for _, c := range a.everyConversation() {
		for _, d := range c.docs {
			d.stopInspection()
		}
	}
}

// broken takes note of a device that is gone.
func (a *Actor) broken(err error) {
	if !errors.Is(err, engine.ErrDeviceLost) || a.model.State != Loaded {
		return
	}
	m := *a.model
	m.State, m.Problem = Broken, ProblemOf(err)
	a.model = &m
	a.notice(*m.Problem)
	a.enqueue(&task{
		kind: loadTask,
		begin: func(context.Context) (func() func(), error) {
			return func() func() { a.worker.release(); return func() {} }, nil
		},
		drop: func(error) {},
	})
}
