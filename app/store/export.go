package store

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// The form of exported conversations. A reader refuses a higher version; new
// fields that may be left out need none.
const (
	exportFormat  = "kestrel conversations"
	exportVersion = 1
)

type exported struct {
	Format        string                 `json:"format"`
	Version       int                    `json:"version"`
	Exported      time.Time              `json:"exported"`
	Conversations []exportedConversation `json:"conversations"`
}

type exportedConversation struct {
	Title     string             `json:"title"`
	Folder    string             `json:"folder,omitempty"` // its name
	System    string             `json:"system,omitempty"`
	Sampling  json.RawMessage    `json:"sampling,omitempty"`
	Model     string             `json:"model,omitempty"`
	Created   time.Time          `json:"created"`
	Updated   time.Time          `json:"updated"`
	Leaf      string             `json:"leaf,omitempty"`
	Messages  []exportedMessage  `json:"messages"`
	Documents []exportedDocument `json:"documents,omitempty"`
}

type exportedMessage struct {
	ID         string        `json:"id"`
	Parent     string        `json:"parent,omitempty"`
	Answers    string        `json:"answers,omitempty"`
	Role       Role          `json:"role"`
	Content    string        `json:"content"`
	Status     Status        `json:"status"`
	Error      string        `json:"error,omitempty"`   // the problem's text
	Problem    *Note         `json:"problem,omitempty"` // all but its text
	Note       *Note         `json:"note,omitempty"`
	Tokens     int           `json:"tokens,omitempty"`
	FirstToken time.Duration `json:"first_token_ns,omitempty"`
	Duration   time.Duration `json:"duration_ns,omitempty"`
	Model      string        `json:"model,omitempty"`
	Created    time.Time     `json:"created"`
}

type exportedDocument struct {
	Message      string         `json:"message,omitempty"`
	Path         string         `json:"path"`
	Name         string         `json:"name"`
	Title        string         `json:"title,omitempty"`
	Format       string         `json:"format"`
	Encoding     string         `json:"encoding,omitempty"`
	Size         int64          `json:"size"`
	Hash         string         `json:"hash,omitempty"`
	Pages        int            `json:"pages,omitempty"`
	Words        int            `json:"words,omitempty"`
	Tokens       int            `json:"tokens,omitempty"`
	TokensRead   int            `json:"tokens_read,omitempty"`
	Status       DocumentStatus `json:"status"`
	Summary      string         `json:"summary,omitempty"`
	SummaryWords int            `json:"summary_words,omitempty"`
	Trained      int            `json:"trained,omitempty"`
	Error        string         `json:"error,omitempty"`   // the problem's text
	Problem      *Note          `json:"problem,omitempty"` // all but its text
	Notes        []Note         `json:"notes,omitempty"`
	Created      time.Time      `json:"created"`
}

// Export writes conversations as JSON, with all versions of their messages and
// with what is known of their documents, for [Store.Import]: those named, or
// all that are not deleted. Saved states are left out; they are made again by
// reading.
func (s *Store) Export(ctx context.Context, w io.Writer, ids ...ID) error {
	return s.read(ctx, "export", func(tx *sql.Tx) error { return export(ctx, tx, w, ids) })
}

func export(ctx context.Context, tx *sql.Tx, w io.Writer, ids []ID) (err error) {
	if len(ids) == 0 {
		if ids, err = rows(ctx, tx, value[ID], `SELECT id FROM conversations WHERE deleted IS NULL ORDER BY updated DESC, id DESC`); err != nil {
			return err
		}
	}
	// One conversation at a time: all of them may be more than memory holds.
	b := bufio.NewWriter(w)
	head, err := json.Marshal(exported{Format: exportFormat, Version: exportVersion, Exported: now()})
	if err != nil {
		return err
	}
	fmt.Fprint(b, strings.TrimSuffix(string(head), "null}"), "[\n") // Flush gives its error
	for i, id := range ids {
		c, err := exportConversation(ctx, tx, id)
		if err != nil {
			return err
		}
		text, err := json.Marshal(c)
		if err != nil {
			return err
		}
		if i > 0 {
			fmt.Fprint(b, ",\n")
		}
		if _, err := b.Write(text); err != nil {
			return err
		}
	}
	fmt.Fprint(b, "\n]}\n")
	return b.Flush()
}

