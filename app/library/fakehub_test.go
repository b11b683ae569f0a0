package library

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"kestrel/engine/checkpoint"
	"kestrel/engine/checkpoint/checkpointtest"
	"kestrel/engine/weights"
)

// fakeHub answers as Hugging Face's hub does, on 127.0.0.1: files of LFS come
// through a redirect to another host, the rest from the hub itself.
type fakeHub struct {
	t   testing.TB
	api *httptest.Server
	cdn *httptest.Server // another origin

	mu       sync.Mutex
	repos    map[string]*fakeRepo
	token    string           // needed for all of it; "" for none
	sums     map[place]string // of the files, which do not change
	page     int              // entries of a page of the tree; 0 for all
	noTree   bool             // a hub without /tree
	fault    func(w http.ResponseWriter, r *http.Request, data []byte) (handled bool)
	throttle time.Duration // after every 16 KiB of a file

	requests []string // method and path, in their order
	leaked   []string // requests elsewhere that had the token
	sent     int64    // bytes of contents
	ranges   int      // requests for a part of a file
}

type fakeRepo struct {
	commit string
	files  map[string][]byte
	extra  []map[string]any // more entries of the tree
	alter  func(entry map[string]any)
}

// big is the size from which a fake file is in LFS.
const big = 4096

func newFakeHub(t testing.TB) *fakeHub {
	h := &fakeHub{t: t, repos: map[string]*fakeRepo{}, sums: map[place]string{}}
	h.api = httptest.NewServer(http.HandlerFunc(h.serveAPI))
	h.cdn = httptest.NewServer(http.HandlerFunc(h.serveCDN))
	t.Cleanup(func() { h.api.CloseClientConnections(); h.cdn.CloseClientConnections(); h.api.Close(); h.cdn.Close() })
	return h
}

func (h *fakeHub) add(repo string, files fstest.MapFS) *fakeRepo {
	r := &fakeRepo{files: map[string][]byte{}}
	for name, f := range files {
		r.files[name] = f.Data
	}
	r.commit = commitOf(repo, r.files)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.repos[repo] = r
	return r
}

func commitOf(repo string, files map[string][]byte) string {
	sum := sha1.New()
	fmt.Fprintln(sum, repo)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(sum, "%s %x\n", name, sha256.Sum256(files[name]))
	}
	return hex.EncodeToString(sum.Sum(nil))
}

