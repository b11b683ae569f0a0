package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"kestrel/app/dialog"
	"kestrel/app/store"
	"kestrel/engine"
)

func randomSeed() uint64 { return rand.Uint64() }

// New opens an empty conversation.
func (a *Actor) New(o NewOptions) {
	a.do(func() { a.begin(o) })
}

func (a *Actor) begin(o NewOptions) *conversation {
	c := newConversation(store.Conversation{Folder: store.ID(o.Folder), System: o.System})
	if o.Sampling != nil {
		c.sampling = *o.Sampling
	}
	if old := a.open; old != nil && old.row.ID == "" { // what was given to it is this one's
		for _, d := range old.docs {
			d.conv = c
		}
		c.docs, old.docs = old.docs, nil
	} else {
		a.takeFiles(c)
	}
	a.show(c)
	return c
}

// Open opens a stored conversation.
func (a *Actor) Open(id string) {
	a.do(func() {
		if c, ok := a.conversation(store.ID(id)); ok {
			a.show(c)
		}
	})
}

// Reload reads title and folder of the open conversation again.
func (a *Actor) Reload() {
	a.do(func() {
		if a.open == nil || a.open.row.ID == "" {
			return
		}
		if row, err := a.o.Store.Conversation(a.ctx, a.open.row.ID); a.stored(err) {
			a.open.row = row
		}
	})
}

// Abandon stops all work for a conversation and closes it.
func (a *Actor) Abandon(id string) {
	a.do(func() {
		c := a.convs[store.ID(id)]
		if id == "" {
			a.stored(a.o.Store.SetDraftFiles(a.ctx, "", nil))
			if a.open != nil && a.open.row.ID == "" {
				c = a.open
			}
		}
		if c == nil {
			return
		}
		for _, d := range c.docs {
			d.stopInspection()
		}
		c.docs = nil
		a.stopTasks(errStopped, func(t *task) bool { return t.conv == c })
		if a.open == c {
			a.open = nil
		}
		a.tidy(c)
	})
}

// Send puts a user's message and has it answered.
func (a *Actor) Send(text string) {
	a.do(func() {
		c := a.open
		if strings.TrimSpace(text) == "" || a.closing {
			return
		}
		if c == nil {
			c = a.begin(NewOptions{})
		}
		if a.refused(c) || !a.keep(c, text) {
			return
		}
		a.ask(c, c.tree.Leaf(), text)
	})
}

// refused says why a conversation cannot be gone on with now.
func (a *Actor) refused(c *conversation) bool {
	if len(c.pending) == 0 {
		return false
	}
	a.notice(*errBusy)
	return true
}

// ask stores a user's message, then has it answered.
func (a *Actor) ask(c *conversation, parent store.ID, text string) {
	if m, ok := a.add(c, store.Message{Parent: parent, Role: store.User, Content: text, Status: store.Done}); ok {
		a.respond(c, m.ID, m.ID, nil)
	}
}

// respond has a user's message answered, below a message that is this one or
// one that follows it; doc is what the answer sums up.
func (a *Actor) respond(c *conversation, user, below store.ID, doc *docState) {
	m := store.Message{Parent: below, Role: store.Assistant, Status: store.Pending}
	if user != below {
		m.Answers = user
	}
	m, ok := a.add(c, m)
	if !ok {
		if doc != nil {
			a.failDocument(doc, &Problem{Kind: KindStore, Text: "the summary cannot be stored; see the messages before this one"})
		}
		return
	}
	ans := &answer{conv: c, id: m.ID, user: user, phase: Waiting, status: Streaming, asked: time.Now(), doc: doc}
	c.answers[m.ID] = ans
	c.pending = append(c.pending, ans)
	c.work++
	t := &task{kind: answerTask, conv: c, doc: doc, answer: ans}
	t.begin = func(ctx context.Context) (func() func(), error) { return a.beginAnswer(ctx, ans) }
	t.drop = func(reason error) { a.answered(ans, answered{err: reason}, reason) }
	a.enqueue(t)
}

