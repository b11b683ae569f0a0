package library

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// Library is a folder of models.
type Library struct {
	dir    string
	getenv func(string) string
	free   func(dir string) (int64, error) // bytes a user may still write; see freeSpace
}

// Open returns the user's library: $KESTREL_HOME/models, else models in
// Kestrel's folder of the system's place for user data ($XDG_DATA_HOME or
// ~/.local/share; ~/Library/Application Support on macOS; %LOCALAPPDATA% on
// Windows). Nothing is made before something is written. getenv may be
// os.Getenv; the variables of [Library.Pull] are read through it as well.
func Open(getenv func(string) string) (*Library, error) {
	home, err := Home(getenv)
	if err != nil {
		return nil, err
	}
	return At(filepath.Join(home, "models"), getenv), nil
}

// At returns the library in a folder, which must be absolute.
func At(dir string, getenv func(string) string) *Library {
	return &Library{dir: dir, getenv: getenv, free: freeSpace}
}

// Dir is the library's folder.
func (l *Library) Dir() string { return l.dir }

// Home returns Kestrel's folder for user data; see [Open].
func Home(getenv func(string) string) (string, error) {
	return homeOn(runtime.GOOS, getenv)
}

func homeOn(system string, getenv func(string) string) (string, error) {
	if dir := getenv("KESTREL_HOME"); dir != "" {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return "", fmt.Errorf("KESTREL_HOME %s: %w", dir, err)
		}
		return abs, nil
	}
	var base string
	switch system {
	case "windows":
		// not the roaming profile: models are large
		if base = getenv("LOCALAPPDATA"); base == "" && getenv("USERPROFILE") != "" {
			base = filepath.Join(getenv("USERPROFILE"), "AppData", "Local")
		}
	case "darwin":
		if getenv("HOME") != "" {
			base = filepath.Join(getenv("HOME"), "Library", "Application Support")
		}
	default:
		// the XDG specification has a relative path ignored
		if base = getenv("XDG_DATA_HOME"); !filepath.IsAbs(base) {
			base = ""
			if getenv("HOME") != "" {
				base = filepath.Join(getenv("HOME"), ".local", "share")
			}
		}
	}
	if base == "" {
		return "", errors.New("no folder for models: neither HOME nor KESTREL_HOME is set; set KESTREL_HOME to a folder")
	}
	return filepath.Join(base, "kestrel"), nil
}

// folder is where a model of the name lies.
func (l *Library) folder(name string) string { return filepath.Join(l.dir, folderName(name)) }

// lock makes this the only process that writes the model.
func (l *Library) lock(name string) (*lock, error) {
	dir := filepath.Join(l.dir, locksFolder)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, &Error{Problem: "cannot make the library's folder", Cause: err, Way: "set KESTREL_HOME to a folder you may write to"}
	}
	return acquire(filepath.Join(dir, folderName(name)+".lock"))
}

const (
	locksFolder  = ".locks"
	trashPrefix  = ".removed-"
	manifestName = "manifest.json"
	partsFolder  = "parts"
)
