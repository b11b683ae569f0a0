package store

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

const (
	databaseName = "kestrel.db"
	lockName     = "kestrel.lock"
	statesName   = "states"

	// KeepDeleted is how long a deleted conversation can be restored.
	KeepDeleted = 7 * 24 * time.Hour

	readers = 4 // connections; a window rarely asks more at once

	busyTimeout = "busy_timeout=10000" // milliseconds to wait for another program's write
)

// Store is Kestrel's data, open. Its methods may be called from several
// goroutines; those that write wait for each other. A method whose context
// ends has changed nothing.
type Store struct {
	dir    string
	writer *sql.DB // one connection, so that writes queue here and not at SQLite's lock
	reader *sql.DB
	lock   *lock
	alone  bool
	damage *Damage

	stop   context.CancelFunc // ends tidying
	tidied chan struct{}      // closed when it has ended
	merge  chan struct{}      // asks it to merge the index
	thrown chan []string      // asks it to purge what an import left

	saving  sync.Mutex // one saved state or eviction at a time
	answers sync.Map   // *Answer: those that grow
	hidden  sync.Map   // ID: conversations of imports under way
	closing sync.Once
	closed  error
}

// Open opens the data in Kestrel's folder, see library.Home, and makes what is
// not there. ctx bounds the opening only. It puts right what a program that
// was killed has left:
//
//   - an answer that was growing is Stopped, a document that was being read is
//     DocumentPaused;
//   - files of states without an entry, entries without their file and halves
//     of files are removed;
//   - a database that is damaged is kept under another name, and what can still
//     be read of it is taken over; see [Store.Damage].
//
// Conversations deleted more than KeepDeleted ago are then purged in the
// background. All of this is left to the first program where several have the
// same folder open. Errors: ErrNewer, ErrDenied, ErrNoSpace, ErrBusy.
func Open(ctx context.Context, dir string) (*Store, error) {
	s, err := open(ctx, dir)
	return s, failed("open "+filepath.Join(dir, databaseName), err)
}

func open(ctx context.Context, dir string) (_ *Store, err error) {
	s := &Store{dir: dir, tidied: make(chan struct{}), merge: make(chan struct{}, 1), thrown: make(chan []string, 16)}
	// A folder that is there keeps its rights: the files in it are closed to others.
	for _, d := range []string{dir, s.statesDir()} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, err
		}
	}
	if s.lock, s.alone, err = acquire(filepath.Join(dir, lockName)); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.disconnect()
			s.lock.release()
		}
	}()
	err = s.connect(ctx)
	if isDamage(err) && s.alone {
		s.disconnect()
		s.damage = new(Damage)
		if s.damage.File, err = setAside(s.path()); err != nil {
			return nil, err
		}
		if err = s.connect(ctx); err == nil {
			err = s.salvage(ctx, s.damage)
		}
	}
	if err != nil {
		return nil, err
	}
	if s.alone {
		if err := s.recover(ctx); err != nil {
			return nil, err
		}
		if err := s.lock.share(); err != nil {
			return nil, err
		}
	}
	tidying, stop := context.WithCancel(context.Background())
	s.stop = stop
	go s.tidy(tidying)
	return s, nil
}

// Dir is the folder that holds the data.
func (s *Store) Dir() string { return s.dir }

// Alone says whether no other program had the data open when this one opened
// it. Two programs may work at once: SQLite orders their writes, and neither
// takes the other's growing answers for those of a program that was killed.
// What the other one writes shows when it is next read.
func (s *Store) Alone() bool { return s.alone }

// Close writes what growing answers still hold and closes the data.
func (s *Store) Close() error {
	s.closing.Do(func() {
		var errs []error
		s.answers.Range(func(a, _ any) bool {
			errs = append(errs, a.(*Answer).flush())
			return true
		})
		s.stop()
		<-s.tidied
		s.saving.Lock() // a state being saved is saved to its end
		defer s.saving.Unlock()
		errs = append(errs, s.disconnect(), s.lock.release())
		s.closed = s.failed("close", errors.Join(errs...))
	})
	return s.closed
}

func (s *Store) path() string      { return filepath.Join(s.dir, databaseName) }
func (s *Store) statesDir() string { return filepath.Join(s.dir, statesName) }

