package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"kestrel/engine"
	"kestrel/engine/chat"
	"kestrel/engine/sample"
	"kestrel/engine/tokenizer"
)

// keptStates is how many turns back a state is kept; further back the text is
// read again. A state of a 7B model takes 38 MiB.
const keptStates = 32

// conversation is a chat whose session has read all of it so far: a turn feeds
// only what is new. The states before earlier turns are kept, so that taking a
// turn back, or answering it anew, reads nothing again.
type conversation struct {
	model   Model
	session Session
	sampler *sample.Sampler
	options engine.GenerateOptions
	reading func(done, total int) // progress

	messages []chat.Message
	read     string // what the session has read and written, special tokens included
	turns    []turn // one for each user message in messages
	prompted *mark  // the last turn read, its answer not yet begun
	fed      int    // tokens read for the last turn
}

// mark is a place in the conversation to come back to. Without a state the
// text has to be read again.
type mark struct {
	text  string
	state State
}

// turn is where the conversation stood before a user message.
type turn struct {
	before   mark
	messages int
}

var errNoTurn = errors.New("there is no turn yet")

// ask puts a user's message and passes the answer on to emit. When it fails or
// is interrupted while reading, the conversation is as before; an answer that
// is interrupted stays as far as it came.
func (c *conversation) ask(ctx context.Context, text string, emit func(string) error) (engine.Result, error) {
	messages := append(c.messages[:len(c.messages):len(c.messages)], chat.Message{Role: chat.User, Content: text})
	full, err := c.model.Template().Render(messages, true)
	if err != nil {
		return engine.Result{}, err
	}
	before, err := c.mark(ctx)
	if err != nil {
		return engine.Result{}, err
	}
	if err := c.readTo(ctx, full, text); err != nil {
		// a chunk may have been read: go back, whatever ended it
		if back := c.restore(context.WithoutCancel(ctx), before); back != nil {
			err = errors.Join(err, back)
		}
		return engine.Result{}, err
	}
	after, err := c.mark(ctx)
	if err != nil {
		return engine.Result{}, err
	}
	c.turns = append(c.turns, turn{before, len(c.messages)})
	if old := len(c.turns) - 1 - keptStates; old >= 0 {
		c.turns[old].before.state = nil
	}
	c.messages = messages
	c.prompted = &after
	r, err := c.answer(ctx, emit)
	if err != nil && r.Tokens == 0 { // nothing to keep
		if _, back := c.undo(context.WithoutCancel(ctx)); back != nil {
			err = errors.Join(err, back)
		}
	}
	return r, err
}

// answer writes the assistant's part.
func (c *conversation) answer(ctx context.Context, emit func(string) error) (engine.Result, error) {
	var ids []int
	c.sampler.Watch(func(id int) { ids = append(ids, id) })
	defer c.sampler.Watch(nil)
	r, err := c.session.Generate(ctx, c.sampler, c.options, emit)
	c.messages = append(c.messages, chat.Message{Role: chat.Assistant, Content: r.Text})
	c.read += c.model.Tokenizer().Decode(ids)
	return r, err
}

// regenerate answers the last user message anew.
func (c *conversation) regenerate(ctx context.Context, emit func(string) error) (engine.Result, error) {
	if len(c.turns) == 0 {
		return engine.Result{}, errNoTurn
	}
	if c.prompted == nil { // after /undo or /load: the message has to be read again
		asked, err := c.undo(ctx)
		if err != nil {
			return engine.Result{}, err
		}
		return c.ask(ctx, asked.Content, emit)
	}
	last := c.turns[len(c.turns)-1]
	if err := c.restore(ctx, *c.prompted); err != nil {
		return engine.Result{}, err
	}
	c.fed = 0
	c.messages = c.messages[:last.messages+1]
	return c.answer(ctx, emit)
}

// undo takes the last user message and its answer back.
func (c *conversation) undo(ctx context.Context) (chat.Message, error) {
	if len(c.turns) == 0 {
		return chat.Message{}, errNoTurn
	}
	last := c.turns[len(c.turns)-1]
	if err := c.restore(ctx, last.before); err != nil {
		return chat.Message{}, err
	}
	asked := c.messages[last.messages]
	c.turns = c.turns[:len(c.turns)-1]
	c.messages = c.messages[:last.messages]
	c.prompted = nil
	return asked, nil
}

// reset forgets everything but the system message.
func (c *conversation) reset() error {
	if len(c.messages) > 0 && c.messages[0].Role == chat.System {
		c.messages = c.messages[:1]
	} else {
		c.messages = nil
	}
	c.turns, c.prompted = nil, nil
	return c.forget()
}

