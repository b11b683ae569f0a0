package library

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// DefaultEndpoint is the hub where HF_ENDPOINT names no other.
const DefaultEndpoint = "https://huggingface.co"

// hub speaks the HTTP interface of Hugging Face's hub, as its client library
// huggingface_hub does. The token goes to the endpoint alone: redirects are
// followed here, not by http.Client, so that what each host is told is in one
// place.
type hub struct {
	base   *url.URL // endpoint, without a slash at its end
	token  string
	client *http.Client
	tries  int           // in a row, without getting anywhere
	pause  time.Duration // before the second try; doubles
	stall  time.Duration // without a byte, after which a connection is given up
	waits  func(Wait)    // told what is being waited for
}

const (
	maxRedirects = 10
	maxPause     = 30 * time.Second
	maxRetry     = 10 * time.Minute // the longest Retry-After that is waited for
)

func newHub(getenv func(string) string, o *PullOptions, waits func(Wait)) (*hub, error) {
	endpoint := o.Endpoint
	if endpoint == "" {
		endpoint = getenv("HF_ENDPOINT")
	}
	if endpoint == "" {
		endpoint = DefaultEndpoint
	}
	base, err := url.Parse(strings.TrimRight(strings.TrimSpace(endpoint), "/"))
	if err != nil || base.Scheme != "https" && base.Scheme != "http" || base.Host == "" || base.RawQuery != "" || base.Fragment != "" {
		return nil, &Error{Kind: ErrHub, Problem: "the endpoint " + quote(endpoint) + " is no web address", Way: "set HF_ENDPOINT to one such as " + DefaultEndpoint}
	}
	if offline := strings.ToUpper(getenv("HF_HUB_OFFLINE")); offline == "1" || offline == "TRUE" || offline == "ON" || offline == "YES" {
		return nil, &Error{Kind: ErrHub, Problem: "HF_HUB_OFFLINE is set", Way: "unset it to download"}
	}
	h := &hub{base: base, token: o.Token, tries: o.tries(), pause: o.pause(), stall: o.stall(), waits: waits}
	if h.token == "" {
		h.token = findToken(getenv)
	}
	if strings.ContainsFunc(h.token, func(r rune) bool { return r <= ' ' || r >= unicode.MaxASCII }) {
		return nil, &Error{Kind: ErrDenied, Problem: "the token has a character that no token has", Way: "check HF_TOKEN"}
	}
	if h.token != "" && base.Scheme == "http" && !loopback(base.Hostname()) {
		h.token = ""
		o.warn("the token is not sent: " + base.Host + " is not asked through https")
	}
	transport := o.Transport
	if transport == nil {
		transport = newTransport(o.parallel())
	}
	h.client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return h, nil
}

// newTransport is http.DefaultTransport with the bounds of long downloads:
// proxies from the environment, no end to a body that moves.
func newTransport(parallel int) *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   15 * time.Second,
		ResponseHeaderTimeout: time.Minute,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConnsPerHost:   parallel,
		DisableCompression:    true, // hashes and ranges are of the bytes themselves
	}
}

