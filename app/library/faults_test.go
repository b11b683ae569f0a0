package library

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"
)

// fault answers a request for data wrongly.
type fault func(r *rand.Rand, w http.ResponseWriter, req *http.Request, data []byte)

// asked is the first byte that a request asks for.
func asked(req *http.Request) int {
	text, _, _ := strings.Cut(strings.TrimPrefix(req.Header.Get("Range"), "bytes="), "-")
	n, _ := strconv.Atoi(text)
	return n
}

// begin sends the headers of an honest answer from byte from on, with a
// Content-Length that may lie.
func begin(w http.ResponseWriter, req *http.Request, data []byte, from, length int) {
	status := http.StatusOK
	if req.Header.Get("Range") != "" {
		status = http.StatusPartialContent
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(data)-1, len(data)))
	}
	if length >= 0 {
		w.Header().Set("Content-Length", strconv.Itoa(length))
	}
	w.WriteHeader(status)
}

func abort(w http.ResponseWriter) {
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler) // closes the connection without a word
}

func status(code int, header ...string) fault {
	return func(_ *rand.Rand, w http.ResponseWriter, _ *http.Request, _ []byte) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

// flip returns data with some bytes changed, at or after from.
func flip(r *rand.Rand, data []byte, from int) []byte {
	data = slices.Clone(data)
	for range 1 + r.IntN(3) {
		if from < len(data) {
			data[from+r.IntN(len(data)-from)] ^= byte(1 + r.IntN(255))
		}
	}
	return data
}

var faults = map[string]fault{
	"cut before the answer": func(_ *rand.Rand, w http.ResponseWriter, _ *http.Request, _ []byte) { panic(http.ErrAbortHandler) },
	"cut at a random byte": func(r *rand.Rand, w http.ResponseWriter, req *http.Request, data []byte) {
		rest := data[min(asked(req), len(data)):]
		begin(w, req, data, len(data)-len(rest), len(rest))
		_, _ = w.Write(rest[:r.IntN(len(rest)+1)])
		abort(w)
	},
	"ends early, as if that were all": func(r *rand.Rand, w http.ResponseWriter, req *http.Request, data []byte) {
		rest := data[min(asked(req), len(data)):]
		begin(w, req, data, len(data)-len(rest), -1)
		w.(http.Flusher).Flush() // chunked
		_, _ = w.Write(rest[:r.IntN(len(rest)+1)])
	},
	"Content-Length too large": func(r *rand.Rand, w http.ResponseWriter, req *http.Request, data []byte) {
		rest := data[min(asked(req), len(data)):]
		begin(w, req, data, len(data)-len(rest), len(rest)+1+r.IntN(1000))
		_, _ = w.Write(rest)
		abort(w)
	},
	"Content-Length too small": func(r *rand.Rand, w http.ResponseWriter, req *http.Request, data []byte) {
		rest := data[min(asked(req), len(data)):]
		n := r.IntN(len(rest) + 1)
		begin(w, req, data, len(data)-len(rest), n)
		_, _ = w.Write(rest[:n])
	},
	"more bytes than there are": func(r *rand.Rand, w http.ResponseWriter, req *http.Request, data []byte) {
		rest := data[min(asked(req), len(data)):]
		begin(w, req, data, len(data)-len(rest), -1)
		_, _ = w.Write(rest)
		_, _ = w.Write(make([]byte, 1+r.IntN(5000)))
	},
	"wrong bytes": func(r *rand.Rand, w http.ResponseWriter, req *http.Request, data []byte) {
		from := min(asked(req), len(data))
		begin(w, req, data, from, len(data)-from)
		_, _ = w.Write(flip(r, data, from)[from:])
	},
	"wrong bytes, then cut": func(r *rand.Rand, w http.ResponseWriter, req *http.Request, data []byte) {
		from := min(asked(req), len(data))
		begin(w, req, data, from, len(data)-from)
		rest := flip(r, data, from)[from:]
		_, _ = w.Write(rest[:r.IntN(len(rest)+1)])
		abort(w)
	},
	"a page in place of the file": func(_ *rand.Rand, w http.ResponseWriter, _ *http.Request, _ []byte) {
		_, _ = w.Write([]byte("<html>please log in to this network</html>"))
	},
	"another ETag, other bytes": func(r *rand.Rand, w http.ResponseWriter, req *http.Request, data []byte) {
		w.Header().Set("ETag", fmt.Sprintf(`"other-%d"`, r.IntN(1000)))
		from := min(asked(req), len(data))
		begin(w, req, data, from, len(data)-from)
		_, _ = w.Write(flip(r, data, from)[from:])
	},
	"another ETag, the same bytes": func(r *rand.Rand, w http.ResponseWriter, req *http.Request, data []byte) {
		w.Header().Set("ETag", fmt.Sprintf(`"other-%d"`, r.IntN(1000)))
		from := min(asked(req), len(data))
		begin(w, req, data, from, len(data)-from)
		_, _ = w.Write(data[from:])
	},
	"no ETag, then cut": func(r *rand.Rand, w http.ResponseWriter, req *http.Request, data []byte) {
		w.Header().Del("ETag")
		rest := data[min(asked(req), len(data)):]
		begin(w, req, data, len(data)-len(rest), len(rest))
		_, _ = w.Write(rest[:r.IntN(len(rest)+1)])
		abort(w)
	},
	"the whole file for a range": func(r *rand.Rand, w http.ResponseWriter, _ *http.Request, data []byte) {
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
		_, _ = w.Write(data[:r.IntN(len(data)+1)])
		abort(w)
	},
	"another range than asked for": func(r *rand.Rand, w http.ResponseWriter, req *http.Request, data []byte) {
		from := r.IntN(len(data))
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(data)-1, len(data)))
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write(data[from:])
	},
	"the wrong bytes of a range": func(r *rand.Rand, w http.ResponseWriter, req *http.Request, data []byte) {
		from := min(asked(req), len(data))
		begin(w, req, data, from, len(data)-from)
		_, _ = w.Write(data[:len(data)-from]) // from the start
	},
	"a nonsense range": func(r *rand.Rand, w http.ResponseWriter, req *http.Request, data []byte) {
		w.Header().Set("Content-Range", "bytes 99999999999999999999-1/x")
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write(data)
	},
	"another length of the range": func(r *rand.Rand, w http.ResponseWriter, req *http.Request, data []byte) {
		from := min(asked(req), len(data))
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(data), len(data)+1))
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write(data[from:])
	},
	"silence": func(r *rand.Rand, w http.ResponseWriter, req *http.Request, data []byte) {
		rest := data[min(asked(req), len(data)):]
		begin(w, req, data, len(data)-len(rest), len(rest))
		_, _ = w.Write(rest[:r.IntN(len(rest)/2+1)])
		w.(http.Flusher).Flush()
		select {
		case <-req.Context().Done():
		case <-time.After(10 * time.Second):
		}
	},
	"compressed": func(_ *rand.Rand, w http.ResponseWriter, req *http.Request, data []byte) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(data)
	},
	"429": status(429, "Retry-After", "0"), "429 until a date": status(429, "Retry-After", "Mon, 02 Jan 2006 15:04:05 GMT"),
	"503": status(503), "503 later": status(503, "Retry-After", "0"), "500": status(500), "408": status(408),
	"416": status(416, "Content-Range", "bytes */3"), "204": status(204), "304": status(304), "redirect to nowhere": status(302, "Location", "http://127.0.0.1:1/"),
}

