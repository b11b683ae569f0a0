package session

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"kestrel/app/document"
	"kestrel/app/store"
)

// docState is a document of a conversation.
type docState struct {
	id    string // stays for as long as the program runs
	conv  *conversation
	row   store.Document // without an ID until its reading is asked for
	stage Stage

	counted  string // hash of the tokenizer that counted its tokens
	progress Progress
	partial  *Partial
	problem  *Problem

	inspecting context.CancelFunc // nil when it is not
	inspection int                // counts them
	work       *reading           // under way

	shown *Document
	speed float64 // the estimate's
	most  int     // tokens that the loaded model was trained on; 0 where not known
}

func (d *docState) stopInspection() {
	if d.inspecting != nil {
		d.inspecting()
	}
	d.inspecting = nil
	d.inspection++
}

// storedDocument is one from an earlier time.
func storedDocument(c *conversation, row store.Document) *docState {
	d := &docState{id: string(row.ID), conv: c, row: row}
	switch row.Status {
	case store.DocumentDone:
		d.stage = Done
	case store.DocumentFailed:
		d.stage, d.problem = Interrupted, storedProblem(row.Problem, KindDocument)
	case store.DocumentCancelled:
		d.stage = Cancelled
	default: // one that is being read is another program's
		d.stage = Paused
	}
	if row.Tokens > 0 {
		d.progress = Progress{Done: int64(row.TokensRead), Total: int64(row.Tokens), ETA: -1}
	}
	if row.Summary != "" && d.stage != Done {
		d.partial = &Partial{Text: row.Summary, Tokens: row.TokensRead, Share: share(row.TokensRead, row.Tokens), Fresh: true}
	}
	return d
}

func share(part, whole int) float64 {
	if whole <= 0 {
		return 0
	}
	return min(float64(part)/float64(whole), 1)
}

// view is the document as the window shows it.
func (d *docState) view() *Document {
	v := &Document{
		ID: d.id, Path: d.row.Path, Name: d.row.Name, Title: d.row.Title, Format: document.Format(d.row.Format), Encoding: d.row.Encoding,
		Size: d.row.Size, Pages: d.row.Pages, Words: d.row.Words, Tokens: d.row.Tokens, Stage: d.stage, Progress: d.progress, Estimate: -1,
		Wanted: d.row.SummaryWords, Message: string(d.row.Message), Notes: d.row.Notes, Partial: d.partial, Problem: d.problem,
	}
	if v.Title == "" {
		v.Title = v.Name
	}
	if d.speed > 0 && d.row.Tokens > 0 {
		v.Estimate = time.Duration(float64(d.row.Tokens) / d.speed * float64(time.Second))
	}
	if v.Trained = cmp.Or(d.most, d.row.Trained); v.Trained > 0 {
		v.Beyond = max(d.row.Tokens-v.Trained, 0)
	}
	if d.shown != nil && reflect.DeepEqual(d.shown, v) {
		return d.shown
	}
	d.shown = v
	return v
}

// estimates tells documents the speed of the model, and has those counted that
// were counted by another model's tokenizer.
func (a *Actor) estimates() {
	for _, c := range a.everyConversation() {
		for _, d := range c.docs {
			a.estimate(d)
			a.recount(d)
		}
	}
}

// recount counts a document's tokens anew if it was another tokenizer's, or none.
func (a *Actor) recount(d *docState) {
	if d.stage == Ready && d.counted != a.worker.tokenizer().hash {
		a.inspect(d)
	}
}

func (a *Actor) estimate(d *docState) {
	d.speed, d.most = a.speed, a.model.MaxTrained
}

// learned takes note of how fast the model reads.
func (a *Actor) learned(speed float64, lasting bool) {
	if speed <= 0 || a.model.State != Loaded {
		return
	}
	a.speed = speed
	if lasting {
		a.stored(a.o.Store.SetSetting(a.ctx, a.speedKey, speed))
	}
	for _, c := range a.everyConversation() {
		for _, d := range c.docs {
			a.estimate(d)
		}
	}
}

// AddFiles inspects files for the open conversation.
func (a *Actor) AddFiles(paths []string) {
	a.do(func() {
		if len(paths) == 0 || a.closing {
			return
		}
		c := a.open
		if c == nil {
			c = a.begin(NewOptions{})
		}
		for _, path := range paths {
			if abs, err := filepath.Abs(path); err == nil {
				path = abs
			}
			a.addFile(c, path)
		}
		a.keepFiles(c)
	})
}

// addFile inspects a file; one that is there already and was not read, again.
func (a *Actor) addFile(c *conversation, path string) {
	at := slices.IndexFunc(c.docs, func(d *docState) bool { return d.row.ID == "" && d.row.Path == path })
	if at < 0 {
		at = len(c.docs)
		c.docs = append(c.docs, &docState{id: string(store.NewID()), conv: c, row: store.Document{Path: path, Name: filepath.Base(path)}})
	}
	a.estimate(c.docs[at])
	a.inspect(c.docs[at])
}

// keepFiles stores which files of a conversation are not read yet.
func (a *Actor) keepFiles(c *conversation) {
	var files []string
	for _, d := range c.docs {
		if d.row.ID == "" {
			files = append(files, d.row.Path)
		}
	}
	a.stored(a.o.Store.SetDraftFiles(a.ctx, c.row.ID, files))
}

// takeFiles inspects the files that were given to a conversation at an earlier
// time.
func (a *Actor) takeFiles(c *conversation) {
	draft, err := a.o.Store.Draft(a.ctx, c.row.ID)
	if !a.stored(err) {
		return
	}
	for _, path := range draft.Files {
		a.addFile(c, path)
	}
}

