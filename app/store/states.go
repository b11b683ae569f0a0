package store

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
)

const (
	stateSuffix = ".state"
	halfSuffix  = ".part" // of a file that is being written
)

// SaveState keeps a saved state of the message or the document that st names,
// in place of one that this owner has for the same section. from writes the
// file: an engine.State does. The file has its name only when all of it is on
// the disk, and its entry only after that. The store then drops states until
// their files are within the budget; see [Store.SetStateBudget]. SaveState sets
// ID, Conversation, Bytes and the times. Errors: ErrNoSpace; ErrNotFound if the
// owner is not there any more.
func (s *Store) SaveState(ctx context.Context, st State, from io.WriterTo) (State, error) {
	const op = "save state"
	if (st.Message == "") == (st.Document == "") {
		return State{}, s.failed(op, invalid("a state is of a message or of a document"))
	}
	s.saving.Lock()
	defer s.saving.Unlock()
	st.ID, st.Created = NewID(), now()
	st.Used = st.Created
	n, err := writeState(ctx, s.stateFile(st.ID), from)
	if err != nil {
		return State{}, s.failed(op, err)
	}
	st.Bytes = n
	err = s.write(ctx, op, func(tx *sql.Tx) error {
		owner, id := "message", st.Message
		if st.Document != "" {
			owner, id = "document", st.Document
		}
		if st.Conversation, err = row(ctx, tx, owner, value[ID], `SELECT conversation FROM `+owner+`s WHERE id = ?`, string(id)); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM states WHERE `+owner+` = ? AND section = ?`, string(id), st.Section); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO state_files(id, bytes, created, used) VALUES (?, ?, ?, ?)`,
			string(st.ID), st.Bytes, st.Created.UnixMilli(), st.Used.UnixMilli()); err != nil {
			return err
		}
		return insertState(ctx, tx, st.ID, st)
	})
	if err != nil {
		_ = os.Remove(s.stateFile(st.ID)) // else the next start does it
		return State{}, err
	}
	if err := s.dropUnreferencedLocked(ctx); err != nil { // what it replaced
		return st, s.failed(op, err)
	}
	return st, s.failed(op, s.evictLocked(ctx))
}

func insertState(ctx context.Context, tx *sql.Tx, file ID, st State) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO states(id, file, conversation, message, document, section, final, tokens, position,
		text_hash, model, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		string(st.ID), string(file), string(st.Conversation), st.Message.null(), st.Document.null(), st.Section, st.Final, st.Tokens, st.Position,
		st.TextHash, st.Model, st.Created.UnixMilli())
	return err
}

// shareStates lets the copy of a message or document have the states of the
// first, in the same files.
func shareStates(ctx context.Context, tx *sql.Tx, owner string, from, to, conversation ID) error {
	type shared struct {
		state State
		file  ID
	}
	list, err := rows(ctx, tx, func(r *sql.Rows) (x shared, err error) {
		x.state, err = scanState(r, &x.file)
		return x, err
	}, selectState+`WHERE `+owner+` = ?`, string(from))
	if err != nil {
		return err
	}
	for _, x := range list {
		x.state.ID, x.state.Conversation = NewID(), conversation
		if owner == "message" {
			x.state.Message = to
		} else {
			x.state.Document = to
		}
		if err := insertState(ctx, tx, x.file, x.state); err != nil {
			return err
		}
	}
	return nil
}

