package dialog

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"

	"kestrel/app/document"
	"kestrel/engine/chat"
	"kestrel/engine/tokenizer"
)

// Message is one turn. Place in the Content of one with a Source stands for the
// document's text.
type Message struct {
	Role    string // of engine/chat
	Content string
	Source  *Source
}

// Place is where a message's document goes.
const Place = "\x01"

// Source is a document whose text is streamed when it is read.
type Source struct {
	// Key tells the text from any other: two sources of one key have the same
	// text. It holds no control characters.
	Key  string
	Open func(ctx context.Context) (*document.Document, error)
	part bool // of a document; see Parts
}

// SummaryRequest is the content of a message that asks for a summary of text,
// or of what stands at Place: before the text, so that the model knows what to
// look for, and again after it, since what it read last it remembers best.
func SummaryRequest(text string, words int) string {
	return fmt.Sprintf("Summarize:\n%s\n\nSummarize this text in at most %d words.", strings.TrimSpace(text), words)
}

// What stands for the assistant's answer after a document that was not summed
// up, or of which only a part was read so far: roles must take turns.
const (
	HasRead      = "I have read this text."
	HasReadSoFar = "I have read the beginning of this text."
)

// Prompt is a conversation as a model reads it.
type Prompt struct {
	text  string // a document is \x01KEY\x02 in it
	plain []span // in text: special tokens spelled there are text like any other
	docs  []insert
}

type span struct{ from, to int }

// insert is a document in a prompt's text.
type insert struct {
	span
	source *Source
}

// Marks of a document in a prompt's text. The second stands for all of the
// document, the third, in a Reader's text, for a place within it.
const (
	docStart = "\x01"
	docEnd   = "\x02"
	docAt    = "\x03"
)

// ErrPlace is a template that leaves out a document or shows it twice.
var ErrPlace = errors.New("the chat template does not show what the user says as it is")

// control are the characters that this package gives a meaning.
var control = strings.NewReplacer(docStart, "", docEnd, "", docAt, "")

// Format is how a model reads conversations. It is immutable.
type Format struct {
	template *chat.Template
	tok      *tokenizer.Tokenizer
	specials []string // as they are spelled
}

// NewFormat takes a model's template and tokenizer.
func NewFormat(t *chat.Template, tok *tokenizer.Tokenizer) *Format {
	f := &Format{template: t, tok: tok}
	for id := range tok.VocabSize() {
		if text, special, ok := tok.Token(id); ok && special && text != "" {
			f.specials = append(f.specials, text)
		}
	}
	return f
}

// spelled says whether text spells a special token.
func (f *Format) spelled(text string) bool {
	for _, s := range f.specials {
		if strings.Contains(text, s) {
			return true
		}
	}
	return false
}

// Compose renders messages by the template; with answer the text ends where the
// assistant's answer begins. Errors: those of chat.Template.Render, ErrPlace.
func (f *Format) Compose(messages []Message, answer bool) (Prompt, error) {
	rendered := make([]chat.Message, len(messages))
	stand := map[string]string{} // stands in the rendered text for content
	sources := map[string]*Source{}
	for i, m := range messages {
		content := m.Content
		if m.Source != nil {
			key := docStart + m.Source.Key + docEnd
			before, after, _ := strings.Cut(content, Place)
			content = control.Replace(before) + key + control.Replace(after)
			sources[m.Source.Key] = m.Source
		} else {
			content = control.Replace(content)
			// a template may trim: what stands for the content must not hide its white space
			if core := strings.TrimSpace(content); f.spelled(core) {
				name := fmt.Sprintf("%st%d%s", docStart, i, docEnd)
				stand[fmt.Sprintf("t%d", i)] = core
				content = strings.Replace(content, core, name, 1)
			}
		}
		rendered[i] = chat.Message{Role: m.Role, Content: content}
	}
	text, err := f.template.Render(rendered, answer)
	if err != nil {
		return Prompt{}, err
	}
	var p Prompt
	var b strings.Builder
	shown := 0
	for rest := text; rest != ""; {
		before, after, found := strings.Cut(rest, docStart)
		b.WriteString(before)
		if !found {
			break
		}
		key, after, _ := strings.Cut(after, docEnd)
		from := b.Len()
		if core, ok := stand[key]; ok {
			b.WriteString(core)
			p.plain = append(p.plain, span{from, b.Len()})
		} else {
			b.WriteString(docStart + key + docEnd)
			p.docs = append(p.docs, insert{span{from, b.Len()}, sources[key]})
			shown++
		}
		rest = after
	}
	p.text = b.String()
	want := 0
	for _, m := range messages {
		if m.Source != nil {
			want++
		}
	}
	if shown != want {
		return Prompt{}, ErrPlace
	}
	return p, nil
}

// encode turns text[from:to], which holds no document, into ids. Special tokens
// count as such, but not within plain: what a user wrote, or a document, must
// not be able to end its own turn.
func (p Prompt) encode(tok *tokenizer.Tokenizer, from, to int) []int {
	var ids []int
	first := sort.Search(len(p.plain), func(i int) bool { return p.plain[i].to > from })
	for _, s := range p.plain[first:] {
		if s.from >= to {
			break
		}
		if s.from > from {
			ids = append(ids, tok.Encode(p.text[from:s.from], true)...)
			from = s.from
		}
		end := min(s.to, to)
		ids = append(ids, tok.Encode(p.text[from:end], false)...)
		from = end
	}
	if from < to {
		ids = append(ids, tok.Encode(p.text[from:to], true)...)
	}
	return ids
}
