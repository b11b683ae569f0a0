// Package filelock locks files against other programs. The system lets go of a lock when its program ends, however that
// happens, so none can be left behind. A lock belongs to the open file, and ends when that is closed.
//
// The file itself should stay: removing it would let two programs lock two files of one name.
package filelock

import "errors"

// ErrLocked says that another program, or another open file of this one, holds the lock.
var ErrLocked = errors.New("locked")
