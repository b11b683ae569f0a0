package store

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"
)

// AddMessage keeps a message below its Parent ("" for the conversation's first)
// and makes it the conversation's leaf. It sets ID and Created. The message is
// on the disk when AddMessage returns, so a question stored before its answer
// is begun is not lost. An answer to come is added as Pending; see
// [Store.StartAnswer].
func (s *Store) AddMessage(ctx context.Context, m Message) (Message, error) {
	m.ID, m.Created = NewID(), now()
	return m, s.write(ctx, "add message", func(tx *sql.Tx) error {
		if m.Parent != "" {
			if _, err := row(ctx, tx, "message that is answered", value[int],
				`SELECT 1 FROM messages WHERE id = ? AND conversation = ?`, string(m.Parent), string(m.Conversation)); err != nil {
				return err
			}
		}
		if err := one(ctx, tx, "conversation", `UPDATE conversations SET leaf = ?, updated = ? WHERE id = ?`,
			string(m.ID), m.Created.UnixMilli(), string(m.Conversation)); err != nil {
			return err
		}
		return insertMessages(ctx, tx, m)
	})
}

// insertTogether is how many messages one statement inserts: at the end of each
// the full-text index writes what it has of new, and merges the pieces.
const insertTogether = 500

// insertMessages adds messages to conversations. A parent may come after what
// is below it.
func insertMessages(ctx context.Context, tx *sql.Tx, list ...Message) error {
	for some := range slices.Chunk(list, insertTogether) {
		const values = `(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
		args := make([]any, 0, len(some)*strings.Count(values, "?"))
		for _, m := range some {
			switch {
			case m.Role != User && m.Role != Assistant && m.Role != System:
				return invalid("a message by nobody")
			case m.Status != Pending && m.Status != Streaming && m.Status != Done && m.Status != Stopped && m.Status != Failed:
				return invalid("a message of no status")
			}
			args = append(args, string(m.ID), string(m.Conversation), m.Parent.null(), string(m.Answers), string(m.Role), m.Content, string(m.Status),
				m.Problem.Text, noteText(m.Problem.kept()), noteText(m.Note), m.Tokens, int64(m.FirstToken), int64(m.Duration), m.Model,
				m.Created.UnixMilli())
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO messages(id, conversation, parent, answers, role, content, status, error, problem, note, tokens,
			first_token, duration, model, created) VALUES `+values+strings.Repeat(`, `+values, len(some)-1), args...); err != nil {
			return err
		}
	}
	return nil
}

const selectMessage = `SELECT id, conversation, ifnull(parent, ''), answers, role, content, status, problem, error, note, tokens, first_token,
	duration, model, created FROM messages `

func scanMessage(r *sql.Rows) (m Message, err error) {
	var created int64
	err = r.Scan(&m.ID, &m.Conversation, &m.Parent, &m.Answers, &m.Role, &m.Content, &m.Status, column[Note]{&m.Problem}, &m.Problem.Text,
		column[Note]{&m.Note}, &m.Tokens, &m.FirstToken, &m.Duration, &m.Model, &created)
	m.Created = timeOf(created)
	return m, err
}

// Message gives one message. Of one that grows it is what was written by the
// last flush; see [Answer].
func (s *Store) Message(ctx context.Context, id ID) (Message, error) {
	m, err := row(ctx, s.reader, "message", scanMessage, selectMessage+`WHERE id = ?`, string(id))
	return m, s.failed("read message", err)
}

// Tree gives all messages of a conversation.
func (s *Store) Tree(ctx context.Context, conversation ID) (t *Tree, err error) {
	err = s.read(ctx, "read messages", func(tx *sql.Tx) error {
		t, err = readTree(ctx, tx, conversation)
		return err
	})
	return t, err
}

func readTree(ctx context.Context, q querier, conversation ID) (*Tree, error) {
	leaf, err := row(ctx, q, "conversation", value[ID], `SELECT ifnull(leaf, '') FROM conversations WHERE id = ?`, string(conversation))
	if err != nil {
		return nil, err
	}
	list, err := rows(ctx, q, scanMessage, selectMessage+`WHERE conversation = ? ORDER BY id`, string(conversation))
	if err != nil {
		return nil, err
	}
	return newTree(list, leaf), nil
}

// SetLeaf chooses the version of a conversation that is shown: the path from
// the root to this message. See [Tree.Newest] for the leaf below a version.
func (s *Store) SetLeaf(ctx context.Context, conversation, message ID) error {
	return s.write(ctx, "choose version", func(tx *sql.Tx) error {
		return one(ctx, tx, "message", `UPDATE conversations SET leaf = ?1
			WHERE id = ?2 AND EXISTS (SELECT 1 FROM messages WHERE id = ?1 AND conversation = ?2)`, string(message), string(conversation))
	})
}

// Fork makes a conversation of its own out of the path that leads to a message,
// with the documents that came with it. The saved states are shared: nothing
// needs to be read again. Title "" keeps the title.
func (s *Store) Fork(ctx context.Context, message ID, title string) (Conversation, error) {
	var c Conversation
	err := s.write(ctx, "fork conversation", func(tx *sql.Tx) error {
		m, err := row(ctx, tx, "message", scanMessage, selectMessage+`WHERE id = ?`, string(message))
		if err != nil {
			return err
		}
		c, err = row(ctx, tx, "conversation", scanConversation, selectConversation+`WHERE c.id = ?`, string(m.Conversation))
		if err != nil {
			return err
		}
		tree, err := readTree(ctx, tx, c.ID)
		if err != nil {
			return err
		}
		documents, err := rows(ctx, tx, scanDocument, selectDocument+`WHERE conversation = ? ORDER BY id`, string(c.ID))
		if err != nil {
			return err
		}
		path := tree.PathTo(message)
		c.ID, c.Created, c.Deleted = NewID(), now(), time.Time{}
		c.Updated = c.Created
		if title != "" {
			c.Title = title
		}
		copies := map[ID]ID{"": ""}
		for _, m := range path {
			copies[m.ID] = NewID()
		}
		c.Leaf = copies[message]
		if err := insertConversation(ctx, tx, c); err != nil {
			return err
		}
		var copied []Message
		for _, m := range path {
			m.ID, m.Conversation, m.Parent, m.Answers = copies[m.ID], c.ID, copies[m.Parent], copies[m.Answers]
			if m.Status == Pending || m.Status == Streaming {
				m.Status = Stopped
			}
			copied = append(copied, m)
		}
		if err := insertMessages(ctx, tx, copied...); err != nil {
			return err
		}
		for i, m := range path {
			if err := shareStates(ctx, tx, "message", m.ID, copied[i].ID, c.ID); err != nil {
				return err
			}
		}
		for _, d := range documents {
			on, ok := copies[d.Message]
			if !ok {
				continue
			}
			from := d.ID
			d.ID, d.Conversation, d.Message = NewID(), c.ID, on
			if d.Status == DocumentWaiting || d.Status == DocumentReading {
				d.Status = DocumentPaused
			}
			if err := insertDocument(ctx, tx, d); err != nil {
				return err
			}
			if err := shareStates(ctx, tx, "document", from, d.ID, c.ID); err != nil {
				return err
			}
		}
		return nil
	})
	return c, err
}
