package store

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"
)

// flushEvery is how often a growing answer is written at most.
const flushEvery = 250 * time.Millisecond

// Answer is a message that grows. What is appended is written in the
// background, at most four times a second; when the program is killed all but
// the last quarter of a second is kept, and the message is Stopped at the next
// start. Its methods may be called from several goroutines.
type Answer struct {
	s  *Store
	id ID

	writing sync.Mutex // one write at a time, in order
	mu      sync.Mutex // guards what follows
	text    []byte     // not yet written
	anew    bool       // text is in the place of what was written
	timer   *time.Timer
	ended   bool
}

// Result is how an answer ended.
type Result struct {
	Status     Status // Done, Stopped or Failed
	Problem    Note
	Note       Note
	Tokens     int
	FirstToken time.Duration
	Duration   time.Duration
	Model      string
}

// StartAnswer makes a message Streaming. [Answer.Finish] must follow, however
// the answer ends. Errors: ErrNotFound; ErrInvalid if the message has ended
// already.
func (s *Store) StartAnswer(ctx context.Context, message ID) (*Answer, error) {
	a := &Answer{s: s, id: message}
	err := s.write(ctx, "start answer", func(tx *sql.Tx) error {
		status, err := row(ctx, tx, "message", value[Status], `SELECT status FROM messages WHERE id = ?`, string(message))
		if err != nil {
			return err
		}
		if status != Pending {
			return invalid("the message is not one to be answered")
		}
		return one(ctx, tx, "message", `UPDATE messages SET status = 'streaming' WHERE id = ?`, string(message))
	})
	if err != nil {
		return nil, err
	}
	s.answers.Store(a, nil)
	return a, nil
}

// ID is the message's.
func (a *Answer) ID() ID { return a.id }

// Append adds text and does not wait for the disk. After Finish it does
// nothing.
func (a *Answer) Append(text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended || text == "" {
		return
	}
	a.text = append(a.text, text...)
	a.flushLater()
}

// Replace puts text in the place of all that was appended so far, and does not
// wait for the disk. After Finish it does nothing.
func (a *Answer) Replace(text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended {
		return
	}
	a.text, a.anew = []byte(text), true
	a.flushLater()
}

func (a *Answer) flushLater() {
	if a.timer == nil && !a.ended {
		a.timer = time.AfterFunc(flushEvery, func() { _ = a.flush() }) // what fails is tried again, last by Finish
	}
}

// flush writes what was appended.
func (a *Answer) flush() error {
	return a.writeOut("append to answer", func(tx *sql.Tx, text string, anew bool) error {
		if text == "" && !anew {
			return nil
		}
		return one(context.Background(), tx, "message", `UPDATE messages SET content = iif(?, '', content) || ? WHERE id = ?`, anew, text, string(a.id))
	})
}

// Finish writes the rest of the text and how the answer ended, as one step. It
// takes no context: an answer that was cancelled is to be kept as well. If it
// fails nothing is lost yet, and it may be called again. Errors: ErrNoSpace;
// ErrNotFound if the conversation was purged meanwhile.
func (a *Answer) Finish(r Result) error {
	const op = "finish answer"
	if r.Status != Done && r.Status != Stopped && r.Status != Failed {
		return a.s.failed(op, invalid("an answer ends as done, stopped or failed"))
	}
	a.mu.Lock()
	ended := a.ended
	a.ended = true // no more text, and no more flushing in the background
	if a.timer != nil {
		a.timer.Stop()
		a.timer = nil
	}
	a.mu.Unlock()
	if ended {
		return nil
	}
	err := a.writeOut(op, func(tx *sql.Tx, text string, anew bool) error {
		ctx := context.Background()
		if err := one(ctx, tx, "message", `UPDATE messages SET content = iif(?, '', content) || ?, status = ?, error = ?, problem = ?, note = ?,
			tokens = ?, first_token = ?, duration = ?, model = ? WHERE id = ?`, anew, text, string(r.Status), r.Problem.Text, noteText(r.Problem.kept()),
			noteText(r.Note), r.Tokens, int64(r.FirstToken), int64(r.Duration), r.Model, string(a.id)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE conversations SET updated = ? WHERE id = (SELECT conversation FROM messages WHERE id = ?)`,
			now().UnixMilli(), string(a.id))
		return err
	})
	if err != nil && !errors.Is(err, ErrNotFound) {
		a.mu.Lock()
		a.ended = false
		a.mu.Unlock()
		return err
	}
	a.s.answers.Delete(a)
	return err
}

// writeOut takes the text that waits and writes it; if that fails the text
// waits again.
func (a *Answer) writeOut(op string, do func(tx *sql.Tx, text string, anew bool) error) error {
	a.writing.Lock()
	defer a.writing.Unlock()
	a.mu.Lock()
	text, anew := a.text, a.anew
	a.text, a.anew, a.timer = nil, false, nil
	a.mu.Unlock()
	err := a.s.write(context.Background(), op, func(tx *sql.Tx) error { return do(tx, string(text), anew) })
	if err != nil {
		a.mu.Lock()
		if !a.anew { // what was to be written is void otherwise
			a.text, a.anew = append(text, a.text...), anew
		}
		if !errors.Is(err, ErrClosed) && !errors.Is(err, ErrNotFound) && (len(a.text) > 0 || a.anew) {
			a.flushLater()
		}
		a.mu.Unlock()
	}
	return err
}
