package library

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"kestrel/engine/checkpoint/checkpointtest"
	"kestrel/engine/weights"
)

// FuzzIndex reads any bytes as the pages of a hub's index, and chooses a model
// out of them: no name that could lead elsewhere is ever chosen.
func FuzzIndex(f *testing.F) {
	f.Add([]byte(`[{"type":"file","oid":"0123456789012345678901234567890123456789","size":3,"path":"config.json"},{"type":"directory","oid":"","size":0,"path":"x"},`+
		`{"type":"file","size":9,"path":"model.safetensors","lfs":{"oid":"`+strings.Repeat("ab", 32)+`","size":5000,"pointerSize":134}}]`),
		[]byte(`{"sha":"0123456789012345678901234567890123456789","siblings":[{"rfilename":"config.json"}],"tags":["x"]}`), `</next>; rel="next"`, "")
	f.Add([]byte(`[{"type":"file","path":"../../model.safetensors","size":1,"oid":""},{"type":"file","path":"a\\b.gguf","size":-1}]`),
		[]byte(`{"weight_map":{"a":"../x.safetensors","b":"model-00001-of-00002.safetensors"}}`), `<https://x/>;rel=next`, "m.gguf")
	f.Add([]byte(`[]`), []byte(`{}`), `<<>>;;rel="next"`, "../x.gguf")
	from, err := url.Parse("https://hub.example/api")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, tree, info []byte, link, file string) {
		if u, err := nextPage(http.Header{"Link": {link}}, from); err == nil && u != nil && (u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
			t.Errorf("next page at %s", u)
		}
		commit, names, err := parseInfo(bytes.NewReader(info))
		if err == nil && commit != "" && !sha1Form.MatchString(commit) {
			t.Errorf("commit %q", commit)
		}
		files, err := parseTree(bytes.NewReader(tree), 1000)
		if err != nil {
			files = nil
		}
		for _, l := range []*listing{{files: files}, {files: names}} {
			if l.check() != nil {
				continue
			}
			ref := Ref{Repo: "a/b"}
			if isGGUF(file) && checkPath(file) == nil {
				ref.File = file
			}
			p, err := choose(l, ref)
			if err != nil {
				if err.Error() == "" {
					t.Error("an error that says nothing")
				}
				continue
			}
			if p.index != "" {
				_ = p.narrow(info)
			}
			if len(p.files) == 0 {
				t.Error("a plan of no files")
			}
			for _, f := range p.files {
				if err := checkPath(f.Path); err != nil || !filepath.IsLocal(f.Path) || f.Size > maxFile || f.Size < -1 {
					t.Errorf("chose %+v: %v", f, err)
				}
				part := File{Name: f.Path, Size: f.Size, SHA256: f.SHA256, Blob: f.Blob}.part()
				if strings.ContainsAny(part, `/\:`) || len(part) > 120 {
					t.Errorf("part %q", part)
				}
			}
		}
		if names, err := shards(info); err == nil {
			for _, n := range names {
				if checkPath(n) != nil {
					t.Errorf("shard %q", n)
				}
			}
		}
	})
}