// inspect counts a document in the background.
func (a *Actor) inspect(d *docState) {
	d.stopInspection()
	ctx, cancel := context.WithCancel(a.ctx)
	d.inspecting = cancel
	n := d.inspection
	d.stage, d.progress = Inspecting, Progress{ETA: -1}
	path, tokenizer := d.row.Path, a.worker.tokenizer()
	start := time.Now()
	a.group.Go(func() {
		defer cancel()
		select {
		case a.inspections <- struct{}{}:
			defer func() { <-a.inspections }()
		case <-ctx.Done():
			return
		}
		found, err := a.worker.inspect(ctx, path, tokenizer, func(f inspection, done, total int64) {
			a.do(func() {
				if d.inspection == n {
					a.found(d, f)
					d.progress = progressOf(done, total, time.Since(start))
				}
			})
		})
		a.do(func() {
			if d.inspection != n || a.closing {
				return // another has begun, or the document is gone
			}
			d.progress, d.inspecting = Progress{}, nil
			if err != nil {
				d.stage, d.problem = Unreadable, ProblemOf(err)
				return
			}
			a.found(d, found)
			d.stage, d.counted = Ready, tokenizer.hash
			a.recount(d) // the model may have come meanwhile
			a.measure()
		})
	})
}

func (a *Actor) found(d *docState, f inspection) {
	d.row.Format, d.row.Size, d.row.Hash = string(f.format), f.size, f.hash
	d.row.Pages, d.row.Words, d.row.Tokens = f.pages, f.words, f.tokens
	d.row.Title, d.row.Encoding, d.row.Notes = f.title, f.encoding, f.notes
	a.estimate(d)
}

// measure has the model's speed measured where it is not known, so that times
// can be told before anything was read.
func (a *Actor) measure() {
	if a.speed > 0 || a.model.State != Loaded {
		return
	}
	for _, t := range slices.Concat(a.running, a.queue) {
		if t.kind == measureTask {
			return
		}
	}
	t := &task{kind: measureTask, drop: func(error) {}}
	t.begin = func(ctx context.Context) (func() func(), error) {
		return func() func() {
			speed, err := a.worker.measure(ctx)
			return func() {
				if err == nil {
					a.learned(speed, false)
				}
				a.broken(err)
			}
		}, nil
	}
	a.enqueue(t)
}

// find is a document by its id.
func (a *Actor) find(id string) *docState {
	for _, c := range a.everyConversation() {
		for _, d := range c.docs {
			if d.id == id {
				return d
			}
		}
	}
	return nil
}

// Read queues a document.
func (a *Actor) Read(id string, words int) {
	a.do(func() {
		d := a.find(id)
		if d == nil || d.stage != Ready {
			return
		}
		if words <= 0 {
			words = DefaultWords
		}
		if !a.keep(d.conv, cmp.Or(d.row.Title, d.row.Name)) {
			return
		}
		d.row.SummaryWords = words
		row := d.row
		row.Conversation, row.Status = d.conv.row.ID, store.DocumentWaiting
		row, err := a.o.Store.AddDocument(a.ctx, row)
		if !a.stored(err) {
			return
		}
		d.row = row // the store has taken its file from the draft
		a.queueDocument(d)
	})
}

// Pause stops the reading of a document.
func (a *Actor) Pause(id string) {
	a.do(func() {
		if d := a.find(id); d != nil && (d.stage == Queued || d.stage == ReadingText) {
			a.pause(d)
		}
	})
}

func (a *Actor) pause(d *docState) { a.stopDocument(d, errPaused) }

func (a *Actor) stopDocument(d *docState, reason error) {
	a.stopTasks(reason, func(t *task) bool { return t.doc == d && t.kind == documentTask })
}

// Resume goes on with a document.
func (a *Actor) Resume(id string) {
	a.do(func() {
		if d := a.find(id); d != nil {
			a.resume(d)
		}
	})
}

func (a *Actor) resume(d *docState) {
	switch d.stage {
	case Paused, Interrupted, Cancelled:
		if d.row.ID != "" {
			a.queueDocument(d)
		}
	}
}

// Cancel ends a document.
func (a *Actor) Cancel(id string) {
	a.do(func() {
		d := a.find(id)
		if d == nil {
			return
		}
		switch d.stage {
		case Queued, ReadingText:
			a.stopDocument(d, errStopped)
		case Paused, Interrupted:
			a.setStage(d, Cancelled, nil)
		case Summarizing:
			a.stopTasks(errStopped, func(t *task) bool { return t.doc == d })
		case Inspecting, Ready, Unreadable:
			d.stopInspection()
			c := d.conv
			for i := range c.docs {
				if c.docs[i] == d {
					c.docs = append(c.docs[:i:i], c.docs[i+1:]...)
					break
				}
			}
			a.keepFiles(c)
			a.tidy(c)
		}
	})
}

// setStage changes a stored document's stage, here and in the store.
func (a *Actor) setStage(d *docState, s Stage, p *Problem) {
	d.stage, d.problem = s, p
	status := store.DocumentReading
	switch s {
	case Queued:
		status = store.DocumentWaiting
	case Paused:
		status = store.DocumentPaused
	case Done:
		status = store.DocumentDone
	case Interrupted:
		status = store.DocumentFailed
	case Cancelled:
		status = store.DocumentCancelled
	}
	d.row.Status, d.row.Problem = status, Note{}
	if p != nil {
		d.row.Problem = p.Note()
	}
	a.storeDocument(d)
}

// storeDocument writes what is known of a document.
func (a *Actor) storeDocument(d *docState) {
	now := d.row
	_, err := a.o.Store.UpdateDocument(context.WithoutCancel(a.ctx), d.row.ID, func(row *store.Document) { *row = now })
	if errors.Is(err, store.ErrNotFound) {
		return // deleted with its conversation
	}
	a.stored(err)
}