// TestFaultsOnce meets every fault once, at every request of a pull, and
// wants the model right in the end.
func TestFaultsOnce(t *testing.T) {
	t.Parallel()
	files := single() // config.json and model.safetensors
	for _, name := range slices.Sorted(maps.Keys(faults)) {
		for at := range 4 { // revision, tree, config.json, the weights
			h := newFakeHub(t)
			repo := h.add("a/b", files)
			r := rand.New(rand.NewPCG(uint64(at), 3))
			var mu sync.Mutex
			n := 0
			h.fault = func(w http.ResponseWriter, req *http.Request, data []byte) bool {
				mu.Lock()
				n++
				hit := n == at+1
				mu.Unlock()
				if hit {
					faults[name](r, w, req, data)
				}
				return hit
			}
			l := testLibrary(t, h)
			o := quick()
			o.Stall = 200 * time.Millisecond
			got, err := l.Pull(t.Context(), "a/b", o)
			// An index whose meaning was changed is taken at its word, and then
			// nothing fits it: refused.
			altered := at < 2 && strings.Contains(name, "bytes")
			if err != nil && altered {
				sound(t, l, repo, "a/b")
				continue
			}
			if err != nil {
				t.Fatalf("%s at request %d: %v", name, at, err)
			}
			whole(t, got.Entry, repo)
			mu.Lock()
			if n <= at {
				t.Errorf("%s at request %d: never asked", name, at)
			}
			mu.Unlock()
		}
	}
}

