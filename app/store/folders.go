package store

import (
	"context"
	"database/sql"
)

// CreateFolder adds a folder behind the others.
func (s *Store) CreateFolder(ctx context.Context, name string) (Folder, error) {
	f := Folder{ID: NewID(), Name: name}
	return f, s.write(ctx, "create folder", func(tx *sql.Tx) error { return insertFolder(ctx, tx, f) })
}

func insertFolder(ctx context.Context, tx *sql.Tx, f Folder) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO folders(id, name, position)
		SELECT ?, ?, ifnull(max(position) + 1, 0) FROM folders`, string(f.ID), f.Name)
	return err
}

// Folders lists the folders in the user's order.
func (s *Store) Folders(ctx context.Context) ([]Folder, error) {
	list, err := rows(ctx, s.reader, scanFolder, `SELECT id, name FROM folders WHERE deleted IS NULL ORDER BY position, id`)
	return list, s.failed("list folders", err)
}

func scanFolder(r *sql.Rows) (f Folder, err error) { return f, r.Scan(&f.ID, &f.Name) }

// RenameFolder gives a folder another name.
func (s *Store) RenameFolder(ctx context.Context, id ID, name string) error {
	return s.write(ctx, "rename folder", func(tx *sql.Tx) error {
		return one(ctx, tx, "folder", `UPDATE folders SET name = ? WHERE id = ?`, name, string(id))
	})
}

// OrderFolders puts folders in this order, before any that are not named.
func (s *Store) OrderFolders(ctx context.Context, ids []ID) error {
	return s.write(ctx, "order folders", func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `UPDATE folders SET position = position + ?`, len(ids)); err != nil {
			return err
		}
		for i, id := range ids {
			if err := one(ctx, tx, "folder", `UPDATE folders SET position = ? WHERE id = ?`, i, string(id)); err != nil {
				return err
			}
		}
		return nil
	})
}

// DeleteFolder removes a folder until [Store.RestoreFolder] is called. Its
// conversations stay and stand in no folder meanwhile.
func (s *Store) DeleteFolder(ctx context.Context, id ID) error {
	return s.write(ctx, "delete folder", func(tx *sql.Tx) error {
		return one(ctx, tx, "folder", `UPDATE folders SET deleted = ? WHERE id = ?`, now().UnixMilli(), string(id))
	})
}

// RestoreFolder undoes DeleteFolder; the conversations are in it again.
func (s *Store) RestoreFolder(ctx context.Context, id ID) error {
	return s.write(ctx, "restore folder", func(tx *sql.Tx) error {
		return one(ctx, tx, "folder", `UPDATE folders SET deleted = NULL WHERE id = ?`, string(id))
	})
}
