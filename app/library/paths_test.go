package library

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf8"
)

// attacks are names that mean another place somewhere. Each ends in what a
// pull looks for.
var attacks = []string{
	"../config.json", "../../model.safetensors", "a/../../tokenizer.json", "./config.json", "/config.json", "/etc/model.safetensors", "//x/config.json",
	`..\config.json`, `a\..\..\model.safetensors`, `C:\model.safetensors`, "C:model.safetensors", `\\server\share\model.safetensors`,
	"con/model.safetensors", "sub/NUL.gguf", "com1.gguf", "aux.safetensors", "sub/LPT¹.x.gguf", "model.safetensors:stream.gguf",
	"a\x00/model.safetensors", "a\n/config.json", "\u202emodel.safetensors", ".\u200b./config.json", "a//model.safetensors", "a/./config.json",
	"dir./model.safetensors", "dir /model.safetensors", " /model.safetensors", "x?/model.safetensors", "a|b/config.json", "*.gguf",
	strings.Repeat("a", 300) + "/config.json", strings.Repeat("ab/", 500) + "config.json", "\xff\xfe/model.safetensors",
}

// snapshot lists every file below a folder with its contents.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		data := []byte(d.Type().String())
		if d.Type().IsRegular() {
			data, err = os.ReadFile(p)
		}
		all[rel] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestPathsOfAttack(t *testing.T) {
	for _, name := range attacks {
		if err := checkPath(name); !errors.Is(err, ErrUnsafe) {
			t.Errorf("%q passes: %v", name, err)
		}
	}
	for _, name := range []string{"config.json", "a/b/c.gguf", "model-00001-of-00002.safetensors", "Modèle 7B (ä).gguf", "..gguf", "a..b/x.gguf", "console/x.gguf", "模型.gguf"} {
		if err := checkPath(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	h := newFakeHub(t)
	repo := h.add("a/b", single())
	for _, name := range attacks {
		for _, entry := range []map[string]any{
			{"type": "file", "path": name, "size": 2, "oid": blobOf([]byte("{}"))},
			{"type": "file", "path": name, "size": 5000, "oid": blobOf(nil), "lfs": map[string]any{"oid": sha256Of(nil), "size": 5000}},
		} {
			h.set(func() { repo.extra = []map[string]any{entry} })
			base := scratch(t)
			outside := filepath.Join(base, "outside")
			l := At(filepath.Join(base, "home", "models"), testLibrary(t, h).getenv)
			if err := errors.Join(os.MkdirAll(outside, 0o755), os.WriteFile(filepath.Join(outside, "config.json"), []byte("mine"), 0o644)); err != nil {
				t.Fatal(err)
			}
			before := snapshot(t, outside)
			got, err := l.Pull(t.Context(), "a/b", quick())
			switch {
			case err == nil: // it is not one of the files that are needed
				whole(t, got.Entry, repo, "config.json", "model.safetensors")
			case !errors.Is(err, ErrUnsafe) && !errors.Is(err, ErrHub):
				t.Errorf("%q: %v", name, err)
			}
			if after := snapshot(t, outside); !maps.Equal(before, after) {
				t.Errorf("%q: outside is now %q", name, after)
			}
			for p := range snapshot(t, base) {
				if first, _, _ := strings.Cut(p, "/"); first != "." && first != "home" && first != "outside" {
					t.Errorf("%q wrote %s", name, p)
				}
			}
		}
		// As the file that the user asks for, and as one that an index of shards names.
		if _, err := ParseRef("a/b:" + name); err == nil {
			t.Errorf("a/b:%q passes", name)
		}
	}
}

// TestLinksInTheIndex holds that what the index calls a link is not fetched.
func TestLinksInTheIndex(t *testing.T) {
	h := newFakeHub(t)
	repo := h.add("a/b", single())
	for _, kind := range []string{"symlink", "unknown", "directory", "commit", "FILE"} {
		repo.alter = func(e map[string]any) {
			if e["path"] == "model.safetensors" {
				e["type"] = kind
			}
		}
		l := testLibrary(t, h)
		if _, err := l.Pull(t.Context(), "a/b", quick()); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

// TestLinksOnTheDisk holds that a pull does not follow links out of the
// model's folder, whoever put them there.
func TestLinksOnTheDisk(t *testing.T) {
	h := newFakeHub(t)
	repo := h.add("a/b", single())
	part := File{Name: "model.safetensors", SHA256: sha256Of(repo.files["model.safetensors"])}.part()
	for _, link := range []string{"parts", repo.commit[:12], repo.commit[:12] + "/b", "parts/" + part, "parts/" + part + ".etag", repo.commit[:12] + "/b/config.json", "manifest.json"} {
		base := scratch(t)
		outside := filepath.Join(base, "outside")
		l := At(filepath.Join(base, "models"), testLibrary(t, h).getenv)
		at := filepath.Join(l.folder("a/b"), filepath.FromSlash(link))
		target := outside
		if strings.Contains(filepath.Base(link), ".") {
			target = filepath.Join(outside, "file")
		}
		if err := errors.Join(os.MkdirAll(outside, 0o755), os.WriteFile(filepath.Join(outside, "file"), []byte("mine"), 0o644),
			os.MkdirAll(filepath.Dir(at), 0o755), os.Symlink(target, at)); err != nil {
			t.Skip(err)
		}
		before := snapshot(t, outside)
		got, err := l.Pull(t.Context(), "a/b", quick())
		if err == nil {
			whole(t, got.Entry, repo, "config.json", "model.safetensors")
		}
		if after := snapshot(t, outside); !maps.Equal(before, after) {
			t.Errorf("%s: outside is now %q (%v)", link, after, err)
		}
		if _, err := l.Remove("a/b"); err != nil && !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: remove: %v", link, err)
		}
		if after := snapshot(t, outside); !maps.Equal(before, after) {
			t.Errorf("%s: after the removal outside is %q", link, after)
		}
	}
}

// TestIndexOfShards holds that an index of shards is not followed outside.
func TestIndexOfShards(t *testing.T) {
	for _, name := range attacks {
		if strings.ContainsAny(name, "\x00\n\\") || !utf8.ValidString(name) {
			continue // not in this JSON
		}
		if _, err := shards([]byte(`{"weight_map":{"a":"` + name + `"}}`)); !errors.Is(err, ErrUnsafe) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestParseRef(t *testing.T) {
	for text, want := range map[string]Ref{
		"tiiuae/falcon-mamba-7b":               {Repo: "tiiuae/falcon-mamba-7b"},
		" a/b ":                                {Repo: "a/b"},
		"a/b@main":                             {Repo: "a/b"},
		"a/b@v1.0":                             {Repo: "a/b", Revision: "v1.0"},
		"a/b@refs/pr/1":                        {Repo: "a/b", Revision: "refs/pr/1"},
		"a/b:x.gguf":                           {Repo: "a/b", File: "x.gguf"},
		"a/b@v1:sub/x.Q4_K_M.GGUF":             {Repo: "a/b", Revision: "v1", File: "sub/x.Q4_K_M.GGUF"},
		"falcon-mamba-7b-instruct":             {Repo: "tiiuae/falcon-mamba-7b-instruct"},
		"MAMBA-130M-HF":                        {Repo: "state-spaces/mamba-130m-hf"},
		"falcon-mamba-7b-instruct-Q8_0-GGUF":   {Repo: "tiiuae/falcon-mamba-7b-instruct-Q8_0-GGUF", File: "falcon-mamba-7B-instruct-Q8_0.gguf"},
		"https://huggingface.co/a/b":           {Repo: "a/b"},
		"https://huggingface.co/a/b/tree/main": {Repo: "a/b"},
		"https://hf.co/a/b/blob/v1/README.md":  {Repo: "a/b", Revision: "v1"},
		"https://huggingface.co/a/b/resolve/main/x.gguf?download=true": {Repo: "a/b", File: "x.gguf"},
		"https://huggingface.co/a/b/tree/refs%2Fpr%2F1/":               {Repo: "a/b", Revision: "refs/pr/1"},
	} {
		if got, err := ParseRef(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "a", "a/", "/b", "a/b/c", "a/b@", "a/b:", "a/b:x.safetensors", "a/b:x", "../b", "a/..", "a b/c", "a/b@-x", "a/b@a..b", "a/b@x//y",
		"a/b@x y", "a/b?x", "a/b#x", "a\\b", "-a/b", "https://huggingface.co/a", "https://huggingface.co/a/b/c", "file:///a/b", "ftp://x/a/b", "https://h/%zz/b",
		"https://h/a%2f..%2fb/c", strings.Repeat("a", 100) + "/b"} {
		if got, err := ParseRef(text); !errors.Is(err, ErrBadName) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for want, r := range map[string]Ref{"a/b": {Repo: "a/b", Revision: "main"}, "a/b@v1:s/x.gguf": {Repo: "a/b", Revision: "v1", File: "s/x.gguf"}} {
		if r.Name() != want {
			t.Errorf("%+v is called %s, want %s", r, r.Name(), want)
		}
	}
}

func TestFolderNames(t *testing.T) {
	for name, want := range map[string]string{
		"tiiuae/falcon-mamba-7b": "tiiuae--falcon-mamba-7b", "a/b@v1.0": "a--b@v1.0", "a/b:x.Q8_0.gguf": "a--b--x.Q8_0.gguf", "mine": "mine",
	} {
		if got := folderName(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	seen := map[string]string{}
	for _, name := range append(slices.Clone(attacks), "con", "NUL", "a/b:ä.gguf", "a/b:ö.gguf", "a/b:x y.gguf", "a/b:x_y.gguf", "a.", ".", "..", ".git", strings.Repeat("n", 200), strings.Repeat("n", 201)) {
		got := folderName(name)
		if checkPath(got) != nil || strings.ContainsAny(got, `/\`) || got[0] == '.' || len(got) > 130 {
			t.Errorf("%q has the folder %q", name, got)
		}
		if other, ok := seen[got]; ok {
			t.Errorf("%q and %q share %s", name, other, got)
		}
		seen[got] = name
	}
}

// TestSharedFolder holds that a model does not take over another's folder.
func TestSharedFolder(t *testing.T) {
	h := newFakeHub(t)
	h.add("a--x/b", single())
	h.add("a/x--b", single())
	l := testLibrary(t, h)
	if _, err := l.Pull(t.Context(), "a--x/b", quick()); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Pull(t.Context(), "a/x--b", quick()); !errors.Is(err, ErrExists) || !strings.Contains(err.Error(), "a--x/b") {
		t.Errorf("got %v", err)
	}
}

// TestLies holds that an index that makes no sense is refused.
func TestLies(t *testing.T) {
	h := newFakeHub(t)
	for name, alter := range map[string]func(map[string]any){
		"negative size": func(e map[string]any) { e["size"], e["lfs"] = -5, nil },
		"vast size": func(e map[string]any) {
			if e["path"] == "model.safetensors" {
				e["lfs"].(map[string]any)["size"] = int64(1) << 60
			}
		},
		"a long config": func(e map[string]any) {
			if e["path"] == "config.json" {
				e["size"] = 1 << 30
			}
		},
		"no hash": func(e map[string]any) { e["oid"] = "xyz" },
		"short hash": func(e map[string]any) {
			if lfs, ok := e["lfs"].(map[string]any); ok {
				lfs["oid"] = "1234"
			}
		},
		"no path": func(e map[string]any) { e["path"] = "" },
		"twice":   func(e map[string]any) { e["path"] = "config.json" },
	} {
		repo := h.add("a/b", single())
		repo.alter = func(e map[string]any) {
			if e["type"] == "file" {
				alter(e)
			}
		}
		l := testLibrary(t, h)
		h.counts()
		if _, err := l.Pull(t.Context(), "a/b", quick()); !errors.Is(err, ErrHub) {
			t.Errorf("%s: %v", name, err)
		}
		if _, sent := h.counts(); sent > 20_000 {
			t.Errorf("%s: %d bytes came", name, sent)
		}
		if list, _ := l.List(); len(list) > 0 {
			t.Errorf("%s: it is listed", name)
		}
	}
	// A size or hash that is another than the file's: refused after the fact.
	for name, alter := range map[string]func(lfs map[string]any, data []byte){
		"too long":     func(lfs map[string]any, data []byte) { lfs["size"] = len(data) + 1 },
		"too short":    func(lfs map[string]any, data []byte) { lfs["size"] = len(data) - 1 },
		"another hash": func(lfs map[string]any, data []byte) { lfs["oid"] = sha256Of(nil) },
	} {
		repo := h.add("a/b", single())
		repo.alter = func(e map[string]any) {
			if lfs, ok := e["lfs"].(map[string]any); ok {
				alter(lfs, repo.files["model.safetensors"])
			}
		}
		l := testLibrary(t, h)
		if _, err := l.Pull(t.Context(), "a/b", quick()); !errors.Is(err, ErrHub) && !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
		sound(t, l, repo, "a/b")
	}
	// Pages without end.
	repo := h.add("a/b", single())
	h.page = 1
	repo.extra = slices.Repeat([]map[string]any{{"type": "directory", "path": "d", "oid": ""}}, 300)
	if _, err := testLibrary(t, h).Pull(t.Context(), "a/b", quick()); !errors.Is(err, ErrHub) || !strings.Contains(err.Error(), "no end") {
		t.Errorf("300 pages: %v", err)
	}
	h.add("a/b", fstest.MapFS{})
}
