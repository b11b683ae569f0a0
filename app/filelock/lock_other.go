//go:build !(linux || darwin || freebsd || openbsd || netbsd || dragonfly || windows)

package filelock

import (
	"errors"
	"os"
)

// Exclusive fails: this system has no locks that end with their program.
func Exclusive(*os.File) error { return errors.ErrUnsupported }

// Shared fails as Exclusive does.
func Shared(*os.File) error { return errors.ErrUnsupported }
