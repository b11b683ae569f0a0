package library

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// pullVariable makes the test program pull a model and end: another process,
// which a test can kill.
const pullVariable = "KESTREL_TEST_PULL"

func TestMain(m *testing.M) {
	if name := os.Getenv(pullVariable); name != "" {
		os.Exit(pullAlone(name))
	}
	os.Exit(m.Run())
}

func pullAlone(name string) int {
	l, err := Open(os.Getenv)
	if err == nil {
		o := quick()
		o.Wait = os.Getenv("KESTREL_TEST_WAIT") != ""
		_, err = l.Pull(context.Background(), name, o)
	}
	switch {
	case err == nil:
		return 0
	case errors.Is(err, ErrBusy):
		fmt.Println(err)
		return 3
	}
	fmt.Println(err)
	return 1
}

// another is a process that pulls a model into the library at home.
func another(t *testing.T, h *fakeHub, home, name string, env ...string) (*exec.Cmd, *strings.Builder) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append([]string{pullVariable + "=" + name, "KESTREL_HOME=" + home, "HOME=" + home, "HF_ENDPOINT=" + h.api.URL}, env...)
	out := new(strings.Builder)
	cmd.Stdout, cmd.Stderr = out, out
	return cmd, out
}

// TestKill kills a process in the middle of a pull, again and again at random
// bytes: what it leaves is sound, its lock is gone with it, and the next goes
// on where it was.
func TestKill(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many processes")
	}
	h := newFakeHub(t)
	repo := h.add("a/b", sharded())
	r := rand.New(rand.NewPCG(1, 9))
	home := scratch(t)
	l := At(filepath.Join(home, "models"), func(key string) string { return map[string]string{"HF_ENDPOINT": h.api.URL}[key] })
	killed := 0
	var have int64
	for range 12 {
		h.set(func() { h.throttle = 3 * time.Millisecond })
		h.counts()
		cmd, out := another(t, h, home, "a/b")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		at := 10_000 + r.Int64N(120_000)
		var err error
		for running := true; running; {
			select {
			case err = <-ended:
				running = false
			case <-time.After(500 * time.Microsecond):
				h.mu.Lock()
				sent := h.sent
				h.mu.Unlock()
				if sent > at {
					_ = cmd.Process.Kill() // as kill -9
					err = <-ended
					running = false
				}
			}
		}
		if err == nil {
			break // it was faster
		}
		if cmd.ProcessState.Exited() {
			t.Fatalf("the process ended by itself: %v\n%s", err, out)
		}
		killed++
		sound(t, l, repo, "a/b")
		if e, err := l.Find("a/b"); err == nil {
			if e.Have < have {
				t.Errorf("%d bytes are here, before the kill %d", e.Have, have)
			}
			have = e.Have
		}
	}
	if killed < 3 {
		t.Fatalf("only %d processes were killed", killed)
	}
	h.set(func() { h.throttle = 0 })
	got, err := l.Pull(t.Context(), "a/b", quick())
	if err != nil {
		t.Fatal(err)
	}
	whole(t, got.Entry, repo)
	if want := got.Size() - have; got.Fetched != want && got.Fetched != 0 {
		t.Errorf("fetched %d bytes, %d were missing", got.Fetched, want)
	}
	t.Logf("%d processes killed; %d of %d bytes were there", killed, have, got.Size())
}

// TestTwoProcesses holds that a second process says that a first one is at
// work, and which, or waits for it.
func TestTwoProcesses(t *testing.T) {
	h := newFakeHub(t)
	repo := h.add("a/b", sharded())
	h.throttle = 20 * time.Millisecond
	home := scratch(t)
	first, out := another(t, h, home, "a/b")
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	for start := time.Now(); ; time.Sleep(time.Millisecond) {
		h.mu.Lock()
		sent := h.sent
		h.mu.Unlock()
		if sent > 50_000 {
			break
		}
		if time.Since(start) > 20*time.Second {
			t.Fatalf("the first process does not begin: %s", out)
		}
	}
	second, said := another(t, h, home, "a/b")
	if err := second.Run(); second.ProcessState.ExitCode() != 3 || !strings.Contains(said.String(), fmt.Sprintf("process %d is writing", first.Process.Pid)) {
		t.Errorf("second process: %v, %q", err, said)
	}
	h.set(func() { h.throttle = 0 })
	third, said := another(t, h, home, "a/b", "KESTREL_TEST_WAIT=1")
	if err := third.Run(); err != nil {
		t.Errorf("waiting process: %v, %q", err, said)
	}
	if err := first.Wait(); err != nil {
		t.Errorf("first process: %v, %s", err, out)
	}
	l := At(filepath.Join(home, "models"), os.Getenv)
	e, err := l.Find("a/b")
	if err != nil {
		t.Fatal(err)
	}
	whole(t, e, repo)
	if _, sent := h.counts(); sent > e.Size()+30_000 {
		t.Errorf("%d bytes were sent for a model of %d", sent, e.Size())
	}
}

// TestProxy holds that the environment's proxy is used, and not told the token
// of a hub behind another name.
func TestProxy(t *testing.T) {
	h := newFakeHub(t)
	repo := h.add("a/b", single())
	back, err := url.Parse(h.api.URL)
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Host == "hub.example" { // an absolute address, as proxies get them
			asked.Add(1)
			r.URL.Host = back.Host
		}
		r.RequestURI = ""
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		for k, v := range resp.Header {
			w.Header()[k] = v
		}
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
	}))
	defer proxy.Close()
	home := scratch(t)
	cmd, out := another(t, h, home, "a/b", "HTTP_PROXY="+proxy.URL, "HF_ENDPOINT=http://hub.example")
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	e, err := At(filepath.Join(home, "models"), os.Getenv).Find("a/b")
	if err != nil {
		t.Fatal(err)
	}
	whole(t, e, repo)
	if asked.Load() < 4 {
		t.Errorf("the proxy was asked %d times", asked.Load())
	}
}
