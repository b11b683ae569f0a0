//go:build !(linux || darwin || freebsd || openbsd || netbsd || dragonfly || windows)

package library

import (
	"errors"
	"os"
)

func lockFile(*os.File) error { return errors.ErrUnsupported }
