package library

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"kestrel/engine/weights"
)

// Manifest says what a model of the library consists of: manifest.json in its
// folder. It is replaced as a whole, never changed in place.
type Manifest struct {
	Version int       `json:"version"` // of this format; 1
	Name    string    `json:"name"`
	Source  Source    `json:"source"`
	Format  Format    `json:"format"`
	State   State     `json:"state"`
	Root    string    `json:"root"`           // the folder of the files: below the manifest's, or absolute for a reference
	Open    string    `json:"open,omitempty"` // the file in Root that is the model; "" for Root itself
	Files   []File    `json:"files"`
	Changed time.Time `json:"changed"`
}

// Source is where a model comes from.
type Source struct {
	Kind     SourceKind `json:"kind"`
	Endpoint string     `json:"endpoint,omitempty"` // of the hub
	Repo     string     `json:"repo,omitempty"`
	Revision string     `json:"revision,omitempty"` // as asked for, such as main
	Commit   string     `json:"commit,omitempty"`   // what that was
	File     string     `json:"file,omitempty"`     // the GGUF file, where the repository has several
	Path     string     `json:"path,omitempty"`     // what was imported, absolute
}

// SourceKind is how a model came into the library.
type SourceKind string

const (
	Hub       SourceKind = "hub"       // pulled
	Copy      SourceKind = "copy"      // imported by copying
	Reference SourceKind = "reference" // imported where it lies; its files are not the library's
)

// Format is the format of the weights.
type Format string

const (
	Safetensors Format = "safetensors"
	GGUF        Format = "gguf"
)

// State says whether all files are there.
type State string

const (
	Complete State = "complete"
	Partial  State = "partial"
)

// File is one file of a model.
type File struct {
	Name   string `json:"name"` // below Root, with slashes
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256,omitempty"`   // in hexadecimal; not yet known while partial
	Blob   string `json:"git_blob,omitempty"` // git's name of the contents, where the hub keeps the file in git itself
	ETag   string `json:"etag,omitempty"`     // of the answer that brought it
}

const (
	manifestVersion  = 1
	maxManifest      = 1 << 20
	maxManifestFiles = 2000
)

var (
	sha256Form = regexp.MustCompile(`^[0-9a-f]{64}$`)
	sha1Form   = regexp.MustCompile(`^[0-9a-f]{40}$`)
)

// Size is the bytes of all files.
func (m *Manifest) Size() int64 {
	var n int64
	for _, f := range m.Files {
		n += f.Size
	}
	return n
}

// parseManifest reads a manifest and checks all that others rely on.
func parseManifest(data []byte) (*Manifest, error) {
	bad := func(format string, args ...any) error {
		return &Error{Kind: ErrBadManifest, File: manifestName, Problem: fmt.Sprintf(format, args...), Way: "remove the model and get it again"}
	}
	var m Manifest
	dec := json.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(&m); err != nil {
		return nil, bad("not the JSON of a manifest: %v", err)
	}
	if rest := bytes.TrimSpace(data[dec.InputOffset():]); len(rest) > 0 {
		return nil, bad("%d bytes follow the JSON", len(rest))
	}
	if m.Version != manifestVersion {
		return nil, &Error{Kind: ErrBadManifest, File: manifestName, Problem: fmt.Sprintf("version %d, this Kestrel knows %d", m.Version, manifestVersion),
			Way: "use the Kestrel that wrote it, or remove the model"}
	}
	switch {
	case m.Name == "":
		return nil, bad("no name")
	case m.State != Complete && m.State != Partial:
		return nil, bad("state %s", quote(string(m.State)))
	case m.Format != Safetensors && m.Format != GGUF:
		return nil, bad("format %s", quote(string(m.Format)))
	case m.Source.Kind != Hub && m.Source.Kind != Copy && m.Source.Kind != Reference:
		return nil, bad("source %s", quote(string(m.Source.Kind)))
	case len(m.Files) == 0 || len(m.Files) > maxManifestFiles:
		return nil, bad("%d files", len(m.Files))
	}
	if m.Source.Kind == Reference {
		if !filepath.IsAbs(m.Root) {
			return nil, bad("root %s is not absolute", quote(m.Root))
		}
	} else if checkPath(m.Root) != nil {
		return nil, bad("root %s", quote(m.Root))
	}
	if m.Open != "" && checkPath(m.Open) != nil {
		return nil, bad("file to open %s", quote(m.Open))
	}
	var total int64
	for _, f := range m.Files {
		switch {
		case m.Source.Kind == Reference && !fs.ValidPath(f.Name) || m.Source.Kind != Reference && checkPath(f.Name) != nil:
			return nil, bad("file name %s", quote(f.Name))
		case f.Size < 0 || f.Size > maxFile || total+f.Size < total:
			return nil, bad("%s has %d bytes", quote(f.Name), f.Size)
		case f.SHA256 != "" && !sha256Form.MatchString(f.SHA256), f.Blob != "" && !sha1Form.MatchString(f.Blob):
			return nil, bad("%s has no proper hash", quote(f.Name))
		case m.State == Complete && f.SHA256 == "":
			return nil, bad("%s has no hash", quote(f.Name))
		}
		total += f.Size
	}
	return &m, nil
}

// readManifest returns the manifest of a model's folder; fs.ErrNotExist where
// there is none.
func readManifest(folder string) (*Manifest, error) {
	f, err := os.Open(filepath.Join(folder, manifestName))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", f.Name(), err)
	}
	if len(data) > maxManifest {
		return nil, &Error{Kind: ErrBadManifest, File: manifestName, Problem: "far too long", Way: "remove the model and get it again"}
	}
	return parseManifest(data)
}

// manifestOf is readManifest for the one model that may have the folder: nil
// where there is none, ErrExists where it is another's.
func (l *Library) manifestOf(name string) (*Manifest, error) {
	m, err := readManifest(l.folder(name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case m.Name != name:
		return nil, &Error{Kind: ErrExists, Problem: "its folder is that of " + m.Name, Way: "remove that one first"}
	}
	return m, nil
}

// write replaces the manifest of the folder in one step.
func (m *Manifest) write(folder string) error {
	m.Version, m.Changed = manifestVersion, time.Now().UTC().Truncate(time.Second)
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("%s: %w", manifestName, err)
	}
	return weights.WriteFile(filepath.Join(folder, manifestName), func(w io.Writer) error {
		_, err := w.Write(append(data, '\n'))
		return err
	})
}
