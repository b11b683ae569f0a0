package engine

import "kestrel/engine/mamba"

// For the tests in package engine_test.
var (
	Fits       = fits
	DeviceFree = deviceFree
)

// Carried is the content of a state.
func Carried(t *State) *mamba.Carried { return t.carried }
