package cli

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"kestrel/app/backend"
	"kestrel/app/library"
	"kestrel/engine/checkpoint"
	"kestrel/engine/checkpoint/checkpointtest"
	"kestrel/engine/weights"
)

// hubOf serves one repository, a/b, as a hub does. What answer returns true
// for, it has answered itself.
func hubOf(t *testing.T, files fstest.MapFS, answer func(http.ResponseWriter, *http.Request) bool) *httptest.Server {
	t.Helper()
	const commit = "0123456789abcdef0123456789abcdef01234567"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, isFile := strings.CutPrefix(r.URL.Path, "/a/b/resolve/"+commit+"/")
		switch {
		case answer != nil && answer(w, r):
		case r.URL.Path == "/api/models/a/b/revision/main":
			fmt.Fprintf(w, `{"sha":%q}`, commit)
		case r.URL.Path == "/api/models/a/b/tree/"+commit:
			var entries []map[string]any
			for name, f := range files {
				blob := sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", len(f.Data)), f.Data...))
				e := map[string]any{"type": "file", "path": name, "size": len(f.Data), "oid": fmt.Sprintf("%x", blob)}
				if strings.HasSuffix(name, ".safetensors") {
					e["lfs"] = map[string]any{"oid": fmt.Sprintf("%x", sha256.Sum256(f.Data)), "size": len(f.Data)}
				}
				entries = append(entries, e)
			}
			_ = json.NewEncoder(w).Encode(entries)
		case isFile && files[name] != nil:
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(files[name].Data)))
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server
}

// atHome runs the command line with a library of the test's own.
func atHome(t *testing.T, hub string) func(input string, sys IO, args ...string) result {
	t.Helper()
	home := t.TempDir()
	t.Setenv("KESTREL_HOME", home)
	env := map[string]string{"KESTREL_HOME": home, "HF_ENDPOINT": hub}
	return func(input string, sys IO, args ...string) result {
		t.Helper()
		sys.Getenv = func(key string) string { return env[key] }
		if sys.Engine == nil {
			sys.Engine = fake("hi")
		}
		return call(t, sys, input, args...)
	}
}

func smallModel() fstest.MapFS {
	return checkpointtest.Random(3, checkpointtest.Small(checkpoint.FalconMamba)).HF(checkpointtest.All(weights.F32))
}

