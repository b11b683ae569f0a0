package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
)

//go:embed schema
var schema embed.FS

// migrations lead from each version of the schema to the next: the first makes
// version 1 out of an empty database. One that was released is never changed.
var migrations = func() []string {
	names, err := fs.Glob(schema, "schema/*.sql")
	if err != nil {
		panic(err) // the pattern is wrong
	}
	var list []string
	for _, name := range names { // in order, as Glob gives them
		data, err := schema.ReadFile(name)
		if err != nil {
			panic(err) // it is part of the program
		}
		list = append(list, string(data))
	}
	return list
}()

// migrate brings a database to the newest version, each step whole or not at
// all. Errors: ErrNewer.
func migrate(ctx context.Context, db *sql.DB, steps []string) error {
	for {
		tx, err := db.BeginTx(ctx, nil) // immediate: of two programs one migrates
		if err != nil {
			return err
		}
		done, err := migrateOne(ctx, tx, steps)
		if err != nil || done {
			_ = tx.Rollback()
			return err
		}
		if err := tx.Commit(); err != nil {
			return err
		}
	}
}

func migrateOne(ctx context.Context, tx *sql.Tx, steps []string) (done bool, err error) {
	var version int
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return false, err
	}
	if version > len(steps) {
		return false, &Error{Kind: ErrNewer,
			Problem: fmt.Sprintf("a newer Kestrel wrote this data (version %d; this program knows up to %d)", version, len(steps)),
			Way:     "update Kestrel, or set KESTREL_HOME to another folder"}
	}
	if version == len(steps) {
		return true, nil
	}
	if _, err := tx.ExecContext(ctx, steps[version]); err != nil {
		return false, fmt.Errorf("bring the data from version %d to %d: %w", version, version+1, err)
	}
	_, err = tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version+1))
	return false, err
}