// writeState writes a file whole or not at all.
func writeState(ctx context.Context, path string, from io.WriterTo) (n int64, err error) {
	f, err := os.OpenFile(path+halfSuffix, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	b := bufio.NewWriterSize(&untilDone{ctx, f}, 1<<20)
	if _, err := from.WriteTo(b); err != nil {
		return 0, err
	}
	if err := errors.Join(b.Flush(), f.Sync()); err != nil {
		return 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if err := f.Close(); err != nil {
		return 0, err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return 0, err
	}
	syncFolder(filepath.Dir(path))
	return info.Size(), nil
}

// untilDone is a writer that ends with its context.
type untilDone struct {
	ctx context.Context
	w   io.Writer
}

func (u *untilDone) Write(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.w.Write(p)
}

// syncFolder makes a new name last through a power cut. Where folders cannot be
// synced the file is whole all the same, or its entry is removed at the start.
func syncFolder(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
}

const selectState = `SELECT s.id, s.conversation, ifnull(s.message, ''), ifnull(s.document, ''), s.section, s.final, s.tokens, s.position,
	s.text_hash, s.model, f.bytes, s.created, f.used, s.file FROM states s JOIN state_files f ON f.id = s.file `

func scanState(r *sql.Rows, file *ID) (st State, err error) {
	var created, used int64
	err = r.Scan(&st.ID, &st.Conversation, &st.Message, &st.Document, &st.Section, &st.Final, &st.Tokens, &st.Position,
		&st.TextHash, &st.Model, &st.Bytes, &created, &used, file)
	st.Created, st.Used = timeOf(created), timeOf(used)
	return st, err
}

func scanStateOnly(r *sql.Rows) (State, error) {
	var file ID
	return scanState(r, &file)
}

// States lists the saved states of a message, of a document, or all of a
// conversation: by section, and those of one section in the order they were
// saved.
func (s *Store) States(ctx context.Context, owner ID) ([]State, error) {
	list, err := rows(ctx, s.reader, scanStateOnly, selectState+`WHERE s.message = ?1
		UNION ALL `+selectState+`WHERE s.document = ?1
		UNION ALL `+selectState+`WHERE s.conversation = ?1 ORDER BY 5, 12, 1`, string(owner))
	return list, s.failed("list states", err)
}

// OpenState opens the file of a saved state, for engine.ReadState, and makes it
// the one last used. The caller closes it; it stays readable if it is dropped
// meanwhile. Errors: ErrNotFound if it was dropped; the text has to be read
// again then.
func (s *Store) OpenState(ctx context.Context, id ID) (*os.File, error) {
	const op = "open state"
	var file ID
	_, err := row(ctx, s.reader, "saved state", func(r *sql.Rows) (State, error) { return scanState(r, &file) }, selectState+`WHERE s.id = ?`, string(id))
	if err != nil {
		return nil, s.failed(op, err)
	}
	f, err := os.Open(s.stateFile(file))
	if errors.Is(err, os.ErrNotExist) {
		return nil, s.failed(op, errors.Join(notFound("saved state"), s.DropState(ctx, id)))
	}
	if err != nil {
		return nil, s.failed(op, err)
	}
	err = s.write(ctx, op, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE state_files SET used = max(used, ?) WHERE id = ?`, now().UnixMilli(), string(file))
		return err
	})
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// DropState removes a saved state, as one that turned out damaged or of a model
// that is gone. It is no error if it is not there.
func (s *Store) DropState(ctx context.Context, id ID) error {
	return s.dropStates(ctx, `WHERE id = ?`, string(id))
}

// DropStates removes all saved states; texts are read again when needed.
func (s *Store) DropStates(ctx context.Context) error { return s.dropStates(ctx, ``) }

func (s *Store) dropStates(ctx context.Context, where string, args ...any) error {
	const op = "drop states"
	err := s.write(ctx, op, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM states `+where, args...)
		return err
	})
	if err != nil {
		return err
	}
	return s.failed(op, s.dropUnreferenced(ctx))
}

func (s *Store) stateFile(id ID) string { return filepath.Join(s.statesDir(), string(id)+stateSuffix) }

// dropUnreferenced removes the files that no state stands in any more.
func (s *Store) dropUnreferenced(ctx context.Context) error {
	s.saving.Lock()
	defer s.saving.Unlock()
	return s.dropUnreferencedLocked(ctx)
}

func (s *Store) dropUnreferencedLocked(ctx context.Context) error {
	var gone []ID
	err := s.write(ctx, "", func(tx *sql.Tx) (err error) {
		gone, err = rows(ctx, tx, value[ID], `DELETE FROM state_files WHERE NOT EXISTS (SELECT 1 FROM states WHERE file = state_files.id) RETURNING id`)
		return err
	})
	if err != nil {
		return err
	}
	s.removeFiles(gone)
	return nil
}

// removeFiles removes files whose entries are gone. One that cannot be removed
// now, as on Windows while it is read, is removed at the next start.
func (s *Store) removeFiles(ids []ID) {
	for _, id := range ids {
		_ = os.Remove(s.stateFile(id))
	}
}

// cleanStates makes files and entries agree: an entry whose file is missing or
// of another size goes, and so does a file without an entry.
func (s *Store) cleanStates(ctx context.Context) error {
	found := map[string]int64{}
	list, err := os.ReadDir(s.statesDir())
	if err != nil {
		return err
	}
	for _, e := range list {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		found[e.Name()] = info.Size()
	}
	type entry struct {
		id    ID
		bytes int64
	}
	err = s.write(ctx, "", func(tx *sql.Tx) error {
		entries, err := rows(ctx, tx, func(r *sql.Rows) (e entry, err error) { return e, r.Scan(&e.id, &e.bytes) }, `SELECT id, bytes FROM state_files`)
		if err != nil {
			return err
		}
		for _, e := range entries {
			name := string(e.id) + stateSuffix
			if size, ok := found[name]; ok && size == e.bytes {
				delete(found, name)
				continue
			}
			if _, err := tx.ExecContext(ctx, `DELETE FROM states WHERE file = ?`, string(e.id)); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM state_files WHERE NOT EXISTS (SELECT 1 FROM states WHERE file = state_files.id)`)
		return err
	})
	if err != nil {
		return err
	}
	for name := range found {
		// Only files named as ours: a folder of states may hold what the user put there.
		id := strings.TrimSuffix(strings.TrimSuffix(name, halfSuffix), stateSuffix)
		if strings.HasSuffix(strings.TrimSuffix(name, halfSuffix), stateSuffix) && isID(id) {
			_ = os.Remove(filepath.Join(s.statesDir(), name)) // what cannot be removed is tried again at the next start
		}
	}
	return nil
}
