//go:build !linux

package cli

import (
	"errors"
	"os"
)

func dropCached(*os.File) error { return errors.ErrUnsupported }
