package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
)

// Setting reads a setting, or gives the fallback where it was never set.
// Errors: ErrInvalid if it is there but no T.
func Setting[T any](ctx context.Context, s *Store, key string, fallback T) (T, error) {
	op := "read setting " + key
	text, err := row(ctx, s.reader, "setting", value[string], `SELECT value FROM settings WHERE key = ?`, key)
	if errors.Is(err, ErrNotFound) {
		return fallback, nil
	}
	if err != nil {
		return fallback, s.failed(op, err)
	}
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return fallback, s.failed(op, &Error{Kind: ErrInvalid, Problem: fmt.Sprintf("it is no %T", v), Way: "set it again"})
	}
	return v, nil
}

// SetSetting keeps a setting, as JSON.
func (s *Store) SetSetting(ctx context.Context, key string, v any) error {
	op := "keep setting " + key
	text, err := json.Marshal(v)
	if err != nil {
		return s.failed(op, err)
	}
	return s.write(ctx, op, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO settings(key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value`, key, string(text))
		return err
	})
}

// DeleteSetting brings a setting back to its fallback.
func (s *Store) DeleteSetting(ctx context.Context, key string) error {
	return s.write(ctx, "delete setting "+key, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM settings WHERE key = ?`, key)
		return err
	})
}

// Presets lists the user's presets, the first kept first.
func (s *Store) Presets(ctx context.Context) ([]Preset, error) {
	list, err := rows(ctx, s.reader, func(r *sql.Rows) (p Preset, err error) {
		var sampling string
		err = r.Scan(&p.ID, &p.Name, &p.System, &sampling)
		if sampling != "" {
			p.Sampling = json.RawMessage(sampling)
		}
		return p, err
	}, `SELECT id, name, system, ifnull(sampling, '') FROM presets ORDER BY position, id`)
	return list, s.failed("list presets", err)
}

// SavePreset keeps a preset: a new one if its ID is "", which is then set.
func (s *Store) SavePreset(ctx context.Context, p Preset) (Preset, error) {
	const op = "save preset"
	if len(p.Sampling) > 0 && !json.Valid(p.Sampling) {
		return p, s.failed(op, invalid("the sampling settings are no JSON"))
	}
	if p.ID == "" {
		p.ID = NewID()
	}
	return p, s.write(ctx, op, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO presets(id, name, system, sampling, position)
			SELECT ?, ?, ?, ?, ifnull(max(position) + 1, 0) FROM presets WHERE true
			ON CONFLICT DO UPDATE SET name = excluded.name, system = excluded.system, sampling = excluded.sampling`,
			string(p.ID), p.Name, p.System, nullJSON(p.Sampling))
		return err
	})
}

// DeletePreset removes a preset.
func (s *Store) DeletePreset(ctx context.Context, id ID) error {
	return s.write(ctx, "delete preset", func(tx *sql.Tx) error {
		return one(ctx, tx, "preset", `DELETE FROM presets WHERE id = ?`, string(id))
	})
}