func TestModelLibrary(t *testing.T) {
	files := smallModel()
	files["README.md"] = &fstest.MapFile{Data: []byte("x")}
	hub := hubOf(t, files, nil)
	run := atHome(t, hub.URL)

	if got := run("", IO{}, "model", "list"); got.code != 0 || got.out != "" || !strings.Contains(got.err, "list --known") {
		t.Errorf("empty: %+v", got)
	}
	if got := run("", IO{}, "model", "list", "--json"); got.out != "[]\n" || got.err != "" {
		t.Errorf("empty: %+v", got)
	}
	if got := run("", IO{}, "model", "list", "--known"); got.code != 0 || !strings.Contains(got.out, "tiiuae/falcon-mamba-7b-instruct ") || !strings.Contains(got.out, "13.5 GiB") {
		t.Errorf("known: %+v", got)
	}
	got := run("", IO{}, "model", "pull", "a/b", "--json")
	var pulled pullJSON
	if err := json.Unmarshal([]byte(got.out), &pulled); err != nil || got.code != 0 || !pulled.Ready || pulled.Name != "a/b" || pulled.Fetched != pulled.Bytes || pulled.State != "complete" {
		t.Fatalf("pull: %+v, %v", got, err)
	}
	if got = run("", IO{}, "model", "pull", "a/b"); got.code != 0 || !strings.HasPrefix(got.out, pulled.Path+"\n") || !strings.Contains(got.out, "0 B of it now") {
		t.Errorf("again: %+v", got)
	}
	if got = run("", IO{}, "model", "list"); got.code != 0 || !strings.Contains(got.out, "a/b") || !strings.Contains(got.out, "complete") || !strings.Contains(got.out, "at 0123456789ab") {
		t.Errorf("list: %+v", got)
	}
	for _, name := range []string{"a/b", "b"} {
		if got = run("", IO{}, "model", "info", name, "--json"); got.code != 0 || !strings.Contains(got.out, `"name":"b"`) || !strings.Contains(got.out, pulled.Path) {
			t.Errorf("info %s: %+v", name, got)
		}
		if path, err := backend.Locate(name); err != nil || path != pulled.Path {
			t.Errorf("%s is at %s, %v", name, path, err)
		}
	}
	if got = run("", IO{}, "model", "verify"); got.code != 0 || !strings.Contains(got.out, "a/b: every byte") {
		t.Errorf("verify: %+v", got)
	}
	file := filepath.Join(pulled.Path, "model.safetensors")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-1] ^= 1
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if got = run("", IO{}, "model", "verify", "b"); got.code != 1 || !strings.Contains(got.out, "model.safetensors: its contents changed") || !strings.Contains(got.err, "--check") {
		t.Errorf("verify a wrong byte: %+v", got)
	}
	if got = run("", IO{}, "model", "verify", "b", "--json"); got.code != 1 || !strings.Contains(got.out, `"ok":false`) {
		t.Errorf("verify a wrong byte: %+v", got)
	}
	if got = run("", IO{}, "model", "pull", "a/b", "--check"); got.code != 0 {
		t.Errorf("check: %+v", got)
	}
	if got = run("", IO{}, "model", "verify", "b"); got.code != 0 {
		t.Errorf("verify after a check: %+v", got)
	}

	dir := filepath.Join(t.TempDir(), "mine")
	if err := os.CopyFS(dir, smallModel()); err != nil {
		t.Fatal(err)
	}
	if got = run("", IO{}, "model", "import", dir); got.code != 0 || !strings.HasPrefix(got.out, "mine: ") {
		t.Errorf("import: %+v", got)
	}
	if got = run("", IO{}, "model", "list", "--json"); strings.Count(got.out, `"ready":true`) != 2 || !strings.Contains(got.out, `"source":"reference"`) {
		t.Errorf("list: %+v", got)
	}

	// Removal asks, and wants --yes where it cannot.
	for _, test := range []struct {
		input    string
		terminal bool
		args     string
		code     int
		err      string
		left     int
	}{
		{"", false, "b", 2, "give --yes", 2},
		{"\n", true, "b", 0, "delete a/b", 2},
		{"no\n", true, "b", 0, "[y/N]", 2},
		{"", true, "b", 0, "[y/N]", 2},
		{"y\n", true, "mine", 0, "its files in " + dir + " stay", 1},
		{"", false, "b --yes", 0, "out of the library", 0},
		{"", false, "b --yes", 1, "no model of this name", 0},
	} {
		got := run(test.input, IO{InTerminal: test.terminal}, append([]string{"model", "remove"}, strings.Fields(test.args)...)...)
		if got.code != test.code || got.out != "" || !strings.Contains(got.err, test.err) {
			t.Errorf("remove %s with %q: %+v; want code %d and %q", test.args, test.input, got, test.code, test.err)
		}
		if list := run("", IO{}, "model", "list", "--json"); strings.Count(list.out, `"name"`) != test.left {
			t.Errorf("remove %s with %q: left %s", test.args, test.input, list.out)
		}
	}
	if _, err := checkpoint.Open(dir); err != nil {
		t.Errorf("the files of a reference: %v", err)
	}
}

