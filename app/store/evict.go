package store

import (
	"context"
	"database/sql"
)

// DefaultStateBudget is how many bytes files of saved states may take unless
// the user says otherwise: 50 states of a 7B model, thousands of the demo's.
const DefaultStateBudget int64 = 2 << 30

const budgetKey = "states.budget"

// SetStateBudget sets how many bytes the files of saved states may take. When
// they take more, whole files are dropped until they fit, in this order, and
// among equals the least recently used (saved or opened) first:
//
//  1. files only deleted conversations have states in;
//  2. files of which no state is worth keeping by 3;
//  3. files with the furthest state of a document: the final one, or how far
//     a reading has come.
//
// A file counts where its most valuable state puts it; a file shared by forks
// goes with all its states. Never dropped are the newest state of any
// conversation that is not deleted, the one that was saved last of its messages
// and documents, and the state saved last of all. Together these may take more
// than the budget: [StateUsage] tells.
func (s *Store) SetStateBudget(ctx context.Context, bytes int64) error {
	if bytes < 0 {
		return s.failed("set budget of states", invalid("a budget below zero"))
	}
	if err := s.SetSetting(ctx, budgetKey, bytes); err != nil {
		return err
	}
	return s.failed("drop states", s.evict(ctx))
}

// StateUsage is what saved states take of the disk, in bytes. Bytes are more
// than Budget where the states that are never dropped are; see
// [Store.SetStateBudget].
type StateUsage struct {
	Budget int64
	Bytes  int64
	Files  int
}

// StateUsage says what saved states take of the disk.
func (s *Store) StateUsage(ctx context.Context) (StateUsage, error) {
	u, err := row(ctx, s.reader, "usage", func(r *sql.Rows) (u StateUsage, err error) { return u, r.Scan(&u.Bytes, &u.Files) },
		`SELECT ifnull(sum(bytes), 0), count(*) FROM state_files`)
	if err == nil {
		u.Budget, err = Setting(ctx, s, budgetKey, DefaultStateBudget)
	}
	return u, s.failed("size of states", err)
}

func (s *Store) evict(ctx context.Context) error {
	s.saving.Lock()
	defer s.saving.Unlock()
	return s.evictLocked(ctx)
}

// evictLocked drops files by the rule of SetStateBudget.
func (s *Store) evictLocked(ctx context.Context) error {
	budget, err := Setting(ctx, s, budgetKey, DefaultStateBudget)
	if err != nil {
		return err
	}
	var gone []ID
	err = s.write(ctx, "", func(tx *sql.Tx) error {
		gone = nil
		total, err := row(ctx, tx, "usage", value[int64], `SELECT ifnull(sum(bytes), 0) FROM state_files`)
		if err != nil || total <= budget {
			return err
		}
		type file struct {
			id    ID
			bytes int64
		}
		order, err := rows(ctx, tx, func(r *sql.Rows) (f file, err error) { return f, r.Scan(&f.id, &f.bytes) }, evictionOrder)
		if err != nil {
			return err
		}
		for _, f := range order {
			if total <= budget {
				break
			}
			for _, q := range []string{`DELETE FROM states WHERE file = ?`, `DELETE FROM state_files WHERE id = ?`} {
				if _, err := tx.ExecContext(ctx, q, string(f.id)); err != nil {
					return err
				}
			}
			total -= f.bytes
			gone = append(gone, f.id)
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.removeFiles(gone)
	return nil
}

// evictionOrder lists the files that may be dropped, the first to go first.
const evictionOrder = `
WITH
live AS (
  SELECT s.* FROM states s JOIN conversations c ON c.id = s.conversation WHERE c.deleted IS NULL),
newest AS ( -- of a conversation: saved last; forks have the times of what they share
  SELECT file FROM (
    SELECT file, row_number() OVER (PARTITION BY conversation
      ORDER BY created DESC, ifnull(message, '') DESC, section DESC, id DESC) AS place FROM live)
  WHERE place = 1),
furthest AS (
  SELECT id FROM (
    SELECT id, row_number() OVER (PARTITION BY document ORDER BY final DESC, section DESC) AS place FROM live WHERE document IS NOT NULL)
  WHERE place = 1),
ranked AS (
  SELECT f.id, f.bytes, f.used, max(CASE
    WHEN live.id IS NULL THEN 1
    WHEN live.id IN furthest THEN 3
    ELSE 2 END) AS class
  FROM state_files f LEFT JOIN live ON live.file = f.id GROUP BY f.id)
SELECT id, bytes FROM ranked
WHERE id <> (SELECT id FROM state_files ORDER BY created DESC, id DESC LIMIT 1) AND id NOT IN (SELECT file FROM newest)
ORDER BY class, used, id`