// beginAnswer readies what the worker needs.
func (a *Actor) beginAnswer(ctx context.Context, ans *answer) (func() func(), error) {
	c := ans.conv
	keep, err := a.o.Store.StartAnswer(a.ctx, ans.id)
	if err != nil {
		return nil, err
	}
	ans.keep, ans.model = keep, a.model.Name
	ans.reading = Progress{ETA: -1}
	work := answering{sampling: c.sampling}
	if d := c.document(ans.user); d != nil {
		work.sampling, work.summary = summarySampling(d.row.SummaryWords), true
	} else if m, ok := c.tree.Message(ans.user); ok {
		work.asked = m.Content
	}
	if name := a.model.Request.Model; c.row.Model != name {
		c.row.Model = name
		a.stored(a.o.Store.Configure(a.ctx, c.row.ID, c.row.System, c.sampling.json(), name))
	}
	start := time.Now()
	hash := a.worker.hash // nothing is being loaded
	work.messages, work.saved, work.since = a.prompt(c, ans.user, nil), a.saved(c, hash), ans.asked
	work.begun = func() { a.do(func() { ans.phase = Reading }) }
	work.reading = func(done, total int) {
		a.do(func() { ans.reading = progressOf(int64(done), int64(total), time.Since(start)) })
	}
	work.text = func(text string) {
		a.do(func() {
			ans.phase = Writing
			ans.text.WriteString(text)
			ans.keep.Append(text)
			if ans.stats.FirstToken == 0 {
				ans.stats.FirstToken = time.Since(ans.asked)
			}
		})
	}
	work.anew = func(text string) {
		a.do(func() {
			ans.text.Reset()
			ans.text.WriteString(text)
			ans.keep.Replace(text)
		})
	}
	work.mark = func(m dialog.Mark) {
		a.saver.save(store.State{Message: ans.id, TextHash: m.Key, Tokens: m.Tokens, Model: hash}, m.State)
	}
	a.askAmid(ans, &work)
	return func() func() {
		out := a.worker.answer(ctx, work)
		return func() { a.answered(ans, out, context.Cause(ctx)) }
	}, nil
}

func progressOf(done, total int64, took time.Duration) Progress {
	p := Progress{Done: done, Total: total, ETA: -1}
	if s := took.Seconds(); done > 0 && s > 0 {
		p.Rate = float64(done) / s
		p.ETA = time.Duration(float64(max(total-done, 0)) / p.Rate * float64(time.Second))
	}
	return p
}

// answered takes note of how an answer ended; cause is why its context did.
func (a *Actor) answered(ans *answer, out answered, cause error) {
	c := ans.conv
	c.pending = slices.DeleteFunc(c.pending, func(other *answer) bool { return other == ans })
	c.work--
	ans.stats = out.stats
	if out.stats.Length > 0 {
		c.lengths[ans.id] = out.stats.Length
	}
	result := store.Result{
		Status: store.Done, Tokens: out.stats.Tokens, FirstToken: out.stats.FirstToken, Duration: time.Since(ans.asked), Model: ans.model,
		Note: ans.note,
	}
	ans.status = Complete
	switch {
	case out.err == nil && out.reason == engine.ReasonLength:
		ans.status = Cut
		result.Problem = Note{Kind: NoteCut, Counts: []int{out.stats.Tokens}, Text: fmt.Sprintf("cut off at %d tokens", out.stats.Tokens)}
	case out.err == nil && out.circled:
		ans.status = Circled
		result.Problem = Note{Kind: NoteCircled, Counts: []int{out.stats.Tokens}, Text: fmt.Sprintf("began to repeat itself after %d tokens", out.stats.Tokens)}
	case out.err == nil:
	case errors.Is(out.err, errStopped), errors.Is(out.err, errClosing), errors.Is(out.err, context.Canceled) && cause != nil:
		ans.status, result.Status = Stopped, store.Stopped
	default:
		ans.problem = ProblemOf(out.err)
		ans.status, result.Status, result.Problem = Failed, store.Failed, ans.problem.Note()
		a.broken(out.err)
	}
	a.finish(ans, result)
	if d := ans.doc; d != nil {
		a.summarized(d)
	}
	a.changes++
	a.tidy(c)
}

