package store

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// exportFile makes a file as Export writes it, of about so many bytes.
func exportFile(t testing.TB, bytes int) *os.File {
	t.Helper()
	f := must(os.Create(filepath.Join(t.TempDir(), "all.json")))(t)
	t.Cleanup(func() { f.Close() })
	b := bufio.NewWriter(f)
	fmt.Fprintf(b, `{"format":%q,"version":%d,"exported":"2026-01-02T03:04:05Z","conversations":[`, exportFormat, exportVersion)
	r := rand.New(rand.NewPCG(3, 4))
	for n, written := 0, 0; written < bytes; n++ {
		c := exportedConversation{Title: fmt.Sprintf("imported %d", n), Folder: "From elsewhere", Created: now(), Updated: now()}
		for i := range 100 {
			m := exportedMessage{ID: fmt.Sprint(i), Role: User, Status: Done, Created: now(), Content: prose(r, 400)}
			if i > 0 {
				m.Parent = fmt.Sprint(i - 1)
			}
			c.Messages = append(c.Messages, m)
		}
		text := must(json.Marshal(c))(t)
		if n > 0 {
			b.WriteByte(',')
		}
		b.Write(text)
		written += len(text)
	}
	fmt.Fprint(b, `]}`)
	ok(t, b.Flush())
	must(f.Seek(0, 0))(t)
	return f
}

// oftenStep lets imports tell how far they are often enough for a test to act
// where it means to, however quick the machine is.
func oftenStep(t *testing.T) {
	before := importStep
	importStep = 5 * time.Millisecond
	t.Cleanup(func() { importStep = before })
}

// An import tells how far it is, and shows nothing before it is whole; others
// write meanwhile.
func TestImportProgress(t *testing.T) {
	oftenStep(t)
	s, ctx := openNew(t), t.Context()
	f := exportFile(t, 4<<20)
	size := must(f.Stat())(t).Size()
	var written, waited atomic.Int64
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-quit:
				return
			case <-time.After(5 * time.Millisecond):
			}
			start := time.Now()
			if err := s.SetSetting(ctx, "k", 1); err != nil {
				t.Error(err)
			}
			written.Add(1)
			waited.Store(max(waited.Load(), int64(time.Since(start))))
		}
	}()
	last, calls := int64(-1), 0
	list := must(s.Import(ctx, f, func(done, total int64) {
		if done < last || total != size || done > total {
			t.Errorf("%d of %d bytes after %d", done, total, last)
		}
		last, calls = done, calls+1
		if n := must(s.CountConversations(ctx, Listing{}))(t); n != 0 {
			t.Errorf("%d conversations are shown already", n)
		}
		if n := len(must(s.Folders(ctx))(t)); n != 0 {
			t.Errorf("%d folders are shown already", n)
		}
		if hits := must(s.Search(ctx, "imported", 9))(t); len(hits) != 0 {
			t.Error("found already")
		}
	}))(t)
	close(quit)
	<-ended
	t.Logf("%d calls, %d writes meanwhile, which waited at most %v", calls, written.Load(), time.Duration(waited.Load()))
	if calls < 3 || last < size/2 || written.Load() < 5 {
		t.Errorf("%d calls, the last at %d of %d; %d writes meanwhile", calls, last, size, written.Load())
	}
	shown := must(s.Conversations(ctx, Listing{}))(t)
	if len(shown) != len(list) || len(list) < 50 || shown[0].Folder == "" || !list[0].Deleted.IsZero() {
		t.Errorf("%d of %d conversations, the first %+v", len(shown), len(list), shown[0])
	}
	whole(t, s)
}

// An import that is cancelled, or that fails half-way, leaves nothing.
func TestImportCancelled(t *testing.T) {
	oftenStep(t)
	s := openNew(t)
	bytes := 4 << 20
	if testing.Short() {
		bytes /= 4
	}
	f := exportFile(t, bytes)
	size := must(f.Stat())(t).Size()
	for _, share := range []float64{0, 0.5, 0.9} {
		must(f.Seek(0, 0))(t)
		ctx, cancel := context.WithCancel(t.Context())
		_, err := s.Import(ctx, f, func(done, _ int64) {
			if float64(done) >= share*float64(size) {
				cancel()
			}
		})
		cancel()
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("%v: %v", share, err)
		}
		if n := must(s.CountConversations(t.Context(), Listing{}))(t); n != 0 || len(must(s.Folders(t.Context()))(t)) != 0 {
			t.Errorf("%v: %d conversations are there", share, n)
		}
		// purged in the background: as slowly as the machine is, but on and on
		left, shrunk := -1, time.Now()
		for left != 0 && time.Since(shrunk) < time.Minute {
			time.Sleep(5 * time.Millisecond)
			if n := must(row(t.Context(), s.reader, "", value[int], `SELECT count(*) FROM messages`))(t); n != left {
				left, shrunk = n, time.Now()
			}
		}
		if left != 0 {
			t.Errorf("%v: %d messages were left", share, left)
		}
	}
	whole(t, s)
}

// What a program left that was killed while it imported goes at the next start,
// and not while another import goes on.
func TestImportKilled(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	s := must(Open(ctx, dir))(t)
	c := conversation(t, s, "half")
	say(t, s, c.ID, "", User, "half")
	must(s.writer.Exec(`UPDATE conversations SET deleted = ?`, importing))(t)
	s.hidden.Store(c.ID, nil)
	if n := must(s.Purge(ctx, time.Now()))(t); n != 0 {
		t.Error("purged what is being imported")
	}
	ok(t, s.Close())
	s = openAt(t, dir)
	left := -1
	for deadline := time.Now().Add(time.Minute); left != 0 && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		left = must(row(ctx, s.reader, "", value[int], `SELECT count(*) FROM messages`))(t)
	}
	if left != 0 {
		t.Error("it is there still")
	}
}

// peakHeap is the most of Go's heap in use while do runs, above what was before.
func peakHeap(do func()) uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	before, peak := m.HeapInuse, uint64(0)
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapInuse)
			select {
			case <-quit:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	do()
	close(quit)
	<-ended
	return peak - min(before, peak)
}

// What an import takes of memory does not grow with the file.
func TestImportMemory(t *testing.T) {
	var peaks []uint64
	for _, bytes := range []int{2 << 20, 16 << 20} {
		if testing.Short() {
			bytes /= 4
		}
		s := openNew(t)
		f := exportFile(t, bytes)
		peaks = append(peaks, peakHeap(func() { must(s.Import(t.Context(), f, nil))(t) }))
	}
	t.Logf("%.1f and %.1f MB", float64(peaks[0])/1e6, float64(peaks[1])/1e6)
	if peaks[1] > peaks[0]*3/2+4<<20 {
		t.Errorf("an import takes %d bytes of memory for a small file, %d for one that is eight times as large", peaks[0], peaks[1])
	}
}

// A large import: its time and memory.
func BenchmarkImport(b *testing.B) {
	f := exportFile(b, 84<<20)
	for b.Loop() {
		s := openNew(b)
		must(f.Seek(0, 0))(b)
		checked := time.Duration(0)
		start := time.Now()
		peak := peakHeap(func() {
			must(s.Import(b.Context(), f, func(done, total int64) {
				if float64(done) <= checkingShare*float64(total) {
					checked = time.Since(start)
				}
			}))(b)
		})
		b.ReportMetric(float64(peak)/1e6, "peak-MB")
		b.ReportMetric(checked.Seconds()/time.Since(start).Seconds(), "checking-share")
	}
}
