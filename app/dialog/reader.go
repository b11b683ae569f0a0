package dialog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"kestrel/app/backend"
	"kestrel/engine"
	"kestrel/engine/sample"
)

// Reader is an engine session that knows what it has read.
type Reader struct {
	Format  *Format
	model   backend.Model
	session backend.Session
	marks   *marks

	text string // read and written, special tokens included; within a document it ends in a place
	lost bool   // the session does not stand at text's end
}

// Mark is a place in a text with the state there.
type Mark struct {
	Key    string // tells the text
	Tokens int
	State  backend.State // nil for a Saved that was not loaded
}

// Saved is a mark whose state a caller keeps. An error of Load, as of a file
// that is gone or another model's, only means that more is read.
type Saved struct {
	Key    string
	Tokens int
	Load   func() (backend.State, error)
}

// NewReader takes over a new session of a model. It keeps so many marks in
// memory.
func NewReader(m backend.Model, s backend.Session, f *Format, keep int) *Reader {
	return &Reader{Format: f, model: m, session: s, marks: &marks{keep: keep}}
}

// Beside takes over another session of the model in a Reader that has its marks
// in common with this one. Each is for a goroutine of its own.
func (r *Reader) Beside(s backend.Session) *Reader {
	return &Reader{Format: r.Format, model: r.model, session: s, marks: r.marks}
}

// Knows is how many tokens the session has read if they are a beginning of p.
func (r *Reader) Knows(p Prompt) int {
	if r.lost || !p.has(r.text) {
		return 0
	}
	return r.session.Tokens()
}

// Tokens is how many tokens the session has read and written.
func (r *Reader) Tokens() int { return r.session.Tokens() }

// Marks is how many states are kept in memory, and their size in bytes.
func (r *Reader) Marks() (n int, bytes int64) {
	list := r.marks.all()
	for _, m := range list {
		bytes += m.State.Bytes()
	}
	return len(list), bytes
}

// Mark takes the state here and keeps it.
func (r *Reader) Mark(ctx context.Context) (Mark, error) {
	if r.lost || r.session.Tokens() == 0 {
		return Mark{}, nil // nothing worth coming back to
	}
	key := keyOf(r.text)
	if m, ok := r.marks.find(key); ok {
		return m, nil
	}
	state, err := r.session.State(ctx)
	if err != nil {
		return Mark{}, fmt.Errorf("save the model's state: %w", err)
	}
	m := Mark{key, state.Tokens(), state}
	r.Keep(m)
	return m, nil
}

// Keep adds a mark that another Reader of the same model took.
func (r *Reader) Keep(m Mark) { r.marks.add(m) }

// Forget empties the session. Marks stay.
func (r *Reader) Forget() error {
	r.text, r.lost = "", true
	if r.session.Tokens() > 0 {
		if err := r.session.Reset(); err != nil {
			return err
		}
	}
	r.lost = false
	return nil
}

// Close closes the session. The marks stay with the Readers that have them in
// common.
func (r *Reader) Close() error { return r.session.Close() }

// Text is what was read and written, for Resume.
func (r *Reader) Text() string {
	if r.lost {
		return ""
	}
	return r.text
}

// Resume puts the session at the end of a text that Text gave, with the state
// that belongs to it.
func (r *Reader) Resume(ctx context.Context, text string, state backend.State) error {
	r.lost = true
	if err := r.session.SetState(ctx, state); err != nil {
		return err
	}
	r.text, r.lost = text, false
	return nil
}

// Answer writes the assistant's part after a prompt that was read. When it
// fails or is stopped, the session stands where it was stopped.
func (r *Reader) Answer(ctx context.Context, s *sample.Sampler, o engine.GenerateOptions, emit func(string) error) (engine.Result, error) {
	var ids []int
	s.Watch(func(id int) { ids = append(ids, id) })
	defer s.Watch(nil)
	result, err := r.session.Generate(ctx, s, o, emit)
	r.text += r.model.Tokenizer().Decode(ids)
	return result, err
}

