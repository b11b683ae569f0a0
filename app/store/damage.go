package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// Damage says what became of a damaged database. The user should be told.
type Damage struct {
	File string // where the database was moved, for SQLite's recovery tools
	Kept int    // conversations that could be read and are there again, without their saved states
	Lost int    // conversations of which at least one message could not be read
}

// Damage says that the database was found damaged when it was opened, nil if it
// was sound.
func (s *Store) Damage() *Damage { return s.damage }

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

// salvage takes over what can be read of a database that was set aside, which
// stays as it is.
func (s *Store) salvage(ctx context.Context, d *Damage) error {
	old, err := sql.Open("sqlite", dsn(d.File, "mode=ro", "temp_store(MEMORY)"))
	if err != nil {
		return err
	}
	defer old.Close()
	old.SetMaxOpenConns(1) // it holds the views
	if err := s.readAsNow(ctx, old); err != nil {
		return err
	}
	s.salvageRows(ctx, old, `SELECT key, value FROM settings`, `INSERT INTO settings(key, value) VALUES (?, ?) ON CONFLICT DO NOTHING`, 2)
	s.salvageRows(ctx, old, `SELECT id, name, system, sampling, position FROM presets`,
		`INSERT INTO presets(id, name, system, sampling, position) VALUES (?, ?, ?, ?, ?)`, 5)
	s.salvageRows(ctx, old, `SELECT id, name, position FROM folders WHERE deleted IS NULL`, `INSERT INTO folders(id, name, position) VALUES (?, ?, ?)`, 3)
	s.salvageRows(ctx, old, `SELECT text, files FROM drafts WHERE conversation = ''`, `INSERT INTO drafts(conversation, text, files) VALUES ('', ?, ?)`, 2)
	// Beyond a damaged page a table can be read from its other end.
	var ids []string
	seen := map[string]bool{}
	for _, order := range []string{"id", "id DESC", "updated", "updated DESC"} {
		list, _ := rowsUntil(ctx, old, `SELECT id FROM conversations WHERE deleted IS NULL ORDER BY `+order, 1)
		for _, r := range list {
			if id, ok := r[0].(string); ok && !seen[id] {
				seen[id] = true
				ids = append(ids, id)
			}
		}
	}
	folders, err := s.Folders(ctx)
	if err != nil {
		return err
	}
	byName := map[string]ID{}
	for _, f := range folders {
		byName[f.Name] = f.ID
	}
	for _, id := range ids {
		e, err := readDamaged(ctx, old, ID(id))
		if err != nil {
			d.Lost++
			continue
		}
		err = s.write(ctx, "", func(tx *sql.Tx) error {
			_, err := importConversation(ctx, tx, &e, byName[e.Folder], time.Time{}, func(ID) {})
			return err
		})
		if err != nil {
			return err // not the damaged database's
		}
		d.Kept++
	}
	return ctx.Err()
}

// readAsNow lets a database that an older Kestrel wrote be read as one of this
// version: before a table that lacks columns it puts a view that has them.
func (s *Store) readAsNow(ctx context.Context, old *sql.DB) error {
	for _, table := range []string{"conversations", "messages", "documents"} {
		type column struct{ name, fallback string }
		const columns = `SELECT name, ifnull(dflt_value, 'NULL') FROM pragma_table_info(?)`
		scan := func(r *sql.Rows) (c column, err error) { return c, r.Scan(&c.name, &c.fallback) }
		there, err := rows(ctx, old, scan, columns, table)
		if err != nil || len(there) == 0 {
			continue // nothing of it can be read
		}
		wanted, err := rows(ctx, s.writer, scan, columns, table)
		if err != nil {
			return err
		}
		view := ""
		for _, c := range wanted {
			if !slices.ContainsFunc(there, func(t column) bool { return t.name == c.name }) {
				view += ", " + c.fallback + " AS " + c.name
			}
		}
		if view == "" {
			continue
		}
		if _, err := old.ExecContext(ctx, `CREATE TEMP VIEW `+table+` AS SELECT *`+view+` FROM main.`+table); err != nil {
			return err
		}
	}
	return nil
}

func readDamaged(ctx context.Context, old *sql.DB, id ID) (e exportedConversation, err error) {
	tx, err := old.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return e, err
	}
	defer tx.Rollback()
	if e, err = exportConversation(ctx, tx, id); err != nil {
		return e, err
	}
	return e, e.normalize()
}

// salvageRows copies what can be read of small tables.
func (s *Store) salvageRows(ctx context.Context, old *sql.DB, from, to string, columns int) {
	list, _ := rowsUntil(ctx, old, from, columns)
	for _, r := range list {
		_ = s.write(ctx, "", func(tx *sql.Tx) error { // a row that does not fit is as damaged as one that cannot be read
			_, err := tx.ExecContext(ctx, to, r...)
			return err
		})
	}
}

// rowsUntil reads rows until the first that cannot be read.
func rowsUntil(ctx context.Context, db *sql.DB, query string, columns int) ([][]any, error) {
	r, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var list [][]any
	for r.Next() {
		row, to := make([]any, columns), make([]any, columns)
		for i := range row {
			to[i] = &row[i]
		}
		if err := r.Scan(to...); err != nil {
			return list, err
		}
		list = append(list, row)
	}
	return list, r.Err()
}
