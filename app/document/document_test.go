package document

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// open opens data under a name, closed with the test.
func openBytes(t testing.TB, name string, data string) (*Document, error) {
	t.Helper()
	d, err := OpenReader(t.Context(), strings.NewReader(data), name, testOptions(t))
	if err == nil {
		t.Cleanup(func() { d.Close() })
	}
	return d, err
}

// text reads a document and holds what every document keeps.
func text(t testing.TB, d *Document) (string, []Section) {
	t.Helper()
	var all strings.Builder
	var sections []Section
	last := int64(0)
	for s, err := range d.Sections(t.Context()) {
		if err != nil {
			t.Fatalf("%s: %v", d.Name, err)
		}
		if len(s.Text) > 3*sectionBytes || !utf8.ValidString(s.Text) || strings.Contains(s.Text, "\r") {
			t.Fatalf("%s: a section of %d bytes, valid %v", d.Name, len(s.Text), utf8.ValidString(s.Text))
		}
		if s.Done < last || s.Done > s.Total {
			t.Fatalf("%s: progress went from %d to %d of %d", d.Name, last, s.Done, s.Total)
		}
		last = s.Done
		all.WriteString(s.Text)
		sections = append(sections, s)
	}
	if n := len(sections); n == 0 || sections[n-1].Done != sections[n-1].Total {
		t.Fatalf("%s: %d sections, the last at %d", d.Name, n, last)
	}
	return all.String(), sections
}

func checkError(t testing.TB, name string, err, kind error, part string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || !errors.Is(err, kind) || !strings.Contains(err.Error(), part) || !strings.HasPrefix(err.Error(), e.Name+": ") {
		t.Errorf("%s: got %v, want kind %q and %q", name, err, kind, part)
	}
}

// TestBadInput holds that each bad file is refused with its kind and a way out.
func TestBadInput(t *testing.T) {
	for _, test := range []struct {
		name, data string
		kind       error
		part       string
	}{
		{"a.txt", "", ErrEmpty, "0 bytes"},
		{"a.txt", " \n\t", ErrNoText, "no text"},
		{"a.txt", "ab\x00c", ErrFormat, "zero byte at 2"},
		{"a.txt", "\x01\x02\x03\x04abc", ErrFormat, "control characters"},
		{"a.txt", "caf\xe9", ErrEncoding, "byte 0xe9 at 3"},
		{"a.txt", "\xef\xbb\xbfcaf\xe9", ErrEncoding, "iconv"},
		{"a.txt", strings.Repeat("na\xefve fa\xe7ade d\xe9j\xe0 vu \xfcber\n", 100), ErrEncoding, "at 2"},
		{"a.txt", strings.Repeat("\xf0\xf3\xf1\xf1\xea\xe8\xe9 \xff\xe7\xfb\xea\n", 50), ErrEncoding, "GB18030"},             // Windows-1251
		{"a.txt", strings.Repeat("\xc7\xd1\xb1\xb9\xbe\xee \xb9\xae\xc0\xe5\xc0\xcc\xb4\xd9\n", 50), ErrEncoding, "GB18030"}, // EUC-KR
		{"a.txt", "\xff\xfeh", ErrBroken, "odd number"},
		{"a.txt", "\xff\xfe" + strings.Repeat("\x00\xd8", 100), ErrEncoding, "UTF-16"},
		{"a.txt", "\xff\xfe\x00\x00h\x00\x00\x00", ErrEncoding, "UTF-32"},
		{"a.bin", "GGUF\x03\x00", ErrFormat, "model"},
		{"a", "\x7fELF\x02\x01", ErrFormat, "program"},
		{"a.png", "\x89PNG\r\n", ErrFormat, "picture"},
		{"a.gz", "\x1f\x8b\x08", ErrFormat, "gunzip"},
		{"a.rtf", `{\rtf1 x}`, ErrFormat, "RTF"},
		{"a.doc", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + strings.Repeat("x", 600), ErrFormat, "old Office"},
		{"a.docx", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + strings.Repeat("x", 100_000) + "E\x00n\x00c\x00r\x00y\x00p\x00t\x00e\x00d\x00P\x00a\x00c\x00k\x00a\x00g\x00e\x00", ErrEncrypted, "password"},
		{"a.pdf", "<html>not found</html>", ErrBroken, "no PDF"},
		{"a.html", "<html><title>x</title><script>var x</script>", ErrNoText, "no text"},
	} {
		_, err := openBytes(t, test.name, test.data)
		checkError(t, test.name+" "+test.part, err, test.kind, test.part)
	}
	dir := t.TempDir()
	_, err := Open(t.Context(), dir, Options{})
	checkError(t, "folder", err, ErrFolder, "give one file")
	_, err = Open(t.Context(), filepath.Join(dir, "none.txt"), Options{})
	checkError(t, "missing", err, ErrMissing, "no such file")
	_, err = Open(t.Context(), os.DevNull, Options{})
	checkError(t, "device", err, ErrFormat, "device")
}

