package store

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// childDir names the variable that makes the test program one that works in a
// folder until it is killed.
const childDir = "KESTREL_STORE_TEST_CHILD"

// storyText is what the message of an id says: its first n bytes say n.
func storyText(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "word %d 字 ", i)
	}
	return b.String()[:n]
}

// sealed is a state of n bytes that end in the hash of the others.
type sealed int

func (n sealed) WriteTo(w io.Writer) (int64, error) {
	data := make([]byte, n)
	for i := 0; i+8 <= len(data); i += 8 {
		binary.LittleEndian.PutUint64(data[i:], rand.Uint64())
	}
	sum := sha256.Sum256(data)
	var total int64
	for _, part := range [][]byte{data[:n/2], data[n/2:], sum[:]} { // with time between to be killed in
		k, err := w.Write(part)
		if total += int64(k); err != nil {
			return total, err
		}
	}
	return total, nil
}

func isSealed(data []byte) bool {
	if len(data) < sha256.Size {
		return false
	}
	at := len(data) - sha256.Size
	sum := sha256.Sum256(data[:at])
	return bytes.Equal(data[at:], sum[:])
}

// child works, and says on stdout what it was told is kept:
//
//	message ID BYTES    a finished message and its length
//	growing ID BYTES    an answer, and how much of it was flushed
//	document ID TOKENS  how far it was read
//	state OWNER         it has a state
func child(dir string) int {
	ctx := context.Background()
	err := work(ctx, dir)
	fmt.Fprintln(os.Stderr, err) // work ends only so
	return 1
}

func work(ctx context.Context, dir string) error {
	s, err := Open(ctx, dir)
	if err != nil {
		return err
	}
	if err := s.SetStateBudget(ctx, 4<<20); err != nil {
		return err
	}
	fmt.Println("ready")
	for round := 0; ; round++ {
		c, err := s.CreateConversation(ctx, Conversation{Title: storyText(20)})
		if err != nil {
			return err
		}
		n := 1 + rand.IntN(5000)
		q, err := s.AddMessage(ctx, Message{Conversation: c.ID, Role: User, Status: Done, Content: storyText(n)})
		if err != nil {
			return err
		}
		fmt.Println("message", q.ID, n)
		d, err := s.AddDocument(ctx, Document{Conversation: c.ID, Message: q.ID, Status: DocumentReading})
		if err != nil {
			return err
		}
		for section := range 3 {
			if _, err := s.SaveState(ctx, State{Document: d.ID, Section: section, Final: section == 2}, sealed(100_000+rand.IntN(400_000))); err != nil {
				return err
			}
			if _, err := s.UpdateDocument(ctx, d.ID, func(d *Document) { d.TokensRead = section + 1 }); err != nil {
				return err
			}
			fmt.Println("document", d.ID, section+1)
		}
		m, err := s.AddMessage(ctx, Message{Conversation: c.ID, Parent: q.ID, Role: Assistant, Status: Pending})
		if err != nil {
			return err
		}
		a, err := s.StartAnswer(ctx, m.ID)
		if err != nil {
			return err
		}
		text, length := storyText(3000), 0
		for length < len(text) {
			to := min(len(text), length+1+rand.IntN(200))
			a.Append(text[length:to])
			if length = to; rand.IntN(4) == 0 {
				if err := a.flush(); err != nil {
					return err
				}
				fmt.Println("growing", m.ID, length)
			}
		}
		if err := a.Finish(Result{Status: Done}); err != nil {
			return err
		}
		fmt.Println("message", m.ID, len(text))
		if _, err := s.SaveState(ctx, State{Message: m.ID}, sealed(300_000)); err != nil {
			return err
		}
		fmt.Println("state", m.ID)
		f, err := s.Fork(ctx, m.ID, "")
		if err != nil {
			return err
		}
		if err := s.DeleteConversations(ctx, f.ID); err != nil {
			return err
		}
		if round%3 == 2 {
			if _, err := s.Purge(ctx, time.Now().Add(time.Hour)); err != nil {
				return err
			}
		}
	}
}

