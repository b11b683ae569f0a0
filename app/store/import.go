package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Import adds the conversations that Export wrote, all of them or none, and
// gives them. Nothing that is there is changed: all get new ids; a folder of
// the same name is used, others are made. What was unfinished is taken as
// stopped. Errors: ErrInvalid, which says where the text makes no sense, and
// ErrNewer.
func (s *Store) Import(ctx context.Context, r io.Reader) ([]Conversation, error) {
	const op = "import"
	in, err := parseExport(r)
	if err != nil {
		return nil, s.failed(op, err)
	}
	var list []Conversation
	err = s.write(ctx, op, func(tx *sql.Tx) error {
		folders, err := rows(ctx, tx, scanFolder, `SELECT id, name FROM folders WHERE deleted IS NULL`)
		if err != nil {
			return err
		}
		byName := map[string]ID{"": ""}
		for _, f := range folders {
			if _, ok := byName[f.Name]; !ok {
				byName[f.Name] = f.ID
			}
		}
		for i := range in.Conversations {
			e := &in.Conversations[i]
			if _, ok := byName[e.Folder]; !ok {
				f := Folder{ID: NewID(), Name: e.Folder}
				if err := insertFolder(ctx, tx, f); err != nil {
					return err
				}
				byName[e.Folder] = f.ID
			}
			c, err := importConversation(ctx, tx, e, byName[e.Folder])
			if err != nil {
				return err
			}
			list = append(list, c)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

func importConversation(ctx context.Context, tx *sql.Tx, e *exportedConversation, folder ID) (Conversation, error) {
	ids := map[string]ID{"": ""}
	for _, m := range e.Messages { // in this order, as versions are told apart by it
		ids[m.ID] = NewID()
	}
	c := Conversation{ID: NewID(), Folder: folder, Title: e.Title, System: e.System, Sampling: e.Sampling, Model: e.Model,
		Created: e.Created, Updated: e.Updated, Leaf: ids[e.Leaf]}
	if err := insertConversation(ctx, tx, c); err != nil {
		return c, err
	}
	for _, m := range e.Messages {
		if err := insertMessage(ctx, tx, Message{ID: ids[m.ID], Conversation: c.ID, Parent: ids[m.Parent], Answers: ids[m.Answers], Role: m.Role,
			Content: m.Content, Status: m.Status, Problem: m.Problem.with(m.Error), Note: m.Note.with(""), Tokens: m.Tokens,
			FirstToken: m.FirstToken, Duration: m.Duration, Model: m.Model, Created: m.Created}); err != nil {
			return c, err
		}
	}
	for _, d := range e.Documents {
		if err := insertDocument(ctx, tx, Document{ID: NewID(), Conversation: c.ID, Message: ids[d.Message], Path: d.Path, Name: d.Name, Title: d.Title,
			Format: d.Format, Encoding: d.Encoding, Size: d.Size, Hash: d.Hash, Pages: d.Pages, Words: d.Words, Tokens: d.Tokens,
			TokensRead: d.TokensRead, Status: d.Status, Summary: d.Summary, SummaryWords: d.SummaryWords, Trained: d.Trained,
			Problem: d.Problem.with(d.Error), Notes: d.Notes, Created: d.Created}); err != nil {
			return c, err
		}
	}
	return c, nil
}

// parseExport reads and checks an export, and makes it what the store may keep.
func parseExport(r io.Reader) (*exported, error) {
	var in exported
	source := &source{r: r}
	d := json.NewDecoder(source)
	if err := d.Decode(&in); err != nil {
		return nil, badJSON(source.err, err)
	}
	switch {
	case in.Format != exportFormat:
		return nil, &Error{Kind: ErrInvalid, Problem: "the file is not one of Kestrel's conversations", Way: "choose a .json file that Kestrel exported"}
	case in.Version > exportVersion:
		return nil, &Error{Kind: ErrNewer, Problem: fmt.Sprintf("a newer Kestrel wrote the file (form %d; this program knows up to %d)", in.Version, exportVersion),
			Way: "update Kestrel"}
	case in.Version < 1:
		return nil, invalid(fmt.Sprintf("form %d is unknown", in.Version))
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, invalid("something follows the conversations")
	}
	for i := range in.Conversations {
		if err := in.Conversations[i].normalize(); err != nil {
			return nil, invalid(fmt.Sprintf("conversation %d: %v", i+1, err))
		}
	}
	return &in, nil
}

// source remembers why nothing more came, to tell a file that cannot be read
// from one that makes no sense.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// badJSON says where a text is wrong, and nothing of what it says.
func badJSON(reading, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case reading != nil:
		return reading
	case errors.As(err, &syntax):
		return invalid(fmt.Sprintf("the file is damaged at byte %d", syntax.Offset))
	case errors.As(err, &kind):
		return invalid(fmt.Sprintf("at byte %d something else was expected", kind.Offset))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return invalid("the file ends too early")
	}
	return invalid("a time in it is none") // the only type here that reads itself
}

// normalize checks a conversation and brings times and states of work to what
// the store keeps.
func (c *exportedConversation) normalize() error {
	if bytes.Equal(c.Sampling, []byte("null")) {
		c.Sampling = nil
	}
	if len(c.Sampling) > 0 {
		var compact bytes.Buffer
		if err := json.Compact(&compact, c.Sampling); err != nil {
			return errors.New("its sampling settings are damaged")
		}
		c.Sampling = compact.Bytes()
	}
	at := map[string]int{}
	for i := range c.Messages {
		m := &c.Messages[i]
		if _, ok := at[m.ID]; ok || m.ID == "" {
			return fmt.Errorf("message %d has no id of its own", i+1)
		}
		at[m.ID] = i
		switch {
		case m.Role != User && m.Role != Assistant && m.Role != System:
			return fmt.Errorf("message %d is by nobody", i+1)
		case m.Status == Pending || m.Status == Streaming:
			m.Status = Stopped
		case m.Status != Done && m.Status != Stopped && m.Status != Failed:
			return fmt.Errorf("message %d has no status", i+1)
		}
		if m.Tokens < 0 || m.FirstToken < 0 || m.Duration < 0 {
			return fmt.Errorf("message %d has a count below zero", i+1)
		}
	}
	if err := c.checkTree(at); err != nil {
		return err
	}
	for i, m := range c.Messages {
		if _, ok := at[m.Answers]; !ok && m.Answers != "" {
			return fmt.Errorf("message %d answers one that is not there", i+1)
		}
	}
	for i := range c.Documents {
		d := &c.Documents[i]
		if _, ok := at[d.Message]; !ok && d.Message != "" {
			return fmt.Errorf("document %d came with a message that is not there", i+1)
		}
		if d.Status == DocumentWaiting || d.Status == DocumentReading {
			d.Status = DocumentPaused
		}
		if !validDocument(d.Status) {
			return fmt.Errorf("document %d has no status", i+1)
		}
		if min(d.Size, int64(d.Pages), int64(d.Words), int64(d.Tokens), int64(d.TokensRead), int64(d.SummaryWords), int64(d.Trained)) < 0 {
			return fmt.Errorf("document %d has a count below zero", i+1)
		}
	}
	times := []*time.Time{&c.Created, &c.Updated}
	for i := range c.Messages {
		times = append(times, &c.Messages[i].Created)
	}
	for i := range c.Documents {
		times = append(times, &c.Documents[i].Created)
	}
	for _, t := range times {
		*t = timeOf(t.UnixMilli())
		if y := t.Year(); y < 0 || y > 9999 { // JSON has no others: it could not be exported again
			return errors.New("it has a time that is none")
		}
	}
	return nil
}

// checkTree makes sure that every message leads to a first one, and that the
// leaf is one of them.
func (c *exportedConversation) checkTree(at map[string]int) error {
	rooted := make([]bool, len(c.Messages))
	for i := range c.Messages {
		var way []int
		for k := i; !rooted[k]; {
			way = append(way, k)
			if len(way) > len(c.Messages) {
				return fmt.Errorf("message %d answers itself", i+1)
			}
			parent := c.Messages[k].Parent
			if parent == "" {
				break
			}
			next, ok := at[parent]
			if !ok {
				return fmt.Errorf("message %d answers one that is not there", k+1)
			}
			k = next
		}
		for _, k := range way {
			rooted[k] = true
		}
	}
	if _, ok := at[c.Leaf]; !ok && c.Leaf != "" {
		return errors.New("its last message is not there")
	}
	if c.Leaf == "" && len(c.Messages) > 0 {
		c.Leaf = c.Messages[len(c.Messages)-1].ID
	}
	return nil
}
