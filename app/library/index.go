package library

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// RemoteFile is a file of a repository as the hub lists it.
type RemoteFile struct {
	Path   string
	Size   int64  // -1 where the hub does not say
	SHA256 string // of a file in LFS; else ""
	Blob   string // git's SHA-1 of a file in git itself; else ""
}

// listing is a repository at one commit.
type listing struct {
	commit string
	files  []RemoteFile
}

// Bounds on what a hub may answer.
const (
	maxPage  = 16 << 20 // bytes of one answer
	maxPages = 200
	// Nothing is lost yet: better to say soon that there is no connection.
	indexTries = 4
	maxFiles   = 100_000
	maxFile    = 1 << 40 // bytes of one file
)

func badIndex(format string, args ...any) error {
	return &Error{Kind: ErrHub, Problem: "the hub's index makes no sense: " + fmt.Sprintf(format, args...)}
}

// list asks for the files of a repository's revision: first for the commit it
// stands for, so that all else is of one state, then for the tree of that.
func (h *hub) list(ctx context.Context, ref Ref) (*listing, error) {
	owner, repo, _ := strings.Cut(ref.Repo, "/")
	var l listing
	var names []RemoteFile
	err := h.index(ctx, h.url("api", "models", owner, repo, "revision", ref.revision()), func(body io.Reader, a *answer) (err error) {
		l.commit, names, err = parseInfo(body)
		if err == nil && l.commit == "" {
			l.commit = a.commit
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if l.commit == "" {
		return nil, badIndex("it does not say the commit of %s", ref.revision())
	}
	next := h.url("api", "models", owner, repo, "tree", l.commit)
	next.RawQuery = "recursive=true"
	seen := map[string]bool{}
	for pages := 0; next != nil; pages++ {
		if pages >= maxPages || seen[next.String()] {
			return nil, badIndex("it has no end")
		}
		seen[next.String()] = true
		page := next
		var files []RemoteFile
		err := h.index(ctx, page, func(body io.Reader, a *answer) (err error) {
			if files, err = parseTree(body, maxFiles-len(l.files)); err != nil {
				return err
			}
			next, err = nextPage(a.Header, page)
			return err
		})
		if pages == 0 && isMissing(err) {
			// A hub without trees, such as some proxies: the names, and HEAD for the rest.
			l.files = names
			break
		}
		if err != nil {
			return nil, err
		}
		l.files = append(l.files, files...)
	}
	return &l, l.check()
}

func isMissing(err error) bool {
	var status *statusError
	return errors.As(err, &status) && status.home && status.status == http.StatusNotFound
}

// index fetches a JSON answer of bounded size and hands it to parse.
func (h *hub) index(ctx context.Context, u *url.URL, parse func(io.Reader, *answer) error) error {
	return h.again(ctx, min(h.tries, indexTries), func() error {
		ctx, cancel := context.WithTimeoutCause(ctx, h.stall, errStalled)
		defer cancel()
		a, err := h.ask(ctx, request{url: u})
		if err != nil {
			return stalled(ctx, err)
		}
		defer a.Body.Close()
		body := &limited{r: a.Body, left: maxPage}
		if err := parse(body, a); err != nil {
			return stalled(ctx, err)
		}
		return nil
	})
}

// limited fails, rather than ends, where there is too much.
type limited struct {
	r    io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, badIndex("more than %d bytes", maxPage)
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}

// check refuses an index with a name twice; which one is meant?
func (l *listing) check() error {
	known := make(map[string]bool, len(l.files))
	for _, f := range l.files {
		if known[f.Path] {
			return badIndex("%s is there twice", quote(f.Path))
		}
		known[f.Path] = true
	}
	return nil
}

// find returns the file of that path.
func (l *listing) find(path string) (RemoteFile, bool) {
	for _, f := range l.files {
		if f.Path == path {
			return f, true
		}
	}
	return RemoteFile{}, false
}

// treeEntry is one element of the answer of /api/models/REPO/tree/REVISION.
type treeEntry struct {
	Type string `json:"type"` // "file", "directory"
	OID  string `json:"oid"`
	Size *int64 `json:"size"`
	Path string `json:"path"`
	LFS  *struct {
		OID  string `json:"oid"`
		Size *int64 `json:"size"`
	} `json:"lfs"`
}

// parseTree reads the files of one page of a tree, at most limit. It keeps
// names as they are; checkPath is for those that are to be written.
func parseTree(r io.Reader, limit int) ([]RemoteFile, error) {
	var files []RemoteFile
	err := eachElement(r, func(dec *json.Decoder) error {
		var e treeEntry
		if err := dec.Decode(&e); err != nil {
			return err
		}
		if e.Type == "" || e.Path == "" {
			return errors.New("an entry without type or path")
		}
		if e.Type != "file" { // directories; links have no contents to fetch
			return nil
		}
		f := RemoteFile{Path: e.Path, Size: -1}
		if e.LFS != nil {
			f.SHA256 = strings.TrimPrefix(e.LFS.OID, "sha256:")
			e.Size = e.LFS.Size
		} else {
			f.Blob = e.OID
		}
		if e.Size != nil {
			f.Size = *e.Size
		}
		if err := f.check(e.Size != nil); err != nil {
			return err
		}
		if files = append(files, f); len(files) > limit {
			return fmt.Errorf("more than %d files", maxFiles)
		}
		return nil
	})
	return files, err
}

func (f RemoteFile) check(sized bool) error {
	switch {
	case sized && (f.Size < 0 || f.Size > maxFile):
		return fmt.Errorf("%s has %d bytes", quote(f.Path), f.Size)
	case f.SHA256 != "" && !sha256Form.MatchString(f.SHA256), f.Blob != "" && !sha1Form.MatchString(f.Blob):
		return fmt.Errorf("%s has no proper hash", quote(f.Path))
	}
	return nil
}

// parseInfo reads the answer of /api/models/REPO/revision/REVISION: the commit
// and the names of the files.
func parseInfo(r io.Reader) (commit string, files []RemoteFile, err error) {
	dec := json.NewDecoder(r)
	err = object(dec, func(key string) error {
		switch key {
		case "sha":
			if err := dec.Decode(&commit); err != nil {
				return err
			}
			if commit != "" && !sha1Form.MatchString(commit) {
				return fmt.Errorf("%s is no commit", quote(commit))
			}
			return nil
		case "siblings":
			return array(dec, func() error {
				var s struct {
					Name string `json:"rfilename"`
				}
				if err := dec.Decode(&s); err != nil {
					return err
				}
				if s.Name == "" {
					return errors.New("a file without a name")
				}
				if files = append(files, RemoteFile{Path: s.Name, Size: -1}); len(files) > maxFiles {
					return fmt.Errorf("more than %d files", maxFiles)
				}
				return nil
			})
		}
		var skip json.RawMessage
		return dec.Decode(&skip)
	})
	if err != nil {
		return "", nil, indexError(err)
	}
	return commit, files, nil
}

// eachElement calls f with the decoder before each element of the one array
// that r must be: an index is never decoded as a whole.
func eachElement(r io.Reader, f func(*json.Decoder) error) error {
	dec := json.NewDecoder(r)
	if err := array(dec, func() error { return f(dec) }); err != nil {
		return indexError(err)
	}
	return nil
}

func indexError(err error) error {
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return &Error{Kind: ErrHub, Problem: "the hub's index makes no sense", Cause: err}
}

func array(dec *json.Decoder, element func() error) error {
	if err := open(dec, '['); err != nil {
		return err
	}
	for dec.More() {
		if err := element(); err != nil {
			return err
		}
	}
	_, err := dec.Token()
	return err
}

func object(dec *json.Decoder, member func(key string) error) error {
	if err := open(dec, '{'); err != nil {
		return err
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		if err := member(key.(string)); err != nil { // the decoder allows only strings here
			return err
		}
	}
	_, err := dec.Token()
	return err
}

func open(dec *json.Decoder, bracket json.Delim) error {
	t, err := dec.Token()
	if err == nil && t != bracket {
		err = fmt.Errorf("%v where %v was expected", t, bracket)
	}
	return err
}

// nextPage is the address of a Link header with rel="next" (RFC 8288), nil
// where there is none.
func nextPage(header http.Header, from *url.URL) (*url.URL, error) {
	for _, line := range header.Values("Link") {
		for line != "" {
			_, rest, ok := strings.Cut(line, "<")
			target, params, closed := strings.Cut(rest, ">")
			if !ok || !closed {
				break
			}
			params, line, _ = strings.Cut(params, "<")
			if line != "" {
				line = "<" + line
			}
			if !isNext(params) {
				continue
			}
			u, err := from.Parse(target)
			if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
				return nil, badIndex("the next page is at %s", quote(target))
			}
			return u, nil
		}
	}
	return nil, nil
}

func isNext(params string) bool {
	for p := range strings.FieldsFuncSeq(params, func(r rune) bool { return r == ';' || r == ',' }) {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if strings.EqualFold(name, "rel") && strings.EqualFold(strings.Trim(value, `"`), "next") {
			return true
		}
	}
	return false
}

// fill completes what the index left out about a file, from the headers of
// the file itself.
func (h *hub) fill(ctx context.Context, repo, commit string, f *RemoteFile) error {
	if f.Size >= 0 && (f.SHA256 != "" || f.Blob != "") {
		return nil
	}
	return h.again(ctx, min(h.tries, indexTries), func() error {
		a, err := h.ask(ctx, request{method: http.MethodHead, url: h.file(repo, commit, f.Path)})
		if err != nil {
			return err
		}
		a.Body.Close()
		size, etag := a.linkedSize, a.linkedETag
		if n, err := strconv.ParseInt(a.Header.Get("Content-Length"), 10, 64); size < 0 && err == nil {
			size = n
		}
		if etag == "" {
			etag = plainETag(a.Header.Get("ETag"))
		}
		if size < 0 || size > maxFile {
			return &Error{Kind: ErrHub, File: f.Path, Problem: "the hub does not say how long it is"}
		}
		switch {
		case sha256Form.MatchString(etag):
			f.SHA256 = etag
		case sha1Form.MatchString(etag):
			f.Blob = etag
		default:
			return &Error{Kind: ErrHub, File: f.Path, Problem: "the hub gives no hash to check it by", Way: "use another hub, or import the file"}
		}
		f.Size = size
		return nil
	})
}

// file is the address of a file's contents.
func (h *hub) file(repo, commit, path string) *url.URL {
	parts := append(strings.Split(repo, "/"), "resolve", commit)
	return h.url(append(parts, strings.Split(path, "/")...)...)
}