// FuzzManifest holds that a manifest is refused or leads nowhere else.
func FuzzManifest(f *testing.F) {
	good, err := json.Marshal(Manifest{Version: 1, Name: "a/b", Format: GGUF, State: Complete, Root: "abc/b", Open: "m.gguf", Source: Source{Kind: Hub, Repo: "a/b"},
		Files: []File{{Name: "m.gguf", Size: 2, SHA256: sha256Of(nil)}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(bytes.Replace(good, []byte("abc/b"), []byte("../../b"), 1))
	f.Add([]byte(`{"version":1,"name":"x","format":"safetensors","state":"partial","source":{"kind":"reference","path":"/x"},"root":"/x","files":[{"name":"a","size":1}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseManifest(data)
		if err != nil {
			if !errors.Is(err, ErrBadManifest) {
				t.Errorf("%v is no ErrBadManifest", err)
			}
			return
		}
		for _, file := range m.Files {
			if !filepath.IsLocal(file.Name) || file.Size < 0 {
				t.Errorf("file %+v", file)
			}
		}
		if m.Size() < 0 || m.Source.Kind != Reference && !filepath.IsLocal(m.Root) || m.Open != "" && !filepath.IsLocal(m.Open) {
			t.Errorf("%+v", m)
		}
		again, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parseManifest(again); err != nil {
			t.Errorf("what was read cannot be read again: %v", err)
		}
	})
}

// FuzzGGUFHead holds that the look at a file's beginning ends, whatever it is.
func FuzzGGUFHead(f *testing.F) {
	whole := model().GGUF(checkpointtest.All(weights.F16), 3)
	f.Add(whole[:1000])
	f.Add(whole[:40])
	f.Add([]byte("GGUF\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00\x00\x00\x00\x00\x00\x00a\x09\x00\x00\x00\x08\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\x7f"))
	f.Fuzz(func(t *testing.T, head []byte) {
		err := checkGGUF(head)
		if err != nil && !errors.Is(err, weights.ErrBadModel) && !errors.Is(err, weights.ErrUnsupported) {
			t.Errorf("got %v", err)
		}
	})
}

func TestGGUFHead(t *testing.T) {
	w := model().Writer(checkpointtest.All(weights.F16), 3)
	data, err := w.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{64 << 10, 1000, 80} {
		if arch, ok := ggufArchitecture(data[:n]); !ok || arch != "mamba" {
			t.Errorf("in %d bytes: %q, %v", n, arch, ok)
		}
	}
	for n := range 80 { // it may be too short to tell, and that is no refusal
		if err := checkGGUF(data[:n]); (err == nil) != (n >= 24) {
			t.Errorf("in %d bytes: %v", n, err)
		}
	}
	// The key need not be the first.
	head := []byte("GGUF\x02\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00")
	text := func(s string) string { return fmt.Sprintf("%c\x00\x00\x00\x00\x00\x00\x00%s", len(s), s) }
	head = append(head, text("a")+"\x04\x00\x00\x00\x07\x00\x00\x00"+ // uint32
		text("b")+"\x09\x00\x00\x00\x08\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00"+text("x")+text("yz")+ // strings
		text("c")+"\x09\x00\x00\x00\x05\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00"+ // int32s
		text("general.architecture")+"\x08\x00\x00\x00"+text("qwen2")...)
	if err := checkGGUF(head); !errors.Is(err, weights.ErrUnsupported) || !strings.Contains(err.Error(), `"qwen2"`) {
		t.Errorf("got %v", err)
	}
}

// TestIndexMemory holds that an index costs memory in proportion to its bytes.
func TestIndexMemory(t *testing.T) {
	entry := `{"type":"file","path":"a"},`
	page := "[" + strings.Repeat(entry, 20_000) + `{"type":"file","path":"b"}]`
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	files, err := parseTree(strings.NewReader(page), maxFiles)
	runtime.ReadMemStats(&after)
	if err != nil || len(files) != 20_001 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 20*uint64(len(page)) {
		t.Errorf("%d bytes allocated in all for a page of %d", used, len(page))
	} else {
		t.Logf("%.1f bytes allocated in all for each of the page", float64(used)/float64(len(page)))
	}
	deep := strings.Repeat("[", 1<<20)
	if _, err := parseTree(strings.NewReader(deep), maxFiles); err == nil {
		t.Error("a page of brackets passes")
	}
	if _, _, err := parseInfo(strings.NewReader(`{"x":` + deep)); err == nil {
		t.Error("nested brackets pass")
	}
	body := &limited{r: strings.NewReader("[" + strings.Repeat(" ", maxPage+10) + "]"), left: maxPage}
	if _, err := parseTree(body, maxFiles); !errors.Is(err, ErrHub) || !strings.Contains(err.Error(), "more than") {
		t.Errorf("a page that is too long: %v", err)
	}
}