// TestFaultsForever meets every fault at every request for the weights, and
// wants a refusal in bounded time, or the right file.
func TestFaultsForever(t *testing.T) {
	t.Parallel()
	right := []string{"Content-Length too large", "Content-Length too small", "more bytes than there are", "another ETag, the same bytes", "cut at a random byte",
		"ends early, as if that were all", "no ETag, then cut", "the whole file for a range", "another range than asked for", "the wrong bytes of a range"} // may, some by chance
	for _, name := range slices.Sorted(maps.Keys(faults)) {
		h := newFakeHub(t)
		repo := h.add("a/b", single())
		r := rand.New(rand.NewPCG(9, 9))
		requests := 0
		var mu sync.Mutex
		h.fault = func(w http.ResponseWriter, req *http.Request, data []byte) bool {
			if len(data) < 100_000 {
				return false
			}
			mu.Lock()
			requests++
			own := rand.New(rand.NewPCG(r.Uint64(), 0))
			mu.Unlock()
			faults[name](own, w, req, data)
			return true
		}
		l := testLibrary(t, h)
		o := quick()
		o.Stall = 100 * time.Millisecond
		got, err := l.Pull(t.Context(), "a/b", o)
		switch {
		case err == nil && slices.Contains(right, name):
			whole(t, got.Entry, repo)
		case err == nil:
			t.Errorf("%s: no error", name)
		case strings.HasPrefix(name, "wrong bytes") && !strings.Contains(name, "cut") && !errors.Is(err, ErrCorrupt):
			t.Errorf("%s: %v, want ErrCorrupt", name, err)
		case !errors.Is(err, ErrHub) && !errors.Is(err, ErrCorrupt):
			t.Errorf("%s: %v", name, err)
		}
		mu.Lock()
		if requests > 40 {
			t.Errorf("%s: %d requests until it gave up", name, requests)
		}
		mu.Unlock()
		sound(t, l, repo, "a/b")
		h.set(func() { h.fault = nil })
		if got, err = l.Pull(t.Context(), "a/b", quick()); err != nil {
			t.Fatalf("%s: after it: %v", name, err)
		}
		whole(t, got.Entry, repo)
	}
}

