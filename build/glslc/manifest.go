package glslc

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Record says what a committed module was made from, and by which compiler.
type Record struct {
	Source   string // SourceHash of the variant
	Module   string // SHA-256 of the .spv file
	Compiler string // Compiler.Version
}

// Manifest is spv/MANIFEST: a record for each variant by its name.
type Manifest map[string]Record

const manifestHead = "# Written by build/shaders: variant, SHA-256 of its sources and options, SHA-256 of its module, compiler.\n"

// ReadManifest reads dir/spv/MANIFEST; one that is absent is empty.
func ReadManifest(dir string) (Manifest, error) {
	path := filepath.Join(dir, "spv", "MANIFEST")
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Manifest{}, nil
	} else if err != nil {
		return nil, err
	}
	m := Manifest{}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		f := strings.SplitN(line, " ", 4)
		if len(f) != 4 {
			return nil, fmt.Errorf("%s: not a record: %q; run build/shaders --all", path, line)
		}
		m[f[0]] = Record{Source: f[1], Module: f[2], Compiler: f[3]}
	}
	return m, nil
}

// Write replaces dir/spv/MANIFEST.
func (m Manifest) Write(dir string) error {
	var out bytes.Buffer
	out.WriteString(manifestHead)
	for _, name := range slices.Sorted(maps.Keys(m)) {
		r := m[name]
		fmt.Fprintf(&out, "%s %s %s %s\n", name, r.Source, r.Module, r.Compiler)
	}
	return WriteFile(filepath.Join(dir, "spv", "MANIFEST"), out.Bytes())
}

// ModuleHash is the SHA-256 of a module.
func ModuleHash(code []byte) string {
	sum := sha256.Sum256(code)
	return hex.EncodeToString(sum[:])
}

// WriteFile replaces path with data in one step.
func WriteFile(path string, data []byte) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(tmp.Name())
		}
	}()
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Chmod(0o644), tmp.Sync(), tmp.Close())
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
