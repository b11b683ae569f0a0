package store

import (
	"context"
	"io"
	"os"
	"testing"
)

// openAt opens the data in a folder for the length of a test.
func openAt(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func openNew(t testing.TB) *Store { return openAt(t, t.TempDir()) }

// must gives what succeeded.
func must[T any](v T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// conversation makes one of a title.
func conversation(t testing.TB, s *Store, title string) Conversation {
	t.Helper()
	return must(s.CreateConversation(t.Context(), Conversation{Title: title}))(t)
}

// say adds a finished message.
func say(t testing.TB, s *Store, c, parent ID, role Role, content string) ID {
	t.Helper()
	return must(s.AddMessage(t.Context(), Message{Conversation: c, Parent: parent, Role: role, Content: content, Status: Done}))(t).ID
}

// bytesOf is a state of n bytes.
type bytesOf int

func (n bytesOf) WriteTo(w io.Writer) (int64, error) {
	k, err := w.Write(make([]byte, n))
	return int64(k), err
}

// contents reads a saved state.
func contents(ctx context.Context, s *Store, id ID) ([]byte, error) {
	f, err := s.OpenState(ctx, id)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// stateFiles lists the files in states/.
func stateFiles(t testing.TB, s *Store) []string {
	t.Helper()
	var names []string
	for _, e := range must(os.ReadDir(s.statesDir()))(t) {
		names = append(names, e.Name())
	}
	return names
}
