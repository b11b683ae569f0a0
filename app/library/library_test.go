package library

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"kestrel/engine/checkpoint"
	"kestrel/engine/checkpoint/checkpointtest"
	"kestrel/engine/weights"
)

// put writes files into a folder.
func put(t testing.TB, dir string, files fstest.MapFS) {
	t.Helper()
	for name, f := range files {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, f.Data, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
}

func emptyLibrary(t testing.TB) *Library {
	return At(filepath.Join(scratch(t), "models"), func(string) string { return "" })
}

func TestImport(t *testing.T) {
	l := emptyLibrary(t)
	dir := scratch(t)
	put(t, filepath.Join(dir, "my-mamba"), sharded())
	put(t, filepath.Join(dir, "one"), single())
	gguf := fstest.MapFS{"falcon.Q8.gguf": {Data: model().GGUF(checkpointtest.All(weights.F16), 3)}}
	put(t, filepath.Join(dir, "gguf"), gguf)
	before := snapshot(t, dir)

	e, err := l.Import(t.Context(), filepath.Join(dir, "my-mamba"), ImportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	repo := &fakeRepo{files: map[string][]byte{}}
	for name, f := range sharded() {
		repo.files[name] = f.Data
	}
	whole(t, e, repo, shardedFiles...)
	if e.Name != "my-mamba" || e.Path != filepath.Join(dir, "my-mamba") || e.Source.Kind != Reference {
		t.Errorf("%s at %s, %s", e.Name, e.Path, e.Source.Kind)
	}
	for _, test := range []struct{ path, name, open string }{
		{"gguf/falcon.Q8.gguf", "falcon.Q8", "gguf/falcon.Q8.gguf"}, {"one/model.safetensors", "single", "one/model.safetensors"}, {"gguf", "folder", "gguf"},
	} {
		o := ImportOptions{Name: test.name}
		if test.name == "falcon.Q8" {
			o.Name = ""
		}
		if e, err = l.Import(t.Context(), filepath.Join(dir, test.path), o); err != nil {
			t.Fatal(err)
		}
		if e.Name != test.name || e.Path != filepath.Join(dir, test.open) || !e.Ready() {
			t.Errorf("%s: %s at %s, %v", test.path, e.Name, e.Path, e.Err)
		}
		if path, err := l.Resolve(test.name); err != nil || path != e.Path {
			t.Errorf("%s resolves to %s, %v", test.name, path, err)
		}
	}
	// Again is no error, another model of the name is.
	if _, err := l.Import(t.Context(), filepath.Join(dir, "my-mamba"), ImportOptions{}); err != nil {
		t.Error(err)
	}
	if _, err := l.Import(t.Context(), filepath.Join(dir, "one"), ImportOptions{Name: "my-mamba"}); !errors.Is(err, ErrExists) {
		t.Errorf("a name that is taken: %v", err)
	}
	for _, name := range []string{"demo", "a/b", `a\b`, "-x", " ", "x\n", strings.Repeat("x", 300)} {
		if _, err := l.Import(t.Context(), filepath.Join(dir, "one"), ImportOptions{Name: name}); !errors.Is(err, ErrBadName) {
			t.Errorf("name %q: %v", name, err)
		}
	}
	if _, err := l.Import(t.Context(), filepath.Join(dir, "none"), ImportOptions{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no path: %v", err)
	}
	put(t, filepath.Join(dir, "llama"), fstest.MapFS{"config.json": {Data: []byte(`{"model_type":"llama"}`)}})
	if _, err := l.Import(t.Context(), filepath.Join(dir, "llama"), ImportOptions{}); !errors.Is(err, weights.ErrUnsupported) {
		t.Errorf("llama: %v", err)
	}
	os.RemoveAll(filepath.Join(dir, "llama"))

	// A copy does not need the original.
	copied, err := l.Import(t.Context(), filepath.Join(dir, "my-mamba"), ImportOptions{Name: "copied", Copy: true})
	if err != nil {
		t.Fatal(err)
	}
	whole(t, copied, repo, shardedFiles...)
	if filepath.Base(copied.Path) != "my-mamba" || !strings.HasPrefix(copied.Path, l.Dir()) {
		t.Errorf("the copy lies at %s", copied.Path)
	}
	if _, err := l.Import(t.Context(), copied.Path, ImportOptions{Name: "loop"}); !errors.Is(err, ErrExists) {
		t.Errorf("import out of the library: %v", err)
	}
	l.free = func(string) (int64, error) { return 1000, nil }
	if _, err := l.Import(t.Context(), filepath.Join(dir, "one"), ImportOptions{Name: "full", Copy: true}); !errors.Is(err, ErrNoSpace) {
		t.Errorf("full disk: %v", err)
	}
	l.free = freeSpace
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, copying := range []bool{false, true} {
		if _, err := l.Import(ctx, filepath.Join(dir, "one"), ImportOptions{Name: "stopped", Copy: copying}); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		if path, err := l.Resolve("stopped"); err == nil {
			t.Errorf("a cancelled import resolves to %s", path)
		}
	}
	if e, err = l.Import(t.Context(), filepath.Join(dir, "one"), ImportOptions{Name: "stopped", Copy: true}); err != nil || !e.Ready() {
		t.Errorf("after a cancelled import: %v", err)
	}

	// Removal of a reference leaves its files.
	for _, name := range []string{"my-mamba", "falcon.Q8", "single", "folder"} {
		if freed, err := l.Remove(name); err != nil || freed != 0 {
			t.Errorf("remove %s: %d, %v", name, freed, err)
		}
	}
	if after := snapshot(t, dir); !reflect.DeepEqual(before, after) {
		t.Error("the library changed files that are not its own")
	}
	if freed, err := l.Remove("copied"); err != nil || freed != copied.Size() {
		t.Errorf("remove of the copy: %d of %d, %v", freed, copied.Size(), err)
	}
}

func TestVerify(t *testing.T) {
	h := newFakeHub(t)
	h.add("a/b", sharded())
	l := testLibrary(t, h)
	dir := scratch(t)
	put(t, filepath.Join(dir, "ref"), single())
	got, err := l.Pull(t.Context(), "a/b", quick())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Import(t.Context(), filepath.Join(dir, "ref"), ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	var last Progress
	for _, name := range []string{"a/b", "b", "ref"} {
		r, err := l.Verify(t.Context(), name, func(p Progress) { last = p })
		if err != nil || !r.OK() || len(r.Checks) != len(r.Files) || last.Done != r.Size() || last.Stage != Hashing {
			t.Fatalf("%s: %+v, %v, progress %+v", name, r, err, last)
		}
	}
	root := got.root()
	shard := filepath.Join(root, "model-00001-of-00002.safetensors")
	data, _ := os.ReadFile(shard)
	data[len(data)/2] ^= 4
	if err := errors.Join(os.WriteFile(shard, data, 0o644), os.Remove(filepath.Join(root, "tokenizer.json")), os.Truncate(filepath.Join(root, "config.json"), 5),
		os.WriteFile(filepath.Join(dir, "ref", "config.json"), model().ConfigJSON()[1:], 0o644)); err != nil {
		t.Fatal(err)
	}
	r, err := l.Verify(t.Context(), "a/b", nil)
	if err != nil {
		t.Fatal(err)
	}
	wrong := map[string]string{}
	for _, c := range r.Checks {
		if c.Problem != "" {
			wrong[c.File] = c.Problem
		}
	}
	if len(wrong) != 3 || !strings.Contains(wrong["model-00001-of-00002.safetensors"], "hash") || wrong["tokenizer.json"] != "missing" || !strings.Contains(wrong["config.json"], "5 bytes") {
		t.Errorf("found %v", wrong)
	}
	if r, err = l.Verify(t.Context(), "ref", nil); err != nil || r.OK() {
		t.Errorf("a reference that changed: %+v, %v", r, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Verify(ctx, "a/b", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := l.Verify(t.Context(), "none", nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("no model: %v", err)
	}
}

func TestFind(t *testing.T) {
	l := emptyLibrary(t)
	if list, err := l.List(); err != nil || len(list) != 0 {
		t.Errorf("a library that is not there: %v, %v", list, err)
	}
	file := File{Name: "x", SHA256: sha256Of(nil)}
	for _, m := range []Manifest{
		{Name: "A/One", Source: Source{Kind: Hub, Repo: "A/One", Revision: "main"}},
		{Name: "b/one", Source: Source{Kind: Hub, Repo: "b/one", Revision: "main"}},
		{Name: "b/two", Source: Source{Kind: Hub, Repo: "b/two", Revision: "main"}},
		{Name: "b/two@v1", Source: Source{Kind: Hub, Repo: "b/two", Revision: "v1"}},
		{Name: "b/g:s/m.Q8.gguf", Source: Source{Kind: Hub, Repo: "b/g", Revision: "main", File: "s/m.Q8.gguf"}},
		{Name: "mine", Source: Source{Kind: Copy}},
	} {
		m.Format, m.State, m.Root, m.Files = Safetensors, Complete, "r", []File{file}
		put(t, l.folder(m.Name), fstest.MapFS{"r/x": {}})
		if err := m.write(l.folder(m.Name)); err != nil {
			t.Fatal(err)
		}
	}
	put(t, l.Dir(), fstest.MapFS{"a-file": {}, "empty/x": {}, ".hidden/manifest.json": {}, "broken/manifest.json": {Data: []byte("{")}, "moved/manifest.json": elsewhere(t, l)})
	for name, want := range map[string]string{
		"A/One": "A/One", "a/one": "A/One", "b/one": "b/one", "One": "A/One", "one": "b/one", "b/two": "b/two", "two": "b/two", "TWO": "b/two", "b/two@v1": "b/two@v1",
		"b/two@main": "b/two", "m.Q8.gguf": "b/g:s/m.Q8.gguf", "m.Q8": "b/g:s/m.Q8.gguf", "M.q8": "b/g:s/m.Q8.gguf", "mine": "mine", "MINE": "mine", "broken": "broken",
	} {
		if e, err := l.Find(name); err != nil || e.Name != want {
			t.Errorf("%s: %v, %v; want %s", name, e, err, want)
		}
	}
	for name, kind := range map[string]error{"ONE": ErrAmbiguous, "g": ErrNotFound, "": ErrNotFound, "three": ErrNotFound, "../models/mine": ErrNotFound} {
		if e, err := l.Find(name); !errors.Is(err, kind) {
			t.Errorf("%q: %+v, %v; want %v", name, e, err, kind)
		}
	}
	if _, err := l.Resolve("broken"); !errors.Is(err, ErrBadManifest) {
		t.Errorf("broken: %v", err)
	}
	list, err := l.List()
	var names []string
	for _, e := range list {
		names = append(names, e.Name)
	}
	if want := []string{"A/One", "b/g:s/m.Q8.gguf", "b/one", "b/two", "b/two@v1", "broken", "elsewhere", "mine"}; err != nil || !slices.Equal(names, want) {
		t.Fatalf("%q, %v; want %q", names, err, want)
	}
	for _, name := range []string{"broken", "mine"} {
		if _, err := l.Remove(name); err != nil {
			t.Errorf("remove %s: %v", name, err)
		}
		if _, err := l.Find(name); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s is still there: %v", name, err)
		}
	}
}

// elsewhere is the manifest of another folder.
func elsewhere(t *testing.T, l *Library) *fstest.MapFile {
	data, err := os.ReadFile(filepath.Join(l.folder("mine"), manifestName))
	if err != nil {
		t.Fatal(err)
	}
	return &fstest.MapFile{Data: []byte(strings.Replace(string(data), `"mine"`, `"elsewhere"`, 1))}
}

func TestInfo(t *testing.T) {
	l := emptyLibrary(t)
	dir := scratch(t)
	put(t, filepath.Join(dir, "m"), single())
	if _, err := l.Import(t.Context(), filepath.Join(dir, "m"), ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	d, err := l.Info("m")
	if err != nil {
		t.Fatal(err)
	}
	var n int64
	for _, tensor := range model().Tensors {
		n += int64(len(tensor.Values))
	}
	if d.Parameters != n || d.WeightBytes != 2*n || d.Config.Kind != checkpoint.FalconMamba {
		t.Errorf("%d parameters in %d bytes, want %d in F16; %s", d.Parameters, d.WeightBytes, n, d.Config)
	}
	os.Remove(filepath.Join(dir, "m", "model.safetensors"))
	if _, err := l.Info("m"); !errors.Is(err, ErrNotComplete) {
		t.Errorf("files gone: %v", err)
	}
}

func TestHome(t *testing.T) {
	for _, test := range []struct {
		system string
		env    map[string]string
		want   string
	}{
		{"linux", map[string]string{"HOME": "/h"}, "/h/.local/share/kestrel"},
		{"linux", map[string]string{"HOME": "/h", "XDG_DATA_HOME": "/d"}, "/d/kestrel"},
		{"linux", map[string]string{"HOME": "/h", "XDG_DATA_HOME": "d"}, "/h/.local/share/kestrel"},
		{"darwin", map[string]string{"HOME": "/h", "XDG_DATA_HOME": "/d"}, "/h/Library/Application Support/kestrel"},
		{"windows", map[string]string{"LOCALAPPDATA": "/l"}, "/l/kestrel"},
		{"windows", map[string]string{"USERPROFILE": "/u"}, "/u/AppData/Local/kestrel"},
		{"linux", map[string]string{"HOME": "/h", "KESTREL_HOME": "/k"}, "/k"},
		{"linux", nil, ""},
	} {
		got, err := homeOn(test.system, func(key string) string { return test.env[key] })
		if got != test.want || (err == nil) == (test.want == "") {
			t.Errorf("%s %v: %s, %v; want %s", test.system, test.env, got, err, test.want)
		}
	}
}

// TestKnown holds the shapes to what is published.
func TestKnown(t *testing.T) {
	for s, want := range map[shape]int64{falcon7B: 7_272_665_088, mamba130M: 129_135_360} {
		if got := s.parameters(); got != want {
			t.Errorf("%+v: %d parameters, want %d", s, got, want)
		}
	}
	seen := map[string]bool{}
	for _, k := range KnownModels() {
		if ref, err := ParseRef(k.Ref.Name()); err != nil || ref != k.Ref {
			t.Errorf("%s: %+v, %v", k.Ref.Name(), ref, err)
		}
		if seen[k.Ref.Name()] || k.Bytes < k.Parameters/2 || k.Bytes > 4*k.Parameters || k.Note == "" || strings.HasSuffix(k.Note, "; ") {
			t.Errorf("%+v", k)
		}
		seen[k.Ref.Name()] = true
	}
	// The hub shows 11.1 GB for mamba-2.8b, 517 MB for mamba-130m, 4.96 + 4.99 + 4.6 GB for falcon-mamba-7b.
	for repo, want := range map[string]float64{"mamba-2.8b-hf": 11.1e9, "mamba-130m-hf": 517e6, "falcon-mamba-7b": 14.55e9} {
		if k, ok := known(repo); !ok || math.Abs(float64(k.Bytes)/want-1) > 0.005 {
			t.Errorf("%s: %d bytes, want about %.0f", repo, k.Bytes, want)
		}
	}
}

// TestMeter holds rate and time left over a clock of the test's own.
func TestMeter(t *testing.T) {
	now := time.Unix(0, 0)
	m := newMeter(nil, func() time.Time { return now })
	m.stage(Downloading, 10_000)
	m.there("a", 2000) // from an earlier pull: not part of the rate
	m.flush(false)
	for range 4 {
		now = now.Add(time.Second)
		m.add("b", 500)
		m.flush(false)
	}
	if m.p.Done != 4000 || m.p.Rate != 500 || m.p.ETA != 12*time.Second || m.fetched() != 2000 || m.p.File != "b" {
		t.Errorf("after 4 s: %+v", m.p)
	}
	for range 30 { // nothing comes for half a minute
		now = now.Add(time.Second)
		m.flush(false)
	}
	if m.p.Rate != 0 || m.p.ETA != -1 {
		t.Errorf("after a pause: %+v", m.p)
	}
	m.close()
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-7": 0, "x": 0, "99999999999999": 0, "Thu, 02 Jan 2025 03:04:35 GMT": 30 * time.Second, "Thu, 02 Jan 2025 03:04:00 GMT": 0,
	} {
		if got := retryAfter(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
	if got := retryAfter(http.Header{"Ratelimit": {`"resolvers";r=0;t=172`}}, now); got != 172*time.Second {
		t.Errorf("RateLimit: %v", got)
	}
}

func TestNextPage(t *testing.T) {
	from, _ := url.Parse("https://hub.example/api/models/a/b/tree/main?recursive=true")
	for header, want := range map[string]string{
		"": "",
		`<https://hub.example/x?cursor=1>; rel="next"`: "https://hub.example/x?cursor=1",
		`</y?cursor=2>; rel=next`:                      "https://hub.example/y?cursor=2",
		`</p>; rel="prev", </n>; rel="next"`:           "https://hub.example/n",
		`</p>; rel="prev"`:                             "",
		`</n>; title="next"`:                           "",
		`nonsense`:                                     "",
		`<`:                                            "",
		`<ftp://x>; rel="next"`:                        "error",
		`<https://other.example/x>; title="a,b"; rel="next"; x=<y>, </z>`: "https://other.example/x",
	} {
		got, err := nextPage(http.Header{"Link": {header}}, from)
		text := ""
		if got != nil {
			text = got.String()
		}
		if err != nil {
			text = "error"
		}
		if text != want {
			t.Errorf("%s: %s, want %s", header, text, want)
		}
	}
}

func TestManifest(t *testing.T) {
	good := Manifest{Version: 1, Name: "a/b", Format: Safetensors, State: Complete, Root: "abc/b", Source: Source{Kind: Hub, Repo: "a/b"},
		Files: []File{{Name: "config.json", Size: 2, SHA256: sha256Of([]byte("{}")), Blob: blobOf([]byte("{}"))}}}
	for name, change := range map[string]func(m *Manifest){
		"": func(*Manifest) {}, "version": func(m *Manifest) { m.Version = 2 }, "name": func(m *Manifest) { m.Name = "" }, "format": func(m *Manifest) { m.Format = "onnx" },
		"state": func(m *Manifest) { m.State = "" }, "kind": func(m *Manifest) { m.Source.Kind = "x" }, "root": func(m *Manifest) { m.Root = "../x" },
		"absolute root": func(m *Manifest) { m.Root = "/x" }, "relative reference": func(m *Manifest) { m.Source.Kind = Reference }, "open": func(m *Manifest) { m.Open = "../x" },
		"no files": func(m *Manifest) { m.Files = nil }, "file": func(m *Manifest) { m.Files[0].Name = "../../x" }, "size": func(m *Manifest) { m.Files[0].Size = -1 },
		"hash": func(m *Manifest) { m.Files[0].SHA256 = "x" }, "no hash": func(m *Manifest) { m.Files[0].SHA256 = "" }, "blob": func(m *Manifest) { m.Files[0].Blob = "../x" },
	} {
		m := good
		m.Files = append([]File(nil), good.Files...)
		change(&m)
		data, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parseManifest(data); (err == nil) != (name == "") || err != nil && !errors.Is(err, ErrBadManifest) {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, text := range []string{"", "{", "null", "[]", "{} x", `{"version":1,"files":{}}`} {
		if _, err := parseManifest([]byte(text)); !errors.Is(err, ErrBadManifest) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