// TestRandomFaults pulls through a hub that fails at random, again and again:
// whatever happens a file is right or refused, never wrong, and nothing stays
// locked; when the hub has recovered what is there is completed.
func TestRandomFaults(t *testing.T) {
	t.Parallel()
	rounds := 200
	if testing.Short() {
		rounds = 50
	}
	h := newFakeHub(t)
	files := fstest.MapFS{}
	for name, f := range sharded() {
		if name == "config.json" || name == "tokenizer.json" || strings.HasPrefix(name, "model") {
			files[name] = f
		}
	}
	repo := h.add("a/b", files)
	r := rand.New(rand.NewPCG(2024, 11))
	names := slices.Sorted(maps.Keys(faults))
	met := map[string]int{}
	outcome := map[string]int{}
	var mu sync.Mutex // of r, met and share
	share := 0.0
	h.fault = func(w http.ResponseWriter, req *http.Request, data []byte) bool {
		mu.Lock()
		if len(data) == 0 || r.Float64() >= share {
			mu.Unlock()
			return false
		}
		name := names[r.IntN(len(names))]
		met[name]++
		own := rand.New(rand.NewPCG(r.Uint64(), 0))
		mu.Unlock()
		faults[name](own, w, req, data)
		return true
	}
	l := testLibrary(t, h)
	for round := range rounds {
		mu.Lock()
		share = 0.05 + 0.6*r.Float64()
		mu.Unlock()
		o := quick()
		o.Stall = 40 * time.Millisecond
		for range 1 + round%3 {
			got, err := l.Pull(t.Context(), "a/b", o)
			sound(t, l, repo, "a/b")
			if err == nil {
				outcome["right"]++
				whole(t, got.Entry, repo)
				break
			}
			outcome["refused"]++
			if !errors.Is(err, ErrHub) && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNotFound) && !refused(err) {
				t.Fatalf("round %d: %v", round, err)
			}
			if _, err := l.Resolve("a/b"); !errors.Is(err, ErrNotComplete) && !errors.Is(err, ErrNotFound) {
				t.Fatalf("round %d: a model that is not whole resolves: %v", round, err)
			}
		}
		mu.Lock()
		share = 0
		mu.Unlock()
		got, err := l.Pull(t.Context(), "a/b", quick())
		if err != nil {
			t.Fatalf("round %d, the hub works again: %v", round, err)
		}
		whole(t, got.Entry, repo)
		if _, err := l.Remove("a/b"); err != nil {
			t.Fatal(err)
		}
	}
	total := 0
	for _, name := range names {
		total += met[name]
		if met[name] == 0 && !testing.Short() {
			t.Errorf("%s never happened", name)
		}
	}
	t.Logf("%d rounds, %d faults, pulls through them: %v", rounds, total, outcome)
	if total < rounds || outcome["right"] == 0 || outcome["refused"] == 0 {
		t.Errorf("%d faults in %d rounds, %v: not what was meant", total, rounds, outcome)
	}
}

// TestResume holds that a pull goes on where the last one ended, to the byte.
func TestResume(t *testing.T) {
	h := newFakeHub(t)
	repo := h.add("a/b", single())
	l := testLibrary(t, h)
	size := len(repo.files["model.safetensors"])
	cut := size / 3
	h.fault = func(w http.ResponseWriter, req *http.Request, data []byte) bool {
		if len(data) < size || asked(req) > 0 {
			return len(data) == size
		}
		begin(w, req, data, 0, len(data))
		_, _ = w.Write(data[:cut])
		abort(w)
		return true
	}
	o := quick()
	o.Tries = 1
	if _, err := l.Pull(t.Context(), "a/b", o); !errors.Is(err, ErrHub) {
		t.Fatalf("got %v", err)
	}
	e, err := l.Find("a/b")
	if err != nil || e.State != Partial || e.Have != int64(cut+len(repo.files["config.json"])) {
		t.Fatalf("after the cut: %+v, %v", e, err)
	}
	if _, err := l.Resolve("b"); !errors.Is(err, ErrNotComplete) || !strings.Contains(err.Error(), "kestrel model pull a/b") {
		t.Errorf("resolve: %v", err)
	}
	var asks []string
	h.set(func() {
		h.fault = func(w http.ResponseWriter, req *http.Request, data []byte) bool {
			if len(data) == size {
				asks = append(asks, req.Header.Get("Range")+" "+req.Header.Get("If-Range"))
			}
			return false
		}
	})
	h.counts()
	got, err := l.Pull(t.Context(), "a/b", quick())
	if err != nil {
		t.Fatal(err)
	}
	whole(t, got.Entry, repo)
	etag := cdnETag(repo.files["model.safetensors"])
	if want := fmt.Sprintf("bytes=%d- %s", cut, etag); len(asks) != 1 || asks[0] != want {
		t.Errorf("asked %q, want %q", asks, want)
	}
	if got.Fetched != int64(size-cut) {
		t.Errorf("fetched %d bytes, want %d", got.Fetched, size-cut)
	}
}