// system puts a system message first, or takes it away where text is empty.
// The next turn reads the conversation again from its start.
func (c *conversation) system(text string) error {
	rest := c.messages
	if len(rest) > 0 && rest[0].Role == chat.System {
		rest = rest[1:]
	}
	c.messages = nil
	if text != "" {
		c.messages = append(c.messages, chat.Message{Role: chat.System, Content: text})
	}
	c.messages = append(c.messages, rest...)
	for i := range c.turns {
		c.turns[i].before = mark{}
	}
	c.renumber()
	c.prompted = nil
	return c.forget()
}

// renumber puts the turns where the user's messages are.
func (c *conversation) renumber() {
	n := 0
	for i, m := range c.messages {
		if m.Role == chat.User && n < len(c.turns) {
			c.turns[n].messages = i
			n++
		}
	}
	c.turns = c.turns[:n]
}

func (c *conversation) forget() error {
	c.read = ""
	if c.session.Tokens() == 0 {
		return nil
	}
	return c.session.Reset()
}

// mark takes note of where the session is. An empty session needs no state.
func (c *conversation) mark(ctx context.Context) (mark, error) {
	if c.session.Tokens() == 0 {
		return mark{}, nil
	}
	state, err := c.session.State(ctx)
	return mark{c.read, state}, err
}

// restore goes back to m. Without a state the session is emptied, and the next
// turn reads the text again.
func (c *conversation) restore(ctx context.Context, m mark) error {
	if m.state == nil {
		return c.forget()
	}
	if err := c.session.SetState(ctx, m.state); err != nil {
		return err
	}
	c.read = m.text
	return nil
}

// readTo brings the session to the end of full, of which it feeds only what
// comes after the longest beginning that was read before. content is the part
// of full that the user wrote.
func (c *conversation) readTo(ctx context.Context, full, content string) error {
	// a template may rewrite earlier turns, as by trimming the last answer
	for i := len(c.turns) - 1; i >= 0 && !strings.HasPrefix(full, c.read); i-- {
		if before := c.turns[i].before; strings.HasPrefix(full, before.text) && before.state != nil {
			if err := c.restore(ctx, before); err != nil {
				return err
			}
		}
	}
	if !strings.HasPrefix(full, c.read) {
		if err := c.forget(); err != nil {
			return err
		}
	}
	tok := c.model.Tokenizer()
	var ids []int
	if c.session.Tokens() == 0 {
		ids = tok.Prefix()
		// a template that spells the begin-of-text token needs none before it
		if len(ids) > 0 && strings.HasPrefix(full, tok.Decode(ids)) {
			ids = nil
		}
	}
	ids = append(ids, encodeTurn(tok, full[len(c.read):], content)...)
	if err := c.session.Feed(ctx, ids, c.reading); err != nil {
		return err
	}
	for _, id := range ids {
		c.sampler.Accept(id)
	}
	c.fed = len(ids)
	c.read = full
	return nil
}

// encodeTurn turns text into ids. Special tokens count as such, but not those
// that content, a part of text, happens to spell: a document must not be able
// to end its own turn.
func encodeTurn(tok *tokenizer.Tokenizer, text, content string) []int {
	plain := tok.Encode(content, false)
	at := strings.LastIndex(text, content)
	if at < 0 {
		content = strings.TrimSpace(content) // as some templates do
		at = strings.LastIndex(text, content)
	}
	if at < 0 || content == "" || len(plain) == len(tok.Encode(content, true)) {
		return tok.Encode(text, true)
	}
	ids := tok.Encode(text[:at], true)
	ids = append(ids, tok.Encode(content, false)...)
	return append(ids, tok.Encode(text[at+len(content):], true)...)
}

// stats is what /stats shows.
func (c *conversation) stats() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d messages, %d tokens read and written", len(c.messages), c.session.Tokens())
	if trained := c.model.Config().MaxTrained; trained > 0 {
		fmt.Fprintf(&b, " (the model was trained on up to %d)", trained)
	}
	kept, size := 0, int64(0)
	for _, t := range c.turns {
		if t.before.state != nil {
			kept++
			size += t.before.state.Bytes()
		}
	}
	if c.prompted != nil && c.prompted.state != nil {
		kept++
		size += c.prompted.state.Bytes()
	}
	memory := c.model.Memory()
	fmt.Fprintf(&b, "\n%d states kept for /undo and /regen, %s; device memory %s", kept, bytesText(size), bytesText(memory.Total))
	return b.String()
}
