package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
)

// Draft is what a user has begun in a conversation and not sent.
type Draft struct {
	Conversation ID // "" for one that is not stored yet
	Text         string
	Files        []string // paths of documents whose reading has not begun
}

const selectDraft = `SELECT conversation, text, files FROM drafts `

func scanDraft(r *sql.Rows) (d Draft, err error) {
	var files string
	if err := r.Scan(&d.Conversation, &d.Text, &files); err != nil {
		return d, err
	}
	if json.Unmarshal([]byte(files), &d.Files) != nil {
		d.Files = nil // as after damage: the files themselves are where they were
	}
	return d, nil
}

// Drafts lists all drafts, those of deleted conversations too: these may be
// restored.
func (s *Store) Drafts(ctx context.Context) ([]Draft, error) {
	list, err := rows(ctx, s.reader, scanDraft, selectDraft+`ORDER BY conversation`)
	return list, s.failed("list drafts", err)
}

// Draft gives the draft of a conversation, an empty one where there is none.
func (s *Store) Draft(ctx context.Context, conversation ID) (Draft, error) {
	list, err := rows(ctx, s.reader, scanDraft, selectDraft+`WHERE conversation = ?`, string(conversation))
	if err != nil || len(list) == 0 {
		return Draft{Conversation: conversation}, s.failed("read draft", err)
	}
	return list[0], nil
}

// SetDraftText keeps the text of a draft. For a conversation that is purged it
// does nothing.
func (s *Store) SetDraftText(ctx context.Context, conversation ID, text string) error {
	return s.setDraft(ctx, conversation, `text`, text)
}

// SetDraftFiles keeps the files of a draft. For a conversation that is purged it
// does nothing.
func (s *Store) SetDraftFiles(ctx context.Context, conversation ID, files []string) error {
	return s.setDraft(ctx, conversation, `files`, fileList(files))
}

// fileList is how paths are stored.
func fileList(files []string) string {
	if len(files) == 0 {
		return "[]"
	}
	list, err := json.Marshal(files)
	if err != nil {
		panic(err) // texts can always be written
	}
	return string(list)
}

func (s *Store) setDraft(ctx context.Context, conversation ID, column, value string) error {
	return s.write(ctx, "keep draft", func(tx *sql.Tx) error { return setDraft(ctx, tx, conversation, column, value) })
}

func setDraft(ctx context.Context, tx *sql.Tx, conversation ID, column, value string) error {
	for _, q := range []struct {
		query string
		args  []any
	}{
		{`INSERT INTO drafts(conversation, text, files) SELECT ?1, '', '[]' WHERE ?1 = '' OR EXISTS (SELECT 1 FROM conversations WHERE id = ?1)
			ON CONFLICT DO NOTHING`, []any{string(conversation)}},
		{`UPDATE drafts SET ` + column + ` = ? WHERE conversation = ?`, []any{value, string(conversation)}},
		{`DELETE FROM drafts WHERE conversation = ? AND text = '' AND files = '[]'`, []any{string(conversation)}},
	} {
		if _, err := tx.ExecContext(ctx, q.query, q.args...); err != nil {
			return err
		}
	}
	return nil
}

// dropDraftFile takes a file from a draft: it is a document now.
func dropDraftFile(ctx context.Context, tx *sql.Tx, conversation ID, path string) error {
	list, err := rows(ctx, tx, scanDraft, selectDraft+`WHERE conversation = ?`, string(conversation))
	if err != nil || len(list) == 0 || !slices.Contains(list[0].Files, path) {
		return err
	}
	left := slices.DeleteFunc(list[0].Files, func(f string) bool { return f == path })
	return setDraft(ctx, tx, conversation, `files`, fileList(left))
}
