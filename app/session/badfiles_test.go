package session

import (
	"archive/zip"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kestrel/app/document"
)

func zipped(t *testing.T, parts ...string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(parts); i += 2 {
		f, err := z.Create(parts[i])
		if err == nil {
			_, err = f.Write([]byte(parts[i+1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestBadFiles holds that each is told in words, and that the session goes on.
func TestBadFiles(t *testing.T) {
	e := summarizing()
	w := start(t, e, Options{PartialShare: -1})
	w.load("demo")
	paths := []string{
		w.file("cut.pdf", "%PDF-1.7\n1 0 obj"),
		w.file("bomb.docx", zipped(t, "word/document.xml", strings.Repeat("<w:p></w:p>", 1<<20))),
		w.file("empty.txt", ""),
		w.file("binary.txt", "\x7fELF\x00\x01\x02"),
		t.TempDir(),
		filepath.Join(t.TempDir(), "missing.txt"),
		w.file("a.zip", zipped(t, "a", "b")),
	}
	kinds := []error{document.ErrBroken, document.ErrBomb, document.ErrEmpty, document.ErrFormat, document.ErrFolder, document.ErrMissing, document.ErrFormat}
	w.AddFiles(paths)
	c := w.wait("all inspections", func(s *Snapshot) bool {
		return s.Conversation != nil && len(s.Conversation.Documents) == len(paths) &&
			!slices.ContainsFunc(s.Conversation.Documents, func(d *Document) bool { return d.Stage == Inspecting })
	}).Conversation
	for i, d := range c.Documents {
		if d.Stage != Unreadable || d.Problem == nil || !d.Problem.Kind.Document() || d.Problem.Kind == KindDocument || !errors.Is(d.Problem, kinds[i]) || !strings.Contains(d.Problem.Text, paths[i]) {
			t.Errorf("%s: %+v, %v", paths[i], d, d.Problem)
		}
		w.Read(d.ID, 10) // is refused
		w.Cancel(d.ID)
	}
	w.wait("none", func(s *Snapshot) bool { return len(s.Conversation.Documents) == 0 })

	for name, harm := range map[string]func(path string) error{
		"deleted": os.Remove,
		"changed": func(path string) error { return os.WriteFile(path, []byte(book(60)), 0o600) },
	} {
		text := name + "\n\n" + book(50) // what was read once is not read again, whatever file it is in
		path := w.file(name+".md", text)
		w.New(NewOptions{})
		w.AddFiles([]string{path})
		d := w.stage(Ready)
		if err := harm(path); err != nil {
			t.Fatal(err)
		}
		w.Read(d.ID, 10)
		d = w.stage(Interrupted)
		if !d.Problem.Kind.Document() || !strings.Contains(d.Problem.Text, path) {
			t.Errorf("%s: %v", name, d.Problem)
		}
		// back where it was, it can be read
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		w.Resume(d.ID)
		if c := w.idle(2); c.Messages[1].Text != "A book of 50 lines." {
			t.Errorf("%s: %q", name, texts(c))
		}
	}
	// cut short while it is read
	path := w.file("long.txt", strings.Repeat("A line of the book.\n", 50_000))
	w.New(NewOptions{})
	w.AddFiles([]string{path})
	d := w.stage(Ready)
	w.wait("nothing to do", func(s *Snapshot) bool { return len(s.Busy) == 0 })
	g := closed(e, 5)
	w.Read(d.ID, 10)
	<-g.at
	if err := os.Truncate(path, 1000); err != nil {
		t.Fatal(err)
	}
	close(g.open)
	if d = w.stage(Interrupted); !errors.Is(d.Problem, document.ErrChanged) {
		t.Errorf("%v", d.Problem)
	}
	w.fresh()
	if m := w.say("Still there?"); m.Status != Complete {
		t.Errorf("%+v", m)
	}
}