// connect opens the database's connections and brings its schema up to date.
func (s *Store) connect(ctx context.Context) error {
	// SQLite gives its other files the rights of this one. The file must not be
	// opened again while SQLite has it: closing it would drop SQLite's locks.
	f, err := os.OpenFile(s.path(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err := errors.Join(err, f.Chmod(0o600), f.Close()); err != nil {
		return err
	}
	first := busyTimeout
	if info.Size() == 0 {
		first = "auto_vacuum(INCREMENTAL)" // can only be chosen for an empty database; see shrink
	}
	// FULL: a question that was stored is on the disk, even if the power fails
	// in the middle of the answer; a flush four times a second costs little.
	// secure_delete: what is purged is overwritten.
	if s.writer, err = sql.Open("sqlite", dsn(s.path(), "_txlock=immediate", first, busyTimeout, "journal_mode(WAL)", "synchronous(FULL)",
		"foreign_keys(1)", "secure_delete(1)", "temp_store(MEMORY)", "cache_size(-16000)", "journal_size_limit(33554432)")); err != nil {
		return err
	}
	s.writer.SetMaxOpenConns(1)
	if err := migrate(ctx, s.writer, migrations); err != nil {
		return err
	}
	if s.alone {
		if err := s.checkSuspect(ctx); err != nil {
			return err
		}
	}
	if s.reader, err = sql.Open("sqlite", dsn(s.path(), "", busyTimeout, "query_only(1)", "temp_store(MEMORY)", "cache_size(-8000)")); err != nil {
		return err
	}
	s.reader.SetMaxOpenConns(readers)
	s.reader.SetMaxIdleConns(readers)
	return s.reader.PingContext(ctx)
}

func (s *Store) disconnect() error {
	var errs []error
	for _, db := range []*sql.DB{s.reader, s.writer} { // the last to close empties the log
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// dsn names a database to the driver, with the driver's and SQLite's options.
func dsn(path, query string, pragmas ...string) string {
	path = filepath.ToSlash(path)
	if runtime.GOOS == "windows" {
		path = "/" + path
	}
	options := []string{query}
	for _, p := range pragmas {
		options = append(options, "_pragma="+url.QueryEscape(p))
	}
	u := url.URL{Scheme: "file", Path: path, RawQuery: strings.Trim(strings.Join(options, "&"), "&")}
	return u.String()
}

// write runs do as one transaction.
func (s *Store) write(ctx context.Context, op string, do func(tx *sql.Tx) error) error {
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return s.failed(op, err)
	}
	if err := do(tx); err != nil {
		_ = tx.Rollback() // it has been rolled back where the error was SQLite's
		return s.failed(op, err)
	}
	return s.failed(op, tx.Commit())
}

// read runs do on the data of one moment.
func (s *Store) read(ctx context.Context, op string, do func(tx *sql.Tx) error) error {
	tx, err := s.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return s.failed(op, err)
	}
	defer tx.Rollback()
	return s.failed(op, do(tx))
}

// recover puts right what a program that was killed has left.
func (s *Store) recover(ctx context.Context) error {
	err := s.write(ctx, "", func(tx *sql.Tx) error {
		for _, q := range []string{
			`UPDATE messages SET status = 'stopped' WHERE status IN ('pending', 'streaming')`,
			`UPDATE documents SET status = 'paused' WHERE status IN ('waiting', 'reading')`,
		} {
			if _, err := tx.ExecContext(ctx, q); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.cleanStates(ctx)
}

// one runs a statement that changes one row of a thing.
func one(ctx context.Context, tx *sql.Tx, what, query string, args ...any) error {
	result, err := tx.ExecContext(ctx, query, args...)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return notFound(what)
}

// querier is a transaction or a pool.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// rows collects what a query gives.
func rows[T any](ctx context.Context, q querier, scan func(*sql.Rows) (T, error), query string, args ...any) ([]T, error) {
	r, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var list []T
	for r.Next() {
		item, err := scan(r)
		if err != nil {
			return nil, err
		}
		list = append(list, item)
	}
	return list, r.Err()
}

// row gives the only row of a query, or ErrNotFound.
func row[T any](ctx context.Context, q querier, what string, scan func(*sql.Rows) (T, error), query string, args ...any) (T, error) {
	list, err := rows(ctx, q, scan, query, args...)
	if err == nil && len(list) == 0 {
		err = notFound(what)
	}
	if err != nil {
		var none T
		return none, err
	}
	return list[0], nil
}

// value scans a row of one column.
func value[T any](r *sql.Rows) (v T, err error) { return v, r.Scan(&v) }