// TestFileGone holds that a file deleted while open is read to its end, and one
// cut short is told.
func TestFileGone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.txt")
	want := strings.Repeat("A line of the book.\n", 50_000)
	for _, cut := range []bool{false, true} {
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := Open(t.Context(), path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		var got strings.Builder
		for s, e := range d.Sections(t.Context()) {
			if err = e; err != nil {
				break
			}
			if got.Len() == 0 {
				if cut {
					err = os.Truncate(path, 500_000)
				} else {
					err = os.Remove(path)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			got.WriteString(s.Text)
		}
		if cut {
			checkError(t, "cut", err, ErrChanged, "open it again")
		} else if err != nil || got.String() != want {
			t.Errorf("deleted: %v, %d of %d bytes", err, got.Len(), len(want))
		}
	}
}

// TestCancel holds that a context ends reading at once.
func TestCancel(t *testing.T) {
	d, err := openBytes(t, "a.txt", strings.Repeat("A line of the book.\n", 50_000))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	why := errors.New("stopped")
	n := 0
	for _, e := range d.Sections(ctx) {
		err = e
		n++
		cancel(why)
	}
	if n != 2 || !errors.Is(err, why) {
		t.Errorf("%d sections, %v", n, err)
	}
	if _, err := OpenReader(ctx, strings.NewReader("x"), "a", Options{}); !errors.Is(err, why) {
		t.Errorf("open: %v", err)
	}
	for range d.Sections(t.Context()) {
		break // no error, no panic
	}
}

// TestSpool holds that a long stream goes through a file that leaves no trace.
func TestSpool(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	want := bytes.Repeat([]byte("Sixteen bytes..\n"), spoolMemory/16+100)
	d, err := openBytes(t, "pipe", string(want))
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := text(t, d); got != string(want) || d.src.file == nil {
		t.Errorf("%d bytes of %d", len(got), len(want))
	}
	d.Close()
	if left, _ := os.ReadDir(os.TempDir()); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestCountWords(t *testing.T) {
	for s, want := range map[string]int{
		"": 0, "one": 1, "Don't stop -- e-mail me 3 times.": 6, "你好，世界！": 4, "Kestrel 很快 ok": 4, "naïve café": 2, "привет мир": 2, "a\nb\tc": 3,
	} {
		if got := CountWords(s); got != want {
			t.Errorf("%q: %d words, want %d", s, got, want)
		}
	}
	d, err := openBytes(t, "a.txt", strings.Repeat("four words a line\n", 20_000))
	if err != nil {
		t.Fatal(err)
	}
	var done, total int64
	if n, err := d.Count(t.Context(), func(d, t int64) { done, total = d, t }); n != 80_000 || err != nil || d.Words != n || done != total || total != d.Size {
		t.Errorf("%d words, %v, progress %d of %d", n, err, done, total)
	}
}