// again is how long to wait before what the store refused is tried again.
const again = 3 * time.Second

// finish stores how an answer ended. What the disk has no room for stays in
// memory and is tried again.
func (a *Actor) finish(ans *answer, r store.Result) {
	if ans.keep == nil { // it never began
		var err error
		if ans.keep, err = a.o.Store.StartAnswer(context.WithoutCancel(a.ctx), ans.id); err != nil {
			ans.keep = nil
			a.stored(err)
			return
		}
	}
	if err := ans.keep.Finish(r); !a.stored(err) && !errors.Is(err, store.ErrNotFound) {
		a.finishLater(ans, r)
	}
}

func (a *Actor) finishLater(ans *answer, r store.Result) {
	time.AfterFunc(again, func() {
		a.do(func() {
			if !a.closing && ans.keep.Finish(r) != nil {
				a.finishLater(ans, r)
			}
		})
	})
}

// Stop ends the answer of the open conversation, or else what is read in it.
func (a *Actor) Stop() {
	a.do(func() {
		c := a.open
		if c == nil {
			return
		}
		if a.stopTasks(errStopped, func(t *task) bool { return t.conv == c && t.kind == answerTask }) {
			return
		}
		for _, d := range c.docs {
			if d.stage == Queued || d.stage == ReadingText {
				a.pause(d)
			}
		}
	})
}

// message finds one of the open conversation.
func (a *Actor) message(id string) (c *conversation, m store.Message, ok bool) {
	if c = a.open; c == nil {
		return nil, m, false
	}
	m, ok = c.tree.Message(store.ID(id))
	return c, m, ok
}

// Edit puts text in the place of a user's message.
func (a *Actor) Edit(message, text string) {
	a.do(func() {
		c, m, ok := a.message(message)
		if !ok || m.Role != store.User || c.document(m.ID) != nil || strings.TrimSpace(text) == "" || a.refused(c) {
			return
		}
		a.ask(c, m.Parent, text)
	})
}

// Regenerate answers anew.
func (a *Actor) Regenerate(message string) {
	a.do(func() {
		c, m, ok := a.message(message)
		below := m.ID
		if ok && m.Role == store.Assistant {
			below = m.Parent
			m, ok = c.tree.Message(cmp.Or(m.Answers, m.Parent))
		}
		if !ok || m.Role != store.User {
			return
		}
		d := c.document(m.ID)
		if d != nil && d.stage != Done {
			a.resume(d)
			return
		}
		if a.refused(c) {
			return
		}
		if s, found := c.summary(m.ID); found && d != nil && below == m.ID {
			below = s.Parent
		}
		a.respond(c, m.ID, below, nil)
	})
}

// Choose shows another version.
func (a *Actor) Choose(message string) {
	a.do(func() {
		c, m, ok := a.message(message)
		if !ok {
			return
		}
		if a.stored(a.o.Store.SetLeaf(a.ctx, c.row.ID, c.tree.Newest(m.ID))) {
			a.reread(c)
		}
	})
}

// Fork begins a conversation with everything up to a message.
func (a *Actor) Fork(message string) {
	a.do(func() {
		_, m, ok := a.message(message)
		if !ok {
			return
		}
		row, err := a.o.Store.Fork(a.ctx, m.ID, "")
		if !a.stored(err) {
			return
		}
		a.changes++
		if c, ok := a.conversation(row.ID); ok {
			a.show(c)
		}
	})
}

// SetSystem sets the system prompt of the open conversation.
func (a *Actor) SetSystem(text string) {
	a.configure(func(c *conversation) { c.row.System = text })
}

// SetSampling sets how the open conversation is answered.
func (a *Actor) SetSampling(s Sampling) {
	a.configure(func(c *conversation) { c.sampling = s })
}

func (a *Actor) configure(change func(c *conversation)) {
	a.do(func() {
		c := a.open
		if c == nil {
			c = a.begin(NewOptions{})
		}
		change(c)
		if c.row.ID != "" {
			a.stored(a.o.Store.Configure(a.ctx, c.row.ID, c.row.System, c.sampling.json(), c.row.Model))
		}
	})
}