// A program that is killed at any moment loses nothing it was told is kept.
func TestKilled(t *testing.T) {
	program, err := os.Executable()
	ok(t, err)
	dir, ctx := t.TempDir(), t.Context()
	kills := 50
	if testing.Short() {
		kills = 5
	}
	kept := map[ID]int{}    // length of finished messages
	flushed := map[ID]int{} // of those that grew when their program was killed
	read := map[ID]int{}
	unfinished, states := 0, 0
	for kill := range kills {
		cmd := exec.Command(program)
		cmd.Env = append(os.Environ(), childDir+"="+dir)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out := must(cmd.StdoutPipe())(t)
		ok(t, cmd.Start())
		lines := bufio.NewReader(out)
		if line, err := lines.ReadString('\n'); line != "ready\n" {
			t.Fatalf("the program says %q, %v: %s", line, err, stderr.String())
		}
		time.AfterFunc(time.Duration(rand.IntN(400_000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
		last := ""
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				break // a line cut short was not said
			}
			var what string
			var id ID
			var n int
			fmt.Sscan(line, &what, &id, &n)
			switch last = what; what {
			case "message":
				kept[id] = n
				delete(flushed, id)
			case "growing":
				flushed[id] = n
			case "document":
				read[id] = n
			}
		}
		_ = cmd.Wait() // killed
		if stderr.Len() > 0 {
			t.Fatalf("the program failed: %s", stderr.String())
		}

		s := must(Open(ctx, dir))(t)
		s.stop()
		<-s.tidied // nothing is dropped or merged while this looks
		if s.Damage() != nil || !s.Alone() {
			t.Fatalf("kill %d, after %q: damage %+v, alone %v", kill, last, s.Damage(), s.Alone())
		}
		check := func(id ID, least, most int, status Status) {
			m, err := s.Message(ctx, id)
			if err != nil || m.Status != status || len(m.Content) < least || len(m.Content) > most || m.Content != storyText(len(m.Content)) {
				t.Errorf("kill %d: message %s has %d bytes of %d to %d and is %s: %v", kill, id, len(m.Content), least, most, m.Status, err)
			}
		}
		for id, n := range kept {
			check(id, n, n, Done)
		}
		for id, n := range flushed {
			// Finished, but killed before it could say so?
			if m, err := s.Message(ctx, id); err == nil && m.Status == Done {
				kept[id] = 3000
				delete(flushed, id)
				continue
			}
			check(id, n, 3000, Stopped)
			unfinished++
		}
		for id, n := range read {
			if d, err := s.Document(ctx, id); err != nil || d.TokensRead < n || d.Status != DocumentPaused {
				t.Errorf("kill %d: document %+v, read %d: %v", kill, d, n, err)
			}
		}
		if n := must(row(ctx, s.reader, "", value[int], `SELECT count(*) FROM messages WHERE status IN ('pending', 'streaming')`))(t); n > 0 {
			t.Errorf("kill %d: %d messages grow", kill, n)
		}
		files := map[string]bool{}
		for _, c := range append(must(s.Conversations(ctx, Listing{}))(t), must(s.Conversations(ctx, Listing{Deleted: true}))(t)...) {
			for _, st := range must(s.States(ctx, c.ID))(t) {
				data, err := contents(ctx, s, st.ID)
				if err != nil || !isSealed(data) {
					t.Errorf("kill %d: a state of %d bytes is not whole: %v", kill, len(data), err)
				}
				files[must(row(ctx, s.reader, "", value[string], `SELECT file FROM states WHERE id = ?`, string(st.ID)))(t)+stateSuffix] = true
				states++
			}
		}
		for _, name := range stateFiles(t, s) {
			if !files[name] {
				t.Errorf("kill %d: %s belongs to nothing", kill, name)
			}
		}
		whole(t, s)
		ok(t, s.Close())
	}
	t.Logf("%d finished messages and %d documents; %d growing answers and %d states looked at", len(kept), len(read), unfinished, states)
	if !testing.Short() && (len(kept) < kills || unfinished == 0 || states == 0) {
		t.Error("the program was hardly at work")
	}
}

// Readers see whole steps while one writes.
func TestReadersAndWriter(t *testing.T) {
	s, ctx := openNew(t), t.Context()
	c := conversation(t, s, "")
	done := make(chan error)
	stop := make(chan struct{})
	for range 4 {
		go func() {
			for {
				select {
				case <-stop:
					done <- nil
					return
				default:
				}
				tree, err := s.Tree(ctx, c.ID)
				if err == nil && len(tree.Path()) != tree.Len() {
					err = fmt.Errorf("path of %d messages in a tree of %d", len(tree.Path()), tree.Len())
				}
				if err == nil {
					_, err = s.Search(ctx, "word 字", 10)
				}
				if err == nil {
					_, err = s.States(ctx, c.ID)
				}
				if err != nil {
					done <- err
					return
				}
			}
		}()
	}
	steps := 60
	if testing.Short() {
		steps = 20
	}
	parent := ID("")
	for range steps {
		m := must(s.AddMessage(ctx, Message{Conversation: c.ID, Parent: parent, Role: Assistant, Status: Pending}))(t)
		a := must(s.StartAnswer(ctx, m.ID))(t)
		for range 5 {
			go a.Append("word 字 ")
		}
		ok(t, a.Finish(Result{Status: Done}))
		must(s.SaveState(ctx, State{Message: m.ID}, sealed(1000)))(t)
		parent = m.ID
	}
	close(stop)
	for range 4 {
		ok(t, <-done)
	}
	if n := len(must(s.Tree(ctx, c.ID))(t).Path()); n != steps || !slices.IsSorted(stateFiles(t, s)) {
		t.Errorf("%d messages", n)
	}
}
