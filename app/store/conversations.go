package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"
)

// CreateConversation keeps a new conversation. It sets ID and the times, and
// gives the conversation as it is kept.
func (s *Store) CreateConversation(ctx context.Context, c Conversation) (Conversation, error) {
	c.ID, c.Created, c.Deleted, c.Leaf = NewID(), now(), time.Time{}, ""
	c.Updated = c.Created
	return c, s.write(ctx, "create conversation", func(tx *sql.Tx) error { return insertConversation(ctx, tx, c) })
}

func insertConversation(ctx context.Context, tx *sql.Tx, c Conversation) error {
	if len(c.Sampling) > 0 && !json.Valid(c.Sampling) {
		return invalid("the sampling settings are no JSON")
	}
	var deleted any
	if !c.Deleted.IsZero() {
		deleted = c.Deleted.UnixMilli()
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO conversations(id, folder, title, system, sampling, model, created, updated, deleted, leaf)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, string(c.ID), c.Folder.null(), c.Title, c.System, nullJSON(c.Sampling), c.Model,
		c.Created.UnixMilli(), c.Updated.UnixMilli(), deleted, c.Leaf.null())
	return err
}

const selectConversation = `SELECT c.id, ifnull(f.id, ''), c.title, c.system, ifnull(c.sampling, ''), c.model, c.created, c.updated,
	ifnull(c.deleted, 0), ifnull(c.leaf, '') FROM conversations c LEFT JOIN folders f ON f.id = c.folder AND f.deleted IS NULL `

func scanConversation(r *sql.Rows) (c Conversation, err error) {
	var sampling string
	var created, updated, deleted int64
	err = r.Scan(&c.ID, &c.Folder, &c.Title, &c.System, &sampling, &c.Model, &created, &updated, &deleted, &c.Leaf)
	if sampling != "" {
		c.Sampling = json.RawMessage(sampling)
	}
	c.Created, c.Updated = timeOf(created), timeOf(updated)
	if deleted != 0 {
		c.Deleted = timeOf(deleted)
	}
	return c, err
}

// Conversation gives one conversation, deleted or not.
func (s *Store) Conversation(ctx context.Context, id ID) (Conversation, error) {
	c, err := row(ctx, s.reader, "conversation", scanConversation, selectConversation+`WHERE c.id = ?`, string(id))
	return c, s.failed("read conversation", err)
}

// Listing says which conversations to list. The zero value is all that are not
// deleted.
type Listing struct {
	InFolder bool // only those of Folder, where "" stands for those in no folder
	Folder   ID
	Deleted  bool // those that are deleted instead
	Offset   int
	Limit    int // at most so many; 0 for all
}

func (l Listing) where() (string, []any) {
	where := `WHERE c.deleted IS NULL`
	if l.Deleted {
		where = `WHERE c.deleted IS NOT NULL`
	}
	if l.InFolder {
		return where + ` AND ifnull(f.id, '') = ?`, []any{string(l.Folder)}
	}
	return where, nil
}

// Conversations lists conversations, the last updated first.
func (s *Store) Conversations(ctx context.Context, l Listing) ([]Conversation, error) {
	where, args := l.where()
	if l.Limit <= 0 {
		l.Limit = -1
	}
	list, err := rows(ctx, s.reader, scanConversation, selectConversation+where+` ORDER BY c.updated DESC, c.id DESC LIMIT ? OFFSET ?`,
		append(args, l.Limit, l.Offset)...)
	return list, s.failed("list conversations", err)
}

// CountConversations counts what [Store.Conversations] lists without a limit.
func (s *Store) CountConversations(ctx context.Context, l Listing) (int, error) {
	where, args := l.where()
	n, err := row(ctx, s.reader, "list", value[int],
		`SELECT count(*) FROM conversations c LEFT JOIN folders f ON f.id = c.folder AND f.deleted IS NULL `+where, args...)
	return n, s.failed("count conversations", err)
}

// RenameConversation gives a conversation another title.
func (s *Store) RenameConversation(ctx context.Context, id ID, title string) error {
	return s.setConversation(ctx, "rename conversation", id, `title = ?`, title)
}

// MoveConversation puts a conversation into a folder, or into none with "".
func (s *Store) MoveConversation(ctx context.Context, id, folder ID) error {
	return s.setConversation(ctx, "move conversation", id, `folder = ?`, folder.null())
}

// Configure sets with what a conversation goes on: system prompt, sampling
// settings (nil for the model's own) and model.
func (s *Store) Configure(ctx context.Context, id ID, system string, sampling json.RawMessage, model string) error {
	const op = "configure conversation"
	if len(sampling) > 0 && !json.Valid(sampling) {
		return s.failed(op, invalid("the sampling settings are no JSON"))
	}
	return s.setConversation(ctx, op, id, `system = ?, sampling = ?, model = ?`, system, nullJSON(sampling), model)
}

func (s *Store) setConversation(ctx context.Context, op string, id ID, set string, args ...any) error {
	return s.write(ctx, op, func(tx *sql.Tx) error {
		return one(ctx, tx, "conversation", `UPDATE conversations SET `+set+` WHERE id = ?`, append(args, string(id))...)
	})
}

// DeleteConversations removes conversations from every list and from the
// search, until [Store.RestoreConversations] is called or they are purged.
func (s *Store) DeleteConversations(ctx context.Context, ids ...ID) error {
	return s.markDeleted(ctx, "delete conversation", now().UnixMilli(), ids)
}

// RestoreConversations undoes DeleteConversations: all is as it was, but saved
// states may have been dropped meanwhile.
func (s *Store) RestoreConversations(ctx context.Context, ids ...ID) error {
	return s.markDeleted(ctx, "restore conversation", nil, ids)
}

func (s *Store) markDeleted(ctx context.Context, op string, deleted any, ids []ID) error {
	return s.write(ctx, op, func(tx *sql.Tx) error {
		for _, id := range ids {
			if err := one(ctx, tx, "conversation", `UPDATE conversations SET deleted = ? WHERE id = ?`, deleted, string(id)); err != nil {
				return err
			}
		}
		return nil
	})
}