func exportConversation(ctx context.Context, tx *sql.Tx, id ID) (e exportedConversation, err error) {
	c, err := row(ctx, tx, "conversation", scanConversation, selectConversation+`WHERE c.id = ?`, string(id))
	if err != nil {
		return e, err
	}
	e = exportedConversation{Title: c.Title, System: c.System, Sampling: c.Sampling, Model: c.Model, Created: c.Created, Updated: c.Updated,
		Leaf: string(c.Leaf), Messages: []exportedMessage{}}
	if c.Folder != "" {
		if e.Folder, err = row(ctx, tx, "folder", value[string], `SELECT name FROM folders WHERE id = ?`, string(c.Folder)); err != nil {
			return e, err
		}
	}
	tree, err := readTree(ctx, tx, id)
	if err != nil {
		return e, err
	}
	for _, m := range tree.messages {
		e.Messages = append(e.Messages, exportedMessage{ID: string(m.ID), Parent: string(m.Parent), Answers: string(m.Answers), Role: m.Role,
			Content: m.Content, Status: m.Status, Error: m.Problem.Text, Problem: m.Problem.kept().exported(), Note: m.Note.exported(),
			Tokens: m.Tokens, FirstToken: m.FirstToken, Duration: m.Duration, Model: m.Model, Created: m.Created})
	}
	documents, err := rows(ctx, tx, scanDocument, selectDocument+`WHERE conversation = ? ORDER BY id`, string(id))
	for _, d := range documents {
		e.Documents = append(e.Documents, exportedDocument{Message: string(d.Message), Path: d.Path, Name: d.Name, Title: d.Title, Format: d.Format,
			Encoding: d.Encoding, Size: d.Size, Hash: d.Hash, Pages: d.Pages, Words: d.Words, Tokens: d.Tokens, TokensRead: d.TokensRead,
			Status: d.Status, Summary: d.Summary, SummaryWords: d.SummaryWords, Trained: d.Trained, Error: d.Problem.Text,
			Problem: d.Problem.kept().exported(), Notes: d.Notes, Created: d.Created})
	}
	return e, err
}

// Labels are the words of an exported Markdown text, in the user's language.
type Labels struct {
	User, Assistant, System string // who speaks
	Stopped, Failed         string // behind an answer that ended so

	Problem func(Note) string // why one failed; nil for the note's own text
}

// EnglishLabels are the labels in English.
var EnglishLabels = Labels{User: "You", Assistant: "Kestrel", System: "Note", Stopped: "stopped", Failed: "failed"}

// ExportMarkdown writes the version of a conversation that is shown as a text
// for reading.
func (s *Store) ExportMarkdown(ctx context.Context, w io.Writer, conversation ID, labels Labels) error {
	return s.read(ctx, "export Markdown", func(tx *sql.Tx) error { return exportMarkdown(ctx, tx, w, conversation, labels) })
}

func exportMarkdown(ctx context.Context, tx *sql.Tx, w io.Writer, conversation ID, labels Labels) error {
	c, err := row(ctx, tx, "conversation", scanConversation, selectConversation+`WHERE c.id = ?`, string(conversation))
	if err != nil {
		return err
	}
	tree, err := readTree(ctx, tx, conversation)
	if err != nil {
		return err
	}
	documents, err := rows(ctx, tx, scanDocument, selectDocument+`WHERE conversation = ? ORDER BY id`, string(conversation))
	if err != nil {
		return err
	}
	with := map[ID][]string{}
	for _, d := range documents {
		with[d.Message] = append(with[d.Message], "- "+oneLine(d.Name)+"\n")
	}
	speaker := map[Role]string{User: labels.User, Assistant: labels.Assistant, System: labels.System}
	problem := labels.Problem
	if problem == nil {
		problem = func(n Note) string { return n.Text }
	}
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "# %s\n", oneLine(c.Title)) // Flush gives its error
	list := func(names []string) {
		if len(names) > 0 {
			fmt.Fprintf(b, "\n%s", strings.Join(names, ""))
		}
	}
	list(with[""])
	for _, m := range tree.Path() {
		fmt.Fprintf(b, "\n## %s\n", speaker[m.Role])
		list(with[m.ID])
		if text := strings.TrimSpace(m.Content); text != "" {
			fmt.Fprintf(b, "\n%s\n", text)
		}
		switch m.Status {
		case Stopped:
			fmt.Fprintf(b, "\n*(%s)*\n", labels.Stopped)
		case Failed:
			fmt.Fprintf(b, "\n*(%s)*\n", strings.TrimSuffix(labels.Failed+": "+oneLine(problem(m.Problem)), ": "))
		}
	}
	return b.Flush()
}
