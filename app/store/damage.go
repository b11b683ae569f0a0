package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"
)

// suspectSuffix names a file that says that the database was found damaged.
const suspectSuffix = ".suspect"

// failed says which operation an error stopped, and of which kind it is. If it
// shows damage the next program that opens the database looks through it.
func (s *Store) failed(op string, err error) error {
	err = failed(op, err)
	if err != nil && errors.Is(err, ErrDamaged) {
		if f, err := os.OpenFile(s.path()+suspectSuffix, os.O_CREATE|os.O_WRONLY, 0o600); err == nil {
			_ = f.Close()
		} // a disk that takes nothing more keeps the damage too: it will be met again
	}
	return err
}

// checkSuspect looks through a database that was found damaged. What only the
// full-text index has is made anew. Errors: ErrDamaged.
func (s *Store) checkSuspect(ctx context.Context) error {
	if _, err := os.Lstat(s.path() + suspectSuffix); err != nil {
		return nil
	}
	tables, err := rows(ctx, s.writer, value[string], `SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'
		AND name NOT LIKE 'message\_index\_%' ESCAPE '\'`)
	if err != nil {
		return err
	}
	for _, t := range tables {
		result, err := rows(ctx, s.writer, value[string], `PRAGMA quick_check('`+t+`')`)
		if err != nil {
			return err
		}
		if len(result) != 1 || result[0] != "ok" {
			return &Error{Kind: ErrDamaged, Problem: "the database of conversations is damaged in its " + t}
		}
	}
	err = s.write(ctx, "", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO message_index(message_index) VALUES ('rebuild')`)
		return err
	})
	if err != nil {
		return err
	}
	return os.Remove(s.path() + suspectSuffix)
}

// setAside moves a database out of the way, with the files SQLite keeps beside
// it, and says where it is.
func setAside(path string) (string, error) {
	stamp := time.Now().UTC().Format("20060102-150405")
	to := path + ".damaged-" + stamp
	for n := 2; ; n++ {
		if _, err := os.Lstat(to); os.IsNotExist(err) {
			break
		}
		to = fmt.Sprintf("%s.damaged-%s-%d", path, stamp, n)
	}
	// The log first: it must never come to belong to the new database.
	for _, suffix := range []string{"-wal", "-shm", "", suspectSuffix} {
		if err := os.Rename(path+suffix, to+suffix); err != nil && !os.IsNotExist(err) {
			return "", fmt.Errorf("set the damaged database aside: %w", err)
		}
	}
	return to, nil
}