func TestModelLibraryUsage(t *testing.T) {
	hub := hubOf(t, fstest.MapFS{"config.json": {Data: []byte(`{"model_type":"llama"}`)}, "model.safetensors": {Data: []byte("x")}}, nil)
	run := atHome(t, hub.URL)
	for _, test := range []struct {
		args string
		code int
		err  string
	}{
		{"model pull", 2, "want one model"},
		{"model pull a", 2, "not of the form"},
		{"model pull a/b:../x.gguf", 2, "outside"},
		{"model pull a/b --parallel 0", 2, "--parallel 0"},
		{"model pull a/b", 1, `this is "llama"`},
		{"model pull a/none", 1, "check the name"},
		{"model import", 2, "want one PATH"},
		{"model import /nonexistent", 1, "no such file"},
		{"model verify none", 1, "no model of this name"},
		{"model remove", 2, "want one NAME"},
		{"model remove none", 1, "no model of this name"},
		{"model list extra", 2, "no argument"},
		{"model info a/none", 1, "'kestrel model pull a/none' gets it"},
		{"model info mamba-130m-hf", 1, "'kestrel model pull state-spaces/mamba-130m-hf' gets it"},
		{"model info no-such", 1, "'kestrel model pull' gets others"},
	} {
		if got := run("", IO{}, strings.Fields(test.args)...); got.code != test.code || !strings.Contains(got.err, test.err) || got.out != "" {
			t.Errorf("kestrel %s: %+v; want code %d and %q", test.args, got, test.code, test.err)
		}
	}
	if got := call(t, IO{Engine: fake("")}, "", "model", "list"); got.code != 1 || !strings.Contains(got.err, "KESTREL_HOME") {
		t.Errorf("no HOME: %+v", got)
	}
}

// TestPullInterrupted holds that Ctrl-C ends a download, says how to go on,
// and that the same command does.
func TestPullInterrupted(t *testing.T) {
	waiting := make(chan struct{}, 10)
	hold := true
	hub := hubOf(t, smallModel(), func(w http.ResponseWriter, r *http.Request) bool {
		if !hold || !strings.HasSuffix(r.URL.Path, "model.safetensors") {
			return false
		}
		w.Header().Set("Content-Length", "1000000")
		_, _ = w.Write(smallModel()["model.safetensors"].Data[:5000])
		w.(http.Flusher).Flush()
		waiting <- struct{}{}
		<-r.Context().Done()
		return true
	})
	run := atHome(t, hub.URL)
	signals := make(chan os.Signal, 1)
	go func() {
		<-waiting
		time.Sleep(50 * time.Millisecond) // for the bytes to arrive
		signals <- syscall.SIGINT
	}()
	if got := run("", IO{Signals: signals}, "model", "pull", "a/b"); got.code != 130 || got.out != "" || !strings.Contains(got.err, "goes on where it was") {
		t.Errorf("interrupt: %+v", got)
	}
	if got := run("", IO{}, "model", "list"); !strings.Contains(got.out, "are here") {
		t.Errorf("list: %+v", got)
	}
	if got := run("", IO{}, "model", "info", "a/b"); got.code != 1 || !strings.Contains(got.err, "'kestrel model pull a/b' goes on with it") {
		t.Errorf("use of a part: %+v", got)
	}
	hold = false
	if got := run("", IO{}, "model", "pull", "a/b"); got.code != 0 {
		t.Errorf("going on: %+v", got)
	}
}

func TestTransfer(t *testing.T) {
	now := time.Unix(0, 0)
	p := library.Progress{Stage: library.Downloading, File: "model.safetensors", Done: 1 << 30, Total: 4 << 30, Rate: 50 << 20, ETA: 61 * time.Second}
	show := func(terminal bool, steps ...library.Progress) string {
		var out strings.Builder
		tr := (&app{IO: IO{Err: &out, ErrTerminal: terminal}}).transfer()
		tr.now, tr.start = func() time.Time { return now }, now.Add(-time.Minute)
		for _, p := range steps {
			now = now.Add(time.Second)
			tr.show(p)
		}
		tr.clear()
		return out.String()
	}
	if got, want := show(true, p), "\r\x1b[Kdownloading [======                  ] 25% of 4.0 GiB, 50.0 MiB/s, 1m1s left\r\x1b[K"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := show(false, p, p, p), "downloading: 25% of 4.0 GiB, 50.0 MiB/s, 1m1s left\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := show(false, library.Progress{Stage: library.Waiting, Waits: library.Wait{Err: &library.Error{Kind: library.ErrBusy, Problem: "process 7 is writing this model", Way: "wait for it, or end it"}}}); !strings.Contains(got, "process 7 is writing this model; waiting") {
		t.Errorf("got %q", got)
	}
	p.Waits = library.Wait{Err: errors.New(strings.Repeat("the hub is busy ", 20)), Pause: time.Second}
	if got := []rune(bar(p)); len(got) > 79 {
		t.Errorf("a bar of %d columns", len(got))
	}
}
