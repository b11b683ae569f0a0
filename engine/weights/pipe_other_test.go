//go:build !unix

package weights

import "errors"

func mkfifo(string) error { return errors.ErrUnsupported }
