package library

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Ref names a model on a hub.
type Ref struct {
	Repo     string // "owner/repo"
	Revision string // branch, tag or commit; "" for main
	File     string // a .gguf file of the repository; "" for its safetensors, or its only GGUF
}

const mainRevision = "main"

var (
	repoForm     = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,95}/[A-Za-z0-9_][A-Za-z0-9._-]{0,95}$`)
	revisionForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+/-]{0,199}$`)
)

// ParseRef reads "owner/repo[@revision][:file.gguf]", the last part of a
// known model's name, or the address of a page of the hub. The error is
// ErrBadName or ErrUnsafe.
func ParseRef(s string) (Ref, error) {
	s = strings.TrimSpace(s)
	var r Ref
	switch {
	case strings.Contains(s, "://"):
		var err error
		if r, err = parseAddress(s); err != nil {
			return Ref{}, err
		}
	default:
		var hasFile, hasRevision bool
		r.Repo, r.File, hasFile = strings.Cut(s, ":")
		r.Repo, r.Revision, hasRevision = strings.Cut(r.Repo, "@")
		if hasFile && r.File == "" || hasRevision && r.Revision == "" {
			return Ref{}, badRef(s, "nothing follows the last sign")
		}
		if k, ok := known(r.Repo); ok && !strings.Contains(r.Repo, "/") && !hasFile {
			r.Repo, r.File = k.Ref.Repo, k.Ref.File
		}
	}
	if r.Revision == mainRevision {
		r.Revision = ""
	}
	switch {
	case !repoForm.MatchString(r.Repo) || strings.Contains(r.Repo, ".."):
		return Ref{}, badRef(s, "not of the form owner/repo, owner/repo@revision or owner/repo:file.gguf")
	case r.Revision != "" && (!revisionForm.MatchString(r.Revision) || strings.Contains(r.Revision, "..") || strings.Contains(r.Revision, "//")):
		return Ref{}, badRef(s, "no branch, tag or commit can be called "+quote(r.Revision))
	case r.File == "":
		return r, nil
	case !isGGUF(r.File):
		return Ref{}, badRef(s, "a file that is named must be a .gguf; leave it out for safetensors")
	}
	if err := checkPath(r.File); err != nil {
		err.(*Error).Way = "" // it is the user's own
		return Ref{}, err
	}
	return r, nil
}

func badRef(s, problem string) error {
	return &Error{Kind: ErrBadName, Problem: quote(s) + ": " + problem,
		Way: "for example tiiuae/falcon-mamba-7b-instruct; 'kestrel model list --known' shows more"}
}

// parseAddress reads what people copy from a browser:
// https://host/owner/repo[/(tree|blob|resolve)/revision[/file]].
func parseAddress(s string) (Ref, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return Ref{}, badRef(s, "not a web address")
	}
	var parts []string
	for p := range strings.SplitSeq(strings.Trim(u.EscapedPath(), "/"), "/") {
		p, err := url.PathUnescape(p)
		if err != nil {
			return Ref{}, badRef(s, "not a web address")
		}
		parts = append(parts, p)
	}
	if len(parts) < 2 {
		return Ref{}, badRef(s, "the address of no model")
	}
	r := Ref{Repo: parts[0] + "/" + parts[1]}
	if len(parts) == 2 {
		return r, nil
	}
	if len(parts) < 4 || !slices.Contains([]string{"tree", "blob", "resolve"}, parts[2]) {
		return Ref{}, badRef(s, "the address of no model")
	}
	r.Revision = parts[3]
	r.File = path.Join(parts[4:]...)
	if r.File != "" && !isGGUF(r.File) { // a page of the repository
		r.File = ""
	}
	return r, nil
}

// Name is how the library calls the model: the reference, without what goes
// without saying.
func (r Ref) Name() string {
	name := r.Repo
	if r.Revision != "" && r.Revision != mainRevision {
		name += "@" + r.Revision
	}
	if r.File != "" {
		name += ":" + r.File
	}
	return name
}

func (r Ref) revision() string {
	if r.Revision == "" {
		return mainRevision
	}
	return r.Revision
}

func isGGUF(name string) bool { return strings.EqualFold(path.Ext(name), ".gguf") }

// checkName refuses names that an imported model should not have.
func checkName(name string) error {
	bad := func(problem string) error {
		return &Error{Kind: ErrBadName, Problem: quote(name) + " " + problem, Way: "choose a name of letters, digits, dots and dashes"}
	}
	switch {
	case strings.TrimSpace(name) != name || name == "":
		return bad("is empty or has space around it")
	case len(name) > 200:
		return bad("is too long")
	case strings.HasPrefix(name, "-"):
		return bad("looks like a flag")
	case strings.EqualFold(name, "demo"):
		return bad("is the built-in model")
	}
	for _, r := range name {
		if !unicode.IsPrint(r) || strings.ContainsRune(`/\`, r) {
			return bad("has a character that no name should have")
		}
	}
	return nil
}

// checkPath refuses a file name of a remote index that could mean another
// place than one below the model's folder, on any system: absolute, with "..",
// backslashes, drive letters, streams, devices, or characters that do not show.
func checkPath(p string) error {
	bad := func(problem string) error {
		return &Error{Kind: ErrUnsafe, Problem: "file name " + quote(p) + " " + problem, Way: "do not trust this repository"}
	}
	if !utf8.ValidString(p) || len(p) > 1024 {
		return bad("is not text, or far too long")
	}
	if !fs.ValidPath(p) || p == "." {
		return bad("leads outside the model's folder")
	}
	for _, r := range p {
		if !unicode.IsPrint(r) || strings.ContainsRune(`\:*?"<>|`, r) {
			return bad("has a character that no file should have")
		}
	}
	for elem := range strings.SplitSeq(p, "/") {
		switch {
		case len(elem) > 200:
			return bad("is far too long")
		case strings.HasSuffix(elem, ".") || strings.HasSuffix(elem, " ") || strings.HasPrefix(elem, " "):
			return bad("ends in a dot or a space")
		case isDevice(elem):
			return bad("is a device on some systems")
		}
	}
	return nil
}

var devices = regexp.MustCompile(`^(?i:con|prn|aux|nul|conin\$|conout\$|clock\$|(?:com|lpt)[0-9¹²³])$`)

func isDevice(elem string) bool {
	base, _, _ := strings.Cut(elem, ".")
	return devices.MatchString(strings.TrimRight(base, " "))
}

// folderName is the name of a model's folder: readable, and one that every
// system allows. Two models may share it where only case or dashes differ;
// the manifest tells.
func folderName(name string) string {
	plain := strings.NewReplacer("/", "--", ":", "--").Replace(name)
	safe := strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("._@+-", r)) {
			return r
		}
		return '_'
	}, plain)
	safe = strings.TrimRight(safe, ".")
	if safe == plain && len(safe) <= 120 && safe != "" && !strings.HasPrefix(safe, ".") && !isDevice(safe) {
		return safe
	}
	if isDevice(safe) {
		safe = "_" + safe
	}
	sum := sha256.Sum256([]byte(name))
	return strings.TrimLeft(safe[:min(len(safe), 100)], ".") + "_" + hex.EncodeToString(sum[:4])
}

func quote(s string) string {
	if len(s) > 120 {
		s = s[:120] + "…"
	}
	return fmt.Sprintf("%q", s)
}