// TestResumeChanged holds that a part is thrown away where the hub's file
// changed under it: If-Range gets the new file whole, and the hash decides.
func TestResumeChanged(t *testing.T) {
	h := newFakeHub(t)
	repo := h.add("a/b", single())
	l := testLibrary(t, h)
	size := len(repo.files["model.safetensors"])
	first := true
	var ranges []string
	h.fault = func(w http.ResponseWriter, req *http.Request, data []byte) bool {
		if len(data) < size {
			return false
		}
		ranges = append(ranges, req.Header.Get("Range"))
		if first { // a third, wrong, under another ETag
			first = false
			w.Header().Set("ETag", `"before"`)
			begin(w, req, data, 0, len(data))
			_, _ = w.Write(make([]byte, size/3))
			abort(w)
		}
		return false
	}
	got, err := l.Pull(t.Context(), "a/b", quick())
	if err != nil {
		t.Fatal(err)
	}
	whole(t, got.Entry, repo)
	if want := []string{"", fmt.Sprintf("bytes=%d-", size/3)}; !slices.Equal(ranges, want) {
		t.Errorf("ranges %q, want %q: one resume, answered with all of the file", ranges, want)
	}
}

// TestCancel ends pulls at random moments; each goes on where the one before
// it ended.
func TestCancel(t *testing.T) {
	rounds := 12
	r := rand.New(rand.NewPCG(5, 5))
	h := newFakeHub(t)
	repo := h.add("a/b", sharded())
	l := testLibrary(t, h)
	cancelled := 0
	for range rounds {
		h.set(func() { h.throttle = time.Millisecond })
		var before int64
		for range 4 {
			ctx, cancel := context.WithCancelCause(t.Context())
			stop := errors.New("enough")
			at := r.Int64N(250_000)
			h.counts()
			done := make(chan struct{})
			go func() {
				defer close(done)
				for ctx.Err() == nil {
					h.mu.Lock()
					sent := h.sent
					h.mu.Unlock()
					if sent > at {
						cancel(stop)
					}
					time.Sleep(200 * time.Microsecond)
				}
			}()
			_, err := l.Pull(ctx, "a/b", quick())
			cancel(nil)
			<-done
			sound(t, l, repo, "a/b")
			if err == nil {
				break
			}
			cancelled++
			if !errors.Is(err, stop) {
				t.Fatalf("got %v", err)
			}
			if e, err := l.Find("a/b"); err == nil {
				if e.Have < before {
					t.Errorf("after another pull %d bytes are here, before %d", e.Have, before)
				}
				before = e.Have
			}
		}
		h.set(func() { h.throttle = 0 })
		got, err := l.Pull(t.Context(), "a/b", quick())
		if err != nil {
			t.Fatal(err)
		}
		whole(t, got.Entry, repo)
		if got.Fetched != got.Size()-before && got.Fetched != 0 {
			t.Errorf("fetched %d bytes, want the %d that were missing", got.Fetched, got.Size()-before)
		}
		if _, err := l.Remove("a/b"); err != nil {
			t.Fatal(err)
		}
	}
	if cancelled < rounds {
		t.Errorf("only %d pulls were cancelled in %d rounds", cancelled, rounds)
	}
}
