package filelock

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func open(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestLocks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	a, b, c := open(t, path), open(t, path), open(t, path)
	if err := Exclusive(a); err != nil {
		t.Fatal(err)
	}
	if err := Exclusive(b); !errors.Is(err, ErrLocked) {
		t.Errorf("a second exclusive lock: %v", err)
	}
	if err := Shared(a); err != nil {
		t.Fatal(err)
	}
	if err := Shared(b); err != nil {
		t.Errorf("a second shared lock: %v", err)
	}
	if err := Exclusive(c); !errors.Is(err, ErrLocked) {
		t.Errorf("an exclusive lock beside shared ones: %v", err)
	}
	a.Close()
	b.Close()
	if err := Exclusive(c); err != nil {
		t.Errorf("after the others were closed: %v", err)
	}
}
