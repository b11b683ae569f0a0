package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"
)

// mergeKey is set while the full-text index may hold what was purged.
const mergeKey = "index.merge"

// mergeStep is how many pages of the index are merged at once; other writers
// wait for one step at most.
const mergeStep = 100

// shrinkStep is how many pages are given back at once.
const shrinkStep = 256

// tidy does in the background what may take long. What fails or is interrupted
// is done after the next start.
func (s *Store) tidy(ctx context.Context) {
	defer close(s.tidied)
	if s.alone {
		_, _ = s.Purge(ctx, time.Now().Add(-KeepDeleted))
		_ = s.evict(ctx)
		if pending, err := Setting(ctx, s, mergeKey, false); err == nil && pending {
			s.askMerge()
		}
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.merge:
			_ = s.mergeIndex(ctx)
		case ids := <-s.thrown:
			_, _ = s.purge(ctx, ids, timeOf(importing+1))
		}
	}
}

func (s *Store) askMerge() {
	select {
	case s.merge <- struct{}{}:
	default: // it is asked already
	}
}

// Purge removes for good what was deleted before a time, with its messages,
// documents and saved states, and gives the number of conversations. Their
// bytes in the database are overwritten: those of the tables at once, those of
// the full-text index in the background, which may take seconds where there
// are many conversations, and goes on after the next start if it is cut short.
func (s *Store) Purge(ctx context.Context, before time.Time) (int, error) {
	const op = "purge conversations"
	ids, err := rows(ctx, s.reader, value[string], `SELECT id FROM conversations WHERE deleted < ?`, before.UnixMilli())
	if err != nil {
		return 0, s.failed(op, err)
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { // of an import under way
		_, hidden := s.hidden.Load(ID(id))
		return hidden
	})
	return s.purge(ctx, ids, before)
}

// purge removes conversations, as far as they were deleted before a time.
func (s *Store) purge(ctx context.Context, ids []string, before time.Time) (n int, err error) {
	const op = "purge conversations"
	for _, id := range ids { // one at a time, to let other writers in between
		err := s.write(ctx, op, func(tx *sql.Tx) error {
			// Message by message: below its parent each would be deleted within the
			// other's deletion, and SQLite goes no deeper than 1000.
			if _, err := tx.ExecContext(ctx, `UPDATE messages SET parent = NULL WHERE parent IS NOT NULL
				AND conversation = (SELECT id FROM conversations WHERE id = ? AND deleted < ?)`, id, before.UnixMilli()); err != nil {
				return err
			}
			result, err := tx.ExecContext(ctx, `DELETE FROM conversations WHERE id = ? AND deleted < ?`, id, before.UnixMilli())
			if err != nil {
				return err
			}
			gone, err := result.RowsAffected() // 0 where it was restored meanwhile
			n += int(gone)
			if err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, `INSERT INTO settings(key, value) VALUES (?, 'true') ON CONFLICT DO NOTHING`, mergeKey)
			return err
		})
		if err != nil {
			return n, err
		}
	}
	err = s.write(ctx, op, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM folders WHERE deleted < ?`, before.UnixMilli())
		return err
	})
	if err != nil || n == 0 {
		return n, err
	}
	s.askMerge()
	if err := s.emptyLog(ctx); err != nil {
		return n, s.failed(op, err)
	}
	return n, s.failed(op, s.dropUnreferenced(ctx))
}

// emptyLog writes SQLite's log into the database: the log holds old texts too.
// If something is being read just now, a later write or Close does it.
func (s *Store) emptyLog(ctx context.Context) error {
	conn, err := s.writer.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, q := range []string{"busy_timeout=50", "wal_checkpoint(TRUNCATE)"} { // no writer is to wait for a long export
		if _, err = conn.ExecContext(ctx, "PRAGMA "+q); err != nil {
			break
		}
	}
	_, restored := conn.ExecContext(context.WithoutCancel(ctx), "PRAGMA "+busyTimeout)
	return errors.Join(err, restored)
}

// shrink gives free pages back to the disk, where they are many.
func (s *Store) shrink(ctx context.Context) error {
	for {
		var free, pages int
		if err := s.writer.QueryRowContext(ctx, `SELECT (SELECT freelist_count FROM pragma_freelist_count), (SELECT page_count FROM pragma_page_count)`).Scan(&free, &pages); err != nil {
			return err
		}
		if free < pages/5 || free < shrinkStep {
			return nil
		}
		if _, err := s.writer.ExecContext(ctx, fmt.Sprintf(`PRAGMA incremental_vacuum(%d)`, shrinkStep)); err != nil {
			return err
		}
	}
}

// mergeIndex merges the full-text index into one piece, which leaves out what
// was deleted: until then it only is marked so.
func (s *Store) mergeIndex(ctx context.Context) error {
	for step := -mergeStep; ; step = mergeStep { // below zero: begin with all pieces, however few
		var before, after int
		err := s.write(ctx, "merge index", func(tx *sql.Tx) error {
			const changes = `SELECT total_changes()`
			if err := tx.QueryRowContext(ctx, changes).Scan(&before); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO message_index(message_index, rank) VALUES ('merge', ?)`, step); err != nil {
				return err
			}
			if err := tx.QueryRowContext(ctx, changes).Scan(&after); err != nil || after-before >= 2 { // as FTS5 documents the end
				return err
			}
			_, err := tx.ExecContext(ctx, `DELETE FROM settings WHERE key = ?`, mergeKey)
			return err
		})
		if err != nil {
			return err
		}
		if after-before < 2 {
			return s.failed("merge index", errors.Join(s.shrink(ctx), s.emptyLog(ctx)))
		}
	}
}
