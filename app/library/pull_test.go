package library

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"kestrel/engine/checkpoint"
	"kestrel/engine/checkpoint/checkpointtest"
	"kestrel/engine/weights"
)

var shardedFiles = []string{"chat_template.jinja", "config.json", "generation_config.json", "model-00001-of-00002.safetensors",
	"model-00002-of-00002.safetensors", "model.safetensors.index.json", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json"}

func TestPull(t *testing.T) {
	h := newFakeHub(t)
	repo := h.add("tiiuae/some-mamba", sharded())
	h.page = 4
	l := testLibrary(t, h)
	o := quick()
	var last Progress
	o.Progress = func(p Progress) { last = p }
	got, err := l.Pull(t.Context(), "tiiuae/some-mamba", o)
	if err != nil {
		t.Fatal(err)
	}
	whole(t, got.Entry, repo, shardedFiles...)
	if got.Fetched != got.Size() || got.Newer != "" || last.Done != got.Size() || last.Total != got.Size() || last.Stage != Downloading {
		t.Errorf("fetched %d of %d, newer %q, progress %+v", got.Fetched, got.Size(), got.Newer, last)
	}
	if got.Source.Commit != repo.commit || got.Source.Revision != "main" || got.Source.Endpoint != h.api.URL || got.Format != Safetensors {
		t.Errorf("source %+v", got.Source)
	}
	if filepath.Base(got.Path) != "some-mamba" {
		t.Errorf("path %s does not end in the model's name", got.Path)
	}
	requests, _ := h.counts()
	for _, r := range requests {
		for _, no := range []string{"README", "pytorch_model.bin", "plot.png", "original", "gitattributes"} {
			if strings.Contains(r, no) {
				t.Errorf("asked for %s", r)
			}
		}
	}
	if i := slices.IndexFunc(requests, func(r string) bool { return strings.Contains(r, "/resolve/") }); !strings.HasSuffix(requests[i], "/config.json") {
		t.Errorf("the first file is %s, want config.json", requests[i])
	}
	entries, _ := os.ReadDir(got.Folder)
	if len(entries) != 2 {
		t.Errorf("the folder holds %v, want the manifest and the revision", entries)
	}

	// Again: nothing to fetch.
	got, err = l.Pull(t.Context(), "tiiuae/some-mamba@main", quick())
	if err != nil || got.Fetched != 0 {
		t.Fatalf("again: fetched %d, %v", got.Fetched, err)
	}
	whole(t, got.Entry, repo, shardedFiles...)
	if _, sent := h.counts(); sent > 20_000 { // the index only
		t.Errorf("again: %d bytes were sent", sent)
	}

	// A file that went missing, one that was cut short, one that was changed.
	root := got.root()
	if err := errors.Join(os.Remove(filepath.Join(root, "model-00001-of-00002.safetensors")), os.Truncate(filepath.Join(root, "config.json"), 3)); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Resolve("some-mamba"); !errors.Is(err, ErrNotComplete) {
		t.Errorf("resolve of a model without a file: %v", err)
	}
	if got, err = l.Pull(t.Context(), "tiiuae/some-mamba", quick()); err != nil {
		t.Fatal(err)
	}
	whole(t, got.Entry, repo, shardedFiles...)
	shard := filepath.Join(root, "model-00002-of-00002.safetensors")
	data, _ := os.ReadFile(shard)
	data[len(data)-1] ^= 1
	if err := os.WriteFile(shard, data, 0o644); err != nil {
		t.Fatal(err)
	}
	o = quick()
	o.Check = true
	if got, err = l.Pull(t.Context(), "tiiuae/some-mamba", o); err != nil || got.Fetched != int64(len(data)) {
		t.Fatalf("check: fetched %d, want %d, %v", got.Fetched, len(data), err)
	}
	whole(t, got.Entry, repo, shardedFiles...)
}

// TestPullGGUF holds which file of a repository with GGUF is taken, and that
// one that is no Mamba is refused before it is fetched.
func TestPullGGUF(t *testing.T) {
	h := newFakeHub(t)
	gguf := &fstest.MapFile{Data: model().GGUF(checkpointtest.All(weights.F16), 3)}
	llama := gguf.Data
	llama = bytes.Replace(llama, []byte("\x05\x00\x00\x00\x00\x00\x00\x00mamba"), []byte("\x05\x00\x00\x00\x00\x00\x00\x00llama"), 1)
	one := h.add("a/one", fstest.MapFS{"m-F16.gguf": gguf, "README.md": {Data: []byte("x")}})
	two := h.add("a/two", fstest.MapFS{"m-F16.gguf": gguf, "sub/other.GGUF": {Data: gguf.Data[:len(gguf.Data)-1]}, "mmproj.gguf": gguf,
		"m-00001-of-00002.gguf": gguf})
	h.add("a/llama", fstest.MapFS{"m.gguf": {Data: append(llama, noise(1, 1<<20)...)}})
	h.add("a/split", fstest.MapFS{"m-00001-of-00002.gguf": gguf, "m-00002-of-00002.gguf": gguf})
	h.add("a/fake", fstest.MapFS{"m.gguf": {Data: noise(2, 1<<20)}})
	l := testLibrary(t, h)

	got, err := l.Pull(t.Context(), "a/one", quick())
	if err != nil {
		t.Fatal(err)
	}
	whole(t, got.Entry, one, "m-F16.gguf")
	if got.Name != "a/one" || got.Format != GGUF || filepath.Base(got.Path) != "m-F16.gguf" {
		t.Errorf("%s, %s, %s", got.Name, got.Format, got.Path)
	}
	_, err = l.Pull(t.Context(), "a/two", quick())
	var choice *ChoiceError
	if !errors.As(err, &choice) || !errors.Is(err, ErrChoice) || len(choice.Files) != 2 || choice.Files[1].Path != "m-F16.gguf" || choice.Files[0].Path != "sub/other.GGUF" {
		t.Errorf("two files: %v", err)
	} else if text := err.Error(); !strings.Contains(text, "a/two:sub/other.GGUF") {
		t.Errorf("the message does not say what to write: %s", text)
	}
	if _, err = l.Pull(t.Context(), "a/two:sub/other.GGUF", quick()); err == nil || !strings.Contains(err.Error(), "cannot be used") { // cut short, as the hub has it
		t.Errorf("a bad file: %v", err)
	}
	if got, err = l.Pull(t.Context(), "a/two:m-F16.gguf", quick()); err != nil {
		t.Fatal(err)
	}
	whole(t, got.Entry, two, "m-F16.gguf")
	h.counts()
	for name, kind := range map[string]error{
		"a/llama": weights.ErrUnsupported, "a/split": weights.ErrUnsupported, "a/two:m-00001-of-00002.gguf": weights.ErrUnsupported,
		"a/fake": weights.ErrBadModel, "a/one:none.gguf": ErrNotFound,
	} {
		if _, err := l.Pull(t.Context(), name, quick()); !errors.Is(err, kind) {
			t.Errorf("%s: %v, want %v", name, err, kind)
		}
		if _, err := os.Stat(l.folder(name)); !os.IsNotExist(err) {
			t.Errorf("%s: its folder was left behind", name)
		}
	}
	if _, sent := h.counts(); sent > 200_000 {
		t.Errorf("%d bytes came of models that were refused", sent)
	}
}

// TestRefused holds that what cannot run is refused by name, before weights
// are fetched, and leaves nothing.
func TestRefused(t *testing.T) {
	config := func(text string) fstest.MapFS {
		files := sharded()
		files["config.json"] = &fstest.MapFile{Data: []byte(text)}
		return files
	}
	without := func(names ...string) fstest.MapFS {
		files := sharded()
		for _, n := range names {
			delete(files, n)
		}
		return files
	}
	index := func(text string) fstest.MapFS {
		files := sharded()
		files["model.safetensors.index.json"] = &fstest.MapFile{Data: []byte(text)}
		return files
	}
	tests := []struct {
		name  string
		files fstest.MapFS
		kind  error
		text  string
	}{
		{"llama", config(`{"model_type":"llama"}`), weights.ErrUnsupported, `this is "llama"`},
		{"mamba2", config(`{"model_type":"mamba2"}`), weights.ErrUnsupported, "mamba2"},
		{"no-json", config(`<html>`), weights.ErrBadModel, "not valid JSON"},
		{"no-config", without("config.json"), ErrNotFound, "config.json"},
		{"no-index", without("model.safetensors.index.json"), ErrNotFound, "index"},
		{"no-shard", without("model-00002-of-00002.safetensors"), weights.ErrMissingTensor, "does not have it"},
		{"only-torch", fstest.MapFS{"config.json": {Data: []byte(`{}`)}, "pytorch_model.bin": {Data: []byte("x")}}, weights.ErrUnsupported, "pickle"},
		{"nothing", fstest.MapFS{"README.md": {Data: []byte("x")}}, ErrNotFound, "neither"},
		{"index-out", index(`{"weight_map":{"a":"../../model.safetensors"}}`), ErrUnsafe, "outside"},
		{"index-bad", index(`[1]`), weights.ErrBadModel, "JSON"},
		{"index-empty", index(`{"weight_map":{}}`), weights.ErrBadModel, "names no file"},
	}
	h := newFakeHub(t)
	l := testLibrary(t, h)
	for _, test := range tests {
		h.add("a/"+test.name, test.files)
		h.counts()
		_, err := l.Pull(t.Context(), "a/"+test.name, quick())
		if !errors.Is(err, test.kind) || !strings.Contains(fmt.Sprint(err), test.text) {
			t.Errorf("%s: %v; want %v and %q", test.name, err, test.kind, test.text)
		}
		if _, sent := h.counts(); sent > 30_000 {
			t.Errorf("%s: %d bytes came before it was refused", test.name, sent)
		}
		if _, err := os.Stat(l.folder("a/" + test.name)); !os.IsNotExist(err) {
			t.Errorf("%s: its folder was left behind", test.name)
		}
	}
	if list, err := l.List(); err != nil || len(list) != 0 {
		t.Errorf("the library has %v, %v", list, err)
	}
}

// TestSingle takes model.safetensors where shards are there as well, and a
// lone file of another name.
func TestSingle(t *testing.T) {
	h := newFakeHub(t)
	both := sharded()
	for name, f := range single() {
		both[name] = f
	}
	l := testLibrary(t, h)
	if _, err := l.Pull(t.Context(), "a/both", quick()); !errors.Is(err, ErrNotFound) {
		t.Fatalf("a repository that is not there: %v", err)
	}
	repo := h.add("a/both", both)
	got, err := l.Pull(t.Context(), "a/both", quick())
	if err != nil {
		t.Fatal(err)
	}
	whole(t, got.Entry, repo, "model.safetensors", "chat_template.jinja", "config.json", "generation_config.json", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json")
	files := single()
	files["mymodel.safetensors"] = files["model.safetensors"]
	delete(files, "model.safetensors")
	repo = h.add("a/lone", files)
	if got, err = l.Pull(t.Context(), "a/lone", quick()); err != nil {
		t.Fatal(err)
	}
	whole(t, got.Entry, repo, "mymodel.safetensors", "config.json")
}

// TestNoTree holds a hub that lists names only: sizes and hashes come from
// the headers of the files.
func TestNoTree(t *testing.T) {
	h := newFakeHub(t)
	h.noTree = true
	repo := h.add("a/b", sharded())
	l := testLibrary(t, h)
	got, err := l.Pull(t.Context(), "a/b", quick())
	if err != nil {
		t.Fatal(err)
	}
	whole(t, got.Entry, repo, shardedFiles...)
	requests, _ := h.counts()
	if heads := slices.DeleteFunc(requests, func(r string) bool { return !strings.HasPrefix(r, "HEAD") }); slices.Contains(heads, "HEAD cdn") || len(heads) < len(shardedFiles) {
		t.Errorf("asked %v", heads)
	}
}

// TestUpdate holds that a new commit replaces the old one only when asked, in
// one step, and fetches only what changed.
func TestUpdate(t *testing.T) {
	h := newFakeHub(t)
	old := h.add("a/b", sharded())
	l := testLibrary(t, h)
	if _, err := l.Pull(t.Context(), "a/b", quick()); err != nil {
		t.Fatal(err)
	}
	files := sharded()
	files["tokenizer.json"] = &fstest.MapFile{Data: []byte(`{"version":"2.0"}`)}
	repo := h.add("a/b", files)
	h.set(func() { h.repos["a/b@"+old.commit] = old })

	got, err := l.Pull(t.Context(), "a/b", quick())
	if err != nil || got.Newer != repo.commit || got.Fetched != 0 {
		t.Fatalf("not asked: newer %q, fetched %d, %v", got.Newer, got.Fetched, err)
	}
	whole(t, got.Entry, old)
	// A file that is missing comes from the commit that is there.
	if err := os.Remove(filepath.Join(got.root(), "tokenizer.json")); err != nil {
		t.Fatal(err)
	}
	if got, err = l.Pull(t.Context(), "a/b", quick()); err != nil || got.Newer != repo.commit {
		t.Fatalf("%+v, %v", got, err)
	}
	whole(t, got.Entry, old)

	// An update that fails leaves the old one in use.
	h.set(func() {
		h.fault = func(w http.ResponseWriter, r *http.Request, data []byte) bool {
			if strings.HasSuffix(r.URL.Path, "tokenizer.json") {
				w.WriteHeader(http.StatusServiceUnavailable)
				return true
			}
			return false
		}
	})
	o := quick()
	o.Update = true
	if _, err := l.Pull(t.Context(), "a/b", o); !errors.Is(err, ErrHub) {
		t.Fatalf("update through a failing hub: %v", err)
	}
	path, err := l.Resolve("a/b")
	if err != nil || path != got.Path {
		t.Fatalf("after a failed update: %s, %v", path, err)
	}
	h.set(func() { h.fault = nil })
	if got, err = l.Pull(t.Context(), "a/b", o); err != nil || got.Newer != "" {
		t.Fatalf("update: %v", err)
	}
	whole(t, got.Entry, repo, shardedFiles...)
	if want := int64(len(files["tokenizer.json"].Data)); got.Fetched != want {
		t.Errorf("update: fetched %d bytes, want %d", got.Fetched, want)
	}
	entries, _ := os.ReadDir(got.Folder)
	if len(entries) != 2 {
		t.Errorf("after an update the folder holds %v", entries)
	}
}

// TestToken holds that the token goes to the endpoint and nowhere else, and
// what is said where it is wrong or missing.
func TestToken(t *testing.T) {
	h := newFakeHub(t)
	repo := h.add("a/b", sharded())
	h.token = "hf_secret"
	home := t.TempDir()
	stored := filepath.Join(home, ".cache", "huggingface", "token")
	if err := errors.Join(os.MkdirAll(filepath.Dir(stored), 0o700), os.WriteFile(stored, []byte("hf_secret\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for name, env := range map[string][]string{
		"HF_TOKEN": {"HF_TOKEN", "hf_secret"}, "file": {"HOME", home}, "HF_HOME": {"HF_HOME", filepath.Dir(stored)},
		"HF_TOKEN_PATH": {"HF_TOKEN_PATH", stored}, "XDG": {"XDG_CACHE_HOME", filepath.Join(home, ".cache")},
	} {
		l := testLibrary(t, h, env...)
		got, err := l.Pull(t.Context(), "a/b", quick())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		whole(t, got.Entry, repo)
		err = filepath.WalkDir(l.Dir(), func(p string, d os.DirEntry, err error) error {
			if data, _ := os.ReadFile(p); strings.Contains(string(data), "hf_secret") {
				t.Errorf("%s: the token was written to %s", name, p)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	if len(h.leaked) > 0 {
		t.Errorf("the token came to another host: %v", h.leaked)
	}
	l := testLibrary(t, h)
	_, err := l.Pull(t.Context(), "a/b", quick())
	if !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "set HF_TOKEN") {
		t.Errorf("no token: %v", err)
	}
	l = testLibrary(t, h, "HF_TOKEN", "hf_wrong")
	if _, err = l.Pull(t.Context(), "a/b", quick()); !errors.Is(err, ErrNotFound) || strings.Contains(err.Error(), "hf_wrong") {
		t.Errorf("wrong token: %v", err)
	}
	l = testLibrary(t, h, "HF_TOKEN", "hf\r\nX-Evil: 1")
	if _, err = l.Pull(t.Context(), "a/b", quick()); !errors.Is(err, ErrDenied) {
		t.Errorf("token with a line feed: %v", err)
	}
	// Not in the clear to another machine.
	warned := ""
	o := quick()
	o.Endpoint, o.Token, o.Warn = "http://hub.example", "hf_secret", func(s string) { warned = s }
	o.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.Header.Get("Authorization") != "" {
			t.Error("the token was sent in the clear")
		}
		return nil, errors.New("no such host")
	})
	if _, err = l.Pull(t.Context(), "a/b", o); !errors.Is(err, ErrHub) || warned == "" {
		t.Errorf("http: %v, warned %q", err, warned)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestRedirects holds where redirects may lead.
func TestRedirects(t *testing.T) {
	for _, location := range []string{"ftp://x/y", "file:///etc/passwd", "http://", "//", "https://hub.example/loop", "http://plain.example/"} {
		count := 0
		o := quick()
		o.Endpoint = "https://hub.example"
		o.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			if count++; r.URL.Scheme != "https" || count > 100 {
				t.Errorf("%s: asked %s", location, r.URL)
			}
			return &http.Response{StatusCode: 302, Header: http.Header{"Location": {location}}, Body: http.NoBody, Request: r}, nil
		})
		l := testLibrary(t, newFakeHub(t))
		if _, err := l.Pull(t.Context(), "a/b", o); !errors.Is(err, ErrHub) {
			t.Errorf("%s: %v", location, err)
		}
	}
}

func TestHubErrors(t *testing.T) {
	l := testLibrary(t, newFakeHub(t))
	tests := []struct {
		status int
		header http.Header
		kind   error
		text   string
	}{
		{404, http.Header{"X-Error-Code": {"RepoNotFound"}}, ErrNotFound, "check the name"},
		{404, http.Header{"X-Error-Code": {"RevisionNotFound"}}, ErrNotFound, "look at https://hub.example/a/b"},
		{403, http.Header{"X-Error-Code": {"GatedRepo"}}, ErrDenied, "accept its terms at https://hub.example/a/b"},
		{403, nil, ErrDenied, "403 Forbidden"},
		{401, nil, ErrNotFound, "set HF_TOKEN"},
		{429, http.Header{"Retry-After": {"0"}}, ErrHub, "429"},
		{429, http.Header{"Retry-After": {"99999"}}, ErrHub, "wait a while"},
		{500, nil, ErrHub, "500"},
		{418, http.Header{"X-Error-Message": {"tea\x1b[31mpot\u202e" + strings.Repeat("x", 1000)}}, ErrHub, "tea [31mpot x"},
		{200, nil, ErrHub, "makes no sense"},
	}
	for _, test := range tests {
		o := quick()
		o.Endpoint = "https://hub.example/"
		o.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			header := test.header
			if header == nil {
				header = http.Header{}
			}
			return &http.Response{StatusCode: test.status, Header: header, Body: io.NopCloser(strings.NewReader("<html>")), Request: r}, nil
		})
		start := time.Now()
		_, err := l.Pull(t.Context(), "a/b", o)
		if !errors.Is(err, test.kind) || !strings.Contains(fmt.Sprint(err), test.text) || len(err.Error()) > 500 {
			t.Errorf("%d %v: %v; want %v and %q", test.status, test.header, err, test.kind, test.text)
		}
		if time.Since(start) > 2*time.Second {
			t.Errorf("%d %v: waited %v", test.status, test.header, time.Since(start))
		}
	}
	for env, text := range map[string]string{"HF_ENDPOINT=nonsense": "no web address", "HF_ENDPOINT=ftp://x": "no web address", "HF_HUB_OFFLINE=1": "HF_HUB_OFFLINE"} {
		key, value, _ := strings.Cut(env, "=")
		l := testLibrary(t, newFakeHub(t), key, value)
		if _, err := l.Pull(t.Context(), "a/b", quick()); !errors.Is(err, ErrHub) || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", env, err)
		}
	}
	// Nobody listens.
	h := newFakeHub(t)
	h.api.Close()
	if _, err := testLibrary(t, h).Pull(t.Context(), "a/b", quick()); !errors.Is(err, ErrHub) || !strings.Contains(err.Error(), "check the connection") {
		t.Errorf("closed: %v", err)
	}
}

func TestNoSpace(t *testing.T) {
	h := newFakeHub(t)
	repo := h.add("a/b", sharded())
	l := testLibrary(t, h)
	l.free = func(string) (int64, error) { return 500_000 + margin, nil }
	h.counts()
	if _, err := l.Pull(t.Context(), "a/b", quick()); !errors.Is(err, ErrNoSpace) {
		t.Fatalf("got %v", err)
	}
	if _, sent := h.counts(); sent > 20_000 {
		t.Errorf("%d bytes came although there is no room", sent)
	}
	if list, _ := l.List(); len(list) != 0 {
		t.Errorf("the library has %v", list[0].Name)
	}
	l.free = func(string) (int64, error) { return 2_000_000 + margin, nil }
	got, err := l.Pull(t.Context(), "a/b", quick())
	if err != nil {
		t.Fatal(err)
	}
	whole(t, got.Entry, repo)
}

// TestDiskFull holds that a disk that fills up while it is written is told
// from one that fails.
func TestDiskFull(t *testing.T) {
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	if _, err = f.Write([]byte("x")); !errors.Is(diskError(err), ErrNoSpace) || temporary(diskError(err)) {
		t.Errorf("got %v", diskError(err))
	}
	if err := diskError(os.ErrPermission); errors.Is(err, ErrNoSpace) || !errors.Is(err, os.ErrPermission) || temporary(err) {
		t.Errorf("got %v", err)
	}
}

// TestWait holds that two pulls of one model do not both write: the second
// says so, or waits and finds the work done.
func TestWait(t *testing.T) {
	h := newFakeHub(t)
	repo := h.add("a/b", sharded())
	h.throttle = 15 * time.Millisecond
	l := testLibrary(t, h)
	began, first := make(chan struct{}, 1), make(chan error, 1)
	go func() {
		o := quick()
		o.Progress = func(p Progress) {
			if p.Done > 0 {
				select {
				case began <- struct{}{}:
				default:
				}
			}
		}
		_, err := l.Pull(context.Background(), "a/b", o)
		first <- err
	}()
	<-began
	_, err := l.Pull(t.Context(), "a/b", quick())
	if !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), "this program is writing") {
		t.Errorf("second pull: %v", err)
	}
	if _, err := l.Remove("a/b"); !errors.Is(err, ErrBusy) {
		t.Errorf("remove while it is pulled: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	o := quick()
	o.Wait = true
	if _, err := l.Pull(ctx, "a/b", o); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a wait that ends: %v", err)
	}
	cancel()
	waited := false
	o.Progress = func(p Progress) { waited = waited || p.Stage == Waiting }
	got, err := l.Pull(t.Context(), "a/b", o)
	if err != nil || got.Fetched != 0 || !waited {
		t.Errorf("waiting pull: fetched %d, waited %v, %v", got.Fetched, waited, err)
	}
	if err := <-first; err != nil {
		t.Error(err)
	}
	whole(t, got.Entry, repo)
	if _, sent := h.counts(); sent > got.Size()+30_000 {
		t.Errorf("%d bytes were sent for a model of %d", sent, got.Size())
	}
}

// TestConfigCheck holds what ParseConfig is used for here.
func TestConfigCheck(t *testing.T) {
	if _, err := checkpoint.ParseConfig("config.json", model().ConfigJSON()); err != nil {
		t.Error(err)
	}
}

// TestRetryAfterIsKept holds that a busy hub is not asked again before the
// time it gives.
func TestRetryAfterIsKept(t *testing.T) {
	t.Parallel()
	h := newFakeHub(t)
	repo := h.add("a/b", single())
	var busy, back time.Time
	h.fault = func(w http.ResponseWriter, r *http.Request, data []byte) bool {
		switch {
		case len(data) < big:
			return false
		case busy.IsZero():
			busy = time.Now()
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			return true
		}
		back = time.Now()
		return false
	}
	o := quick()
	notes := 0
	o.Progress = func(p Progress) {
		if p.Waits.Pause == time.Second && errors.Is(p.Waits.Err, ErrHub) && strings.HasSuffix(p.Waits.String(), "429 Too Many Requests; next try in 1s") {
			notes++
		}
	}
	got, err := testLibrary(t, h).Pull(t.Context(), "a/b", o)
	if err != nil {
		t.Fatal(err)
	}
	whole(t, got.Entry, repo)
	if waited := back.Sub(busy); waited < time.Second || notes == 0 {
		t.Errorf("asked again after %v, said so %d times", waited, notes)
	}
}