// findToken looks where huggingface_hub does.
func findToken(getenv func(string) string) string {
	if t := strings.TrimSpace(getenv("HF_TOKEN")); t != "" {
		return t
	}
	file := getenv("HF_TOKEN_PATH")
	if file == "" {
		dir := getenv("HF_HOME")
		if dir == "" && getenv("XDG_CACHE_HOME") != "" {
			dir = filepath.Join(getenv("XDG_CACHE_HOME"), "huggingface")
		}
		home := getenv("HOME")
		if home == "" {
			home = getenv("USERPROFILE")
		}
		if dir == "" && home != "" {
			dir = filepath.Join(home, ".cache", "huggingface")
		}
		if dir == "" {
			return ""
		}
		file = filepath.Join(dir, "token")
	}
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// home reports whether u is of the endpoint: the one place the token goes.
func (h *hub) home(u *url.URL) bool {
	return u.Scheme == h.base.Scheme && strings.EqualFold(u.Host, h.base.Host)
}

// url is the address of a path below the endpoint; every part is escaped.
func (h *hub) url(parts ...string) *url.URL {
	u := *h.base
	raw := strings.TrimRight(u.EscapedPath(), "/")
	for _, p := range parts {
		raw += "/" + url.PathEscape(p)
	}
	u.RawPath = raw
	u.Path, _ = url.PathUnescape(raw) // what PathEscape wrote
	return &u
}

// request is one question to the hub.
type request struct {
	method string // "" for GET
	url    *url.URL
	from   int64     // first byte wanted
	until  int64     // the byte after the last one wanted; 0 for all
	seen   validator // of the bytes that are there already
}

// validator is the strong ETag of some bytes and the host that gave it: one of
// another host says nothing about them.
type validator struct{ ETag, Host string }

// answer is the last response of a chain of redirects.
type answer struct {
	*http.Response
	host string // that gave it
	home bool   // it is the endpoint
	// what the endpoint said of the file, on whichever response
	linkedETag string // SHA-256 of an LFS file, without quotes
	linkedSize int64  // -1 where it did not say
	commit     string
}

// ask sends a request and follows redirects. The answer has status 200 or 206
// and a body to close; all else is an error. A HEAD request stays at the
// endpoint.
func (h *hub) ask(ctx context.Context, r request) (*answer, error) {
	method := r.method
	if method == "" {
		method = http.MethodGet
	}
	a := &answer{linkedSize: -1}
	u := r.url
	for range maxRedirects + 1 {
		req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", u.Redacted(), err)
		}
		req.Header.Set("User-Agent", "kestrel")
		req.Header.Set("Accept-Encoding", "identity")
		switch {
		case r.until > 0:
			req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", r.from, r.until-1))
		case r.from > 0:
			req.Header.Set("Range", fmt.Sprintf("bytes=%d-", r.from))
		}
		if r.from > 0 && r.seen.ETag != "" && r.seen.Host == u.Host {
			req.Header.Set("If-Range", r.seen.ETag)
		}
		home := h.home(u)
		if home && h.token != "" {
			req.Header.Set("Authorization", "Bearer "+h.token)
		}
		resp, err := h.client.Do(req)
		if err != nil {
			return nil, plainURLError(err)
		}
		if home {
			a.learn(resp.Header)
		}
		location := resp.Header.Get("Location")
		if resp.StatusCode < 300 || resp.StatusCode > 399 || location == "" {
			a.Response, a.host, a.home = resp, u.Host, home
			return a, h.check(a, u)
		}
		resp.Body.Close()
		next, err := u.Parse(location)
		if err != nil || next.Host == "" || next.Scheme != "https" && (next.Scheme != "http" || u.Scheme == "https") {
			return nil, &Error{Kind: ErrHub, Problem: u.Host + " redirects to " + quote(location) + ", which is no place to go"}
		}
		if method == http.MethodHead && !h.home(next) {
			resp.Body, resp.StatusCode = http.NoBody, http.StatusOK
			resp.Header.Del("Content-Length") // of the redirect itself
			a.Response, a.host, a.home = resp, u.Host, home
			return a, nil
		}
		u = next
	}
	return nil, &Error{Kind: ErrHub, Problem: fmt.Sprintf("%s redirects more than %d times", h.base.Host, maxRedirects)}
}

// learn keeps what the endpoint says of the file beside its contents, which
// may come from elsewhere.
func (a *answer) learn(header http.Header) {
	if etag := header.Get("X-Linked-Etag"); etag != "" {
		a.linkedETag = plainETag(etag)
	}
	if n, err := strconv.ParseInt(header.Get("X-Linked-Size"), 10, 64); err == nil && n >= 0 {
		a.linkedSize = n
	}
	if c := header.Get("X-Repo-Commit"); sha1Form.MatchString(c) {
		a.commit = c
	}
}

func plainETag(etag string) string {
	return strings.Trim(strings.TrimPrefix(strings.TrimSpace(etag), "W/"), `"`)
}

// check turns all but 200 and 206 into an error and closes the body.
func (h *hub) check(a *answer, u *url.URL) error {
	if a.StatusCode == http.StatusOK || a.StatusCode == http.StatusPartialContent {
		if enc := a.Header.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
			a.Body.Close()
			return &Error{Kind: ErrHub, Problem: u.Host + " sends the file compressed (" + show(enc) + ") although that was declined"}
		}
		return nil
	}
	a.Body.Close()
	return &statusError{
		status: a.StatusCode, host: u.Host, home: a.home, hasToken: h.token != "",
		code: show(a.Header.Get("X-Error-Code")), message: show(a.Header.Get("X-Error-Message")),
		after: retryAfter(a.Header, time.Now()),
	}
}

// show makes what a server says fit for a message.
func show(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	if len(s) > 200 {
		s = s[:200] + "…"
	}
	return strings.ToValidUTF8(s, "?")
}

// plainURLError drops the address of a url.Error, which can hold a signature.
func plainURLError(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		u, parseErr := url.Parse(ue.URL)
		if op := new(net.OpError); parseErr != nil || errors.As(ue.Err, &op) && op.Op == "dial" { // which says where to
			return ue.Err
		}
		return fmt.Errorf("%s: %w", u.Host, ue.Err)
	}
	return err
}
