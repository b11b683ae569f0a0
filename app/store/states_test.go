package store

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

type failing struct {
	after int
	err   error
}

var errWrite = errors.New("write fails")

func (f failing) WriteTo(w io.Writer) (int64, error) {
	n, _ := w.Write(make([]byte, f.after))
	return int64(n), f.err
}

type textState string

func (x textState) WriteTo(w io.Writer) (int64, error) {
	n, err := io.WriteString(w, string(x))
	return int64(n), err
}

func TestStates(t *testing.T) {
	s, ctx := openNew(t), t.Context()
	c := conversation(t, s, "")
	m := say(t, s, c.ID, "", User, "x")
	d := must(s.AddDocument(ctx, Document{Conversation: c.ID, Status: DocumentDone}))(t)
	want := State{Message: m, Tokens: 5, TextHash: "h", Model: "demo"}
	st := must(s.SaveState(ctx, want, textState("first")))(t)
	if st.Conversation != c.ID || st.Bytes != 5 || st.Created.IsZero() {
		t.Errorf("saved %+v", st)
	}
	if list := must(s.States(ctx, m))(t); len(list) != 1 || list[0] != st {
		t.Errorf("states %+v, want %+v", list, st)
	}
	if info := must(os.Stat(s.stateFile(st.ID)))(t); info.Mode().Perm() != 0o600 {
		t.Errorf("rights %v", info.Mode())
	}
	// A second one of the same section is in place of the first.
	st2 := must(s.SaveState(ctx, want, textState("second")))(t)
	if _, err := s.OpenState(ctx, st.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("the replaced state: %v", err)
	}
	if data := must(contents(ctx, s, st2.ID))(t); string(data) != "second" {
		t.Errorf("contents %s", data)
	}
	var sections []ID
	for i := range 3 {
		sections = append(sections, must(s.SaveState(ctx, State{Document: d.ID, Section: i, Final: i == 2, Position: int64(i)}, bytesOf(10)))(t).ID)
	}
	list := must(s.States(ctx, d.ID))(t)
	if len(list) != 3 || list[0].ID != sections[0] || list[2].ID != sections[2] || !list[2].Final || list[1].Position != 1 {
		t.Errorf("sections %+v", list)
	}
	if n := len(must(s.States(ctx, c.ID))(t)); n != 4 || len(stateFiles(t, s)) != 4 {
		t.Errorf("%d states in %v", n, stateFiles(t, s))
	}

	// What fails leaves nothing, and the state that was there before.
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	for what, save := range map[string]func() error{
		"writer":    func() error { _, err := s.SaveState(ctx, want, failing{3 << 20, errWrite}); return err },
		"cancelled": func() error { _, err := s.SaveState(cancelled, want, textState("x")); return err },
		"no owner":  func() error { _, err := s.SaveState(ctx, State{Message: "none"}, textState("x")); return err },
		"nobody's":  func() error { _, err := s.SaveState(ctx, State{}, textState("x")); return err },
		"of both": func() error {
			_, err := s.SaveState(ctx, State{Message: m, Document: d.ID}, textState("x"))
			return err
		},
	} {
		kind := map[string]error{"writer": errWrite, "cancelled": context.Canceled, "no owner": ErrNotFound, "nobody's": ErrInvalid, "of both": ErrInvalid}[what]
		if err := save(); !errors.Is(err, kind) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if len(stateFiles(t, s)) != 4 {
		t.Errorf("files %v", stateFiles(t, s))
	}
	if data := must(contents(ctx, s, st2.ID))(t); string(data) != "second" {
		t.Errorf("contents %s", data)
	}

	// A file that someone removed is noticed.
	ok(t, os.Remove(s.stateFile(sections[1])))
	if _, err := s.OpenState(ctx, sections[1]); !errors.Is(err, ErrNotFound) {
		t.Errorf("a missing file: %v", err)
	}
	if n := len(must(s.States(ctx, d.ID))(t)); n != 2 {
		t.Errorf("%d states", n)
	}
	ok(t, s.DropState(ctx, sections[1]))
	ok(t, s.DropStates(ctx))
	if len(stateFiles(t, s)) != 0 {
		t.Errorf("files %v", stateFiles(t, s))
	}
}

func TestStatesAreCleaned(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	s := must(Open(ctx, dir))(t)
	c := conversation(t, s, "")
	var states []State
	for range 4 {
		states = append(states, must(s.SaveState(ctx, State{Message: say(t, s, c.ID, "", User, "x")}, textState("state")))(t))
	}
	ok(t, s.Close())
	ok(t, os.Remove(s.stateFile(states[0].ID)))
	ok(t, os.Truncate(s.stateFile(states[1].ID), 3))
	for name, keep := range map[string]bool{
		string(NewID()) + ".state": false, string(NewID()) + ".state.part": false, "notes.txt": true, "mine.state": true,
	} {
		ok(t, os.WriteFile(filepath.Join(s.statesDir(), name), []byte("x"), 0o600))
		defer func() {
			if there := slices.Contains(stateFiles(t, s), name); there != keep {
				t.Errorf("%s is there: %v", name, there)
			}
		}()
	}
	s = openAt(t, dir)
	list := must(s.States(ctx, c.ID))(t)
	if len(list) != 2 || list[0].ID != states[2].ID || list[1].ID != states[3].ID {
		t.Errorf("left %+v", list)
	}
	if n := len(stateFiles(t, s)); n != 4 {
		t.Errorf("files %v", stateFiles(t, s))
	}
	for _, st := range list {
		if data := must(contents(ctx, s, st.ID))(t); !bytes.Equal(data, []byte("state")) {
			t.Errorf("contents %q", data)
		}
	}
}

// The newest of each conversation is kept, whatever the budget and however long
// ago it was used; what is older goes.
func TestNewestIsKept(t *testing.T) {
	s, ctx := openNew(t), t.Context()
	ok(t, s.SetStateBudget(ctx, 10))
	var kept []ID
	for range 5 {
		c := conversation(t, s, "")
		first := say(t, s, c.ID, "", User, "x")
		second := say(t, s, c.ID, first, Assistant, "y")
		must(s.SaveState(ctx, State{Message: first}, bytesOf(100)))(t)
		kept = append(kept, must(s.SaveState(ctx, State{Message: second}, bytesOf(100)))(t).ID)
	}
	// of a conversation whose last was the reading of a document, how far that came
	c := conversation(t, s, "")
	answer := say(t, s, c.ID, "", Assistant, "x")
	must(s.SaveState(ctx, State{Message: answer}, bytesOf(100)))(t)
	d := must(s.AddDocument(ctx, Document{Conversation: c.ID, Status: DocumentReading}))(t)
	for i := range 3 {
		time.Sleep(2 * time.Millisecond) // a later time than that of the answer
		st := must(s.SaveState(ctx, State{Document: d.ID, Section: i}, bytesOf(100)))(t)
		if i == 2 {
			kept = append(kept, st.ID)
		}
	}
	for _, budget := range []int64{10, 0} {
		ok(t, s.SetStateBudget(ctx, budget))
		var left []ID
		for _, c := range must(s.Conversations(ctx, Listing{}))(t) {
			for _, st := range must(s.States(ctx, c.ID))(t) {
				left = append(left, st.ID)
			}
		}
		slices.Sort(left)
		if !slices.Equal(left, kept) {
			t.Errorf("budget %d: left %v, want %v", budget, left, kept)
		}
		if u := must(s.StateUsage(ctx))(t); u.Bytes != 600 || u.Files != 6 || u.Budget != budget {
			t.Errorf("usage %+v", u)
		}
	}
	if err := s.SetStateBudget(ctx, -1); !errors.Is(err, ErrInvalid) {
		t.Errorf("below zero: %v", err)
	}
}

// seen is a file as the rule of SetStateBudget sees it, found without its SQL.
type seen struct {
	bytes int64
	used  time.Time
	class int  // 1 is dropped first, 3 last
	never bool // must not be dropped
}

// observe works out the rule over everything that is saved.
func observe(t *testing.T, s *Store) map[ID]*seen {
	t.Helper()
	ctx := t.Context()
	type entry struct {
		State
		file ID
	}
	all := must(rows(ctx, s.reader, func(r *sql.Rows) (e entry, err error) {
		e.State, err = scanState(r, &e.file)
		return e, err
	}, selectState))(t)
	files := map[ID]*seen{}
	last := ID("")
	for _, id := range must(rows(ctx, s.reader, value[ID], `SELECT id FROM state_files`))(t) {
		files[id] = &seen{class: 1}
		last = max(last, id)
	}
	for _, e := range all {
		f := files[e.file]
		f.bytes, f.used, f.never = e.Bytes, e.Used, f.never || e.file == last
		if !must(s.Conversation(ctx, e.Conversation))(t).Deleted.IsZero() {
			continue
		}
		f.class = max(f.class, 2)
		later := func(o entry) bool { // than e, of the same conversation
			if o.Conversation != e.Conversation {
				return false
			}
			for _, c := range []int{o.Created.Compare(e.Created), cmp.Compare(o.Message, e.Message), cmp.Compare(o.Section, e.Section), cmp.Compare(o.ID, e.ID)} {
				if c != 0 {
					return c > 0
				}
			}
			return false
		}
		if !slices.ContainsFunc(all, later) {
			f.never = true
		}
		further := func(o entry) bool { // than e, in the same document
			return o.Document == e.Document && (o.Final && !e.Final || o.Final == e.Final && o.Section > e.Section)
		}
		if e.Document != "" && !slices.ContainsFunc(all, further) {
			f.class = 3
		}
	}
	return files
}

func TestEvictionRule(t *testing.T) {
	const generous = 1 << 40
	seeds := uint64(10)
	if testing.Short() {
		seeds = 2
	}
	for seed := range seeds {
		s, ctx := openNew(t), t.Context()
		r := rand.New(rand.NewPCG(seed, 7))
		var conversations, messages, documents []ID
		pick := func(list []ID) ID { return list[r.IntN(len(list))] }
		grow := func() {
			c := conversation(t, s, "").ID
			conversations = append(conversations, c)
			parent := ID("")
			for range 1 + r.IntN(4) {
				parent = say(t, s, c, parent, User, "x")
				messages = append(messages, parent)
			}
			documents = append(documents, must(s.AddDocument(ctx, Document{Conversation: c, Status: DocumentDone}))(t).ID)
		}
		grow()
		for range 12 {
			ok(t, s.SetStateBudget(ctx, generous))
			for range 6 {
				switch n := r.IntN(12); {
				case n < 2:
					grow()
				case n < 6:
					must(s.SaveState(ctx, State{Message: pick(messages)}, bytesOf(50+r.IntN(300))))(t)
				case n < 9:
					section := r.IntN(4)
					must(s.SaveState(ctx, State{Document: pick(documents), Section: section, Final: section == 3}, bytesOf(50+r.IntN(300))))(t)
				case n == 9:
					f := must(s.Fork(ctx, pick(messages), ""))(t)
					conversations = append(conversations, f.ID)
				case n == 10:
					if c := pick(conversations); r.IntN(3) > 0 {
						ok(t, s.DeleteConversations(ctx, c))
					} else {
						ok(t, s.RestoreConversations(ctx, c))
					}
				default:
					if list := must(s.States(ctx, pick(conversations)))(t); len(list) > 0 {
						must(contents(ctx, s, list[r.IntN(len(list))].ID))(t)
					}
				}
			}
			before := observe(t, s)
			budget := int64(r.IntN(3000))
			ok(t, s.SetStateBudget(ctx, budget))
			after := must(s.StateUsage(ctx))(t)
			left := map[ID]bool{}
			for _, name := range stateFiles(t, s) {
				left[ID(name[:36])] = true
			}
			if len(left) != after.Files {
				t.Fatalf("seed %d: %d files of %d entries", seed, len(left), after.Files)
			}
			var dropped, kept []*seen
			for id, f := range before {
				if left[id] {
					kept = append(kept, f)
					continue
				}
				dropped = append(dropped, f)
				if f.never {
					t.Errorf("seed %d: dropped a file that must be kept: %+v", seed, *f)
				}
			}
			sooner := func(a, b *seen) bool { // a is to go before b
				return a.class < b.class || a.class == b.class && a.used.Before(b.used)
			}
			for _, d := range dropped {
				for _, k := range kept {
					if !k.never && sooner(k, d) {
						t.Errorf("seed %d: kept %+v, dropped %+v", seed, *k, *d)
					}
				}
				if after.Bytes+d.bytes <= budget && !slices.ContainsFunc(dropped, func(o *seen) bool { return sooner(d, o) }) {
					t.Errorf("seed %d: dropped %+v needlessly: %d bytes of %d are left", seed, *d, after.Bytes, budget)
				}
			}
			if after.Bytes > budget && slices.ContainsFunc(kept, func(k *seen) bool { return !k.never }) {
				t.Errorf("seed %d: %d bytes of %d, and something could be dropped", seed, after.Bytes, budget)
			}
		}
		whole(t, s)
	}
}
