package store

import (
	"context"
	"database/sql"
)

// AddDocument keeps what is known of a document, and takes its file from the
// conversation's draft. It sets ID and Created.
func (s *Store) AddDocument(ctx context.Context, d Document) (Document, error) {
	d.ID, d.Created = NewID(), now()
	return d, s.write(ctx, "add document", func(tx *sql.Tx) error {
		if d.Message != "" {
			if _, err := row(ctx, tx, "message of the document", value[int],
				`SELECT 1 FROM messages WHERE id = ? AND conversation = ?`, string(d.Message), string(d.Conversation)); err != nil {
				return err
			}
		}
		if err := one(ctx, tx, "conversation", `UPDATE conversations SET updated = ? WHERE id = ?`, d.Created.UnixMilli(), string(d.Conversation)); err != nil {
			return err
		}
		if err := dropDraftFile(ctx, tx, d.Conversation, d.Path); err != nil {
			return err
		}
		return insertDocument(ctx, tx, d)
	})
}

func validDocument(s DocumentStatus) bool {
	switch s {
	case DocumentWaiting, DocumentReading, DocumentPaused, DocumentDone, DocumentFailed, DocumentCancelled:
		return true
	}
	return false
}

func insertDocument(ctx context.Context, tx *sql.Tx, d Document) error {
	if !validDocument(d.Status) {
		return invalid("a document of no status")
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO documents(id, conversation, message, path, name, title, format, encoding, size, hash, pages, words,
		tokens, tokens_read, status, summary, summary_words, trained, error, problem, notes, created)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		string(d.ID), string(d.Conversation), d.Message.null(), d.Path, d.Name, d.Title, d.Format, d.Encoding, d.Size, d.Hash, d.Pages, d.Words,
		d.Tokens, d.TokensRead, string(d.Status), d.Summary, d.SummaryWords, d.Trained, d.Problem.Text, noteText(d.Problem.kept()),
		noteText(d.Notes), d.Created.UnixMilli())
	return err
}

const selectDocument = `SELECT id, conversation, ifnull(message, ''), path, name, title, format, encoding, size, hash, pages, words,
	tokens, tokens_read, status, summary, summary_words, trained, problem, error, notes, created FROM documents `

func scanDocument(r *sql.Rows) (d Document, err error) {
	var created int64
	err = r.Scan(&d.ID, &d.Conversation, &d.Message, &d.Path, &d.Name, &d.Title, &d.Format, &d.Encoding, &d.Size, &d.Hash, &d.Pages, &d.Words,
		&d.Tokens, &d.TokensRead, &d.Status, &d.Summary, &d.SummaryWords, &d.Trained, column[Note]{&d.Problem}, &d.Problem.Text,
		column[[]Note]{&d.Notes}, &created)
	d.Created = timeOf(created)
	return d, err
}

// Document gives one document.
func (s *Store) Document(ctx context.Context, id ID) (Document, error) {
	d, err := row(ctx, s.reader, "document", scanDocument, selectDocument+`WHERE id = ?`, string(id))
	return d, s.failed("read document", err)
}

// Documents lists the documents of a conversation, the first given first.
func (s *Store) Documents(ctx context.Context, conversation ID) ([]Document, error) {
	list, err := rows(ctx, s.reader, scanDocument, selectDocument+`WHERE conversation = ? ORDER BY id`, string(conversation))
	return list, s.failed("list documents", err)
}

// UpdateDocument changes a document, as one step: change is given the document
// as it is kept. ID, Conversation and Created stay.
func (s *Store) UpdateDocument(ctx context.Context, id ID, change func(*Document)) (Document, error) {
	var d Document
	err := s.write(ctx, "update document", func(tx *sql.Tx) error {
		old, err := row(ctx, tx, "document", scanDocument, selectDocument+`WHERE id = ?`, string(id))
		if err != nil {
			return err
		}
		d = old
		change(&d)
		d.ID, d.Conversation, d.Created = old.ID, old.Conversation, old.Created
		if !validDocument(d.Status) {
			return invalid("a document of no status")
		}
		if d.Message != "" && d.Message != old.Message {
			if _, err := row(ctx, tx, "message of the document", value[int],
				`SELECT 1 FROM messages WHERE id = ? AND conversation = ?`, string(d.Message), string(d.Conversation)); err != nil {
				return err
			}
		}
		return one(ctx, tx, "document", `UPDATE documents SET message = ?, path = ?, name = ?, title = ?, format = ?, encoding = ?, size = ?,
			hash = ?, pages = ?, words = ?, tokens = ?, tokens_read = ?, status = ?, summary = ?, summary_words = ?, trained = ?, error = ?,
			problem = ?, notes = ? WHERE id = ?`,
			d.Message.null(), d.Path, d.Name, d.Title, d.Format, d.Encoding, d.Size, d.Hash, d.Pages, d.Words, d.Tokens, d.TokensRead,
			string(d.Status), d.Summary, d.SummaryWords, d.Trained, d.Problem.Text, noteText(d.Problem.kept()), noteText(d.Notes), string(id))
	})
	return d, err
}

// DeleteDocument removes a document from its conversation, with its saved
// states. The user's file is not touched.
func (s *Store) DeleteDocument(ctx context.Context, id ID) error {
	const op = "delete document"
	err := s.write(ctx, op, func(tx *sql.Tx) error {
		return one(ctx, tx, "document", `DELETE FROM documents WHERE id = ?`, string(id))
	})
	if err != nil {
		return err
	}
	return s.failed(op, s.dropUnreferenced(ctx))
}