func sha256Of(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// sum is the SHA-256 of one of the hub's files.
func (h *fakeHub) sum(data []byte) string {
	if len(data) == 0 {
		return sha256Of(data)
	}
	at := place{&data[0], len(data)}
	if _, ok := h.sums[at]; !ok {
		h.sums[at] = sha256Of(data)
	}
	return h.sums[at]
}

// place is where some bytes are.
type place struct {
	first *byte
	n     int
}

func blobOf(data []byte) string {
	sum := sha1.New()
	fmt.Fprintf(sum, "blob %d\x00", len(data))
	sum.Write(data)
	return hex.EncodeToString(sum.Sum(nil))
}

// set changes the hub while it may be asked.
func (h *fakeHub) set(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

func (h *fakeHub) serveAPI(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	h.requests = append(h.requests, r.Method+" "+r.URL.EscapedPath())
	token := h.token
	h.mu.Unlock()
	if token != "" && r.Header.Get("Authorization") != "Bearer "+token {
		w.Header().Set("X-Error-Code", "RepoNotFound")
		w.Header().Set("X-Error-Message", "Repository not found")
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	parts := strings.Split(strings.Trim(r.URL.EscapedPath(), "/"), "/")
	for i := range parts {
		parts[i], _ = url.PathUnescape(parts[i])
	}
	if len(parts) >= 7 && parts[1] == "resolve-cache" {
		if repo := h.repo(w, parts[3]+"/"+parts[4], parts[5]); repo != nil {
			h.serveFile(w, r, repo, strings.Join(parts[6:], "/"))
		}
		return
	}
	if len(parts) >= 6 && parts[0] == "api" && parts[1] == "models" {
		repo := h.repo(w, parts[2]+"/"+parts[3], parts[5])
		if repo == nil {
			return
		}
		w.Header().Set("X-Repo-Commit", repo.commit)
		switch parts[4] {
		case "revision":
			h.serveInfo(w, r, repo)
		case "tree":
			h.serveTree(w, r, repo)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
		return
	}
	if len(parts) >= 5 && parts[2] == "resolve" {
		if repo := h.repo(w, parts[0]+"/"+parts[1], parts[3]); repo != nil {
			h.serveFile(w, r, repo, strings.Join(parts[4:], "/"))
		}
		return
	}
	w.WriteHeader(http.StatusNotFound)
}

func (h *fakeHub) repo(w http.ResponseWriter, name, revision string) *fakeRepo {
	h.mu.Lock()
	defer h.mu.Unlock()
	repo := h.repos[name]
	code := "RepoNotFound"
	if repo != nil && revision != "main" && revision != repo.commit {
		repo, code = h.repos[name+"@"+revision], "RevisionNotFound"
	}
	if repo == nil {
		w.Header().Set("X-Error-Code", code)
		w.Header().Set("X-Error-Message", "Not found: "+code)
		w.WriteHeader(http.StatusNotFound)
	}
	return repo
}

func (h *fakeHub) serveInfo(w http.ResponseWriter, r *http.Request, repo *fakeRepo) {
	var siblings []map[string]string
	for _, name := range slices.Sorted(maps.Keys(repo.files)) {
		siblings = append(siblings, map[string]string{"rfilename": name})
	}
	data, _ := json.Marshal(map[string]any{"id": "x", "config": map[string]any{"model_type": "?"}, "sha": repo.commit, "siblings": siblings, "tags": []string{"a"}})
	h.send(w, r, data)
}

func (h *fakeHub) serveTree(w http.ResponseWriter, r *http.Request, repo *fakeRepo) {
	h.mu.Lock()
	noTree, page := h.noTree, h.page
	sums := map[string]string{}
	for name, data := range repo.files {
		sums[name] = h.sum(data)
	}
	h.mu.Unlock()
	if noTree {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	entries := append([]map[string]any{{"type": "directory", "oid": blobOf(nil), "size": 0, "path": "images"}}, repo.extra...)
	for _, name := range slices.Sorted(maps.Keys(repo.files)) {
		data := repo.files[name]
		e := map[string]any{"type": "file", "path": name, "size": len(data), "oid": blobOf(data)}
		if len(data) >= big {
			e["oid"] = blobOf([]byte("pointer to " + name))
			e["lfs"] = map[string]any{"oid": sums[name], "size": len(data), "pointerSize": 134}
			e["xetHash"] = sha256Of([]byte("xet of " + name))
		}
		entries = append(entries, e)
	}
	if repo.alter != nil {
		for _, e := range entries {
			repo.alter(e)
		}
	}
	if page > 0 {
		from, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
		if to := from + page; to < len(entries) {
			w.Header().Set("Link", fmt.Sprintf(`<%s%s?recursive=true&cursor=%d>; rel="next"`, h.api.URL, r.URL.EscapedPath(), to))
			entries = entries[from:to]
		} else {
			entries = entries[from:]
		}
	}
	data, _ := json.Marshal(entries)
	h.send(w, r, data)
}

func (h *fakeHub) serveFile(w http.ResponseWriter, r *http.Request, repo *fakeRepo, name string) {
	data, ok := repo.files[name]
	w.Header().Set("X-Repo-Commit", repo.commit)
	if !ok {
		w.Header().Set("X-Error-Code", "EntryNotFound")
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if len(data) >= big {
		h.mu.Lock()
		sum := h.sum(data)
		h.mu.Unlock()
		w.Header().Set("X-Linked-Etag", `"`+sum+`"`)
		w.Header().Set("X-Linked-Size", strconv.Itoa(len(data)))
		w.Header().Set("Location", h.cdn.URL+"/blobs/"+sum+"?Signature=secret")
		w.WriteHeader(http.StatusFound)
		return
	}
	if repo, rest, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/resolve/"); ok && name == "config.json" {
		w.Header().Set("Location", "/api/resolve-cache/models/"+repo+"/"+rest+"?etag=x") // as the hub does with small files
		w.WriteHeader(http.StatusTemporaryRedirect)
		return
	}
	w.Header().Set("ETag", `"`+blobOf(data)+`"`)
	h.send(w, r, data)
}

func (h *fakeHub) serveCDN(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	if r.Header.Get("Authorization") != "" || h.token != "" && strings.Contains(fmt.Sprint(r.Header, r.URL), h.token) {
		h.leaked = append(h.leaked, r.URL.Path)
	}
	h.requests = append(h.requests, r.Method+" cdn")
	var data []byte
	for _, repo := range h.repos {
		for _, d := range repo.files {
			if r.URL.Path == "/blobs/"+h.sum(d) {
				data = d
			}
		}
	}
	h.mu.Unlock()
	if data == nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	// as CDNs do: 64 digits, but not the SHA-256
	w.Header().Set("ETag", cdnETag(data))
	h.send(w, r, data)
}

// cdnETag stands for the file, but is not its SHA-256.
func cdnETag(data []byte) string {
	return `"` + sha256Of([]byte(fmt.Sprint("etag", len(data), data[:16]))) + `"`
}

// send answers with data, or a range of it, or as the fault says.
func (h *fakeHub) send(w http.ResponseWriter, r *http.Request, data []byte) {
	h.mu.Lock()
	fault, throttle := h.fault, h.throttle
	if r.Header.Get("Range") != "" {
		h.ranges++
	}
	h.mu.Unlock()
	if fault != nil && fault(w, r, data) {
		return
	}
	out := &countingWriter{ResponseWriter: w, h: h, throttle: throttle}
	http.ServeContent(out, r, "", time.Time{}, bytes.NewReader(data)) // knows Range and If-Range
}

type countingWriter struct {
	http.ResponseWriter
	h        *fakeHub
	throttle time.Duration
}

func (w *countingWriter) Write(p []byte) (int, error) {
	total := 0
	for len(p) > 0 {
		n, err := w.ResponseWriter.Write(p[:min(len(p), 16<<10)])
		total += n
		w.h.mu.Lock()
		w.h.sent += int64(n)
		w.h.mu.Unlock()
		if err != nil {
			return total, err
		}
		if w.throttle > 0 {
			w.ResponseWriter.(http.Flusher).Flush()
			time.Sleep(w.throttle)
		}
		p = p[n:]
	}
	return total, nil
}

// counts returns what was asked and sent so far, and starts anew.
func (h *fakeHub) counts() (requests []string, sent int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	requests, sent = h.requests, h.sent
	h.requests, h.sent = nil, 0
	return requests, sent
}

// model is a small Falcon-Mamba of about 700 kB in F32, in two shards.
var model = sync.OnceValue(func() *checkpointtest.Model {
	return checkpointtest.Random(7, checkpointtest.Config(checkpoint.FalconMamba, 32, 2, 64, 8, 4, 4, 2000))
})

// sharded is a repository with all that one has, needed or not.
func sharded() fstest.MapFS {
	files := model().Sharded(checkpointtest.All(weights.F32), 2)
	for name, text := range map[string]string{
		"tokenizer.json": `{"version":"1.0"}`, "tokenizer_config.json": `{"model_max_length":8192}`, "special_tokens_map.json": `{}`,
		"generation_config.json": `{"eos_token_id":1}`, "chat_template.jinja": "{{ messages }}",
		"README.md": "# readme", ".gitattributes": "*.safetensors filter=lfs", "images/plot.png": "png", "pytorch_model.bin": "pickle",
		"original/model.safetensors": "older", "special tokens?.txt": "an odd name that is not needed",
	} {
		files[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return files
}

func single() fstest.MapFS { return model().HF(checkpointtest.All(weights.F16)) }

// testLibrary is a library that asks the hub, with nothing of the machine's
// own environment.
func testLibrary(t testing.TB, h *fakeHub, env ...string) *Library {
	t.Helper()
	vars := map[string]string{"HF_ENDPOINT": h.api.URL, "HOME": t.TempDir()}
	for i := 0; i+1 < len(env); i += 2 {
		vars[env[i]] = env[i+1]
	}
	return At(filepath.Join(scratch(t), "models"), func(key string) string { return vars[key] })
}

// scratch is a temporary folder, in memory where the machine has such a file
// system: the tests write thousands of files to the disk.
func scratch(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "kestrel-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// quick are options that do not wait.
func quick() PullOptions {
	return PullOptions{Tries: 3, Pause: time.Millisecond, Stall: 5 * time.Second, Parallel: 2}
}

// whole holds the files of an entry to those of the hub.
func whole(t testing.TB, e *Entry, repo *fakeRepo, want ...string) {
	t.Helper()
	if e.State != Complete || e.Err != nil || e.Have != e.Size() {
		t.Fatalf("%s: state %s, %d of %d bytes, %v", e.Name, e.State, e.Have, e.Size(), e.Err)
	}
	var names []string
	for _, f := range e.Files {
		names = append(names, f.Name)
		data, err := os.ReadFile(filepath.Join(e.root(), f.Name))
		if err != nil || !bytes.Equal(data, repo.files[f.Name]) {
			t.Fatalf("%s: %s: %d bytes, %v; want %d", e.Name, f.Name, len(data), err, len(repo.files[f.Name]))
		}
		if f.SHA256 != sha256Of(data) || f.Size != int64(len(data)) {
			t.Fatalf("%s: %s: the manifest has %+v", e.Name, f.Name, f)
		}
	}
	slices.Sort(names)
	slices.Sort(want)
	if len(want) > 0 && !slices.Equal(names, want) {
		t.Fatalf("%s: files %q, want %q", e.Name, names, want)
	}
	c, err := checkpoint.Open(e.Path)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// sound holds what a failed pull leaves: no file under its final name that is
// not whole and right, a lock that can be taken, nothing outside.
func sound(t testing.TB, l *Library, repo *fakeRepo, name string) {
	t.Helper()
	lock, err := l.lock(name)
	if err != nil {
		t.Fatalf("the lock is still held: %v", err)
	}
	lock.release()
	folder := l.folder(name)
	err = filepath.WalkDir(folder, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(folder, p)
		parts := strings.Split(filepath.ToSlash(rel), "/")
		switch {
		case strings.HasPrefix(rel, "."+manifestName+"."): // a manifest that was being written when the process was killed
			return nil
		case rel == manifestName:
			_, err := readManifest(folder)
			return err
		case parts[0] == partsFolder:
			f, err := os.OpenFile(p, os.O_RDWR, 0) // not locked
			if err != nil {
				return err
			}
			return f.Close()
		case len(parts) < 3:
			return fmt.Errorf("%s: what is that?", rel)
		}
		data, err := os.ReadFile(p)
		if err == nil && !bytes.Equal(data, repo.files[strings.Join(parts[2:], "/")]) {
			err = fmt.Errorf("%s has %d wrong bytes under its final name", rel, len(data))
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
}

// noise is n bytes that do not repeat.
func noise(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	return data
}
