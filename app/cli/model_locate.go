package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"kestrel/app/library"
)

// locate returns the path of the model that --model names: a path, else a
// name of the library. A path goes first, so that what is on the disk can always be
// named.
func locate(name string) (string, error) {
	_, err := os.Stat(name)
	if err == nil {
		return name, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("model %q: %w", name, err)
	}
	missing := fmt.Errorf("no model %q: there is no such file or folder, nor a model of this name in the library; "+
		"'kestrel model list' shows those that are, %s", name, pullHint(name))
	l, err := library.Open(os.Getenv)
	if err != nil { // a machine without a place for user data has no library
		return "", missing
	}
	path, err := l.Resolve(name)
	if errors.Is(err, library.ErrNotFound) {
		return "", missing
	}
	return path, err
}

// pullHint says how to get a model that is not there.
func pullHint(name string) string {
	if ref, err := library.ParseRef(name); err == nil {
		return fmt.Sprintf("'kestrel model pull %s' gets it", ref.Name())
	}
	return "'kestrel model pull' gets others"
}
