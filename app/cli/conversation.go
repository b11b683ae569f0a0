package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"kestrel/app/backend"
	"kestrel/app/dialog"
	"kestrel/engine"
	"kestrel/engine/chat"
	"kestrel/engine/sample"
	"kestrel/engine/sample/repeat"
)

// keptStates is how many states are kept, two a turn; further back the text is
// read again. A state of a 7B model takes 38 MiB.
const keptStates = 64

// conversation is a chat that reads in each turn only what is new. Taking turns
// back, or answering anew, goes back to a state that was kept.
type conversation struct {
	model   backend.Model
	reader  *dialog.Reader
	sampler *sample.Sampler
	options engine.GenerateOptions
	circles bool                  // an answer that goes in circles ends
	reading func(done, total int) // progress

	messages []chat.Message
	fed      int // tokens read for the last turn
}

func newConversation(m backend.Model, s backend.Session, sampler *sample.Sampler) *conversation {
	format := dialog.NewFormat(m.Template(), m.Tokenizer())
	return &conversation{model: m, reader: dialog.NewReader(m, s, format, keptStates), sampler: sampler}
}

var errNoTurn = errors.New("there is no turn yet")

// ask puts a user's message and passes the answer on to emit. When it fails or
// is interrupted while reading, the conversation is as before; an answer that
// is interrupted stays as far as it came, and one that goes in circles without
// what it repeats, which emit was given.
func (c *conversation) ask(ctx context.Context, text string, emit func(string) error) (engine.Result, error) {
	return c.answer(ctx, append(c.messages[:len(c.messages):len(c.messages)], chat.Message{Role: chat.User, Content: text}), emit)
}

// answer has messages, the last of them the user's, answered and puts them in
// the place of the conversation's.
func (c *conversation) answer(ctx context.Context, messages []chat.Message, emit func(string) error) (engine.Result, error) {
	turns := make([]dialog.Message, len(messages))
	for i, m := range messages {
		turns[i] = dialog.Message{Role: m.Role, Content: m.Content}
	}
	prompt, err := c.reader.Format.Compose(turns, true)
	if err != nil {
		return engine.Result{}, err
	}
	if _, err := c.reader.Mark(ctx); err != nil {
		return engine.Result{}, err
	}
	if c.fed, _, err = c.reader.Read(ctx, prompt, nil, c.reading); err != nil {
		return engine.Result{}, err
	}
	if _, err := c.reader.Mark(ctx); err != nil {
		return engine.Result{}, err
	}
	prompt.Remind(c.reader.Format, c.sampler)
	straight := dialog.Straight{On: c.circles, Bounds: repeat.Answers, Asked: messages[len(messages)-1].Content}
	r, err := c.reader.AnswerStraight(ctx, c.sampler, c.options, straight, emit)
	if err == nil || r.Tokens > 0 { // else there is nothing to keep
		c.messages = append(messages, chat.Message{Role: chat.Assistant, Content: r.Text})
	}
	return r.Result, err
}

// turn is where the last user message is.
func (c *conversation) turn() (at int, err error) {
	for i := len(c.messages) - 1; i >= 0; i-- {
		if c.messages[i].Role == chat.User {
			return i, nil
		}
	}
	return 0, errNoTurn
}

// regenerate answers the last user message anew.
func (c *conversation) regenerate(ctx context.Context, emit func(string) error) (engine.Result, error) {
	at, err := c.turn()
	if err != nil {
		return engine.Result{}, err
	}
	return c.answer(ctx, c.messages[:at+1:at+1], emit)
}

// undo takes the last user message and its answer back.
func (c *conversation) undo() (chat.Message, error) {
	at, err := c.turn()
	if err != nil {
		return chat.Message{}, err
	}
	asked := c.messages[at]
	c.messages = c.messages[:at:at]
	return asked, nil
}

// reset forgets everything but the system message.
func (c *conversation) reset() {
	if len(c.messages) > 0 && c.messages[0].Role == chat.System {
		c.messages = c.messages[:1:1]
	} else {
		c.messages = nil
	}
}

// system puts a system message first, or takes it away where text is empty.
// The next turn reads the conversation again from its start.
func (c *conversation) system(text string) {
	rest := c.messages
	if len(rest) > 0 && rest[0].Role == chat.System {
		rest = rest[1:]
	}
	c.messages = nil
	if text != "" {
		c.messages = append(c.messages, chat.Message{Role: chat.System, Content: text})
	}
	c.messages = append(c.messages, rest...)
}

// stats is what /stats shows.
func (c *conversation) stats() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d messages, %d tokens read and written", len(c.messages), c.reader.Tokens())
	if trained := c.model.Config().MaxTrained; trained > 0 {
		fmt.Fprintf(&b, " (the model was trained on up to %d)", trained)
	}
	kept, size := c.reader.Marks()
	memory := c.model.Memory()
	fmt.Fprintf(&b, "\n%d states kept for /undo and /regen, %s; device memory %s", kept, bytesText(size), bytesText(memory.Total))
	return b.String()
}
