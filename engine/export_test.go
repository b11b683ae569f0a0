package engine

import (
	"strings"

	"kestrel/engine/mamba"
)

// For the tests in package engine_test.
var (
	Suggest     = suggest
	CheckMemory = checkMemory
	EstimateOn  = estimateOn
)

// Carried is the content of a state.
func Carried(t *State) *mamba.Carried { return t.carried }

// SetAhead sets how many steps of the model are in flight at most; 0 leaves it to their time.
func SetAhead(m *Model, n int) { m.model.SetAhead(n) }

// Stop passes pieces of text to what looks for stop strings: what was passed on, piece by piece, and whether one came up.
func Stop(stops, pieces []string) (passed []string, found bool) {
	out := &stopper{stops: stops, emit: func(text string) error { passed = append(passed, text); return nil }}
	for _, p := range pieces {
		if found, _ = out.write(p); found {
			break
		}
	}
	if !found {
		found, _ = out.flush("")
	}
	if out.text.String() != strings.Join(passed, "") {
		panic("the text is not what was passed on")
	}
	return passed, found
}