// Time feeds ids to an empty session and says how long that took. The Reader's
// own text is forgotten.
func (r *Reader) Time(ctx context.Context, ids []int) (time.Duration, error) {
	if err := r.Forget(); err != nil {
		return 0, err
	}
	r.lost = true
	start := time.Now()
	if err := r.session.Feed(ctx, ids, nil); err != nil {
		return 0, err
	}
	took := time.Since(start)
	return took, r.Forget()
}

// Borrow feeds ids after a state of another text of this model and has them
// answered. The Reader's own text is forgotten: what of it is to be kept was
// marked before. Where the answer goes in circles, the session stands nowhere in
// particular afterwards.
func (r *Reader) Borrow(ctx context.Context, state backend.State, ids []int, s *sample.Sampler, o engine.GenerateOptions, t Straight, emit func(string) error) (Straightened, error) {
	r.text, r.lost = "", true
	start := func() error {
		if err := r.session.SetState(ctx, state); err != nil {
			return err
		}
		return r.session.Feed(ctx, ids, nil)
	}
	if err := start(); err != nil {
		return Straightened{}, err
	}
	return t.write(r.model, s, o, start, func(s *sample.Sampler, o engine.GenerateOptions) (engine.Result, error) {
		return r.session.Generate(ctx, s, o, emit)
	})
}

// keyOf tells a text: its length and a hash of it, and the place within a
// document at its end.
func keyOf(text string) string {
	base, place, within := strings.Cut(text, docAt)
	if within {
		base += docEnd // the document it stands in
	}
	sum := sha256.Sum256([]byte(base))
	key := strconv.Itoa(len(base)) + ":" + hex.EncodeToString(sum[:16])
	if within {
		key += "@" + place
	}
	return key
}

// begins returns the text that a key tells, if it is a beginning of p.
func (p Prompt) begins(key string) (text string, ok bool) {
	base, place, within := strings.Cut(key, "@")
	length, hash, _ := strings.Cut(base, ":")
	n, err := strconv.Atoi(length)
	if err != nil || n < 0 || n > len(p.text) {
		return "", false
	}
	if sum := sha256.Sum256([]byte(p.text[:n])); hex.EncodeToString(sum[:16]) != hash {
		return "", false
	}
	if !within {
		return p.text[:n], true
	}
	if _, err := parsePlace(place); err != nil || !strings.HasSuffix(p.text[:n], docEnd) {
		return "", false
	}
	return p.text[:n-len(docEnd)] + docAt + place, true
}

// has says whether the session's text is a beginning of p.
func (p Prompt) has(text string) bool {
	base, _, within := strings.Cut(text, docAt)
	if within {
		base += docEnd
	}
	return strings.HasPrefix(p.text, base)
}

// start brings the session to the longest beginning of p that it has read, or
// that a mark of its own or a saved one stands for.
func (r *Reader) start(ctx context.Context, p Prompt, saved []Saved) error {
	best := -1
	if !r.lost && p.has(r.text) {
		best = r.session.Tokens()
	}
	type candidate struct {
		text   string
		tokens int
		load   func() (backend.State, error)
		mark   string // its key
	}
	var list []candidate
	for _, m := range r.marks.all() {
		if text, ok := p.begins(m.Key); ok && m.Tokens > best {
			list = append(list, candidate{text, m.Tokens, func() (backend.State, error) { return m.State, nil }, m.Key})
		}
	}
	for _, s := range saved {
		if text, ok := p.begins(s.Key); ok && s.Tokens > best {
			list = append(list, candidate{text, s.Tokens, s.Load, ""})
		}
	}
	// the longest first; of two alike the one in memory
	for len(list) > 0 {
		at := 0
		for i, c := range list {
			if c.tokens > list[at].tokens {
				at = i
			}
		}
		c := list[at]
		list = append(list[:at], list[at+1:]...)
		state, err := c.load()
		if err == nil {
			err = r.Resume(ctx, c.text, state)
		}
		switch {
		case err == nil:
			if c.mark != "" {
				r.marks.find(c.mark)
			}
			return nil
		case ctx.Err() != nil, fatal(err):
			return err
		}
		if r.lost {
			best = -1
		}
	}
	if best >= 0 {
		return nil
	}
	return r.Forget()
}
