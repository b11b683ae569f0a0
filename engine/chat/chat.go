// Package chat turns a conversation into the text a model was trained on, by
// the Jinja chat template that its files carry.
//
// The contract is transformers' apply_chat_template: a template sees messages
// (each with role and content), add_generation_prompt, the special tokens
// (bos_token, eos_token, …), raise_exception and strftime_now, with
// trim_blocks and lstrip_blocks on. Templates are parsed and evaluated by
// gonja (github.com/nikolalohinski/gonja/v2); the parts of it that a template
// can use to reach outside, to run long or to allocate much are left out,
// bounded or replaced here, because a template comes from a downloaded file.
//
// Known differences from jinja2, all of gonja's: None and undefined both
// print as nothing; "a if b else c" works as a whole expression or in set but
// not within brackets (a syntax error); string indices count bytes. Left out
// on purpose: include, import, extends, block, call, filter and with, recursive
// loops, the operators * and **, and filters and methods that no chat template
// needs. A template
// that uses them is refused with ErrTemplate, never rendered differently.
package chat

import (
	"errors"
	"fmt"
	"time"
)

var (
	// ErrTemplate marks a chat template that cannot be used: its syntax is
	// wrong, it needs what is not offered, or it fails on this conversation.
	ErrTemplate = errors.New("chat template")
	// ErrRefused marks a conversation that the template itself refuses by
	// raise_exception, such as two user turns in a row. It is also an
	// ErrTemplate.
	ErrRefused = fmt.Errorf("%w refuses the conversation", ErrTemplate)
	// ErrLimit marks a template that ran into a bound on its work or its
	// output. It is also an ErrTemplate.
	ErrLimit = fmt.Errorf("%w went over its limit", ErrTemplate)
)

// Message is one turn of a conversation.
type Message struct {
	Role    string `json:"role"` // "system", "user", "assistant"
	Content string `json:"content"`
}

// Roles that every template knows.
const (
	System    = "system"
	User      = "user"
	Assistant = "assistant"
)

// Template renders conversations. It is immutable and safe for concurrent use.
type Template struct {
	source  string
	plain   string // source as inspect returns it
	special map[string]string
	now     func() time.Time
	chatML  bool
}

// NewTemplate checks a Jinja chat template and keeps it. special holds the
// tokens it may name: bos_token, eos_token, pad_token, unk_token.
//
// The error is an ErrTemplate that says where the syntax is wrong.
func NewTemplate(jinja string, special map[string]string) (*Template, error) {
	plain, err := inspect(jinja)
	if err != nil {
		return nil, err
	}
	t := &Template{source: jinja, plain: plain, special: special, now: time.Now}
	if _, err := t.compile(newBudget(nil)); err != nil {
		return nil, err
	}
	return t, nil
}

// chatML is the publisher's format, for models whose files carry no template.
const chatML = "{% for message in messages %}" +
	"{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}" +
	"{% endfor %}" +
	"{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"

// ChatML returns the format that Falcon-Mamba's publisher describes, the
// fallback for models whose files carry no template.
func ChatML() *Template {
	return &Template{source: chatML, plain: chatML, chatML: true, now: time.Now}
}

// Source returns the template's Jinja text.
func (t *Template) Source() string { return t.source }

// Fallback says that this is ChatML, not a template of the model's own.
func (t *Template) Fallback() bool { return t.chatML }

// Render returns the text of msgs. With addGenerationPrompt it ends where the
// assistant's answer begins.
//
// Errors: ErrRefused where the template raises one, ErrLimit, ErrTemplate.
func (t *Template) Render(msgs []Message, addGenerationPrompt bool) (string, error) {
	return t.render(newBudget(msgs), msgs, addGenerationPrompt)
}
